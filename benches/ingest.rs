//! What a record costs until its market hears of it: `cargo bench --bench ingest -- [intents]`.
//!
//! Each part alone, over all records of a seeded city and several times: decoding JSON and bincode,
//! translating, and the book, which takes what has changed out of it after every record. The figure is
//! of the thread's CPU time, of the fastest pass.

use connectors::codec::{binary, json};
use connectors::inbound::Stamp;
use connectors::wire::Record;
use dataflows::engine::Book;
use dataflows::market::{Event, Params, Time};
use iceshop::run::usage::thread_cpu;
use iceshop::scenario::City;
use iceshop::translate::{Dating, Translator};
use std::hint::black_box;
use std::time::Duration;

/// Intents of a city that nobody gave a size, and of a smoke run.
const INTENTS: [usize; 2] = [50_000, 500];
/// How often each part runs.
const PASSES: usize = 5;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let usual = INTENTS[usize::from(!args.iter().any(|arg| arg == "--bench"))];
    let intents = args.iter().find_map(|arg| arg.parse().ok()).unwrap_or(usual);
    let city = City { intents, ..City::default() };
    let records: Vec<(String, Record)> =
        city.records().map(|dated| (dated.at.to_string(), dated.record)).collect();
    let count = records.len();
    println!("city: seed {}, {count} records, best of {PASSES}\n", city.seed);
    println!("| part | ns a record | records/s of a core |");
    println!("|---|---|---|");
    let encoded = |write: &dyn Fn(&mut Vec<u8>, &str, &Record)| -> Vec<Vec<u8>> {
        let line = |(at, record): &(String, Record)| {
            let mut line = Vec::new();
            write(&mut line, at, record);
            line
        };
        records.iter().map(line).collect()
    };
    let lines = encoded(&|to, at, record| json::write_record(to, Some(at), record));
    report("decoding JSON", count, || {
        lines.iter().filter(|line| json::read_record(line).record.is_ok()).count()
    });
    let bodies = encoded(&|to, _, record| binary::write_record(to, record));
    report("decoding bincode", count, || {
        bodies.iter().filter(|body| binary::read_record(body).is_ok()).count()
    });
    let stamped: Vec<(Stamp, &Record)> =
        records.iter().map(|(at, record)| (Stamp::Text(at.clone()), record)).collect();
    report("translating", count, || events(&stamped).len());
    report("translating, and the book", count, || keep_book(events(&stamped)));
}

fn events(records: &[(Stamp, &Record)]) -> Vec<(Time, Event)> {
    let mut translator = Translator::new(Params::default(), Dating::Required);
    let event = |(at, record): &(Stamp, &Record)| {
        let (time, event) = translator.event(at, record).expect("a city's records are good");
        translator.pass(time);
        (time, event)
    };
    records.iter().map(event).collect()
}

/// Takes all events in; how many records changed in the dataflow for it.
fn keep_book(events: Vec<(Time, Event)>) -> usize {
    let params = Params::default();
    let mut book = Book::new(params.clone());
    let mut changed = 0;
    for (time, event) in events {
        let tick = params.tick(time);
        book.pass(tick);
        let outcome = match event {
            Event::Store(store, version) => book.put_store(store, version),
            Event::Offer { offer, version, stock } => book.put_offer(offer, version, stock),
            Event::Stock { offer, version, change } => book.stock(&offer, version, &change),
            Event::Intent { id, version, put } => book.intent_event(tick, id, version, put),
            Event::Reply { .. } | Event::Arrival { .. } | Event::Clock => continue,
        };
        black_box(outcome);
        changed += book.take_changes().len();
    }
    changed
}

/// Times a part, and prints what a record of it costs.
fn report(part: &str, count: usize, mut run: impl FnMut() -> usize) {
    let mut best = Duration::MAX;
    for _ in 0..PASSES {
        let began = thread_cpu();
        let done = black_box(run());
        assert!(done > 0, "{part} did something");
        best = best.min(thread_cpu() - began);
    }
    let each = best.as_secs_f64() / count as f64;
    println!("| {part} | {:.0} | {:.0} |", each * 1e9, 1.0 / each);
}
