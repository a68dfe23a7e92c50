//! Equal logs give equal decisions: byte for byte, for any number of workers, batch size, order
//! within a tick, and bucketing resolution.

use crate::support::{
    Dice, Seed, city_log, decision_lines, inbound, receipt_lines, run, small_city, violation,
};
use connectors::codec::json;
use connectors::inbound::{Inbound, Stamp};
use connectors::wire::{Arrival, Record, Reply};
use dataflows::market::{Params, Resolution};
use jiff::{Timestamp, ToSpan};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// A small city in which buyers answer what is announced to them, and come.
static LOG: LazyLock<Vec<Inbound>> = LazyLock::new(|| answered(city_log(&small_city(1_000))));

/// The digest of the log's decisions as the engine makes them by default.
static USUAL: LazyLock<String> = LazyLock::new(|| digest(&Params::default(), 1, 1_000, &LOG));

/// The log with answers to what the engine decides on it without them.
fn answered(log: Vec<Inbound>) -> Vec<Inbound> {
    let dice = &mut Dice::new(11);
    let mut all: Vec<(Timestamp, Record)> =
        log.into_iter().map(|inbound| (time(&inbound), inbound.record.unwrap())).collect();
    let end = all.last().unwrap().0;
    let decisions = run(&Params::default(), 1, 1_000, &city_log(&small_city(1_000))).decisions;
    for (n, decision) in decisions.iter().enumerate() {
        let decided: Timestamp = decision.decided_at.parse().unwrap();
        for (m, member) in decision.members.iter().enumerate() {
            let at = decided + dice.roll(200, 300_000).milliseconds();
            let (window, intent) = (decision.window.clone(), member.intent.clone());
            let event = format!("e{n}-{m}");
            let record = match (decision.state.as_str(), dice.roll(0, 9)) {
                ("proposed", 0..=3) => {
                    let answer = if dice.chance(80) { "accept" } else { "decline" }.to_string();
                    let revision = decision.revision;
                    Record::Reply(Reply { window, revision, intent, answer, event })
                }
                ("active", 0..=5) => {
                    let outcome = if dice.chance(90) { "bought" } else { "absent" }.to_string();
                    Record::Arrival(Arrival { window, intent, outcome, event })
                }
                _ => continue,
            };
            if at < end {
                all.push((at, record));
            }
        }
    }
    all.sort_by_key(|(at, _)| *at);
    (1..).zip(all).map(|(n, (at, record))| inbound(n, &at.to_string(), record)).collect()
}

fn time(inbound: &Inbound) -> Timestamp {
    let Stamp::Text(at) = &inbound.at else { panic!("a city's records are dated") };
    at.parse().unwrap()
}

fn digest(params: &Params, workers: usize, batch: usize, log: &[Inbound]) -> String {
    let decisions = run(params, workers, batch, log).decisions;
    assert!(decisions.iter().any(|d| d.state == "locked"), "the log decides something");
    assert!(decisions.iter().any(|d| d.group.accepted > 0), "somebody accepts");
    let digest = Sha256::digest(decision_lines(&decisions));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_number_of_workers_decides_nothing() {
    for workers in [2, 4] {
        assert_eq!(digest(&Params::default(), workers, 1_000, &LOG), *USUAL, "{workers} workers");
    }
}

#[test]
fn the_size_of_batches_decides_nothing() {
    for batch in [1, 7] {
        assert_eq!(digest(&Params::default(), 1, batch, &LOG), *USUAL, "batches of {batch}");
    }
}

#[test]
fn the_order_within_a_tick_decides_nothing() {
    let params = Params::default();
    for seed in 1..=3 {
        let _seed = Seed(seed);
        let dice = &mut Dice::new(seed);
        let mut log = LOG.clone();
        let mut moved = 0;
        let tick = |inbound: &Inbound| time(inbound).as_millisecond().div_euclid(params.tick_ms);
        for of_a_tick in log.chunk_by_mut(|a, b| tick(a) == tick(b)) {
            moved += of_a_tick.len() - 1;
            let first = of_a_tick[0].sequence;
            dice.shuffle(of_a_tick);
            for (inbound, sequence) in of_a_tick.iter_mut().zip(first..) {
                inbound.sequence = sequence;
            }
        }
        assert!(moved > 100, "many ticks hold several records");
        assert_eq!(digest(&params, 1, 1_000, &log), *USUAL);
    }
}

#[test]
fn the_resolution_of_cells_decides_nothing() {
    for resolution in [7, 9] {
        let params =
            Params { resolution: Resolution::new(resolution).unwrap(), ..Params::default() };
        assert_eq!(digest(&params, 1, 1_000, &LOG), *USUAL, "resolution {resolution}");
    }
}

#[test]
fn the_checker_accepts_the_answered_city() {
    let params = Params::default();
    let mut events = Vec::new();
    for inbound in LOG.iter() {
        let at = time(inbound).to_string();
        json::write_record(&mut events, Some(&at), inbound.record.as_ref().unwrap());
        events.push(b'\n');
    }
    let all = run(&params, 1, 1_000, &LOG);
    assert_eq!(all.receipts.len(), LOG.len());
    let (decisions, receipts) = (decision_lines(&all.decisions), receipt_lines(&all.receipts));
    assert_eq!(violation(&params, events, decisions, receipts), None);
}
