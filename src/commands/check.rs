//! `iceshop check`: whether decisions obey the rules, told by a program that shares no solver with
//! the engine.

use super::progress::reading;
use super::{failed, say};
use crate::check::{Report, check};
use crate::failure::Failure;
use crate::params_args::ParamArgs;
use anyhow::Context;
use connectors::file::{FileSource, Lines};

const EXAMPLES: &str = "\
Examples:
  iceshop run --record city.jsonl --output out.jsonl --receipts receipts.jsonl
  iceshop check --events city.jsonl --decisions out.jsonl --receipts receipts.jsonl
  iceshop check --events day.jsonl.zst --decisions out.jsonl --settle-ms 0    as the engine ran

Exit code 0: everything holds. 1: something does not; the first violation is printed with its line.
5: a file cannot be read.";

/// Hold decisions against the log they were made from, rule by rule.
///
/// Replays the events, and checks every decision as of its tick: distances, prices, tiers, budgets,
/// opening hours, stock, promises, revisions, locks, and what is missing. Prints what was checked
/// and the first violation; exit code 1 if there is one. Use the parameters the engine ran with.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The log: one record a line, as given to the engine; zstd is understood, `-` is standard
    /// input.
    #[arg(long, value_name = "FILE")]
    pub events: String,
    /// What the engine decided: one decision a line, in the order of publication.
    #[arg(long, value_name = "FILE")]
    pub decisions: String,
    /// All of the engine's receipts: one a line, in any order. Without it, receipts are not
    /// checked.
    #[arg(long, value_name = "FILE")]
    pub receipts: Option<String>,
    /// The parameters the engine ran with.
    #[command(flatten)]
    pub params: ParamArgs,
}

/// Checks, prints the report, and says whether everything holds.
///
/// # Errors
/// A parameter is out of range, or a file cannot be read.
pub fn run(args: &Args) -> Result<bool, Failure> {
    let report = report(args).map_err(failed)?;
    say(&report.to_string())?;
    Ok(report.violation.is_none())
}

fn report(args: &Args) -> anyhow::Result<Report> {
    let params = args.params.params().context("cannot use the engine parameters")?;
    let events = FileSource::open(&args.events)?;
    let decisions = Lines::open(&args.decisions)?;
    let receipts = args.receipts.as_deref().map(Lines::open).transpose()?;
    let bar = reading(events.progress());
    let report = check(&params, events, decisions, receipts);
    bar.finish_and_clear();
    report
}
