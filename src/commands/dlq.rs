//! `iceshop dlq`: a city's dead letters, listed, shown, and sent again.

use super::nats::{NatsArgs, block_on};
use super::{put, say};
use crate::failure::{Failure, Kind, OrFail};
use bytes::Bytes;
use connectors::codec::json;
use connectors::nats::{Connection, Letter, Letters, NatsError, send_again};
use connectors::subject::Subjects;
use std::time::Duration;

/// How long a quiet means that there are no more letters.
const QUIET: Duration = Duration::from_millis(500);

const EXAMPLES: &str = "\
Examples:
  iceshop dlq ls --nats nats://localhost:4222 --city demo        one line a letter
  iceshop dlq show 7 --nats nats://localhost:4222 --city demo    its bytes, as they came

A dead letter is what could not be decoded. It stays in the stream ICESHOP_<CITY>_DLQ, also when it
has been sent again.";

const LS_EXAMPLES: &str = "\
Examples:
  iceshop dlq ls --nats nats://localhost:4222 --city demo
  iceshop dlq ls --from 100 --nats nats://localhost:4222 --city demo

Columns: number, reason, sequence of the message in the input stream, bytes, subject, beginning.";

const SHOW_EXAMPLES: &str = "\
Examples:
  iceshop dlq show 7 --nats nats://localhost:4222 --city demo > letter.json

Writes the letter's bytes and nothing else.";

const REPLAY_EXAMPLES: &str = "\
Examples:
  iceshop dlq replay 7 --nats nats://localhost:4222 --city demo
  iceshop dlq replay 7 --with mended.json --nats nats://localhost:4222 --city demo

Publishes it on the subject that it came on, as a new record with a time of its own.";

/// What `iceshop dlq` is asked for.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What can be done with dead letters.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Action {
    /// List them
    #[command(after_help = LS_EXAMPLES)]
    Ls {
        /// Begin with that letter
        #[arg(long, value_name = "NUMBER")]
        from: Option<u64>,
        /// How to connect.
        #[command(flatten)]
        connect: NatsArgs,
    },
    /// Write one, byte for byte
    #[command(after_help = SHOW_EXAMPLES)]
    Show {
        /// Its number, as `ls` has it
        #[arg(value_name = "NUMBER")]
        number: u64,
        /// How to connect.
        #[command(flatten)]
        connect: NatsArgs,
    },
    /// Publish one again, as it was or mended
    #[command(after_help = REPLAY_EXAMPLES)]
    Replay {
        /// Its number, as `ls` has it
        #[arg(value_name = "NUMBER")]
        number: u64,
        /// Publish this file's bytes instead
        #[arg(long, value_name = "FILE")]
        with: Option<String>,
        /// How to connect.
        #[command(flatten)]
        connect: NatsArgs,
    },
}

/// Does it.
///
/// # Errors
/// NATS is not reached, or there is no such letter.
pub fn run(args: &Args) -> Result<(), Failure> {
    let (Action::Ls { connect, .. }
    | Action::Show { connect, .. }
    | Action::Replay { connect, .. }) = &args.action;
    block_on(async {
        let (connection, subjects) = connect.connect("iceshop dlq").await?;
        match &args.action {
            Action::Ls { from, .. } => list(&connection, &subjects, *from).await,
            Action::Show { number, .. } => {
                let letter = letter(&connection, &subjects, *number).await?;
                put(&letter.bytes)
            }
            Action::Replay { number, with, .. } => {
                let letter = letter(&connection, &subjects, *number).await?;
                replay(&connection, &subjects, letter, with.as_deref()).await
            }
        }
    })
}

async fn list(
    connection: &Connection,
    subjects: &Subjects,
    from: Option<u64>,
) -> Result<(), Failure> {
    let mut letters = Letters::open(connection, subjects, from).await?;
    while let Some(letter) = letters.next(QUIET).await? {
        let Letter { sequence, reason, input, subject, bytes, cut_from } = letter;
        let input = input.map_or("-".into(), |input| input.to_string());
        let length = cut_from.unwrap_or(bytes.len() as u64);
        let subject = subject.unwrap_or_else(|| "-".into());
        let beginning = connectors::codec::shorten(&String::from_utf8_lossy(&bytes));
        say(&format!(
            "{sequence:>6} {reason:<10} {input:>10} {length:>9} {subject} {}",
            beginning.escape_debug()
        ))?;
    }
    Ok(())
}

async fn letter(
    connection: &Connection,
    subjects: &Subjects,
    number: u64,
) -> Result<Letter, Failure> {
    let none = || Failure::new(Kind::Data, anyhow::anyhow!("there is no dead letter {number}"));
    let mut letters = match Letters::open(connection, subjects, Some(number)).await {
        // It is gone already, or is not there yet.
        Err(NatsError::StreamCut { .. } | NatsError::StreamShort { .. }) => return Err(none()),
        opened => opened?,
    };
    letters.next(QUIET).await?.filter(|letter| letter.sequence == number).ok_or_else(none)
}

/// Publishes the letter, or what it should have been.
async fn replay(
    connection: &Connection,
    subjects: &Subjects,
    letter: Letter,
    with: Option<&str>,
) -> Result<(), Failure> {
    let number = letter.sequence;
    let refuse = |reason: String| Err(Failure::new(Kind::Data, anyhow::anyhow!(reason)));
    let bytes = match with {
        Some(path) => {
            let read = std::fs::read(path);
            Bytes::from(read.or_fail(Kind::Data, || format!("cannot read {path}"))?)
        }
        None => letter.bytes,
    };
    if let (None, Some(length)) = (with, letter.cut_from) {
        return refuse(format!(
            "dead letter {number} had {length} bytes, of which only the first were kept: give the \
             whole with --with"
        ));
    }
    if bytes.trim_ascii().is_empty() {
        return refuse(format!("there is nothing to send for dead letter {number}: it is empty"));
    }
    if let Err(refused) = json::read_record(&bytes).record {
        eprintln!("note       it is sent as it is, and is no good record: {refused}");
    }
    let Some(subject) = letter.subject else {
        return refuse(format!("dead letter {number} does not say on which subject it came"));
    };
    let sequence = send_again(connection, subjects, &subject, bytes).await?;
    say(&format!("dead letter {number} is message {sequence} on {subject}"))
}
