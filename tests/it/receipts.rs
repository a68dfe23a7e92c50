//! What the receipt of a bad record says: field, value as given, reason; one line each.

use crate::support::{inbound, inbounds, run};
use connectors::wire::{Intent, Receipt, Record};
use dataflows::market::Params;
use serde_json::{Value, json};

const AT: &str = "2026-06-12T08:00:00Z";

/// A good record of that kind.
fn good(kind: &str) -> Value {
    match kind {
        "intent" => json!({"id": "i1", "version": 1, "buyer": "b1", "product": "latte",
            "lat": 41.0, "lng": 29.0, "budget": 100,
            "available": [["2026-06-12T09:00:00Z", "2026-06-12T10:00:00Z"]]}),
        "store" => json!({"id": "s1", "version": 1, "name": "Kiosk", "lat": 41.0, "lng": 29.0,
            "timezone": "Europe/Istanbul", "hours": "24/7"}),
        "offer" => json!({"store": "s1", "product": "latte", "version": 1, "list_price": 100,
            "tiers": [{"min_buyers": 2, "price": 90}]}),
        "stock" => json!({"store": "s1", "product": "latte", "version": 1}),
        "reply" => json!({"window": "w1", "revision": 1, "intent": "i1", "answer": "accept",
            "event": "e1"}),
        _ => json!({"window": "w1", "intent": "i1", "outcome": "bought", "event": "e1"}),
    }
}

/// The receipt of the last of these lines.
fn receipt(lines: &[String]) -> Receipt {
    let lines: Vec<Vec<u8>> = lines.iter().map(|line| line.clone().into_bytes()).collect();
    let mut receipts = run(&Params::default(), 1, 10, &inbounds(&lines)).receipts;
    receipts.sort_by_key(|receipt| receipt.sequence);
    receipts.pop().unwrap()
}

/// Checks the receipt of a good record with other values: `field value` and the reason's beginning.
#[track_caller]
fn told(kind: &str, other: Value, field_and_value: &str, reason: &str) {
    let mut record = good(kind);
    (record["at"], record["kind"]) = (AT.into(), kind.into());
    for (field, value) in other.as_object().unwrap() {
        record[field] = value.clone();
    }
    let receipt = receipt(&[record.to_string()]);
    let found = format!("{} {}", receipt.field.unwrap(), receipt.value.unwrap());
    assert_eq!((receipt.outcome.as_str(), found.as_str()), ("invalid", field_and_value));
    let found = receipt.reason.unwrap();
    assert!(found.starts_with(reason), "{found:?}");
    assert_eq!(receipt.kind.as_deref(), Some(kind));
}

#[test]
fn a_bad_intent_is_told_field_value_and_reason() {
    let check = |other: Value, field_and_value: &str, reason: &str| {
        told("intent", other, field_and_value, reason);
    };
    check(json!({"id": "a.b"}), r#"id "a.b""#, "an id is 1-64 characters");
    check(json!({"buyer": null}), "buyer null", "needed");
    check(json!({"lat": 90.25}), "lat 90.25", "a latitude is -90 to 90 degrees");
    check(json!({"lng": -181}), "lng -181", "a longitude is -180 to 180 degrees");
    check(json!({"budget": -1}), "budget -1", "money is 0 to");
    check(json!({"quantity": 0}), "quantity 0", "must be 1 to 1000");
    check(json!({"reach_m": 100_001}), "reach_m 100001", "must be 0 to 100000");
    check(json!({"expires": "never"}), r#"expires "never""#, "not an RFC 3339 time");
    let past = "1826-06-12T13:00:00Z";
    check(json!({"expires": past}), r#"expires "1826-06-12T13:00:00Z""#, "a time is between");
    check(json!({"at": past}), r#"at "1826-06-12T13:00:00Z""#, "a time is between");
    check(json!({"at": null}), "at null", "needed");
    check(json!({"available": []}), "available []", "a buyer is free in 1 to 64 intervals");
    let (from, until) = ("2026-06-12T09:00:00Z", "2026-06-12T08:00:00Z");
    let backwards = json!({"available": [[until, from], [from, until]]});
    check(backwards, r#"available[1][1] "2026-06-12T08:00:00Z""#, "not after 2026-06-12T09");
    let pairs = vec![[until, from]; 65];
    let shown =
        r#"[["2026-06-12T08:00:00Z","2026-06-12T09:00:00Z"],["2026-06-12T08:00:00Z","2026-0…"#;
    check(json!({"available": pairs}), &format!("available {shown}"), "a buyer is free in");
}

#[test]
fn a_bad_record_of_a_store_is_told_field_value_and_reason() {
    told("store", json!({"name": ""}), r#"name """#, "a name is 1 to 256");
    let (zone, dates) = (json!({"timezone": "Mars"}), json!({"closed_dates": ["1.1."]}));
    told("store", zone, r#"timezone "Mars""#, "not an iana time zone");
    told("store", dates, r#"closed_dates[0] "1.1.""#, "not a date");
    let tiers = json!([{"min_buyers": 2, "price": 90}, {"min_buyers": 2, "price": 80}]);
    told("offer", json!({"tiers": tiers}), "tiers[1].min_buyers 2", "min_buyers strictly rise");
    told("offer", json!({"tiers": []}), "tiers []", "an offer has 1 to 16 tiers");
    let name = json!({"slot_values": {"noon": 5}});
    told("offer", name, r#"slot_values {"noon":5}"#, "noon: not an RFC 3339 time");
    let value = json!({"slot_values": {"2026-06-12T13:00:00Z": -5}});
    told("offer", value, "slot_values.2026-06-12T13:00:00Z -5", "money is 0 to");
    let twice = json!({"slot_values": {AT: 5, "2026-06-12T11:00:00+03:00": 6}});
    let shown = r#"slot_values {"2026-06-12T08:00:00Z":5,"2026-06-12T11:00:00+03:00":6}"#;
    told("offer", twice, shown, "2026-06-12T11:00:00+03:00: a second value for its slot");
    told("offer", json!({}), r#"store "s1""#, "unknown store");
    told("stock", json!({}), "units absent", "one of units, sold and added is needed");
    told("stock", json!({"units": 4, "sold": 3}), "sold 3", "only one of units, sold and added");
    told("stock", json!({"added": 3}), "event absent", "a relative change names its event");
    told("stock", json!({"units": 4}), r#"store "s1""#, "no such offer");
    told("reply", json!({"answer": "maybe"}), r#"answer "maybe""#, "accept or decline");
    told("reply", json!({}), r#"window "w1""#, "unknown window");
    told("arrival", json!({}), r#"window "w1""#, "unknown window");
}

#[test]
fn what_json_cannot_say_is_told_too() {
    // Binary bodies can carry it.
    let nowhere = Intent { lat: Some(f64::NAN), ..serde_json::from_value(good("intent")).unwrap() };
    let produce = run(&Params::default(), 1, 10, &[inbound(1, AT, Record::Intent(nowhere))]);
    let receipt = &produce.receipts[0];
    assert_eq!((receipt.field.as_deref(), receipt.value.as_deref()), (Some("lat"), Some("NaN")));
}
