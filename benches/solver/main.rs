//! How good the solver is, and how fast: `cargo bench --bench solver -- [seeds]`.
//!
//! Solves seeded markets of every class with the usual budget, and again with twenty times as much:
//! the best value known, or the optimum where that is proven. Prints, by class and size: the gap to
//! it in the mean and at worst, how often it was hit, the certified gap, how often it is proven to
//! be none, and the processor's time. City and dense markets also come with a thousand intents. Then what one update costs in city markets of growing size. Under `cargo
//! test` it runs at smoke size.

mod classes;

use dataflows::market::Certificate;
use dataflows::solver::{Budget, Market};
use iceshop::instance::{Instance, Solution};
use std::time::{Duration, Instant};

/// Sizes, in intents, and how many more times the usual budget their reference has.
const SIZES: [(usize, u32); 6] = [(20, 20), (40, 20), (70, 10), (100, 10), (150, 5), (300, 4)];
/// Classes that also come great, and how great.
const GREAT: ([&str; 2], (usize, u32)) = (["city", "dense"], (1_000, 3));
/// Markets of a class and size that nobody gave a number.
const SEEDS: u64 = 5;
/// Sizes of city markets that updates are made in.
const CITIES: [usize; 3] = [1_000, 10_000, 100_000];
/// Updates that are timed.
const UPDATES: usize = 2_000;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let bench = args.iter().any(|arg| arg == "--bench");
    let seeds = args.iter().find_map(|arg| arg.parse().ok()).unwrap_or(SEEDS);
    let (sizes, seeds, cities) =
        if bench { (&SIZES[..], seeds, &CITIES[..]) } else { (&SIZES[..1], 1, &CITIES[..0]) };
    println!(
        "| class | intents | gap, mean | worst | hit | certified | proven | CPU ms, mean | worst |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for class in classes::CLASSES {
        let great = Some(&GREAT.1).filter(|_| bench && GREAT.0.contains(&class));
        for &(size, more) in sizes.iter().chain(great) {
            let mut row = Row::default();
            for seed in 0..seeds {
                row.add(class, size, seed, more);
            }
            println!("| {class} | {size} | {} |", row.text());
        }
    }
    for &size in cities {
        update(size);
    }
}

/// One class at one size.
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
        let started = Cpu::now();
        let found = solve(&instance, 100);
        let took = started.elapsed();
        let best = if found.gap_ppm() == 0 { found } else { solve(&instance, 100 * more) };
        assert!(found.value <= best.bound && best.value <= found.bound, "a bound is wrong");
        let best = best.value.max(found.value);
        let gap = if best > 0 { (best - found.value) as f64 / best as f64 * 100.0 } else { 0.0 };
        self.markets += 1;
        self.gap = (self.gap.0 + gap, self.gap.1.max(gap));
        self.hits += (found.value == best) as u64;
        self.certified += found.gap_ppm() as f64 / 10_000.0;
        self.proven += (found.gap_ppm() == 0) as u64;
        self.took = (self.took.0 + took, self.took.1.max(took));
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
            self.took.0.as_secs_f64() * 1_000.0 / n,
            self.took.1.as_secs_f64() * 1_000.0,
        )
    }
}

fn solve(instance: &Instance, percent: u32) -> Certificate {
    Solution::of(instance, Budget::percent(percent), false, &mut |_, _, _| {}).proof()
}

/// The processor's time of this thread, which other work on the machine does not lengthen; the
/// clock's where the system does not tell.
struct Cpu(Instant, Option<Duration>);

impl Cpu {
    fn now() -> Self {
        Self(Instant::now(), Self::read())
    }

    fn read() -> Option<Duration> {
        let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        Some(Duration::from_nanos(stat.split(' ').next()?.parse().ok()?))
    }

    fn elapsed(&self) -> Duration {
        let of = self.1.zip(Self::read()).map(|(began, now)| now - began);
        of.unwrap_or_else(|| self.0.elapsed())
    }
}

/// What it costs to put one intent and take another in a city of that size: repair, local
/// improvement and a valid bound.
fn update(size: usize) {
    let document = classes::market("city", size + UPDATES, 1).to_string();
    let instance = Instance::parse(document.as_bytes()).expect("a generated market");
    let (params, offers, intents) = instance.parts().next().expect("one product");
    let mut market = Market::new(params.clone());
    offers.iter().for_each(|offer| market.put_offer(offer.clone()));
    let (first, rest) = intents.split_at(size);
    for intent in first {
        market.put_intent(intent.clone());
        market.refresh();
    }
    let mut took: Vec<Duration> = Vec::with_capacity(2 * rest.len());
    for (came, gone) in rest.iter().zip(first) {
        let mut timed = |change: &mut dyn FnMut(&mut Market)| {
            let started = Instant::now();
            change(&mut market);
            market.refresh();
            took.push(started.elapsed());
        };
        timed(&mut |market| market.put_intent(came.clone()));
        timed(&mut |market| market.remove_intent(&gone.id));
    }
    took.sort_unstable();
    let mean = took.iter().sum::<Duration>() / took.len() as u32;
    let p99 = took[took.len() * 99 / 100];
    println!("one update among {size} intents: mean {mean:.0?}, p99 {p99:.0?}");
}
