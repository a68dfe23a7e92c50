//! Refusals, one line each: the field, its value as typed, and the reason.

use super::*;

/// Checks fault, field, value and the reason's beginning of a refused line.
#[track_caller]
fn refused(line: &str, fault: Fault, field: &str, value: &str, reason: &str) {
    let refused = json::read_record(line.as_bytes()).record.unwrap_err();
    let found = (refused.fault, refused.field.as_str(), refused.value.as_str());
    assert_eq!(found, (fault, field, value), "{refused:?}");
    assert!(refused.reason.starts_with(reason), "{:?}", refused.reason);
}

/// An intent that is good, but for the text of one of its fields.
fn intent_with(field: &str, value: &str) -> String {
    let mut line = r#"{"kind":"intent","id":"i1""#.to_owned();
    for (name, good) in [
        ("version", "1"),
        ("buyer", r#""b1""#),
        ("product", r#""latte""#),
        ("lat", "41.0"),
        ("lng", "29.0"),
        ("available", r#"[["a","b"],["c","d"]]"#),
        ("budget", "100"),
        ("quantity", "1"),
        ("reach_m", "500"),
        ("expires", "null"),
    ] {
        line += &format!(r#","{name}":{}"#, if name == field { value } else { good });
    }
    line + "}"
}

/// An offer with that for its tiers and what comes after them.
fn offer_with(rest: &str) -> String {
    format!(r#"{{"kind":"offer","store":"s","product":"p","version":1,"list_price":5,{rest}}}"#)
}

#[test]
fn a_wrong_field_is_named_with_its_value() {
    use Fault::Invalid;
    let whole = "must be a whole number of 64 bits";
    assert!(json::read_record(intent_with("", "").as_bytes()).record.is_ok());
    for (field, value, reason) in [
        ("version", "-1", whole),
        ("version", "1.5", whole),
        ("version", r#""1""#, whole),
        ("version", "18446744073709551616", whole),
        ("version", "[[[[7]]]]", whole),
        ("buyer", "null", "needed"),
        ("product", "7", "must be a text"),
        ("lat", "null", "needed"),
        ("lat", r#""41""#, "must be a number"),
        ("lng", "1e999", "must be smaller"),
        ("available", "null", "needed"),
        ("available", r#"{"a":"b"}"#, "must be a list"),
        ("budget", "1e2", whole),
        ("budget", "null", "needed"),
        ("reach_m", "true", whole),
        ("expires", r#""\ud800""#, "holds an escape that is no character"),
    ] {
        refused(&intent_with(field, value), Invalid, field, value, reason);
    }
    let pairs = intent_with("available", r#"[["a","b"],["c"]]"#);
    refused(&pairs, Invalid, "available[1]", r#"["c"]"#, "must be a pair");
    let triple = intent_with("available", r#"[["a", "b", "c"]]"#);
    refused(&triple, Invalid, "available[0]", r#"["a", "b", "c"]"#, "must be a pair");
    let time = intent_with("available", r#"[["a",5]]"#);
    refused(&time, Invalid, "available[0][1]", "5", "must be a text");

    refused(r#"{"kind":"intent","id":"i1"}"#, Invalid, "version", "absent", "needed");
    refused(r#"{"kind":"clock","at":5}"#, Invalid, "at", "5", "must be a text");
    refused(r#"{"kind":"clock","a":1,"a":2}"#, Invalid, "a", "2", "the field occurs twice");
    let tiers = r#""tiers":[{"min_buyers":2,"price":4},{"min_buyers":2.50,"price":4}]"#;
    refused(&offer_with(tiers), Invalid, "tiers[1].min_buyers", "2.50", whole);
    let tier = r#""tiers":[{"min_buyers":2}]"#;
    refused(&offer_with(tier), Invalid, "tiers[0].price", "absent", "needed");
    refused(&offer_with(r#""tiers":[7]"#), Invalid, "tiers[0]", "7", "must be an object");
    let flag = r#""tiers":[],"withdrawn":"no""#;
    refused(&offer_with(flag), Invalid, "withdrawn", r#""no""#, "must be true or false");
    let twice = r#""tiers":[],"slot_values":{"x":1,"x":2}"#;
    refused(&offer_with(twice), Invalid, "slot_values.x", "2", "the field occurs twice");
    let stock =
        |rest: &str| format!(r#"{{"kind":"stock","store":"s","product":"p","version":1,{rest}}}"#);
    refused(&stock(r#""units":null"#), Invalid, "units", "null", "needed");
    refused(&stock(r#""sold":1,"event":null"#), Invalid, "event", "null", "needed");
    assert!(json::read_record(stock(r#""units":1,"sold":null"#).as_bytes()).record.is_ok());
    let many: String = (0..MAX_FIELDS).map(|n| format!(r#","f{n}":0"#)).collect();
    let line = format!(r#"{{"kind":"clock"{many}}}"#);
    refused(&line, Invalid, "record", &shorten(&line), "more than 64 fields");
}

#[test]
fn what_is_no_record_becomes_a_dead_letter() {
    use Fault::{Malformed, TooLong, UnknownKind, UnknownVersion};
    refused("[1]", Malformed, "record", "[1]", "not a json object");
    refused(r#"{"kind":"clock"} x"#, Malformed, "record", r#"{"kind":"clock"} x"#, "not json");
    refused(r#"{"id":"i1"}"#, UnknownKind, "kind", "absent", "not a known kind");
    refused(r#"{"kind":"wish"}"#, UnknownKind, "kind", r#""wish""#, "not a known kind");
    refused(r#"{"kind":null}"#, UnknownKind, "kind", "null", "not a known kind");
    refused(r#"{"kind":"clock","v":2}"#, UnknownVersion, "v", "2", "this is version 1");
    refused(r#"{"kind":"clock","v":"1"}"#, UnknownVersion, "v", r#""1""#, "this is version 1");
    let long = " ".repeat(MAX_BODY_BYTES + 1);
    refused(&long, TooLong, "record", &shorten(&long), "the record is longer");
    let name = "x".repeat(MAX_BODY_BYTES);
    let line = format!(r#"{{"kind":"store","id":"s1","name":"{name}","version":1}}"#);
    let shown = shorten(&format!("\"{name}"));
    let reason = format!("the record is longer than 262144 bytes: it has {}", line.len());
    refused(&line, TooLong, "name", &shown, &reason);
}

#[test]
fn what_is_no_json_names_the_field_that_it_stands_in() {
    use Fault::Malformed;
    for (value, shown, reason) in [
        ("NaN", "NaN", "not json: no value is written like this"),
        ("Infinity", "Infinity", "not json: no value"),
        ("-Infinity", "-Infinity", "not json: no number is written like this"),
        ("012", "012", "not json: no number"),
        ("1.", "1.", "not json: no number"),
        ("'x'", "'x'", "not json: no value"),
        ("nul", "nul", "not json: no value"),
        ("", "absent", "not json: a value is missing"),
        (r#""a\qb""#, r#""a\qb""#, "not json: no character is escaped like this"),
        ("\"a\tb\"", "\"a\tb\"", "not json: a control character is not escaped"),
    ] {
        refused(&intent_with("budget", value), Malformed, "budget", shown, reason);
    }
    let nested = r#""tiers":[{"min_buyers":2,"price":4},{"min_buyers":3,"price":NaN}]"#;
    refused(&offer_with(nested), Malformed, "tiers[1].price", "NaN", "not json: no value");
    let open = r#"{"kind":"intent","id":"i1","available":[["2026-06-1"#;
    refused(open, Malformed, "available[0][0]", r#""2026-06-1"#, "not json: it ends too early");
    let colon = r#"{"kind":"clock","at" 5}"#;
    refused(colon, Malformed, "at", "5", "not json: a colon is missing after a key");
    let inner = r#"{"at":{"x","kind":"clock"}"#;
    refused(inner, Malformed, "at", r#"{"x","kind":"clock"}"#, "not json: a colon is missing");
    let comma = r#"{"kind":"stock" "id":"i1"}"#;
    let reason = "not json: a comma or the end of an object is missing, at column 17";
    refused(comma, Malformed, "record", comma, reason);
    refused("{\"kind", Malformed, "record", "{\"kind", "not json: it ends too early, at column 7");
    // What could be read tells what the record is about.
    let refused = json::read_record(intent_with("budget", "NaN").as_bytes()).record.unwrap_err();
    assert_eq!((refused.kind.as_deref(), refused.id.as_deref()), (Some("intent"), Some("i1")));
}

#[test]
fn bytes_that_are_no_text_are_named_with_their_field() {
    let check = |line: &[u8], field: &str, value: &str| {
        let refused = json::read_record(line).record.unwrap_err();
        assert_eq!((refused.fault, refused.reason.as_str()), (Fault::Malformed, "not utf-8"));
        assert_eq!((refused.field.as_str(), refused.value.as_str()), (field, value));
    };
    check(b"{\"kind\":\"store\",\"name\":\"caf\xe9\",\"id\":\"s\"}", "name", "\"caf\u{fffd}\"");
    check(b"{\"kind\":\"store\",\"name\":\"caf\xe9", "name", "\"caf\u{fffd}");
    let refused = json::read_record(b"\xff").record.unwrap_err();
    assert_eq!((refused.field.as_str(), refused.value.as_str()), ("record", "\u{fffd}"));
}

proptest! {
    /// What the scan takes for JSON is what `serde_json` does.
    #[test]
    fn a_scan_knows_json(
        text in r#"([\[{"a:, \\u0d.e+-]|true|nul|12|]|\}|","|":|"x":1,){0,14}"#,
        record in record(), at in any::<prop::sample::Index>(), put in "[\"\\\\{}\\[\\],:0-9.eE+-]{0,2}",
    ) {
        let mut out = Vec::new();
        json::write_record(&mut out, None, &record);
        let mut written = String::from_utf8(out).unwrap();
        let at = (0..=at.index(written.len())).rev().find(|n| written.is_char_boundary(*n));
        written.insert_str(at.unwrap(), &put);
        for text in [text, written] {
            let json = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(scan::Scan::new(&text).stop().is_none(), json, "{}", text);
        }
    }
}

#[test]
fn a_scan_keeps_values_as_typed() {
    let line = offer_with(r#""tiers": [ {"price": 4.50}, {} ], "slot_values": {"a.b": 1e3}"#);
    let scan = scan::Scan::new(&line);
    for (path, value) in [
        ("list_price", "5"),
        ("tiers", r#"[ {"price": 4.50}, {} ]"#),
        ("tiers[0].price", "4.50"),
        ("tiers[1]", "{}"),
        ("slot_values.a.b", "1e3"),
    ] {
        assert_eq!(scan.value(path), Some(value), "{path}");
    }
    assert_eq!(scan.value("tiers[2]"), None);
    // Neither deep nor wide nesting costs more than it is long.
    for line in ["[".repeat(200_000), r#"{"a":"#.repeat(40_000), "[1,".repeat(60_000)] {
        assert_eq!(scan::Scan::new(&line).stop(), Some(scan::ENDS));
    }
}

#[test]
fn a_refusal_tells_kind_and_id() {
    let line = br#"{"kind":"stock","store":"s1","product":"latte","version":"x"}"#;
    let refused = json::read_record(line).record.unwrap_err();
    assert_eq!(refused.kind.as_deref(), Some("stock"));
    assert_eq!(refused.id.as_deref(), Some("s1_latte"));
}

#[test]
fn a_wrong_count_refuses_the_whole_body() {
    let check = |format: Format, count: &str, body: &'static [u8], reason: &str| {
        let mut items = Vec::new();
        batch::read_body(format, Some(count), &Bytes::from_static(body), &mut items);
        assert_eq!(items.len(), 1);
        assert_eq!(items[0].raw.as_deref(), Some(body));
        let refused = items[0].record.as_ref().unwrap_err();
        let shown = (refused.fault, refused.field.as_str(), refused.value.as_str());
        assert_eq!(shown, (Fault::Batch, "Iceshop-Count", count));
        assert_eq!(refused.reason, reason);
    };
    check(Format::Json, "3", b"{}\n{}", "the body holds 2 records");
    check(Format::Json, "0", b"", "the body holds 0 records");
    check(Format::Json, "x", b"{}", "the body holds 1 records");
    check(Format::Bincode, "1", b"\x04\0\0\0\x06\0\0", "the body ends within record 0");
    check(Format::Bincode, "2", b"\x04\0\0\0\x06\0\0\0", "the body holds 1 records");
}

#[test]
fn one_bad_record_of_a_batch_stays_one() {
    let body = Bytes::from_static(b"{\"kind\":\"clock\"}\nnonsense\n{\"kind\":\"store\"}\n");
    let mut items = Vec::new();
    batch::read_body(Format::Json, Some("3"), &body, &mut items);
    assert_eq!(items.len(), 3);
    assert_eq!(items[1].raw.as_deref(), Some(b"nonsense".as_slice()));
    assert!(items[0].record.is_ok() && items[2].raw.is_none());
    assert_eq!(items[2].record.as_ref().unwrap_err().fault, Fault::Invalid);
}
