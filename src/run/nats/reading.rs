//! The way in: batches from the input stream to the engine, and time where nothing comes.

use super::{Batch, Settings, Shared};
use crate::run::live::Live;
use crate::translate::outbound;
use connectors::inbound::Inbound;
use connectors::nats::{Clock, Connection, InputSource, NatsError, Quiet};
use connectors::subject::Subjects;
use connectors::wire::Record;
use dataflows::market::Time;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Sender;

/// How long the reader waits for records before it looks at the clock.
const WAIT: Duration = Duration::from_millis(100);
/// How long a recorded stream must be quiet before its last tick is ended.
const RECORDED_QUIET: Duration = Duration::from_secs(2);
/// How long the broker may refuse clock records before a run that is to stop when idle does so without:
/// a stream that is sealed, or full, takes none.
const REFUSED_WAIT: Duration = Duration::from_secs(10);
/// How long the next one waits after a refusal.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// Reads for the engine.
pub(super) struct Reader<'a> {
    pub(super) settings: &'a Settings,
    pub(super) shared: &'a Shared,
    /// The last message that the engine has had, and whether that ended the last tick.
    pub(super) had: (u64, bool),
}

/// How long nothing has come.
struct Silence {
    /// Since when neither records nor clocks have.
    quiet: Quiet,
    /// When a record came last that was no engine's clock.
    heard: Instant,
    /// The last message that was handed on.
    last: u64,
    /// Whether that ended a recorded stream's last tick.
    ended: bool,
    /// Behind which message no clock record could be put: something else is there, or was.
    taken: Option<u64>,
    /// Since when the broker takes no clock record, and why.
    refused: Option<(Instant, String)>,
}

impl Silence {
    /// Nothing has come since `last`.
    fn since((last, ended): (u64, bool)) -> Self {
        let (quiet, heard) = (Quiet::new(Instant::now()), Instant::now());
        Self { quiet, heard, last, ended, taken: None, refused: None }
    }

    /// A batch has come.
    fn broken(&mut self, batch: &[Inbound], ended: bool, recorded: Option<bool>) {
        let now = Instant::now();
        self.quiet.heard(now);
        self.last = batch.last().map_or(self.last, |last| last.sequence);
        self.ended = ended;
        // An engine's own clock records are no news; those of a recorded stream are known by their header.
        let news = if recorded == Some(true) { !ended } else { !ends_with_clock(batch) };
        if news {
            self.heard = now;
        }
    }

    /// The broker took no clock record; whether that has been so for long.
    fn refused(&mut self, reason: String) -> bool {
        let known = self.refused.take().filter(|(_, before)| *before == reason);
        if known.is_none() {
            tracing::warn!(reason, "the broker takes no clock record: time is told later");
        }
        let since = known.map_or_else(Instant::now, |(since, _)| since);
        self.refused = Some((since, reason));
        since.elapsed() >= REFUSED_WAIT
    }
}

impl Reader<'_> {
    /// Hands on what comes, and tells the time when nothing does. Dropped anywhere, it loses nothing
    /// that the next run would not read again.
    pub(super) async fn read(
        &self,
        connection: &Connection,
        subjects: &Subjects,
        source: &mut InputSource,
        engine: Sender<Batch>,
    ) -> Result<(), NatsError> {
        let clock = Clock::new(connection, subjects);
        let mut live = Live::on_stderr();
        let mut silence = Silence::since(self.had);
        loop {
            let mut batch = Vec::new();
            let progress = source.next_batch(self.settings.batch, WAIT, &mut batch).await?;
            if let Some(recorded) = source.recorded() {
                let _ = self.shared.recorded.set(recorded);
            }
            if !batch.is_empty() {
                let (came_ns, ended) = (source.last_came_ns(), source.is_ended());
                silence.broken(&batch, ended, source.recorded());
                let batch = Batch { records: batch, came_ns, ended };
                if engine.send(batch).await.is_err() {
                    return Ok(());
                }
            }
            if live.is_due() {
                live.show(self.shared.line.lock().expect("only text").clone());
            }
            let done = self.shared.sequence.load(Ordering::Acquire) == silence.last;
            if !progress.caught_up || !done {
                continue;
            }
            match connection.readiness() {
                // The broker is away: it comes back.
                Err(NatsError::Unreachable { .. }) => continue,
                ready => ready?,
            }
            let (last, recorded) = (progress.last_sequence, source.recorded());
            match self.tell_time(&clock, recorded, last, &mut silence).await {
                Err(NatsError::Request { reason, .. }) => {
                    if silence.refused(reason) && self.is_idle(&silence) {
                        eprintln!(
                            "note       the last tick is not over: no clock record could be put"
                        );
                        return Ok(());
                    }
                    tokio::time::sleep(REFUSED_PAUSE).await;
                    continue;
                }
                // Twice: what came meanwhile would have been handed on.
                Ok(false) if silence.taken.replace(last) == Some(last) => source.look_again(),
                // Whoever is away comes back.
                Err(NatsError::Unreachable { .. }) => continue,
                told => _ = told?,
            }
            silence.refused = None;
            let complete = recorded != Some(true) || silence.ended;
            if complete && self.is_idle(&silence) {
                return Ok(());
            }
        }
    }

    /// Whether nothing has come for as long as the run is to wait.
    fn is_idle(&self, silence: &Silence) -> bool {
        self.settings.stop_when_idle.is_some_and(|idle| silence.heard.elapsed() >= idle)
    }

    /// Tells the time where it is due, behind the last message; false if the stream does not end there.
    async fn tell_time(
        &self,
        clock: &Clock,
        recorded: Option<bool>,
        last: u64,
        silence: &mut Silence,
    ) -> Result<bool, NatsError> {
        let now = Instant::now();
        match recorded {
            // One whose answer is lost is not put there twice; it comes as a batch.
            Some(true) if !silence.ended && silence.heard.elapsed() >= RECORDED_QUIET => {
                clock.at(&self.next_tick(), last).await
            }
            Some(false) if silence.quiet.is_due(now) => {
                silence.quiet.heard(now);
                clock.tick(last).await
            }
            // Before a record has told, there is no time to tell: a recorded one may follow.
            _ => Ok(true),
        }
    }

    /// When the tick after the last begins.
    fn next_tick(&self) -> String {
        let last = self.shared.last_tick_ms.load(Ordering::Acquire);
        let params = &self.settings.params;
        outbound::utc(params.start(params.tick(Time(last)).next()))
    }
}

/// Whether the last record of a batch is a clock, which is no news.
fn ends_with_clock(batch: &[Inbound]) -> bool {
    matches!(batch.last().map(|last| &last.record), Some(Ok(Record::Clock(_))))
}
