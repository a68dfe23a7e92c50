//! A small day that holds, and what must be caught when one thing in it is wrong.
//!
//! Two stores sell coffee; a group forms at the first, grows, loses one who cancels, is locked,
//! visited and closed. Every case below changes one thing in the log, the decisions or the receipts.

mod cases;
mod market;
mod missing;
mod receipts;
mod waiting;

use super::{Report, check};
use connectors::file::{FileSource, Lines};
use dataflows::market::{Params, Position, limits};
use serde_json::{Value, json};
use std::io::Cursor;

/// The window of the day: store s1, coffee, 14:00 in Istanbul.
const WINDOW: &str = "s1_coffee_29755380";
const STORE: (f64, f64) = (41.0082, 28.9784);
const PLACES: [(f64, f64); 4] =
    [(41.0090, 28.9790), (41.0100, 28.9760), (41.0050, 28.9784), (41.0082, 28.9800)];

/// A log, what was decided from it, and (empty: not checked) its receipts.
#[derive(Clone)]
struct Day {
    events: Vec<Value>,
    decisions: Vec<Value>,
    receipts: Vec<Value>,
    params: Params,
}

impl Day {
    fn check(&self) -> Report {
        self.check_on(&text(&self.decisions))
    }

    /// With another file of decisions.
    fn check_on(&self, decisions: &str) -> Report {
        let lines = |text: String| Lines::new(Cursor::new(text), "test").unwrap();
        let events = FileSource::new(Cursor::new(text(&self.events)), "test").unwrap();
        let told: Vec<Value> = self.receipts.iter().map(|receipt| self.named(receipt)).collect();
        let receipts = (!told.is_empty()).then(|| lines(text(&told)));
        check(&self.params, events, lines(decisions.to_string()), receipts).unwrap()
    }

    /// The receipt, with what its record is unless it says so itself.
    fn named(&self, receipt: &Value) -> Value {
        let mut receipt = receipt.clone();
        let event = &self.events[receipt["sequence"].as_u64().unwrap() as usize - 1];
        let text = |field: &str| event[field].as_str().unwrap_or_default();
        if receipt.get("kind").is_none() {
            receipt["kind"] = event["kind"].clone();
            receipt["id"] = match text("kind") {
                "offer" | "stock" => json!(format!("{}_{}", text("store"), text("product"))),
                "reply" | "arrival" => event["window"].clone(),
                _ => event["id"].clone(),
            };
        }
        receipt
    }

    /// The violation as text; empty if everything holds.
    fn verdict(&self) -> String {
        self.verdict_on(&text(&self.decisions))
    }

    fn verdict_on(&self, decisions: &str) -> String {
        let found = self.check_on(decisions).violation;
        found.map(|violation| violation.to_string()).unwrap_or_default()
    }
}

fn text(lines: &[Value]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn at(clock: &str) -> String {
    format!("2026-07-29T{clock}Z")
}

fn store(id: &str) -> Value {
    json!({"at": at("10:00:00"), "kind": "store", "id": id, "version": 1, "name": id,
        "lat": STORE.0, "lng": STORE.1, "timezone": "Europe/Istanbul", "hours": "Mo-Su 09:00-20:00"})
}

fn offer(store: &str) -> Value {
    json!({"at": at("10:00:00"), "kind": "offer", "store": store, "product": "coffee", "version": 1,
        "list_price": 1000, "stock": 6, "max_group": 4, "visit_value": 5,
        "tiers": [{"min_buyers": 2, "price": 900}, {"min_buyers": 3, "price": 800},
                  {"min_buyers": 6, "price": 700}]})
}

fn intent(clock: &str, n: usize, version: u64) -> Value {
    let (lat, lng) = PLACES[n - 1];
    json!({"at": at(clock), "kind": "intent", "id": format!("i{n}"), "version": version,
        "buyer": format!("b{n}"), "product": "coffee", "lat": lat, "lng": lng,
        "available": [[at("10:50:00"), at("12:00:00")]], "budget": 950,
        "quantity": if n == 3 { 2 } else { 1 }, "reach_m": 500})
}

fn reply(clock: &str, n: usize, revision: u64, answer: &str, event: &str) -> Value {
    json!({"at": at(clock), "kind": "reply", "window": WINDOW, "revision": revision,
        "intent": format!("i{n}"), "answer": answer, "event": event})
}

fn clock(clock: &str) -> Value {
    json!({"at": at(clock), "kind": "clock"})
}

fn cancel(clock: &str, n: usize, version: u64) -> Value {
    json!({"at": at(clock), "kind": "intent", "id": format!("i{n}"), "version": version,
        "cancel": true})
}

/// One member: its number, whether it accepted, what changed.
type M = (usize, bool, &'static str);

/// A decision about the window that is right in its figures.
fn decision(
    step: (u64, &str, &str, &str),
    clock: &str,
    sequence: u64,
    members: &[M],
    left: &[(usize, &str)],
) -> Value {
    let (revision, state, previous, reason) = step;
    let (unit, tier) = if members.len() >= 3 { (800, 2) } else { (900, 1) };
    let next = match tier {
        1 => json!({"min_buyers": 3, "price": 800}),
        _ => json!({"min_buyers": 6, "price": 700}),
    };
    let home = Position::new(STORE.0, STORE.1).unwrap();
    let rows: Vec<Value> = members
        .iter()
        .map(|&(n, accepted, change)| {
            let place = Position::new(PLACES[n - 1].0, PLACES[n - 1].1).unwrap();
            let distance = place.distance_m(home);
            let quantity = if n == 3 { 2 } else { 1 };
            let budget = 950;
            json!({"intent": format!("i{n}"), "buyer": format!("b{n}"), "quantity": quantity,
                "distance_m": distance, "saving": quantity * (budget - unit),
                "travel": 20 * distance / 1000, "accepted": accepted, "change": change})
        })
        .collect();
    let number = |row: &Value, field: &str| row[field].as_i64().unwrap();
    let mut distances: Vec<i64> = rows.iter().map(|row| number(row, "distance_m")).collect();
    distances.sort_unstable();
    let buyers = rows.len().max(1);
    let value: i64 = rows.iter().map(|r| number(r, "saving") - number(r, "travel") + 5).sum();
    json!({"v": 1, "window": WINDOW, "revision": revision, "state": state, "previous": previous,
        "reason": {"code": reason}, "zone": cell(7), "input_sequence": sequence,
        "decided_at": at(clock),
        "slot": {"from": "2026-07-29T14:00:00+03:00", "until": "2026-07-29T14:20:00+03:00",
                 "timezone": "Europe/Istanbul"},
        "lock_at": at("10:40:00"), "reply_by": at("10:40:00"), "expires": at("11:20:00"),
        "store": {"id": "s1", "name": "s1", "lat": STORE.0, "lng": STORE.1, "cell": cell(9)},
        "product": "coffee",
        "price": {"unit": unit, "list": 1000, "tier": tier, "next_tier": next},
        "group": {"buyers": rows.len(), "units": rows.iter().map(|r| number(r, "quantity")).sum::<i64>(),
            "accepted": members.iter().filter(|m| m.1).count(),
            "average_distance_m": distances.iter().sum::<i64>() / buyers as i64,
            "median_distance_m": distances.get((buyers - 1) / 2).copied().unwrap_or(0)},
        "members": rows,
        "left": left.iter().map(|(n, code)| json!({"intent": format!("i{n}"),
            "buyer": format!("b{n}"), "reason": {"code": code}, "next": null})).collect::<Vec<_>>(),
        "value": value,
        "market": {"id": "coffee", "value": 10_000, "bound": 10_000, "gap_ppm": 0}})
}

fn cell(resolution: u8) -> String {
    let resolution = dataflows::market::Resolution::new(resolution).unwrap();
    Position::new(STORE.0, STORE.1).unwrap().cell(resolution).to_string()
}

/// The day that holds.
///
/// Lines: 1-4 stores and offers, 5-6 two buyers, 7 the third, 8 an accept, 9 a cancellation, 10
/// the end.
fn day() -> Day {
    let events = vec![
        store("s1"),
        store("s2"),
        offer("s1"),
        offer("s2"),
        intent("10:00:01", 1, 1),
        intent("10:00:01", 2, 1),
        intent("10:05:00", 3, 1),
        reply("10:10:00", 1, 2, "accept", "e1"),
        intent("10:15:00", 4, 1),
        cancel("10:20:00", 2, 1),
        clock("12:00:00"),
    ];
    let (grown, changed) =
        ([(1, true, "kept"), (3, false, "kept"), (4, false, "joined")], [(2, "cancelled")]);
    let held = [(1, true, "kept"), (3, false, "kept"), (4, false, "kept")];
    let mut decisions = vec![
        decision(
            (1, "proposed", "forming", "formed"),
            "10:00:03",
            6,
            &[(1, false, "joined"), (2, false, "joined")],
            &[],
        ),
        decision(
            (2, "proposed", "proposed", "revised"),
            "10:05:00",
            7,
            &[(1, false, "repriced"), (2, false, "repriced"), (3, false, "joined")],
            &[],
        ),
        decision((3, "proposed", "proposed", "revised"), "10:20:00", 10, &grown, &changed),
        decision((4, "locked", "proposed", "lead_time"), "10:40:00", 10, &held, &[]),
        decision((5, "active", "locked", "slot_start"), "11:00:00", 10, &held, &[]),
        decision((6, "closed", "active", "slot_end"), "11:20:00", 10, &held, &[]),
    ];
    // When only time passes, a market is worth its windows, and staying in them: 10 for each.
    let locked = decisions[3]["value"].as_i64().unwrap() + 30;
    for (line, value) in [(3, locked), (4, 0), (5, 0)] {
        decisions[line]["market"]["value"] = json!(value);
        decisions[line]["market"]["gap_ppm"] = json!((10_000 - value) * 100);
    }
    Day { events, decisions, receipts: Vec::new(), params: Params::default() }
}

#[test]
fn the_day_holds() {
    let report = day().check();
    assert_eq!(report.violation, None);
    assert_eq!((report.records, report.decisions, report.windows), (11, 6, 1));
    assert_eq!((report.buyers_locked, report.units_locked), (3, 4));
    assert!(report.rules > 200, "{}", report.rules);
    assert!(report.to_string().contains("holds      everything"));
}
