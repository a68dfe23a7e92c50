//! The messages of one stream in order, whatever happens to consumer, connection or server.
//!
//! An ephemeral pull consumer without acknowledgements hands them out. Whenever something is odd (a
//! missed heartbeat, a reconnect, a deleted consumer, a gap) the consumer is made anew behind the
//! last message that was handed on; a sequence that comes again is dropped ([`Order`]).
//!
//! **Contract** sequences only rise. A gap is handed on as one only after the stream was asked what
//! it still has: then the messages were deleted, and the stream is the log. All of them are of the
//! stream that was there at first: another one of the same name is an error, and so is the same one that
//! has lost its end (its server is back with an older disk) and was filled anew.

mod attach;

use std::time::Duration;

use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::stream::Info;
use futures_util::{FutureExt, StreamExt};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::order::{Came, Order};
use super::{Connection, NatsError};
use attach::{Attached, attach};
pub(super) use attach::{came_ns, first_from};

/// How often an idle reader looks whether the connection was made anew.
const WATCH_INTERVAL: Duration = Duration::from_millis(250);

/// How long a reader waits before it looks whether the stream is at its end.
const END_WAIT: Duration = Duration::from_secs(1);

/// How long nothing may come of what the broker still had before the stream is asked for it: it may
/// have been deleted meanwhile.
const SILENCE: Duration = Duration::from_secs(2);

/// The wait after a failed attempt to make a consumer.
pub(super) const RETRY_DELAY: Duration = Duration::from_millis(250);

/// After how many failed attempts in a row a missing stream counts as deleted.
const MAX_MISSING: u32 = 20;

/// A message that was handed on.
#[derive(Debug, Clone, Copy)]
struct Last {
    sequence: u64,
    /// When the broker got it, in nanoseconds of Unix time.
    at_ns: i128,
}

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At this sequence, which the stream must still hold or be the next to get.
    Sequence(u64),
    /// At the first message that the stream holds.
    First,
    /// Behind the last one.
    New,
}

/// Reads one stream.
pub(super) struct Reader {
    connection: Connection,
    stream: String,
    /// When it was made, in nanoseconds of Unix time: tells it from another of the same name.
    made: i128,
    order: Order,
    /// The last message that was handed on.
    last: Option<Last>,
    messages: Option<pull::Stream>,
    /// Whether the broker had nothing more when the last message (or the consumer) was made.
    caught_up: bool,
    /// The consumer that is being made. A task, so that a caller who stops waiting does not stop it.
    attaching: Option<JoinHandle<Result<Attached, NatsError>>>,
    /// The connection's count of connects when `messages` was made.
    connects: u64,
    /// Since when a caller has waited in vain for what the broker still had.
    silent: Option<Instant>,
    /// Failed attempts in a row.
    failures: u32,
    /// No attempt before this.
    retry_at: Instant,
}

impl Reader {
    /// Begins to read.
    ///
    /// # Errors
    /// The stream is missing, or does not hold the sequence that is wanted.
    pub(super) async fn open(
        connection: Connection,
        stream: String,
        start: Start,
    ) -> Result<Reader, NatsError> {
        let Info { state, created, .. } = connection.stream_info(&stream).await?;
        let made = created.unix_timestamp_nanos();
        let next = match start {
            Start::Sequence(sequence) => sequence.max(1),
            Start::First => state.first_sequence.max(1),
            Start::New => state.last_sequence + 1,
        };
        let order = Order::from(next);
        let attached = attach(connection.clone(), stream.clone(), made, order, None).await?;
        Ok(Reader {
            connection,
            stream,
            made,
            order,
            last: None,
            messages: Some(attached.messages),
            caught_up: attached.caught_up,
            attaching: None,
            connects: attached.connects,
            silent: None,
            failures: 0,
            retry_at: Instant::now(),
        })
    }

    /// The stream's name.
    pub(super) fn stream(&self) -> &str {
        &self.stream
    }

    /// The sequence that comes next.
    pub(super) fn next_sequence(&self) -> u64 {
        self.order.next()
    }

    /// Whether the broker had nothing behind the last message.
    pub(super) fn is_caught_up(&self) -> bool {
        self.caught_up
    }

    /// How many messages the stream had lost when they were wanted.
    pub(super) fn holes(&self) -> u64 {
        self.order.holes()
    }

    /// When the broker got the last message that was handed on, in nanoseconds of Unix time; none before
    /// the first.
    pub(super) fn last_came_ns(&self) -> Option<i128> {
        self.last.map(|last| last.at_ns)
    }

    /// The stream ends behind the last message, and nothing comes: asks it what it still has.
    pub(super) fn look_again(&mut self) {
        self.order.tear();
        if self.messages.is_some() {
            self.detach("the stream ends later");
        }
    }

    /// The next message and its sequence; none if there is none before the deadline.
    ///
    /// # Errors
    /// The stream is gone, or no longer holds what is wanted.
    pub(super) async fn next_before(
        &mut self,
        deadline: Instant,
    ) -> Result<Option<(u64, Message)>, NatsError> {
        loop {
            if self.messages.is_none() && !self.mend(deadline).await? {
                return Ok(None);
            }
            let Some(messages) = self.messages.as_mut() else { continue };
            let slice = deadline.min(Instant::now() + WATCH_INTERVAL);
            match timeout_at(slice, messages.next()).await {
                Ok(Some(Ok(message))) => {
                    if let Some(found) = self.accept(message) {
                        return Ok(Some(found));
                    }
                }
                Ok(Some(Err(error))) => self.detach(&error.to_string()),
                Ok(None) => self.detach("the consumer ended"),
                Err(_) if self.connection.connects() != self.connects => {
                    self.detach("the connection was made anew");
                }
                Err(_) => {
                    // What may not be asked for is not handed out: silence is not the end then.
                    if let Some(what) = self.connection.denial() {
                        return Err(NatsError::Denied { what });
                    }
                    self.doubt();
                    if slice == deadline {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// The next message that the stream holds; none at its end.
    ///
    /// # Errors
    /// Those of [`Reader::next_before`].
    pub(super) async fn next_held(&mut self) -> Result<Option<(u64, Message)>, NatsError> {
        loop {
            let found = self.next_before(Instant::now() + END_WAIT).await?;
            if found.is_some() || self.caught_up {
                return Ok(found);
            }
        }
    }

    /// The same, but for those behind that sequence.
    pub(super) async fn next_until(
        &mut self,
        last: u64,
    ) -> Result<Option<(u64, Message)>, NatsError> {
        if self.order.next() > last {
            return Ok(None);
        }
        Ok(self.next_held().await?.filter(|(sequence, _)| *sequence <= last))
    }

    /// The next message if it is already here.
    pub(super) fn next_ready(&mut self) -> Option<(u64, Message)> {
        loop {
            let messages = self.messages.as_mut()?;
            // Unconstrained: tokio's budget would end a batch after 128 messages.
            match tokio::task::unconstrained(messages.next()).now_or_never()? {
                Some(Ok(message)) => {
                    if let Some(found) = self.accept(message) {
                        return Some(found);
                    }
                }
                Some(Err(error)) => self.detach(&error.to_string()),
                None => self.detach("the consumer ended"),
            }
        }
    }

    /// Takes a message if it is the next one, or a proven hole lies before it.
    fn accept(&mut self, message: Message) -> Option<(u64, Message)> {
        let (sequence, pending, at) = match message.info() {
            Ok(info) => (info.stream_sequence, info.pending, info.published),
            Err(error) => {
                self.detach(&error.to_string());
                return None;
            }
        };
        match self.order.came(sequence) {
            Came::Next => {
                (self.caught_up, self.silent) = (pending == 0, None);
                self.last = Some(Last { sequence, at_ns: at.unix_timestamp_nanos() });
                Some((sequence, message))
            }
            Came::Again => None,
            Came::Gap => {
                self.detach("messages are missing");
                None
            }
        }
    }

    /// Nothing has come. Where there should be more, and for long, the stream is asked what it has.
    fn doubt(&mut self) {
        let since = *self.silent.get_or_insert_with(Instant::now);
        if self.caught_up {
            self.silent = None;
        } else if since.elapsed() >= SILENCE {
            self.look_again();
        }
    }

    /// Lets the consumer go.
    fn detach(&mut self, reason: &str) {
        tracing::info!(
            stream = self.stream,
            next = self.order.next(),
            reason,
            "making the consumer anew"
        );
        (self.messages, self.silent) = (None, None);
    }

    /// Makes a consumer; false if there is none before the deadline.
    async fn mend(&mut self, deadline: Instant) -> Result<bool, NatsError> {
        if self.retry_at > deadline {
            sleep_until(deadline).await;
            return Ok(false);
        }
        sleep_until(self.retry_at).await;
        let task = self.attaching.get_or_insert_with(|| {
            let (connection, stream) = (self.connection.clone(), self.stream.clone());
            tokio::spawn(attach(connection, stream, self.made, self.order, self.last))
        });
        let Ok(joined) = timeout_at(deadline, task).await else { return Ok(false) };
        self.attaching = None;
        match joined {
            Ok(Ok(attached)) => {
                let lost = self.order.renew(attached.first);
                if lost > 0 {
                    let before = attached.first;
                    tracing::warn!(stream = self.stream, lost, before, "deleted");
                }
                self.messages = Some(attached.messages);
                self.caught_up = attached.caught_up;
                self.connects = attached.connects;
                self.failures = 0;
                return Ok(true);
            }
            Ok(Err(NatsError::NoStream { .. })) if self.failures < MAX_MISSING => {}
            Ok(Err(NatsError::Request { reason, .. })) => {
                tracing::debug!(stream = self.stream, reason, "no consumer yet");
            }
            Ok(Err(error)) => return Err(error),
            Err(error) => tracing::error!(%error, "making a consumer panicked"),
        }
        self.failures += 1;
        self.retry_at = Instant::now() + RETRY_DELAY;
        Ok(false)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(task) = &self.attaching {
            task.abort();
        }
    }
}
