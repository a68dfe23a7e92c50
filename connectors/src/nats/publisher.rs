//! Publishing a file of records into a city's input stream.
//!
//! One record per message and one message per line that is not blank, in order: in an empty stream
//! a file without blank lines gets sequences equal to its line numbers. Lines that are no good
//! record go along, raw, so that the engine gives them their receipt. A line that is
//! too long for one message goes as its beginning, with its length in [`TRUNCATED_HEADER`].
//!
//! **Delivery** exactly once and in order, whatever becomes of the broker meanwhile, with others'
//! messages between; with `exclusive` those are an error.

use std::time::Duration;

use async_nats::HeaderMap;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::flight::{Flight, FlightSettings, Outgoing};
use super::reader::RETRY_DELAY;
use super::state::StreamState;
use super::{
    AT_HEADER, Connection, HEADER_ROOM_BYTES, NatsError, TRUNCATED_HEADER, eight_bytes, header_text,
};
use crate::codec::batch::COUNT_HEADER;
use crate::codec::{MAX_BODY_BYTES, json};
use crate::file::{FileError, Lines, TextLine};
use crate::subject::Subjects;

/// How many messages may wait to be published.
const MAX_WAITING: usize = 128;

/// How long a publisher that is told to stop waits for what is on its way.
const LAST_WAIT: Duration = Duration::from_secs(10);

/// How long the server may be away behind the last acknowledgement.
const AWAY_WAIT: Duration = Duration::from_secs(60);

/// How to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishSettings {
    /// The most records per second; none: as fast as the broker takes them.
    pub rate_per_s: Option<u32>,
    /// The most records in one message, from 1; a body stays within 256 KiB.
    pub batch: usize,
    /// Gives message `n` (from 1) the id `<prefix>:<n>:<digest of its content>`, so that a file published
    /// twice within the duplicate window is in the stream once, and another one under the same prefix is
    /// there, too. Without it the prefix is one that nobody else has: what is sent again after trouble
    /// with the broker is in the stream once, within that window.
    pub message_ids: Option<String>,
    /// Refuses to share the stream with another publisher, so that every message is in it exactly
    /// once and in order even if the broker restarts meanwhile.
    pub exclusive: bool,
    /// How much may be outstanding.
    pub flight: FlightSettings,
}

impl Default for PublishSettings {
    fn default() -> PublishSettings {
        PublishSettings {
            rate_per_s: None,
            batch: 1,
            message_ids: None,
            exclusive: false,
            flight: FlightSettings::default(),
        }
    }
}

/// What was published.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Published {
    /// Lines that are not blank.
    pub records: u64,
    /// Of them, lines that are no good record.
    pub raw: u64,
    /// Messages.
    pub messages: u64,
    /// Of them, those that the stream had already, by their ids, from a publisher before.
    pub had_before: u64,
    /// Of all, those that carry a time.
    pub dated: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// Whether it was told to stop before the file's end.
    pub stopped: bool,
    /// Then: messages, the last ones, of which the server has not said whether the stream has them.
    pub unknown: u64,
}

/// One message as the reading thread makes it.
struct Prepared {
    subject: String,
    at: Option<String>,
    count: Option<u64>,
    /// How many bytes the line has of which the body is the beginning.
    truncated: Option<u64>,
    records: u64,
    raw: u64,
    body: Bytes,
}

/// Publishes every line of a file, or those before `stop` ends, and tells `progress` now and then how far
/// it has come. What it returns is in the stream, but for what is unknown.
///
/// # Errors
/// The file cannot be read, or the broker refuses a message for good.
pub async fn publish_file(
    connection: &Connection,
    subjects: &Subjects,
    lines: Lines,
    settings: &PublishSettings,
    mut progress: impl FnMut(&Published),
    stop: impl Future<Output = ()>,
) -> Result<Published, NatsError> {
    assert!(settings.batch > 0, "a message holds at least one record");
    let stream = subjects.in_stream();
    // A city without streams is told at once: a message for it would wait for ever.
    let before = StreamState::of(connection, &stream).await?;
    let last = before.last;
    let mut flight = if settings.exclusive {
        Flight::fixed(connection, settings.flight, (stream.clone(), true), last + 1).await?
    } else {
        Flight::shared(connection, settings.flight, &before).await?
    };
    let (sender, mut messages) = mpsc::channel(MAX_WAITING);
    let (subjects, batch) = (subjects.clone(), settings.batch);
    let longest = connection.client().max_payload().saturating_sub(HEADER_ROOM_BYTES);
    // Its own thread: a file, or a person at standard input, may keep its reader waiting.
    std::thread::spawn(move || prepare(lines, &subjects, batch, longest, &sender));
    // The client's inboxes have names of their own.
    let own = || connection.client().new_inbox().replace("_INBOX.", "");
    let prefix = settings.message_ids.clone().unwrap_or_else(own);
    let started = Instant::now();
    let mut published = Published::default();
    let mut publish = async |published: &mut Published| {
        while let Some(prepared) = messages.recv().await {
            let prepared = prepared?;
            if let Some(rate) = settings.rate_per_s {
                let due = Duration::from_secs_f64(published.records as f64 / f64::from(rate));
                sleep_until(started + due).await;
            }
            let mut id = format!("{prefix}:{}", published.messages + 1);
            if settings.message_ids.is_some() {
                id.push_str(&digest(&prepared));
            }
            let message = prepared.message(&stream, &id);
            // Where it cannot be handed over it is not counted, though this may be stopped meanwhile.
            flight.make_room(message.payload.len()).await?;
            published.count(&prepared);
            flight.push(message).await?;
            progress(published);
        }
        flight.flush().await
    };
    tokio::select! {
        biased;
        () = stop => published.stopped = true,
        done = publish(&mut published) => done?,
    }
    if published.stopped {
        timeout(LAST_WAIT, flight.flush()).await.unwrap_or(Ok(()))?;
        published.unknown = flight.outstanding();
    }
    published.had_before = flight.had_before();
    still_the_same(connection, &before, published.stopped).await?;
    Ok(published)
}

/// Whether the stream is the one that it was at first.
async fn still_the_same(
    connection: &Connection,
    before: &StreamState,
    stopped: bool,
) -> Result<(), NatsError> {
    let asked = Instant::now();
    let stream = before.stream.clone();
    loop {
        match StreamState::of(connection, &stream).await {
            Ok(StreamState { made, made_ns, last, .. }) if made_ns != before.made_ns => {
                return Err(NatsError::Replaced { stream, made, wanted: last + 1 });
            }
            Ok(_) => return Ok(()),
            Err(_) if stopped => return Ok(()),
            // All is acknowledged, and the server has gone since: it comes back.
            Err(NatsError::Request { .. }) if asked.elapsed() < AWAY_WAIT => {
                sleep(RETRY_DELAY).await;
            }
            Err(error) => return Err(error),
        }
    }
}

impl Published {
    /// One more message.
    fn count(&mut self, prepared: &Prepared) {
        self.records += prepared.records;
        self.raw += prepared.raw;
        self.messages += 1;
        self.dated += u64::from(prepared.at.is_some());
        self.bytes += prepared.body.len() as u64;
    }
}

/// What tells a message from another one under the same prefix and number: `:` and 16 digits.
fn digest(prepared: &Prepared) -> String {
    let mut digest = Sha256::new();
    // Their lengths keep them apart.
    for part in [prepared.subject.as_bytes(), prepared.at.as_deref().unwrap_or("").as_bytes()] {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    digest.update(&prepared.body);
    format!(":{:016x}", eight_bytes(digest))
}

impl Prepared {
    /// With its headers.
    fn message(&self, stream: &str, id: &str) -> Outgoing {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Expected-Stream", stream);
        if let Some(at) = &self.at {
            headers.insert(AT_HEADER, header_text(at));
        }
        if let Some(count) = self.count {
            headers.insert(COUNT_HEADER, count.to_string());
        }
        if let Some(length) = self.truncated {
            headers.insert(TRUNCATED_HEADER, length.to_string());
        }
        headers.insert("Nats-Msg-Id", header_text(id));
        Outgoing { subject: self.subject.clone(), headers, payload: self.body.clone() }
    }
}

/// Reads all lines and sends their messages, until the end or until nobody listens.
fn prepare(
    mut lines: Lines,
    subjects: &Subjects,
    batch: usize,
    longest: usize,
    sender: &mpsc::Sender<Result<Prepared, FileError>>,
) {
    let mut packer = Packer { subjects, batch, longest, open: None, ready: Vec::new() };
    loop {
        let (error, more) = match lines.next_line() {
            Ok(Some(line)) => {
                packer.add(line);
                (None, true)
            }
            Ok(None) => (None, false),
            Err(error) => (Some(error), false),
        };
        if !more {
            packer.close();
        }
        let mut messages = packer.ready.drain(..).map(Ok).chain(error.map(Err));
        // If nobody listens, nobody wants to know.
        if !messages.all(|message| sender.blocking_send(message).is_ok()) || !more {
            return;
        }
    }
}

/// Makes messages of lines.
struct Packer<'a> {
    subjects: &'a Subjects,
    batch: usize,
    /// The longest body that the server takes, in bytes.
    longest: usize,
    /// The batch body that is being filled, and its time.
    open: Option<(Vec<u8>, Prepared)>,
    ready: Vec<Prepared>,
}

impl Packer<'_> {
    /// Adds one line.
    fn add(&mut self, line: TextLine<'_>) {
        if line.is_too_long() {
            self.close();
            self.ready.push(self.single(line));
        } else if self.batch == 1 {
            self.ready.push(self.single(line));
        } else {
            self.add_to_batch(line);
        }
    }

    /// One line as a message of its own.
    fn single(&self, line: TextLine<'_>) -> Prepared {
        let read = json::read_record(line.bytes);
        let body = &line.bytes[..line.bytes.len().min(self.longest)];
        let subject = match &read.record {
            Ok(record) if !line.is_too_long() => self.subjects.input(record),
            _ => None,
        };
        Prepared {
            raw: u64::from(read.record.is_err() || line.is_too_long()),
            subject: subject.unwrap_or_else(|| self.subjects.raw()),
            at: read.at,
            count: None,
            truncated: Some(line.length).filter(|length| *length > body.len() as u64),
            records: 1,
            body: Bytes::copy_from_slice(body),
        }
    }

    /// Adds a line to the open batch, and closes it when it is full.
    fn add_to_batch(&mut self, line: TextLine<'_>) {
        let full = |body: &Vec<u8>| body.len() + line.bytes.len() + 1 > MAX_BODY_BYTES;
        if self.open.as_ref().is_some_and(|(body, _)| full(body)) {
            self.close();
        }
        let read = json::read_record(line.bytes);
        let (body, prepared) = self.open.get_or_insert_with(|| {
            let empty = Prepared {
                subject: self.subjects.batch(),
                at: None,
                count: None,
                truncated: None,
                records: 0,
                raw: 0,
                body: Bytes::new(),
            };
            (Vec::new(), empty)
        });
        if !body.is_empty() {
            body.push(b'\n');
        }
        body.extend_from_slice(line.bytes);
        prepared.at = prepared.at.take().or(read.at);
        prepared.records += 1;
        prepared.raw += u64::from(read.record.is_err());
        if prepared.records >= self.batch as u64 {
            self.close();
        }
    }

    /// Ends the open batch.
    fn close(&mut self) {
        if let Some((body, mut prepared)) = self.open.take() {
            prepared.count = Some(prepared.records);
            prepared.body = Bytes::from(body);
            self.ready.push(prepared);
        }
    }
}
