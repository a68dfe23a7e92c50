//! What one update costs in a city: repair, local improvement and a valid bound, before anything
//! that a tick does in the background.
//!
//! On a busy machine the clock's p99 has other work in it.

use super::city::{City, KINDS, Kind};
use super::ms;
use iceshop::run::usage::thread_cpu;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Sizes in intents, and the bars: milliseconds of the processor in the mean.
const SIZES: [(usize, f64); 3] = [(1_000, 0.15), (10_000, 0.2), (100_000, 0.25)];
/// The bar for p99, in milliseconds.
const P99_MS: f64 = 3.0;
const SMOKE: [(usize, f64); 1] = [(60, f64::INFINITY)];
/// Updates that are timed.
const UPDATES: usize = 3_000;

/// Every size.
pub(crate) fn run(bench: bool) {
    let (sizes, updates) = if bench { (&SIZES[..], UPDATES) } else { (&SMOKE[..], 40) };
    println!("\n## One update in a city: {updates} random ones, seed 1\n");
    let shares = KINDS.map(|(_, name, share)| format!("{share} % {name}")).join(", ");
    println!("{shares}; kinds in ms of the clock\n");
    print!("| intents | offers in reach | windows | CPU ms, mean | bar |");
    println!(" clock, mean | p50 | p99 | bar | worst | {} |", KINDS.map(|k| k.1).join(" | "));
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    for &(size, most_ms) in sizes {
        city(size, updates, most_ms);
    }
}

fn city(size: usize, updates: usize, most_ms: f64) {
    let mut city = City::new("wide", size, 1);
    let (offers, windows) = city.in_reach();
    let mut took: Vec<Duration> = Vec::with_capacity(updates);
    let mut kinds: BTreeMap<Kind, (u32, Duration)> = BTreeMap::new();
    let mut cpu = Duration::ZERO;
    for _ in 0..updates {
        let (kind, change) = city.next();
        let (started, began) = (Instant::now(), thread_cpu());
        city.make(change);
        cpu += thread_cpu() - began;
        let time = started.elapsed();
        took.push(time);
        let sum = kinds.entry(kind).or_default();
        *sum = (sum.0 + 1, sum.1 + time);
    }
    let certificate = city.market.certificate();
    assert!(
        city.market.verify() == Ok(certificate.value) && certificate.bound >= certificate.value
    );
    took.sort_unstable();
    let of = |share: usize| ms(took[(took.len() * share / 100).min(took.len() - 1)]);
    let mean = |sum: Duration| ms(sum) / updates as f64;
    let each = KINDS.map(|(kind, _, _)| {
        let (count, sum) = kinds.get(&kind).copied().unwrap_or_default();
        format!("{:.3}", ms(sum) / f64::from(count.max(1)))
    });
    print!("| {size} | {offers:.1} | {windows:.0} | {:.3} | <= {most_ms} |", mean(cpu));
    print!(" {:.3} | {:.3} | {:.2} |", mean(took.iter().sum()), of(50), of(99));
    println!(" <= {P99_MS} | {:.2} | {} |", of(100), each.join(" | "));
}
