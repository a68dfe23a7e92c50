//! How fast a city goes through the engine: `cargo bench --bench city -- [intents] [workers]`.
//!
//! Closed loop: every record of a seeded city is handed over as fast as it is taken, translated,
//! decided and announced in memory. Prints its parameters and one JSON line of figures; the digest
//! is that of the decisions, so that nothing is optimised away and a change of speed can be told
//! from a change of mind. Where most intents are live, the run is stopped once: its snapshot is
//! written, read, and restored, each timed. Under `cargo test` it runs at smoke size.

use connectors::codec::json;
use connectors::inbound::{Inbound, Stamp};
use connectors::nats::Noted;
use dataflows::flow::Standings;
use dataflows::market::Params;
use iceshop::run::forked::Forked;
use iceshop::run::pipeline::{Pipeline, Produce};
use iceshop::run::snapshot::{self, Folder, Position};
use iceshop::run::summary::Summary;
use iceshop::scenario::City;
use iceshop::translate::Dating;
use sha2::{Digest, Sha256};
use std::time::Instant;

/// Intents of a run that nobody gave a size.
const INTENTS: usize = 20_000;
/// Intents of a smoke run.
const SMOKE: usize = 300;
/// Records handed over at a time.
const BATCH: usize = 1_024;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let bench = args.iter().any(|arg| arg == "--bench");
    let mut numbers = args.iter().filter_map(|arg| arg.parse::<usize>().ok());
    let intents = numbers.next().unwrap_or(if bench { INTENTS } else { SMOKE });
    let workers = numbers.next().unwrap_or(1);
    let city = City { intents, hours: 2, ..City::default() };
    println!(
        "city: seed {}, {intents} intents in {} hours, {} stores, {} products, {workers} workers",
        city.seed, city.hours, city.stores, city.products
    );
    let records: Vec<Inbound> = city
        .records()
        .zip(1..)
        .map(|(dated, sequence)| Inbound {
            sequence,
            index: None,
            at: Stamp::Text(dated.at.to_string()),
            record: Ok(dated.record),
            raw: None,
        })
        .collect();
    let started = Instant::now();
    let mut pipeline =
        Pipeline::new(Params::default(), workers, Dating::Required, Standings::default());
    let mut digest = Sha256::new();
    let mut line = Vec::new();
    let mut keep = |produce: Produce| {
        for decision in &produce.decisions {
            line.clear();
            json::write_decision(&mut line, decision);
            digest.update(&line);
        }
    };
    for (n, batch) in records.chunks(BATCH).enumerate() {
        keep(pipeline.take(batch.to_vec()));
        if n == records.len() / BATCH / 2 {
            pipeline = stopped(pipeline, workers);
        }
    }
    keep(pipeline.finish());
    let summary = Summary::of(&pipeline.figures(), started);
    println!("{}", serde_json::to_string(&summary).expect("figures are JSON"));
    let digest: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    println!("decisions {digest}");
}

/// The pipeline after a snapshot, from which it is restored; says what that took.
fn stopped(mut pipeline: Pipeline, workers: usize) -> Pipeline {
    let live = pipeline.engine().stats().live_intents;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = Folder::open(folder.path(), 1).expect("a folder of snapshots");
    let timed = Instant::now();
    let saving = pipeline.save(&Forked).expect("a process can be copied");
    let save = timed.elapsed();
    let (city, stream_made) = (String::new(), String::new());
    let (recorded, noted, ended) = (None, Noted::default(), false);
    let (sequence, decided) = (1, 0);
    let came_ns = None;
    let position =
        Position { city, stream_made, recorded, sequence, came_ns, decided, noted, ended };
    let timed = Instant::now();
    let bytes = path.write(&position, saving).expect("the disk has room");
    let write = timed.elapsed();
    drop(pipeline);
    let timed = Instant::now();
    let found = snapshot::read(&path.list().expect("a snapshot")[0].1).expect("it is whole");
    let read = timed.elapsed();
    let timed = Instant::now();
    let restored = Pipeline::restore(&found.saved, workers, Dating::Required, Standings::default());
    let restored = restored.expect("this program made it");
    println!(
        "snapshot: {live} live intents, {bytes} bytes, {} a live intent; saved in {:.0} ms, written \
         in {:.0}, read in {:.0}, restored in {:.0}",
        bytes / (live as u64).max(1),
        save.as_secs_f64() * 1e3,
        write.as_secs_f64() * 1e3,
        read.as_secs_f64() * 1e3,
        timed.elapsed().as_secs_f64() * 1e3,
    );
    restored
}
