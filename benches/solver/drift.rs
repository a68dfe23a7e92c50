//! How far a maintained grouping falls behind: after thousands of updates, and on the way there, it is
//! held against one that is solved from scratch, of the same records, with ten times the usual budget.
//!
//! Between updates the market is settled as the engine does it in a tick: every few minutes with a
//! small budget, and with a greater one when a window locks before the next time.

use super::city::City;
use super::ms;
use dataflows::flow::upkeep;
use dataflows::market::{Certificate, Time};
use dataflows::solver::{Budget, Upkeep};
use iceshop::run::usage::thread_cpu;
use std::time::Duration;

/// How a market is settled between updates.
struct Care {
    /// One update in so many intents comes between two times.
    share: usize,
    /// Every so manieth time a window locks soon: slots are so many times as long.
    urgent_every: usize,
}

/// As the engine does it: budgets by whether a window locks soon, every four minutes, in slots of
/// twenty. Intents that live for some hours make one update in forty intents in four minutes.
const CARE: Care = Care { share: 40, urgent_every: 5 };

/// A class, and its size in intents. A wide city is the one of which updates are timed.
type Case = (&'static str, usize);
const CASES: [Case; 6] = [
    ("city", 100),
    ("dense", 100),
    ("city", 300),
    ("city", 1_000),
    ("wide", 1_000),
    ("wide", 3_000),
];
const SMOKE: [Case; 1] = [("wide", 60)];
/// Updates, how often the grouping is held against one from scratch on the way, the last one among these,
/// and the budget from scratch in percent of the usual one.
type Course = (usize, usize, u32);
const COURSE: Course = (10_000, 4, 1_000);
const FEW_UPDATES: Course = (200, 2, 20);
/// How far below the value from scratch the kept one may be, in percent.
const BAR: f64 = 0.5;

/// Every size, or those that are named, as in `wide-1000`.
pub(crate) fn run(bench: bool, named: impl Fn(&str) -> bool) {
    let (cases, course) = if bench { (&CASES[..], COURSE) } else { (&SMOKE[..], FEW_UPDATES) };
    let is_named = |(class, size): &Case| named(&format!("{class}-{size}"));
    let all = !cases.iter().any(is_named);
    println!("\n## Drift: a maintained grouping and one from scratch, seed 2\n");
    print!("| class | intents | updates | kept value | bound | gap | from scratch | bound |");
    print!(" kept is below | bar | on the way |");
    println!(" CPU ms an update | in the background | from scratch |");
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    for &case in cases.iter().filter(|case| all || is_named(case)) {
        city(case, course);
    }
}

/// A kept grouping, and one from scratch.
struct Held {
    kept: Certificate,
    best: Certificate,
    /// What the one from scratch took.
    scratch: Duration,
}

impl Held {
    fn of(city: &City, percent: u32) -> Self {
        let kept = city.market.certificate();
        assert_eq!(city.market.verify(), Ok(kept.value));
        let mut fresh = city.fresh_market(usize::MAX);
        let started = thread_cpu();
        fresh.solve(Budget::percent(percent));
        let scratch = thread_cpu() - started;
        let best = fresh.certificate();
        assert!(kept.value <= best.bound && best.value <= kept.bound, "a bound is wrong");
        Self { kept, best, scratch }
    }

    /// How far the kept one is below, in percent.
    fn below(&self) -> f64 {
        (self.best.value - self.kept.value) as f64 / self.best.value.max(1) as f64 * 100.0
    }
}

fn city((class, size): Case, (updates, often, percent): Course) {
    let mut city = City::new(class, size, 2);
    let between = (size / CARE.share).max(1);
    let soon = |urgent: bool| Time(if urgent { i64::MAX / 4 } else { i64::MIN / 4 });
    let (mut live, mut background) = (Duration::ZERO, Duration::ZERO);
    let mut held: Vec<Held> = Vec::new();
    let (mut made, mut turn) = (0, 0);
    while made < updates {
        let started = thread_cpu();
        for _ in 0..between.min(updates - made) {
            let (_, change) = city.next();
            city.make(change);
            made += 1;
        }
        live += thread_cpu() - started;
        let started = thread_cpu();
        turn += 1;
        let soon = soon(turn % CARE.urgent_every == 0);
        city.market.settle_down(Upkeep { soon, ..upkeep(-1, u64::MAX) });
        background += thread_cpu() - started;
        if made * often / updates > held.len() {
            held.push(Held::of(&city, percent));
        }
    }
    let all: Vec<String> = held.iter().map(|held| format!("{:.2}", held.below())).collect();
    let Some(last) = held.last() else { return };
    let Held { kept, best, scratch } = last;
    print!("| {class} | {size} | {updates} | {} | {} |", kept.value, kept.bound);
    print!(" {:.2} % | {} | {} |", kept.gap_ppm() as f64 / 10_000.0, best.value, best.bound);
    print!(" {:.2} % | <= {BAR} % | {} |", last.below(), all.join(", "));
    print!(" {:.3} |", ms(live) / updates as f64);
    println!(" {:.3} | {:.0} ms |", ms(background) / updates as f64, ms(*scratch));
}
