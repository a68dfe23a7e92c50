//! `iceshop diff`: the first decision in which two decision logs differ, and what led to it.

use super::say;
use crate::failure::{Failure, Kind, OrFail};
use connectors::codec::json;
use connectors::file::Lines;
use serde_json::Value;
use std::collections::VecDeque;

const EXAMPLES: &str = "\
Examples:
  iceshop diff monday.jsonl replayed.jsonl
  iceshop diff a.jsonl b.jsonl.zst --events city.jsonl    and the records that came before it

Exit code 0: the logs hold the same bytes, line by line (line ends aside). 1: they differ; the first
line that does is shown, with the fields in which it does. 5: a file cannot be read.";

/// How many records that led to a decision are shown.
const RECORDS_SHOWN: usize = 20;

/// What `iceshop diff` is asked for.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A decision log: one decision a line; zstd is understood
    #[arg(value_name = "A")]
    pub left: String,
    /// The other one
    #[arg(value_name = "B")]
    pub right: String,
    /// The log they were made from: shows the last records before the first decision that differs,
    /// back to those that an earlier decision of both came of
    #[arg(long, value_name = "FILE")]
    pub events: Option<String>,
}

/// One side of a difference.
struct Side<'a> {
    path: &'a str,
    line: Option<Vec<u8>>,
}

/// Compares; whether the logs are the same.
///
/// # Errors
/// A file cannot be read.
pub fn run(args: &Args) -> Result<bool, Failure> {
    let open = |path: &str| Lines::open(path).or_fail(Kind::Data, || format!("cannot read {path}"));
    let (mut left, mut right) = (open(&args.left)?, open(&args.right)?);
    let mut number = 0;
    // The input of the last decision that both have, and the last one before that.
    let (mut last, mut earlier) = (0, 0);
    loop {
        number += 1;
        let a = Side { path: &args.left, line: next(&mut left)? };
        let b = Side { path: &args.right, line: next(&mut right)? };
        if a.line != b.line {
            show(number, &a, &b)?;
            if let Some(events) = &args.events {
                let until = [&a, &b].into_iter().filter_map(Side::input).max();
                // Several decisions may come of the same record.
                let after = if until == Some(last) { earlier } else { last };
                inputs(events, after, until.unwrap_or(u64::MAX))?;
            }
            return Ok(false);
        }
        let Some(line) = a.line else {
            say(&format!("{} decisions, all the same", number - 1))?;
            return Ok(true);
        };
        if let Some(input) = input(&line).filter(|input| *input > last) {
            (earlier, last) = (last, input);
        }
    }
}

/// The next line; a line that is too long to be kept whole differs from every other.
fn next(lines: &mut Lines) -> Result<Option<Vec<u8>>, Failure> {
    let line = lines.next_line().or_fail(Kind::Data, || "cannot read a line".into())?;
    Ok(line.map(|line| line.bytes.to_vec()))
}

/// The input that a decision reflects.
fn input(line: &[u8]) -> Option<u64> {
    json::read_decision(line).ok().map(|decision| decision.input_sequence)
}

impl Side<'_> {
    fn input(&self) -> Option<u64> {
        self.line.as_deref().and_then(input)
    }

    fn text(&self) -> String {
        let Some(line) = &self.line else { return "ends here".into() };
        match json::read_decision(line) {
            Ok(d) => format!(
                "{} revision {} {} at {}, of input {}",
                d.window, d.revision, d.state, d.decided_at, d.input_sequence
            ),
            Err(error) => format!("is no decision: {error}"),
        }
    }
}

/// Says where, what each has there, and in which fields they differ.
fn show(number: u64, a: &Side<'_>, b: &Side<'_>) -> Result<(), Failure> {
    say(&format!("line {number}"))?;
    for side in [a, b] {
        say(&format!("  {:<24} {}", side.path, side.text()))?;
    }
    let value = |side: &Side<'_>| {
        side.line.as_deref().and_then(|line| serde_json::from_slice::<Value>(line).ok())
    };
    let (Some(a), Some(b)) = (value(a), value(b)) else { return Ok(()) };
    let mut fields = Vec::new();
    compare("", &a, &b, &mut fields);
    for (path, a, b) in fields {
        say(&format!("  {path}: {a} | {b}"))?;
    }
    Ok(())
}

/// Appends the paths at which two values differ.
fn compare(path: &str, a: &Value, b: &Value, out: &mut Vec<(String, String, String)>) {
    let absent = &Value::Null;
    match (a, b) {
        (Value::Object(left), Value::Object(right)) => {
            let mut keys: Vec<&String> = left.keys().chain(right.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let of = |value: &Value| value.get(key).unwrap_or(absent).clone();
                compare(&below, &of(a), &of(b), out);
            }
        }
        (Value::Array(left), Value::Array(right)) => {
            for n in 0..left.len().max(right.len()) {
                let of = |all: &[Value]| all.get(n).unwrap_or(absent).clone();
                compare(&format!("{path}[{n}]"), &of(left), &of(right), out);
            }
        }
        _ if a == b => {}
        _ => out.push((path.to_string(), a.to_string(), b.to_string())),
    }
}

/// The last records after `after` up to `until`, by number of line.
fn inputs(path: &str, after: u64, until: u64) -> Result<(), Failure> {
    let fail = || format!("cannot read {path}");
    let mut lines = Lines::open(path).or_fail(Kind::Data, fail)?;
    let (mut shown, mut before) = (VecDeque::new(), 0);
    while let Some(line) = lines.next_line().or_fail(Kind::Data, fail)? {
        if line.number > until {
            break;
        }
        if line.number > after {
            let text = String::from_utf8_lossy(line.bytes);
            shown.push_back(format!("  record {}: {text}", line.number));
            if shown.len() > RECORDS_SHOWN {
                shown.pop_front();
                before += 1;
            }
        }
    }
    if before > 0 {
        say(&format!("  {before} records since record {after}, and"))?;
    }
    shown.iter().try_for_each(|record| say(record))
}
