//! An instance's JSON as it is typed; what its values mean is checked in [`super`].
//!
//! Unknown fields are passed over, with a warning that names them: an instance may carry notes, and a
//! field may be misspelt.

use dataflows::market::Invalid;
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeSet;
use std::fmt;

/// The whole file.
#[derive(Debug, Deserialize)]
pub(super) struct Document {
    pub params: Params,
    pub intents: Vec<Intent>,
    pub stores: Vec<Store>,
    pub offers: Vec<Offer>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Params {
    pub slot_minutes: Option<i64>,
    pub travel_cost_per_km: i64,
    pub epoch: Option<String>,
    pub horizon: Option<(i64, i64)>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Intent {
    pub id: Id,
    pub product: Id,
    pub lat: f64,
    pub lng: f64,
    pub from: Option<Moment>,
    pub to: Option<Moment>,
    pub intervals: Option<Vec<(Moment, Moment)>>,
    pub budget: i64,
    pub quantity: i64,
    pub reach_m: i64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Store {
    pub id: Id,
    pub lat: f64,
    pub lng: f64,
    pub open: Option<Vec<(Moment, Moment)>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Offer {
    pub store: Id,
    pub product: Id,
    pub stock: i64,
    pub list_price: i64,
    pub max_group: Option<i64>,
    pub tiers: Vec<Tier>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Tier {
    pub min_buyers: i64,
    pub price: i64,
}

/// An id as it came: numbers sort before texts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Id {
    /// A whole number.
    Number(i128),
    /// A text.
    Text(String),
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Id::Number(number) => number.fmt(f),
            Id::Text(text) => write!(f, "{text:?}"),
        }
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Id::Number(number) => serializer.serialize_i128(*number),
            Id::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberOrText("an id: a whole number or a string")).map(|v| {
            match v {
                Either::Number(number) => Id::Number(number),
                Either::Text(text) => Id::Text(text),
            }
        })
    }
}

/// A slot's number, or an instant in RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Moment {
    Slot(i128),
    Text(String),
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Moment::Slot(slot) => slot.fmt(f),
            Moment::Text(text) => text.fmt(f),
        }
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = NumberOrText("a slot's number or an RFC 3339 time");
        deserializer.deserialize_any(expected).map(|v| match v {
            Either::Number(number) => Moment::Slot(number),
            Either::Text(text) => Moment::Text(text),
        })
    }
}

enum Either {
    Number(i128),
    Text(String),
}

/// Reads a whole number or a string; the text says what was expected.
struct NumberOrText(&'static str);

impl Visitor<'_> for NumberOrText {
    type Value = Either;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Either, E> {
        Ok(Either::Number(number.into()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Either, E> {
        Ok(Either::Number(number.into()))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Either, E> {
        Ok(Either::Text(text.to_owned()))
    }
}

/// What is wrong with a text that is no such document: the field, the value there, the reason.
pub(super) fn parse(text: &[u8]) -> Result<Document, Invalid> {
    let mut json = serde_json::Deserializer::from_slice(text);
    // By name alone: a list of a thousand offers says it once.
    let mut unknown = BTreeSet::new();
    let mut note = |path: serde_ignored::Path<'_>| {
        let path = path.to_string();
        let names = path.split('.').filter(|name| name.parse::<usize>().is_err());
        unknown.insert(names.collect::<Vec<_>>().join("."));
    };
    let noted = serde_ignored::Deserializer::new(&mut json, &mut note);
    let document = serde_path_to_error::deserialize(noted).map_err(|error| {
        let field = error.path().to_string();
        let inner = error.into_inner();
        refusal(text, &field, &inner)
    })?;
    json.end().map_err(|error| refusal(text, "instance", &error))?;
    for field in &unknown {
        tracing::warn!("instance: {field}: not a field of an instance, passed over");
    }
    Ok(document)
}

fn refusal(text: &[u8], field: &str, error: &serde_json::Error) -> Invalid {
    let field = if matches!(field, "." | "?") { "instance" } else { field };
    // What is missing has no value: the error stands where the object that lacks it ends.
    let reason = error.to_string();
    let missing = reason.strip_prefix("missing field `").and_then(|rest| rest.split_once('`'));
    if let Some((missing, _)) = missing {
        let path = if field == "instance" { missing.into() } else { format!("{field}.{missing}") };
        return Invalid::new(&path, "absent", "needed");
    }
    let line = text.split(|byte| *byte == b'\n').nth(error.line().saturating_sub(1));
    let line = String::from_utf8_lossy(line.unwrap_or_default()).into_owned();
    // The error stands at the end of what it refuses: show the token around it.
    let at = error.column().saturating_sub(1).min(line.len());
    let ends = |c: char| matches!(c, ',' | ':' | '{' | '}' | '[' | ']') || c.is_whitespace();
    let at = (0..=at).rev().find(|&n| line.is_char_boundary(n)).unwrap_or(0);
    let before =
        if line[at..].starts_with(ends) { line[..at].trim_end_matches(ends) } else { &line[..at] };
    let from = before.rfind(ends).map_or(0, |n| n + 1);
    let until = line[at..].find(ends).map_or(line.len(), |n| n + at);
    let token = line.get(from..until.max(from)).unwrap_or_default().trim_matches(ends);
    Invalid::new(field, token, error)
}
