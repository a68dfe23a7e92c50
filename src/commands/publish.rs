//! `iceshop publish`: a file's records to a city's input stream.

use super::nats::{NatsArgs, block_on};
use super::progress::spinner;
use crate::failure::{Failure, Kind, OrFail};
use crate::readable::count;
use crate::run::resume::note_limits;
use crate::signals::listen;
use connectors::file::Lines;
use connectors::nats::{
    Connection, FlightSettings, NatsError, PublishSettings, Published, StreamSettings, check_input,
    is_recorded, publish_file,
};
use connectors::subject::Subjects;

const EXAMPLES: &str = "\
Examples:
  iceshop publish day.jsonl.zst --nats nats://localhost:4222 --city istanbul
  iceshop generate | iceshop publish - --nats nats://localhost:4222 --city demo --rate 1000

Every line becomes one message, in order, with its time in the header Iceshop-At; a stream that
begins so is a recorded one, and the engine takes its times from there.";

/// What a live stream makes of times.
const LIVE: &str = "records happen when they arrive, whatever `at` says in the file";

/// What `iceshop publish` is asked for.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The file of records, plain or zstd; - is standard input
    pub file: String,
    /// How to connect.
    #[command(flatten)]
    pub connect: NatsArgs,
    /// Records a second, at most; absent: as fast as the server takes them
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: Option<u32>,
    /// Records in one message, at most
    #[arg(long, default_value_t = 1, value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub batch: u32,
    /// Begin the ids of messages with this, so that a file published twice within the duplicate window,
    /// with the same --batch, is in the stream once; absent: a prefix that no other run has
    #[arg(long, value_name = "PREFIX", value_parser = prefix)]
    pub message_ids: Option<String>,
    /// Nobody else may publish into the stream meanwhile: that is an error. (Otherwise records are in
    /// it once and in order, with others' between them)
    #[arg(long)]
    pub exclusive: bool,
}

/// Publishes the file, and says how much that was.
///
/// # Errors
/// The file cannot be read, NATS is not reached, or refuses a message.
pub fn run(args: &Args) -> Result<(), Failure> {
    let lines =
        Lines::open(&args.file).or_fail(Kind::Data, || format!("cannot read {}", args.file))?;
    let settings = PublishSettings {
        rate_per_s: args.rate,
        batch: args.batch as usize,
        message_ids: args.message_ids.clone(),
        exclusive: args.exclusive,
        flight: FlightSettings::default(),
    };
    let bar = spinner("{spinner} {human_pos} records, {per_sec}");
    let published = block_on(async {
        let mut stop = listen();
        let begin = async {
            let (connection, subjects) = args.connect.connect("iceshop publish").await?;
            let known = is_recorded(&connection, &subjects).await?;
            note_unsafe(&connection, &subjects).await?;
            Ok::<_, Failure>((connection, subjects, known))
        };
        let (connection, subjects, known) = tokio::select! {
            begun = begin => begun?,
            _ = &mut stop => {
                let error = anyhow::anyhow!("told to stop: nothing is published yet");
                return Err(Failure::new(Kind::Stopped, error));
            }
        };
        let stream = subjects.in_stream();
        if known == Some(false) {
            eprintln!(
                "note       stream {stream} is a live one (its first record carries no time): {LIVE}"
            );
        }
        let tell = |published: &Published| bar.set_position(published.records);
        let stop = async { _ = stop.await };
        let published = publish_file(&connection, &subjects, lines, &settings, tell, stop).await;
        let published = published.map_err(advised)?;
        if known.is_none()
            && !published.stopped
            && published.dated > 0
            // All is there, whether the server says so once more or not.
            && matches!(is_recorded(&connection, &subjects).await, Ok(Some(false)))
        {
            eprintln!(
                "note       the first record of {} carries no time (`at`), which makes stream {stream} a \
                 live one, though {} later messages carry one: {LIVE}; if it is meant to be a recorded \
                 one, delete the city's streams, make them anew (iceshop nats init), and begin with a \
                 record that has its time",
                args.file,
                count(published.dated)
            );
        }
        Ok::<_, Failure>(published)
    })?;
    bar.finish_and_clear();
    let told = told(&published);
    if published.stopped {
        let unknown = match published.unknown {
            0 => String::new(),
            some => format!(
                " (of the last {} messages nobody knows whether they are there: the server does not answer)",
                count(some)
            ),
        };
        let file = &args.file;
        let error =
            anyhow::anyhow!("told to stop: {told}{unknown}; the rest of {file} is not published");
        return Err(Failure::new(Kind::Stopped, error));
    }
    eprintln!("{told}");
    Ok(())
}

/// What was published, in words.
fn told(published: &Published) -> String {
    let Published { records, messages, raw, had_before, .. } = *published;
    let [sent, all, bad, before] = [records, messages, raw, had_before].map(count);
    let of = match had_before {
        0 => String::new(),
        _ if had_before == messages => ", all of which the stream had already".into(),
        _ => format!(", {before} of which the stream had already"),
    };
    format!("published {sent} records in {all} messages{of}; {bad} of them are no good record")
}

/// What message ids may begin with.
fn prefix(text: &str) -> Result<String, String> {
    let fits = |letter: char| letter.is_ascii_graphic();
    if (1..=64).contains(&text.len()) && text.chars().all(fits) {
        return Ok(text.into());
    }
    Err("message ids begin with 1 to 64 visible ASCII characters".into())
}

/// Says on standard error for what the engine will not read the stream as it is.
async fn note_unsafe(connection: &Connection, subjects: &Subjects) -> Result<(), Failure> {
    let rows = check_input(connection, subjects, &StreamSettings::default()).await?;
    // That it is missing is for publishing to say.
    for row in rows.iter().filter(|row| !row.safe && row.field != "stream") {
        eprintln!("note       {row}: iceshop run will not start on it as it is");
    }
    note_limits(&rows, subjects);
    Ok(())
}

/// What could not be published, and what can be done about it.
fn advised(error: NatsError) -> Failure {
    let advice = match &error {
        NatsError::StreamShort { .. } => {
            "the server is back without a part of what it had acknowledged: publish the file again, with what \
             the stream still has before it in mind (it comes twice), or into a stream that is made anew"
        }
        NatsError::Replaced { .. } => {
            "what was published before that is gone, and some of the rest may be in the new one: delete it, \
             make it anew with iceshop nats init, and publish the file again"
        }
        NatsError::Foreign { .. } | NatsError::Emptied { .. } => {
            "somebody else writes there, another publisher or the engine, which tells the time in pauses: let \
             them end first, or publish without --exclusive; what was published so far stays there, and \
             comes twice if the file is published again without --message-ids"
        }
        NatsError::Full { .. } => {
            "what was published so far stays there: raise its limit (nats stream edit) and publish the file \
             again; what is there comes twice unless --message-ids was given, and is given again within \
             the duplicate window"
        }
        NatsError::Remembered { .. } => {
            "the file was published before under that prefix: give --message-ids another one, or publish \
             without --exclusive"
        }
        _ => return error.into(),
    };
    let Failure { kind, error } = error.into();
    Failure::new(kind, anyhow::anyhow!("{error:#}; {advice}"))
}
