//! Records that refer to something unknown: they wait for their tick, and move no time.

use super::*;

/// A stock update of an offer.
fn sold(clock: &str, store: &str, units: i64, event: &str) -> Value {
    json!({"at": at(clock), "kind": "stock", "store": store, "product": "coffee", "version": 1,
        "sold": units, "event": event})
}

/// The day with that record on a line of its own, which is reflected from a decision on.
fn with(line: usize, record: Value, from: usize) -> Day {
    let mut day = day();
    day.events.insert(line - 1, record);
    for decision in &mut day.decisions[from - 1..] {
        let shown = decision["input_sequence"].as_u64().unwrap();
        decision["input_sequence"] = json!(shown + 1);
    }
    day
}

/// Expects the violation of that rule; of none, if it is empty.
#[track_caller]
fn told(day: &Day, expected: &str) {
    let verdict = day.verdict();
    assert_eq!(verdict.is_empty(), expected.is_empty(), "{verdict:?}");
    assert!(verdict.contains(expected), "expected {expected:?} in {verdict:?}");
}

#[test]
fn what_refers_to_nothing_known_moves_no_time() {
    let far = "11:30:00";
    let unknown = [
        sold(far, "s9", 1, "x1"),
        json!({"at": at(far), "kind": "offer", "store": "s9", "product": "coffee", "version": 1,
            "list_price": 1000, "tiers": [{"min_buyers": 2, "price": 900}]}),
        json!({"at": at(far), "kind": "reply", "window": "s1_coffee_1", "revision": 1,
            "intent": "i1", "answer": "accept", "event": "e9"}),
        json!({"at": at(far), "kind": "arrival", "window": "s1_coffee_1", "intent": "i1",
            "outcome": "bought", "event": "e9"}),
    ];
    for record in unknown {
        // Were time to come to it, the cancellation of the next line would come after the lock.
        told(&with(10, record, 3), "");
    }
    told(&with(10, sold(far, "s1", 0, "x1"), 3), "9 to 9, found 11");
    // Of no window it is certain that it is known.
    told(&with(10, reply(far, 3, 2, "accept", "e9"), 3), "");
}

#[test]
fn the_order_within_a_tick_does_not_say_what_is_known() {
    let clock = "10:15:00";
    let (mut place, mut goods) = (store("s3"), offer("s3"));
    for record in [&mut place, &mut goods] {
        record["at"] = json!(at(clock));
    }
    let mut early = goods.clone();
    early["at"] = json!(at("10:14:59"));
    for (records, known) in [
        ([&place, &goods], true),
        ([&goods, &place], true),
        // Refused in its tick, since its store comes later.
        ([&early, &place], false),
    ] {
        let mut day = day();
        let records = records.into_iter().cloned();
        day.events.splice(8..8, records.chain([sold("11:30:00", "s3", 1, "x1")]));
        for decision in &mut day.decisions[2..] {
            decision["input_sequence"] = json!(13);
        }
        told(&day, if known { "found 13" } else { "" });
    }
}

#[test]
fn what_waits_is_judged_at_its_own_tick() {
    for (clock, expected) in [("10:30:00", "R7 capacity: stock"), ("10:40:00.250", "")] {
        // On the first line, its offer is unknown.
        told(&with(1, sold(clock, "s1", 3, "x1"), 1), expected);
    }
    let mut day = day();
    let offer = day.events.remove(2);
    day.events.insert(0, offer);
    told(&day, "");
}

#[test]
fn what_waits_is_not_reflected_before_its_tick() {
    let mut day = with(11, sold("10:50:00", "s9", 1, "x1"), 5);
    told(&day, "");
    day.decisions[3]["input_sequence"] = json!(11);
    told(&day, "10 to 10, found 11");
}

#[test]
fn time_goes_on_after_the_end_to_what_has_become_known() {
    let mut late = with(5, sold("12:00:00", "s3", 1, "x1"), 1);
    late.events.pop();
    told(&late, "time does not go on after the log");
    late.decisions.truncate(3);
    told(&late, "");
    let mut known = with(5, sold("12:00:00", "s3", 1, "x1"), 1);
    let (mut place, mut goods) = (store("s3"), offer("s3"));
    for record in [&mut place, &mut goods] {
        record["at"] = json!(at("10:20:00"));
    }
    known.events.splice(11.., [place, goods]);
    for decision in &mut known.decisions[2..] {
        decision["input_sequence"] = json!(13);
    }
    told(&known, "");
    known.decisions.pop();
    told(&known, "due is missing");
}

#[test]
fn what_waits_for_nothing_is_refused() {
    let mut day = with(11, sold("12:30:00", "s9", 1, "x1"), 7);
    let receipt = |n: u64| match n {
        11 => json!({"v": 1, "sequence": n, "outcome": "invalid", "field": "store",
            "value": "\"s9\"", "reason": "no such offer"}),
        _ => json!({"v": 1, "sequence": n, "outcome": "applied"}),
    };
    day.receipts = (1..=12).map(receipt).collect();
    told(&day, "");
    day.receipts[10]["outcome"] = json!("applied");
    told(&day, "line 11: record: the outcome: outcome: expected invalid");
}

#[test]
fn too_many_do_not_wait() {
    // In a tick to come, and in that of the cancellation before it.
    for when in ["11:30:00", "10:20:00"] {
        let mut day = day();
        let most = limits::MAX_WAITING as u64;
        let unknown = (0..=most).map(|n| sold(when, "s9", 1, &format!("x{n}")));
        day.events.splice(10..10, unknown);
        let refused = |n: u64| {
            json!({"v": 1, "sequence": n, "outcome": "invalid", "field": "store",
                "value": "\"s9\"", "reason": "no such offer"})
        };
        let applied = |n: u64| json!({"v": 1, "sequence": n, "outcome": "applied"});
        let outcome = |n: u64| if (11..=11 + most).contains(&n) { refused(n) } else { applied(n) };
        day.receipts = (1..=11 + most + 1).map(outcome).collect();
        let (first, last) = (10 + most, 10 + most + 1);
        for decision in &mut day.decisions[2..] {
            // Those that are held count when their tick comes; the one that is refused may.
            let waits = when > &decision["decided_at"].as_str().unwrap()[11..19];
            decision["input_sequence"] = json!(if waits { 10 } else { first });
        }
        told(&day, "");
        let (least, most) = if when == "11:30:00" { (10, 10) } else { (first, last) };
        day.decisions[5]["input_sequence"] = json!(most);
        told(&day, "");
        day.decisions[5]["input_sequence"] = json!(most + 1);
        told(&day, &format!("{least} to {most}, found"));
    }
}
