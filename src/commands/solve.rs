//! `iceshop solve`: one instance from a file, solved from scratch, with its certificate.

use super::files::distinct;
use super::progress::spinner;
use crate::commands::say;
use crate::failure::{Failure, Kind, OrFail};
use crate::instance::{Id, Instance, Solution};
use crate::readable::percent;
use connectors::file::STANDARD;
use dataflows::market::Certificate;
use dataflows::solver::{Budget, Phase, SCALE, Step};
use indicatif::ProgressBar;
use serde::Serialize;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

const EXAMPLES: &str = "\
Examples:
  iceshop solve market.json
    {\"value\":8262,\"bound\":8262,\"gap_ppm\":0,\"windows\":4,\"buyers\":31,\"elapsed_us\":5210}
  iceshop solve market.json --out grouping.json --certificate certificate.json
  iceshop solve - --out -                     from standard input to standard output
  iceshop solve market.json --budget 500      five times the work
  iceshop solve market.json --trace           how value and bound come together

The instance is one JSON object:
  {\"params\":  {\"travel_cost_per_km\": 30, \"slot_minutes\": 20},
   \"stores\":  [{\"id\": 7, \"lat\": 48.85, \"lng\": 2.35, \"open\": [[24, 57]]}],
   \"offers\":  [{\"store\": 7, \"product\": \"latte\", \"stock\": 40, \"list_price\": 420,
                \"tiers\": [{\"min_buyers\": 3, \"price\": 380}, {\"min_buyers\": 6, \"price\": 340}]}],
   \"intents\": [{\"id\": 1, \"product\": \"latte\", \"lat\": 48.853, \"lng\": 2.351, \"budget\": 400,
                \"quantity\": 1, \"reach_m\": 1200, \"from\": 29, \"to\": 32}]}
Ids are numbers or strings. A time is a slot's number or RFC 3339 (then params.epoch is the start of
slot 0, 1970-01-01T00:00:00Z if absent). Optional: an intent's \"intervals\" instead of from and to,
a store's \"open\", an offer's \"max_group\", params.horizon as [first, end].

The bound holds for every grouping. A certificate's prices prove it by themselves but for what joint
limits of an offer's windows and branch and bound have added: it can be less than they prove. The gap
is in millionths of the bound, rounded up.";

/// What `solve` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The instance, a JSON file; - is standard input
    pub instance: PathBuf,
    /// Write the grouping to this file, as JSON; - is standard output, and the line about it goes to
    /// standard error then
    #[arg(long, value_name = "GROUPING")]
    pub out: Option<PathBuf>,
    /// Write the dual prices behind the bound to this file, as JSON; - as for --out
    #[arg(long, value_name = "CERTIFICATE")]
    pub certificate: Option<PathBuf>,
    /// Work in percent of the usual: counted, never timed, so that equal input gives equal output
    #[arg(long, value_name = "PERCENT", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub budget: u32,
    /// Print the course of every market's value and bound to standard error, a line for every phase
    /// of every part, and what they come to
    #[arg(long)]
    pub trace: bool,
    /// Open, again and again, the window worth most to buyers who are free, and nothing else
    #[arg(long)]
    pub greedy: bool,
}

/// The line on stdout.
#[derive(Debug, Serialize)]
struct Summary {
    value: i64,
    bound: i64,
    gap_ppm: u64,
    windows: usize,
    buyers: usize,
    elapsed_us: u64,
}

/// Runs the command.
///
/// # Errors
/// [`Kind::Data`] when the instance cannot be used or a file cannot be written.
pub fn run(args: &Args) -> Result<(), Failure> {
    distinct(&[
        ("the instance", args.instance.to_str().filter(|instance| *instance != STANDARD)),
        ("--out", args.out.as_deref().and_then(Path::to_str)),
        ("--certificate", args.certificate.as_deref().and_then(Path::to_str)),
    ])?;
    let name = args.instance.display();
    let text =
        read(&args.instance).or_fail(Kind::Data, || format!("instance: {name}: cannot be read"))?;
    let instance =
        Instance::parse(&text).or_fail(Kind::Data, || format!("instance: {name}: not usable"))?;
    let started = Instant::now();
    let budget = Budget::percent(args.budget);
    let bar =
        if args.trace { ProgressBar::hidden() } else { spinner("{spinner} {elapsed}  {msg}") };
    let mut course = Course { started, shown: args.trace, bar };
    let solution = Solution::of(&instance, budget, args.greedy, &mut |product, step| {
        course.note(product, step)
    });
    course.end(solution.proof());
    let elapsed_us = started.elapsed().as_micros() as u64;
    if let Some(path) = &args.out {
        write(path, "out", &solution.grouping())?;
    }
    if let Some(path) = &args.certificate {
        write(path, "certificate", &solution.certificate())?;
    }
    let Certificate { value, bound } = solution.proof();
    let summary = Summary {
        value,
        bound,
        gap_ppm: Certificate { value, bound }.gap_ppm(),
        windows: solution.windows(),
        buyers: solution.buyers(),
        elapsed_us,
    };
    let line = serde_json::to_string(&summary).or_fail(Kind::Data, || "summary".into())?;
    let standard = |path: &Option<PathBuf>| path.as_deref().is_some_and(is_standard);
    if standard(&args.out) || standard(&args.certificate) {
        eprintln!("{line}");
        return Ok(());
    }
    say(&line)
}

/// Tells how value and bound come together.
struct Course {
    started: Instant,
    /// Whether every step is a line.
    shown: bool,
    /// The last step, on a terminal.
    bar: ProgressBar,
}

impl Course {
    fn note(&mut self, product: &Id, step: Step) {
        if !self.shown && self.bar.is_hidden() {
            return;
        }
        let phase = match step.phase {
            Phase::Construct => "construct",
            Phase::Prices => "prices",
            Phase::Search => "search",
            Phase::Branches => "branches",
        };
        let (part, parts) = step.part;
        let bound = step.bound.div_euclid(i128::from(SCALE)) as i64;
        let what = format!("{product} {part}/{parts} {phase:<9}");
        self.tell(&what, Certificate { value: step.value, bound });
    }

    /// What all markets come to.
    fn end(&self, proof: Certificate) {
        self.bar.finish_and_clear();
        if self.shown {
            self.tell("in all", proof);
        }
    }

    fn tell(&self, what: &str, proof: Certificate) {
        let Certificate { value, bound } = proof;
        let gap = percent(proof.gap_ppm());
        let step = format!("{what}  value {value}  bound {bound}  gap {gap}");
        if !self.shown {
            self.bar.set_message(step);
            return;
        }
        let at = self.started.elapsed().as_secs_f64() * 1_000.0;
        eprintln!("{at:10.1} ms  {step}");
    }
}

fn is_standard(path: &Path) -> bool {
    path == Path::new(STANDARD)
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    if !is_standard(path) {
        return std::fs::read(path);
    }
    let mut text = Vec::new();
    std::io::stdin().lock().read_to_end(&mut text)?;
    Ok(text)
}

fn write(path: &Path, flag: &str, value: &impl Serialize) -> Result<(), Failure> {
    let doing = || format!("{flag}: {}: cannot be written", path.display());
    if is_standard(path) {
        return say(&serde_json::to_string(value).or_fail(Kind::Data, doing)?);
    }
    let mut text = serde_json::to_vec(value).or_fail(Kind::Data, doing)?;
    text.push(b'\n');
    let file = std::fs::File::create(path).or_fail(Kind::Data, doing)?;
    (&file).write_all(&text).or_fail(Kind::Data, doing)
}
