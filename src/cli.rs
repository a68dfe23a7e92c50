//! The command line, as typed: global flags and the help that teaches them.
//!
//! Nothing here is checked beyond its syntax; each command says what its flags mean.

use crate::commands::Command;
use clap::error::ErrorKind;
use clap::{Arg, CommandFactory, FromArgMatches, Parser};

const EXAMPLES: &str = "\
Examples:
  iceshop run                                    a seeded city, about a minute
  iceshop generate --output city.jsonl           its records, to look at
  iceshop run --input city.jsonl --output decisions.jsonl
  iceshop check --events city.jsonl --decisions decisions.jsonl
  iceshop diff a.jsonl b.jsonl                   the first decision that differs
  iceshop solve market.json                      one line: value, bound, gap
  iceshop solve market.json --out grouping.json  and who buys with whom
  iceshop solve market.json --greedy             what the plain greedy makes of it

Exit codes:
  0 done   1 a check found a violation   2 usage   3 configuration
  4 NATS is unreachable   5 the input data cannot be used   130 told to stop before it was done

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

impl Cli {
    /// Reads the command line; ends the process if that cannot be. Flags that go without NATS count for
    /// more than an environment that names its server.
    pub fn read() -> Self {
        match Self::try_parse() {
            Err(error) if error.kind() == ErrorKind::ArgumentConflict => {
                let unasked = |nats: Arg| nats.env(None::<&str>);
                let command =
                    Self::command().mut_subcommand("run", |run| run.mut_arg("nats", unasked));
                Self::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
            }
            read => read.unwrap_or_else(|error| error.exit()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example lines of a command's help, and of those below it; every command has some.
    fn examples(command: &clap::Command, found: &mut Vec<String>) {
        let help = command.get_after_help().map(|help| help.to_string()).unwrap_or_default();
        assert!(help.starts_with("Examples:"), "{}: {help:?}", command.get_name());
        found.extend(help.lines().filter(|line| line.starts_with("  iceshop ")).map(String::from));
        command.get_subcommands().for_each(|below| examples(below, found));
    }

    #[test]
    fn every_command_has_examples_that_it_takes() {
        let mut lines = Vec::new();
        examples(&Cli::command(), &mut lines);
        assert!(lines.len() > 20, "{lines:?}");
        // What follows two spaces explains, what follows > or a bar is the shell's.
        let commands = lines.iter().flat_map(|line| line.trim().split(" | "));
        for command in commands.filter(|command| command.starts_with("iceshop")) {
            let words = command.split("  ").next().unwrap_or_default();
            let words = words.split(" > ").next().unwrap_or_default().split(' ');
            if let Err(error) = Cli::try_parse_from(words) {
                panic!("{command}: {error}");
            }
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
