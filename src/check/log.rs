//! The events file, tick by tick: time, canonical order, and which sequences a tick reflects.
//!
//! Invariant: ticks only rise; records that are refused belong to no tick.

use super::facts;
use anyhow::Result;
use connectors::file::FileSource;
use connectors::inbound::Inbound;
use dataflows::market::{Event, Params, Tick, Time};
use std::cmp::Ordering;
use std::collections::VecDeque;

/// How many records are read at once.
const BATCH: usize = 4096;

/// One record that the protocol allows.
#[derive(Debug)]
pub(super) struct Fact {
    /// Its line.
    pub(super) sequence: u64,
    /// What it says.
    pub(super) event: Event,
}

/// A reader of the log.
pub(super) struct Log<'a> {
    source: FileSource,
    params: &'a Params,
    buffer: VecDeque<Inbound>,
    batch: Vec<Inbound>,
    /// The newest time of a good record.
    newest: Option<Time>,
    /// The next good record, and its tick.
    next: Option<(Tick, Fact)>,
    /// Lines of refused records that nobody has asked for yet.
    refused: Vec<u64>,
    /// The greatest line of a good record that was handed out.
    taken: u64,
    /// The last line that was read.
    last: u64,
    /// How many records were read, and how many of them were refused.
    counts: (u64, u64),
}

impl<'a> Log<'a> {
    /// Reads from that source.
    pub(super) fn new(source: FileSource, params: &'a Params) -> Self {
        Self {
            source,
            params,
            buffer: VecDeque::new(),
            batch: Vec::new(),
            newest: None,
            next: None,
            refused: Vec::new(),
            taken: 0,
            last: 0,
            counts: (0, 0),
        }
    }

    /// The tick of the next good record; `None` at the end.
    pub(super) fn next_tick(&mut self) -> Result<Option<Tick>> {
        while self.next.is_none() {
            let Some(inbound) = self.read()? else { return Ok(None) };
            self.last = inbound.sequence;
            self.counts.0 += 1;
            match self.judge(&inbound) {
                Some((time, event)) => {
                    self.newest = Some(time);
                    let fact = Fact { sequence: inbound.sequence, event };
                    self.next = Some((self.params.tick(time), fact));
                }
                None => {
                    self.counts.1 += 1;
                    self.refused.push(inbound.sequence);
                }
            }
        }
        Ok(self.next.as_ref().map(|next| next.0))
    }

    /// All facts of the next tick, in canonical order.
    pub(super) fn take_tick(&mut self, facts: &mut Vec<Fact>) -> Result<Option<Tick>> {
        facts.clear();
        let Some(tick) = self.next_tick()? else { return Ok(None) };
        while self.next_tick()? == Some(tick) {
            if let Some((_, fact)) = self.next.take() {
                self.taken = fact.sequence;
                facts.push(fact);
            }
        }
        facts.sort_by(canonical);
        Ok(Some(tick))
    }

    /// The least and the greatest `input_sequence` that reflect exactly what was taken: refused
    /// records after the last good one may or may not count.
    pub(super) fn reflected(&self) -> (u64, u64) {
        let until = self.next.as_ref().map_or(self.last, |next| next.1.sequence - 1);
        (self.taken, until)
    }

    /// The lines of refused records since the last call.
    pub(super) fn take_refused(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.refused)
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
