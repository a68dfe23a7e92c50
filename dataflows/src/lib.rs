//! Iceshop's deterministic core: what the market is, how it is solved, and how it stays solved.
//!
//! No clock, no I/O, no hash order, no floating-point number behind the distance: equal logs give
//! equal decisions. [`market`] has the words, [`solver`] one market, [`flow`] all of them as
//! collections, [`engine`] the life around them.

mod lists;

pub mod market;

pub mod saved;

pub mod solver;

pub mod flow;

pub mod engine;
