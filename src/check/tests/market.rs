//! One other thing in the log: the same decisions no longer hold, or still do.

use super::*;

/// The verdict on the day with that change.
fn with(change: impl FnOnce(&mut Day)) -> String {
    let mut day = day();
    change(&mut day);
    day.verdict()
}

/// Expects the violation of that rule.
#[track_caller]
fn caught(name: &str, expected: &str, change: impl FnOnce(&mut Day)) {
    let verdict = with(change);
    assert!(verdict.contains(expected), "{name}: expected {expected:?} in {verdict:?}");
}

/// Expects that everything holds.
#[track_caller]
fn holds(name: &str, change: impl FnOnce(&mut Day)) {
    assert_eq!(with(change), "", "{name}");
}

#[test]
fn a_log_that_says_otherwise_is_noticed() {
    for (name, line, field, value, expected) in [
        ("paused", 1, "paused", json!(true), "open store"),
        ("closed", 1, "hours", json!("Mo-Su 15:00-20:00"), "open store"),
        ("closed date", 1, "closed_dates", json!(["2026-07-29"]), "open store"),
        ("bad hours", 1, "hours", json!("sometimes"), "an offer"),
        ("withdrawn", 3, "withdrawn", json!(true), "offer in force"),
        ("invalid offer", 3, "stock", json!(-1), "an offer"),
        ("no stock", 3, "stock", json!(1), "R7 capacity: stock"),
        ("stock for two", 3, "stock", json!(3), "R7 capacity: stock"),
        ("group", 3, "max_group", json!(2), "max_group"),
        ("lead", 3, "lead_minutes", json!(30), "lock_at"),
        ("visit", 3, "visit_value", json!(6), "R5 value"),
        ("slot visit", 3, "slot_values", json!({"2026-07-29T11:00:00Z": 9}), "R5 value"),
        ("budget", 5, "budget", json!(850), "budget"),
        ("gain", 5, "budget", json!(901), "saving"),
        ("reach", 5, "reach_m", json!(50), "R6 reach"),
        ("product", 5, "product", json!("tea"), "product"),
        ("slot", 5, "available", json!([[at("11:00:01"), at("12:00:00")]]), "R1 time"),
        ("expired", 5, "expires", json!(at("10:00:03")), "live intent"),
        ("cancelled", 7, "cancel", json!(true), "live intent"),
        ("refused", 5, "quantity", json!(0), "live intent"),
        ("far future", 5, "available", json!([[at("10:50:00"), "2026-08-29T12:00:00Z"]]), "live"),
    ] {
        caught(name, expected, |day| day.events[line - 1][field] = value.clone());
    }
}

#[test]
fn what_the_log_does_not_decide_holds() {
    holds("visit value of another slot", |day| {
        day.events[2]["slot_values"] = json!({"2026-07-29T11:20:00Z": 9});
    });
    holds("exactly the stock", |day| day.events[2]["stock"] = json!(4));
    holds("a lapse after the lock", |day| day.events[4]["expires"] = json!(at("10:41:00")));
    holds("a refused record counts or not", |day| {
        day.events.insert(10, json!({"kind": "nothing"}));
        day.decisions[3]["input_sequence"] = json!(11);
    });
    holds("another way to write a time", |day| {
        day.decisions[0]["decided_at"] = json!("2026-07-29T13:00:03+03:00");
    });
}

#[test]
fn an_edit_counts_from_its_tick() {
    let edit = |day: &mut Day, clock: &str, budget: i64| {
        let mut edited = intent(clock, 3, 2);
        edited["budget"] = json!(budget);
        day.events.insert(10, edited);
    };
    caught("edited before the lock", "saving", |day| {
        edit(day, "10:39:59", 940);
        for line in 3..6 {
            day.decisions[line]["input_sequence"] = json!(11);
        }
    });
    holds("edited after the lock", |day| {
        edit(day, "10:40:01", 940);
        for line in 4..6 {
            day.decisions[line]["input_sequence"] = json!(11);
        }
    });
}

#[test]
fn an_older_version_changes_nothing() {
    holds("older", |day| {
        let mut older = intent("10:00:01", 1, 0);
        older["budget"] = json!(1);
        day.events[5] = intent("10:00:01", 2, 1);
        day.events.push(older);
    });
    caught("a put is no news after its cancellation", "live intent", |day| {
        day.events.insert(8, cancel("10:14:00", 4, 1));
        for line in 2..6 {
            day.decisions[line]["input_sequence"] = json!(11);
        }
    });
}

#[test]
fn stock_goes_with_sales_and_locks() {
    let sold = |units: i64, clock: &str, version: u64| {
        json!({"at": at(clock), "kind": "stock", "store": "s1", "product": "coffee",
            "version": version, "sold": units, "event": "x1"})
    };
    let late = |day: &mut Day, event: Value| {
        day.events.insert(10, event);
        for line in 3..6 {
            day.decisions[line]["input_sequence"] = json!(11);
        }
    };
    caught("sold out", "R7 capacity: stock", |day| late(day, sold(3, "10:30:00", 1)));
    holds("enough is left", |day| late(day, sold(2, "10:30:00", 1)));
    caught("absolute", "R7 capacity: stock", |day| {
        late(
            day,
            json!({"at": at("10:30:00"), "kind": "stock", "store": "s1",
            "product": "coffee", "version": 1, "units": 3}),
        );
    });
    holds("sold after the lock", |day| {
        day.events.insert(10, sold(6, "10:40:01", 1));
        for line in 4..6 {
            day.decisions[line]["input_sequence"] = json!(11);
        }
    });
}

#[test]
fn who_declined_is_not_asked_again() {
    let declined = |day: &mut Day| {
        day.events.insert(10, reply("10:30:00", 3, 3, "decline", "e9"));
        for line in 3..6 {
            day.decisions[line]["input_sequence"] = json!(11);
        }
    };
    caught("declined", "R8 promises: declined", declined);
    holds("declined after the lock", |day| {
        day.events.insert(10, reply("10:40:01", 3, 3, "decline", "e9"));
        for line in 4..6 {
            day.decisions[line]["input_sequence"] = json!(11);
        }
    });
}

#[test]
fn who_accepted_is_not_moved() {
    for (code, expected) in [("moved", "true release"), ("store_closed", "premise that broke")] {
        caught(code, expected, |day| {
            day.decisions[2] = decision(
                (3, "proposed", "proposed", "revised"),
                "10:20:00",
                10,
                &[(3, false, "repriced"), (4, false, "joined")],
                &[(2, "cancelled"), (1, code)],
            );
        });
    }
}

#[test]
fn who_accepted_never_pays_more() {
    // Without the fourth, the group falls below its second tier: 800 was accepted, 900 is due.
    caught("dearer", "R8 promises: the price", |day| {
        day.decisions[2] = decision(
            (3, "proposed", "proposed", "revised"),
            "10:20:00",
            10,
            &[(1, true, "repriced"), (3, false, "repriced")],
            &[(2, "cancelled")],
        );
    });
}

#[test]
fn a_buyer_is_in_one_window() {
    caught("two windows", "R7 capacity: an intent in one window", |day| {
        let mut other = day.decisions[0].clone();
        other["window"] = json!("s2_coffee_29755380");
        other["store"]["id"] = json!("s2");
        other["store"]["name"] = json!("s2");
        day.decisions.insert(1, other);
    });
}

#[test]
fn a_store_that_closes_cancels_its_window() {
    let close = |day: &mut Day| {
        let mut closed = store("s1");
        closed["version"] = json!(2);
        closed["paused"] = json!(true);
        closed["at"] = json!(at("10:50:00"));
        day.events.insert(10, closed);
        for line in 4..6 {
            day.decisions[line]["input_sequence"] = json!(11);
        }
    };
    caught("not cancelled", "due is missing", close);
    let cancelled = |code: &'static str| {
        move |day: &mut Day| {
            close(day);
            day.decisions.truncate(4);
            let left = [(1, code), (3, code), (4, code)];
            let step = (5, "cancelled", "locked", code);
            let mut gone = decision(step, "10:50:00", 11, &[], &left);
            gone["price"] = day.decisions[3]["price"].clone();
            day.decisions.push(gone);
        }
    };
    holds("cancelled", cancelled("store_closed"));
    caught("another reason", "reason is true", cancelled("offer_withdrawn"));
    caught("somebody left behind", "left", |day| {
        cancelled("store_closed")(day);
        day.decisions[4]["left"].as_array_mut().unwrap().pop();
    });
    caught("nothing follows", "life of a window", |day| {
        cancelled("store_closed")(day);
        let step = (6, "proposed", "cancelled", "formed");
        let members = [(1, false, "joined"), (3, false, "joined"), (4, false, "joined")];
        day.decisions.push(decision(step, "10:55:00", 11, &members, &[]));
    });
}

#[test]
fn a_window_may_lock_unannounced_while_its_slot_is_open() {
    let direct = |clock: &'static str| {
        move |day: &mut Day| {
            day.events.remove(7);
            // They come so late that no proposal could have held.
            for event in &mut day.events[4..9] {
                event["at"] = json!(at("10:38:59"));
            }
            let joined = [(1, false, "joined"), (3, false, "joined"), (4, false, "joined")];
            let held = [(1, false, "kept"), (3, false, "kept"), (4, false, "kept")];
            day.decisions = vec![
                decision((1, "locked", "forming", "lead_time"), clock, 9, &joined, &[]),
                decision((2, "active", "locked", "slot_start"), "11:00:00", 9, &held, &[]),
                decision((3, "closed", "active", "slot_end"), "11:20:00", 9, &held, &[]),
            ];
        }
    };
    holds("at its lock", direct("10:40:00"));
    caught("early", "or later", direct("10:39:00"));
    caught("one tick late", "closed from its lock on", |day| {
        direct("10:40:10")(day);
        day.events.insert(9, clock("10:40:05"));
        for line in 0..3 {
            day.decisions[line]["input_sequence"] = json!(10);
        }
    });
}

#[test]
fn a_withdrawn_window_may_come_again() {
    let again = |clock: &'static str| {
        move |day: &mut Day| {
            let mut gone = decision(
                (3, "withdrawn", "proposed", "no_group"),
                "10:06:00",
                7,
                &[],
                &[(1, "dropped"), (2, "dropped"), (3, "dropped")],
            );
            gone["price"] = day.decisions[1]["price"].clone();
            let joined = [(1, false, "joined"), (2, false, "joined"), (3, false, "joined")];
            let step = (4, "proposed", "withdrawn", "formed");
            let back = decision(step, clock, 7, &joined, &[]);
            day.decisions.splice(2..3, [gone, back]);
            let grown = [(1, true, "kept"), (3, false, "kept"), (4, false, "joined")];
            let step = (5, "proposed", "proposed", "revised");
            day.decisions.insert(4, decision(step, "10:20:00", 10, &grown, &[(2, "cancelled")]));
            for line in 5..8 {
                day.decisions[line]["revision"] = json!(line + 1);
            }
        }
    };
    holds("after the settle time", again("10:06:02"));
    caught("too early", "settle", again("10:06:01.750"));
}
