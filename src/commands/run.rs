//! `iceshop run`: the engine, from a file, from NATS, or on the embedded city.

use super::city::CityArgs;
use super::cluster::ClusterArgs;
use super::files::{distinct, save};
use super::nats::{NatsArgs, block_on};
use super::pace::PaceArgs;
use crate::failure::{Failure, Kind, OrFail};
use crate::params_args::ParamArgs;
use crate::readable::{count, span};
use crate::run::files::{Form, Output, run_city, run_file};
use crate::run::pipeline::Pipeline;
use crate::run::resume::{OnRegress, Snapshots};
use crate::run::summary::Summary;
use crate::run::usage::thread_cpu;
use crate::run::{end_on_panic, nats};
use crate::scenario::City;
use crate::translate::Dating;
use connectors::file::STANDARD;
use dataflows::flow::{Crew, Profile, Standings};
use dataflows::market::Params;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  iceshop run                                        the embedded city, about a minute
  iceshop run --record city.jsonl > decisions.jsonl  and keep both sides of it
  iceshop run --input day.jsonl.zst --output out.jsonl --receipts receipts.jsonl
  iceshop run --nats nats://localhost:4222 --city istanbul
  iceshop run --hosts hosts.txt --nats nats://localhost:4222 --city istanbul
  iceshop run --hosts hosts.txt --process 1          and its second process, on the second host

A file holds one record a line, {\"at\": ..., \"kind\": ..., ...}, plain or zstd; - is standard
input or output. The same records give the same decisions, byte for byte, whatever --workers,
--hosts, --batch and --h3-resolution are.";

/// The heading of the flags that describe the embedded city.
const CITY: &str = "Embedded city";

/// How many operators a profile shows.
const OPERATORS_SHOWN: usize = 12;

/// What `iceshop run` is asked for.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES, mut_args = city_alone)]
pub struct Args {
    /// Read records from this file (- is standard input) instead of the embedded city
    #[arg(long, short, value_name = "FILE", conflicts_with = "nats")]
    pub input: Option<String>,
    /// Write decisions to this file (compressed if it ends in .zst), - is standard output
    #[arg(long, short, value_name = "FILE", default_value = "-", conflicts_with = "nats")]
    pub output: String,
    /// Write every record's receipt to this file
    #[arg(long, value_name = "FILE", conflicts_with = "nats")]
    pub receipts: Option<String>,
    /// Write what cannot be decoded to this file, byte for byte (of what is longer than 1,008 KiB the
    /// first 4,096 bytes)
    #[arg(long, value_name = "FILE", conflicts_with = "nats")]
    pub dead_letters: Option<String>,
    /// Write the run's figures to this file, as JSON; - is standard output
    #[arg(long, value_name = "FILE")]
    pub summary: Option<String>,
    /// Draw the certified gap over time into this file, as SVG; - is standard output
    #[arg(long, value_name = "FILE")]
    pub plot: Option<String>,
    /// Print what share of the engine's time each operator of the dataflow took, with one worker:
    /// measured as wall time, and by that share as CPU time
    #[arg(long, conflicts_with_all = ["workers", "nats", "hosts"])]
    pub profile: bool,
    /// Compare every market with a plain greedy on it every twenty minutes; it changes no decision
    #[arg(long, conflicts_with = "nats")]
    pub greedy: bool,
    /// Write decisions as JSON lines even on a terminal
    #[arg(long)]
    pub json: bool,
    /// Worker threads of the dataflow
    #[arg(long, short, default_value_t = 1, value_name = "COUNT",
          value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: u16,
    /// Records decoded and handed on at a time; it changes no decision
    #[arg(long, default_value_t = 1_024, value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub batch: u32,
    /// Whether this is one of several processes.
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// The engine's parameters.
    #[command(flatten)]
    pub params: ParamArgs,
    /// Where NATS is.
    #[command(flatten)]
    pub nats: RunArgs,
    /// How to connect.
    #[command(flatten)]
    pub connect: NatsArgs,
    /// How much faster than the clock the embedded city runs
    #[arg(long, default_value_t = 60.0, value_name = "FACTOR", value_parser = speed,
          help_heading = CITY)]
    pub speed: f64,
    /// Keep the embedded city's records in this file
    #[arg(long, value_name = "FILE", help_heading = CITY)]
    pub record: Option<String>,
    /// The embedded city.
    #[command(flatten, next_help_heading = CITY)]
    pub city: CityArgs,
}

/// What only a run on NATS is asked for.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "NATS")]
pub struct RunArgs {
    /// Publish every record's receipt, not only those of records that were not applied
    #[arg(long, requires = "nats")]
    pub all_receipts: bool,
    /// Stop when the input has been quiet for so long and everything is published
    #[arg(long, value_name = "SECONDS", value_parser = super::seconds, requires = "nats")]
    pub stop_when_idle: Option<Duration>,
    /// Messages published and not yet acknowledged, at most
    #[arg(long, default_value_t = 1_000, value_name = "COUNT", requires = "nats",
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub in_flight: u32,
    /// Keep snapshots in this folder, and go on after the newest one that is there
    #[arg(long, value_name = "FOLDER", requires = "nats", conflicts_with = "input")]
    pub snapshots: Option<PathBuf>,
    /// How often a snapshot is made.
    #[command(flatten)]
    pub pace: PaceArgs,
    /// How many snapshots are kept
    #[arg(long, value_name = "COUNT", default_value_t = 3, requires = "snapshots",
          value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub snapshots_kept: u16,
    /// Show in the broker how far snapshots are: acknowledge what they reflect on a durable consumer of
    /// this name (AckPolicy::All), which is made if it is missing
    #[arg(long, value_name = "NAME", requires = "snapshots", value_parser = consumer_name)]
    pub durable: Option<String>,
    /// What to do when the input stream was made anew, or ends before the snapshot does: fail, or rebuild,
    /// which forgets the snapshots and begins at the stream's first record. Not where its beginning was
    /// purged: what was decided of that cannot be made again
    #[arg(long, value_name = "WHAT", default_value = "fail", requires = "snapshots")]
    pub on_stream_regress: OnRegress,
}

impl RunArgs {
    fn snapshots(&self) -> Result<Option<Snapshots>, Failure> {
        let (pace, keep) = (self.pace.pace(), self.snapshots_kept as usize);
        let at = |path: &PathBuf| {
            Snapshots::at(path, keep, pace, self.on_stream_regress, self.durable.clone())
        };
        self.snapshots.as_ref().map(at).transpose()
    }
}

/// What describes the embedded city cannot be asked for together with another input.
fn city_alone(arg: clap::Arg) -> clap::Arg {
    match arg.get_help_heading() {
        Some(CITY) => arg.conflicts_with_all(["input", "nats"]),
        _ => arg,
    }
}

/// What a consumer on NATS may be called.
fn consumer_name(text: &str) -> Result<String, String> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    if (1..=64).contains(&text.len()) && text.chars().all(fits) {
        return Ok(text.into());
    }
    Err("a consumer's name is 1 to 64 of the characters A-Z, a-z, 0-9, _ and -".into())
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if (0.001..=1e9).contains(&speed) => Ok(speed),
        _ => Err("a factor is 0.001 to 1000000000".into()),
    }
}

/// Runs the engine to the end of its input.
///
/// # Errors
/// Parameters out of range, an input that cannot be read, an output that cannot be written, NATS
/// that cannot be reached.
pub fn run(args: &Args) -> Result<(), Failure> {
    end_on_panic();
    if args.connect.nats.is_none() && args.connect.city_name.is_some() {
        let error = "--city (or ICESHOP_CITY) names a city on NATS: say where that is with --nats URL, or \
                     leave it out to run a file or the embedded city";
        return Err(Failure::new(Kind::Usage, anyhow::anyhow!(error)));
    }
    distinct(&[
        ("--input", args.input.as_deref().filter(|input| *input != STANDARD)),
        ("--output", Some(args.output.as_str()).filter(|_| args.connect.nats.is_none())),
        ("--receipts", args.receipts.as_deref()),
        ("--dead-letters", args.dead_letters.as_deref()),
        ("--record", args.record.as_deref()),
        ("--summary", args.summary.as_deref()),
        ("--plot", args.plot.as_deref()),
    ])?;
    let params = args.params.params().or_fail(Kind::Config, || "parameters".into())?;
    let Some(crew) = args.cluster.crew(args.workers as usize)? else { return Ok(()) };
    let summary = match args.connect.nats {
        Some(_) => on_nats(args, params, crew)?,
        None => on_files(args, params, crew)?,
    };
    if let Some(path) = &args.plot {
        save(path, &summary.plot)?;
    }
    report(&summary, args.summary.as_deref())
}

/// Runs the engine on a city's streams.
fn on_nats(args: &Args, params: Params, crew: Crew) -> Result<Summary, Failure> {
    let settings = nats::Settings {
        params,
        batch: args.batch as usize,
        all_receipts: args.nats.all_receipts,
        stop_when_idle: args.nats.stop_when_idle,
        in_flight: args.nats.in_flight as usize,
        snapshots: args.nats.snapshots()?,
    };
    block_on(nats::run(args.connect.connect("iceshop run"), &settings, crew))
}

/// Runs the engine on a file, or on the embedded city.
fn on_files(args: &Args, params: Params, crew: Crew) -> Result<Summary, Failure> {
    let standings = Standings::new(args.greedy).timed(thread_cpu);
    let (pipeline, profile) = if args.profile {
        let (pipeline, profile) = Pipeline::profiled(params, Dating::Required, standings);
        (pipeline, Some(profile))
    } else {
        (Pipeline::new(params, crew, Dating::Required, standings), None)
    };
    let terminal = args.output == "-" && std::io::stdout().is_terminal();
    let form = if terminal && !args.json { Form::Readable } else { Form::Json };
    let (receipts, dead) = (args.receipts.as_deref(), args.dead_letters.as_deref());
    let output = Output::create(&args.output, form, receipts, dead)?;
    let summary = match &args.input {
        Some(input) => run_file(pipeline, input, args.batch as usize, output)?,
        None => {
            let city = City::from(&args.city);
            run_city(pipeline, city, args.speed, args.record.as_deref(), output)?
        }
    };
    if let Some(profile) = profile {
        tell(&profile, &summary);
    }
    Ok(summary)
}

/// The operators that took most of the engine's time. Timely's log has wall time; of the CPU time of
/// the engine's thread, in which all of them run, each has about the same share.
fn tell(profile: &Profile, summary: &Summary) {
    let usage = profile.usage();
    let all = usage.iter().map(|usage| usage.own).sum::<Duration>().as_secs_f64().max(1e-9);
    let on_a_core = summary.engine_cpu_ms as f64 / summary.engine_ms.max(1) as f64;
    for usage in usage.iter().take(OPERATORS_SHOWN) {
        let (name, own, calls) = (&usage.name, usage.own, count(usage.calls));
        let share = own.as_secs_f64() / all * 100.0;
        let (wall, cpu) = (span(own), span(own.mul_f64(on_a_core.min(1.0))));
        eprintln!(
            "operator   {name:<28} {share:5.1} % {wall:>9} wall {cpu:>9} CPU {calls:>12} calls"
        );
    }
}

/// The closing summary: for people on standard error, in JSON where asked for.
fn report(summary: &Summary, path: Option<&str>) -> Result<(), Failure> {
    eprint!("{}", summary.text());
    let Some(path) = path else { return Ok(()) };
    save(path, &serde_json::to_string_pretty(summary).expect("figures are JSON"))
}
