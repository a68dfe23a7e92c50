//! Random streams in which everything collides, held against the rules after every tick.
//!
//! [`law`] works the rules out again from the book; [`stream`] draws the records; [`flows`] holds
//! the incremental dataflow against the one that solves from scratch. At its end every stream is
//! held by the independent checker, too.

mod flows;
mod law;
mod stream;

use crate::support::{
    Dice, Seed, decision_lines, for_each_seed, inbound, receipt_lines, record_lines, run, violation,
};
use connectors::inbound::Stamp;
use connectors::wire::{self, Record};
use dataflows::engine::{Engine, Tagged};
use dataflows::flow::Flow;
use dataflows::market::{Decision, Outcome, Params, State, WindowKey};
use iceshop::run::pipeline::subject_id;
use iceshop::translate::{Announcer, Dating, Translator, outbound};
use law::World;
use std::collections::{BTreeMap, BTreeSet};

/// How many streams are tried unless `ICESHOP_CASES` says otherwise.
const CASES: u64 = 2_000;

/// An engine, the stream that it was given, and what came of it.
struct Run {
    params: Params,
    translator: Translator,
    engine: Engine,
    announcer: Announcer,
    records: Vec<(String, Record)>,
    decisions: Vec<wire::Decision>,
    receipts: Vec<wire::Receipt>,
    /// The last decision about every window.
    last: BTreeMap<WindowKey, Decision>,
    /// The greatest version of every intent that was applied, and whether it took the intent back.
    versions: BTreeMap<String, (u64, bool)>,
    /// How often each comparison could be made.
    tried: BTreeMap<String, u64>,
}

impl Run {
    fn new(params: Params) -> Self {
        Self {
            translator: Translator::new(params.clone(), Dating::Required),
            engine: Engine::new(params.clone(), Flow::start(&params, 1)),
            announcer: Announcer::new(params.slot),
            records: Vec::new(),
            decisions: Vec::new(),
            receipts: Vec::new(),
            last: BTreeMap::new(),
            versions: BTreeMap::new(),
            tried: BTreeMap::new(),
            params,
        }
    }

    /// The next record of the stream.
    fn put(&mut self, at: &str, record: Record) {
        let sequence = self.records.len() as u64 + 1;
        let read = self.translator.event(&Stamp::Text(at.to_string()), &record);
        let taken = read.and_then(|(time, event)| {
            let came = self.engine.apply(time, Tagged { event, sequence, index: 0 })?;
            if came {
                self.translator.pass(time);
            }
            Ok(())
        });
        let clock = matches!(record, Record::Clock(_));
        self.records.push((at.to_string(), record));
        match taken {
            Err(invalid) => self.receive(sequence, invalid.into()),
            // It is applied when it comes: the engine has no verdict on it.
            Ok(()) if clock => self.receive(sequence, Outcome::Applied),
            Ok(()) => {}
        }
        self.settle();
    }

    fn receive(&mut self, sequence: u64, outcome: Outcome) {
        let record = &self.records[sequence as usize - 1].1;
        if let (Record::Intent(intent), Outcome::Applied) = (record, &outcome) {
            // A stream is over within the horizon: whatever version was applied is known.
            let version = (intent.version, intent.cancel == Some(true));
            let before = self.versions.insert(intent.id.clone(), version);
            assert!(before < Some(version), "{}: {version:?} after {before:?}", intent.id);
        }
        let mut receipt = outbound::receipt(sequence, None, outcome);
        (receipt.kind, receipt.id) = (Some(record.kind().into()), subject_id(record));
        self.receipts.push(receipt);
    }

    /// Brings about what is due, and holds everything after every tick.
    fn settle(&mut self) {
        while self.engine.step() {
            // What was locked, or cancelled, before this tick takes part in it.
            let held = |decision: &&Decision| {
                matches!(decision.state, State::Locked | State::Active | State::Cancelled)
            };
            let taken: BTreeSet<WindowKey> =
                self.last.values().filter(held).map(|d| d.window.clone()).collect();
            let decisions = self.engine.drain_decisions();
            for verdict in self.engine.drain_verdicts() {
                self.receive(verdict.sequence, verdict.outcome);
            }
            let cancelled = decisions.iter().filter(|d| d.state == State::Cancelled);
            let taken = cancelled.fold(taken, |mut taken, decision| {
                taken.insert(decision.window.clone());
                taken
            });
            World::new(&self.params, &mut self.engine, &taken).hold(&mut self.tried);
            self.hold_decisions(&decisions);
        }
    }

    fn hold_decisions(&mut self, decisions: &[Decision]) {
        let mut locking: BTreeMap<_, i64> = BTreeMap::new();
        for decision in decisions {
            self.decisions.extend(self.announcer.messages(decision));
            let before = self.last.insert(decision.window.clone(), decision.clone());
            let revision = before.map_or(0, |before| before.revision);
            assert_eq!(decision.revision, revision + 1, "{:?}", decision.window);
            if decision.state == State::Locked {
                let units = decision.members.iter().map(|m| m.quantity as i64).sum::<i64>();
                *locking.entry(decision.window.offer()).or_default() += units;
            }
        }
        for (offer, units) in locking {
            // The book takes a lock in at the next tick: until then it shows the stock before it.
            let stock = self.engine.book().units(&offer);
            assert!(units <= stock, "{offer:?}: {units} units locked, stock {stock}");
        }
        let mut homes = BTreeMap::new();
        for decision in self.last.values() {
            if matches!(decision.state, State::Proposed | State::Locked | State::Active) {
                for member in &decision.members {
                    let other = homes.insert(&member.intent, &decision.window);
                    assert_eq!(other, None, "{} is in two windows", member.intent);
                }
            }
        }
    }

    /// Records with their outcomes, and decisions.
    fn story(&self, events: &[u8]) -> String {
        let mut story = format!("{:?}\n", self.params);
        for (n, line) in (1..).zip(String::from_utf8_lossy(events).lines()) {
            let receipt = self.receipts.iter().find(|receipt| receipt.sequence == n);
            let outcome = receipt.map_or("none", |receipt| receipt.outcome.as_str());
            story += &format!("{n} {outcome} {line}\n");
        }
        for (n, d) in (1..).zip(&self.decisions) {
            let members: Vec<_> = d.members.iter().map(|m| (&m.intent, m.accepted)).collect();
            let left: Vec<_> = d.left.iter().map(|l| (&l.intent, &l.reason.code)).collect();
            story += &format!(
                "{n} {} {} r{} {} {} at {} sees {}: {members:?} left {left:?}\n",
                d.decided_at,
                d.window,
                d.revision,
                d.state,
                d.reason.code,
                d.price.unit,
                d.input_sequence
            );
        }
        story
    }

    /// Ends the stream.
    fn close(&mut self) {
        self.engine.close();
        self.settle();
    }

    /// Ends the stream, and lets the checker have all of it.
    fn finish(mut self) -> BTreeMap<String, u64> {
        self.close();
        let (records, receipts) = (self.records.len(), self.receipts.len());
        assert_eq!(receipts, records, "every record has one receipt");
        let events = record_lines(&self.records);
        let (decisions, receipts) =
            (decision_lines(&self.decisions), receipt_lines(&self.receipts));
        let found = violation(&self.params, events.clone(), decisions, receipts);
        if let Some(violation) = found {
            panic!("{violation}\n{}", self.story(&events));
        }
        for decision in &self.decisions {
            *self.tried.entry(decision.state.clone()).or_default() += 1;
            let accepted = decision.members.iter().filter(|m| m.accepted).count() as u64;
            *self.tried.entry("accepted".into()).or_default() += accepted;
            for left in &decision.left {
                *self.tried.entry(left.reason.code.clone()).or_default() += 1;
            }
        }
        self.tried
    }
}

/// Streams that once broke a rule, or seemed to.
#[track_caller]
fn hold(seeds: &[u64]) {
    for seed in seeds {
        let _seed = Seed(*seed);
        stream::live(*seed).finish();
    }
}

#[test]
fn a_lapsed_intent_that_comes_back_is_not_asked_again_what_it_declined() {
    hold(&[1075]);
}

#[test]
fn what_breaks_and_is_mended_within_a_tick_never_broke() {
    // A store closes and opens again within one tick, while a window there is active.
    hold(&[1065, 1097]);
}

#[test]
fn who_wants_something_else_for_a_while_gives_up_what_was_accepted() {
    // Two edits in one tick: to another product, and back.
    hold(&[308]);
}

#[test]
fn a_promise_that_the_buyers_own_edit_breaks_is_not_called_broken_by_others() {
    // Twice the quantity, of which there is none left.
    hold(&[4789]);
}

#[test]
fn a_decline_from_within_a_locked_window_counts_when_that_is_cancelled() {
    hold(&[6795]);
}

#[test]
fn leaving_one_products_window_does_not_end_the_stay_in_anothers() {
    // Both in one store and slot.
    hold(&[536]);
}

#[test]
fn who_leaves_and_comes_back_within_a_tick_has_stayed() {
    hold(&[4175, 7477, 9346, 9635]);
}

#[test]
fn the_checker_knows_an_intent_by_the_version_that_lives() {
    hold(&[1523, 1570, 1728, 1929, 1977, 2127, 2519, 2555, 2900]);
}

/// What one worker decides that takes a record at a time, any number of workers decide in any batches.
#[test]
fn a_random_stream_decides_the_same_on_any_workers_in_any_batches() {
    let mut decisions = 0;
    for_each_seed(CASES / 10, |seed| {
        let dice = &mut Dice::new(!seed);
        let mut one = stream::live(seed);
        one.close();
        one.receipts.sort_by_key(|receipt| receipt.sequence);
        let records = (1..).zip(&one.records);
        let log: Vec<_> = records.map(|(n, (at, record))| inbound(n, at, record.clone())).collect();
        let (workers, batch) = (dice.roll(2, 6) as usize, dice.roll(1, 30) as usize);
        let mut many = run(&one.params, workers, batch, &log);
        many.receipts.sort_by_key(|receipt| receipt.sequence);
        let lines = |decisions: &[wire::Decision], receipts: &[wire::Receipt]| {
            let all = [decision_lines(decisions), receipt_lines(receipts)].concat();
            String::from_utf8(all).unwrap()
        };
        let many = lines(&many.decisions, &many.receipts);
        let differs = format!("{workers} workers, batches of {batch}");
        assert_eq!(many, lines(&one.decisions, &one.receipts), "{differs}");
        decisions += one.decisions.len();
    });
    assert!(decisions > 0);
}

/// Where so much changes that little is tried for each change, the rules are the same.
#[test]
fn every_tick_of_a_random_stream_in_haste_obeys_the_rules() {
    let (mut optima, mut in_haste) = (0, 0);
    for_each_seed(CASES / 4, |seed| {
        let tried = stream::live_with(seed, stream::IN_HASTE).finish();
        optima += tried.get("optimum").copied().unwrap_or(0);
        in_haste += tried.get("in haste").copied().unwrap_or(0);
    });
    assert!(optima > 0 && in_haste > 0);
}

#[test]
fn every_tick_of_a_random_stream_obeys_the_rules() {
    let mut tried: BTreeMap<String, u64> = BTreeMap::new();
    let mut seeds = 0;
    for_each_seed(CASES, |seed| {
        for (what, count) in stream::live(seed).finish() {
            *tried.entry(what).or_default() += count;
        }
        seeds += 1;
    });
    eprintln!("{seeds} streams: {tried:?}");
    if seeds >= CASES {
        let all = ["tick", "optimum", "greedy", "proposed", "locked", "active", "closed"];
        for what in all.into_iter().chain(["withdrawn", "cancelled", "accepted", "declined"]) {
            assert!(tried.get(what).is_some_and(|n| *n > 0), "{what} never happened");
        }
    }
}
