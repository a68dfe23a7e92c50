//! `iceshop bench`: the engine under a load that does not wait for it.

use super::cluster::ClusterArgs;
use super::files::{distinct, save, writable};
use super::pace::PaceArgs;
use super::say;
use crate::bench::snapshots::Asked;
use crate::bench::workload::Kind as Workload;
use crate::bench::{self, Settings, picture};
use crate::failure::{Failure, Kind, OrFail};
use crate::params_args::ParamArgs;
use crate::run::end_on_panic;
use crate::scenario::{City, Stay};
use connectors::file::STANDARD;
use jiff::Timestamp;
use std::path::PathBuf;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  iceshop bench                                     some seconds: does it work
  iceshop bench --city                              a million live intents, 1,000 updates/s
  iceshop bench --city --rates 1000,20000           faster than people come and go
  iceshop bench --burst --svg burst.svg             20,000 want one product at one place at noon
  iceshop bench --trace day.jsonl.zst --standing 100000 --rates 1000,5000
  iceshop bench --city --snapshots folder           what snapshots cost, and a restart
  iceshop bench --city --intents 100000 --stores 2000 --json result.json

Open loop: record n of a rate is due n / rate after its start, ready or not, and its latency runs
from then until the decisions of its tick are in the sink: a stall counts for every record that it
kept waiting. Time is scaled: by the first rate it is decided how long a tick lasts by the clock, and a
millisecond by the clock has the usual steps of upkeep, so give a rate a run of its own where these
matter. The page of figures is Markdown, on standard output.";

/// What `iceshop bench` is asked for.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A small city, some seconds long; this is what it does if nothing else is asked for
    #[arg(long, conflicts_with_all = ["city", "burst", "trace"])]
    pub smoke: bool,
    /// A great city: a million live intents, 20,000 stores, 2,000 products
    #[arg(long, conflicts_with_all = ["burst", "trace"])]
    pub city: bool,
    /// A city in which everybody wants one product at one place at noon
    #[arg(long, conflicts_with = "trace")]
    pub burst: bool,
    /// The records of this file, at the rates given instead of its own
    #[arg(long, value_name = "FILE")]
    pub trace: Option<String>,
    /// How many lines of the trace stand before anything is measured
    #[arg(long, value_name = "COUNT", default_value_t = 50_000, requires = "trace")]
    pub standing: usize,
    /// Rates to offer, in records a second, one after the other
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = rate)]
    pub rates: Vec<f64>,
    /// How long each rate is offered
    #[arg(long, value_name = "SECONDS", value_parser = super::seconds)]
    pub seconds: Option<Duration>,
    /// A rate is sustained if its p99 stays below this; the first that is not is the last
    #[arg(long, value_name = "MS", default_value_t = 250,
          value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    pub p99_ms: u64,
    /// How long a tick lasts by the clock at the first rate. Longer ticks cost less CPU, and records
    /// wait longer [default: 3 for each 1,000 records a second, 10 to 60]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub clock_tick_ms: Option<u64>,
    /// Live intents that stand before anything is measured
    #[arg(long, value_name = "COUNT", conflicts_with = "trace")]
    pub intents: Option<usize>,
    /// Stores
    #[arg(long, value_name = "COUNT", conflicts_with = "trace",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub stores: Option<u32>,
    /// Products
    #[arg(long, value_name = "COUNT", conflicts_with = "trace",
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub products: Option<u32>,
    /// Decides everything that is drawn
    #[arg(long, value_name = "NUMBER", conflicts_with = "trace", default_value_t = City::default().seed)]
    pub seed: u64,
    /// Worker threads of the dataflow
    #[arg(long, short, default_value_t = 1, value_name = "COUNT",
          value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: u16,
    /// Whether this is one of several processes.
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Keep snapshots meanwhile, in folders of the bench's own in this one, and at the end restart
    /// from the first of them, which is of what was loaded
    #[arg(long, value_name = "FOLDER", conflicts_with = "hosts")]
    pub snapshots: Option<PathBuf>,
    /// How often a snapshot is made.
    #[command(flatten)]
    pub pace: PaceArgs,
    /// Write the result to this file, as JSON; - is standard output, instead of the page
    #[arg(long, value_name = "FILE")]
    pub json: Option<String>,
    /// Draw latencies, throughput and gap into this file, as SVG
    #[arg(long, value_name = "FILE")]
    pub svg: Option<String>,
    /// The engine's parameters, but for the tick, which the first rate decides; steps of upkeep are those of a
    /// millisecond by the clock.
    #[command(flatten)]
    pub params: ParamArgs,
}

/// What a kind of bench does unless told otherwise.
struct Usual {
    crowd: usize,
    rush: usize,
    stores: u32,
    products: u32,
    rates: &'static [f64],
    seconds: f64,
}

const SMOKE: Usual =
    Usual { crowd: 2_000, rush: 0, stores: 200, products: 20, rates: &[60.0], seconds: 4.0 };
const CITY: Usual = Usual {
    crowd: 1_000_000,
    stores: 20_000,
    products: 2_000,
    // In real time: with those who leave when their time is over, about 1,000 updates/s.
    rates: &[533.0],
    seconds: 300.0,
    ..SMOKE
};
const BURST: Usual = Usual {
    crowd: 50_000,
    rush: 20_000,
    stores: 2_000,
    products: 200,
    rates: &[500.0],
    seconds: 60.0,
};

/// How long a tick lasts by the clock, in milliseconds: so long for each thousand records a second, at least and
/// at most. What a tick costs whatever is in it must not take all the time.
const CLOCK_TICK_MS: f64 = 3.0;
const CLOCK_TICK_LIMITS_MS: (f64, f64) = (10.0, 60.0);

/// Of a crowd, so many come and go in an hour of logical time for each that stands.
const TURNOVER_PER_HOUR: f64 = 1.6;
/// The most hours of logical time that a city lasts.
const MOST_HOURS: f64 = 8_760.0;

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (1.0..=10_000_000.0).contains(&rate) => Ok(rate),
        _ => Err("a rate is 1 to 10000000 records a second".into()),
    }
}

/// Runs the bench and tells what it found.
///
/// # Errors
/// Parameters out of range, a trace that cannot be read, a file that cannot be written.
pub fn run(args: &Args) -> Result<(), Failure> {
    end_on_panic();
    distinct(&[
        ("--trace", args.trace.as_deref()),
        ("--json", args.json.as_deref()),
        ("--svg", args.svg.as_deref()),
    ])?;
    if args.params.tick_ms != ParamArgs::default().tick_ms {
        let error = format!("--tick-ms {}: the first rate decides the tick", args.params.tick_ms);
        return Err(Failure::new(Kind::Usage, anyhow::anyhow!(error)));
    }
    let params = args.params.params().or_fail(Kind::Config, || "parameters".into())?;
    let settings = settings(args, params);
    for (flag, path) in [("--json", &args.json), ("--svg", &args.svg)] {
        writable(flag, path.as_deref())?;
    }
    // Before there are other threads.
    let workload = (args.cluster.process == 0).then(|| settings.workload()).transpose()?;
    let crew = args.cluster.crew(args.workers as usize)?;
    let Some((crew, workload)) = crew.zip(workload) else { return Ok(()) };
    let report = bench::run(&settings, workload, crew, &mut |line| eprintln!("{line}"))?;
    if let Some(path) = &args.svg {
        save(path, &picture::draw(&report))?;
    }
    match args.json.as_deref() {
        None => say(report.markdown().trim_end()),
        Some(path) => {
            let json = serde_json::to_string_pretty(&report).expect("figures are JSON");
            if path != STANDARD {
                say(report.markdown().trim_end())?;
            }
            save(path, &json)
        }
    }
}

fn settings(args: &Args, params: dataflows::market::Params) -> Settings {
    let usual = match (args.city, args.burst) {
        (true, _) => CITY,
        (_, true) => BURST,
        _ => SMOKE,
    };
    let rates = if args.rates.is_empty() { usual.rates.to_vec() } else { args.rates.clone() };
    let each = args.seconds.unwrap_or(Duration::from_secs_f64(usual.seconds));
    let kind = match &args.trace {
        Some(path) => Workload::Trace(path.clone(), args.standing),
        None => {
            let crowd = args.intents.unwrap_or(usual.crowd);
            let per_hour = (crowd as f64 * TURNOVER_PER_HOUR).max(1.0);
            // As many hours as all rates together offer records.
            let records = rates.iter().sum::<f64>() * each.as_secs_f64();
            let hours = (records / per_hour * 1.5).ceil().clamp(2.0, MOST_HOURS);
            Workload::City(City {
                seed: args.seed,
                crowd,
                rush: usual.rush,
                stay: Stay::SHORT,
                intents: (per_hour * hours) as usize,
                hours: hours as u32,
                stores: args.stores.unwrap_or(usual.stores) as usize,
                products: args.products.unwrap_or(usual.products) as usize,
                ..City::default()
            })
        }
    };
    let (workers, sustained_p99) = (args.workers as usize, Duration::from_millis(args.p99_ms));
    let pace = args.pace.pace();
    let snapshots = args.snapshots.clone().map(|folder| Asked { folder, pace });
    let (least_ms, most_ms) = CLOCK_TICK_LIMITS_MS;
    let usual_ms = (CLOCK_TICK_MS * rates[0] / 1e3).clamp(least_ms, most_ms) as u64;
    let (clock_tick_ms, began) = (args.clock_tick_ms.unwrap_or(usual_ms), Timestamp::now());
    Settings { kind, rates, each, sustained_p99, workers, clock_tick_ms, params, snapshots, began }
}
