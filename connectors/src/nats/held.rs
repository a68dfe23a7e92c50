//! The decisions that OUT holds already, beside those that a run makes once more.
//!
//! An engine that decides a part of its log again must decide the same: whoever has seen what OUT
//! holds must not be told another story. Other parameters, another version of the program or another
//! writer show at the first decision that differs.

use async_nats::jetstream::Message;

use super::flight::{id_of_headers, named};
use super::reader::{Reader, Start};
use super::state::StreamState;
use super::{Connection, IN_SEQUENCE_HEADER, NatsError};

/// What is held, from the first decision that is made again on.
pub(super) struct Held {
    connection: Connection,
    stream: String,
    /// None once all of it has been compared.
    reader: Option<Reader>,
    /// How many decisions OUT held at first.
    last: u64,
    /// The next one that it still has, if that has been read.
    ahead: Option<(u64, Message)>,
}

impl Held {
    /// Behind `decided` decisions. Those that OUT has lost to its limits cannot be compared.
    ///
    /// # Errors
    /// The stream is missing, or OUT holds fewer: [`NatsError::StreamShort`]; its last message is no
    /// decision ([`NatsError::Foreign`]), or was deleted while others are there ([`NatsError::Emptied`]), or
    /// comes of what the input stream does not have ([`NatsError::Ahead`]).
    pub(super) async fn open(
        connection: &Connection,
        stream: &str,
        decided: u64,
        input: &StreamState,
    ) -> Result<Held, NatsError> {
        let state = connection.stream_info(stream).await?.state;
        let (first, last) = (state.first_sequence, state.last_sequence);
        if last < decided {
            return Err(NatsError::StreamShort { stream: stream.into(), wanted: decided, last });
        }
        let from = first.max(decided + 1);
        let reader = if from > last || state.messages == 0 {
            None
        } else {
            no_stranger(connection, stream, last, input).await?;
            let start = Start::Sequence(from);
            Some(Reader::open(connection.clone(), stream.into(), start).await?)
        };
        let connection = connection.clone();
        Ok(Held { connection, stream: stream.into(), reader, last, ahead: None })
    }

    /// How many decisions OUT held at first.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Compares decision `number`, of that id and those bytes, with what OUT holds in its place.
    ///
    /// # Errors
    /// OUT holds another one there ([`NatsError::Foreign`], [`NatsError::Differs`]), or is gone.
    pub(super) async fn compare(
        &mut self,
        number: u64,
        id: &str,
        bytes: &[u8],
    ) -> Result<(), NatsError> {
        let Some((sequence, message)) = self.next().await? else { return Ok(()) };
        if sequence > number {
            // What was in this place was deleted.
            self.ahead = Some((sequence, message));
            return Ok(());
        }
        let stream = self.stream.clone();
        let found = message.headers.as_ref().map_or("", id_of_headers);
        if found != id {
            let (expected, found) = (id.to_owned(), named(found));
            return Err(NatsError::Foreign { stream, sequence, expected, found });
        }
        if message.payload != bytes {
            return Err(NatsError::Differs { stream, sequence, id: id.to_owned() });
        }
        if sequence == self.last {
            self.reader = None;
        }
        Ok(())
    }

    /// The next one that OUT holds; none if it holds no more.
    async fn next(&mut self) -> Result<Option<(u64, Message)>, NatsError> {
        if let Some(ahead) = self.ahead.take() {
            return Ok(Some(ahead));
        }
        while let Some(reader) = &mut self.reader {
            match reader.next_held().await {
                Ok(Some(found)) => return Ok(Some(found)),
                // It was purged since; what is left can be compared.
                Err(NatsError::StreamCut { first, .. }) if first <= self.last => {
                    let (connection, start) = (self.connection.clone(), Start::Sequence(first));
                    self.reader = Some(Reader::open(connection, self.stream.clone(), start).await?);
                }
                Ok(None) | Err(NatsError::StreamCut { .. }) => self.reader = None,
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

/// Whether the last message is an engine's, and comes of what the input stream has: with nothing to decide
/// nobody would compare it.
async fn no_stranger(
    connection: &Connection,
    stream: &str,
    last: u64,
    input: &StreamState,
) -> Result<(), NatsError> {
    let start = Start::Sequence(last);
    let mut reader = Reader::open(connection.clone(), stream.into(), start).await?;
    let (stream, sequence, expected) = (stream.to_owned(), last, "a decision".to_owned());
    let Some((_, message)) = reader.next_held().await? else {
        return Err(NatsError::Emptied { stream, sequence, expected });
    };
    let found = message.headers.as_ref().map_or("", id_of_headers);
    if found.is_empty() {
        return Err(NatsError::Foreign { stream, sequence, expected, found: named(found) });
    }
    let of = message.headers.as_ref().and_then(|headers| headers.get(IN_SEQUENCE_HEADER));
    let of = of.and_then(|text| text.as_str().parse().ok());
    match (of, message.info()) {
        (Some(of), Ok(info)) => {
            let said = (of, info.published.unix_timestamp_nanos());
            input.has_had(connection, &stream, said).await
        }
        _ => Ok(()),
    }
}
