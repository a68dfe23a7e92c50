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
//! Told to stop, a run ends its batches, publishes what they brought forth, keeps a last snapshot,
//! and is gone within [`LAST_WAIT`]; told again, at once.
//!
//! A live stream gets a clock record when it has been quiet for a second. A recorded one (its
//! first message carries `Iceshop-At`) gets one at the next tick, once, when it has been quiet for
//! [`RECORDED_QUIET`]: that ends its last tick, and lets no further time pass.

mod writer;

use super::forked::Forked;
use super::live::{Live, live_line};
use super::pace::Pace;
use super::pipeline::Pipeline;
use super::resume::{self, Beginning, Snapshots};
use super::snapshot::Position;
use super::summary::Summary;
use crate::failure::{Failure, Kind};
use crate::translate::{Dating, outbound};
use connectors::inbound::Inbound;
use connectors::nats::{Clock, Connection, Durable, FlightSettings, InputSource, Quiet, Sink};
use connectors::subject::Subjects;
use connectors::wire::Record;
use dataflows::flow::Standings;
use dataflows::market::{Params, Time};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;
use writer::{Kept, Outgoing, not_kept, write};

/// How many batches may wait for the engine, and for the writer.
const BATCHES_AHEAD: usize = 8;
/// How long the engine waits for a batch before it looks whether a snapshot is due.
const QUIET_WAIT: Duration = Duration::from_millis(50);
/// How long the reader waits for records before it looks at the clock.
const WAIT: Duration = Duration::from_millis(100);
/// How long a recorded stream must be quiet before its last tick is ended.
const RECORDED_QUIET: Duration = Duration::from_secs(2);

/// How long a run may take to end when it is told to.
const LAST_WAIT: Duration = Duration::from_secs(20);
/// The exit code of a process that SIGINT ended.
const INTERRUPTED: i32 = 130;

/// What a run on NATS is asked for.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The engine's parameters.
    pub params: Params,
    /// Worker threads of the dataflow.
    pub workers: usize,
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
    line: Mutex<String>,
}

/// Runs the engine on a city's streams until it is told to stop.
///
/// # Errors
/// A stream is missing, NATS is lost, or the broker refuses what is published for good.
///
/// # Panics
/// Outside of a tokio runtime.
pub async fn run(
    connection: &Connection,
    subjects: &Subjects,
    settings: &Settings,
) -> Result<Summary, Failure> {
    let started = Instant::now();
    let snapshots = settings.snapshots.as_ref();
    resume::refuse_unsafe(connection, subjects).await?;
    let beginning = resume::begin(connection, subjects, &settings.params, snapshots).await?;
    let Position { sequence, decided, recorded, clocked, noted, .. } = beginning.position;
    let mut source = InputSource::open(connection, subjects, sequence + 1, recorded).await?;
    let flight = FlightSettings { in_flight: settings.in_flight, ..FlightSettings::default() };
    let sink = Sink::open(connection, subjects, decided, noted, flight).await?;
    let (to_engine, batches) = channel(BATCHES_AHEAD);
    let (to_writer, produced) = channel(BATCHES_AHEAD);
    let shared = Arc::new(Shared::default());
    shared.sequence.store(sequence, Ordering::Release);
    let (ready, begun) = oneshot::channel();
    let engine = {
        let (settings, shared, runtime) = (settings.clone(), shared.clone(), Handle::current());
        std::thread::spawn(move || {
            match Work::begin(&settings, beginning, &shared, runtime, started) {
                Ok(work) => {
                    // Whoever asked may be gone: then nothing comes, and the work ends.
                    let _ = ready.send(Ok(()));
                    Some(work.run(batches, &to_writer))
                }
                Err(failure) => {
                    let _ = ready.send(Err(failure));
                    None
                }
            }
        })
    };
    begun.await.expect("a panic has ended the process")?;
    let folder = snapshots.map(|snapshots| snapshots.folder.clone());
    let durable = match snapshots.and_then(|snapshots| snapshots.durable.as_deref()) {
        Some(name) => Some(Durable::open(connection, subjects, name).await?),
        None => None,
    };
    let kept = Kept::at(folder, durable, shared.clone());
    let writer = tokio::spawn(write(sink, produced, settings.all_receipts, kept));
    let ended = clocked.then_some(sequence);
    let reader = Reader { settings, shared: &shared, ended };
    // Wherever the reader waits: an engine whose broker is away takes no more batches.
    let read = tokio::select! {
        read = reader.read(connection, subjects, &mut source, to_engine) => read,
        () = stopped() => Ok(()),
    };
    let Ok(written) = tokio::time::timeout(LAST_WAIT, writer).await else {
        let error = "not everything was acknowledged in 20 s; the next run goes on from the last \
                     snapshot, or from the first record";
        return Err(Failure::new(Kind::Unreachable, anyhow::anyhow!(error)));
    };
    let written = written.expect("the writer does not panic");
    let summary = engine.join().expect("a panic has ended the process");
    read.and(written).map(|()| summary.expect("the work began"))
}

struct Reader<'a> {
    settings: &'a Settings,
    shared: &'a Shared,
    /// The clock record that a snapshot was made after.
    ended: Option<u64>,
}

/// Whether the last record of a batch is a clock: a recorded stream that ends so has its last tick
/// ended already.
fn ends_with_clock(batch: &[Inbound]) -> bool {
    matches!(batch.last().map(|last| &last.record), Some(Ok(Record::Clock(_))))
}

impl Reader<'_> {
    /// Hands on what comes, and tells the time when nothing does. Dropped anywhere, it loses nothing
    /// that the next run would not read again.
    async fn read(
        &self,
        connection: &Connection,
        subjects: &Subjects,
        source: &mut InputSource,
        engine: Sender<Vec<Inbound>>,
    ) -> Result<(), Failure> {
        let clock = Clock::new(connection, subjects);
        let mut live = Live::on_stderr();
        let (mut quiet, mut heard) = (Quiet::new(Instant::now()), Instant::now());
        let mut ended = self.ended;
        loop {
            let mut batch = Vec::new();
            let progress = source.next_batch(self.settings.batch, WAIT, &mut batch).await?;
            let now = Instant::now();
            if let Some(recorded) = source.recorded() {
                let _ = self.shared.recorded.set(recorded);
            }
            if !batch.is_empty() {
                quiet.heard(now);
                if ends_with_clock(&batch) {
                    ended = Some(progress.last_sequence);
                } else {
                    heard = now;
                }
                if engine.send(batch).await.is_err() {
                    return Ok(());
                }
            }
            if live.is_due() {
                live.show(self.shared.line.lock().expect("only text").clone());
            }
            let done = self.shared.sequence.load(Ordering::Acquire) == progress.last_sequence;
            if !progress.caught_up || !done {
                continue;
            }
            connection.readiness()?;
            if source.recorded() == Some(true) {
                if ended != Some(progress.last_sequence) && heard.elapsed() >= RECORDED_QUIET {
                    ended = Some(clock.at(&self.next_tick()).await?);
                }
            } else if quiet.is_due(now) {
                quiet.heard(now);
                clock.tick(progress.last_sequence).await?;
            }
            let recorded = source.recorded() == Some(true);
            let complete = !recorded || ended == Some(progress.last_sequence);
            let idle = self.settings.stop_when_idle;
            if complete && idle.is_some_and(|idle| heard.elapsed() >= idle) {
                return Ok(());
            }
        }
    }

    /// When the tick after the last begins.
    fn next_tick(&self) -> String {
        let last = self.shared.last_tick_ms.load(Ordering::Acquire);
        let params = &self.settings.params;
        outbound::utc(params.start(params.tick(Time(last)).next()))
    }
}

/// The engine's thread.
struct Work<'a> {
    pipeline: Pipeline,
    position: Position,
    /// How often a snapshot is made, if at all.
    pace: Option<Pace>,
    /// When the last one was begun, and after which message.
    kept: (Instant, u64),
    /// What the engine's thread waits on.
    runtime: Handle,
    shared: &'a Shared,
    started: Instant,
}

impl<'a> Work<'a> {
    /// The engine as it was at the beginning of the run.
    fn begin(
        settings: &Settings,
        beginning: Beginning,
        shared: &'a Shared,
        runtime: Handle,
        started: Instant,
    ) -> Result<Self, Failure> {
        let (workers, standings) = (settings.workers, Standings::default());
        let pipeline = match beginning.snapshot {
            None => Pipeline::new(settings.params.clone(), workers, Dating::Newest, standings),
            Some(snapshot) => {
                let saved = snapshot.saved;
                Pipeline::restore(&saved, workers, Dating::Newest, standings)
                    .map_err(|error| Failure::new(Kind::Data, error))?
            }
        };
        let pace = settings.snapshots.as_ref().map(|snapshots| snapshots.pace);
        let sequence = beginning.position.sequence;
        // A snapshot may be of the whole log: with nothing more to come, the tick that is to be ended
        // is the one that it was made in.
        shared.last_tick_ms.store(pipeline.last_tick().0, Ordering::Release);
        let (position, kept) = (beginning.position, (Instant::now(), sequence));
        Ok(Self { pipeline, position, pace, kept, runtime, shared, started })
    }

    /// A batch at a time, until nobody sends any more.
    fn run(mut self, mut batches: Receiver<Vec<Inbound>>, writer: &Sender<Outgoing>) -> Summary {
        let mut shown = Instant::now();
        let mut heard = true;
        while heard && let Some(batch) = self.next(&mut batches, writer) {
            let last = batch.last().map_or(0, |inbound| inbound.sequence);
            self.position.clocked = ends_with_clock(&batch);
            let produce = self.pipeline.take(batch);
            self.position.sequence = last;
            self.position.decided += produce.decisions.len() as u64;
            heard = writer.blocking_send(Outgoing::Produce(produce)).is_ok();
            if !heard {
                break;
            }
            self.shared.last_tick_ms.store(self.pipeline.last_tick().0, Ordering::Release);
            self.shared.sequence.store(last, Ordering::Release);
            if shown.elapsed() >= Duration::from_millis(500) {
                shown = Instant::now();
                let line = live_line(&self.pipeline.figures(), self.started);
                *self.shared.line.lock().expect("only text") = line;
            }
            heard = self.snapshot_if_due(writer);
        }
        if heard && self.pace.is_some() && !self.is_kept() {
            self.snapshot(writer);
        }
        Summary::of(&self.pipeline.figures(), self.started)
    }

    /// The next batch; while none comes, what came last gets its snapshot when that is due.
    fn next(
        &mut self,
        batches: &mut Receiver<Vec<Inbound>>,
        writer: &Sender<Outgoing>,
    ) -> Option<Vec<Inbound>> {
        while self.pace.is_some() && !self.is_kept() {
            let next = async { tokio::time::timeout(QUIET_WAIT, batches.recv()).await };
            match self.runtime.block_on(next) {
                Ok(next) => return next,
                Err(_) if !self.snapshot_if_due(writer) => return None,
                Err(_) => {}
            }
        }
        batches.blocking_recv()
    }

    /// Whether the last snapshot has all that came.
    fn is_kept(&self) -> bool {
        self.kept.1 == self.position.sequence
    }

    /// Makes a snapshot if one is due and the one before it is kept; false if the writer is gone.
    fn snapshot_if_due(&mut self, writer: &Sender<Outgoing>) -> bool {
        if self.shared.keeping.load(Ordering::Acquire) || !self.is_due(self.kept.0) {
            return true;
        }
        self.snapshot(writer)
    }

    /// Whether the next snapshot is due, the last one having been begun then.
    fn is_due(&self, last: Instant) -> bool {
        let took = Duration::from_micros(self.shared.took_us.load(Ordering::Acquire));
        self.pace.is_some_and(|pace| last.elapsed() >= pace.due(took))
    }

    /// Sends the state after the last batch to the writer; false if that is gone.
    fn snapshot(&mut self, writer: &Sender<Outgoing>) -> bool {
        self.position.recorded = self.shared.recorded.get().copied();
        let position = self.position.clone();
        self.kept = (Instant::now(), position.sequence);
        match self.pipeline.save(&Forked) {
            Ok(saving) => {
                self.shared.keeping.store(true, Ordering::Release);
                writer.blocking_send(Outgoing::Snapshot(Box::new((position, saving)))).is_ok()
            }
            Err(error) => {
                not_kept(position.sequence, &error);
                true
            }
        }
    }
}

/// Returns when the process is told to stop, by SIGINT or SIGTERM; told again, it ends at once.
async fn stopped() {
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    // Without a handler a signal ends the process, as it would anyway.
    let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
        return std::future::pending().await;
    };
    let told = async |interrupt: &mut Signal, terminate: &mut Signal| {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    told(&mut interrupt, &mut terminate).await;
    tokio::spawn(async move {
        told(&mut interrupt, &mut terminate).await;
        std::process::exit(INTERRUPTED);
    });
}
