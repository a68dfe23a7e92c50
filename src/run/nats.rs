//! Runs on NATS JetStream.
//!
//! ```text
//! input stream -> reader (task) -> engine (thread) -> writer (task) -> decisions, receipts, dead letters
//! ```
//! At most [`BATCHES_AHEAD`] batches wait on either arrow. The run begins after its newest
//! snapshot, or at the first record of the input stream; decisions that the output stream holds
//! already are not published again.
//!
//! A snapshot goes the way of what it has brought forth: the writer keeps it when all that came
//! before it is acknowledged. So what a run goes on from is never ahead of its streams. The engine
//! stands still only while its process is copied; it makes no other snapshot until that is kept.
//!
//! Told to stop, a run ends its tick, publishes what was brought forth, keeps a last snapshot, and is
//! gone within [`LAST_WAIT`]; told again, at once. What it has read and not brought about is in the
//! snapshot, or is read again.
//!
//! A live stream gets a clock record when it has been quiet for a second. A recorded one (its
//! first good record carries `Iceshop-At`) gets one at the next tick, once, when it has been quiet a
//! little longer: that ends its last tick, and lets no further time pass.

mod reading;
mod work;
mod writer;

use super::resume::{self, Snapshots};
use super::snapshot::Position;
use super::summary::{Figures, Summary};
use crate::failure::{Failure, Kind};
use crate::signals::listen;
use connectors::inbound::Inbound;
use connectors::nats::{Connection, Durable, FlightSettings, InputSource, Sink};
use connectors::subject::Subjects;
use dataflows::flow::Crew;
use dataflows::market::Params;
use reading::Reader;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use work::Work;
use writer::{Kept, Outgoing, write};

/// How many batches may wait for the engine, and for the writer.
const BATCHES_AHEAD: usize = 8;

/// How long a run may take to end when it is told to.
const LAST_WAIT: Duration = Duration::from_secs(20);
/// How long a start may take to show what is kept already.
const SHOWN_WAIT: Duration = Duration::from_secs(2);

/// What a run on NATS is asked for.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The engine's parameters.
    pub params: Params,
    /// Records handed on at a time.
    pub batch: usize,
    /// Whether the receipts of applied records are published, too.
    pub all_receipts: bool,
    /// After how long a quiet the run ends; none: never by itself.
    pub stop_when_idle: Option<Duration>,
    /// Messages published and not yet acknowledged, at most.
    pub in_flight: usize,
    /// How snapshots are kept; none: a restart begins at the first record.
    pub snapshots: Option<Snapshots>,
}

/// How far the engine's thread has come, as the reader sees it.
#[derive(Default)]
struct Shared {
    /// The last sequence taken in.
    sequence: AtomicU64,
    /// When the last tick begins, if nothing more comes, in milliseconds.
    last_tick_ms: AtomicI64,
    /// Whether the stream is a recorded one, once that is known.
    recorded: OnceLock<bool>,
    /// Whether a snapshot is made and not kept yet.
    keeping: AtomicBool,
    /// How long the last one took to be written, in microseconds.
    took_us: AtomicU64,
    /// How many were kept.
    kept: AtomicU64,
    /// Whether the run is to end with its tick.
    stopping: AtomicBool,
    line: Mutex<String>,
}

/// What the engine takes at a time.
struct Batch {
    records: Vec<Inbound>,
    /// When the broker got the last of their messages, in nanoseconds of Unix time.
    came_ns: Option<i128>,
    /// Whether that ended a recorded stream's last tick.
    ended: bool,
}

/// A run that has begun: its engine goes on where the one before it was.
struct Begun {
    connection: Connection,
    subjects: Subjects,
    source: InputSource,
    sink: Sink,
    kept: Kept,
    shared: Arc<Shared>,
    engine: thread::JoinHandle<Option<Summary>>,
    /// What the engine takes, and what it brings forth.
    batches: Sender<Batch>,
    produced: Receiver<Outgoing>,
    /// The last message that the engine has had, and whether that ended the last tick.
    had: (u64, bool),
}

/// Connects, and runs the engine, with those workers, on a city's streams until it is told to stop.
///
/// # Errors
/// A stream is missing, NATS is lost, or the broker refuses what is published for good.
///
/// # Panics
/// Outside of a tokio runtime.
pub async fn run(
    connect: impl Future<Output = Result<(Connection, Subjects), Failure>>,
    settings: &Settings,
    crew: Crew,
) -> Result<Summary, Failure> {
    let started = Instant::now();
    let mut stop = listen();
    let begun = async {
        let (connection, subjects) = connect.await?;
        begin(connection, subjects, settings, crew, started).await
    };
    tokio::select! {
        begun = begun => begun?.go_on(settings, &mut stop).await,
        // Nothing is under way yet that would have to end.
        _ = &mut stop => Ok(Summary::of(&Figures::default(), started)),
    }
}

/// Looks where the run is to go on, and brings its engine there.
async fn begin(
    connection: Connection,
    subjects: Subjects,
    settings: &Settings,
    crew: Crew,
    started: Instant,
) -> Result<Begun, Failure> {
    let mut snapshots = settings.snapshots.clone();
    let advised = |error| resume::advised(error, &subjects);
    let outputs = resume::refuse_unsafe(&connection, &subjects).await?;
    let beginning =
        resume::begin(&connection, &subjects, &settings.params, snapshots.as_mut()).await?;
    let Position { sequence, decided, recorded, ended, noted, .. } = beginning.position;
    resume::note_gone(&outputs, &subjects, decided);
    let source = InputSource::open(&connection, &subjects, sequence + 1, recorded).await;
    let source = source.map_err(advised)?;
    let flight = FlightSettings { in_flight: settings.in_flight, ..FlightSettings::default() };
    let mut sink =
        Sink::open(&connection, &subjects, decided, noted, flight).await.map_err(advised)?;
    let (batches, taken) = channel(BATCHES_AHEAD);
    let (to_writer, produced) = channel(BATCHES_AHEAD);
    let shared = Arc::new(Shared::default());
    let (ready, begun) = oneshot::channel();
    let engine = {
        let (settings, shared, runtime) = (settings.clone(), shared.clone(), Handle::current());
        thread::spawn(move || {
            match Work::begin(&settings, crew, beginning, &shared, (runtime, started)) {
                Ok(work) => {
                    // Whoever asked may be gone: then nothing comes, and the work ends.
                    let _ = ready.send(Ok(work.waiting()));
                    Some(work.run(taken, &to_writer))
                }
                Err(failure) => {
                    let _ = ready.send(Err(failure));
                    None
                }
            }
        })
    };
    let waiting = begun.await.expect("a panic has ended the process")?;
    if noted.complete {
        resume::note_untold(&sink.untold(sequence, &waiting));
    }
    let durable = match snapshots.as_ref().and_then(|snapshots| snapshots.durable.as_deref()) {
        Some(name) => {
            let durable = Durable::open(&connection, &subjects, name).await.map_err(advised)?;
            // One that is new shows what is kept already; with much of that, by and by.
            if sequence > 0 {
                let shown = tokio::time::timeout(SHOWN_WAIT, durable.acknowledge(sequence)).await;
                shown.unwrap_or(Ok(())).map_err(advised)?;
            }
            Some(durable)
        }
        None => None,
    };
    let kept = Kept::at(snapshots.map(|snapshots| snapshots.folder), durable, shared.clone());
    let had = (sequence, ended);
    Ok(Begun { connection, subjects, source, sink, kept, shared, engine, batches, produced, had })
}

impl Begun {
    /// Runs until it is told to stop, or has nothing left to do.
    async fn go_on(
        self,
        settings: &Settings,
        stop: &mut JoinHandle<()>,
    ) -> Result<Summary, Failure> {
        let Self { connection, subjects, mut source, shared, had, .. } = self;
        let advised = |error| resume::advised(error, &subjects);
        let writing = write(self.sink, self.produced, settings.all_receipts, self.kept);
        let mut writer = tokio::spawn(writing);
        let mut written = None;
        let reader = Reader { settings, shared: &shared, had };
        // Wherever the reader waits: an engine whose broker is away takes no more batches, and a writer
        // that cannot go on is not asked again by an engine that has nothing to do.
        let read = tokio::select! {
            read = reader.read(&connection, &subjects, &mut source, self.batches) => read,
            _ = stop => Ok(()),
            failed = &mut writer => {
                written = Some(failed);
                Ok(())
            }
        };
        shared.stopping.store(true, Ordering::Release);
        let written = match written {
            Some(written) => Ok(written),
            None => tokio::time::timeout(LAST_WAIT, writer).await,
        };
        read.map_err(advised)?;
        let Ok(written) = written else {
            let error = "not everything was acknowledged in 20 s; the next run goes on from the last \
                         snapshot, or from the first record";
            return Err(Failure::new(Kind::Unreachable, anyhow::anyhow!(error)));
        };
        written.expect("the writer does not panic").map_err(advised)?;
        let ended = self.engine.join().expect("a panic has ended the process");
        let summary = ended.expect("the work began");
        let snapshots = shared.kept.load(Ordering::Acquire);
        Ok(Summary { snapshots, holes: source.holes(), ..summary })
    }
}
