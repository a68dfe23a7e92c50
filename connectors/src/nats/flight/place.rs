//! What a stream holds of a flight's messages, after trouble.

use async_nats::HeaderMap;
use async_nats::jetstream::stream::Info;
use tokio::time::Instant;

use super::super::reader::{Reader, Start};
use super::super::{NatsError, instant};
use super::{Flight, Order, id_of, id_of_headers, named};

/// The header in which a message says behind which other it comes.
pub(super) const BEHIND: &str = "Nats-Expected-Last-Msg-Id";

impl Flight {
    /// Drops what the stream already holds, and makes the rest fit behind that: the first of it comes
    /// behind whatever is there.
    pub(super) async fn reconcile(&mut self) -> Result<(), NatsError> {
        match &self.order {
            Order::Fixed(stream) => self.count_held(stream.clone()).await?,
            Order::Shared { stream, made, last, .. } => {
                self.find_place(stream.clone(), *made, *last).await?;
            }
        }
        if let Some(first) = self.pending.front_mut() {
            first.message.headers = behind_anything(&first.message.headers);
        }
        Ok(())
    }

    /// In a fixed flight, what is there is its first messages.
    async fn count_held(&mut self, stream: String) -> Result<(), NatsError> {
        let state = self.connection.stream_info(&stream).await?.state;
        let (from, last) = (state.first_sequence.max(self.first), state.last_sequence);
        if last + 1 < self.first {
            let wanted = self.first - 1;
            return Err(NatsError::StreamShort { stream, wanted, last });
        }
        let held = usize::try_from(last + 1 - self.first).unwrap_or(usize::MAX);
        if held == 0 {
            return Ok(());
        }
        if from <= last && state.messages > 0 {
            self.compare_held(stream, from, last).await?;
        }
        for pending in self.pending.iter_mut().take(held) {
            pending.acknowledged = true;
        }
        self.progressed_at = Instant::now();
        self.pop_acknowledged();
        Ok(())
    }

    /// Compares all of them: where somebody else's message came into the place of one, the broker may have
    /// taken the one after it.
    async fn compare_held(&self, stream: String, from: u64, last: u64) -> Result<(), NatsError> {
        let start = Start::Sequence(from);
        let mut reader = Reader::open(self.connection.clone(), stream.clone(), start).await?;
        while let Some((sequence, message)) = reader.next_until(last).await? {
            let found = message.headers.as_ref().map_or("", id_of_headers);
            let own = usize::try_from(sequence - self.first).ok().and_then(|n| self.pending.get(n));
            let expected = own.map_or("nothing", |it| id_of(&it.message));
            if found != expected {
                let (expected, found) = (expected.to_owned(), named(found));
                return Err(NatsError::Foreign { stream, sequence, expected, found });
            }
        }
        Ok(())
    }

    /// In a shared flight they are somewhere behind that sequence, in their order, with what others wrote
    /// between them.
    async fn find_place(
        &mut self,
        stream: String,
        made: i128,
        behind: u64,
    ) -> Result<(), NatsError> {
        let Info { state, created, .. } = self.connection.stream_info(&stream).await?;
        if created.unix_timestamp_nanos() != made {
            let wanted = behind + 1;
            return Err(NatsError::Replaced { stream, made: instant(created), wanted });
        }
        let (from, last) = (state.first_sequence.max(behind + 1), state.last_sequence);
        if from <= last && state.messages > 0 {
            let start = Start::Sequence(from);
            let mut reader = Reader::open(self.connection.clone(), stream, start).await?;
            let mut ours = 0;
            while let Some((_, message)) = reader.next_until(last).await? {
                let id = message.headers.as_ref().map_or("", id_of_headers);
                if self.pending.get(ours).is_some_and(|it| id_of(&it.message) == id) {
                    self.pending[ours].acknowledged = true;
                    ours += 1;
                }
            }
            if ours > 0 {
                (self.progressed_at, self.attempts) = (Instant::now(), 0);
            }
            self.pop_acknowledged();
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
