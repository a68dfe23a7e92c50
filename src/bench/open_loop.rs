//! Records offered at a rate, whether the engine is ready or not.

use crate::failure::Failure;
use crate::readable::{count, percent, span};
use crate::run::markets::MarketFigures;
use crate::run::pipeline::{Pipeline, Produce};
use crate::run::summary::Histogram;
use crate::run::usage::cpu_ms;
use connectors::codec::json;
use connectors::file::{TextLine, inbound};
use sha2::{Digest, Sha256};
use std::time::{Duration, Instant};

/// The most records handed over at a time.
pub(super) const BATCH: usize = 1_024;

/// An engine on the bench: its records numbered, its decisions taken, as a worker would get them.
pub struct Rig {
    pub(super) pipeline: Pipeline,
    /// The last record's number.
    sequence: u64,
    line: Vec<u8>,
    /// Of all decisions, and of those since the mark.
    digest: [Sha256; 2],
    /// Decisions, and buyers who were moved or set free by one.
    decisions: u64,
    left: u64,
}

/// What became of one rate.
#[derive(Debug, Clone)]
pub struct Offered {
    /// Records a second.
    pub rate: f64,
    /// Records offered.
    pub records: u64,
    /// Those of them that were decided while it lasted: their latency is known.
    pub measured: u64,
    /// From the first record's time until the last one was taken.
    pub took: Duration,
    /// From a record's time to its decisions in the sink.
    pub latency: Histogram,
    /// CPU time of the process, in seconds.
    pub cpu_s: f64,
    /// The longest that the engine was away with one batch.
    pub longest: Duration,
    /// Second by second.
    pub seconds: Vec<Second>,
    /// Decisions made.
    pub decisions: u64,
    /// Buyers who left a window for another, or for none.
    pub left: u64,
    /// Parts of markets that were solved again.
    pub solved: u64,
    /// Those that were not, since the credit of their market was used up.
    pub shed: u64,
    /// Times that a market took in a tick in haste, as so much changed in it.
    pub crowded: u64,
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

impl Rig {
    /// Before anything.
    pub(super) fn new(pipeline: Pipeline) -> Self {
        Self::after(pipeline, 0)
    }

    /// After that record.
    pub(super) fn after(pipeline: Pipeline, sequence: u64) -> Self {
        let (line, digest) = (Vec::new(), [Sha256::new(), Sha256::new()]);
        Self { pipeline, sequence, line, digest, decisions: 0, left: 0 }
    }

    /// The last record's number.
    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// From here on [`Rig::digest_since`] counts.
    pub(super) fn mark(&mut self) {
        self.digest[1] = Sha256::new();
    }

    /// Decodes lines and takes them in; what that brought forth is in the sink.
    pub(super) fn take(&mut self, lines: &[Vec<u8>]) -> Produce {
        let batch = lines.iter().map(|bytes| {
            self.sequence += 1;
            inbound(TextLine { number: self.sequence, bytes, length: bytes.len() as u64 })
        });
        let batch = batch.collect();
        let produce = self.pipeline.take(batch);
        for decision in &produce.decisions {
            self.line.clear();
            json::write_decision(&mut self.line, decision);
            self.digest.iter_mut().for_each(|digest| digest.update(&self.line));
            self.decisions += 1;
            self.left += decision.left.len() as u64;
        }
        produce
    }

    /// The digest of all decisions.
    pub(super) fn digest(&self) -> String {
        hex(&self.digest[0])
    }

    /// The digest of those since the mark.
    pub(super) fn digest_since(&self) -> String {
        hex(&self.digest[1])
    }

    /// Offers the lines, so many a second; `between` is called between batches.
    ///
    /// # Errors
    /// Those of `between`.
    pub(super) fn offer(
        &mut self,
        lines: &[Vec<u8>],
        rate: f64,
        between: &mut dyn FnMut(&mut Self) -> Result<(), Failure>,
    ) -> Result<Offered, Failure> {
        let (first, cpu, before) = (self.sequence + 1, cpu_ms(), self.markets());
        let (decisions, left) = (self.decisions, self.left);
        let (mut latency, mut seconds) = (Histogram::default(), Vec::new());
        let (mut next, mut measured, mut longest) = (0, 0, Duration::ZERO);
        let due_after = |n: usize| Duration::from_secs_f64(n as f64 / rate);
        let start = Instant::now();
        while next < lines.len() {
            let now = start.elapsed();
            if due_after(next) > now {
                std::thread::sleep(due_after(next) - now);
                continue;
            }
            let due = (now.as_secs_f64() * rate) as usize + 1;
            let until = due.min(next + BATCH).min(lines.len());
            let produce = self.take(&lines[next..until]);
            next = until;
            let done = start.elapsed();
            let second: &mut Second = nth(&mut seconds, done.as_secs() as usize);
            for receipt in produce.receipts.iter().filter(|receipt| receipt.sequence >= first) {
                let late = done.saturating_sub(due_after((receipt.sequence - first) as usize));
                latency.record(late);
                second.done += 1;
                second.worst = second.worst.max(late);
                measured += 1;
            }
            second.gap_ppm = self.pipeline.engine().market().gap_ppm();
            self.pipeline.rest();
            longest = longest.max(start.elapsed() - now);
            between(self)?;
        }
        let markets = self.markets();
        Ok(Offered {
            rate,
            records: lines.len() as u64,
            measured,
            took: start.elapsed(),
            latency,
            cpu_s: (cpu_ms() - cpu) as f64 / 1e3,
            longest,
            seconds,
            decisions: self.decisions - decisions,
            left: self.left - left,
            solved: markets.solved - before.solved,
            shed: markets.shed - before.shed,
            crowded: markets.crowded - before.crowded,
        })
    }

    /// All markets together.
    fn markets(&self) -> MarketFigures {
        MarketFigures::total(&self.pipeline.standings())
    }
}

fn hex(digest: &Sha256) -> String {
    digest.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The second of that number; seconds in which nothing ended were as the one before.
fn nth(seconds: &mut Vec<Second>, n: usize) -> &mut Second {
    let gap_ppm = seconds.last().map_or(0, |second| second.gap_ppm);
    while seconds.len() <= n {
        seconds.push(Second { gap_ppm, ..Second::default() });
    }
    &mut seconds[n]
}

impl Offered {
    /// CPU seconds of 100,000 records.
    pub fn cpu_s_per_100k(&self) -> f64 {
        self.cpu_s * 1e5 / self.records.max(1) as f64
    }

    /// Gap of all markets, in the mean over the seconds and at the end, in millionths.
    pub fn gap_ppm(&self) -> (u64, u64) {
        let sum: u64 = self.seconds.iter().map(|second| second.gap_ppm).sum();
        let last = self.seconds.last().map_or(0, |second| second.gap_ppm);
        (sum / (self.seconds.len() as u64).max(1), last)
    }

    /// For people, one line.
    pub fn text(&self) -> String {
        let ms = |share| span(self.latency.quantile(share));
        format!(
            "offered   {} records/s for {}: p50 {} p99 {} p99.9 {} max {}, {:.2} CPU s per 100,000, \
             gap {} in the mean",
            count(self.rate as u64),
            span(self.took),
            ms(0.5),
            ms(0.99),
            ms(0.999),
            span(self.latency.longest()),
            self.cpu_s_per_100k(),
            percent(self.gap_ppm().0),
        )
    }
}
