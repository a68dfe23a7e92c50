//! Clock records: how a quiet input stream says that time passes.
//!
//! A live stream gets one when nothing has come for [`QUIET`]; a recorded one never by wall time,
//! but on request at a given instant.

use std::time::{Duration, Instant};

use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;

use super::{AT_HEADER, Connection, END_HEADER, NatsError};
use crate::subject::Subjects;

/// How long a live stream may be quiet before time is told.
pub const QUIET: Duration = Duration::from_secs(1);

/// The body of a clock record.
const CLOCK_BODY: &str = r#"{"kind":"clock"}"#;

/// Publishes clock records.
#[derive(Clone)]
pub struct Clock {
    connection: Connection,
    stream: String,
    subject: String,
}

impl Clock {
    /// The clock of a city.
    pub fn new(connection: &Connection, subjects: &Subjects) -> Clock {
        let (stream, subject) = (subjects.in_stream(), subjects.clock());
        Clock { connection: connection.clone(), stream, subject }
    }

    /// Appends a clock record to a live stream unless something has come behind
    /// `last_sequence`; whether it did.
    ///
    /// # Errors
    /// The broker does not take it.
    pub async fn tick(&self, last_sequence: u64) -> Result<bool, NatsError> {
        let message = self.message().expected_last_sequence(last_sequence);
        self.publish(message).await
    }

    /// Appends a clock record at `instant` (RFC 3339) to a recorded stream unless something has come
    /// behind `last_sequence`; whether it did.
    ///
    /// # Errors
    /// The broker does not take it.
    pub async fn at(&self, instant: &str, last_sequence: u64) -> Result<bool, NatsError> {
        let message = self.message().header(AT_HEADER, instant).header(END_HEADER, "end");
        self.publish(message.expected_last_sequence(last_sequence)).await
    }

    /// A clock record.
    fn message(&self) -> PublishMessage {
        PublishMessage::build().payload(CLOCK_BODY.into()).expected_stream(&self.stream)
    }

    /// Publishes one message; false if the stream does not end where expected.
    async fn publish(&self, message: PublishMessage) -> Result<bool, NatsError> {
        let jetstream = self.connection.jetstream();
        let sent = jetstream.send_publish(self.subject.clone(), message).await;
        let acked = match sent {
            Ok(acked) => acked.await,
            Err(error) => Err(error),
        };
        match acked {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => Ok(false),
            // Nobody has refused it: the broker is away, or slow.
            Err(error)
                if matches!(
                    error.kind(),
                    PublishErrorKind::TimedOut | PublishErrorKind::BrokenPipe
                ) && self.connection.denial().is_none() =>
            {
                Err(self.connection.away(&error))
            }
            Err(error) => {
                Err(self.connection.request_failed("publish a clock", &self.stream, &error))
            }
        }
    }
}

/// Tells when a stream has been quiet for [`QUIET`].
#[derive(Debug, Clone, Copy)]
pub struct Quiet {
    heard_at: Instant,
}

impl Quiet {
    /// Begins to listen.
    pub fn new(now: Instant) -> Quiet {
        Quiet { heard_at: now }
    }

    /// Something came, or a clock was published.
    pub fn heard(&mut self, now: Instant) {
        self.heard_at = now;
    }

    /// Whether a clock record is due.
    pub fn is_due(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.heard_at) >= QUIET
    }
}
