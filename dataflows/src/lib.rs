//! x
pub mod market;
