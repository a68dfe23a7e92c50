//! `iceshop generate`: writes a seeded city as lines of wire records.

use super::city::CityArgs;
use crate::scenario::{City, Dated};
use anyhow::Context;
use connectors::codec::json;
use connectors::file::{FileError, LineSink};
use connectors::wire::Record;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;

/// How many records are written between two steps of the progress bar.
const STEP: u64 = 1_000;

const EXAMPLES: &str = "\
Examples:
  iceshop generate --output city.jsonl.zst                  10,000 intents in an hour
  iceshop generate --seed 7 --intents 100000 --hours 10 --stores 2000 -o day.jsonl
  iceshop generate --no-burst | iceshop run --input -       straight into the engine
  iceshop generate --centre 52.52,13.405 --timezone Europe/Berlin -o berlin.jsonl

Equal flags give equal records, byte for byte.";

/// What `iceshop generate` is asked for.
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The city.
    #[command(flatten)]
    pub city: CityArgs,
    /// Where the records go: a file (compressed if it ends in .zst), or - for standard output
    #[arg(long, short, default_value = "-", value_name = "FILE")]
    pub output: String,
}

/// Writes the city's records, one line each, ordered by time.
///
/// Whoever reads standard output may stop early: that is no error.
///
/// # Errors
/// When the output cannot be created or written.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let city = City::from(&args.city);
    let bar = progress(&city)?;
    let written = write(&city, &args.output, &bar);
    bar.finish_and_clear();
    match written {
        Err(error) if error.is_broken_pipe() => Ok(()),
        other => other.context("the city could not be written"),
    }
}

/// A progress bar in intents, shown only where somebody looks.
fn progress(city: &City) -> anyhow::Result<ProgressBar> {
    if !std::io::stderr().is_terminal() {
        return Ok(ProgressBar::hidden());
    }
    let template = "{wide_bar} {human_pos} of {human_len} intents, {eta} left";
    let bar = ProgressBar::new(city.intents as u64);
    bar.set_style(ProgressStyle::with_template(template)?);
    Ok(bar)
}

fn write(city: &City, output: &str, bar: &ProgressBar) -> Result<(), FileError> {
    let mut sink = LineSink::create(output)?;
    let mut line = Vec::new();
    let mut intents = 0;
    for Dated { at, record } in city.records() {
        line.clear();
        json::write_record(&mut line, Some(&at.to_string()), &record);
        sink.write_line(&line)?;
        if matches!(&record, Record::Intent(intent) if intent.version == 1) {
            intents += 1;
            if intents % STEP == 0 {
                bar.set_position(intents);
            }
        }
    }
    sink.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use connectors::file::FileSource;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["city.jsonl", "city.jsonl.zst"] {
            let output = folder.path().join(name);
            let output = output.to_str().unwrap();
            let flags = ["generate", "--intents", "300", "--stores", "20", "--output", output];
            let args = Cli::parse_from(flags).args;
            run(&args).unwrap();
            let mut read = Vec::new();
            let mut source = FileSource::open(output).unwrap();
            while source.read_batch(1_000, &mut read).unwrap() > 0 {}
            let expected = City::from(&args.city).records().map(|dated| dated.record);
            let read = read.into_iter().map(|inbound| inbound.record.unwrap());
            assert!(read.eq(expected), "{name}");
        }
    }

    #[test]
    fn an_output_that_cannot_be_made_is_an_error() {
        let args = Cli::parse_from(["generate", "--output", "/nowhere/city.jsonl"]).args;
        assert!(run(&args).is_err());
    }
}
