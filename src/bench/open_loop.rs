//! Records offered at a rate, whether the engine is ready or not.
//!
//! As in a run on NATS, one thread reads and decodes what is due, this one steps the engine, and another
//! encodes what it decides.

use super::sink::{Measured, Pace, Second, Sink};
use crate::failure::Failure;
use crate::readable::{count, percent, span};
use crate::run::markets::MarketFigures;
use crate::run::pipeline::{Pipeline, Produce};
use crate::run::summary::Histogram;
use crate::run::usage::cpu_ms;
use connectors::file::{TextLine, inbound};
use connectors::inbound::Inbound;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// The most records handed over at a time.
pub(super) const BATCH: usize = 1_024;
/// How many batches may wait for the engine. What is due and not read waits all the same.
const READ_AHEAD: usize = 64;
/// After so many ticks what they brought forth is taken, where much time passes at once.
const STEPS: u32 = 64;
/// Records that come faster are read together, so many times a second.
const READS_A_SECOND: f64 = 1_000.0;

/// An engine on the bench: its records numbered, its decisions taken, as a worker would get them.
pub struct Rig {
    pub(super) pipeline: Pipeline,
    pub(super) sink: Sink,
    /// The last record's number.
    sequence: u64,
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
    /// From the first record's time until what the last one brought forth was in the sink.
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

impl Rig {
    /// Before anything.
    pub(super) fn new(pipeline: Pipeline) -> Self {
        Self::after(pipeline, 0)
    }

    /// After that record.
    pub(super) fn after(pipeline: Pipeline, sequence: u64) -> Self {
        Self { pipeline, sink: Sink::default(), sequence }
    }

    /// The last record's number.
    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Decodes lines and takes them in; what that brought forth is in the sink.
    pub(super) fn take(&mut self, lines: &[Vec<u8>]) {
        let mut batch = decode(lines, self.sequence);
        self.sequence += batch.len() as u64;
        loop {
            let mut steps = 0;
            let go_on = || {
                steps += 1;
                steps <= STEPS
            };
            let produce = self.pipeline.take_while(std::mem::take(&mut batch), go_on);
            self.sink.put(&produce);
            if steps <= STEPS {
                return;
            }
        }
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
        let (cpu, before) = (cpu_ms(), self.markets());
        let mut sink = std::mem::take(&mut self.sink);
        let (decisions, left) = (sink.decisions, sink.left);
        let pace = Pace { start: Instant::now(), rate, first: self.sequence + 1 };
        let mut measured = Measured::new(pace);
        let longest = thread::scope(|scope| {
            let (read, batches) = sync_channel(READ_AHEAD);
            let (decided, produces) = channel();
            scope.spawn(move || read_on(lines, pace, read));
            scope.spawn(|| {
                for (produce, gap_ppm) in produces {
                    sink.put(&produce);
                    measured.note(&produce, gap_ppm);
                }
            });
            self.decide(batches, decided, between)
        });
        let took = pace.start.elapsed();
        let (decisions, left) = (sink.decisions - decisions, sink.left - left);
        self.sink = sink;
        let (longest, markets) = (longest?, self.markets());
        let Measured { latency, seconds, decided, .. } = measured;
        Ok(Offered {
            rate,
            records: lines.len() as u64,
            measured: decided,
            took,
            latency,
            cpu_s: (cpu_ms() - cpu) as f64 / 1e3,
            longest,
            seconds,
            decisions,
            left,
            solved: markets.solved - before.solved,
            shed: markets.shed - before.shed,
            crowded: markets.crowded - before.crowded,
        })
    }

    /// Steps the engine for every batch; the longest that one took.
    fn decide(
        &mut self,
        batches: Receiver<Vec<Inbound>>,
        decided: Sender<(Produce, u64)>,
        between: &mut dyn FnMut(&mut Self) -> Result<(), Failure>,
    ) -> Result<Duration, Failure> {
        let mut longest = Duration::ZERO;
        for batch in batches {
            let began = Instant::now();
            self.sequence += batch.len() as u64;
            let produce = self.pipeline.take(batch);
            // Who takes them ends after this.
            let _ = decided.send((produce, self.pipeline.engine().market().gap_ppm()));
            self.pipeline.rest();
            longest = longest.max(began.elapsed());
            between(self)?;
        }
        Ok(longest)
    }

    /// All markets together.
    fn markets(&self) -> MarketFigures {
        MarketFigures::total(&self.pipeline.standings())
    }
}

/// Decodes the lines that come after record `before`.
fn decode(lines: &[Vec<u8>], before: u64) -> Vec<Inbound> {
    let numbered = lines.iter().zip(before + 1..);
    let line = |(bytes, number): (&Vec<u8>, u64)| {
        inbound(TextLine { number, bytes, length: bytes.len() as u64 })
    };
    numbered.map(line).collect()
}

/// Reads what is due, until all is or nobody takes it.
fn read_on(lines: &[Vec<u8>], pace: Pace, read: SyncSender<Vec<Inbound>>) {
    let together = (pace.rate / READS_A_SECOND) as usize;
    let mut next = 0;
    while next < lines.len() {
        let (now, due) = (pace.start.elapsed(), pace.due_after(next));
        if due > now {
            thread::sleep(pace.due_after((next + together).min(lines.len() - 1)) - now);
            continue;
        }
        let until = pace.due(now).min(next + BATCH).min(lines.len());
        if read.send(decode(&lines[next..until], pace.first - 1 + next as u64)).is_err() {
            return;
        }
        next = until;
    }
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
