//! What ordinary teams would run instead, on the stream that the engine gets:
//! `cargo bench --bench baselines -- [options]`.
//!
//! | system | what it does |
//! |---|---|
//! | engine | every record as it comes; upkeep in the background |
//! | greedy on arrival | whoever comes joins or opens what gains most; nothing is reconsidered |
//! | greedy every 15 s | the plain greedy on everything that is live |
//! | solver every 15 s | the engine's own solver, from scratch, with its usual budget |
//! | HiGHS every 15 s | a MIP solver, one market at a time (feature `baselines`) |
//!
//! All of them lock windows at the same lead time, and what they have locked is what their buyers
//! got: that is the value compared, with the bonus for staying at 0. Latency is of logical time: how
//! long a record waits until it is looked at, and on top of that what looking at it takes.
//!
//! Options: `--intents N` that stand at first, `--stores N`, `--products N`, `--minutes N`, `--seed N`,
//! `--every SECONDS`, `--exact SECONDS` a market (0: leave HiGHS out), `--only NAME`.

mod arrival;
#[cfg(feature = "baselines")]
mod exact;
mod recompute;
mod town;

use arrival::Arrival;
use connectors::codec::json;
use connectors::file::{TextLine, inbound};
use connectors::inbound::Inbound;
use dataflows::flow::Standings;
use dataflows::market::{Event, Params, Time};
use iceshop::run::pipeline::Pipeline;
use iceshop::run::summary::Summary;
use iceshop::run::usage::thread_cpu;
use iceshop::scenario::{City, Stay};
use iceshop::translate::{Dating, Translator};
use recompute::{Method, Recompute};
use std::time::{Duration, Instant};
use town::Town;

/// The allocator of the program that is compared.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let asked = Asked::read();
    let records = asked.records();
    println!(
        "{} records of {} minutes, {} intents stand at first, {} stores, {} products, seed {}\n",
        records.len(),
        asked.minutes,
        asked.intents,
        asked.stores,
        asked.products,
        asked.seed
    );
    println!(
        "| system | CPU s | per 100,000 records | locked value | buyers | to it at the end | a record waits | work at a time, longest |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let every = asked.every;
    let mut methods = vec![
        (format!("greedy every {every} s"), Method::Greedy),
        (format!("solver every {every} s"), Method::Solver(100)),
    ];
    #[cfg(feature = "baselines")]
    if asked.exact > 0.0 {
        methods.push((format!("HiGHS every {every} s"), Method::Exact(asked.exact)));
    }
    methods.retain(|(name, _)| asked.wants(name));
    if asked.wants("engine") {
        engine(&asked, &records).print("engine", records.len());
    }
    if asked.wants("greedy on arrival") {
        on_arrival(&asked, &records).print("greedy on arrival", records.len());
    }
    for (name, method) in methods {
        recomputed(&asked, &records, method).print(&name, records.len());
    }
}

/// What is asked for.
struct Asked {
    intents: usize,
    stores: usize,
    products: usize,
    minutes: i64,
    seed: u64,
    every: i64,
    #[cfg_attr(not(feature = "baselines"), allow(dead_code, reason = "the MIP solver's alone"))]
    exact: f64,
    only: Option<String>,
}

impl Asked {
    fn read() -> Self {
        let args: Vec<String> = std::env::args().collect();
        let text = |name: &str| {
            let at = args.iter().position(|arg| arg == name)?;
            Some(args.get(at + 1).unwrap_or_else(|| panic!("{name} needs a value")).clone())
        };
        let number = |name: &str, usual: f64| {
            text(name).map_or(usual, |text| {
                text.parse().unwrap_or_else(|_| panic!("{name}: {text} is no number"))
            })
        };
        Self {
            intents: number("--intents", 4_000.0) as usize,
            stores: number("--stores", 400.0) as usize,
            products: number("--products", 40.0) as usize,
            minutes: number("--minutes", 60.0) as i64,
            seed: number("--seed", 7.0) as u64,
            every: number("--every", 15.0) as i64,
            exact: number("--exact", 0.0),
            only: text("--only"),
        }
    }

    fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| name.starts_with(only.as_str()))
    }

    fn params(&self) -> Params {
        Params { stay_bonus_ppm: 0, ..Params::default() }
    }

    /// The stream, as the engine reads it.
    fn records(&self) -> Vec<Inbound> {
        let hours = (self.minutes as u32).div_ceil(60).max(1);
        let city = City {
            seed: self.seed,
            crowd: self.intents,
            intents: (self.intents as f64 * 1.6 * f64::from(hours)) as usize,
            stay: Stay::SHORT,
            stores: self.stores,
            products: self.products,
            hours,
            ..City::default()
        };
        let end = city.opened() + jiff::SignedDuration::from_mins(self.minutes);
        let records = city.records().take_while(|dated| dated.at < end);
        let mut line = Vec::new();
        let read = records.zip(1..).map(|(dated, number)| {
            line.clear();
            json::write_record(&mut line, Some(&dated.at.to_string()), &dated.record);
            inbound(TextLine { number, bytes: &line, length: line.len() as u64 })
        });
        read.collect()
    }
}

/// What became of a system.
struct Outcome {
    cpu: Duration,
    locked: (i64, u64),
    standing: i64,
    /// Logical time from a record to when it is looked at, in the mean.
    waits: Duration,
    longest: Duration,
    note: String,
}

impl Outcome {
    fn print(&self, name: &str, records: usize) {
        let cpu = self.cpu.as_secs_f64();
        let (value, buyers) = self.locked;
        println!(
            "| {name}{} | {cpu:.1} | {:.2} | {:.2} | {buyers} | {:.2} | {:.1} s | {:.3} s |",
            self.note,
            cpu * 1e5 / records as f64,
            value as f64 / 100.0,
            self.standing as f64 / 100.0,
            self.waits.as_secs_f64(),
            self.longest.as_secs_f64()
        );
    }
}

/// Events in whole ticks, with the time of each.
fn events(asked: &Asked, records: &[Inbound]) -> Vec<(Time, Event)> {
    let mut translator = Translator::new(asked.params(), Dating::Required);
    let event = |inbound: &Inbound| {
        let record = inbound.record.as_ref().ok()?;
        let (time, event) = translator.event(&inbound.at, record).ok()?;
        translator.pass(time);
        Some((time, event))
    };
    records.iter().filter_map(event).collect()
}

fn engine(asked: &Asked, records: &[Inbound]) -> Outcome {
    let standings = Standings::default();
    let mut pipeline = Pipeline::new(asked.params(), 1, Dating::Required, standings);
    let (started, began, mut longest) = (Instant::now(), thread_cpu(), Duration::ZERO);
    for batch in records.chunks(64) {
        let before = thread_cpu();
        pipeline.take(batch.to_vec());
        longest = longest.max(thread_cpu() - before);
    }
    let standing = pipeline.engine().market().value;
    let cpu = thread_cpu() - began;
    let summary = Summary::of(&pipeline.figures(), started);
    Outcome {
        cpu,
        locked: (summary.locked_value, summary.locked_buyers),
        standing,
        // Until its tick is over.
        waits: Duration::from_millis(asked.params().tick_ms as u64 / 2),
        longest,
        note: String::new(),
    }
}

fn on_arrival(asked: &Asked, records: &[Inbound]) -> Outcome {
    let began = thread_cpu();
    let (mut town, mut greedy) = (Town::new(asked.params()), Arrival::default());
    let (mut minute, mut longest) = (i64::MIN, Duration::ZERO);
    for (now, event) in events(asked, records) {
        let before = thread_cpu();
        if now.minute() > minute {
            minute = now.minute();
            greedy.pass(&mut town, now);
        }
        let change = town.take(event);
        greedy.take(&town, now, change);
        longest = longest.max(thread_cpu() - before);
    }
    let (cpu, standing) = (thread_cpu() - began, greedy.standing(&town));
    let waits = Duration::ZERO;
    Outcome { cpu, locked: town.locked, standing, waits, longest, note: String::new() }
}

fn recomputed(asked: &Asked, records: &[Inbound], method: Method) -> Outcome {
    let began = thread_cpu();
    let (mut town, mut last) = (Town::new(asked.params()), Recompute::new(method));
    let (mut next, mut longest) = (None, Duration::ZERO);
    let every = asked.every * 1_000;
    for (now, event) in events(asked, records) {
        // The crowd stands before anything is decided.
        let due = *next.get_or_insert(now.plus_ms(60_000));
        if now >= due {
            let before = thread_cpu();
            last.pass(&mut town, due);
            longest = longest.max(thread_cpu() - before);
            next = Some(due.plus_ms(every));
        }
        town.take(event);
    }
    let (cpu, standing) = (thread_cpu() - began, last.standing(&town));
    let waits = Duration::from_millis(every as u64 / 2);
    let note = match last.markets {
        (_, 0) => String::new(),
        (all, open) => format!(" ({open} of {all} markets not proven in time)"),
    };
    Outcome { cpu, locked: town.locked, standing, waits, longest, note }
}
