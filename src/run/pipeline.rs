//! One batch of input through translation, engine and announcement. No I/O.

use super::saving::{Saved, Saving};
use super::summary::Figures;
use super::usage::Stopwatch;
use crate::translate::{Announcer, Dating, Translator, outbound};
use connectors::inbound::{DeadLetter, Inbound, Refused};
use connectors::wire::{self, Record};
use dataflows::engine::{Engine, Tagged};
use dataflows::flow::{Crew, Flow, Profile, Standing, Standings};
use dataflows::market::{Outcome, Params, ProductId, Time};
use dataflows::saved::{Copier, Unreadable};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::time::Instant;

/// What a batch of input brought forth.
#[derive(Debug, Default)]
pub struct Produce {
    /// Decisions, in order.
    pub decisions: Vec<wire::Decision>,
    /// Receipts of records whose outcome is known now.
    pub receipts: Vec<wire::Receipt>,
    /// What could not be decoded.
    pub dead_letters: Vec<DeadLetter>,
}

/// What a receipt needs of a record that the engine has not judged yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Open {
    index: Option<u32>,
    kind: Cow<'static, str>,
    id: Option<String>,
}

/// What is kept beside the engine's state: the newest time, and records that are not judged yet.
type Beside = (Option<Time>, BTreeMap<(u64, u32), Open>);

/// The engine with what surrounds it.
pub struct Pipeline {
    translator: Translator,
    engine: Engine,
    announcer: Announcer,
    /// Records that the engine has not judged yet, by sequence and index.
    open: BTreeMap<(u64, u32), Open>,
    figures: Figures,
}

impl Pipeline {
    /// An engine on those workers, and nothing seen.
    pub fn new(
        params: Params,
        crew: impl Into<Crew>,
        dating: Dating,
        standings: Standings,
    ) -> Self {
        let flow = Flow::watched(&params, crew, standings);
        Self::on(flow, params, dating)
    }

    /// The same on one worker, with what its operators use.
    pub fn profiled(params: Params, dating: Dating, standings: Standings) -> (Self, Profile) {
        let (flow, profile) = Flow::profiled(&params, Instant::now(), standings);
        (Self::on(flow, params, dating), profile)
    }

    /// A pipeline that goes on where another one was saved; its figures begin at nothing.
    ///
    /// # Errors
    /// This version of the program cannot read what was saved.
    pub fn restore(
        saved: &Saved,
        crew: impl Into<Crew>,
        dating: Dating,
        standings: Standings,
    ) -> Result<Self, Unreadable> {
        let start = |params: &Params| Flow::watched(params, crew, standings);
        let (engine, beside) = Engine::restore(&saved.state, start)?;
        let (newest, open): Beside = beside;
        let params = saved.params.clone();
        let (carried, ticks_before) = (open.len() as u64, engine.stats().ticks);
        Ok(Self {
            translator: Translator::at(params.clone(), dating, newest),
            announcer: Announcer::new(params.slot),
            engine,
            open,
            figures: Figures { carried, ticks_before, ..Figures::default() },
        })
    }

    /// Copies what it needs to go on, between batches; waits until the markets are kept up.
    ///
    /// # Errors
    /// A copy cannot be made.
    pub fn save(&mut self, copier: &dyn Copier) -> io::Result<Saving> {
        self.engine.end_rest();
        let watch = Instant::now();
        let beside = (self.translator.newest(), &self.open);
        let state = self.engine.save(copier, &beside)?;
        self.figures.saved(watch.elapsed());
        Ok(Saving { params: self.engine.params().clone(), state })
    }

    fn on(flow: Flow, params: Params, dating: Dating) -> Self {
        Self {
            translator: Translator::new(params.clone(), dating),
            announcer: Announcer::new(params.slot),
            engine: Engine::new(params, flow),
            open: BTreeMap::new(),
            figures: Figures::default(),
        }
    }

    /// Takes in a batch, and brings about every tick that it has closed.
    pub fn take(&mut self, batch: Vec<Inbound>) -> Produce {
        self.take_while(batch, || true)
    }

    /// The same, tick by tick for as long as `go_on` says. What is not brought about then is part of
    /// what is saved, and is the first that the next call brings about.
    pub fn take_while(&mut self, batch: Vec<Inbound>, go_on: impl FnMut() -> bool) -> Produce {
        let mut produce = Produce::default();
        let watch = Stopwatch::start();
        for inbound in batch {
            self.admit(inbound, &mut produce);
        }
        self.figures.translate += watch.stop();
        self.run(&mut produce, go_on);
        produce
    }

    /// Does what is better done while nobody waits for a decision ([`Engine::rest`]).
    pub fn rest(&self) {
        self.engine.rest();
    }

    /// The log is at its end: its last tick is over.
    pub fn finish(&mut self) -> Produce {
        let mut produce = Produce::default();
        self.engine.close();
        self.run(&mut produce, || true);
        produce
    }

    /// Translates a record and hands it to the engine, or refuses it.
    fn admit(&mut self, inbound: Inbound, produce: &mut Produce) {
        self.figures.records += 1;
        produce.dead_letters.extend(inbound.dead_letter());
        let Inbound { sequence, index, at, record, .. } = inbound;
        let record = match record {
            Ok(record) => record,
            Err(refused) => {
                self.give(refusal(sequence, index, refused), produce);
                return;
            }
        };
        let place = index.unwrap_or(0);
        let taken = self.translator.event(&at, &record).and_then(|(time, event)| {
            let came = self.engine.apply(time, Tagged { event, sequence, index: place })?;
            if came {
                self.translator.pass(time);
            }
            Ok(())
        });
        let (kind, id) = (record.kind(), subject_id(&record));
        match taken {
            // It is applied whatever comes with it, and nothing may ever come after it.
            Ok(()) if matches!(record, Record::Clock(_)) => {
                let mut receipt = outbound::receipt(sequence, index, Outcome::Applied);
                receipt.kind = Some(kind.into());
                self.give(receipt, produce);
            }
            Ok(()) => {
                let kind = kind.into();
                self.open.insert((sequence, place), Open { index, kind, id });
            }
            Err(invalid) => {
                let mut receipt = outbound::receipt(sequence, index, Outcome::from(invalid));
                (receipt.kind, receipt.id) = (Some(kind.into()), id);
                self.give(receipt, produce);
            }
        }
    }

    /// Steps the engine as far as its log goes.
    fn run(&mut self, produce: &mut Produce, mut go_on: impl FnMut() -> bool) {
        while go_on() {
            let watch = Stopwatch::start();
            if !self.engine.step() {
                break;
            }
            self.figures.tick(watch.stop());
            self.figures.memory.note(self.engine.book().live_intents());
            if let Some(done) = self.engine.done() {
                let at = self.engine.params().start(done);
                self.figures.course.note(at, self.engine.market());
            }
            let decisions = self.engine.drain_decisions();
            for verdict in self.engine.drain_verdicts() {
                let key = (verdict.sequence, verdict.index);
                let Open { index, kind, id } = self.open.remove(&key).expect("judged once");
                let mut receipt = outbound::receipt(verdict.sequence, index, verdict.outcome);
                (receipt.kind, receipt.id) = (Some(kind.into()), id);
                self.give(receipt, produce);
            }
            let watch = Stopwatch::start();
            for decision in &decisions {
                self.figures.decided(decision);
                produce.decisions.extend(self.announcer.messages(decision));
            }
            self.figures.announce += watch.stop();
        }
    }

    fn give(&mut self, receipt: wire::Receipt, produce: &mut Produce) {
        self.figures.receipt(&receipt.outcome);
        produce.receipts.push(receipt);
    }

    /// The records that the engine has not judged yet, by sequence and index.
    pub fn waiting(&self) -> impl Iterator<Item = (u64, Option<u32>)> {
        self.open.iter().map(|((sequence, _), open)| (*sequence, open.index))
    }

    /// The newest time seen on a good record.
    pub fn newest(&self) -> Option<Time> {
        self.translator.newest()
    }

    /// When the last tick begins if the log ends here.
    pub fn last_tick(&self) -> Time {
        self.engine.last_tick()
    }

    /// What the run has done so far.
    pub fn figures(&self) -> Figures {
        let mut figures = self.figures.clone();
        figures.engine_now = self.engine.stats();
        figures.standings = self.engine.standings();
        figures.newest = self.newest();
        figures.waiting = self.open.len() as u64;
        figures
    }

    /// How the markets stood when they were last settled.
    pub fn standings(&self) -> BTreeMap<ProductId, Standing> {
        self.engine.standings()
    }

    /// What decides, beside the log.
    pub fn params(&self) -> &Params {
        self.engine.params()
    }

    /// The engine, to be read between batches.
    pub fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }
}

fn refusal(sequence: u64, index: Option<u32>, refused: Refused) -> wire::Receipt {
    let Refused { field, value, reason, kind, id, .. } = refused;
    let mut receipt = outbound::receipt(sequence, index, Outcome::Invalid { field, value, reason });
    (receipt.kind, receipt.id) = (kind, id);
    receipt
}

/// What a record is about, as its receipt names it.
pub fn subject_id(record: &Record) -> Option<String> {
    Some(match record {
        Record::Intent(intent) => intent.id.clone(),
        Record::Store(store) => store.id.clone(),
        Record::Offer(offer) => format!("{}_{}", offer.store, offer.product),
        Record::Stock(stock) => format!("{}_{}", stock.store, stock.product),
        Record::Reply(reply) => reply.window.clone(),
        Record::Arrival(arrival) => arrival.window.clone(),
        Record::Clock(_) => return None,
    })
}
