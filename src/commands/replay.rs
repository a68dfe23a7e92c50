//! `iceshop replay`: what was so at a past moment, rebuilt from the log.

use super::nats::{NatsArgs, block_on};
use super::say;
use crate::failure::{Failure, Kind, OrFail};
use crate::params_args::ParamArgs;
use crate::readable;
use crate::run::end_on_panic;
use crate::run::pipeline::{Pipeline, Produce};
use crate::run::resume;
use crate::run::snapshot::{self, Position, Snapshot};
use crate::translate::{Dating, outbound};
use connectors::codec::json;
use connectors::file::FileSource;
use connectors::inbound::{Inbound, Stamp};
use connectors::nats::{Announced, Connection, InputSource, Start, StreamState, Tap};
use connectors::subject::Subjects;
use connectors::wire::Decision;
use dataflows::engine::Stats;
use dataflows::flow::Standings;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  iceshop replay --input day.jsonl.zst --until 2026-06-12T13:00:00+03:00
  iceshop replay --input day.jsonl.zst --until 42412 --json
  iceshop replay --until 42412 --nats nats://localhost:4222 --city demo
  iceshop replay --until 42412 --snapshots folder --nats nats://localhost:4222 --city demo

Decides the log anew up to that record, or until its decisions are later than that time, and prints the
last message of every window that was proposed, locked or active then, in the order of slots. Use the
parameters the engine ran with. With its snapshots, it begins after the newest one that is not
later; what was decided before that is read from the decision stream.";

/// Records taken at a time.
const BATCH: usize = 1_024;
/// How long a stream must be quiet to be at its end.
const QUIET: Duration = Duration::from_millis(500);

/// What `iceshop replay` is asked for.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The log, a file; zstd is understood, - is standard input
    #[arg(
        long,
        short,
        value_name = "FILE",
        conflicts_with = "nats",
        required_unless_present = "nats"
    )]
    pub input: Option<String>,
    /// Begin after the newest snapshot in this folder that is not later than that
    #[arg(long, value_name = "FOLDER", requires = "nats", conflicts_with = "input")]
    pub snapshots: Option<PathBuf>,
    /// Up to which record: its sequence, or a time; absent: to the end
    #[arg(long, value_name = "TIME|SEQUENCE", value_parser = until)]
    pub until: Option<Until>,
    /// Print JSON lines, the bytes of the decisions
    #[arg(long)]
    pub json: bool,
    /// The parameters the engine ran with.
    #[command(flatten)]
    pub params: ParamArgs,
    /// How to connect.
    #[command(flatten)]
    pub connect: NatsArgs,
}

/// Where a replay ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// With that record.
    Sequence(u64),
    /// With the last decision of that time or before.
    Time(Timestamp),
}

fn until(text: &str) -> Result<Until, String> {
    let sequence = text.parse().map(Until::Sequence);
    let time = || text.parse().map(Until::Time);
    sequence.or_else(|_| time()).map_err(|_| {
        "neither a sequence, such as 42412, nor a time, such as 2026-06-12T13:00:00+03:00".into()
    })
}

/// Whether a record says that it is of a later time; it brings that time only if it is good.
fn says_later(inbound: &Inbound, last: Timestamp) -> bool {
    match &inbound.at {
        Stamp::Text(at) => at.parse::<Timestamp>().is_ok_and(|at| at > last),
        Stamp::Nanos(nanos) => *nanos > last.as_nanosecond(),
        Stamp::Absent => false,
    }
}

/// What was last said of every window.
struct Replay {
    pipeline: Pipeline,
    until: Option<Until>,
    last: BTreeMap<String, Vec<Decision>>,
    sequence: u64,
    /// How the engine stood at its end.
    stats: Stats,
}

/// Rebuilds, and prints.
///
/// # Errors
/// The log cannot be read.
pub fn run(args: &Args) -> Result<(), Failure> {
    end_on_panic();
    let params = args.params.params().or_fail(Kind::Config, || "parameters".into())?;
    let dating = if args.input.is_some() { Dating::Required } else { Dating::Newest };
    let pipeline = Pipeline::new(params, 1, dating, Standings::default());
    let (until, last, stats) = (args.until, BTreeMap::new(), Stats::default());
    let mut replay = Replay { pipeline, until, last, sequence: 0, stats };
    match &args.input {
        Some(input) => replay.file(input)?,
        None => block_on(replay.stream(&args.connect, args.snapshots.as_deref()))?,
    }
    replay.print(args.json)
}

impl Replay {
    fn file(&mut self, input: &str) -> Result<(), Failure> {
        let fail = || format!("cannot read {input}");
        let mut source = FileSource::open(input).or_fail(Kind::Data, fail)?;
        let mut batch = Vec::new();
        while source.read_batch(BATCH, &mut batch).or_fail(Kind::Data, fail)? > 0 {
            if !self.take(std::mem::take(&mut batch)) {
                return Ok(());
            }
        }
        let produce = self.pipeline.finish();
        self.note(produce);
        self.stats = self.pipeline.engine().stats();
        self.tell_short();
        Ok(())
    }

    /// Says so where the log ends before the replay would.
    fn tell_short(&self) {
        let until = match self.until {
            Some(Until::Sequence(last)) if self.sequence < last => format!("record {last}"),
            Some(Until::Time(last)) if !self.is_past(last) => format!("a record later than {last}"),
            _ => return,
        };
        eprintln!("note       the log ends with record {}, before {until}", self.sequence);
    }

    async fn stream(
        &mut self,
        connect: &NatsArgs,
        snapshots: Option<&Path>,
    ) -> Result<(), Failure> {
        let (connection, subjects) = connect.connect("iceshop replay").await?;
        if let Some(folder) = snapshots {
            let stream = StreamState::of(&connection, &subjects.in_stream()).await?;
            if let Some(position) =
                self.begin_after(&connection, folder, &subjects, &stream).await?
            {
                self.sequence = position.sequence;
                self.recall(&connection, &subjects, position.decided).await?;
            }
        }
        let first = self.sequence + 1;
        let mut source = InputSource::open(&connection, &subjects, first, None).await?;
        loop {
            let mut batch = Vec::new();
            let progress = source.next_batch(BATCH, QUIET, &mut batch).await?;
            if batch.is_empty() && progress.caught_up {
                self.tell_short();
                return Ok(());
            }
            if !self.take(batch) {
                return Ok(());
            }
        }
    }

    /// Goes on after the newest snapshot that is of this stream and not later than the end; none if
    /// there is none. What cannot be used is named on standard error.
    async fn begin_after(
        &mut self,
        connection: &Connection,
        folder: &Path,
        subjects: &Subjects,
        stream: &StreamState,
    ) -> Result<Option<Position>, Failure> {
        let fail = || format!("cannot read {}", folder.display());
        for (sequence, path) in snapshot::list(folder).or_fail(Kind::Data, fail)? {
            if matches!(self.until, Some(Until::Sequence(last)) if sequence > last) {
                continue;
            }
            let unused = |why: String| {
                eprintln!("snapshot   {} is not used: {why}", path.display());
            };
            let found = match snapshot::read(&path) {
                Ok(found) => found,
                Err(error) => {
                    unused(format!("{error:#}"));
                    continue;
                }
            };
            resume::fits(&found, subjects, self.pipeline.params())?;
            let Snapshot { position, saved } = found;
            if let Some(regress) = resume::regress(connection, &position, stream).await? {
                unused(regress);
                continue;
            }
            let standings = Standings::default();
            let restored = Pipeline::restore(&saved, 1, Dating::Newest, standings);
            let restored = restored.or_fail(Kind::Data, fail)?;
            if matches!(self.until, Some(Until::Time(last)) if is_past(&restored, last)) {
                continue;
            }
            eprintln!("snapshot   of message {sequence}: going on after it");
            self.pipeline = restored;
            self.stats = self.pipeline.engine().stats();
            return Ok(Some(position));
        }
        Ok(None)
    }

    /// Notes the decisions that were made before.
    async fn recall(
        &mut self,
        connection: &Connection,
        subjects: &Subjects,
        decided: u64,
    ) -> Result<(), Failure> {
        let mut tap = Tap::open(connection, subjects, Start::First).await?;
        let mut recalled = 0;
        while recalled < decided {
            let Some(Announced { sequence, decision, .. }) = tap.next(QUIET).await? else {
                if tap.is_caught_up() {
                    break;
                }
                continue;
            };
            if sequence > recalled + 1 && recalled < decided {
                let error = format!(
                    "the decision stream has lost what came before {sequence}, of {decided} decisions before \
                     the snapshot: replay without --snapshots"
                );
                return Err(Failure::new(Kind::Data, anyhow::anyhow!(error)));
            }
            recalled = sequence;
            if sequence <= decided {
                self.note(Produce { decisions: vec![decision], ..Produce::default() });
            }
        }
        if recalled < decided {
            let error = format!(
                "the decision stream ends at {recalled}, the snapshot is of {decided} decisions: replay \
                 without --snapshots"
            );
            return Err(Failure::new(Kind::Data, anyhow::anyhow!(error)));
        }
        Ok(())
    }

    /// Takes in a batch, as far as the replay goes; whether it goes on.
    fn take(&mut self, mut batch: Vec<Inbound>) -> bool {
        let end = match self.until {
            Some(Until::Time(last)) if batch.iter().any(|record| says_later(record, last)) => {
                return self.take_one_by_one(batch, last);
            }
            Some(Until::Sequence(last)) => batch.iter().position(|i| i.sequence > last),
            _ => None,
        };
        batch.truncate(end.unwrap_or(batch.len()));
        self.sequence = batch.last().map_or(self.sequence, |last| last.sequence);
        let mut produce = self.pipeline.take(batch);
        if end.is_some() {
            // Nothing more comes: the tick of the last record is over.
            let rest = self.pipeline.finish();
            produce.decisions.extend(rest.decisions);
        }
        self.note(produce);
        self.stats = self.pipeline.engine().stats();
        end.is_none()
    }

    /// Takes in a batch in which time may pass the end: a record that is refused does not bring it.
    fn take_one_by_one(&mut self, batch: Vec<Inbound>, last: Timestamp) -> bool {
        for inbound in batch {
            let sequence = inbound.sequence;
            let produce = self.pipeline.take(vec![inbound]);
            self.note(produce);
            if self.is_past(last) {
                return false;
            }
            self.sequence = sequence;
            self.stats = self.pipeline.engine().stats();
        }
        true
    }

    /// Whether all ticks of that time and before are over.
    fn is_past(&self, last: Timestamp) -> bool {
        is_past(&self.pipeline, last)
    }

    fn note(&mut self, produce: Produce) {
        for decision in produce.decisions {
            let at = || decision.decided_at.parse::<Timestamp>();
            if matches!(self.until, Some(Until::Time(last)) if at().is_ok_and(|at| at > last)) {
                continue;
            }
            let parts = self.last.entry(decision.window.clone()).or_default();
            // Parts of one message stay together.
            parts.retain(|part| part.revision == decision.revision);
            parts.push(decision);
        }
    }

    fn print(self, as_json: bool) -> Result<(), Failure> {
        let stands = |d: &Decision| matches!(d.state.as_str(), "proposed" | "locked" | "active");
        let mut all: Vec<&Decision> = self.last.values().flatten().filter(|d| stands(d)).collect();
        all.sort_by_cached_key(|d| {
            (d.slot.from.parse::<Timestamp>().ok(), d.window.clone(), d.part)
        });
        let mut line = Vec::new();
        for decision in &all {
            if as_json {
                line.clear();
                json::write_decision(&mut line, decision);
                say(&String::from_utf8_lossy(&line))?;
            } else {
                say(&readable::line(decision))?;
            }
        }
        let newest = || self.pipeline.newest().map_or("no time".into(), outbound::utc);
        let at = match self.until {
            Some(Until::Time(last)) if self.is_past(last) => last.to_string(),
            _ => newest(),
        };
        let Self { stats, .. } = self;
        eprintln!(
            "at {at}, after record {}: {} windows stand, {} intents live, gap {:.2} %",
            self.sequence,
            all.len(),
            stats.live_intents,
            stats.market.gap_ppm() as f64 / 10_000.0
        );
        Ok(())
    }
}

/// Whether all ticks of that time and before are over.
fn is_past(pipeline: &Pipeline, last: Timestamp) -> bool {
    let params = pipeline.params();
    pipeline.newest().is_some_and(|newest| {
        params.start(params.tick(newest)).0 as i128 * 1_000_000 > last.as_nanosecond()
    })
}
