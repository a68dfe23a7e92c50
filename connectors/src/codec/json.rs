//! JSON records, decisions and receipts: one object each, on one line when written.
//!
//! A record is read in two cheap passes over the same bytes: the first finds `kind`, `at` and `v`
//! and looks for keys that occur twice, the second fills the typed struct. Only what one of them
//! refuses is read again, to name the field and its value.
//!
//! Limits: [`MAX_BODY_BYTES`] per record, [`MAX_FIELDS`] keys.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeOwned, Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::scan::Scan;
use super::{DecodeError, MAX_BODY_BYTES, MAX_FIELDS, diagnose, object, shorten, too_long};
use crate::inbound::Refused;
use crate::wire::{Decision, Receipt, Record, VERSION};

/// What a line held: its record, and its `at` if that was text.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The field `at`, unchecked.
    pub at: Option<String>,
    /// The record, or why there is none.
    pub record: Result<Record, Refused>,
}

/// Reads one record.
///
/// **Cost** two passes over the bytes, and some more over a refused record.
pub fn read_record(bytes: &[u8]) -> Line {
    if bytes.len() > MAX_BODY_BYTES {
        return Line { at: None, record: Err(too_long(bytes, bytes.len() as u64)) };
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Line { at: None, record: Err(diagnose::not_utf8(bytes)) };
    };
    let Ok(head) = read_head(text) else {
        return Line { at: None, record: Err(diagnose::refusal(text)) };
    };
    let record = match head.v {
        None | Some(VERSION) => read_kind(head.kind.as_deref().unwrap_or_default(), text),
        Some(_) => None,
    };
    let record = match record {
        Some(record) => diagnose::needed_null(text, &record).map_or(Ok(record), Err),
        None => Err(diagnose::refusal(text)),
    };
    Line { at: head.at.map(|at| at.0.into_owned()), record }
}

/// The refusal of a record that has `null` for its `at`, where a record needs one; none of any
/// other. For those that have none: whether they say so is all that is left to be told.
pub fn null_at(bytes: &[u8]) -> Option<Refused> {
    std::str::from_utf8(bytes).ok().and_then(diagnose::null_at)
}

/// What `field` (a path such as `tiers[1].price`) of a record holds, as JSON and shortened; none if
/// it is not there or `null`.
///
/// **Cost** writes the record and reads it again: for refusals.
pub fn value_of(record: &Record, field: &str) -> Option<String> {
    let mut written = Vec::new();
    write_record(&mut written, None, record);
    let text = String::from_utf8_lossy(&written);
    let scan = Scan::new(&text);
    let value = scan.value(field).filter(|value| *value != "null")?;
    // A whole number of degrees is written as a person does.
    Some(shorten(value.strip_suffix(".0").unwrap_or(value)))
}

/// Reads one decision.
///
/// # Errors
/// Says where the JSON does not fit.
pub fn read_decision(bytes: &[u8]) -> Result<Decision, DecodeError> {
    Ok(serde_json::from_slice(bytes)?)
}

/// Reads one receipt.
///
/// # Errors
/// Says where the JSON does not fit.
pub fn read_receipt(bytes: &[u8]) -> Result<Receipt, DecodeError> {
    Ok(serde_json::from_slice(bytes)?)
}

/// Appends a record as `{"at":...,"kind":...,...}` without a line end; absent fields are omitted.
///
/// **Contract** its numbers are finite: JSON has no others.
pub fn write_record(out: &mut Vec<u8>, at: Option<&str>, record: &Record) {
    let kind = record.kind();
    match record {
        Record::Intent(it) => object::write(out, at, Some(kind), it),
        Record::Store(it) => object::write(out, at, Some(kind), it),
        Record::Offer(it) => object::write(out, at, Some(kind), it),
        Record::Stock(it) => object::write(out, at, Some(kind), it),
        Record::Reply(it) => object::write(out, at, Some(kind), it),
        Record::Arrival(it) => object::write(out, at, Some(kind), it),
        Record::Clock(it) => object::write(out, at, Some(kind), it),
    }
}

/// Appends a decision without a line end, its fields in the order of the struct.
pub fn write_decision(out: &mut Vec<u8>, decision: &Decision) {
    object::write(out, None, None, decision);
}

/// Appends a receipt without a line end, its fields in the order of the struct.
pub fn write_receipt(out: &mut Vec<u8>, receipt: &Receipt) {
    object::write(out, None, None, receipt);
}

/// The fields that say how to read the others.
pub(super) struct Head<'a> {
    kind: Option<Text<'a>>,
    at: Option<Text<'a>>,
    v: Option<u32>,
}

/// Text that is borrowed unless it holds escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Text<'_> {
    fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::ops::Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

/// Finds the head of an object, and refuses a key that occurs twice.
pub(super) fn read_head(text: &str) -> Result<Head<'_>, serde_json::Error> {
    serde_json::from_str(text)
}

/// Reads an object of the given kind; none if the kind is unknown or the object does not fit.
fn read_kind(kind: &str, text: &str) -> Option<Record> {
    fn read<T: DeserializeOwned>(text: &str) -> Option<T> {
        serde_json::from_str(text).ok()
    }
    match kind {
        "intent" => read(text).map(Record::Intent),
        "store" => read(text).map(Record::Store),
        "offer" => read(text).map(Record::Offer),
        "stock" => read(text).map(Record::Stock),
        "reply" => read(text).map(Record::Reply),
        "arrival" => read(text).map(Record::Arrival),
        "clock" => read(text).map(Record::Clock),
        _ => None,
    }
}

impl<'de> Deserialize<'de> for Head<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeadVisitor)
    }
}

/// Builds a [`Head`].
struct HeadVisitor;

impl<'de> Visitor<'de> for HeadVisitor {
    type Value = Head<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Head<'de>, A::Error> {
        let mut head = Head { kind: None, at: None, v: None };
        let mut seen: Vec<Text<'de>> = Vec::with_capacity(16);
        while let Some(key) = map.next_key::<Text<'de>>()? {
            if seen.iter().any(|other| other.as_str() == key.as_str()) {
                return Err(A::Error::custom(format_args!("duplicate field `{}`", key.as_str())));
            }
            if seen.len() == MAX_FIELDS {
                return Err(A::Error::custom(format_args!("more than {MAX_FIELDS} fields")));
            }
            match key.as_str() {
                "kind" => head.kind = Some(map.next_value()?),
                "at" => head.at = map.next_value()?,
                "v" => head.v = map.next_value()?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            seen.push(key);
        }
        Ok(head)
    }
}
