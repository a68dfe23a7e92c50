//! Runs on NATS JetStream.
//!
//! ```text
//! input stream -> reader (task) -> engine (thread) -> writer (task) -> decisions, receipts, dead letters
//! ```
//! At most [`BATCHES_AHEAD`] batches wait on either arrow. The run begins at the first record of
//! the input stream; decisions that the output stream holds already are not published again.
//!
//! A live stream gets a clock record when it has been quiet for a second. A recorded one (its
//! first message carries `Iceshop-At`) gets one at the next tick, once, when it has been quiet for
//! [`RECORDED_QUIET`]: that ends its last tick, and lets no further time pass.

use super::pipeline::{Pipeline, Produce};
use super::summary::{Live, Summary, live_line};
use crate::failure::Failure;
use crate::translate::{Dating, outbound};
use connectors::inbound::Inbound;
use connectors::nats::{Clock, Connection, FlightSettings, InputSource, Quiet, Sink};
use connectors::subject::Subjects;
use connectors::wire::Record;
use dataflows::flow::Standings;
use dataflows::market::{Params, Time};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// How many batches may wait for the engine, and for the writer.
const BATCHES_AHEAD: usize = 8;
/// How long the reader waits for records before it looks at the clock.
const WAIT: Duration = Duration::from_millis(100);
/// How long a recorded stream must be quiet before its last tick is ended.
const RECORDED_QUIET: Duration = Duration::from_secs(2);

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
}

/// How far the engine's thread has come, as the reader sees it.
#[derive(Default)]
struct Shared {
    /// The last sequence taken in.
    sequence: AtomicU64,
    /// When the last tick begins, if nothing more comes, in milliseconds.
    last_tick_ms: AtomicI64,
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
    let mut source = InputSource::open(connection, subjects, 1, None).await?;
    let flight = FlightSettings { in_flight: settings.in_flight, ..FlightSettings::default() };
    let sink = Sink::open(connection, subjects, 0, flight).await?;
    let (to_engine, batches) = channel(BATCHES_AHEAD);
    let (to_writer, produced) = channel(BATCHES_AHEAD);
    let shared = Arc::new(Shared::default());
    let engine = {
        let (params, workers) = (settings.params.clone(), settings.workers);
        let shared = shared.clone();
        std::thread::spawn(move || work(params, workers, batches, &to_writer, &shared, started))
    };
    let writer = tokio::spawn(write(sink, produced, settings.all_receipts));
    let reader = Reader { settings, shared: &shared };
    let read = reader.read(connection, subjects, &mut source, to_engine).await;
    let written = writer.await.expect("the writer does not panic");
    let summary = engine.join().expect("a panic has ended the process");
    read.and(written).map(|()| summary)
}

struct Reader<'a> {
    settings: &'a Settings,
    shared: &'a Shared,
}

impl Reader<'_> {
    /// Hands on what comes, tells the time when nothing does, and stops when it is told to.
    async fn read(
        &self,
        connection: &Connection,
        subjects: &Subjects,
        source: &mut InputSource,
        engine: Sender<Vec<Inbound>>,
    ) -> Result<(), Failure> {
        let clock = Clock::new(connection, subjects);
        let stop = stop_signal();
        tokio::pin!(stop);
        let mut live = Live::on_stderr();
        let (mut quiet, mut heard) = (Quiet::new(Instant::now()), Instant::now());
        let mut ended = None;
        loop {
            let mut batch = Vec::new();
            let progress = tokio::select! {
                progress = source.next_batch(self.settings.batch, WAIT, &mut batch) => {
                    progress?
                }
                () = &mut stop => return Ok(()),
            };
            let now = Instant::now();
            if !batch.is_empty() {
                quiet.heard(now);
                // A recorded stream that ends with a clock record has its last tick ended already.
                if matches!(batch.last().map(|last| &last.record), Some(Ok(Record::Clock(_)))) {
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

/// The engine's thread: a batch at a time, until nobody sends any more.
fn work(
    params: Params,
    workers: usize,
    mut batches: Receiver<Vec<Inbound>>,
    writer: &Sender<Produce>,
    shared: &Shared,
    started: Instant,
) -> Summary {
    let mut pipeline = Pipeline::new(params, workers, Dating::Newest, Standings::default());
    let mut shown = Instant::now();
    while let Some(batch) = batches.blocking_recv() {
        let last = batch.last().map_or(0, |inbound| inbound.sequence);
        let produce = pipeline.take(batch);
        if writer.blocking_send(produce).is_err() {
            break;
        }
        shared.last_tick_ms.store(pipeline.last_tick().0, Ordering::Release);
        shared.sequence.store(last, Ordering::Release);
        if shown.elapsed() >= Duration::from_millis(500) {
            shown = Instant::now();
            *shared.line.lock().expect("only text") = live_line(&pipeline.figures(), started);
        }
    }
    Summary::of(&pipeline.figures(), started)
}

/// Publishes what the engine brings forth; returns when all of it is acknowledged.
async fn write(
    mut sink: Sink,
    mut produced: Receiver<Produce>,
    all_receipts: bool,
) -> Result<(), Failure> {
    while let Some(produce) = produced.recv().await {
        for decision in &produce.decisions {
            sink.decision(decision).await?;
        }
        for receipt in &produce.receipts {
            if all_receipts || receipt.outcome != "applied" {
                sink.receipt(receipt).await?;
            }
        }
        for letter in &produce.dead_letters {
            sink.dead_letter(letter).await?;
        }
        if produced.is_empty() {
            sink.flush().await?;
        }
    }
    Ok(sink.flush().await?)
}

/// Waits for SIGINT or SIGTERM.
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        }
        // Without a handler the signal ends the process, as it would anyway.
        Err(_) => std::future::pending().await,
    }
}
