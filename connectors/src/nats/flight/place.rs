//! What a stream holds of a flight's messages, after trouble.

use async_nats::jetstream::stream::Info;
use tokio::time::Instant;

use super::super::reader::{Reader, Start, first_from};
use super::super::{NatsError, instant};
use super::{Flight, Order, id_of, id_of_headers, named};

impl Flight {
    /// Drops what the stream already holds.
    pub(super) async fn reconcile(&mut self) -> Result<(), NatsError> {
        match &self.order {
            Order::Fixed { stream, counted } => self.count_held(stream.clone(), *counted).await,
            Order::Shared { stream, made, last, .. } => {
                self.find_place(stream.clone(), *made, *last).await
            }
        }
    }

    /// In a fixed flight, what is there is its first messages. What is not there any more was, if one of
    /// them stands behind it; at the end it may be a place that somebody else took.
    async fn count_held(&mut self, stream: String, counted: bool) -> Result<(), NatsError> {
        let Info { state, config, .. } = self.connection.stream_info(&stream).await?;
        let (from, last) = (state.first_sequence.max(self.first), state.last_sequence);
        if last + 1 < self.first {
            let wanted = self.first - 1;
            return Err(NatsError::StreamShort { stream, wanted, last });
        }
        if last + 1 == self.first {
            return Ok(());
        }
        let any = from <= last && state.messages > 0;
        // Longer in trouble than the stream keeps anything: what it had is gone, and was there.
        let aged = !config.max_age.is_zero() && self.progressed_at.elapsed() >= config.max_age;
        let found = match any {
            true => self.compare_held(&stream, from, last).await?,
            false if aged => usize::try_from(last + 1 - self.first).unwrap_or(usize::MAX),
            false => 0,
        };
        let told = self.pending.iter().rposition(|it| it.acknowledged).map_or(0, |index| index + 1);
        let held = found.max(told);
        let empty = self.first + held as u64;
        let expected = self.pending.get(held).map(|it| id_of(&it.message).to_owned());
        for pending in self.pending.iter_mut().take(held) {
            pending.acknowledged = true;
        }
        self.progressed_at = Instant::now();
        self.pop_acknowledged();
        if empty > last {
            return Ok(());
        }
        if first_from(&self.connection, &stream, empty).await?.is_some() {
            // A copy of the stream that lags.
            let (what, reason) = ("read what it holds", format!("not all of it up to {last}"));
            return Err(NatsError::Request { what, stream, reason });
        }
        let expected = expected.unwrap_or_else(|| "nothing".into());
        if counted {
            return Err(NatsError::Emptied { stream, sequence: empty, expected });
        }
        tracing::warn!(stream, empty, last, expected, "somebody took a place: going on behind it");
        self.first = last + 1;
        Ok(())
    }

    /// Compares all of them: where somebody else's message came into the place of one, the broker may have
    /// taken the one after it. How many it had, up to the last one that is there.
    async fn compare_held(&self, stream: &str, from: u64, last: u64) -> Result<usize, NatsError> {
        let start = Start::Sequence(from);
        let mut reader = Reader::open(self.connection.clone(), stream.into(), start).await?;
        let mut held = 0;
        while let Some((sequence, message)) = reader.next_until(last).await? {
            let found = message.headers.as_ref().map_or("", id_of_headers);
            let index = usize::try_from(sequence - self.first).unwrap_or(usize::MAX);
            let own = self.pending.get(index).map(|it| &it.message);
            let expected = own.map_or("nothing", id_of);
            let same = own.is_some_and(|own| own.payload == message.payload);
            if found != expected || !same {
                let found =
                    if found == expected { format!("another {found}") } else { named(found) };
                let (stream, expected) = (stream.to_owned(), expected.to_owned());
                return Err(NatsError::Foreign { stream, sequence, expected, found });
            }
            held = index + 1;
        }
        Ok(held)
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
        if last < behind {
            return Err(NatsError::StreamShort { stream, wanted: behind, last });
        }
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
