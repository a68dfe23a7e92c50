//! Versions that come again, in any order, over days in which they lapse, are taken back, are served,
//! and are forgotten: the checker agrees with every outcome.

use crate::support::{
    Dice, decision_lines, for_each_seed, inbound, receipt_lines, record_lines, run, violation,
};
use connectors::wire::{Clock, Intent, Offer, Record, Store, Tier};
use dataflows::market::Params;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// 2026-06-12T00:00:00Z.
const START_MS: i64 = 1_781_222_400_000;
const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 1_440 * MINUTE_MS;
/// How many streams are tried unless `ICESHOP_CASES` says otherwise.
const CASES: u64 = 200;

fn stamp(ms: i64) -> String {
    Timestamp::from_millisecond(ms).unwrap().to_string()
}

/// A store that is always open.
fn store() -> Record {
    let (id, version) = ("s1".to_string(), 1);
    Record::Store(Store {
        id: id.clone(),
        version,
        name: id.clone(),
        lat: 41.0,
        lng: 29.0,
        timezone: "UTC".into(),
        hours: "24/7".into(),
        ..Default::default()
    })
}

/// Its offer; one that is withdrawn breaks the windows that are locked.
fn offer(version: u64, withdrawn: bool) -> Record {
    Record::Offer(Offer {
        store: "s1".into(),
        product: "tea".into(),
        version,
        list_price: 1_000,
        tiers: vec![Tier { min_buyers: 2, price: 700 }],
        stock: Some(1_000_000),
        withdrawn: Some(withdrawn),
        ..Default::default()
    })
}

/// A few intents in few versions, which rise slowly: many records are old news.
fn record(dice: &mut Dice, now: i64, least: u64) -> Record {
    let id = format!("i{}", dice.roll(0, 4));
    let version = least + dice.roll(0, 5) as u64;
    match dice.roll(0, 9) {
        0..=7 => {
            let ahead = *dice.pick(&[0, 20, 60, 60, 60, 60, 600, 1_300]);
            let from = (now + ahead * MINUTE_MS).div_euclid(20 * MINUTE_MS) * 20 * MINUTE_MS;
            let until = from + dice.roll(1, 6) * 20 * MINUTE_MS;
            let lapses = dice.chance(15).then(|| stamp(now + dice.roll(1, 100) * MINUTE_MS));
            Record::Intent(Intent {
                buyer: Some(format!("b{id}")),
                id,
                version,
                product: Some("tea".into()),
                lat: Some(41.0),
                lng: Some(29.0),
                available: Some(vec![[stamp(from), stamp(until)]]),
                budget: Some(*dice.pick(&[600, 900, 1_000, 1_200])),
                expires: lapses,
                ..Default::default()
            })
        }
        8 => Record::Intent(Intent { id, version, cancel: Some(true), ..Default::default() }),
        _ => Record::Clock(Clock {}),
    }
}

/// How much time passes: often a moment or some hours, now and then about a horizon of one day.
fn pause(dice: &mut Dice) -> i64 {
    match dice.roll(0, 19) {
        0..=12 => *dice.pick(&[0, 100, 250, MINUTE_MS, 5 * MINUTE_MS, 20 * MINUTE_MS]),
        13..=18 => *dice.pick(&[20, 60, 200]) * MINUTE_MS,
        _ => DAY_MS + *dice.pick(&[-20 * MINUTE_MS, -250, -1, 0, 1, 250, 500]),
    }
}

#[test]
fn versions_are_remembered_for_one_horizon() {
    let params = Params { horizon_days: 1, ..Params::default() };
    let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
    for_each_seed(CASES, |seed| {
        let dice = &mut Dice::new(seed);
        let mut now = START_MS;
        let mut records = vec![(stamp(now), store()), (stamp(now), offer(1, false))];
        for version in 2..162 {
            now += pause(dice);
            let record = if dice.chance(4) {
                offer(version, dice.chance(40))
            } else {
                record(dice, now, version / 12)
            };
            records.push((stamp(now), record));
        }
        records.push((stamp(now + 2 * DAY_MS), Record::Clock(Clock {})));
        let log: Vec<_> =
            (1..).zip(&records).map(|(n, (at, it))| inbound(n, at, it.clone())).collect();
        let all = run(&params, 1, 1_000, &log);
        let (decisions, receipts) = (decision_lines(&all.decisions), receipt_lines(&all.receipts));
        assert_eq!(violation(&params, record_lines(&records), decisions, receipts), None);
        for receipt in all.receipts {
            *outcomes.entry(receipt.outcome).or_default() += 1;
        }
    });
    eprintln!("{outcomes:?}");
    for word in ["applied", "superseded", "duplicate", "late"] {
        assert!(outcomes.contains_key(word), "nothing was {word}");
    }
}
