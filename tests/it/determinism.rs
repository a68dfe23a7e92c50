//! Equal logs give equal decisions: byte for byte, for any number of workers, batch size, order
//! within a tick, and bucketing resolution.

use crate::support::{
    Dice, Seed, city_log, decision_lines, inbound, receipt_lines, record_lines, run, small_city,
    violation,
};
use connectors::codec::json;
use connectors::inbound::{Inbound, Stamp};
use connectors::wire::{self, Arrival, Intent, Offer, Record, Reply, Store, Tier};
use dataflows::flow::Standings;
use dataflows::market::{Params, Resolution, Time};
use dataflows::saved::InMemory;
use iceshop::run::pipeline::Pipeline;
use iceshop::translate::Dating;
use jiff::{Timestamp, ToSpan};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
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

/// What every build has decided on a fixed stream since the last change that was meant to decide
/// otherwise: an optimisation that is none shows here.
#[test]
fn a_fixed_stream_is_decided_as_it_was() {
    let log = city_log(&small_city(1_000));
    let records = log.iter().map(|inbound| {
        let at = time(inbound).to_string();
        let mut line = Vec::new();
        json::write_record(&mut line, Some(&at), inbound.record.as_ref().unwrap());
        line
    });
    let records = hex(&records.collect::<Vec<_>>().join(&b'\n'));
    assert_eq!(
        records, "c1193d9ad750f4cba6b54e9233f2674e8ce9c9abb3971481c5c1c4ff5fd254e4",
        "the stream itself"
    );
    let made = run(&Params::default(), 2, 700, &log);
    assert_eq!(
        hex(&decision_lines(&made.decisions)),
        "eb04cb447af40dd881881710e87a94f536df6afb30448b8fddc3aaa53902f576",
        "{} decisions",
        made.decisions.len()
    );
    assert_eq!(
        hex(&receipt_lines(&made.receipts)),
        "3e8254495a6b1dbf811b514fc95d71b7269e646c07a21fc1260e62f070428017",
        "{} receipts",
        made.receipts.len()
    );
}

fn time(inbound: &Inbound) -> Timestamp {
    let Stamp::Text(at) = &inbound.at else { panic!("a city's records are dated") };
    at.parse().unwrap()
}

fn digest(params: &Params, workers: usize, batch: usize, log: &[Inbound]) -> String {
    let decisions = run(params, workers, batch, log).decisions;
    assert!(decisions.iter().any(|d| d.state == "locked"), "the log decides something");
    assert!(decisions.iter().any(|d| d.group.accepted > 0), "somebody accepts");
    hex(&decision_lines(&decisions))
}

/// The SHA-256 of these bytes.
fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Few products are wanted by many: their markets move, and decide what they would have decided.
#[test]
fn markets_that_move_between_workers_decide_the_same() {
    let mut pipeline = Pipeline::new(Params::default(), 3, Dating::Required, Standings::default());
    let mut decisions = pipeline.take(LOG.clone()).decisions;
    let moved = pipeline.engine().flow().moved();
    assert!(moved > 0, "no market has moved");
    decisions.extend(pipeline.finish().decisions);
    assert_eq!(hex(&decision_lines(&decisions)), *USUAL, "with {moved} markets moved");
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

/// Where so much changes in a tick that little is tried for each change, that is the same everywhere.
#[test]
fn ticks_in_haste_decide_the_same() {
    let params = Params { upkeep_steps: 1, ..Params::default() };
    let usual = digest(&params, 1, 1_000, &LOG);
    let mut pipeline = Pipeline::new(params.clone(), 1, Dating::Required, Standings::default());
    pipeline.take(LOG[..LOG.len() / 2].to_vec());
    let mut in_haste = 0;
    pipeline.engine().flow().each_market(|_, market| in_haste += market.effort().crowded);
    assert!(in_haste > 0, "nothing was done in haste");
    for (workers, batch) in [(2, 1_000), (3, 7)] {
        assert_eq!(digest(&params, workers, batch, &LOG), usual, "{workers} workers, by {batch}");
    }
}

/// Upkeep is done between ticks if somebody asks for it, looks at the markets or saves them, else before the
/// next one: what is decided is the same, and what upkeep has changed is part of what is saved.
#[test]
fn when_the_markets_are_kept_up_decides_nothing() {
    let _seed = Seed(13);
    let dice = &mut Dice::new(13);
    let mut pipeline = Pipeline::new(Params::default(), 1, Dating::Required, Standings::default());
    let (mut decisions, mut unsaid, mut saved_unsaid) = (Vec::new(), 0, 0);
    for batch in LOG.chunks(20) {
        decisions.extend(pipeline.take(batch.to_vec()).decisions);
        match dice.roll(0, 3) {
            0 => {}
            1 => pipeline.rest(),
            2 => unsaid += is_unsaid(&mut pipeline) as usize,
            _ => {
                let saved = pipeline.save(&InMemory).unwrap().read().unwrap();
                saved_unsaid += is_unsaid(&mut pipeline) as usize;
                let (workers, standings) = (dice.roll(1, 3) as usize, Standings::default());
                pipeline = Pipeline::restore(&saved, workers, Dating::Required, standings).unwrap();
            }
        }
    }
    decisions.extend(pipeline.finish().decisions);
    assert!(unsaid > 0 && saved_unsaid > 0, "nothing was gained between two ticks");
    assert_eq!(hex(&decision_lines(&decisions)), *USUAL);
}

/// Whether upkeep has gained something that is not said yet.
fn is_unsaid(pipeline: &mut Pipeline) -> bool {
    let (said, mut value) = (pipeline.engine().market().value, 0);
    pipeline.engine().flow().each_market(|_, market| value += market.certificate().value);
    assert!(value >= said, "upkeep loses nothing");
    value > said
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

/// A day of ticks in which records lie at the edges of the horizon and of the jump: within a tick,
/// their order changes neither decisions nor outcomes, and the checker agrees.
#[test]
fn the_order_within_a_tick_decides_nothing_at_the_edges() {
    let mut outcomes = [0; 2];
    for seed in 1..=40 {
        let _seed = Seed(seed);
        let dice = &mut Dice::new(seed);
        let horizon_days = dice.roll(1, 2) as u32;
        let (jump_days, tick_ms) = (dice.roll(1, 3) as u32, *dice.pick(&[1, 250, 7_000]));
        let params = Params { horizon_days, jump_days, tick_ms, ..Params::default() };
        let mut ticks = edges(&params, dice);
        let usual = edge_run(&params, &ticks);
        for (count, word) in outcomes.iter_mut().zip(["applied", "invalid"]) {
            *count += usual.1.iter().filter(|(_, outcome)| outcome == word).count();
        }
        for _ in 0..4 {
            ticks.iter_mut().for_each(|records| dice.shuffle(records));
            assert!(edge_run(&params, &ticks) == usual, "{ticks:#?}");
        }
    }
    assert!(outcomes.iter().all(|count| *count > 400), "{outcomes:?}");
}

/// Records by tick: intents whose last interval ends about one horizon ahead, and jumps of about as
/// many days as are allowed.
fn edges(params: &Params, dice: &mut Dice) -> Vec<Vec<(Timestamp, Record)>> {
    let day = |days: u32| i64::from(days) * 86_400_000;
    let mut now = params.start(params.tick(Time(1_781_251_200_000))).0;
    let mut ticks = vec![(0..4).map(|n| edge_supply(now, n)).collect::<Vec<_>>()];
    for tick in 0..12 {
        // Onto the border, or a little before or after it.
        let off = dice.roll(-2, 2) * params.tick_ms + dice.roll(-1, 1);
        now += if tick == 8 { day(params.jump_days) + off } else { dice.roll(1, 90) * 60_000 };
        let start = params.start(params.tick(Time(now))).0;
        let records = (0..8).map(|n| {
            let at = start + dice.roll(0, params.tick_ms - 1);
            let until = start + day(params.horizon_days) + dice.roll(-3, params.tick_ms + 1);
            let id = format!("i{tick}-{n}");
            (stamp(at), wanted(id, at, until))
        });
        ticks.push(records.collect());
        now = start;
    }
    ticks
}

fn stamp(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap()
}

/// Two stores and their offers.
fn edge_supply(ms: i64, n: usize) -> (Timestamp, Record) {
    let id = format!("s{}", n % 2);
    let record = if n < 2 {
        Record::Store(Store {
            id: id.clone(),
            version: 1,
            name: id,
            lat: 41.0,
            lng: 29.0,
            timezone: "UTC".into(),
            hours: "24/7".into(),
            ..Default::default()
        })
    } else {
        Record::Offer(Offer {
            store: id,
            product: "tea".into(),
            version: 1,
            list_price: 1_000,
            tiers: vec![Tier { min_buyers: 2, price: 500 }],
            stock: Some(100),
            ..Default::default()
        })
    };
    (stamp(ms), record)
}

/// A buyer who is free for two hours from the next one on, and for a moment before `until`.
fn wanted(id: String, at: i64, until: i64) -> Record {
    let free = |from: i64, until: i64| [stamp(from).to_string(), stamp(until).to_string()];
    let hour = 3_600_000;
    let available = Some(vec![free(at + hour, at + 3 * hour), free(until - 5, until)]);
    let buyer = Some(id.clone());
    Record::Intent(Intent {
        id,
        version: 1,
        buyer,
        product: Some("tea".into()),
        lat: Some(41.0),
        lng: Some(29.0),
        available,
        budget: Some(900),
        ..Default::default()
    })
}

/// The decisions, and the outcome of every record by its id; the checker accepts both.
fn edge_run(
    params: &Params,
    ticks: &[Vec<(Timestamp, Record)>],
) -> (Vec<u8>, BTreeSet<(Option<String>, String)>) {
    let records = ticks.iter().flatten().map(|(at, record)| (at.to_string(), record.clone()));
    let records: Vec<(String, Record)> = records.collect();
    let log: Vec<Inbound> =
        (1..).zip(&records).map(|(n, (at, record))| inbound(n, at, record.clone())).collect();
    let all = run(params, 1, 1_000, &log);
    let (decisions, receipts) = (decision_lines(&all.decisions), receipt_lines(&all.receipts));
    let found = violation(params, record_lines(&records), decisions, receipts);
    assert_eq!(found, None, "{records:#?}");
    let mut all_decisions = all.decisions;
    for decision in &mut all_decisions {
        // Which of a tick's last lines are refused is their order's.
        decision.input_sequence = 0;
    }
    let outcomes = all.receipts.into_iter().map(|receipt| (receipt.id, receipt.outcome));
    (decision_lines(&all_decisions), outcomes.collect())
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
    let receipts = receipt_lines(&all.receipts);
    let held = |decisions: &[wire::Decision]| {
        violation(&params, events.clone(), decision_lines(decisions), receipts.clone())
    };
    assert_eq!(held(&all.decisions), None);
    // Two of one tick that change places are out of order, and nothing else.
    let together = |n: &usize| {
        let [one, other] = [&all.decisions[*n], &all.decisions[*n + 1]];
        one.decided_at == other.decided_at && one.window != other.window
    };
    let pairs: Vec<usize> = (0..all.decisions.len() - 1).filter(together).collect();
    assert!(pairs.len() > 10);
    for n in pairs.iter().step_by(pairs.len() / 5).copied() {
        let mut swapped = all.decisions.clone();
        swapped.swap(n, n + 1);
        let violation = held(&swapped).expect("the order is wrong");
        assert!(violation.rule.contains("in order of state, slot"), "{violation}");
        assert_eq!(violation.line, n as u64 + 2);
    }
}
