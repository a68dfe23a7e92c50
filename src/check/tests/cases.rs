//! One wrong thing in a decision: each must be caught, and be named by its rule.

use super::*;

/// Changes the day, and expects a violation that names all of that.
#[track_caller]
fn caught(name: &str, change: impl FnOnce(&mut Day), expected: &[&str]) {
    let mut day = day();
    change(&mut day);
    let verdict = day.verdict();
    for part in expected {
        assert!(verdict.contains(part), "{name}: expected {part:?} in {verdict:?}");
    }
}

/// Sets one field of one decision.
fn set(line: usize, pointer: &str, value: Value) -> impl FnOnce(&mut Day) {
    let pointer = pointer.to_string();
    move |day| {
        let field = day.decisions[line - 1].pointer_mut(&pointer);
        *field.unwrap_or_else(|| panic!("no field {pointer}")) = value;
    }
}

#[test]
fn one_wrong_field_is_caught() {
    for (line, pointer, value, expected) in [
        (1, "/v", json!(2), "protocol version"),
        (1, "/window", json!("s1_coffee_1"), "window id"),
        (1, "/revision", json!(2), "revisions only rise"),
        (3, "/revision", json!(2), "revisions only rise"),
        (2, "/previous", json!("forming"), "previous state"),
        (2, "/state", json!("closed"), "life of a window"),
        (2, "/state", json!("forming"), "state"),
        (2, "/reason/code", json!("formed"), "reason.code"),
        (4, "/reason/code", json!("revised"), "reason.code"),
        (1, "/zone", json!("871ec9025ffffff"), "H3 cell"),
        (1, "/store/cell", json!("891ec90246fffff"), "H3 cell"),
        (1, "/store/name", json!("other"), "store.name"),
        (1, "/store/lat", json!(41.0), "store.lat"),
        (1, "/store/id", json!("s2"), "window id"),
        (1, "/input_sequence", json!(5), "6 to 6, found 5"),
        (1, "/input_sequence", json!(7), "6 to 6, found 7"),
        (1, "/decided_at", json!(at("10:00:03.100")), "start of a tick"),
        (1, "/slot/from", json!("2026-07-29T14:01:00+03:00"), "slot.from"),
        (1, "/slot/from", json!("2026-07-29T11:00:00Z"), "time zone"),
        (1, "/slot/until", json!("2026-07-29T14:40:00+03:00"), "slot.until"),
        (1, "/slot/timezone", json!("UTC"), "slot.timezone"),
        (1, "/lock_at", json!(at("10:50:00")), "lock_at"),
        (5, "/lock_at", json!(at("10:45:00")), "final"),
        (1, "/reply_by", json!(at("10:41:00")), "reply_by"),
        (1, "/reply_by", json!(at("10:39:00")), "reply_by"),
        (5, "/reply_by", json!(at("10:39:00")), "reply_by"),
        (1, "/expires", json!(at("11:21:00")), "expires"),
        (1, "/product", json!("tea"), "window id"),
        (1, "/price/unit", json!(800), "price.unit"),
        (1, "/price/list", json!(1100), "price.list"),
        (1, "/price/tier", json!(2), "price.tier"),
        (1, "/price/next_tier/min_buyers", json!(4), "next_tier"),
        (1, "/price/next_tier", json!(null), "next_tier"),
        (1, "/group/buyers", json!(3), "group.buyers"),
        (1, "/group/units", json!(3), "group.units"),
        (3, "/group/accepted", json!(0), "group.accepted"),
        (1, "/group/average_distance_m", json!(1), "average"),
        (1, "/group/median_distance_m", json!(1), "median"),
        (1, "/members/0/intent", json!("i9"), "live intent"),
        (1, "/members/1/intent", json!("i1"), "an intent once"),
        (1, "/members/0/intent", json!("i3"), "live intent"),
        (1, "/members/0/buyer", json!("b2"), "buyer"),
        (1, "/members/0/quantity", json!(2), "quantity"),
        (1, "/members/0/distance_m", json!(1), "R2 distance"),
        (1, "/members/0/saving", json!(51), "saving"),
        (1, "/members/0/travel", json!(3), "R3 travel"),
        (1, "/members/0/accepted", json!(true), "accepted"),
        (3, "/members/0/accepted", json!(false), "accepted"),
        (1, "/members/0/change", json!("kept"), "change"),
        (2, "/members/0/change", json!("kept"), "change"),
        (3, "/members/0/change", json!("repriced"), "change"),
        (1, "/value", json!(1), "R5 value"),
        (4, "/value", json!(1), "R5 value"),
        (5, "/value", json!(1), "final"),
        (6, "/members/1/quantity", json!(1), "final"),
        (5, "/price/list", json!(700), "final"),
        (3, "/left/0/reason/code", json!("declined"), "reason is true"),
        (3, "/left/0/reason/code", json!("expired"), "reason is true"),
        (3, "/left/0/reason/code", json!("edited"), "reason is true"),
        (3, "/left/0/reason/code", json!("bored"), "reason is true"),
        (3, "/left/0/next", json!("s9_coffee_29755380"), "next"),
        (3, "/left/0/next", json!(WINDOW), "next"),
        (3, "/left/0/buyer", json!("b1"), "left[0].buyer"),
        (3, "/left", json!([]), "left"),
        (1, "/left", json!([{"intent": "i4", "buyer": "b4", "reason": {"code": "moved"}}]), "left"),
        (1, "/market/id", json!("tea"), "market.id"),
        (1, "/market/bound", json!(9_999), "market.bound"),
        (1, "/market/bound", json!(10_001), "gap_ppm"),
        (1, "/market/value", json!(10), "gap_ppm"),
    ] {
        caught(pointer, set(line, pointer, value), &[&format!("line {line}: "), expected]);
    }
}

#[test]
fn a_market_is_worth_its_windows() {
    let change = |day: &mut Day| {
        day.decisions[0]["market"] = json!({"id": "coffee", "value": 1, "bound": 1, "gap_ppm": 0});
    };
    caught("market", change, &["line 1", "the market's objective"]);
}

#[test]
fn a_missing_decision_is_caught() {
    for (line, expected) in [
        (1, "nobody is left out"),
        (2, "revisions only rise"),
        (4, "nothing that is due is missing"),
        (5, "nothing that is due is missing"),
        (6, "nothing that is due is missing"),
    ] {
        let remove = |day: &mut Day| {
            day.decisions.remove(line - 1);
        };
        caught("missing", remove, &[expected]);
    }
    // Everything after the first line is missing.
    caught("short", |day| day.decisions.truncate(1), &["line 1: ", WINDOW, "due"]);
    caught("empty", |day| day.decisions.clear(), &["line 0: ", WINDOW, "nobody is left out"]);
}

#[test]
fn a_decision_out_of_its_time_is_caught() {
    for (line, clock, expected) in [
        (1, "10:00:02.750", "settle: a first proposal has held"),
        (1, "10:00:00.750", "every input"),
        (2, "10:00:02", "order"),
        (4, "10:39:59.750", "or later"),
        (4, "10:40:00.250", "due is missing"),
        (5, "10:59:59.750", "or later"),
        (5, "11:00:00.250", "due is missing"),
        (6, "11:19:59.750", "or later"),
        (6, "11:20:00.250", "due is missing"),
        (6, "12:00:00.250", "due is missing"),
    ] {
        caught(clock, set(line, "/decided_at", json!(at(clock))), &[expected]);
    }
    let change = |day: &mut Day| day.decisions[2]["decided_at"] = json!(at("10:40:00"));
    caught("proposed at its lock", change, &["nothing is proposed at its lock"]);
}

#[test]
fn a_revision_waits_for_the_settle_time() {
    let change = |day: &mut Day| {
        day.events[6]["at"] = json!(at("10:00:04"));
        day.decisions[1]["decided_at"] = json!(at("10:00:04"));
    };
    caught("early revision", change, &["line 2", "settle"]);
    let change = |day: &mut Day| {
        day.events[6]["at"] = json!(at("10:00:04"));
        day.decisions[1]["decided_at"] = json!(at("10:00:05"));
    };
    let mut day = day();
    change(&mut day);
    assert_eq!(day.verdict(), "");
}

#[test]
fn a_message_that_is_none_is_caught() {
    caught("no message", |day| day.decisions[1] = json!({"v": 1}), &["line 2: ", "a decision"]);
    let part = |day: &mut Day| day.decisions[1]["part"] = json!(2);
    caught("part", part, &["line 2", "part"]);
    let parts = |day: &mut Day| day.decisions[5]["parts"] = json!(2);
    caught("parts", parts, &["line 6", "parts"]);
}

#[test]
fn a_blank_line_is_no_decision() {
    for (blanks, expected) in [
        (vec![], ""),
        (vec![0], "line 1: message: protocol: message: expected a decision, found a blank line"),
        (vec![2, 2], "line 3: message"),
        (vec![6], "line 7: message"),
    ] {
        let day = day();
        let mut lines: Vec<String> = day.decisions.iter().map(Value::to_string).collect();
        blanks.iter().for_each(|n| lines.insert(*n, " ".into()));
        let verdict =
            day.verdict_on(&lines.iter().map(|line| format!("{line}\n")).collect::<String>());
        assert_eq!(verdict.is_empty(), expected.is_empty(), "{verdict}");
        assert!(verdict.contains(expected), "{verdict}");
    }
}

#[test]
fn parts_make_one_message() {
    let mut day = day();
    let mut second = day.decisions[1].clone();
    let members = second["members"].as_array_mut().unwrap();
    let mut first = day.decisions[1].clone();
    first["members"] = json!([members.remove(0)]);
    first["part"] = json!(1);
    second["part"] = json!(2);
    for part in [&mut first, &mut second] {
        part["parts"] = json!(2);
    }
    day.decisions.splice(1..2, [first, second]);
    assert_eq!(day.verdict(), "");
    day.decisions[2]["value"] = json!(7);
    assert!(day.verdict().contains("line 3"), "{}", day.verdict());
}
