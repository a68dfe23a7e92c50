//! What a bench found: as JSON, as a Markdown table, as a picture.

use super::Settings;
use super::open_loop::Offered;
use super::snapshots::{Figures, Restart};
use crate::readable::{count, money, percent, span};
use crate::run::summary::Summary;
use dataflows::market::Params;
use serde::Serialize;
use std::fmt::Write;
use std::time::Duration;

/// Where and what was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Setting {
    /// What was offered.
    pub workload: String,
    /// The processor's name, and how many cores this process may use.
    pub machine: String,
    /// The version, and the commit that it was built from if that was a checkout.
    pub version: String,
    /// When it began (RFC 3339).
    pub began: String,
    /// A rate is sustained if its p99 stays below this.
    pub sustained_p99_ms: f64,
    /// Workers of the dataflow, in each process.
    pub workers: usize,
    /// Processes that share the dataflow; CPU time and memory are the first one's.
    pub processes: usize,
    /// A tick of logical time, in milliseconds.
    pub tick_ms: i64,
    /// How long that is by the clock at the first rate, in milliseconds.
    pub clock_tick_ms: u64,
    /// Steps of upkeep in a millisecond of logical time, at most.
    pub upkeep_steps: u64,
}

/// What stood before anything was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Load {
    /// Stores, offers and intents.
    pub records: u64,
    /// How long the engine took them in.
    pub seconds: f64,
    /// CPU time of that.
    pub cpu_seconds: f64,
    /// Intents live then.
    pub live_intents: usize,
    /// Objective of all markets then, in minor units.
    pub value: i64,
    /// Certified gap of all markets, in millionths.
    pub gap_ppm: u64,
    /// Memory that came with them, by live intent, stores and offers included.
    pub bytes_per_live_intent: u64,
}

impl Load {
    /// For people, one line.
    pub fn text(&self) -> String {
        format!(
            "loaded    {} records in {} ({} CPU): {} live intents, {} bytes each, gap {}",
            count(self.records),
            span(Duration::from_secs_f64(self.seconds)),
            span(Duration::from_secs_f64(self.cpu_seconds)),
            count(self.live_intents as u64),
            count(self.bytes_per_live_intent),
            percent(self.gap_ppm),
        )
    }
}

/// A rate and what became of it.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Records a second, as offered.
    pub offered_per_s: f64,
    /// Records a second, as decided.
    pub decided_per_s: f64,
    /// Records offered.
    pub records: u64,
    /// Those decided while the rate lasted: their latency is known.
    pub measured: u64,
    /// Latency from a record's time to its decisions in the sink, in milliseconds.
    pub p50_ms: f64,
    /// 99 of a hundred took no longer.
    pub p99_ms: f64,
    /// 999 of a thousand took no longer.
    pub p999_ms: f64,
    /// None took longer.
    pub max_ms: f64,
    /// The longest that the engine was away with one batch.
    pub longest_batch_ms: f64,
    /// CPU seconds of 100,000 records.
    pub cpu_s_per_100k: f64,
    /// Gap of all markets, in the mean over the seconds, in millionths.
    pub gap_ppm: u64,
    /// The same at the end.
    pub gap_at_end_ppm: u64,
    /// Decisions made.
    pub decisions: u64,
    /// Buyers whom a decision moved or set free.
    pub left: u64,
    /// Parts of markets that were solved again.
    pub solved: u64,
    /// Parts that were not, since the credit of their market was used up.
    pub shed: u64,
    /// Times that a market took in a tick in haste, as so much changed in it.
    pub crowded: u64,
    /// Second by second: records decided, the greatest latency in milliseconds, the gap in millionths.
    pub seconds: Vec<(u64, f64, u64)>,
}

impl From<&Offered> for Row {
    fn from(offered: &Offered) -> Self {
        let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        let (gap_ppm, gap_at_end_ppm) = offered.gap_ppm();
        Self {
            offered_per_s: offered.rate,
            decided_per_s: offered.records as f64 / offered.took.as_secs_f64().max(1e-6),
            records: offered.records,
            measured: offered.measured,
            p50_ms: ms(offered.latency.quantile(0.5)),
            p99_ms: ms(offered.latency.quantile(0.99)),
            p999_ms: ms(offered.latency.quantile(0.999)),
            max_ms: ms(offered.latency.longest()),
            longest_batch_ms: ms(offered.longest),
            cpu_s_per_100k: offered.cpu_s_per_100k(),
            gap_ppm,
            gap_at_end_ppm,
            decisions: offered.decisions,
            left: offered.left,
            solved: offered.solved,
            shed: offered.shed,
            crowded: offered.crowded,
            seconds: offered.seconds.iter().map(|s| (s.done, ms(s.worst), s.gap_ppm)).collect(),
        }
    }
}

/// All of it.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Where and what.
    pub setting: Setting,
    /// What stood before.
    pub load: Load,
    /// By rate, in the order offered.
    pub rates: Vec<Row>,
    /// The highest rate whose p99 stayed below a quarter of a second; none of those offered: 0.
    pub sustained_per_s: f64,
    /// The most memory resident at any time.
    pub peak_rss_kib: u64,
    /// SHA-256 of all decisions: equal records, parameters and program give equal decisions.
    pub decisions_sha256: String,
    /// The engine's own figures over the whole run.
    pub engine: Summary,
    /// What snapshots took, if any were kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshots: Option<Figures>,
    /// How long a restart took, if one was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart: Option<Restart>,
    #[serde(skip)]
    offered: Vec<Offered>,
}

impl Report {
    pub(super) fn new(
        (settings, processes): (&Settings, usize),
        params: &Params,
        load: Load,
        offered: Vec<Offered>,
        engine: Summary,
        decisions_sha256: String,
    ) -> Self {
        let rates: Vec<Row> = offered.iter().map(Row::from).collect();
        let sustained_p99_ms = settings.sustained_p99.as_secs_f64() * 1e3;
        let good = rates.iter().filter(|row| row.measured > 0 && row.p99_ms < sustained_p99_ms);
        Self {
            setting: Setting {
                workload: settings.kind.name(),
                machine: machine(),
                version: version(),
                began: settings.began.to_string(),
                sustained_p99_ms,
                workers: settings.workers,
                processes,
                tick_ms: params.tick_ms,
                clock_tick_ms: settings.clock_tick_ms,
                upkeep_steps: params.upkeep_steps,
            },
            load,
            sustained_per_s: good.map(|row| row.offered_per_s).fold(0.0, f64::max),
            rates,
            peak_rss_kib: engine.peak_rss_kib,
            decisions_sha256,
            engine,
            snapshots: None,
            restart: None,
            offered,
        }
    }

    /// What was offered, for a picture.
    pub(super) fn offered(&self) -> &[Offered] {
        &self.offered
    }

    /// A page of Markdown.
    pub fn markdown(&self) -> String {
        let Setting { workload, machine, version, began, workers, processes, .. } = &self.setting;
        let Setting { tick_ms, clock_tick_ms, upkeep_steps, .. } = &self.setting;
        let mut page = format!(
            "{workload}\n\n{began}, {machine}, iceshop {version}, {} of the dataflow, ticks of {clock_tick_ms} \
             ms by the clock, {tick_ms} of logical time, at most {upkeep_steps} steps of upkeep in a \
             millisecond of that\n\n",
            match (*workers, *processes) {
                (1, 1) => "one worker".into(),
                (workers, 1) => format!("{workers} workers"),
                (workers, processes) => {
                    format!(
                        "{processes} processes (CPU and memory: the first one's) of {workers} workers"
                    )
                }
            },
        );
        let Load { records, seconds, cpu_seconds, live_intents, gap_ppm, .. } = &self.load;
        let _ = write!(
            page,
            "| loaded | seconds | CPU s | live intents | bytes each | gap | peak memory |\n\
             |---|---|---|---|---|---|---|\n\
             | {} | {seconds:.1} | {cpu_seconds:.1} | {} | {} | {} | {} MiB |\n\n",
            count(*records),
            count(*live_intents as u64),
            count(self.load.bytes_per_live_intent),
            percent(*gap_ppm),
            count(self.peak_rss_kib / 1_024),
        );
        page.push_str(
            "| offered/s | decided/s | p50 ms | p99 ms | p99.9 ms | max ms | CPU s per 100,000 | gap, mean | \
             at the end | decisions | moved or freed | parts solved | shed | in haste |\n\
             |---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
        );
        for row in &self.rates {
            let _ = writeln!(
                page,
                "| {} | {} | {:.1} | {:.1} | {:.1} | {:.1} | {:.2} | {} | {} | {} | {} | {} | {} | {} |",
                count(row.offered_per_s as u64),
                count(row.decided_per_s as u64),
                row.p50_ms,
                row.p99_ms,
                row.p999_ms,
                row.max_ms,
                row.cpu_s_per_100k,
                percent(row.gap_ppm),
                percent(row.gap_at_end_ppm),
                count(row.decisions),
                count(row.left),
                count(row.solved),
                count(row.shed),
                count(row.crowded),
            );
        }
        let _ = write!(
            page,
            "\nSustained (p99 below {} ms): {} records/s. Decisions: SHA-256 {}.\n",
            self.setting.sustained_p99_ms,
            count(self.sustained_per_s as u64),
            self.decisions_sha256,
        );
        let longest = self.rates.iter().map(|row| row.longest_batch_ms).fold(0.0, f64::max);
        let [value, bound] = [self.engine.market_value, self.engine.market_bound].map(money);
        let _ = writeln!(
            page,
            "At the end: value {value}, bound {bound}. The longest batch took {longest:.1} ms."
        );
        for (what, found) in [("most work", self.busiest()), ("widest gap", self.widest())] {
            let Some((product, figures)) = found else { continue };
            let _ = writeln!(
                page,
                "The market with the {what}, {product}: value {}, gap {} at the end; {} of its value proven \
                 optimal, {} parts solved, {} shed.",
                money(figures.value),
                percent(figures.gap_ppm),
                percent(figures.proven_ppm),
                count(figures.solved),
                count(figures.shed),
            );
        }
        let told =
            [self.snapshots.as_ref().map(Figures::text), self.restart.as_ref().map(Restart::text)];
        for text in told.into_iter().flatten() {
            let _ = writeln!(page, "{text}");
        }
        page
    }

    /// The market that took the most steps.
    fn busiest(&self) -> Option<(&String, &crate::run::markets::MarketFigures)> {
        self.engine.markets.iter().max_by_key(|(_, figures)| figures.steps.total())
    }

    /// The market that may be furthest below its optimum, in minor units.
    fn widest(&self) -> Option<(&String, &crate::run::markets::MarketFigures)> {
        self.engine.markets.iter().max_by_key(|(_, figures)| figures.bound - figures.value)
    }
}

/// The processor, and how many cores there are.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    format!("{cores} cores of {}", name.map_or("an unknown processor", |name| name.1.trim()))
}

/// The program's version and the commit that it was built from, if that was a checkout.
fn version() -> String {
    let commit = option_env!("ICESHOP_COMMIT").unwrap_or("no commit known");
    format!("{} ({commit})", env!("CARGO_PKG_VERSION"))
}
