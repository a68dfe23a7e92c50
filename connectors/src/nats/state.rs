//! What the broker says of a stream, and whether it is the one that something was made of.

use super::reader::came_ns;
use super::{Connection, NatsError, instant};

/// How far the clocks of a cluster's servers may differ, in nanoseconds.
const CLOCKS_DIFFER_NS: i128 = 1_000_000_000;

/// What the broker says of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamState {
    /// Its name.
    pub stream: String,
    /// When it was made, in RFC 3339.
    pub made: String,
    /// The same, in nanoseconds of Unix time.
    pub made_ns: i128,
    /// The first message that it holds; one more than the last if it holds none.
    pub first: u64,
    /// The last message that it has had.
    pub last: u64,
    /// How many messages it holds.
    pub messages: u64,
    /// When the first message that it holds came, in nanoseconds of Unix time; none if it holds none.
    pub first_ns: Option<i128>,
}

impl StreamState {
    /// The state of that stream.
    ///
    /// # Errors
    /// The stream is missing, or the server does not answer.
    pub async fn of(connection: &Connection, stream: &str) -> Result<StreamState, NatsError> {
        let info = connection.stream_info(stream).await?;
        let (first, last) = (info.state.first_sequence, info.state.last_sequence);
        let messages = info.state.messages;
        let empty = messages == 0;
        let first = if empty { last + 1 } else { first };
        let first_ns = (!empty).then(|| info.state.first_timestamp.unix_timestamp_nanos());
        let (made, made_ns) = (instant(info.created), info.created.unix_timestamp_nanos());
        Ok(StreamState {
            stream: stream.to_owned(),
            made,
            made_ns,
            first,
            last,
            messages,
            first_ns,
        })
    }

    /// When it got that message, in nanoseconds of Unix time; none if it does not have it.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn came_ns(
        &self,
        connection: &Connection,
        sequence: u64,
    ) -> Result<Option<i128>, NatsError> {
        came_ns(connection, &self.stream, sequence).await
    }

    /// Whether it is older than the other stream, and had messages before that was made. One that is
    /// older and has lost what it held counts as such.
    pub fn had_before(&self, other: &StreamState) -> bool {
        let first_ns = self.first_ns.unwrap_or(i128::MIN);
        self.made_ns.max(first_ns) < other.made_ns && self.last > 0
    }

    /// Refuses a stream in which something came of message `sequence` at `said_ns` that this one does not
    /// have, or got later: its server came back with an older disk, or from a backup, and lost the end of
    /// it. Whatever is put in its place then is other records.
    ///
    /// # Errors
    /// [`NatsError::Ahead`], or the server does not answer.
    pub(super) async fn has_had(
        &self,
        connection: &Connection,
        stream: &str,
        (sequence, said_ns): (u64, i128),
    ) -> Result<(), NatsError> {
        let later = match self.came_ns(connection, sequence).await? {
            Some(came_ns) => came_ns > said_ns + CLOCKS_DIFFER_NS,
            // It was deleted, or has not come.
            None => sequence > self.last,
        };
        if later {
            let (stream, input) = (stream.to_owned(), self.stream.clone());
            return Err(NatsError::Ahead { stream, sequence, input });
        }
        Ok(())
    }
}
