//! What the tests share: draws, cities, the pipeline as one call, the checker, the binary.

use connectors::codec::json;
use connectors::file::{FileSource, Lines};
use connectors::inbound::{Inbound, Stamp};
use connectors::wire::{self, Record};
use dataflows::flow::Standings;
use dataflows::market::Params;
use iceshop::check::{Violation, check};
use iceshop::run::pipeline::{Pipeline, Produce};
use iceshop::scenario::City;
use iceshop::translate::Dating;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::io::Cursor;
use std::process::{Command, Output};

/// Seeded draws.
pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// From `least` to `most`, both included.
    pub(crate) fn roll(&mut self, least: i64, most: i64) -> i64 {
        let span = (most - least + 1) as u128;
        least + ((u128::from(self.0.next_u64()) * span) >> 64) as i64
    }

    /// True in so many of a hundred draws.
    pub(crate) fn chance(&mut self, percent: i64) -> bool {
        self.roll(1, 100) <= percent
    }

    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.roll(0, of.len() as i64 - 1) as usize]
    }

    pub(crate) fn shuffle<T>(&mut self, all: &mut [T]) {
        for n in (1..all.len()).rev() {
            all.swap(n, self.roll(0, n as i64) as usize);
        }
    }
}

/// Prints the seed when a test dies.
pub(crate) struct Seed(pub(crate) u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("ICESHOP_SEED={} fails", self.0);
        }
    }
}

/// Tries `ICESHOP_CASES` seeds, or the one in `ICESHOP_SEED`.
#[allow(clippy::disallowed_methods, reason = "a test's seed may come from outside")]
pub(crate) fn for_each_seed(cases: u64, mut test: impl FnMut(u64)) {
    let read = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seeds = match read("ICESHOP_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..read("ICESHOP_CASES").unwrap_or(cases),
    };
    for seed in seeds {
        let _seed = Seed(seed);
        test(seed);
    }
}

/// A city small enough for a test.
pub(crate) fn small_city(intents: usize) -> City {
    City { intents, stores: 60, products: 6, hours: 2, ..City::default() }
}

/// A record as the n-th line of a file.
pub(crate) fn inbound(sequence: u64, at: &str, record: Record) -> Inbound {
    let at = Stamp::Text(at.to_string());
    Inbound { sequence, index: None, at, record: Ok(record), raw: None }
}

/// Lines as a file would be read.
pub(crate) fn inbounds(lines: &[Vec<u8>]) -> Vec<Inbound> {
    let mut text = lines.join(&b'\n');
    text.push(b'\n');
    let mut source = FileSource::new(Cursor::new(text), "lines").unwrap();
    let mut all = Vec::new();
    while source.read_batch(1_000, &mut all).unwrap() > 0 {}
    all
}

/// A city's records as a file would have them.
pub(crate) fn city_log(city: &City) -> Vec<Inbound> {
    let records = city.records().zip(1..);
    records.map(|(dated, n)| inbound(n, &dated.at.to_string(), dated.record)).collect()
}

/// Everything that a log brings forth, in batches of that size.
pub(crate) fn run(params: &Params, workers: usize, batch: usize, log: &[Inbound]) -> Produce {
    let mut pipeline =
        Pipeline::new(params.clone(), workers, Dating::Required, Standings::default());
    let mut all = Produce::default();
    for part in log.chunks(batch) {
        extend(&mut all, pipeline.take(part.to_vec()));
    }
    extend(&mut all, pipeline.finish());
    all
}

/// Appends what came later.
pub(crate) fn extend(all: &mut Produce, more: Produce) {
    all.decisions.extend(more.decisions);
    all.receipts.extend(more.receipts);
    all.dead_letters.extend(more.dead_letters);
}

/// Decisions as the lines of a file.
pub(crate) fn decision_lines(decisions: &[wire::Decision]) -> Vec<u8> {
    lines(decisions, json::write_decision)
}

/// Receipts as the lines of a file.
pub(crate) fn receipt_lines(receipts: &[wire::Receipt]) -> Vec<u8> {
    lines(receipts, json::write_receipt)
}

/// Records as the lines of a file.
pub(crate) fn record_lines(records: &[(String, Record)]) -> Vec<u8> {
    lines(records, |out, (at, record)| json::write_record(out, Some(at), record))
}

fn lines<T>(all: &[T], write: impl Fn(&mut Vec<u8>, &T)) -> Vec<u8> {
    let mut out = Vec::new();
    for one in all {
        write(&mut out, one);
        out.push(b'\n');
    }
    out
}

/// The first thing that the independent checker finds wrong.
pub(crate) fn violation(
    params: &Params,
    events: Vec<u8>,
    decisions: Vec<u8>,
    receipts: Vec<u8>,
) -> Option<Violation> {
    let events = FileSource::new(Cursor::new(events), "events").unwrap();
    let decisions = Lines::new(Cursor::new(decisions), "decisions").unwrap();
    let receipts = Lines::new(Cursor::new(receipts), "receipts").unwrap();
    check(params, events, decisions, Some(receipts)).unwrap().violation
}

/// The binary, told nothing by this process's environment.
pub(crate) fn iceshop(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_iceshop"));
    for name in ["ICESHOP_NATS", "ICESHOP_CITY"] {
        command.env_remove(name);
    }
    command.args(args);
    command
}

/// Runs the binary to its end.
pub(crate) fn output(args: &[&str]) -> Output {
    iceshop(args).output().unwrap()
}

/// Runs the binary to its end, which must be a good one; its standard output.
#[track_caller]
pub(crate) fn succeed(args: &[&str]) -> String {
    let output = output(args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {}: {errors}", output.status);
    String::from_utf8(output.stdout).unwrap()
}
