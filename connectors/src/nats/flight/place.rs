//! What a stream holds of a flight's messages, after trouble.

use async_nats::HeaderMap;
use async_nats::jetstream::stream::RawMessageErrorKind;
use tokio::time::Instant;

use super::super::reader::{Reader, Start};
use super::super::{Connection, NatsError};
use super::{Flight, Order, id_of, id_of_headers, named};

/// The header in which a message says behind which other it comes.
pub(super) const BEHIND: &str = "Nats-Expected-Last-Msg-Id";

impl Flight {
    /// Drops what the stream already holds, and makes the rest fit behind that.
    pub(super) async fn reconcile(&mut self) -> Result<(), NatsError> {
        match &self.order {
            Order::Fixed(stream) => self.count_held(stream.clone()).await,
            Order::Shared(stream, behind) => self.find_place(stream.clone(), *behind).await,
        }
    }

    /// In a fixed flight, what is there is its first messages.
    async fn count_held(&mut self, stream: String) -> Result<(), NatsError> {
        let last = self.connection.stream_info(&stream).await?.state.last_sequence;
        if last + 1 < self.first {
            let wanted = self.first - 1;
            return Err(NatsError::StreamShort { stream, wanted, last });
        }
        let held = usize::try_from(last + 1 - self.first).unwrap_or(usize::MAX);
        if held == 0 {
            return Ok(());
        }
        let found = message_id(&self.connection, &stream, last).await?;
        let expected = self.pending.get(held - 1).map_or("nothing", |it| id_of(&it.message));
        if found.as_deref().is_some_and(|found| found != expected) || held > self.pending.len() {
            let (expected, found) = (expected.to_owned(), named(&found.unwrap_or_default()));
            return Err(NatsError::Foreign { stream, sequence: last, expected, found });
        }
        for pending in self.pending.iter_mut().take(held) {
            pending.acknowledged = true;
        }
        self.progressed_at = Instant::now();
        self.pop_acknowledged();
        Ok(())
    }

    /// In a shared flight they are somewhere behind that sequence, in their order, with what others wrote
    /// between them; the first of the rest comes behind whatever is there.
    async fn find_place(&mut self, stream: String, behind: u64) -> Result<(), NatsError> {
        let state = self.connection.stream_info(&stream).await?.state;
        let (from, last) = (state.first_sequence.max(behind + 1), state.last_sequence);
        if from <= last && state.messages > 0 {
            let start = Start::Sequence(from);
            let mut reader = Reader::open(self.connection.clone(), stream, start).await?;
            let mut ours = 0;
            while let Some((sequence, message)) = reader.next_held().await? {
                let id = message.headers.as_ref().map_or("", id_of_headers);
                if self.pending.get(ours).is_some_and(|it| id_of(&it.message) == id) {
                    self.pending[ours].acknowledged = true;
                    ours += 1;
                }
                if sequence >= last {
                    break;
                }
            }
            if ours > 0 {
                (self.progressed_at, self.attempts) = (Instant::now(), 0);
            }
            self.pop_acknowledged();
        }
        if let Some(first) = self.pending.front_mut() {
            first.message.headers = behind_anything(&first.message.headers);
        }
        Ok(())
    }
}

/// The headers of a message that may follow any other.
fn behind_anything(headers: &HeaderMap) -> HeaderMap {
    let mut rest = HeaderMap::new();
    for (name, values) in headers.iter().filter(|(name, _)| name.as_ref() as &str != BEHIND) {
        values.iter().for_each(|value| rest.append(name.clone(), value.clone()));
    }
    rest
}

/// The id of a message in a stream; none if it is no longer there.
async fn message_id(
    connection: &Connection,
    stream: &str,
    sequence: u64,
) -> Result<Option<String>, NatsError> {
    let failed =
        |error: &dyn std::error::Error| connection.request_failed("get a message", stream, error);
    let handle = connection.jetstream().get_stream_no_info(stream).await;
    match handle.map_err(|error| failed(&error))?.get_raw_message(sequence).await {
        Ok(found) => Ok(Some(id_of_headers(&found.headers).to_owned())),
        Err(error) if matches!(error.kind(), RawMessageErrorKind::NoMessageFound) => Ok(None),
        Err(error) => Err(failed(&error)),
    }
}
