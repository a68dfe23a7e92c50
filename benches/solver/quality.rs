//! Gaps, proofs and times of markets that are solved from scratch, by class and size, and the bars
//! that they are held against.
//!
//! Every market is solved with the usual budget and, unless that proves it, with several times as
//! much: the gap is to the best value known then, which is the optimum where either proves it.

use super::{classes, ms};
use dataflows::market::Certificate;
use dataflows::solver::Budget;
use iceshop::instance::{Instance, Solution};
use iceshop::run::usage::thread_cpu;
use std::time::Duration;

/// Sizes, in intents, and how many more times the usual budget their reference has.
const SIZES: [(usize, u32); 6] = [(20, 20), (40, 20), (70, 10), (100, 10), (150, 5), (300, 4)];
/// Classes that also come great, and how great.
const GREAT: ([&str; 2], (usize, u32)) = (["city", "dense"], (1_000, 3));

/// The classes that are like a city, and the spiteful ones.
const MILD: [&str; 4] = ["city", "dense", "sparse", "tight"];
const HARD: [&str; 5] = ["qty", "cliff", "chain", "lattice", "ties"];

/// What a bar asks of a group of markets, in percent.
struct Bar {
    name: &'static str,
    classes: &'static [&'static str],
    sizes: std::ops::RangeInclusive<usize>,
    /// The greatest gap to the best value known, in the mean; where there is none, the bar asks
    /// for a share of the markets that is proven.
    mean: Result<f64, f64>,
    worst: f64,
    certified: f64,
}

const BARS: [Bar; 4] = [
    Bar {
        name: "city, dense, sparse, tight; 20-150 intents",
        classes: &MILD,
        sizes: 20..=150,
        mean: Ok(0.4),
        worst: 2.5,
        certified: 3.0,
    },
    Bar {
        name: "qty, cliff, chain, lattice, ties; 20-150 intents",
        classes: &HARD,
        sizes: 20..=150,
        mean: Ok(0.8),
        worst: 5.0,
        certified: 7.0,
    },
    Bar {
        name: "all with up to 40 intents",
        classes: &classes::CLASSES,
        sizes: 0..=40,
        mean: Err(90.0),
        worst: 1.0,
        certified: 0.5,
    },
    Bar {
        name: "city and dense with 300 and 1,000 intents",
        classes: &GREAT.0,
        sizes: 300..=1_000,
        mean: Ok(0.5),
        worst: 1.5,
        certified: 2.5,
    },
];

/// How long markets of so many intents may take, in milliseconds of the processor.
const TIMES: [(usize, f64); 3] = [(40, 250.0), (100, 300.0), (1_000, 4_000.0)];

/// The table by class and size, and the bars.
pub(crate) fn run(bench: bool, seeds: u64) {
    let (sizes, seeds) = if bench { (&SIZES[..], seeds) } else { (&SIZES[..1], 1) };
    println!("## From scratch: {seeds} markets a class and size, seeds 0 to {}\n", seeds - 1);
    println!(
        "| class | intents | gap, mean | worst | hit | certified | proven | CPU ms, mean | worst |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let mut rows: Vec<(&str, usize, Row)> = Vec::new();
    for class in classes::CLASSES {
        let mut whole = Row::default();
        for &(size, more) in sizes.iter().chain(great(class).filter(|_| bench)) {
            let mut row = Row::default();
            for seed in 0..seeds {
                row.add(class, size, seed, more);
            }
            println!("| {class} | {size} | {} |", row.text());
            whole.join(&row);
            rows.push((class, size, row));
        }
        println!("| {class} | all | {} |", whole.text());
    }
    summary(&rows);
}

/// Its great size, if the class comes great.
fn great(class: &str) -> Option<&'static (usize, u32)> {
    Some(&GREAT.1).filter(|_| GREAT.0.contains(&class))
}

/// What was measured, beside each bar.
fn summary(rows: &[(&str, usize, Row)]) {
    let of = |classes: &[&str], sizes: &dyn Fn(usize) -> bool| {
        let mut all = Row::default();
        let wanted = rows.iter().filter(|row| classes.contains(&row.0) && sizes(row.1));
        wanted.for_each(|row| all.join(&row.2));
        all
    };
    println!("\n| bar | markets | mean gap | worst | certified gap, mean |");
    println!("|---|---|---|---|---|");
    for bar in &BARS {
        let row = of(bar.classes, &|size| bar.sizes.contains(&size));
        if row.markets == 0 {
            continue;
        }
        let n = row.markets as f64;
        let mean = match bar.mean {
            Ok(most) => beside(row.gap.0 / n, most),
            Err(least) => {
                let proven = row.proven as f64 / n * 100.0;
                format!("proven {proven:.0} % (>= {least:.0} %){}", flag(proven >= least))
            }
        };
        let (worst, certified) =
            (beside(row.gap.1, bar.worst), beside(row.certified / n, bar.certified));
        println!("| {} | {n} | {mean} | {worst} | {certified} |", bar.name);
    }
    println!("\n| intents | CPU ms, mean | worst | bar |\n|---|---|---|---|");
    for (size, most) in TIMES {
        let row = of(&classes::CLASSES, &|other| other == size);
        if row.markets > 0 {
            let (mean, worst) = (ms(row.took.0) / row.markets as f64, ms(row.took.1));
            println!("| {size} | {mean:.0} | {worst:.0} | <= {most:.0}{} |", flag(worst <= most));
        }
    }
}

/// A share in percent beside the most that it may be.
fn beside(measured: f64, most: f64) -> String {
    format!("{measured:.2} % (<= {most} %){}", flag(measured <= most))
}

fn flag(held: bool) -> &'static str {
    if held { "" } else { " missed" }
}

/// Some markets.
#[derive(Default)]
struct Row {
    markets: u64,
    /// Gaps to the best value known, in percent: their sum and the greatest.
    gap: (f64, f64),
    hits: u64,
    certified: f64,
    proven: u64,
    took: (Duration, Duration),
}

impl Row {
    fn add(&mut self, class: &str, size: usize, seed: u64, more: u32) {
        let document = classes::market(class, size, seed).to_string();
        let instance = Instance::parse(document.as_bytes()).expect("a generated market");
        let started = thread_cpu();
        let found = solve(&instance, 100);
        let took = thread_cpu() - started;
        let best = if found.gap_ppm() == 0 { found } else { solve(&instance, 100 * more) };
        assert!(found.value <= best.bound && best.value <= found.bound, "a bound is wrong");
        let best = best.value.max(found.value);
        let gap = if best > 0 { (best - found.value) as f64 / best as f64 * 100.0 } else { 0.0 };
        self.join(&Row {
            markets: 1,
            gap: (gap, gap),
            hits: (found.value == best) as u64,
            certified: found.gap_ppm() as f64 / 10_000.0,
            proven: (found.gap_ppm() == 0) as u64,
            took: (took, took),
        });
    }

    fn join(&mut self, other: &Row) {
        self.markets += other.markets;
        self.gap = (self.gap.0 + other.gap.0, self.gap.1.max(other.gap.1));
        self.hits += other.hits;
        self.certified += other.certified;
        self.proven += other.proven;
        self.took = (self.took.0 + other.took.0, self.took.1.max(other.took.1));
    }

    fn text(&self) -> String {
        let n = self.markets as f64;
        format!(
            "{:.2} % | {:.2} % | {:.0} % | {:.2} % | {:.0} % | {:.1} | {:.1}",
            self.gap.0 / n,
            self.gap.1,
            self.hits as f64 / n * 100.0,
            self.certified / n,
            self.proven as f64 / n * 100.0,
            ms(self.took.0) / n,
            ms(self.took.1),
        )
    }
}

/// Writes the markets to files, one each: `city-20-0.json` is the first of its class and size.
pub(crate) fn write(folder: &std::path::Path, seeds: u64) {
    std::fs::create_dir_all(folder).expect("the folder can be made");
    let sizes = |class: &'static str| SIZES.iter().chain(great(class)).map(move |s| (class, s.0));
    for (class, size) in classes::CLASSES.into_iter().flat_map(sizes) {
        for seed in 0..seeds {
            let path = folder.join(format!("{class}-{size}-{seed}.json"));
            let text = classes::market(class, size, seed).to_string();
            std::fs::write(&path, text).expect("the file can be written");
        }
    }
}

fn solve(instance: &Instance, percent: u32) -> Certificate {
    Solution::of(instance, Budget::percent(percent), false, &mut |_, _| {}).proof()
}
