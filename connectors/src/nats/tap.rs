//! The decisions of a city, as a worker or an operator reads them.
//!
//! **Delivery** every decision once, in order, from where the tap began.

use std::time::Duration;

use tokio::time::Instant;

use super::reader::{Reader, Start};
use super::{Connection, NatsError};
use crate::codec::{Format, binary, json};
use crate::subject::Subjects;
use crate::wire::Decision;

/// Reads decisions.
pub struct Tap {
    reader: Reader,
}

/// A decision with its place in the stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Announced {
    /// Its sequence in OUT.
    pub sequence: u64,
    /// The decision.
    pub decision: Decision,
    /// Whether the broker had nothing behind it.
    pub caught_up: bool,
}

impl Tap {
    /// Begins to read.
    ///
    /// # Errors
    /// The stream is missing, or does not hold the sequence that is wanted.
    pub async fn open(
        connection: &Connection,
        subjects: &Subjects,
        start: Start,
    ) -> Result<Tap, NatsError> {
        let reader = Reader::open(connection.clone(), subjects.out_stream(), start).await?;
        Ok(Tap { reader })
    }

    /// Whether the broker had nothing behind the last decision.
    pub fn is_caught_up(&self) -> bool {
        self.reader.is_caught_up()
    }

    /// The next decision; none if there is none within `wait`.
    ///
    /// # Errors
    /// The stream is gone, or holds what is no decision.
    pub async fn next(&mut self, wait: Duration) -> Result<Option<Announced>, NatsError> {
        let found = self.reader.next_before(Instant::now() + wait).await?;
        let Some((sequence, message)) = found else { return Ok(None) };
        let content_type = message.headers.as_ref().and_then(|it| it.get("Content-Type"));
        let format = Format::of_content_type(content_type.map(|it| it.as_str()));
        let decision = match format {
            Format::Json => json::read_decision(&message.payload),
            Format::Bincode => binary::read_decision(&message.payload),
        };
        let stream = self.reader.stream();
        let decision = decision.map_err(|source| NatsError::Decision {
            stream: stream.to_owned(),
            sequence,
            source,
        })?;
        Ok(Some(Announced { sequence, decision, caught_up: self.reader.is_caught_up() }))
    }
}
