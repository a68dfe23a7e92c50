//! Whether what an engine has said is of the input stream as it is.
//!
//! A server that comes back with an older disk, or from a backup, may have lost the end of its input stream
//! while decisions, receipts or dead letters that came of it stand. Whatever is put in its place then is
//! other records, of which they are not true.

use super::reader::came_ns;
use super::{Connection, NatsError};

/// How far the clocks of a cluster's servers may differ, in nanoseconds.
const CLOCKS_DIFFER_NS: i128 = 1_000_000_000;

/// The input stream, as it is when an engine begins.
pub(super) struct Input {
    /// Its name.
    pub(super) stream: String,
    /// When it was made, in nanoseconds of Unix time.
    pub(super) made_ns: i128,
    /// The last message that it has had.
    pub(super) last: u64,
}

impl Input {
    /// The input stream of that name.
    ///
    /// # Errors
    /// It is missing, or the server does not answer.
    pub(super) async fn of(connection: &Connection, stream: String) -> Result<Input, NatsError> {
        let info = connection.stream_info(&stream).await?;
        let made_ns = info.created.unix_timestamp_nanos();
        Ok(Input { stream, made_ns, last: info.state.last_sequence })
    }

    /// Refuses a stream in which something came of message `sequence` at `said_ns` that the input stream
    /// does not have, or got later.
    ///
    /// # Errors
    /// [`NatsError::Ahead`], or the server does not answer.
    pub(super) async fn has_had(
        &self,
        connection: &Connection,
        stream: &str,
        (sequence, said_ns): (u64, i128),
    ) -> Result<(), NatsError> {
        let later = match came_ns(connection, &self.stream, sequence).await? {
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
