//! Why a JSON record was refused: the field, its value as typed, and the reason.
//!
//! The slow path: it runs only for a record that the fast one has refused, and reads it anew.

use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use super::scan::{ENDS, Scan, extend};
use super::{BEGINNING_BYTES, MAX_BODY_BYTES, json, shorten};
use crate::inbound::{Fault, Refused};
use crate::wire::{Arrival, Clock, Intent, Offer, Record, Reply, Stock, Store, VERSION};

/// What is shown of a value that is not there.
const ABSENT: &str = "absent";

/// The field that is named where none is to blame.
const RECORD: &str = "record";

/// What is wrong with a record.
struct Wrong {
    fault: Fault,
    field: String,
    value: String,
    reason: String,
}

/// The refusal of bytes that are not text.
pub(super) fn not_utf8(bytes: &[u8]) -> Refused {
    let text = String::from_utf8_lossy(bytes);
    let good = match std::str::from_utf8(bytes) {
        Ok(good) => good,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
    };
    let scan = Scan::new(good);
    match scan.stop() {
        Some(ENDS) => refused(&scan, unreadable(&scan, &text, "not utf-8")),
        _ => refused(&scan, not_json(&scan, &text)),
    }
}

/// The refusal of a record or body of `length` bytes, over [`MAX_BODY_BYTES`], of which at least the
/// beginning is known. Names the field that takes up most of it, if one does.
pub(super) fn too_long(known: &[u8], length: u64) -> Refused {
    let text = String::from_utf8_lossy(&known[..known.len().min(BEGINNING_BYTES)]);
    let scan = Scan::new(&text);
    let (field, value) = scan.longest().unwrap_or((RECORD, &text));
    let wrong = Wrong {
        fault: Fault::TooLong,
        field: field.to_owned(),
        value: shorten(value),
        reason: format!("the record is longer than {MAX_BODY_BYTES} bytes: it has {length}"),
    };
    refused(&scan, wrong)
}

/// The refusal of a text that is not a record.
pub(super) fn refusal(text: &str) -> Refused {
    let scan = Scan::new(text);
    let wrong = if scan.stop().is_some() {
        not_json(&scan, text)
    } else if !text.trim_start().starts_with('{') {
        unreadable(&scan, text, "not a json object")
    } else {
        wrong_with(&scan, text)
    };
    refused(&scan, wrong)
}

/// The refusal of a record whose text says `null` where a value is needed; none of any other, be
/// it good or not.
///
/// Whoever gets the record can no longer tell `null` from a field that is not there.
pub(super) fn needed_null(text: &str, record: &Record) -> Option<Refused> {
    let missing = missing(record);
    if missing.is_empty() {
        return None;
    }
    let scan = Scan::new(text);
    let field = missing.into_iter().find(|field| scan.value(field).is_some())?;
    Some(null_where_needed(&scan, field))
}

/// The fields that a record needs, though its type can do without, and does not have.
fn missing(record: &Record) -> Vec<&'static str> {
    let missing = match record {
        Record::Intent(it) if it.cancel != Some(true) => [
            ("buyer", it.buyer.is_none()),
            ("product", it.product.is_none()),
            ("lat", it.lat.is_none()),
            ("lng", it.lng.is_none()),
            ("available", it.available.is_none()),
            ("budget", it.budget.is_none()),
        ],
        Record::Stock(it) => {
            let relative = it.sold.is_some() || it.added.is_some();
            let none = it.units.is_none() && !relative;
            let event = ("event", relative && it.event.is_none());
            [("units", none), ("sold", none), ("added", none), event, ("", false), ("", false)]
        }
        _ => return Vec::new(),
    };
    missing.into_iter().filter(|field| field.1).map(|field| field.0).collect()
}

/// The refusal of a line that says `null` for its `at`; none of any other.
pub(super) fn null_at(text: &str) -> Option<Refused> {
    let scan = Scan::new(text);
    scan.value("at").map(|_| null_where_needed(&scan, "at"))
}

fn null_where_needed(scan: &Scan<'_>, field: &str) -> Refused {
    let (fault, value, reason) = (Fault::Invalid, "null".into(), "needed".into());
    refused(scan, Wrong { fault, field: field.into(), value, reason })
}

/// A refusal, with what its text tells of kind and id.
fn refused(scan: &Scan<'_>, wrong: Wrong) -> Refused {
    let Wrong { fault, field, value, reason } = wrong;
    let kind = scan.text("kind");
    let id = kind.as_deref().and_then(|kind| id_of(kind, scan));
    Refused { fault, field, value, reason, kind: kind.map(|kind| shorten(&kind)), id }
}

/// The id of what a record is about: that of an intent or store, of an offer or its stock
/// `<store>_<product>`, of an answer or arrival its window's.
fn id_of(kind: &str, scan: &Scan<'_>) -> Option<String> {
    let id = match kind {
        "intent" | "store" => scan.text("id")?,
        "offer" | "stock" => format!("{}_{}", scan.text("store")?, scan.text("product")?),
        "reply" | "arrival" => scan.text("window")?,
        _ => return None,
    };
    Some(shorten(&id))
}

/// What is wrong with a text that is not JSON: the field in which it stops being that.
fn not_json(scan: &Scan<'_>, text: &str) -> Wrong {
    unreadable(scan, text, &format!("not json: {}", scan.stop().unwrap_or("unreadable")))
}

/// A text that cannot be read on where the scan has stopped.
fn unreadable(scan: &Scan<'_>, text: &str, reason: &str) -> Wrong {
    let fault = Fault::Malformed;
    if scan.stop().is_some() && !scan.stop_path().is_empty() {
        let field = shorten(scan.stop_path());
        let value = shorten(scan.stop_value(text).unwrap_or(ABSENT));
        return Wrong { fault, field, value, reason: reason.into() };
    }
    let reason = match scan.stop() {
        Some(_) => format!("{reason}, at column {}", scan.stop_column()),
        None => reason.into(),
    };
    Wrong { fault, field: RECORD.into(), value: shorten(text), reason }
}

/// The first thing that is wrong with an object.
fn wrong_with(scan: &Scan<'_>, text: &str) -> Wrong {
    let wrong = |fault, field: &str, reason: String| {
        let value = shorten(scan.value(field).unwrap_or(ABSENT));
        Wrong { fault, field: shorten(field), value, reason }
    };
    let given = |field: &str| scan.value(field).filter(|value| *value != "null");
    if given("v").is_some_and(|v| v.parse() != Ok(VERSION)) {
        return wrong(Fault::UnknownVersion, "v", format!("this is version {VERSION}"));
    }
    let mismatch = match scan.text("kind").as_deref() {
        Some("intent") => mismatch::<Intent>(text),
        Some("store") => mismatch::<Store>(text),
        Some("offer") => mismatch::<Offer>(text),
        Some("stock") => mismatch::<Stock>(text),
        Some("reply") => mismatch::<Reply>(text),
        Some("arrival") => mismatch::<Arrival>(text),
        Some("clock") => mismatch::<Clock>(text),
        _ => return wrong(Fault::UnknownKind, "kind", "not a known kind of record".into()),
    };
    if given("at").is_some() && scan.text("at").is_none() {
        return wrong(Fault::Invalid, "at", "must be a text".into());
    }
    if let Err(error) = json::read_head(text) {
        let message = without_place(&error.to_string());
        return match (quoted(&message, "duplicate field"), message.starts_with("more than")) {
            (Some(field), _) => wrong(Fault::Invalid, field, "the field occurs twice".into()),
            (None, few) => {
                let fault = if few { Fault::Invalid } else { Fault::Malformed };
                Wrong { fault, field: RECORD.into(), value: shorten(text), reason: message }
            }
        };
    }
    match mismatch {
        Some((field, reason)) => wrong(Fault::Invalid, &field, reason),
        None => unreadable(scan, text, "unreadable"),
    }
}

/// Where and why a text is not a `T`; none if it is one.
fn mismatch<T: DeserializeOwned>(text: &str) -> Option<(String, String)> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let error = serde_path_to_error::deserialize::<_, T>(&mut deserializer).err()?;
    let mut field = String::new();
    for segment in error.path().iter() {
        match segment {
            Segment::Seq { index } => field.push_str(&format!("[{index}]")),
            Segment::Map { key } | Segment::Enum { variant: key } => extend(&mut field, key),
            Segment::Unknown => {}
        }
    }
    let message = without_place(&error.inner().to_string());
    let reason = if let Some(name) = quoted(&message, "missing field") {
        extend(&mut field, name);
        "needed"
    } else if let Some(name) = quoted(&message, "duplicate field") {
        extend(&mut field, name);
        "the field occurs twice"
    } else {
        plain(&message)
    };
    if field.is_empty() {
        field.push_str(RECORD);
    }
    Some((field, reason.into()))
}

/// The message of a type that does not fit, in words that know no programming language.
fn plain(message: &str) -> &'static str {
    const PAIR: &str = "must be a pair [from, until]";
    if message == "number out of range" {
        return "must be smaller: no number is that great";
    }
    match message.rsplit_once("expected ").map(|(_, expected)| expected) {
        Some("a string") => "must be a text",
        Some("a boolean") => "must be true or false",
        Some("f64") => "must be a number",
        Some("i64") => "must be a whole number of 64 bits, without point or exponent",
        Some("u64") => "must be a whole number of 64 bits, not negative, without point or exponent",
        Some("a sequence") => "must be a list",
        Some("an array of length 2") => PAIR,
        Some("a map" | "struct Tier") => "must be an object",
        // A third element of a pair is what no list ends with.
        _ if message == "trailing characters" => PAIR,
        _ if message.contains("hex escape") || message.contains("unicode") => {
            "holds an escape that is no character"
        }
        _ => "cannot be read",
    }
}

/// The name that a message such as "missing field `id`" quotes.
fn quoted<'a>(message: &'a str, before: &str) -> Option<&'a str> {
    message.strip_prefix(before)?.trim_start().strip_prefix('`')?.strip_suffix('`')
}

/// A message of serde_json without its line and column, which say little about one line.
fn without_place(message: &str) -> String {
    match message.rfind(" at line ") {
        Some(end) => message[..end].to_owned(),
        None => message.to_owned(),
    }
}
