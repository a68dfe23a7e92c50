//! Iceshop: optimal buyer groupings, continuously.
//!
//! This package is the process. It joins the two others, and owns time, threads, configuration and
//! the command line:
//!
//! ```text
//!    connectors   the boundary: NATS, files, memory; wire messages; knows no market, no timely
//!         \
//!          src    this package: joins the two; `translate` alone rejects input
//!         /
//!    dataflows    deterministic core: market values, solver, dataflow, life cycle; no I/O, no clock
//! ```
//!
//! The rule that places any line: if its answer may depend on when or where it runs, it is here or
//! in `connectors`; otherwise it is in `dataflows`.
//!
//! # Code map
//!
//! | module | what it is |
//! |---|---|
//! | [`cli`] | the command line as typed |
//! | [`commands`] | one file per subcommand, dispatch, results on stdout |
//! | [`params_args`] | the engine's parameters as flags |
//! | [`failure`] | how a command fails, and with which exit code |
//! | [`translate`] | wire and market: the only place that rejects input |
//! | [`run`] | source to engine to sink: files, the embedded city, NATS; snapshots; figures |
//! | [`readable`] | decisions for people |
//! | [`drawing`] | what pictures are made of |
//! | [`scenario`] | a seeded city, as records |
//! | [`check`] | decisions held against their log; shares only the market's values with the engine |
//! | [`bench`] | the engine under a load that does not wait for it |
//! | [`instance`] | a market in a file: parsed, solved, its grouping and certificate |
//!
//! # The way of one event
//!
//! ```text
//! connectors::file or ::nats   decode, sequence
//!   -> translate::inbound      checked event, or a receipt that says why not
//!   -> run::pipeline           events of one tick -> one logical time
//!   -> dataflows::engine       the book: old -1, new +1; what locks and promises send back
//!   -> dataflows::flow         demand by (product, cell, slot); offers with stores; one market a product
//!   -> dataflows::solver       repair, improve, price; parts solved anew -> windows +-1
//!   -> dataflows::engine       the life of windows -> decisions
//!   -> translate::outbound     -> connectors: file or NATS
//! ```
//!
//! # Invariants
//!
//! 1. The arrows above, and no others.
//! 2. `dataflows` performs no I/O and reads no clock. Equal logs give equal decisions, byte for
//!    byte, for any number of workers, processes, batches or restarts.
//! 3. Only the book creates a retraction, and only of a record it holds.
//! 4. A decision leaves only after the frontier has passed its logical time; an input is
//!    acknowledged only after the decisions of its logical time are published.
//! 5. Logical time comes from the log (event times and clock events in it), never from the
//!    machine's clock.
//! 6. `locked` is final but for a broken premise; the solver sees only what locked windows leave
//!    over.
//! 7. Every queue, loop, search and message has a named limit, and what happens at the limit is
//!    written there.
//! 8. What leaves the engine carries what a reader needs to check it: revision, reason, value,
//!    bound, input sequence.

pub mod cli;

pub mod commands;

pub mod params_args;

pub mod failure;
/// Signals.
pub mod signals;

pub mod translate;

pub mod run;

pub mod readable;

pub mod drawing;

pub mod scenario;

pub mod bench;

pub mod check;

pub mod instance;
