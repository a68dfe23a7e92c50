//! The input stream as a source of records.
//!
//! **Delivery** every record from the wanted sequence on, once and in stream order; the caller
//! keeps the sequence to go on from. Nothing is acknowledged to the broker.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::Message;
use bytes::Bytes;
use tokio::time::Instant;

use super::reader::{Reader, Start, first_from};
use super::{AT_HEADER, Connection, END_HEADER, NatsError, TRUNCATED_HEADER};
use crate::codec::batch::{COUNT_HEADER, Item, read_body};
use crate::codec::{Format, MAX_BATCH_BYTES, too_long};
use crate::inbound::{Inbound, Raw, Stamp};
use crate::subject::Subjects;

/// Reads the records of a city's input stream.
pub struct InputSource {
    reader: Reader,
    /// Whether times come from headers; unknown until a message tells.
    recorded: Option<bool>,
    /// Whether the last message ended the last tick.
    ended: bool,
    items: Vec<Item>,
}

/// Where a source stands after a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Every message up to this sequence has been handed on, or is deleted.
    pub last_sequence: u64,
    /// Whether the broker had nothing more.
    pub caught_up: bool,
}

impl InputSource {
    /// Begins at `sequence` (1: at the beginning).
    ///
    /// `recorded` is what an earlier run found out about the stream; with none it is looked up.
    ///
    /// # Errors
    /// The stream is missing, or does not hold the sequence: [`NatsError::StreamCut`].
    pub async fn open(
        connection: &Connection,
        subjects: &Subjects,
        sequence: u64,
        recorded: Option<bool>,
    ) -> Result<InputSource, NatsError> {
        let stream = subjects.in_stream();
        let recorded = match recorded {
            Some(known) => Some(known),
            None => is_recorded(connection, subjects).await?,
        };
        let start = Start::Sequence(sequence);
        let reader = Reader::open(connection.clone(), stream, start).await?;
        Ok(InputSource { reader, recorded, ended: false, items: Vec::new() })
    }

    /// Whether the stream is a recorded one; none while no message tells.
    pub fn recorded(&self) -> Option<bool> {
        self.recorded
    }

    /// Whether the last message that was handed on is the clock record by which an engine ended the last
    /// tick of a recorded stream.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// How many messages had been deleted from the stream before they could be read.
    pub fn holes(&self) -> u64 {
        self.reader.holes()
    }

    /// When the broker got the last message that was handed on, in nanoseconds of Unix time; none before
    /// the first.
    pub fn last_came_ns(&self) -> Option<i128> {
        self.reader.last_came_ns()
    }

    /// The stream ends behind what was handed on, and nothing comes: looks whether that was deleted.
    pub fn look_again(&mut self) {
        self.reader.look_again();
    }

    /// Appends records to `out` until there are `limit` (fewer if they are long) or no more are here; waits for the first
    /// one, but not longer than `wait`.
    ///
    /// The last message is always handed on whole, so that a batch body can exceed the limit.
    /// Safe to drop while waiting: a message is either in `out` or still to come.
    ///
    /// # Errors
    /// The stream is gone, or no longer holds what comes next.
    pub async fn next_batch(
        &mut self,
        limit: usize,
        wait: Duration,
        out: &mut Vec<Inbound>,
    ) -> Result<Progress, NatsError> {
        let (start, mut bytes) = (out.len(), 0);
        let mut found = self.reader.next_before(Instant::now() + wait).await?;
        while let Some((sequence, message)) = found {
            self.expand(sequence, &message, out);
            bytes += message.payload.len();
            let more = out.len() - start < limit && bytes < MAX_BATCH_BYTES;
            found = if more { self.reader.next_ready() } else { None };
        }
        let last_sequence = self.reader.next_sequence() - 1;
        Ok(Progress { last_sequence, caught_up: self.reader.is_caught_up() })
    }

    /// Appends the records of one message.
    fn expand(&mut self, sequence: u64, message: &Message, out: &mut Vec<Inbound>) {
        let headers = message.headers.as_ref();
        let header_at = header(headers, AT_HEADER);
        self.ended = header(headers, END_HEADER).is_some();
        self.items.clear();
        read_message(headers, &message.payload, &mut self.items);
        self.recorded = self.recorded.or_else(|| tells_recorded(headers, &self.items));
        let recorded = self.recorded.unwrap_or(false);
        let broker_at = match message.info() {
            Ok(info) if !recorded => Stamp::Nanos(info.published.unix_timestamp_nanos()),
            _ => header_at.map_or(Stamp::Absent, |at| Stamp::Text(at.to_owned())),
        };
        for item in self.items.drain(..) {
            let at = match (item.index, item.at) {
                (Some(_), Some(at)) if recorded => Stamp::Text(at),
                _ => broker_at.clone(),
            };
            let subject = || Some(message.subject.to_string());
            let whole = truncated(headers).unwrap_or(0);
            let raw = item.raw.map(|bytes| {
                let length = whole.max(bytes.len() as u64);
                Raw { bytes, length, subject: subject() }
            });
            out.push(Inbound { sequence, index: item.index, at, record: item.record, raw });
        }
    }
}

/// Whether a message makes its stream a recorded one: if it carries a time. One without a good record
/// and without a time does not tell.
fn tells_recorded(headers: Option<&HeaderMap>, items: &[Item]) -> Option<bool> {
    let dated = header(headers, AT_HEADER).is_some();
    (dated || items.iter().any(|item| item.record.is_ok())).then_some(dated)
}

/// Reads a message's body as its headers say.
fn read_message(headers: Option<&HeaderMap>, payload: &Bytes, items: &mut Vec<Item>) {
    if let Some(length) = truncated(headers) {
        let length = length.max(payload.len() as u64);
        let (record, raw) = (Err(too_long(payload, length)), Some(payload.clone()));
        items.push(Item { index: None, at: None, record, raw });
        return;
    }
    let format = Format::of_content_type(header(headers, "Content-Type"));
    read_body(format, header(headers, COUNT_HEADER), payload, items);
}

/// How many bytes a line had that was too long to be published whole; none of any other.
fn truncated(headers: Option<&HeaderMap>) -> Option<u64> {
    header(headers, TRUNCATED_HEADER).map(|length| length.parse().unwrap_or(0))
}

/// A header's value.
fn header<'a>(headers: Option<&'a HeaderMap>, name: &'static str) -> Option<&'a str> {
    Some(headers?.get(name)?.as_str())
}

/// Whether the city's input stream is a recorded one: whether the first message that tells carries its
/// time. None if no message does.
///
/// # Errors
/// The stream is missing, or the server does not answer.
pub async fn is_recorded(
    connection: &Connection,
    subjects: &Subjects,
) -> Result<Option<bool>, NatsError> {
    let stream = &subjects.in_stream();
    let state = connection.stream_info(stream).await?.state;
    let (mut items, mut next) = (Vec::new(), state.first_sequence.max(1));
    while next <= state.last_sequence {
        let Some(found) = first_from(connection, stream, next).await? else { return Ok(None) };
        let headers = Some(&found.headers);
        items.clear();
        read_message(headers, &found.payload, &mut items);
        if let Some(recorded) = tells_recorded(headers, &items) {
            return Ok(Some(recorded));
        }
        next = found.sequence + 1;
    }
    Ok(None)
}
