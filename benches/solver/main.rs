//! How good the solver is, and how fast: `cargo bench --bench solver -- [sections] [seeds]`.
//!
//! `classes` solves seeded markets of every class from scratch and holds gaps, proofs and times
//! against their bars; `updates` times single updates in cities of growing size; `drift` holds a
//! grouping that was maintained through thousands of updates against one from scratch (`drift wide-1000`: that
//! one alone). Without a
//! section, all three run; under `cargo test` they do so at smoke size. `write FOLDER` writes the
//! markets of `classes` instead, for other solvers.

mod city;
mod classes;
mod drift;
mod quality;
mod updates;

use std::time::Duration;

/// That of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Markets of a class and size that nobody gave a number.
const SEEDS: u64 = 5;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let bench = args.iter().any(|arg| arg == "--bench");
    let seeds = args.iter().find_map(|arg| arg.parse().ok()).unwrap_or(SEEDS);
    if let Some(at) = args.iter().position(|arg| arg == "write") {
        let folder = args.get(at + 1).expect("write FOLDER");
        quality::write(std::path::Path::new(folder), seeds);
        return;
    }
    let named = |section: &str| args.iter().any(|arg| arg == section);
    let all = !["classes", "updates", "drift"].into_iter().any(named);
    if all || named("classes") {
        quality::run(bench, seeds);
    }
    if all || named("updates") {
        updates::run(bench);
    }
    if all || named("drift") {
        drift::run(bench, named);
    }
}

/// In milliseconds.
fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
