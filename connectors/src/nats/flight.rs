//! Publishing with many acknowledgements outstanding.
//!
//! All acknowledgements come to one inbox, numbered. Nothing is forgotten before it is
//! acknowledged, and on any trouble (a timeout, a busy or restarted broker, a lost connection)
//! whatever is unacknowledged is published again, in order.
//!
//! Each message says behind which other it comes, by that one's id (`Nats-Expected-Last-Msg-Id`), but for
//! the first of those that are outstanding: whatever somebody else writes between two of them, the broker
//! refuses the second and all that follow. A *fixed* flight is to be the only writer of its stream: its
//! message number `n` must become sequence `n`, which the broker checks, too
//! (`Nats-Expected-Last-Sequence`). After trouble it asks the stream how far it got, so that no message is
//! in it twice however long the trouble took; somebody else's is an error. So is one that somebody put
//! there and took away again, if the flight's messages are *counted*; others then take the next place. A
//! *shared* flight then looks which of its messages the stream holds, and sends the rest behind what is
//! there.
//!
//! No task of its own: acknowledgements are read while the caller pushes or flushes. A dropped
//! flush loses nothing, the next call goes on; a dropped push may lose the message it was given.

mod ack;
mod place;
mod trouble;

use std::collections::VecDeque;
use std::time::Duration;

use async_nats::client::PublishErrorKind;
use async_nats::{HeaderMap, Message, StatusCode, Subscriber};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use tokio::time::{Instant, timeout};

use super::state::StreamState;
use super::{Connection, NatsError};
use ack::Ack;

/// How long an acknowledgement may take before the message is published again.
const ACK_WAIT: Duration = Duration::from_secs(5);

/// How often a waiting flight looks whether the connection was made anew.
const WATCH_INTERVAL: Duration = Duration::from_millis(250);

/// The trouble of a message that no stream takes.
const NOBODY: &str = "no stream takes the subject";

/// The trouble of a message whose id the stream has in its place.
const HAD: &str = "the stream has a message of that id";

/// The broker's code for a message that does not follow the last one.
const WRONG_LAST_SEQUENCE: u64 = 10071;

/// Its code for a message that does not follow the one with that id.
const WRONG_LAST_ID: u64 = 10070;

/// The most bytes of unacknowledged messages; a single one may be longer.
const MAX_IN_FLIGHT_BYTES: usize = 64 * 1024 * 1024;

/// How much may be outstanding, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlightSettings {
    /// The most unacknowledged messages, from 1; 1,000.
    pub in_flight: usize,
    /// How long nothing at all may be acknowledged before that is an error; none: for ever.
    pub patience: Option<Duration>,
}

impl Default for FlightSettings {
    fn default() -> FlightSettings {
        FlightSettings { in_flight: 1_000, patience: None }
    }
}

/// A message to publish.
pub(super) struct Outgoing {
    pub(super) subject: String,
    pub(super) headers: HeaderMap,
    pub(super) payload: Bytes,
}

/// A message that was pushed and may still have to be published again.
struct Pending {
    message: Outgoing,
    acknowledged: bool,
}

/// In which order messages come into a stream.
enum Order {
    /// Theirs alone: message `n` becomes sequence `n`.
    Fixed {
        stream: String,
        /// Whether that must stay so where a place is lost: else the numbers move.
        counted: bool,
    },
    /// Theirs, with whatever others write between them.
    Shared {
        stream: String,
        /// When the stream was made, in nanoseconds of Unix time.
        made: i128,
        /// The last sequence of those that are acknowledged, or what the stream ended with before the
        /// first.
        last: u64,
        /// What the stream ended with before the flight, and how many of its messages it had by then.
        before: u64,
        had: u64,
    },
}

impl Order {
    /// Into which stream.
    fn stream(&self) -> &str {
        let (Order::Fixed { stream, .. } | Order::Shared { stream, .. }) = self;
        stream
    }
}

/// Messages on their way.
pub(super) struct Flight {
    connection: Connection,
    settings: FlightSettings,
    order: Order,
    inbox: String,
    acks: Subscriber,
    /// Rises whenever everything is published again: acknowledgements of before count no more.
    epoch: u32,
    /// The number of `pending`'s first message.
    first: u64,
    /// Invariant: its first message is unacknowledged.
    pending: VecDeque<Pending>,
    /// The bytes of its bodies.
    pending_bytes: usize,
    /// The connection's count of connects when the epoch began.
    connects: u64,
    /// When the epoch began or the last acknowledgement came.
    waiting_since: Instant,
    /// When something was acknowledged, or the flight began.
    progressed_at: Instant,
    /// Recoveries without an acknowledgement between them.
    attempts: u32,
}

impl Flight {
    /// A flight that shares a stream as it is now; each message has its own id.
    pub(super) async fn shared(
        connection: &Connection,
        settings: FlightSettings,
        now: &StreamState,
    ) -> Result<Flight, NatsError> {
        let (stream, made, last) = (now.stream.clone(), now.made_ns, now.last);
        let order = Order::Shared { stream, made, last, before: last, had: 0 };
        Flight::new(connection, settings, order, 1).await
    }

    /// A flight whose first message becomes sequence `first` of `stream`; if they are `counted`, a place
    /// that is lost is an error.
    pub(super) async fn fixed(
        connection: &Connection,
        settings: FlightSettings,
        (stream, counted): (String, bool),
        first: u64,
    ) -> Result<Flight, NatsError> {
        Flight::new(connection, settings, Order::Fixed { stream, counted }, first).await
    }

    async fn new(
        connection: &Connection,
        settings: FlightSettings,
        order: Order,
        first: u64,
    ) -> Result<Flight, NatsError> {
        assert!(settings.in_flight > 0, "in_flight 0 would never publish");
        let inbox = connection.client().new_inbox();
        let acks = connection.client().subscribe(format!("{inbox}.*")).await.map_err(|error| {
            connection.request_failed("subscribe to acknowledgements", order.stream(), &error)
        })?;
        Ok(Flight {
            connection: connection.clone(),
            settings,
            order,
            inbox,
            acks,
            epoch: 0,
            first,
            pending: VecDeque::new(),
            pending_bytes: 0,
            connects: connection.connects(),
            waiting_since: Instant::now(),
            progressed_at: Instant::now(),
            attempts: 0,
        })
    }

    /// Returns when so many bytes may be outstanding, too: what is pushed then is outstanding at once.
    ///
    /// # Errors
    /// An earlier message was refused for good.
    pub(super) async fn make_room(&mut self, bytes: usize) -> Result<(), NatsError> {
        while self.pending.len() >= self.settings.in_flight
            || !self.pending.is_empty() && self.pending_bytes + bytes > MAX_IN_FLIGHT_BYTES
        {
            self.settle().await?;
        }
        self.note_ready().await?;
        // What was lost goes before what is new, as far as that is known by now.
        while !self.pending.is_empty() && self.connection.connects() != self.connects {
            self.recover("the connection was made anew".into()).await?;
        }
        if !self.pending.is_empty() && self.waiting_since.elapsed() > ACK_WAIT {
            self.recover("no acknowledgement".into()).await?;
        }
        Ok(())
    }

    /// Publishes a message as soon as fewer than `in_flight`, and not too many bytes, are outstanding.
    ///
    /// # Errors
    /// An earlier message was refused for good.
    pub(super) async fn push(&mut self, message: Outgoing) -> Result<(), NatsError> {
        let bytes = message.payload.len();
        self.make_room(bytes).await?;
        self.pending_bytes += bytes;
        if self.pending.is_empty() {
            self.progressed_at = Instant::now();
            self.waiting_since = self.progressed_at;
            self.connects = self.connection.connects();
        }
        self.pending.push_back(Pending { message, acknowledged: false });
        self.send(self.pending.len() - 1).await?;
        self.note_ready().await
    }

    /// Takes note of the acknowledgements that are here.
    async fn note_ready(&mut self) -> Result<(), NatsError> {
        while let Some(Some(ack)) = self.acks.next().now_or_never() {
            if let Some(trouble) = self.note(&ack)? {
                self.recover(trouble).await?;
            }
        }
        Ok(())
    }

    /// Returns when everything that was pushed is acknowledged.
    ///
    /// # Errors
    /// A message was refused for good.
    pub(super) async fn flush(&mut self) -> Result<(), NatsError> {
        while !self.pending.is_empty() {
            self.settle().await?;
        }
        Ok(())
    }

    /// How many messages the stream had, by their ids, before a shared flight began.
    pub(super) fn had_before(&self) -> u64 {
        match self.order {
            Order::Fixed { .. } => 0,
            Order::Shared { had, .. } => had,
        }
    }

    /// How many are not acknowledged.
    pub(super) fn outstanding(&self) -> u64 {
        self.pending.iter().filter(|it| !it.acknowledged).count() as u64
    }

    /// The number of the first message that is not acknowledged.
    pub(super) fn first_outstanding(&self) -> u64 {
        self.first
    }

    /// Waits for one acknowledgement, or for trouble and its end.
    async fn settle(&mut self) -> Result<(), NatsError> {
        match timeout(WATCH_INTERVAL, self.acks.next()).await {
            Ok(Some(ack)) => match self.note(&ack)? {
                Some(trouble) => self.recover(trouble).await,
                None => Ok(()),
            },
            Ok(None) => Err(self.stalled("the inbox was closed".into())),
            Err(_) if self.connection.connects() != self.connects => {
                self.recover("the connection was made anew".into()).await
            }
            Err(_) if self.waiting_since.elapsed() > ACK_WAIT => {
                self.recover("no acknowledgement".into()).await
            }
            Err(_) => Ok(()),
        }
    }

    /// Takes note of an acknowledgement; some text if it means trouble.
    fn note(&mut self, ack: &Message) -> Result<Option<String>, NatsError> {
        let Some(index) = self.index_of(ack.subject.as_str()) else { return Ok(None) };
        if ack.status == Some(StatusCode::NO_RESPONDERS) {
            return Ok(Some(NOBODY.into()));
        }
        let read: Ack = match serde_json::from_slice(&ack.payload) {
            Ok(read) => read,
            Err(error) => return Ok(Some(format!("unreadable acknowledgement: {error}"))),
        };
        if let Some(error) = read.error {
            let own_order = matches!(error.err_code, WRONG_LAST_SEQUENCE | WRONG_LAST_ID);
            if own_order || matches!(error.code, 408 | 429 | 500 | 503) {
                return Ok(Some(error.description));
            }
            let subject = self.pending[index].message.subject.clone();
            return Err(NatsError::Refused { subject, reason: error.description });
        }
        let number = self.first + index as u64;
        match &mut self.order {
            Order::Fixed { stream, .. } if read.seq != number => {
                let (stream, sequence) = (stream.clone(), read.seq);
                let found = id_of(&self.pending[index].message).to_owned();
                if read.duplicate {
                    return Err(NatsError::Remembered { stream, sequence, id: found, number });
                }
                let expected = format!("it at {number}");
                return Err(NatsError::Foreign { stream, sequence, expected, found });
            }
            // Its own, that it sent before, or somebody else's of the same id.
            Order::Fixed { .. } if read.duplicate => return Ok(Some(HAD.into())),
            Order::Fixed { .. } => {}
            Order::Shared { last, before, had, .. } => {
                *last = read.seq.max(*last);
                *had += u64::from(read.duplicate && read.seq <= *before);
            }
        }
        self.pending[index].acknowledged = true;
        self.progressed_at = Instant::now();
        self.waiting_since = self.progressed_at;
        self.attempts = 0;
        self.pop_acknowledged();
        Ok(None)
    }

    /// Which pending message an acknowledgement is for; none if it is of another epoch.
    fn index_of(&self, reply: &str) -> Option<usize> {
        let (epoch, number) = reply.rsplit_once('.')?.1.split_once('-')?;
        if epoch.parse() != Ok(self.epoch) {
            return None;
        }
        let index = usize::try_from(number.parse::<u64>().ok()?.checked_sub(self.first)?).ok()?;
        (index < self.pending.len()).then_some(index)
    }

    /// Keeps the invariant of `pending`.
    fn pop_acknowledged(&mut self) {
        while self.pending.front().is_some_and(|it| it.acknowledged) {
            let done = self.pending.pop_front();
            self.pending_bytes -= done.map_or(0, |done| done.message.payload.len());
            self.first += 1;
        }
    }

    /// Hands one pending message to the client, behind the one before it; the first comes behind whatever
    /// is there. False if the client is stuck.
    async fn send(&self, index: usize) -> Result<bool, NatsError> {
        let Outgoing { subject, headers, payload } = &self.pending[index].message;
        let (mut headers, number) = (headers.clone(), self.first + index as u64);
        if let Order::Fixed { .. } = self.order {
            headers.insert("Nats-Expected-Last-Sequence", (number - 1).to_string());
        }
        if let Some(before) = index.checked_sub(1).map(|before| &self.pending[before]) {
            headers.insert("Nats-Expected-Last-Msg-Id", id_of(&before.message));
        }
        let reply = format!("{}.{}-{number}", self.inbox, self.epoch);
        let client = self.connection.client();
        let (to, body) = (subject.clone(), payload.clone());
        let sent = client.publish_with_reply_and_headers(to, reply, headers, body);
        match timeout(ACK_WAIT, sent).await {
            Ok(Err(error)) if error.kind() == PublishErrorKind::Send => {
                Err(self.stalled(error.to_string()))
            }
            Ok(Err(error)) => {
                let (subject, reason) = (subject.clone(), error.to_string());
                Err(NatsError::Refused { subject, reason })
            }
            Ok(Ok(())) => Ok(true),
            Err(_) => Ok(false),
        }
    }

    /// The error of a flight that does not get on.
    fn stalled(&self, reason: String) -> NatsError {
        NatsError::Stalled { seconds: self.progressed_at.elapsed().as_secs(), reason }
    }
}

/// A message by its id, for people.
pub(super) fn named(id: &str) -> String {
    if id.is_empty() { "a message without an id".into() } else { id.to_owned() }
}

/// A message's id, or nothing.
fn id_of(message: &Outgoing) -> &str {
    id_of_headers(&message.headers)
}

/// The id in a message's headers, or nothing.
pub(super) fn id_of_headers(headers: &HeaderMap) -> &str {
    headers.get("Nats-Msg-Id").map_or("", |id| id.as_str())
}
