//! Files: NDJSON in and out, plain or zstd, `-` for standard input and output.
//!
//! **Delivery** a source hands on every line but blank ones, once and in order; its sequence is the
//! line's number. A sink's lines are in the file when [`LineSink::finish`] has returned.

mod lines;
mod sink;
mod source;
#[cfg(test)]
mod tests;

use std::io;

pub use lines::{Lines, Progress, TextLine};
pub use sink::LineSink;
pub use source::{FileSource, inbound};

/// The name that means standard input or standard output.
pub const STANDARD: &str = "-";

/// How a compressed file's name ends.
const ZSTD_SUFFIX: &str = ".zst";

/// The size of the buffers between this process and the file, in bytes.
const BUFFER_BYTES: usize = 256 * 1024;

/// What went wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be opened or created.
    #[error("cannot open {path}")]
    Open {
        /// Its name.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It cannot be read, or is not the zstd that it claims to be.
    #[error("cannot read {path} after line {line}")]
    Read {
        /// Its name.
        path: String,
        /// The last line that was read.
        line: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// Its name.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl FileError {
    /// Whether the reader of a pipe has gone, which is how `head` says that it has enough.
    pub fn is_broken_pipe(&self) -> bool {
        let (FileError::Open { source, .. }
        | FileError::Read { source, .. }
        | FileError::Write { source, .. }) = self;
        source.kind() == io::ErrorKind::BrokenPipe
    }
}
