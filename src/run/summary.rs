//! What a run did, in figures: the closing summary, the summary file.

use super::course::Course;
use super::markets::MarketFigures;
use super::usage::{Spent, cpu_ms, peak_rss_kib, rss_kib};
use crate::readable::{count, money, percent, span};
use dataflows::engine::Stats;
use dataflows::flow::Standing;
use dataflows::market::{Decision, ProductId, State, Time};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Figures gathered while a run goes on.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Records read, good or bad.
    pub records: u64,
    /// Receipts by outcome.
    pub receipts: BTreeMap<String, u64>,
    /// Records whose tick is not over.
    pub waiting: u64,
    /// How many of them there were when this run began: one before it has read them.
    pub carried: u64,
    /// Ticks that runs before this one have brought about.
    pub ticks_before: u64,
    /// Decisions by the state that they announce.
    pub decisions: BTreeMap<&'static str, u64>,
    /// Buyers in windows that locked, and the value of those.
    pub locked_buyers: u64,
    /// The same, as value.
    pub locked_value: i64,
    /// Value and bound of the markets of windows, summed over the windows at their lock.
    pub at_lock: (i128, i128),
    /// Value and bound of all markets over time.
    pub course: Course,
    /// Time in translation.
    pub translate: Spent,
    /// Time in the engine's steps.
    pub engine: Spent,
    /// Time in writing decisions out as messages.
    pub announce: Spent,
    /// What live intents take up.
    pub memory: Memory,
    /// How long the engine stood still for snapshots.
    pub snapshots: Histogram,
    /// Steps by duration.
    pub ticks: Histogram,
    /// The engine as it is now.
    pub engine_now: Stats,
    /// How the markets stood when they were last settled.
    pub standings: BTreeMap<ProductId, Standing>,
    /// The newest time seen on a good record.
    pub newest: Option<Time>,
}

impl Figures {
    pub(super) fn tick(&mut self, took: Spent) {
        self.engine += took;
        self.ticks.record(took.wall);
    }

    pub(super) fn receipt(&mut self, outcome: &str) {
        match self.receipts.get_mut(outcome) {
            Some(count) => *count += 1,
            None => {
                self.receipts.insert(outcome.to_string(), 1);
            }
        }
    }

    /// It stood still for so long while its state was copied.
    pub(super) fn saved(&mut self, took: Duration) {
        self.snapshots.record(took);
    }

    pub(super) fn decided(&mut self, decision: &Decision) {
        *self.decisions.entry(decision.state.word()).or_default() += 1;
        if decision.state == State::Locked {
            self.locked_buyers += decision.members.len() as u64;
            self.locked_value += decision.value;
            self.at_lock.0 += decision.market.value as i128;
            self.at_lock.1 += decision.market.bound as i128;
        }
    }
}

/// Below so many live intents, memory says nothing about one.
const FEW_INTENTS: usize = 1_000;

/// What live intents take up: memory when there were most of them, and before there was one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    /// The most live intents at the end of a tick.
    most: usize,
    /// How many there were when memory was looked at last, and how much that was, in KiB.
    looked: (usize, u64),
    /// Memory when the first intent came, in KiB: stores and offers come before it.
    before_kib: Option<u64>,
}

impl Memory {
    /// So many intents are live at the end of a tick. Looks at memory when they are 1 % more than
    /// ever before.
    pub(super) fn note(&mut self, live: usize) {
        self.most = self.most.max(live);
        if live > self.looked.0 + self.looked.0 / 100 {
            let now_kib = rss_kib();
            self.before_kib.get_or_insert(now_kib);
            self.looked = (live, now_kib);
        }
    }

    /// Bytes a live intent when there were most, with its part of all that it brings about: windows,
    /// markets, the dataflow's state. `None` with few intents, or where that cannot be told.
    fn bytes_each(&self) -> Option<u64> {
        let (live, kib) = self.looked;
        let more = kib.checked_sub(self.before_kib?)?;
        (live >= FEW_INTENTS).then(|| more * 1_024 / live as u64)
    }
}

/// Durations in buckets of about 7 % width.
#[derive(Debug, Clone, Default)]
pub struct Histogram {
    buckets: BTreeMap<u32, u64>,
    count: u64,
    longest: Duration,
}

impl Histogram {
    /// Takes in one.
    pub fn record(&mut self, took: Duration) {
        let micros = (took.as_nanos() as f64 / 1_000.0).max(0.1);
        *self.buckets.entry((micros.log2() * 10.0 + 100.0) as u32).or_default() += 1;
        self.count += 1;
        self.longest = self.longest.max(took);
    }

    /// The longest.
    pub fn longest(&self) -> Duration {
        self.longest
    }

    /// Every bucket that holds any: its middle in microseconds, and how many.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let middle = |bucket: u32| ((bucket as f64 + 0.5 - 100.0) / 10.0).exp2();
        self.buckets.iter().map(move |(bucket, count)| (middle(*bucket), *count))
    }

    /// The duration that this share of all did not exceed, to about 7 %.
    pub fn quantile(&self, share: f64) -> Duration {
        let rank = (self.count as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in &self.buckets {
            seen += count;
            if seen >= rank {
                let edge = ((*bucket as f64 + 1.0 - 100.0) / 10.0).exp2();
                return Duration::from_secs_f64(edge / 1e6).min(self.longest);
            }
        }
        Duration::ZERO
    }
}

/// A run in figures, as the summary file holds it.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The gap over time, as a picture.
    #[serde(skip)]
    pub plot: String,
    /// Records read, good or bad.
    pub records: u64,
    /// Messages that the input stream had lost before they could be read.
    pub holes: u64,
    /// Records that a run before this one had read, and whose tick was not over.
    pub carried: u64,
    /// Receipts by outcome, of the carried ones, too.
    pub receipts: BTreeMap<String, u64>,
    /// Records without a receipt: their tick was not over when the run ended.
    pub waiting: u64,
    /// Decisions by the state that they announce.
    pub decisions: BTreeMap<&'static str, u64>,
    /// Buyers in windows that locked.
    pub locked_buyers: u64,
    /// The value of those windows.
    pub locked_value: i64,
    /// Gap of the markets of windows at their lock, in millionths.
    pub gap_at_lock_ppm: u64,
    /// Gap of all markets together, in the mean over logical time, in millionths.
    pub gap_over_time_ppm: u64,
    /// Intents in the market at the end.
    pub live_intents: usize,
    /// Objective of all markets at the end.
    pub market_value: i64,
    /// Bound of all markets at the end.
    pub market_bound: i64,
    /// Gap between the two, in millionths.
    pub gap_ppm: u64,
    /// All markets together, at the times at which they were settled.
    pub solver: MarketFigures,
    /// Each of them.
    pub markets: BTreeMap<String, MarketFigures>,
    /// Ticks brought about.
    pub ticks: u64,
    /// Wall time.
    pub wall_ms: u64,
    /// CPU time of the process.
    pub cpu_ms: u64,
    /// Records a second of wall time.
    pub updates_per_s: u64,
    /// Median duration of a tick.
    pub tick_p50_us: u64,
    /// 99th percentile of it.
    pub tick_p99_us: u64,
    /// The longest tick.
    pub tick_max_us: u64,
    /// Wall time in translation, in the engine, in announcing.
    pub translate_ms: u64,
    /// The same, in the engine.
    pub engine_ms: u64,
    /// The same, in announcing.
    pub announce_ms: u64,
    /// CPU time of the engine's own thread in each of the three. (With several workers, theirs is in
    /// `cpu_ms` alone.)
    pub translate_cpu_ms: u64,
    /// The same, in the engine.
    pub engine_cpu_ms: u64,
    /// The same, in announcing.
    pub announce_cpu_ms: u64,
    /// The most live intents at the end of a tick.
    pub most_live_intents: usize,
    /// Memory beyond that before the first intent, when most were live, by intent.
    pub bytes_per_live_intent: Option<u64>,
    /// The most memory resident at any time.
    pub peak_rss_kib: u64,
    /// Snapshots kept.
    pub snapshots: u64,
    /// The longest that the engine stood still for one.
    pub snapshot_pause_max_us: u64,
}

impl Summary {
    /// The summary of a run that began at `started`.
    pub fn of(figures: &Figures, started: Instant) -> Self {
        let wall = started.elapsed();
        let now = &figures.engine_now;
        let (value, bound) = figures.at_lock;
        Self {
            plot: figures.course.picture(),
            records: figures.records,
            holes: 0,
            carried: figures.carried,
            receipts: figures.receipts.clone(),
            waiting: figures.waiting,
            decisions: figures.decisions.clone(),
            locked_buyers: figures.locked_buyers,
            locked_value: figures.locked_value,
            gap_at_lock_ppm: if bound > 0 {
                ((bound - value) * 1_000_000 / bound) as u64
            } else {
                0
            },
            gap_over_time_ppm: figures.course.gap_ppm(),
            live_intents: now.live_intents,
            market_value: now.market.value,
            market_bound: now.market.bound,
            gap_ppm: now.market.gap_ppm(),
            solver: MarketFigures::total(&figures.standings),
            markets: figures
                .standings
                .iter()
                .map(|(product, standing)| (product.to_string(), standing.into()))
                .collect(),
            ticks: now.ticks - figures.ticks_before,
            wall_ms: wall.as_millis() as u64,
            cpu_ms: cpu_ms(),
            updates_per_s: (figures.records as f64 / wall.as_secs_f64().max(1e-6)) as u64,
            tick_p50_us: figures.ticks.quantile(0.5).as_micros() as u64,
            tick_p99_us: figures.ticks.quantile(0.99).as_micros() as u64,
            tick_max_us: figures.ticks.longest.as_micros() as u64,
            translate_ms: figures.translate.wall.as_millis() as u64,
            engine_ms: figures.engine.wall.as_millis() as u64,
            announce_ms: figures.announce.wall.as_millis() as u64,
            translate_cpu_ms: figures.translate.cpu.as_millis() as u64,
            engine_cpu_ms: figures.engine.cpu.as_millis() as u64,
            announce_cpu_ms: figures.announce.cpu.as_millis() as u64,
            most_live_intents: figures.memory.most,
            bytes_per_live_intent: figures.memory.bytes_each(),
            peak_rss_kib: peak_rss_kib(),
            snapshots: 0,
            snapshot_pause_max_us: figures.snapshots.longest.as_micros() as u64,
        }
    }

    /// The summary for people, several lines.
    pub fn text(&self) -> String {
        let [records, decisions, buyers] =
            [self.records, self.decisions.values().sum(), self.locked_buyers].map(count);
        let [intents, rate, ticks] =
            [self.live_intents as u64, self.updates_per_s, self.ticks].map(count);
        let [locked, value, bound] =
            [self.locked_value, self.market_value, self.market_bound].map(money);
        let [gap_at_lock, over_time, gap] =
            [self.gap_at_lock_ppm, self.gap_over_time_ppm, self.gap_ppm].map(percent);
        let ms = |ms: u64| span(Duration::from_millis(ms));
        let [wall, cpu] = [self.wall_ms, self.cpu_ms].map(ms);
        let [translating, engine, announcing] = [
            (self.translate_ms, self.translate_cpu_ms),
            (self.engine_ms, self.engine_cpu_ms),
            (self.announce_ms, self.announce_cpu_ms),
        ]
        .map(|(wall, cpu)| format!("{} ({} CPU)", ms(wall), ms(cpu)));
        let [p50, p99, longest] = [self.tick_p50_us, self.tick_p99_us, self.tick_max_us]
            .map(|us| span(Duration::from_micros(us)));
        let receipts = self.receipts.iter().map(|(word, n)| (word.as_str(), *n));
        let waiting = Some(("waiting", self.waiting)).filter(|waiting| waiting.1 > 0);
        let carried = match self.carried {
            0 => String::new(),
            carried => format!(" and {} that waited", count(carried)),
        };
        let missing = Some(("missing in the stream", self.holes)).filter(|holes| holes.1 > 0);
        let outcomes = list(receipts.chain(waiting).chain(missing));
        let states = list(self.decisions.iter().map(|(word, n)| (*word, *n)));
        let solver = self.solver.text();
        let memory = count(self.peak_rss_kib / 1_024);
        let most = count(self.most_live_intents as u64);
        let each = self
            .bytes_per_live_intent
            .map(|bytes| format!("; {} bytes an intent when most were live, {most}", count(bytes)));
        let each = each.unwrap_or_default();
        let pause = Duration::from_micros(self.snapshot_pause_max_us);
        let snapshots = match pause {
            Duration::ZERO => String::new(),
            _ => {
                let kept = count(self.snapshots);
                format!("{kept} kept: the engine stood still for {} at most", span(pause))
            }
        };
        [
            ("records", format!("{records}{carried}: {outcomes}")),
            ("decisions", format!("{decisions}: {states}")),
            (
                "locked",
                format!("{buyers} buyers, value {locked}, gap of their markets {gap_at_lock}"),
            ),
            (
                "at the end",
                format!("{intents} live intents, value {value}, bound {bound}, gap {gap}; over time {over_time}"),
            ),
            ("solver", solver),
            ("time", format!("{wall} wall, {cpu} CPU, {rate} updates/s")),
            (
                "of it",
                format!("{translating} translating, {engine} engine, {announcing} announcing"),
            ),
            ("ticks", format!("{ticks}: p50 {p50}, p99 {p99}, longest {longest}")),
            ("memory", format!("{memory} MiB at most{each}")),
            ("snapshots", snapshots),
        ]
        .iter()
        .filter(|(_, text)| !text.is_empty())
        .map(|(name, text)| format!("{name:<10} {text}\n"))
        .collect()
    }
}

/// `3 applied, 1 late`.
fn list<'a>(counts: impl Iterator<Item = (&'a str, u64)>) -> String {
    let all: Vec<String> = counts.map(|(word, n)| format!("{} {word}", count(n))).collect();
    if all.is_empty() { "none".into() } else { all.join(", ") }
}
