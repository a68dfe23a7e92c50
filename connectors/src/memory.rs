//! A source and a sink in memory: for tests, and for an engine embedded in another program.
//!
//! **Delivery** everything, once, in order, until the process ends.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::inbound::{DeadLetter, Inbound, Stamp};
use crate::wire::{Decision, Receipt, Record};

/// Hands on what it was given.
#[derive(Debug, Clone, Default)]
pub struct MemorySource {
    waiting: VecDeque<Inbound>,
}

impl MemorySource {
    /// Hands on `inbound` as it is.
    pub fn new(inbound: impl IntoIterator<Item = Inbound>) -> MemorySource {
        MemorySource { waiting: inbound.into_iter().collect() }
    }

    /// Hands on records with their times, numbered from 1 like the lines of a file.
    pub fn of_records<T: Into<String>>(
        records: impl IntoIterator<Item = (T, Record)>,
    ) -> MemorySource {
        let numbered = (1..).zip(records).map(|(sequence, (at, record))| Inbound {
            sequence,
            index: None,
            at: Stamp::Text(at.into()),
            record: Ok(record),
            raw: None,
        });
        MemorySource::new(numbered)
    }

    /// Appends up to `limit` records to `out`, and says how many; 0 is the end.
    pub fn read_batch(&mut self, limit: usize, out: &mut Vec<Inbound>) -> usize {
        let count = limit.min(self.waiting.len());
        out.extend(self.waiting.drain(..count));
        count
    }
}

/// Keeps what it is given; clones share what they hold.
#[derive(Debug, Clone, Default)]
pub struct MemorySink {
    kept: Arc<Mutex<Kept>>,
}

/// What a [`MemorySink`] was given, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Kept {
    /// Decisions.
    pub decisions: Vec<Decision>,
    /// Receipts.
    pub receipts: Vec<Receipt>,
    /// Dead letters.
    pub dead_letters: Vec<DeadLetter>,
}

impl MemorySink {
    /// An empty sink.
    pub fn new() -> MemorySink {
        MemorySink::default()
    }

    /// Keeps a decision.
    pub fn decision(&self, decision: Decision) {
        self.with(|kept| kept.decisions.push(decision));
    }

    /// Keeps a receipt.
    pub fn receipt(&self, receipt: Receipt) {
        self.with(|kept| kept.receipts.push(receipt));
    }

    /// Keeps a dead letter.
    pub fn dead_letter(&self, letter: DeadLetter) {
        self.with(|kept| kept.dead_letters.push(letter));
    }

    /// Takes everything that was kept so far.
    pub fn take(&self) -> Kept {
        self.with(std::mem::take)
    }

    /// Works on what is kept; a panic elsewhere cannot have left it half written.
    fn with<T>(&self, work: impl FnOnce(&mut Kept) -> T) -> T {
        work(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
