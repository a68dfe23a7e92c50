//! `iceshop tap`: a city's decisions as they come.

use super::nats::{NatsArgs, block_on};
use super::say;
use crate::failure::Failure;
use crate::readable;
use connectors::codec::json;
use connectors::nats::{Start, Tap};
use std::time::{Duration, Instant};

const EXAMPLES: &str = "\
Examples:
  iceshop tap --new --nats nats://localhost:4222 --city istanbul    what is decided from now on
  iceshop tap --all --json --idle 5 --nats nats://localhost:4222 --city istanbul

Without --count and --idle it goes on until it is stopped. The second writes everything so far, as
JSON lines: the bytes of `iceshop run --output`.";

/// What `iceshop tap` is asked for.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// How to connect.
    #[command(flatten)]
    pub connect: NatsArgs,
    /// Begin with the first decision that the stream holds (the default)
    #[arg(long, conflicts_with = "new")]
    pub all: bool,
    /// Begin with what is decided from now on
    #[arg(long)]
    pub new: bool,
    /// Write JSON lines, the bytes that `iceshop run --output` would write
    #[arg(long)]
    pub json: bool,
    /// Stop after so many decisions
    #[arg(long, value_name = "COUNT")]
    pub count: Option<u64>,
    /// Stop when nothing has been decided for so long
    #[arg(long, value_name = "SECONDS", value_parser = super::seconds)]
    pub idle: Option<Duration>,
}

/// Prints decisions until it is told to stop.
///
/// # Errors
/// NATS is not reached, or the stream holds what is no decision.
pub fn run(args: &Args) -> Result<(), Failure> {
    let start = if args.new { Start::New } else { Start::First };
    block_on(async {
        let (connection, subjects) = args.connect.connect("iceshop tap").await?;
        let mut tap = Tap::open(&connection, &subjects, start).await?;
        let (mut line, mut seen, mut heard) = (Vec::new(), 0, Instant::now());
        while args.count.is_none_or(|count| seen < count) {
            let Some(announced) = tap.next(Duration::from_millis(200)).await? else {
                if args.idle.is_some_and(|idle| heard.elapsed() >= idle) {
                    break;
                }
                continue;
            };
            heard = Instant::now();
            seen += 1;
            if args.json {
                line.clear();
                json::write_decision(&mut line, &announced.decision);
                say(&String::from_utf8_lossy(&line))?;
            } else {
                say(&readable::line(&announced.decision))?;
            }
        }
        Ok(())
    })
}
