//! Why a JSON record was refused: the field, its value and the reason.
//!
//! The slow path: it runs only for a record that the fast one has refused, and parses it anew.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use super::{json, shorten};
use crate::inbound::{Fault, Refused};
use crate::wire::{Arrival, Clock, Intent, Offer, Reply, Stock, Store, VERSION};

/// The refusal of bytes that are not text.
pub(super) fn not_utf8(bytes: &[u8]) -> Refused {
    malformed(&String::from_utf8_lossy(bytes), "not utf-8".into())
}

/// The refusal of a text that is not a record.
pub(super) fn refusal(text: &str) -> Refused {
    let value: Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) => {
            let message = without_place(&error.to_string());
            let reason = format!("not json: {message} at column {}", error.column());
            return malformed(text, reason);
        }
    };
    if !value.is_object() {
        return malformed(text, "not a json object".into());
    }
    let kind = value.get("kind").and_then(Value::as_str);
    let (fault, field, value_shown, reason) = fault_of(text, &value, kind);
    Refused {
        fault,
        field,
        value: value_shown,
        reason,
        kind: kind.map(shorten),
        id: kind.and_then(|kind| id_of(kind, &value)),
    }
}

/// The first thing that is wrong with an object: fault, field, value and reason.
fn fault_of(text: &str, value: &Value, kind: Option<&str>) -> (Fault, String, String, String) {
    let shown = |name: &str| value.get(name).map_or_else(absent, show);
    if value.get("v").is_some_and(|v| !v.is_null() && v.as_u64() != Some(u64::from(VERSION))) {
        let reason = format!("this is version {VERSION}");
        return (Fault::UnknownVersion, "v".into(), shown("v"), reason);
    }
    let typed = match kind {
        Some("intent") => mismatch::<Intent>(text),
        Some("store") => mismatch::<Store>(text),
        Some("offer") => mismatch::<Offer>(text),
        Some("stock") => mismatch::<Stock>(text),
        Some("reply") => mismatch::<Reply>(text),
        Some("arrival") => mismatch::<Arrival>(text),
        Some("clock") => mismatch::<Clock>(text),
        _ => {
            let reason = "not a known kind of record".into();
            return (Fault::UnknownKind, "kind".into(), shown("kind"), reason);
        }
    };
    if value.get("at").is_some_and(|at| !at.is_string() && !at.is_null()) {
        return (Fault::Invalid, "at".into(), shown("at"), "not a text".into());
    }
    if let Err(error) = json::read_head(text) {
        let reason = without_place(&error.to_string());
        return match quoted(&reason, "duplicate field") {
            Some(field) => {
                let reason = "the field occurs twice".into();
                (Fault::Invalid, field.to_owned(), shown(field), reason)
            }
            None => (Fault::Invalid, "record".into(), shorten(text), reason),
        };
    }
    match typed {
        Some((path, reason)) => {
            let (field, shown, reason) = place(value, &path, reason);
            (Fault::Invalid, field, shown, reason)
        }
        None => (Fault::Malformed, "record".into(), shorten(text), "unreadable".into()),
    }
}

/// Where and why a text is not a `T`; none if it is one.
fn mismatch<T: DeserializeOwned>(text: &str) -> Option<(Path, String)> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let error = serde_path_to_error::deserialize::<_, T>(&mut deserializer).err()?;
    let reason = without_place(&error.inner().to_string());
    Some((error.path().clone(), reason))
}

/// The field, its value and the reason of a mismatch.
fn place(value: &Value, path: &Path, reason: String) -> (String, String, String) {
    let mut field = String::new();
    let mut found = Some(value);
    for segment in path.iter() {
        match segment {
            Segment::Seq { index } => {
                field.push_str(&format!("[{index}]"));
                found = found.and_then(|value| value.get(index));
            }
            Segment::Map { key } | Segment::Enum { variant: key } => {
                extend(&mut field, key);
                found = found.and_then(|value| value.get(key));
            }
            Segment::Unknown => found = None,
        }
    }
    if let Some(name) = quoted(&reason, "missing field") {
        extend(&mut field, name);
        return (field, absent(), "needed".into());
    }
    if let Some(name) = quoted(&reason, "duplicate field") {
        let shown = found.and_then(|value| value.get(name)).map_or_else(absent, show);
        extend(&mut field, name);
        return (field, shown, "the field occurs twice".into());
    }
    if field.is_empty() {
        field.push_str("record");
    }
    (field, found.map_or_else(absent, show), reason)
}

/// Appends a name to a path.
fn extend(field: &mut String, name: &str) {
    if !field.is_empty() {
        field.push('.');
    }
    field.push_str(&shorten(name));
}

/// The name that a message such as "missing field `id`" quotes.
fn quoted<'a>(message: &'a str, before: &str) -> Option<&'a str> {
    message.strip_prefix(before)?.trim_start().strip_prefix('`')?.strip_suffix('`')
}

/// The id of what a record is about: that of an intent or store, of an offer or its stock
/// `<store>_<product>`, of an answer or arrival its window's.
fn id_of(kind: &str, value: &Value) -> Option<String> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    match kind {
        "intent" | "store" => text("id").map(shorten),
        "offer" | "stock" => Some(shorten(&format!("{}_{}", text("store")?, text("product")?))),
        "reply" | "arrival" => text("window").map(shorten),
        _ => None,
    }
}

/// The refusal of what is not JSON.
fn malformed(text: &str, reason: String) -> Refused {
    let (fault, field, value) = (Fault::Malformed, "record".into(), shorten(text));
    Refused { fault, field, value, reason, kind: None, id: None }
}

/// A value as a refusal shows it: text without quotes.
fn show(value: &Value) -> String {
    match value {
        Value::String(text) => shorten(text),
        other => shorten(&other.to_string()),
    }
}

/// How a refusal shows that there is no value.
fn absent() -> String {
    "absent".into()
}

/// A message of serde_json without its line and column, which say little about one line.
fn without_place(message: &str) -> String {
    match message.rfind(" at line ") {
        Some(end) => message[..end].to_owned(),
        None => message.to_owned(),
    }
}
