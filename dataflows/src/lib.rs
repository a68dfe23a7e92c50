//! x
pub mod market;

pub mod solver;

pub mod flow;

pub mod engine;
