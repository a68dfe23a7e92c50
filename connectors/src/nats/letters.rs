//! Dead letters, as an operator reads them and sends them again.
//!
//! **Delivery** every letter once, in order. One that is sent again arrives at least once, as a new
//! record.

use std::time::Duration;

use async_nats::HeaderMap;
use bytes::Bytes;
use tokio::time::Instant;

use super::reader::{Reader, Start};
use super::{Connection, NatsError, TRUNCATED_HEADER};
use crate::subject::Subjects;

/// A dead letter as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its sequence among the dead letters.
    pub sequence: u64,
    /// Why it is one.
    pub reason: String,
    /// The sequence of the message that it was, in the input stream.
    pub input: Option<u64>,
    /// The subject that it came on.
    pub subject: Option<String>,
    /// Its bytes.
    pub bytes: Bytes,
    /// How many there were, if only the beginning was kept.
    pub cut_from: Option<u64>,
}

/// Reads a city's dead letters.
pub struct Letters {
    reader: Reader,
}

impl Letters {
    /// From that one on; from the first without one.
    ///
    /// # Errors
    /// The stream is missing, or does not hold that one any more.
    pub async fn open(
        connection: &Connection,
        subjects: &Subjects,
        from: Option<u64>,
    ) -> Result<Letters, NatsError> {
        let start = from.map_or(Start::First, Start::Sequence);
        let reader = Reader::open(connection.clone(), subjects.dlq_stream(), start).await?;
        Ok(Letters { reader })
    }

    /// The next letter; none if there is none within `wait`.
    ///
    /// # Errors
    /// The stream is gone.
    pub async fn next(&mut self, wait: Duration) -> Result<Option<Letter>, NatsError> {
        let found = self.reader.next_before(Instant::now() + wait).await?;
        Ok(found.map(|(sequence, message)| {
            let header = |name: &str| {
                let value = message.headers.as_ref().and_then(|headers| headers.get(name));
                value.map(|value| value.as_str().to_owned())
            };
            Letter {
                sequence,
                reason: header("Iceshop-Reason").unwrap_or_default(),
                input: header("Iceshop-Sequence").and_then(|text| text.parse().ok()),
                subject: header("Iceshop-Subject"),
                cut_from: header(TRUNCATED_HEADER).and_then(|text| text.parse().ok()),
                bytes: message.payload.clone(),
            }
        }))
    }
}

/// Publishes bytes on a subject of the input stream, as one record; its sequence there.
///
/// # Errors
/// The broker does not take it.
pub async fn send_again(
    connection: &Connection,
    subjects: &Subjects,
    subject: &str,
    bytes: Bytes,
) -> Result<u64, NatsError> {
    let stream = subjects.in_stream();
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Expected-Stream", stream.as_str());
    let failed = |error: &dyn std::error::Error| {
        connection.request_failed("publish a record again", &stream, error)
    };
    let sent = connection.jetstream();
    let sent = sent.publish_with_headers(subject.to_owned(), headers, bytes).await;
    let acknowledged = sent.map_err(|error| failed(&error))?.await;
    acknowledged.map(|ack| ack.sequence).map_err(|error| failed(&error))
}
