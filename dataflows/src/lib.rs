//! x
pub mod market;

pub mod solver;

pub mod flow;
