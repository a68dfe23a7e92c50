//! One file per subcommand.

pub mod city;
pub mod generate;
