//! x
pub mod market;

pub mod solver;
