//! Receipts: exactly one for each record, and the right one.

use super::*;

fn receipt(sequence: u64, outcome: &str) -> Value {
    json!({"v": 1, "sequence": sequence, "outcome": outcome})
}

/// The day with more records at its end, and receipts.
fn told(records: &[(Value, &str)]) -> Day {
    let mut day = day();
    day.receipts = (1..=11).map(|n| receipt(n, "applied")).collect();
    for (n, (record, outcome)) in (12..).zip(records) {
        day.events.push(record.clone());
        let mut receipt = receipt(n, outcome);
        if *outcome == "invalid" {
            let [field, value, reason] = why(record);
            receipt["field"] = json!(field);
            receipt["value"] = json!(value);
            receipt["reason"] = json!(reason);
        }
        day.receipts.push(receipt);
    }
    day
}

/// What an invalid record of these tests is told.
fn why(record: &Value) -> [&'static str; 3] {
    match record["kind"].as_str() {
        Some("stock") => ["store", "\"s9\"", "no such offer"],
        Some("arrival") => ["intent", "\"i2\"", "not a member of the window"],
        Some("intent") if record["budget"].is_i64() => {
            ["budget", "-1", "money is 0 to 1000000000 minor units"]
        }
        Some("intent") => ["id", "absent", "needed"],
        Some("store") => ["version", "absent", "needed"],
        Some(_) => ["kind", "\"nothing\"", "not a known kind of record"],
        None => ["record", "\"no record\"", "not a json object"],
    }
}

#[test]
fn every_record_has_its_outcome() {
    let end = "12:00:00";
    let unknown = json!({"at": at(end), "kind": "stock", "store": "s9", "product": "coffee",
        "version": 1, "units": 1});
    let arrival = |n: usize| {
        json!({"at": at(end), "kind": "arrival", "window": WINDOW, "intent": format!("i{n}"),
            "outcome": "bought", "event": format!("a{n}")})
    };
    let day = told(&[
        (json!({"at": at(end), "kind": "intent"}), "invalid"),
        (json!("no record"), "invalid"),
        (unknown, "invalid"),
        (store("s1"), "duplicate"),
        (cancel(end, 2, 1), "duplicate"),
        (cancel(end, 2, 0), "superseded"),
        (intent(end, 2, 1), "superseded"),
        (reply(end, 1, 4, "accept", "e7"), "late"),
        (arrival(1), "applied"),
        (arrival(2), "invalid"),
        (clock(end), "applied"),
    ]);
    assert_eq!(day.verdict(), "");
    assert_eq!(day.check().receipts, 22);
    for line in 12..=22 {
        let mut wrong = day.clone();
        let receipt = &mut wrong.receipts[line - 1];
        receipt["outcome"] = json!(if receipt["outcome"] == "late" { "applied" } else { "late" });
        let verdict = wrong.verdict();
        assert!(verdict.contains(&format!("line {line}: record: the outcome")), "{verdict}");
    }
}

/// A put of an intent that nobody else can be grouped with.
fn wanderer(at: &str, version: u64, from: &str, until: &str) -> Value {
    let mut wish = intent("12:00:00", 4, version);
    (wish["id"], wish["buyer"], wish["at"]) = (json!("w1"), json!("w1"), json!(at));
    wish["available"] = json!([[from, until]]);
    wish
}

/// After the day, versions 1 and 2 of an intent; then, when 2 has lapsed, what comes of a third
/// record must be among `right`.
#[track_caller]
fn after_its_lapse(third: Value, right: &[&str]) {
    let late = ["2026-07-29T15:00:00Z", "2026-07-29T16:00:00Z"];
    for outcome in ["applied", "superseded", "duplicate"] {
        let mut between = clock("12:50:00");
        between["at"] = third["at"].clone();
        let day = told(&[
            (wanderer(&at("12:00:00"), 1, late[0], late[1]), "applied"),
            (wanderer(&at("12:00:01"), 2, &at("12:20:00"), &at("12:40:00")), "applied"),
            (between, "applied"),
            (third.clone(), outcome),
        ]);
        let verdict = day.verdict();
        if right.contains(&outcome) {
            assert_eq!(verdict, "", "{third}");
        } else {
            assert!(verdict.contains("line 15: record: the outcome"), "{third}: {verdict}");
        }
    }
}

#[test]
fn a_version_that_has_lapsed_is_known_for_the_horizon() {
    let again = |version| {
        let (from, until) = (at("15:00:00"), at("16:00:00"));
        wanderer(&at("13:00:00"), version, &from, &until)
    };
    let cancels = |version| {
        let mut record = cancel("13:00:00", 1, version);
        record["id"] = json!("w1");
        record
    };
    after_its_lapse(again(1), &["superseded"]);
    after_its_lapse(again(2), &["duplicate"]);
    after_its_lapse(again(3), &["applied"]);
    after_its_lapse(cancels(1), &["superseded"]);
    after_its_lapse(cancels(2), &["applied"]);
    let far = |clock: &str| format!("2026-08-20T{clock}Z");
    let forgotten = wanderer(&far("13:00:00"), 1, &far("15:00:00"), &far("16:00:00"));
    after_its_lapse(forgotten, &["applied", "superseded", "duplicate"]);
}

#[test]
fn of_equal_records_in_a_tick_one_is_applied() {
    let put = wanderer(&at("12:00:00"), 1, "2026-07-29T15:00:00Z", "2026-07-29T16:00:00Z");
    for (first, second, right) in [
        ("applied", "duplicate", true),
        ("duplicate", "applied", true),
        ("applied", "applied", false),
        ("duplicate", "duplicate", false),
    ] {
        let verdict = told(&[(put.clone(), first), (put.clone(), second)]).verdict();
        let wrong = verdict.contains("line 13: record: the outcome");
        assert!(if right { verdict.is_empty() } else { wrong }, "{first} {second}: {verdict}");
    }
}

#[test]
fn a_newer_cancellation_is_applied() {
    for (outcome, right) in [("applied", true), ("superseded", false), ("duplicate", false)] {
        let day =
            told(&[(cancel("12:00:00", 5, 1), "applied"), (cancel("12:00:01", 5, 2), outcome)]);
        assert_eq!(day.verdict().is_empty(), right, "{outcome}: {}", day.verdict());
    }
}

#[test]
fn a_record_has_one_receipt() {
    let mut missing = told(&[]);
    missing.receipts.remove(6);
    assert!(missing.verdict().contains("line 7: record: exactly one receipt"));
    let mut twice = told(&[]);
    twice.receipts.push(receipt(3, "applied"));
    assert!(twice.verdict().contains("line 3: record: exactly one receipt"));
    let mut backwards = told(&[]);
    backwards.receipts.reverse();
    assert_eq!(backwards.verdict(), "");
}

#[test]
fn what_is_invalid_is_told_why() {
    let end = "12:00:00";
    let mut poor = intent(end, 1, 9);
    poor["budget"] = json!(-1);
    let unknown = json!({"at": at(end), "kind": "stock", "store": "s9", "product": "coffee",
        "version": 1, "units": 1});
    let stranger = json!({"at": at(end), "kind": "arrival", "window": WINDOW, "intent": "i2",
        "outcome": "bought", "event": "a2"});
    for record in [json!({"kind": "nothing"}), poor, unknown, stranger] {
        let day = told(&[(record, "invalid")]);
        assert_eq!(day.verdict(), "");
        for field in ["field", "value", "reason"] {
            for other in [json!(null), json!("other"), json!("store"), json!("unknown window")] {
                let mut wrong = day.clone();
                if wrong.receipts[11][field] == other {
                    continue;
                }
                wrong.receipts[11][field] = other;
                let verdict = wrong.verdict();
                assert!(verdict.contains("told its field, value and reason"), "{verdict}");
            }
        }
    }
}

#[test]
fn a_locked_group_is_not_edited() {
    let mut day = day();
    day.events.insert(10, intent("10:45:00", 3, 2));
    for line in 4..6 {
        day.decisions[line]["input_sequence"] = json!(11);
    }
    day.receipts = (1..=12).map(|n| receipt(n, "applied")).collect();
    assert!(day.verdict().contains("expected late, found applied"), "{}", day.verdict());
    day.receipts[10] = receipt(11, "late");
    assert_eq!(day.verdict(), "");
}

#[test]
fn a_receipt_says_what_its_record_is() {
    for (line, kind, id, right) in [
        (1, json!("store"), json!("s1"), true),
        (1, json!("offer"), json!("s1"), false),
        (1, json!(null), json!("s1"), false),
        (1, json!("store"), json!("s2"), false),
        (3, json!("offer"), json!("s1_coffee"), true),
        (3, json!("offer"), json!(null), false),
        (8, json!("reply"), json!(WINDOW), true),
        (8, json!("reply"), json!("e1"), false),
        (11, json!("clock"), json!(null), true),
        (11, json!("clock"), json!("now"), false),
        (12, json!("store"), json!("s9"), true),
        (12, json!("store"), json!("s8"), false),
        (13, json!(null), json!(null), true),
        (13, json!("intent"), json!(null), false),
    ] {
        let bad = json!({"at": at("12:00:00"), "kind": "store", "id": "s9"});
        let mut day = told(&[(bad, "invalid"), (json!("no record"), "invalid")]);
        (day.receipts[line - 1]["kind"], day.receipts[line - 1]["id"]) = (kind, id);
        let verdict = day.verdict();
        let expected = if right { "" } else { "what the record is" };
        assert_eq!(verdict.is_empty(), right, "{verdict}");
        assert!(verdict.contains(expected), "{verdict}");
    }
}
