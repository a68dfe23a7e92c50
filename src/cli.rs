//! The command line, as typed: global flags and the help that teaches them.
//!
//! Nothing here is checked beyond its syntax; each command says what its flags mean.

use crate::commands::Command;
use clap::Parser;

const EXAMPLES: &str = "\
Examples:
  iceshop run                                    a seeded city, about a minute
  iceshop check --events city.jsonl --decisions decisions.jsonl
  iceshop solve market.json                      one line: value, bound, gap
  iceshop solve market.json --out grouping.json  and who buys with whom
  iceshop solve market.json --greedy             what the plain greedy makes of it

Exit codes:
  0 done   1 a check found a violation   2 usage   3 configuration
  4 NATS is unreachable   5 the input data cannot be used

`iceshop help COMMAND` explains a command, with its own examples.";

/// Optimal buyer groupings, continuously.
///
/// Iceshop reads what buyers want (intents) and what stores sell to groups (offers), and keeps
/// the best grouping of buyers into windows (store, product, slot) while both change. Every
/// grouping comes with an upper bound that proves how good it is.
#[derive(Debug, Parser)]
#[command(name = "iceshop", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    /// What is traced to stderr: error, warn, info, debug, trace, or a filter by module
    #[arg(long, global = true, value_name = "FILTER", default_value = "warn")]
    pub log: String,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
