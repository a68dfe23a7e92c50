//! Where decisions go on the bench: encoded as a worker would get them, counted, and their records'
//! latency known.

use crate::run::pipeline::Produce;
use crate::run::summary::Histogram;
use connectors::codec::json;
use sha2::{Digest, Sha256};
use std::time::{Duration, Instant};

/// What has come so far.
#[derive(Default)]
pub(super) struct Sink {
    line: Vec<u8>,
    /// Of all decisions, and of those since the mark.
    digest: [Sha256; 2],
    pub decisions: u64,
    /// Buyers who were moved or set free by one.
    pub left: u64,
}

impl Sink {
    /// From here on [`Sink::digest_since`] counts.
    pub(super) fn mark(&mut self) {
        self.digest[1] = Sha256::new();
    }

    /// Takes decisions.
    pub(super) fn put(&mut self, produce: &Produce) {
        for decision in &produce.decisions {
            self.line.clear();
            json::write_decision(&mut self.line, decision);
            self.digest.iter_mut().for_each(|digest| digest.update(&self.line));
            self.decisions += 1;
            self.left += decision.left.len() as u64;
        }
    }

    /// The digest of all decisions.
    pub(super) fn digest(&self) -> String {
        hex(&self.digest[0])
    }

    /// The digest of those since the mark.
    pub(super) fn digest_since(&self) -> String {
        hex(&self.digest[1])
    }
}

fn hex(digest: &Sha256) -> String {
    digest.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// When the records of a rate are due, whether the engine is ready or not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub start: Instant,
    /// Records a second.
    pub rate: f64,
    /// The first one's number.
    pub first: u64,
}

impl Pace {
    /// How long after the start so many records have come before the next one.
    pub(super) fn due_after(&self, records: usize) -> Duration {
        Duration::from_secs_f64(records as f64 / self.rate)
    }

    /// How many are due that long after the start.
    pub(super) fn due(&self, passed: Duration) -> usize {
        (passed.as_secs_f64() * self.rate) as usize + 1
    }
}

/// A second of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Second {
    /// Records decided.
    pub done: u64,
    /// The greatest latency of those.
    pub worst: Duration,
    /// The certified gap of all markets at its end, in millionths.
    pub gap_ppm: u64,
}

/// What became of a rate's records.
pub(super) struct Measured {
    pace: Pace,
    pub latency: Histogram,
    pub seconds: Vec<Second>,
    /// How many were decided.
    pub decided: u64,
}

impl Measured {
    pub(super) fn new(pace: Pace) -> Self {
        Self { pace, latency: Histogram::default(), seconds: Vec::new(), decided: 0 }
    }

    /// All that is in the sink now, and how the markets stand.
    pub(super) fn note(&mut self, produce: &Produce, gap_ppm: u64) {
        let Pace { start, first, .. } = self.pace;
        let done = start.elapsed();
        let second = nth(&mut self.seconds, done.as_secs() as usize);
        for receipt in produce.receipts.iter().filter(|receipt| receipt.sequence >= first) {
            let late =
                done.saturating_sub(self.pace.due_after((receipt.sequence - first) as usize));
            self.latency.record(late);
            second.done += 1;
            second.worst = second.worst.max(late);
            self.decided += 1;
        }
        second.gap_ppm = gap_ppm;
    }
}

/// The second of that number; seconds in which nothing ended were as the one before.
fn nth(seconds: &mut Vec<Second>, n: usize) -> &mut Second {
    let gap_ppm = seconds.last().map_or(0, |second| second.gap_ppm);
    while seconds.len() <= n {
        seconds.push(Second { gap_ppm, ..Second::default() });
    }
    &mut seconds[n]
}
