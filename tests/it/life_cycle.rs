//! A window's life, told in scripts: what happens, and what is decided.
//!
//! Store `s1` opens its window at 09:00 on a day in UTC; two buyers pay 900, three 800; slots are 20
//! minutes long, it locks at 08:40, and the settle time is two seconds.

mod town;

use connectors::wire;
use std::collections::BTreeSet;
use town::{Town, day};

/// A decision in a line: `*` accepted, `-` left, `>` to which window.
fn line(d: &wire::Decision) -> String {
    let clock = &d.decided_at[11..19];
    let store = &d.store.id;
    let mut line =
        format!("{clock} {store} r{} {} {} {}:", d.revision, d.state, d.reason.code, d.price.unit);
    for member in &d.members {
        let accepted = if member.accepted { "*" } else { "" };
        line += &format!(" {}{accepted}", member.intent);
    }
    for left in &d.left {
        line += &format!(" -{} {}", left.intent, left.reason.code);
        if let Some(next) = &left.next {
            line += &format!(">{}", next.split('_').next().unwrap());
        }
    }
    line
}

#[track_caller]
fn check(script: &[&str], expected: &[&str]) {
    let told: Vec<String> = day(script).decisions.iter().map(line).collect();
    assert_eq!(told, expected, "{script:#?}");
}

/// The outcome of the script's last record.
#[track_caller]
fn receipt(script: &[&str], expected: &str) {
    let told = day(script);
    let last = script.len() as u64 + 2;
    let receipts: Vec<_> = told.receipts.iter().filter(|r| r.sequence == last).collect();
    assert_eq!(receipts.len(), 1);
    assert_eq!(receipts[0].outcome, expected, "{script:#?}: {:?}", receipts[0]);
}

const I1: &str = "08:00:00 intent i1";
const I2: &str = "08:00:00 intent i2";
const I3: &str = "08:00:00 intent i3";
const FORMED: &str = "08:00:02 s1 r1 proposed formed 900: i1 i2";
const THREE: &str = "08:00:02 s1 r1 proposed formed 800: i1 i2 i3";

#[test]
fn a_window_lives_from_its_settling_to_its_close() {
    check(
        &[I1, I2, "08:00:05 intent i3", "10:00:00 clock"],
        &[
            FORMED,
            "08:00:05 s1 r2 proposed revised 800: i1 i2 i3",
            "08:40:00 s1 r3 locked lead_time 800: i1 i2 i3",
            "09:00:00 s1 r4 active slot_start 800: i1 i2 i3",
            "09:20:00 s1 r5 closed slot_end 800: i1 i2 i3",
        ],
    );
}

#[test]
fn churn_inside_the_settle_time_is_told_once() {
    check(&[I1, I2, "08:00:01 cancel i2", "08:00:09 clock"], &[]);
    check(&[I1, I2, "08:00:02.500 intent i3", "08:00:03 cancel i3", "08:00:09 clock"], &[FORMED]);
    check(
        &[I1, I2, "08:00:02.500 intent i3", "08:00:03 cancel i1", "08:00:09 clock"],
        &[FORMED, "08:00:04 s1 r2 proposed revised 900: i2 i3 -i1 cancelled"],
    );
    check(
        &[I1, "08:39:59 intent i2", "08:40:01 clock"],
        &["08:40:00 s1 r1 locked lead_time 900: i1 i2"],
    );
}

#[test]
fn a_window_goes_for_the_reason_that_is_true() {
    for (what, told) in [
        ("08:10:00 cancel i2", "no_group 900: -i1 dropped -i2 cancelled"),
        ("08:10:00 intent i2 budget=100", "no_group 900: -i1 dropped -i2 dropped"),
        ("08:10:00 intent i2 from=09:20:00 until=09:40:00", "no_group 900: -i1 dropped -i2 edited"),
        // What holds no whole slot is over at once.
        ("08:10:00 intent i2 from=09:05:00", "no_group 900: -i1 dropped -i2 expired"),
        ("08:10:00 stock s1 units=0", "stock_gone 900: -i1 dropped -i2 dropped"),
        ("08:10:00 store s1 paused=yes", "store_closed 900: -i1 store_closed -i2 store_closed"),
        (
            "08:10:00 store s1 hours=Mo-Su_10:00-18:00",
            "store_closed 900: -i1 store_closed -i2 store_closed",
        ),
        (
            "08:10:00 offer s1 withdrawn=yes",
            "offer_withdrawn 900: -i1 offer_withdrawn -i2 offer_withdrawn",
        ),
    ] {
        let gone = format!("08:10:00 s1 r2 withdrawn {told}");
        check(&[I1, I2, what, "08:20:00 clock"], &[FORMED, &gone]);
    }
    check(
        &[I1, "08:00:00 intent i2 expires=08:15:00", "08:20:00 clock"],
        &[FORMED, "08:15:00 s1 r2 withdrawn no_group 900: -i1 dropped -i2 expired"],
    );
}

#[test]
fn a_withdrawn_window_comes_again_with_the_next_revision() {
    check(
        &[I1, I2, "08:10:00 cancel i2", "08:11:00 intent i3", "08:12:00 clock"],
        &[
            FORMED,
            "08:10:00 s1 r2 withdrawn no_group 900: -i1 dropped -i2 cancelled",
            "08:11:02 s1 r3 proposed formed 900: i1 i3",
        ],
    );
}

#[test]
fn a_store_that_pauses_gives_its_buyers_back_in_the_same_tick() {
    // The other store's window of that slot has locked by then, so nobody takes them in.
    check(
        &["08:00:00 store s2", "08:00:00 offer s2", I1, I2, "08:50:00 store s1 paused=yes"],
        &[
            FORMED,
            "08:40:00 s1 r2 locked lead_time 900: i1 i2",
            "08:50:00 s1 r3 cancelled store_closed 900: -i1 store_closed -i2 store_closed",
        ],
    );
    let mut town = Town::new();
    for line in ["08:00:00 store s2", "08:00:00 offer s2 lead=0", I1, I2] {
        town.happens(line);
    }
    town.happens("08:50:00 clock");
    assert_eq!(town.pipeline.engine().book().live_intents(), 0, "locked");
    town.happens("08:50:00 store s1 paused=yes");
    town.happens("08:50:00.250 clock");
    assert_eq!(town.pipeline.engine().book().live_intents(), 2, "back in the same tick");
    town.happens("08:50:05 clock");
    let last = town.told.decisions.iter().map(line).next_back();
    assert_eq!(last.as_deref(), Some("08:50:02 s2 r1 proposed formed 900: i1 i2"));
}

#[test]
fn who_accepted_is_kept_and_never_pays_more() {
    check(
        &[I1, I2, "08:05:00 accept i1", "08:06:00 intent i3", "08:07:00 clock"],
        &[
            FORMED,
            "08:05:00 s1 r2 proposed revised 900: i1* i2",
            "08:06:00 s1 r3 proposed revised 800: i1* i2 i3",
        ],
    );
    check(
        &[I1, I2, I3, "08:05:00 accept i1", "08:06:00 cancel i3", "08:07:00 clock"],
        &[
            THREE,
            "08:05:00 s1 r2 proposed revised 800: i1* i2 i3",
            "08:06:00 s1 r3 withdrawn no_group 800: -i1 below_tier -i2 dropped -i3 cancelled",
            // Free of the promise, they settle for the price of two.
            "08:06:02 s1 r4 proposed formed 900: i1 i2",
        ],
    );
}

#[test]
fn who_declined_is_not_asked_again() {
    check(
        &[I1, I2, I3, "08:05:00 decline i3", "08:10:00 clock"],
        &[THREE, "08:05:00 s1 r2 proposed revised 900: i1 i2 -i3 declined"],
    );
    check(
        &[I1, I2, I3, "08:05:00 decline i3", "08:06:00 intent i3 budget=999", "08:10:00 clock"],
        &[THREE, "08:05:00 s1 r2 proposed revised 900: i1 i2 -i3 declined"],
    );
}

#[test]
fn answers_have_their_receipts() {
    for (answer, outcome) in [
        ("08:05:00 accept i1", "applied"),
        ("08:05:00 accept i3", "superseded"),
        ("08:05:00 accept i1 revision=7", "invalid"),
        ("08:05:00 accept i1 at=s7", "invalid"),
        ("08:05:00 decline i3", "invalid"),
        ("08:05:00 bought i1", "invalid"),
        ("08:40:01 accept i1", "late"),
        ("08:40:01 decline i1", "late"),
        ("08:45:00 cancel i1", "late"),
        ("08:45:00 intent i1", "late"),
        ("09:01:00 bought i1", "applied"),
        ("09:30:00 absent i2", "applied"),
        ("09:01:00 bought i3", "invalid"),
        ("09:30:00 intent i1 from=10:00:00 until=10:20:00", "applied"),
    ] {
        receipt(&[I1, I2, answer], outcome);
    }
    let twice = ["08:05:00 accept i1 event=x", "08:06:00 accept i1 event=x"];
    receipt(&[I1, I2, twice[0], twice[1]], "duplicate");
    // The price has risen since: what was offered then is no more.
    receipt(&[I1, I2, I3, "08:05:00 cancel i3", "08:06:00 accept i1 revision=1"], "superseded");
}

#[test]
fn a_stale_version_does_not_come_back_to_life() {
    let first = "08:00:00 intent i9 version=1 from=12:00:00 until=13:00:00";
    let second = "08:01:00 intent i9 version=2 from=09:00:00 until=09:20:00";
    for (third, outcome) in [
        ("10:00:00 intent i9 version=1 from=12:00:00 until=13:00:00", "superseded"),
        ("10:00:00 intent i9 version=2 from=12:00:00 until=13:00:00", "duplicate"),
        ("10:00:00 intent i9 version=3 from=12:00:00 until=13:00:00", "applied"),
        // It lapses at 09:00; out of order, before that and after.
        ("08:30:00 intent i9 version=1 from=12:00:00 until=13:00:00", "superseded"),
    ] {
        receipt(&[first, second, third], outcome);
        // The other way round, the old one never lived.
        receipt(&[second, third], outcome);
    }
    // What was served is gone, too.
    receipt(&[I1, I2, "10:00:00 intent i1 version=1 from=12:00:00 until=13:00:00"], "duplicate");
    receipt(&[I1, I2, "10:00:00 intent i1 version=0 from=12:00:00 until=13:00:00"], "superseded");
}

#[test]
fn what_was_late_supersedes_what_is_older() {
    let later = "from=12:00:00 until=13:00:00";
    let put = |clock: &str, version: u64| format!("{clock} intent i1 version={version} {later}");
    let cancel = |clock: &str, version: u64| format!("{clock} cancel i1 version={version}");
    let broken = "08:50:00 offer s1 withdrawn=yes";
    let mended = "08:55:00 offer s1 withdrawn=no";
    for (late, rest, outcome) in [
        // While the window is locked.
        (put("08:44:00", 1), vec![], "duplicate"),
        (put("08:44:00", 0), vec![], "superseded"),
        (cancel("08:44:00", 1), vec![], "late"),
        (cancel("08:44:00", 3), vec![put("08:45:00", 2)], "superseded"),
        (cancel("08:44:00", 3), vec![put("08:45:00", 3)], "superseded"),
        (cancel("08:44:00", 3), vec![cancel("08:45:00", 3)], "late"),
        (cancel("08:44:00", 3), vec![put("08:45:00", 4)], "late"),
        // It is served.
        (cancel("08:44:00", 3), vec![put("10:00:00", 2)], "superseded"),
        (cancel("08:44:00", 3), vec![put("10:00:00", 3)], "superseded"),
        (put("08:44:00", 3), vec![put("10:00:00", 2)], "superseded"),
        // What was refused may be sent again, and is judged then.
        (put("08:44:00", 3), vec![put("10:00:00", 3)], "applied"),
        (put("08:44:00", 3), vec![put("10:00:00", 3), put("10:01:00", 3)], "duplicate"),
        // The window is cancelled, and the buyer is back.
        (
            cancel("08:44:00", 3),
            vec![broken.into(), mended.into(), put("08:56:00", 2)],
            "superseded",
        ),
        (
            cancel("08:44:00", 3),
            vec![broken.into(), mended.into(), cancel("08:56:00", 3)],
            "applied",
        ),
        (put("08:44:00", 3), vec![broken.into(), mended.into(), put("08:56:00", 3)], "applied"),
    ] {
        let lines: Vec<&str> =
            [I1, I2, late.as_str()].into_iter().chain(rest.iter().map(String::as_str)).collect();
        receipt(&lines, outcome);
    }
}

#[test]
fn an_offer_has_its_own_lead_and_values() {
    check(
        &["08:00:00 offer s1 lead=5", I1, I2, "08:56:00 clock"],
        &[FORMED, "08:55:00 s1 r2 locked lead_time 900: i1 i2"],
    );
    for (offer, visit) in [("visit=10", 10), ("visit=10 nine=25", 25), ("nine=0 visit=10", 0)] {
        let told = day(&[&format!("08:00:00 offer s1 {offer}"), I1, I2, "08:01:00 clock"]);
        let d = &told.decisions[0];
        let gains: i64 = d.members.iter().map(|m| m.saving - m.travel).sum();
        assert_eq!(d.value - gains, 2 * visit, "{offer}");
        assert_eq!(d.members[0].saving, 50);
        assert_eq!(d.members[0].travel, 20 * d.members[0].distance_m as i64 / 1_000);
    }
}

#[test]
fn a_large_group_comes_in_parts() {
    let ids: Vec<String> = (1..=1_100).map(|n| format!("08:00:00 intent i{n}")).collect();
    let mut script = vec!["08:00:00 offer s1 stock=5000"];
    script.extend(ids.iter().map(String::as_str));
    script.push("08:01:00 clock");
    let parts = day(&script).decisions;
    assert_eq!(parts.iter().map(|d| d.members.len()).collect::<Vec<_>>(), [512, 512, 76]);
    assert_eq!(parts.iter().map(|d| d.part).collect::<Vec<_>>(), [Some(1), Some(2), Some(3)]);
    assert!(parts.iter().all(|d| d.parts == Some(3) && d.group.buyers == 1_100));
    let all: BTreeSet<&str> =
        parts.iter().flat_map(|d| &d.members).map(|m| m.intent.as_str()).collect();
    assert_eq!(all.len(), 1_100);
}
