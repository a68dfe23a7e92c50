//! What should be there and is not; what is said of why, and of the market.

use super::*;

/// Expects the violation of that rule; of none, if it is empty.
#[track_caller]
fn told(name: &str, day: &Day, expected: &str) {
    let verdict = day.verdict();
    assert_eq!(verdict.is_empty(), expected.is_empty(), "{name}: {verdict:?}");
    assert!(verdict.contains(expected), "{name}: expected {expected:?} in {verdict:?}");
}

/// The day up to its second decision, and then those records.
fn until_noon(records: &[Value]) -> Day {
    let mut day = day();
    day.events.truncate(7);
    day.decisions.truncate(2);
    day.events.extend_from_slice(records);
    day
}

/// The store again, closed or open.
fn again(clock: &str, version: u64, paused: bool) -> Value {
    let mut again = store("s1");
    again["at"] = json!(at(clock));
    again["version"] = json!(version);
    again["paused"] = json!(paused);
    again
}

/// The third decision: the window is withdrawn.
fn withdrawn(clock: &str, sequence: u64, reason: &str, left: &str, day: &Day) -> Value {
    let step = (3, "withdrawn", "proposed", reason);
    let mut gone = decision(step, clock, sequence, &[], &[(1, left), (2, left), (3, left)]);
    gone["price"] = day.decisions[1]["price"].clone();
    gone
}

#[test]
fn a_proposal_whose_store_closes_is_withdrawn_within_the_settle_time() {
    let closed = |clock: &str| until_noon(&[again(clock, 2, true)]);
    // The window's last message is of 10:05:00.
    let mut day = closed("10:05:01");
    told("not yet", &day, "");
    day.events.push(clock("10:05:02"));
    told("not withdrawn", &day, "due is missing");
    day.decisions.push(withdrawn("10:05:02", 9, "store_closed", "store_closed", &day));
    told("withdrawn", &day, "");
    told("at once", &closed("10:30:00"), "due is missing");
    let mut day = closed("10:05:01");
    day.events.extend([again("10:05:01.500", 3, false), clock("10:30:00")]);
    told("open again", &day, "");
}

#[test]
fn what_is_mended_within_the_tick_was_never_broken() {
    for (clock, expected) in [("10:50:00.200", ""), ("10:50:00.250", "due is missing")] {
        let mut day = day();
        day.events.splice(10..10, [again("10:50:00", 2, true), again(clock, 3, false)]);
        for decision in &mut day.decisions[4..] {
            decision["input_sequence"] = json!(12);
        }
        told(clock, &day, expected);
    }
}

#[test]
fn why_a_window_went_is_true() {
    for (reason, left, expected) in [
        ("no_group", "dropped", ""),
        ("moved", "dropped", "expected no_group, found moved"),
        ("moved", "moved", ""),
        ("no_group", "moved", "expected moved, found no_group"),
        ("stock_gone", "dropped", "expected no_group, found stock_gone"),
        ("store_closed", "dropped", "expected no_group, found store_closed"),
    ] {
        let mut day = until_noon(&[clock("10:10:00")]);
        day.decisions.push(withdrawn("10:10:00", 8, reason, left, &day));
        told(reason, &day, expected);
    }
    let none = json!({"at": at("10:10:00"), "kind": "stock", "store": "s1", "product": "coffee",
        "version": 1, "units": 0});
    let mut day = until_noon(&[none]);
    day.decisions.push(withdrawn("10:10:00", 8, "no_group", "dropped", &day));
    told("sold out", &day, "expected stock_gone, found no_group");
}

#[test]
fn an_answer_to_a_window_that_was_never_announced_counts_for_nothing() {
    let other = "s2_coffee_29755380";
    let mut answer = reply("10:30:00", 3, 1, "accept", "e9");
    let arrival = json!({"at": at("11:10:00"), "kind": "arrival", "window": other,
        "intent": "i3", "outcome": "bought", "event": "a9"});
    answer["window"] = json!(other);
    for record in [answer, arrival] {
        let mut day = day();
        day.events.insert(10, record);
        let applied = |n| json!({"v": 1, "sequence": n, "outcome": "applied"});
        day.receipts = (1..=12).map(applied).collect();
        for decision in &mut day.decisions[3..] {
            let seen = decision["decided_at"].as_str() >= day.events[10]["at"].as_str();
            decision["input_sequence"] = json!(if seen { 11 } else { 10 });
        }
        told("applied", &day, "line 11: record: the outcome: outcome: expected invalid");
        let why = json!({"v": 1, "sequence": 11, "outcome": "invalid", "field": "window",
            "value": format!("\"{other}\""), "reason": "unknown window"});
        day.receipts[10] = why;
        told("refused", &day, "");
    }
}

#[test]
fn a_market_has_one_certificate_a_tick() {
    let mut day = day();
    day.events.truncate(6);
    day.events.extend([intent("10:00:01", 3, 1), intent("10:00:01", 4, 1), clock("10:00:03")]);
    let step = (1, "proposed", "forming", "formed");
    let pair = |first: usize| {
        let members = [(first, false, "joined"), (first + 1, false, "joined")];
        decision(step, "10:00:03", 9, &members, &[])
    };
    let (here, mut there) = (pair(1), pair(3));
    there["window"] = json!("s2_coffee_29755380");
    there["store"]["id"] = json!("s2");
    there["store"]["name"] = json!("s2");
    day.decisions = vec![here, there];
    told("one", &day, "");
    for (field, value) in [("bound", 11_000), ("value", 9_000)] {
        let mut other = day.clone();
        other.decisions[1]["market"][field] = json!(value);
        other.decisions[1]["market"]["gap_ppm"] =
            json!(if field == "bound" { 90_910 } else { 100_000 });
        told(field, &other, "one market, one certificate a tick");
    }
}

#[test]
fn nobody_is_left_out_of_a_window_that_gains() {
    // Two buyers, and nothing more until the slot's lock at 10:40; the day ends.
    let alone = |end: &str, more: &[Value]| {
        let mut day = day();
        day.events.truncate(6);
        day.events.extend_from_slice(more);
        day.events.push(clock(end));
        day.decisions.clear();
        day
    };
    let rule = "nobody is left out of a window that gains: window: expected 2 buyers worth 103";
    told("left out", &alone("10:30:00", &[]), rule);
    told("may be forming", &alone("10:00:03", &[]), "");
    let sold = json!({"at": at("10:00:02"), "kind": "stock", "store": "s1", "product": "coffee",
        "version": 1, "units": 1});
    let mut short = sold.clone();
    short["store"] = json!("s2");
    told("no stock", &alone("10:30:00", &[sold.clone(), short]), "");
    let mut alike = alone("10:30:00", &[again("10:00:02", 2, true)]);
    told("the other store is open", &alike, "s2_coffee_29755380: nobody is left out");
    for event in &mut alike.events[..4] {
        event["withdrawn"] = json!(true);
    }
    told("no offer", &alike, "");
    told("one buyer", &alone("10:30:00", &[cancel("10:00:02", 2, 1)]), "");
    told(
        "no slot left",
        &alone("11:45:00", &[cancel("10:00:02", 2, 1), intent("11:40:00", 2, 2)]),
        "",
    );
    let mut far = alone("10:30:00", &[]);
    far.events[5]["reach_m"] = json!(10);
    told("out of reach", &far, "");
}

#[test]
fn a_market_is_worth_its_windows_when_only_time_passes() {
    let certain = |day: &mut Day, value: i64| {
        // A tick that certainly was, long after the slots before were closed.
        day.events.insert(10, clock("10:30:00"));
        for decision in &mut day.decisions[3..] {
            decision["input_sequence"] = json!(11);
        }
        let market = json!({"id": "coffee", "value": value, "bound": 10_000,
            "gap_ppm": (10_000 - value) * 100});
        day.decisions[3]["market"] = market;
    };
    // What the group is worth, and what staying adds: a hundredth of 1,000 for each of three.
    let worth = day().decisions[3]["value"].as_i64().unwrap() + 30;
    for (value, expected) in [
        (worth, ""),
        (worth + 100, "a market is worth its windows"),
        (worth - 1, "a market is worth its windows"),
    ] {
        let mut day = day();
        certain(&mut day, value);
        told("locked", &day, expected);
    }
    let mut stirred = day();
    certain(&mut stirred, worth + 100);
    let sold = json!({"at": at("10:39:59"), "kind": "stock", "store": "s2", "product": "coffee",
        "version": 1, "units": 5});
    stirred.events.insert(11, sold);
    for decision in &mut stirred.decisions[3..] {
        decision["input_sequence"] = json!(12);
    }
    told("not quiet", &stirred, "");
}
