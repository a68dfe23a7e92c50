//! `iceshop publish`: a file's records to a city's input stream.

use super::nats::{NatsArgs, block_on};
use super::progress::spinner;
use crate::failure::{Failure, Kind, OrFail};
use crate::readable::count;
use connectors::file::Lines;
use connectors::nats::{FlightSettings, PublishSettings, is_recorded, publish_file};

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
    /// Give message n the id PREFIX:n, so that a file published twice within the duplicate window
    /// is in the stream once; absent: a prefix that no other run has
    #[arg(long, value_name = "PREFIX")]
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
        let (connection, subjects) = args.connect.connect("iceshop publish").await?;
        let stream = subjects.in_stream();
        let known = is_recorded(&connection, &subjects).await?;
        if known == Some(false) {
            eprintln!(
                "note       stream {stream} is a live one (its first record carries no time): {LIVE}"
            );
        }
        let tell = |published: &connectors::nats::Published| bar.set_position(published.records);
        let published = publish_file(&connection, &subjects, lines, &settings, tell).await?;
        if known.is_none()
            && published.dated > 0
            && is_recorded(&connection, &subjects).await? == Some(false)
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
    let [records, messages, raw] =
        [published.records, published.messages, published.raw].map(count);
    eprintln!(
        "published {records} records in {messages} messages; {raw} of them are no good record"
    );
    Ok(())
}
