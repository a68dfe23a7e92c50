//! Decisions, receipts and dead letters on their way out.
//!
//! **Delivery** OUT holds exactly the engine's decisions, the first one at sequence 1, in order,
//! without gap or duplicate: decision number `n` only ever becomes sequence `n`. An engine that
//! replays pushes what OUT already holds: it is compared ([`held`](super::held)), and nothing happens.
//! Receipts and dead letters arrive once, too ([`notes`](super::notes)).
//!
//! **Contract** the engine is the only writer of the three streams. The futures of [`Sink::decision`],
//! [`Sink::receipt`] and [`Sink::dead_letter`] run to their end: a dropped one may lose its message.
//! [`Sink::flush`] may be dropped.

use std::collections::BTreeSet;

use async_nats::HeaderMap;
use bytes::Bytes;

use super::flight::{Flight, FlightSettings, Outgoing};
use super::held::Held;
use super::notes::{Noted, Notes, Place, Untold, is_letter, is_receipt, place_id};
use super::state::StreamState;
use super::{
    Connection, EXPIRES_HEADER, HEADER_ROOM_BYTES, IN_SEQUENCE_HEADER, NatsError, TRUNCATED_HEADER,
    header_text,
};
use crate::codec::{CONTENT_JSON, json};
use crate::inbound::DeadLetter;
use crate::subject::Subjects;
use crate::wire::{Decision, Receipt};

/// Publishes what an engine says.
pub struct Sink {
    subjects: Subjects,
    decisions: Flight,
    receipts: Notes,
    letters: Notes,
    /// How many decisions were pushed or had been made before.
    decided: u64,
    /// What OUT held at first.
    held: Held,
    in_stream: String,
    out_stream: String,
    dlq_stream: String,
    receipt_stream: String,
    /// `/iceshop/<city>`
    event_source: String,
    /// The broker's limit for a message with its headers, in bytes.
    max_payload: usize,
    buffer: Vec<u8>,
}

impl Sink {
    /// A sink behind `decided` decisions, all of which OUT must hold already, and behind the receipts
    /// and letters that were `noted`; those that came later are looked up.
    ///
    /// # Errors
    /// A stream is missing, or OUT holds fewer decisions: [`NatsError::StreamShort`].
    pub async fn open(
        connection: &Connection,
        subjects: &Subjects,
        decided: u64,
        noted: Noted,
        settings: FlightSettings,
    ) -> Result<Sink, NatsError> {
        let out_stream = subjects.out_stream();
        let input = StreamState::of(connection, &subjects.in_stream()).await?;
        let held = Held::open(connection, &out_stream, decided, &input).await?;
        let first = held.last() + 1;
        let out = (out_stream.clone(), true);
        let decisions = Flight::fixed(connection, settings, out, first).await?;
        let (receipt_stream, dlq_stream) = (subjects.receipt_stream(), subjects.dlq_stream());
        let notes = async |stream: &str, noted: u64, is_about| {
            Notes::open(connection, settings, stream.to_owned(), noted, &input, is_about).await
        };
        let receipts = notes(&receipt_stream, noted.receipts, is_receipt).await?;
        let letters = notes(&dlq_stream, noted.letters, is_letter).await?;
        Ok(Sink {
            decisions,
            receipts,
            letters,
            decided,
            held,
            in_stream: subjects.in_stream(),
            dlq_stream,
            receipt_stream,
            event_source: format!("/iceshop/{}", subjects.city()),
            max_payload: connection.client().max_payload(),
            buffer: Vec::new(),
            out_stream,
            subjects: subjects.clone(),
        })
    }

    /// What receipts and dead letters have come, behind those that were noted, about records up to
    /// `sequence` that do not wait for their receipt: no engine that goes on from there tells it.
    pub fn untold(&mut self, sequence: u64, waiting: &BTreeSet<Place>) -> Vec<Untold> {
        let receipts = self.receipts.forget(sequence, waiting);
        receipts.into_iter().chain(self.letters.forget(sequence, &BTreeSet::new())).collect()
    }

    /// How many decisions were pushed or had been made before.
    pub fn decided(&self) -> u64 {
        self.decided
    }

    /// How many decisions OUT is known to hold.
    pub fn published(&self) -> u64 {
        self.decisions.first_outstanding() - 1
    }

    /// Publishes the next decision, unless OUT holds it already.
    ///
    /// # Errors
    /// [`NatsError::Foreign`] or [`NatsError::Differs`] if OUT holds another one in its place; any
    /// earlier failure.
    pub async fn decision(&mut self, decision: &Decision) -> Result<(), NatsError> {
        let id = decision_id(decision);
        self.decided += 1;
        self.buffer.clear();
        json::write_decision(&mut self.buffer, decision);
        if self.decided <= self.held.last() {
            return self.held.compare(self.decided, &id, &self.buffer).await;
        }
        let mut headers = self.headers(&id, &self.out_stream);
        headers.insert(IN_SEQUENCE_HEADER, decision.input_sequence.to_string());
        headers.insert(EXPIRES_HEADER, header_text(&decision.expires));
        headers.insert("ce-specversion", "1.0");
        headers.insert("ce-id", id);
        headers.insert("ce-source", self.event_source.as_str());
        let state = header_text(&decision.state);
        headers.insert("ce-type", format!("shop.ice.window.{state}.v1"));
        headers.insert("ce-time", header_text(&decision.decided_at));
        let subject = self.subjects.decision(decision);
        let payload = Bytes::copy_from_slice(&self.buffer);
        self.decisions.push(Outgoing { subject, headers, payload }).await
    }

    /// Publishes a receipt; the dead letter of its record, if it has one, was given before.
    ///
    /// # Errors
    /// The stream holds another one ([`NatsError::Differs`]), or a dead letter of a record that is none
    /// ([`NatsError::Foreign`]); an earlier message was refused for good.
    pub async fn receipt(&mut self, receipt: &Receipt) -> Result<(), NatsError> {
        let place = (receipt.sequence, receipt.index);
        self.letters.refuse_about(place)?;
        self.buffer.clear();
        json::write_receipt(&mut self.buffer, receipt);
        let headers = self.headers(&place_id(place), &self.receipt_stream);
        let subject = self.subjects.receipt(&receipt.outcome);
        let payload = Bytes::copy_from_slice(&self.buffer);
        self.receipts.push(place, Outgoing { subject, headers, payload }).await
    }

    /// Takes notice of a receipt that is not to be published.
    ///
    /// # Errors
    /// Those of [`Sink::receipt`].
    pub fn unpublished(&mut self, receipt: &Receipt) -> Result<(), NatsError> {
        let place = (receipt.sequence, receipt.index);
        self.letters.refuse_about(place)?;
        if self.receipts.is_complete() {
            return Ok(());
        }
        self.buffer.clear();
        json::write_receipt(&mut self.buffer, receipt);
        self.receipts.has_told(place, &self.buffer).map(|_| ())
    }

    /// Publishes a dead letter, byte for byte; only what the broker would refuse as too long is cut
    /// to its beginning, and has its length in [`TRUNCATED_HEADER`], as has what was cut before.
    ///
    /// # Errors
    /// An earlier message was refused for good.
    pub async fn dead_letter(&mut self, letter: &DeadLetter) -> Result<(), NatsError> {
        let place = (letter.sequence, letter.index);
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", place_id(place));
        headers.insert("Nats-Expected-Stream", self.dlq_stream.as_str());
        headers.insert("Iceshop-Reason", letter.reason);
        headers.insert("Iceshop-Stream", self.in_stream.as_str());
        headers.insert("Iceshop-Sequence", letter.sequence.to_string());
        if let Some(subject) = &letter.subject {
            headers.insert("Iceshop-Subject", header_text(subject));
        }
        let subject = self.subjects.dead_letter(letter.reason);
        let limit = self.max_payload.saturating_sub(HEADER_ROOM_BYTES);
        if letter.length > letter.bytes.len().min(limit) as u64 {
            headers.insert(TRUNCATED_HEADER, letter.length.to_string());
        }
        let payload = letter.bytes.slice(..letter.bytes.len().min(limit));
        self.letters.push(place, Outgoing { subject, headers, payload }).await
    }

    /// Returns when everything that was given to this sink is acknowledged by the broker.
    ///
    /// # Errors
    /// A message was refused for good.
    pub async fn flush(&mut self) -> Result<(), NatsError> {
        self.decisions.flush().await?;
        self.receipts.flush().await?;
        self.letters.flush().await
    }

    /// How far receipts and dead letters are, as far as they are acknowledged.
    pub fn noted(&self) -> Noted {
        let complete = self.receipts.is_complete() && self.letters.is_complete();
        Noted { receipts: self.receipts.last(), letters: self.letters.last(), complete }
    }

    /// The headers that every JSON message has.
    fn headers(&self, id: &str, stream: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", id);
        headers.insert("Nats-Expected-Stream", stream);
        headers.insert("Content-Type", CONTENT_JSON);
        headers
    }
}

/// A decision's message id: `<window>:<revision>`, and `:<part>` behind it from the second part.
fn decision_id(decision: &Decision) -> String {
    let id = format!("{}:{}", decision.window, decision.revision);
    match decision.part {
        Some(part) if part >= 2 => header_text(&format!("{id}:{part}")),
        _ => header_text(&id),
    }
}
