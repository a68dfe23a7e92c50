//! The subcommands, one file each: typed arguments in, effects and a typed failure out.

pub mod bench;

pub mod check;

pub mod city;

pub mod cluster;

pub mod diff;

pub mod dlq;

pub mod generate;

pub mod nats;

pub mod pace;

pub mod publish;

pub mod replay;

pub mod run;

pub mod solve;

pub mod tap;

mod files;

mod progress;

use crate::failure::{Failure, Kind, OrFail};
use std::io::{self, Write};
use std::time::Duration;

/// What the process can do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Run the engine: the embedded city, a file of records, or NATS
    ///
    /// With no argument a seeded city of 10,000 intents an hour streams through the engine on an
    /// accelerated clock for about a minute: decisions on standard output, figures on standard
    /// error.
    Run(Box<run::Args>),
    /// Hold decisions against the log they were made from
    Check(check::Args),
    /// Write the records of a seeded, realistic city
    Generate(generate::Args),
    /// Publish a file of records to a city's input stream
    Publish(publish::Args),
    /// Print a city's decisions as they come
    Tap(tap::Args),
    /// Rebuild what was so at a past moment from the log, and print it
    Replay(Box<replay::Args>),
    /// Name the first decision in which two decision logs differ, and what led to it
    Diff(diff::Args),
    /// List, show and send again what could not be decoded
    Dlq(dlq::Args),
    /// Make or check a city's streams
    Nats(nats::Args),
    /// Solve one market from a file
    ///
    /// Groups the buyers of an instance and prints one line of JSON to stdout: the grouping's
    /// value, an upper bound on every grouping's value, and the gap between them.
    Solve(solve::Args),
    /// Measure the engine under a load that does not wait for it
    Bench(bench::Args),
}

impl Command {
    /// Does it.
    ///
    /// # Errors
    /// The command's own failure.
    pub fn run(&self) -> Result<(), Failure> {
        match self {
            Command::Run(args) => run::run(args),
            Command::Publish(args) => publish::run(args),
            Command::Tap(args) => tap::run(args),
            Command::Replay(args) => replay::run(args),
            Command::Dlq(args) => dlq::run(args),
            Command::Diff(args) => match diff::run(args)? {
                true => Ok(()),
                false => Err(Failure::new(Kind::Violation, anyhow::anyhow!("the logs differ"))),
            },
            Command::Nats(args) => nats::run(args),
            Command::Check(args) => match check::run(args)? {
                true => Ok(()),
                false => Err(Failure::new(Kind::Violation, anyhow::anyhow!("a rule is violated"))),
            },
            Command::Generate(args) => generate::run(args).map_err(failed),
            Command::Solve(args) => solve::run(args),
            Command::Bench(args) => bench::run(args),
        }
    }
}

/// What kind of failure an error of the library is.
fn failed(error: anyhow::Error) -> Failure {
    Failure { kind: Kind::Data, error }
}

/// A flag's duration in seconds, with or without a fraction.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| "not a number of seconds, 0 or more".into())
}

/// Writes one line of results to stdout.
///
/// # Errors
/// [`Kind::ReaderGone`] when nobody reads it any more, [`Kind::Data`] when it cannot be written.
pub fn say(line: &str) -> Result<(), Failure> {
    put(&[line.as_bytes(), b"\n"].concat())
}

/// Writes bytes to stdout.
///
/// # Errors
/// Those of [`say`].
fn put(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(bytes);
    match written.and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Kind::ReaderGone, error))
        }
        written => written.or_fail(Kind::Data, || "cannot write to stdout".into()),
    }
}
