//! The NATS subjects and stream names of one city.
//!
//! A subject routes and carries permissions; the payload is the authority. A key that would change
//! a subject's shape (a dot, a wildcard, nothing at all) never becomes part of one.

use std::fmt;
use std::str::FromStr;

use crate::wire::{Decision, Record};

/// The longest name of a city.
pub const MAX_CITY_CHARS: usize = 32;

/// The longest id, see [`is_token`].
pub const MAX_ID_CHARS: usize = 64;

/// The token that stands for a product where a cancellation names none.
const NO_PRODUCT: &str = "_";

/// A city's name: 1-32 lower-case letters, digits and `-`, beginning with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct City(String);

/// A text that is no [`City`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("city {0:?} is not 1 to 32 lower-case letters, digits and hyphens")]
pub struct BadCity(String);

impl City {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for City {
    type Err = BadCity;

    fn from_str(text: &str) -> Result<City, BadCity> {
        let fits = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
        let good = !text.is_empty()
            && text.len() <= MAX_CITY_CHARS
            && !text.starts_with('-')
            && text.as_bytes().iter().all(fits);
        if good { Ok(City(text.to_owned())) } else { Err(BadCity(text.to_owned())) }
    }
}

impl fmt::Display for City {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Whether a text may be an id, and with that a subject's token: 1-64 of `[A-Za-z0-9_-]`.
pub fn is_token(text: &str) -> bool {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte == b'-';
    (1..=MAX_ID_CHARS).contains(&text.len()) && text.as_bytes().iter().all(fits)
}

/// The subjects of a city.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subjects {
    city: City,
    /// `iceshop.<city>`
    prefix: String,
    /// `ICESHOP_<CITY>`
    stream_prefix: String,
}

impl Subjects {
    /// The subjects of `city`.
    pub fn new(city: City) -> Subjects {
        let prefix = format!("iceshop.{city}");
        let upper = city.as_str().to_ascii_uppercase().replace('-', "_");
        Subjects { city, prefix, stream_prefix: format!("ICESHOP_{upper}") }
    }

    /// The city.
    pub fn city(&self) -> &City {
        &self.city
    }

    /// The input stream's name.
    pub fn in_stream(&self) -> String {
        format!("{}_IN", self.stream_prefix)
    }

    /// The decisions' stream.
    pub fn out_stream(&self) -> String {
        format!("{}_OUT", self.stream_prefix)
    }

    /// The dead letters' stream.
    pub fn dlq_stream(&self) -> String {
        format!("{}_DLQ", self.stream_prefix)
    }

    /// The receipts' stream.
    pub fn receipt_stream(&self) -> String {
        format!("{}_RECEIPT", self.stream_prefix)
    }

    /// All input.
    pub fn in_filter(&self) -> String {
        format!("{}.in.>", self.prefix)
    }

    /// All decisions.
    pub fn out_filter(&self) -> String {
        format!("{}.out.>", self.prefix)
    }

    /// All dead letters.
    pub fn dlq_filter(&self) -> String {
        format!("{}.dlq.>", self.prefix)
    }

    /// All receipts.
    pub fn receipt_filter(&self) -> String {
        format!("{}.receipt.>", self.prefix)
    }

    /// Where a record goes in; none if one of its keys cannot be part of a subject.
    pub fn input(&self, record: &Record) -> Option<String> {
        let prefix = &self.prefix;
        let kind = record.kind();
        let (first, second) = match record {
            Record::Intent(it) => (it.product.as_deref().unwrap_or(NO_PRODUCT), None),
            Record::Store(it) => (it.id.as_str(), None),
            Record::Offer(it) => (it.product.as_str(), Some(it.store.as_str())),
            Record::Stock(it) => (it.product.as_str(), Some(it.store.as_str())),
            Record::Reply(it) => (it.window.as_str(), None),
            Record::Arrival(it) => (it.window.as_str(), None),
            Record::Clock(_) => return Some(self.clock()),
        };
        match second {
            None => is_token(first).then(|| format!("{prefix}.in.{kind}.{first}")),
            Some(second) => (is_token(first) && is_token(second))
                .then(|| format!("{prefix}.in.{kind}.{first}.{second}")),
        }
    }

    /// Where the engine says that time passes.
    pub fn clock(&self) -> String {
        format!("{}.in.clock", self.prefix)
    }

    /// Where a publisher puts what has no subject of its own: batch bodies.
    pub fn batch(&self) -> String {
        format!("{}.in.batch", self.prefix)
    }

    /// Where a publisher puts lines that are no good record, so that they get their receipt.
    pub fn raw(&self) -> String {
        format!("{}.in.raw", self.prefix)
    }

    /// Where a decision goes out; its parts from the second on have subjects of their own, so that
    /// the last message of the window's own subject is always a first part.
    pub fn decision(&self, decision: &Decision) -> String {
        let Decision { zone, product, window, .. } = decision;
        let subject = format!("{}.out.window.{zone}.{product}.{window}", self.prefix);
        match decision.part {
            Some(part) if part >= 2 => format!("{subject}.part.{part}"),
            _ => subject,
        }
    }

    /// Where a receipt goes out.
    pub fn receipt(&self, outcome: &str) -> String {
        format!("{}.receipt.{outcome}", self.prefix)
    }

    /// Where a dead letter goes.
    pub fn dead_letter(&self, reason: &str) -> String {
        format!("{}.dlq.{reason}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Clock, Intent, Stock, Store};

    fn subjects() -> Subjects {
        Subjects::new("new-york".parse().unwrap())
    }

    #[test]
    fn a_city_is_a_short_plain_word() {
        for good in ["istanbul", "new-york", "a", "7"] {
            assert_eq!(good.parse::<City>().unwrap().as_str(), good);
        }
        let long = "x".repeat(MAX_CITY_CHARS + 1);
        for bad in ["", "-a", "İstanbul", "a.b", "a b", "A", "a_b", "*", ">", long.as_str()] {
            assert!(bad.parse::<City>().is_err(), "{bad}");
        }
    }

    #[test]
    fn streams_are_named_after_the_city() {
        assert_eq!(subjects().in_stream(), "ICESHOP_NEW_YORK_IN");
        assert_eq!(subjects().receipt_stream(), "ICESHOP_NEW_YORK_RECEIPT");
    }

    #[test]
    fn input_goes_by_kind_and_key() {
        let check = |record: Record, tail: Option<&str>| {
            let expected = tail.map(|tail| format!("iceshop.new-york.in.{tail}"));
            assert_eq!(subjects().input(&record), expected, "{record:?}");
        };
        let intent = |product: Option<&str>| {
            Record::Intent(Intent { product: product.map(Into::into), ..Intent::default() })
        };
        let stock = |store: &str, product: &str| {
            let (store, product) = (store.into(), product.into());
            Record::Stock(Stock { store, product, ..Stock::default() })
        };
        check(intent(Some("latte")), Some("intent.latte"));
        check(intent(None), Some("intent._"));
        check(intent(Some("la.tte")), None);
        check(intent(Some("")), None);
        check(stock("s1", "latte"), Some("stock.latte.s1"));
        check(stock("s*", "latte"), None);
        check(Record::Store(Store { id: ">".into(), ..Store::default() }), None);
        check(Record::Clock(Clock {}), Some("clock"));
    }
}
