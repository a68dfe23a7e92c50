//! `iceshop bench`: how fast and how well the engine does under a load that does not wait for it.
//!
//! Open loop: record number n of the measured part is due n / rate after its start, whether the
//! engine is ready or not, and its latency runs from then until the decisions of its tick have been
//! handed to the sink, as JSON, in memory. So a stall is counted for every record that it kept
//! waiting (no coordinated omission). What is decoded and decided is what a run on NATS decodes and
//! decides; only the network is left out.
//!
//! | part | what it does |
//! |---|---|
//! | [`workload`] | what is offered: a standing city, a rush at noon, or a trace |
//! | [`open_loop`] | offers it at a rate, and measures |
//! | [`sink`] | takes what is decided, and knows how late it is |
//! | [`snapshots`] | keeps snapshots meanwhile, and restarts from one |
//! | [`report`] | JSON and a table |
//! | [`picture`] | latencies, throughput and gap as SVG |

pub mod open_loop;

pub mod picture;

mod sink;

pub mod snapshots;

pub mod report;

pub mod workload;

use crate::failure::{Failure, Kind as FailureKind, OrFail};
use crate::run::pipeline::Pipeline;
use crate::run::summary::Summary;
use crate::run::usage::{cpu_ms, rss_kib};
use crate::translate::Dating;
use connectors::codec::json;
use connectors::file::{TextLine, inbound};
use connectors::inbound::Stamp;
use connectors::wire::{Clock, Record};
use dataflows::flow::{Crew, Standings};
use dataflows::market::Params;
use jiff::Timestamp;
use open_loop::{Offered, Rig};
use report::{Load, Report};
use snapshots::Keeper;
use std::time::{Duration, Instant};
use workload::{Kind, Workload};

/// What is measured.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What is offered.
    pub kind: Kind,
    /// At which rates, one after the other, in records a second.
    pub rates: Vec<f64>,
    /// How long at each of them.
    pub each: Duration,
    /// A rate is sustained if its p99 stays below this; the first that is not is the last.
    pub sustained_p99: Duration,
    /// Worker threads of the dataflow, in each process.
    pub workers: usize,
    /// A tick is so long by the clock at the first rate, in milliseconds, however fast logical time passes.
    pub clock_tick_ms: u64,
    /// What decisions depend on; the tick follows from that.
    pub params: Params,
    /// Whether snapshots are kept meanwhile, and a restart is tried at the end.
    pub snapshots: Option<snapshots::Asked>,
    /// When it begins.
    pub began: Timestamp,
}

impl Settings {
    /// How many records a rate offers.
    fn records_at(&self, rate: f64) -> usize {
        (rate * self.each.as_secs_f64()).ceil() as usize
    }

    /// A tick of logical time, in milliseconds, where so many records come in a second of it.
    fn tick_ms(&self, logical_rate: f64) -> i64 {
        let speed = self.rates[0] / logical_rate.max(1e-6);
        (self.clock_tick_ms as f64 * speed).round().clamp(1.0, 60_000.0) as i64
    }

    /// What they are all made of.
    ///
    /// # Errors
    /// Those of [`Workload::open`].
    pub fn workload(&self) -> Result<Workload, Failure> {
        Workload::open(&self.kind, self.rates.iter().map(|rate| self.records_at(*rate)).sum())
    }
}

/// Loads, then offers at every rate in turn, to an engine with those workers.
///
/// # Errors
/// The trace cannot be read, or ends before anything was measured.
pub fn run(
    settings: &Settings,
    mut workload: Workload,
    crew: Crew,
    tell: &mut dyn FnMut(&str),
) -> Result<Report, Failure> {
    let processes = crew.processes();
    let (begun, tick_ms) = (Instant::now(), settings.tick_ms(workload.logical_rate()));
    let upkeep_steps = settings.params.upkeep_steps * settings.clock_tick_ms / tick_ms as u64;
    let params = Params { tick_ms, upkeep_steps, ..settings.params.clone() };
    let (workers, standings) = (settings.workers, Standings::default());
    let mut rig = Rig::new(Pipeline::new(params.clone(), crew, Dating::Required, standings));
    let load = load(&mut workload, &mut rig)?;
    tell(&load.text());
    let keeper = settings.snapshots.as_ref().map(|asked| Keeper::begin(asked, &mut rig));
    let mut keeper = keeper.transpose()?;
    if let Some(keeper) = &keeper {
        tell(&keeper.figures().text());
    }
    rig.sink.mark();
    let mut between = |rig: &mut Rig| match &mut keeper {
        Some(keeper) => keeper.pass(rig).or_fail(FailureKind::Data, || "a snapshot".into()),
        None => Ok(()),
    };
    let (mut offered, mut all): (Vec<Offered>, Vec<Vec<u8>>) = (Vec::new(), Vec::new());
    for &rate in &settings.rates {
        let lines = workload.measured(settings.records_at(rate))?;
        if lines.is_empty() && offered.is_empty() {
            let error = format!("{}: nothing is left to be measured", settings.kind.name());
            return Err(Failure::new(FailureKind::Data, anyhow::anyhow!(error)));
        }
        if lines.is_empty() {
            break;
        }
        let done = rig.offer(&lines, rate, &mut between)?;
        if settings.snapshots.is_some() {
            all.extend(lines);
        }
        tell(&done.text());
        let behind = done.latency.quantile(0.99) >= settings.sustained_p99;
        offered.push(done);
        if behind {
            break;
        }
    }
    let engine = Summary::of(&rig.pipeline.figures(), begun);
    let (digest, since) = (rig.sink.digest(), rig.sink.digest_since());
    let mut report = Report::new((settings, processes), &params, load, offered, engine, digest);
    if let (Some(asked), Some(mut keeper)) = (&settings.snapshots, keeper) {
        keeper.end().or_fail(FailureKind::Data, || "the last snapshot".into())?;
        tell(&keeper.figures().text());
        report.snapshots = Some(keeper.figures().clone());
        drop(rig);
        let restart = snapshots::restart(asked, workers, &all, &since)?;
        tell(&restart.text());
        report.restart = Some(restart);
    }
    Ok(report)
}

/// A line that says that time has come to that of another one; none where that says no time.
fn clock(line: &[u8]) -> Option<Vec<u8>> {
    let stamp = inbound(TextLine { number: 1, bytes: line, length: line.len() as u64 }).at;
    let Stamp::Text(at) = stamp else { return None };
    let mut clock = Vec::new();
    json::write_record(&mut clock, Some(&at), &Record::Clock(Clock {}));
    Some(clock)
}

/// Takes in what stands before anything is measured, as fast as that goes, until time has come to what is.
fn load(workload: &mut Workload, rig: &mut Rig) -> Result<Load, Failure> {
    let before_kib = rss_kib();
    let (mut taken, mut cpu, mut records) = (Duration::ZERO, 0, 0);
    loop {
        let mut lines = workload.opening()?;
        records += lines.len() as u64;
        let ends = lines.is_empty();
        if ends {
            lines.extend(workload.comes()?.and_then(clock));
        }
        let (started, began) = (Instant::now(), cpu_ms());
        rig.take(&lines);
        if ends {
            // What is left in the background is not measured with what comes next.
            rig.pipeline.engine().end_rest();
        }
        taken += started.elapsed();
        cpu += cpu_ms() - began;
        if ends {
            break;
        }
    }
    let stats = rig.pipeline.engine().stats();
    Ok(Load {
        records,
        seconds: taken.as_secs_f64(),
        cpu_seconds: cpu as f64 / 1e3,
        live_intents: stats.live_intents,
        value: stats.market.value,
        gap_ppm: stats.market.gap_ppm(),
        bytes_per_live_intent: rss_kib().saturating_sub(before_kib) * 1_024
            / (stats.live_intents as u64).max(1),
    })
}
