//! The engine's thread: batches in, what they bring forth and snapshots out.

use super::writer::{Outgoing, not_kept};
use super::{Batch, Settings, Shared};
use crate::failure::{Failure, Kind};
use crate::run::forked::Forked;
use crate::run::live::live_line;
use crate::run::pace::Pace;
use crate::run::pipeline::Pipeline;
use crate::run::resume::Beginning;
use crate::run::snapshot::Position;
use crate::run::summary::Summary;
use crate::run::usage::thread_cpu;
use crate::translate::Dating;
use connectors::inbound::Inbound;
use connectors::nats::Place;
use dataflows::flow::{Crew, Standings};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender};

/// How long the engine waits for a batch before it looks whether a snapshot is due.
const QUIET_WAIT: Duration = Duration::from_millis(50);

/// The engine's thread.
pub(super) struct Work<'a> {
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
    pub(super) fn begin(
        settings: &Settings,
        crew: Crew,
        beginning: Beginning,
        shared: &'a Shared,
        (runtime, started): (Handle, Instant),
    ) -> Result<Self, Failure> {
        let standings = Standings::default().timed(thread_cpu);
        let pipeline = match beginning.snapshot {
            None => Pipeline::new(settings.params.clone(), crew, Dating::Newest, standings),
            Some(snapshot) => {
                let saved = snapshot.saved;
                Pipeline::restore(&saved, crew, Dating::Newest, standings)
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

    /// What waits for its receipt.
    pub(super) fn waiting(&self) -> BTreeSet<Place> {
        self.pipeline.waiting().collect()
    }

    /// A batch at a time, until nobody sends any more or the run is told to stop: then what was read
    /// and not brought about is left to the next one.
    pub(super) fn run(
        mut self,
        mut batches: Receiver<Batch>,
        writer: &Sender<Outgoing>,
    ) -> Summary {
        let mut shown = Instant::now();
        // What the run before left in its last batch.
        let mut heard = self.take(Vec::new(), writer);
        self.shared.sequence.store(self.position.sequence, Ordering::Release);
        while heard && let Some(batch) = self.next(&mut batches, writer) {
            let last = batch.records.last().map_or(0, |inbound| inbound.sequence);
            self.position.ended = batch.ended;
            (self.position.sequence, self.position.came_ns) = (last, batch.came_ns);
            heard = self.take(batch.records, writer);
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

    /// Takes in a batch, and brings about its ticks until the run is told to stop; false if the writer
    /// is gone.
    fn take(&mut self, batch: Vec<Inbound>, writer: &Sender<Outgoing>) -> bool {
        let stopping = &self.shared.stopping;
        let go_on = || !stopping.load(Ordering::Acquire);
        let produce = self.pipeline.take_while(batch, go_on);
        self.position.decided += produce.decisions.len() as u64;
        let heard = writer.blocking_send(Outgoing::Produce(produce)).is_ok();
        self.pipeline.rest();
        heard
    }

    /// The next batch; while none comes, what came last gets its snapshot when that is due. None once
    /// the run is to stop.
    fn next(&mut self, batches: &mut Receiver<Batch>, writer: &Sender<Outgoing>) -> Option<Batch> {
        let stopping = &self.shared.stopping;
        while self.pace.is_some() && !self.is_kept() && !stopping.load(Ordering::Acquire) {
            let next = async { tokio::time::timeout(QUIET_WAIT, batches.recv()).await };
            match self.runtime.block_on(next) {
                Ok(next) => return next,
                Err(_) if !self.snapshot_if_due(writer) => return None,
                Err(_) => {}
            }
        }
        batches.blocking_recv().filter(|_| !stopping.load(Ordering::Acquire))
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
