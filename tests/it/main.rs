//! The whole of Iceshop from outside: its engine, its command line, and both against the law.
//!
//! | module | what it holds |
//! |---|---|
//! | `determinism` | equal logs give equal decisions, whatever runs them |
//! | `market_properties` | random streams against the rules, tick by tick |
//! | `life_cycle` | a window's life, one case at a time |
//! | `versions` | versions in any order, remembered for a horizon and then forgotten |
//! | `fuzz` | bad lines change nothing, and every line has its receipt |
//! | `receipts` | what a bad record is told: field, value, reason |
//! | `command_line` | the binary: flags, files, figures, exit codes |
//! | `bench` | the binary under a load that does not wait |
//! | `faults` | what nobody may decide, injected, and caught by `check` |
//! | `recovery` | the binary on a real nats-server, killed, stopped, restored; in several processes |
//! | `simulation` | engine, sink and disk in one thread, dying at any step |
//! | `snapshots` | a run that is stopped and restored decides what one decides that never was |
//! | `delivery` | the binary on a real nats-server |
//!
//! `support` and `proxy` are what they share. A random test prints its seed when it dies.

#![allow(clippy::unwrap_used)]

/// The program's own: what is forked in a test has it, too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod bench;
mod command_line;
mod delivery;
mod determinism;
mod faults;
mod fuzz;
mod life_cycle;
mod market_properties;
mod proxy;
mod receipts;
mod recovery;
mod simulation;
mod snapshots;
mod support;
mod versions;
