//! The events file, tick by tick: time, canonical order, and which sequences a tick reflects.
//!
//! A record that refers to something that is not known yet waits for its own tick (`waiting.rs`):
//! it is judged there, and moves no time until the log is at its end.
//!
//! Invariant: ticks only rise; records that are refused belong to no tick.

use super::facts::{self, Fact};
use super::outcome::Outcomes;
use super::receipts::{Receipts, Subject};
use super::waiting::{Known, Waiting};
use crate::translate::{Dating, Translator};
use anyhow::Result;
use connectors::file::FileSource;
use connectors::inbound::Inbound;
use dataflows::market::{Event, Params, Tick, Time};
use std::cell::Cell;
use std::cmp::Ordering;
use std::collections::VecDeque;

/// How many records are read at once.
const BATCH: usize = 4096;

/// A reader of the log.
pub(super) struct Log<'a> {
    source: FileSource,
    params: &'a Params,
    buffer: VecDeque<Inbound>,
    batch: Vec<Inbound>,
    /// The newest time of a good record that did not have to wait.
    newest: Option<Time>,
    /// The tick that time has come to: that of `newest`, or a later one after the end.
    reached: Tick,
    /// The next good record that does not wait, and its tick.
    next: Option<(Tick, Fact)>,
    /// What was spoken of so far.
    known: Known,
    /// Records of later ticks that refer to something unknown.
    waiting: Waiting,
    /// Whether everything was read.
    ended: bool,
    /// If there are receipts: those, and the words for what is refused.
    told: Option<(Receipts, Translator)>,
    rules: &'a Cell<u64>,
    /// The greatest line of a good record that was handed out.
    taken: u64,
    /// The last line that was read.
    last: u64,
    /// How many records were read, and how many of them were refused.
    counts: (u64, u64),
}

impl<'a> Log<'a> {
    /// Reads from that source. A record that is refused is held against its receipt at once.
    pub(super) fn new(
        source: FileSource,
        params: &'a Params,
        receipts: Option<Receipts>,
        rules: &'a Cell<u64>,
    ) -> Self {
        let words = || Translator::new(params.clone(), Dating::Required);
        Self {
            source,
            params,
            buffer: VecDeque::new(),
            batch: Vec::new(),
            newest: None,
            reached: Tick(0),
            next: None,
            known: Known::default(),
            waiting: Waiting::default(),
            ended: false,
            told: receipts.map(|receipts| (receipts, words())),
            rules,
            taken: 0,
            last: 0,
            counts: (0, 0),
        }
    }

    /// The next tick that has a record; `None` at the end.
    pub(super) fn next_tick(&mut self) -> Result<Option<Tick>> {
        while self.next.is_none() && !self.ended {
            match self.read()? {
                Some(inbound) => self.take(&inbound)?,
                None => self.ended = true,
            }
        }
        // What waits is judged once time has come to its tick.
        let waiting = self.waiting.first(|_| true).filter(|tick| *tick <= self.reached);
        let next = self.next.as_ref().map(|next| next.0);
        Ok(waiting.into_iter().chain(next).min())
    }

    /// All facts of the next tick, in canonical order.
    pub(super) fn take_tick(&mut self, facts: &mut Vec<Fact>) -> Result<Option<Tick>> {
        facts.clear();
        let Some(tick) = self.next_tick()? else { return Ok(None) };
        let waited = self.waiting.take(tick);
        if tick == self.reached {
            waited.iter().for_each(|_| self.waiting.count());
        }
        facts.extend(waited);
        while self.next.as_ref().is_some_and(|next| next.0 == tick) {
            facts.extend(self.next.take().map(|next| next.1));
            self.next_tick()?;
        }
        let last = facts.iter().map(|fact| fact.sequence).max();
        self.taken = self.taken.max(last.unwrap_or(0));
        facts.sort_by(canonical);
        Ok(Some(tick))
    }

    /// The tick that time has come to.
    pub(super) fn reached(&self) -> Tick {
        self.reached
    }

    /// After the end, moves time to the first waiting record that refers to something known by
    /// now, where `windows` says of an id whether it names a window of a known offer; `false` if
    /// there is none, or it is not the end.
    pub(super) fn go_on(&mut self, windows: impl Fn(&str) -> bool) -> bool {
        if !self.ended || self.next.is_some() {
            return false;
        }
        let known = |fact: &Fact| self.known.has(&fact.event, &windows);
        let Some(tick) = self.waiting.first(known) else { return false };
        self.come_to(tick);
        true
    }

    /// After the end, the records that refer to nothing that was ever known, in canonical order.
    pub(super) fn take_rest(&mut self) -> Vec<Fact> {
        let mut facts = self.waiting.take_all();
        facts.sort_by(canonical);
        facts
    }

    /// The least and the greatest `input_sequence` that reflect exactly what was taken: refused
    /// records after the last good one may or may not count, what waits does not.
    pub(super) fn reflected(&self) -> (u64, u64) {
        let next = self.next.as_ref().map(|next| next.1.sequence);
        let until = self.waiting.line_after(self.taken).into_iter().chain(next).min();
        (self.taken, until.map_or(self.last, |line| line - 1))
    }

    /// The receipts, if there are some.
    pub(super) fn receipts(&mut self) -> Option<&mut Receipts> {
        self.told.as_mut().map(|told| &mut told.0)
    }

    /// The receipts, if there are some, after everything else.
    pub(super) fn take_receipts(&mut self) -> Option<Receipts> {
        self.told.take().map(|told| told.0)
    }

    /// How many records were read, and how many of them were refused.
    pub(super) fn counts(&self) -> (u64, u64) {
        self.counts
    }

    fn read(&mut self) -> Result<Option<Inbound>> {
        if self.buffer.is_empty() {
            self.source.read_batch(BATCH, &mut self.batch)?;
            self.buffer.extend(self.batch.drain(..));
        }
        Ok(self.buffer.pop_front())
    }

    /// Takes in one record: it is refused, or waits, or is the next one.
    fn take(&mut self, inbound: &Inbound) -> Result<()> {
        self.last = inbound.sequence;
        self.counts.0 += 1;
        let judged = self.judge(inbound).map(|(time, event)| {
            let sure = self.known.has(&event, |_| false);
            (time, event, sure)
        });
        let Some((time, event, sure)) =
            judged.filter(|(.., sure)| *sure || self.waiting.has_room())
        else {
            self.counts.1 += 1;
            let Some((receipts, words)) = &mut self.told else { return Ok(()) };
            let translated = inbound.record.as_ref().map(|it| words.event(&inbound.at, it));
            let subject = Subject::of(inbound, translated.ok().and_then(Result::err));
            return receipts.expect(&subject, Outcomes::INVALID, self.rules).map(|_| ());
        };
        let subject = self.told.is_some().then(|| Box::new(Subject::of(inbound, None)));
        let fact = Fact { sequence: inbound.sequence, subject, event };
        let tick = self.params.tick(time);
        if sure {
            self.newest = Some(time);
            if let Some((_, words)) = &mut self.told {
                words.pass(time);
            }
            self.come_to(tick);
        } else if tick > self.reached {
            self.waiting.put(tick, fact);
            return Ok(());
        } else {
            self.waiting.count();
        }
        self.known.note(&fact.event, self.reached);
        self.next = Some((self.reached, fact));
        Ok(())
    }

    /// Time comes to that tick: what has waited for it, or for one before, may be referred to.
    fn come_to(&mut self, tick: Tick) {
        if tick > self.reached {
            let waited = self.waiting.until(tick);
            waited.for_each(|(tick, fact)| self.known.note(&fact.event, tick));
            self.known.forget(tick);
            self.waiting.restart();
            self.reached = tick;
        }
    }

    fn judge(&self, inbound: &Inbound) -> Option<(Time, Event)> {
        let record = inbound.record.as_ref().ok()?;
        let time = facts::time(&inbound.at, self.newest, self.params).ok()?;
        Some((time, facts::read(record, time, self.params).ok()?))
    }
}

/// The order within a tick: kind, what it is about, version, content, and at last the line.
fn canonical(a: &Fact, b: &Fact) -> Ordering {
    let by_key = match (&a.event, &b.event) {
        (Event::Store(a, v), Event::Store(b, w)) => a.id.cmp(&b.id).then(v.cmp(w)),
        (Event::Offer { offer: a, version: v, .. }, Event::Offer { offer: b, version: w, .. }) => {
            a.key.cmp(&b.key).then(v.cmp(w))
        }
        // The others begin with their key and their version: their own order does.
        _ => Ordering::Equal,
    };
    by_key.then_with(|| a.event.cmp(&b.event)).then(a.sequence.cmp(&b.sequence))
}
