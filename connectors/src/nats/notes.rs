//! Receipts or dead letters on their way into a stream that nobody else writes.
//!
//! **Delivery** each once and in order, however long the broker was away ([`Flight`]). What a stream has got since it was looked at last is read when it is opened:
//! an engine that decides that part of the log again does not repeat it.

use std::collections::{BTreeMap, BTreeSet};

use async_nats::jetstream::Message;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::flight::{Flight, FlightSettings, Outgoing, id_of_headers, named};
use super::reader::{Reader, Start};
use super::state::StreamState;
use super::{Connection, NatsError, eight_bytes};

/// What a note is about: a record's sequence, and its place in a batch body.
pub type Place = (u64, Option<u32>);

/// How far the streams of receipts and dead letters were: their last sequences.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// Of receipts.
    pub receipts: u64,
    /// Of dead letters.
    pub letters: u64,
    /// Whether all that the streams held at first had been told again: what is behind those sequences is
    /// then about what waited, or came later.
    pub complete: bool,
}

/// What a stream of receipts or dead letters got about records that were done with before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untold {
    /// The stream.
    pub stream: String,
    /// How many messages.
    pub messages: usize,
    /// The first one's sequence.
    pub first: u64,
}

/// The notes of one stream.
pub(super) struct Notes {
    flight: Flight,
    stream: String,
    /// What the stream holds already and has not been pushed yet: where, and a digest of it.
    told: BTreeMap<Place, (u64, u64)>,
    /// The last sequence in front of all of that.
    before: u64,
}

impl Notes {
    /// Notes behind all that the stream holds; whatever came up to sequence `noted` is not pushed
    /// again. What is older than the input stream is about another one; `is_about` tells whether a message
    /// is a note about that place.
    ///
    /// # Errors
    /// The stream is missing, cannot be read, holds less than was noted ([`NatsError::StreamShort`]),
    /// something that no engine wrote ([`NatsError::Foreign`]), or something about what the input stream does
    /// not have ([`NatsError::Ahead`]).
    pub(super) async fn open(
        connection: &Connection,
        settings: FlightSettings,
        stream: String,
        noted: u64,
        input: &StreamState,
        is_about: fn(&Message, Place) -> bool,
    ) -> Result<Notes, NatsError> {
        let state = connection.stream_info(&stream).await?.state;
        let (first, last) = (state.first_sequence, state.last_sequence);
        if last < noted {
            return Err(NatsError::StreamShort { stream, wanted: noted, last });
        }
        let from = (noted + 1).max(first);
        let told = if from > last || state.messages == 0 {
            BTreeMap::new()
        } else {
            places(connection, &stream, (from, last), input, is_about).await?
        };
        let fixed = (stream.clone(), false);
        let flight = Flight::fixed(connection, settings, fixed, last + 1).await?;
        Ok(Notes { flight, stream, told, before: from - 1 })
    }

    /// Publishes what is about that place, unless the stream holds it.
    ///
    /// # Errors
    /// The stream holds something else about it ([`NatsError::Differs`]); an earlier message was refused for
    /// good.
    pub(super) async fn push(&mut self, place: Place, note: Outgoing) -> Result<(), NatsError> {
        match self.has_told(place, &note.payload)? {
            true => Ok(()),
            false => self.flight.push(note).await,
        }
    }

    /// Whether the stream holds what is about that place, and it has not been pushed yet.
    ///
    /// # Errors
    /// It holds something else about it ([`NatsError::Differs`]).
    pub(super) fn has_told(&mut self, place: Place, payload: &[u8]) -> Result<bool, NatsError> {
        match self.told.remove(&place) {
            None => Ok(false),
            Some((_, told)) if told == digest(payload) => Ok(true),
            Some((sequence, _)) => {
                let (stream, id) = (self.stream.clone(), place_id(place));
                Err(NatsError::Differs { stream, sequence, id })
            }
        }
    }

    /// Whether all that the stream held at first has been pushed.
    pub(super) fn is_complete(&self) -> bool {
        self.told.is_empty()
    }

    /// Refuses what the stream holds about a place that nothing is to be told about.
    ///
    /// # Errors
    /// [`NatsError::Foreign`].
    pub(super) fn refuse_about(&self, place: Place) -> Result<(), NatsError> {
        let Some(&(sequence, _)) = self.told.get(&place) else { return Ok(()) };
        let (stream, expected) =
            (self.stream.clone(), "the letter of a record that cannot be read".into());
        Err(NatsError::Foreign { stream, sequence, expected, found: named(&place_id(place)) })
    }

    /// Lets go of what is about places up to that sequence that do not wait: it will not be told again.
    /// How much that is, and the first of it.
    pub(super) fn forget(&mut self, last: u64, waiting: &BTreeSet<Place>) -> Option<Untold> {
        let untold = |place: &Place| place.0 <= last && !waiting.contains(place);
        let gone = self.told.extract_if(.., |place, _| untold(place));
        let mut gone: Vec<u64> = gone.map(|(_, (sequence, _))| sequence).collect();
        gone.sort_unstable();
        let first = *gone.first()?;
        Some(Untold { stream: self.stream.clone(), messages: gone.len(), first })
    }

    /// Returns when all of them are acknowledged.
    ///
    /// # Errors
    /// A message was refused for good.
    pub(super) async fn flush(&mut self) -> Result<(), NatsError> {
        self.flight.flush().await
    }

    /// How far the stream need not be looked at again: up to the last sequence that is acknowledged,
    /// once all that it held at first has been pushed.
    pub(super) fn last(&self) -> u64 {
        if self.told.is_empty() { self.flight.first_outstanding() - 1 } else { self.before }
    }
}

/// What the messages of a stream are about.
async fn places(
    connection: &Connection,
    stream: &str,
    (from, last): (u64, u64),
    input: &StreamState,
    is_about: fn(&Message, Place) -> bool,
) -> Result<BTreeMap<Place, (u64, u64)>, NatsError> {
    let start = Start::Sequence(from);
    let mut reader = Reader::open(connection.clone(), stream.to_owned(), start).await?;
    let (mut told, mut newest) = (BTreeMap::new(), (0, 0));
    while let Some((sequence, message)) = reader.next_until(last).await? {
        let id = message.headers.as_ref().map_or("", id_of_headers);
        let said_ns = message.info().map_or(0, |info| info.published.unix_timestamp_nanos());
        if said_ns >= input.made_ns {
            let foreign = || {
                let (stream, expected) = (stream.to_owned(), "what is about a record".into());
                NatsError::Foreign { stream, sequence, expected, found: named(id) }
            };
            let place = place(id).filter(|place| is_about(&message, *place));
            let place = place.ok_or_else(foreign)?;
            newest = newest.max((place.0, said_ns));
            told.insert(place, (sequence, digest(&message.payload)));
        }
    }
    if newest.0 > 0 {
        input.has_had(connection, stream, newest).await?;
    }
    Ok(told)
}

/// What tells a note from another one about the same place.
fn digest(payload: &[u8]) -> u64 {
    eight_bytes(Sha256::new_with_prefix(payload))
}

/// Whether a message is a receipt of the record in that place.
pub(super) fn is_receipt(message: &Message, (sequence, index): Place) -> bool {
    #[derive(Deserialize)]
    struct About {
        sequence: u64,
        index: Option<u32>,
    }
    let read: Result<About, _> = serde_json::from_slice(&message.payload);
    read.is_ok_and(|about| (about.sequence, about.index) == (sequence, index))
}

/// Whether a message is a dead letter of the record in that place.
pub(super) fn is_letter(message: &Message, (sequence, _): Place) -> bool {
    let header = |name: &str| message.headers.as_ref().and_then(|headers| headers.get(name));
    let of = header("Iceshop-Sequence").and_then(|text| text.as_str().parse().ok());
    of == Some(sequence) && header("Iceshop-Reason").is_some()
}

/// The message id of what is about one input record: `<sequence>` or `<sequence>:<index>`.
pub(super) fn place_id((sequence, index): Place) -> String {
    match index {
        Some(index) => format!("{sequence}:{index}"),
        None => sequence.to_string(),
    }
}

/// The place that an id names.
fn place(id: &str) -> Option<Place> {
    match id.split_once(':') {
        Some((sequence, index)) => Some((sequence.parse().ok()?, Some(index.parse().ok()?))),
        None => Some((id.parse().ok()?, None)),
    }
}
