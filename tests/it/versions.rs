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

/// A store that is always open, and its offer.
fn supply() -> [Record; 2] {
    let (id, version) = ("s1".to_string(), 1);
    let store = Store {
        id: id.clone(),
        version,
        name: id.clone(),
        lat: 41.0,
        lng: 29.0,
        timezone: "UTC".into(),
        hours: "24/7".into(),
        ..Default::default()
    };
    let offer = Offer {
        store: id,
        product: "tea".into(),
        version,
        list_price: 1_000,
        tiers: vec![Tier { min_buyers: 2, price: 700 }],
        stock: Some(1_000_000),
        ..Default::default()
    };
    [Record::Store(store), Record::Offer(offer)]
}

/// A few intents in few versions, so that most records are old news.
fn record(dice: &mut Dice, now: i64) -> Record {
    let id = format!("i{}", dice.roll(0, 4));
    let version = dice.roll(1, 6) as u64;
    match dice.roll(0, 11) {
        0..=7 => {
            let ahead = *dice.pick(&[0, 20, 60, 600, 1_380]);
            let from = (now + ahead * MINUTE_MS).div_euclid(20 * MINUTE_MS) * 20 * MINUTE_MS;
            let until = from + dice.roll(1, 2) * 20 * MINUTE_MS;
            let lapses = dice.chance(15).then(|| stamp(now + dice.roll(1, 100) * MINUTE_MS));
            Record::Intent(Intent {
                buyer: Some(format!("b{id}")),
                id,
                version,
                product: Some("tea".into()),
                lat: Some(41.0),
                lng: Some(29.0),
                available: Some(vec![[stamp(from), stamp(until)]]),
                budget: Some(*dice.pick(&[600, 900, 1_200])),
                expires: lapses,
                ..Default::default()
            })
        }
        8..=9 => Record::Intent(Intent { id, version, cancel: Some(true), ..Default::default() }),
        _ => Record::Clock(Clock {}),
    }
}

/// How much time passes: often a moment or some hours, now and then about a horizon of one day.
fn pause(dice: &mut Dice) -> i64 {
    match dice.roll(0, 9) {
        0..=4 => *dice.pick(&[0, 100, 250, MINUTE_MS, 20 * MINUTE_MS]),
        5..=8 => *dice.pick(&[20, 60, 200]) * MINUTE_MS,
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
        let mut records: Vec<(String, Record)> = supply().map(|it| (stamp(now), it)).into();
        for _ in 0..160 {
            now += pause(dice);
            records.push((stamp(now), record(dice, now)));
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
