//! The subcommands: one file each, with its arguments and its `run`.

pub mod check;
