//! x
pub mod check;
pub mod commands;
pub mod params_args;
