//! A file as a source of records.

use std::io::Read;

use bytes::Bytes;

use super::{FileError, Lines, Progress, TextLine};
use crate::codec::{MAX_BATCH_BYTES, json, too_long};
use crate::inbound::{Inbound, Raw, Stamp};

/// Reads the records of a file.
pub struct FileSource {
    lines: Lines,
}

impl FileSource {
    /// Opens a file, or standard input for `-`; zstd if its name or its first bytes say so.
    ///
    /// # Errors
    /// The file cannot be opened, or its first bytes not read.
    pub fn open(path: &str) -> Result<FileSource, FileError> {
        Ok(FileSource { lines: Lines::open(path)? })
    }

    /// Reads from anything; `path` names it in errors.
    ///
    /// # Errors
    /// The first bytes cannot be read.
    pub fn new(reader: impl Read + Send + 'static, path: &str) -> Result<FileSource, FileError> {
        Ok(FileSource { lines: Lines::new(reader, path)? })
    }

    /// How far the file has been read; none of what was not opened by its name.
    pub fn progress(&self) -> Option<&Progress> {
        self.lines.progress()
    }

    /// Appends up to `limit` records to `out`, fewer if they are long, and says how many; 0 is the
    /// end of the file.
    ///
    /// # Errors
    /// The file cannot be read on; what was read before stands in `out`.
    pub fn read_batch(&mut self, limit: usize, out: &mut Vec<Inbound>) -> Result<usize, FileError> {
        let (start, mut bytes) = (out.len(), 0);
        while out.len() - start < limit && bytes < MAX_BATCH_BYTES {
            match self.lines.next_line()? {
                Some(line) => {
                    bytes += line.bytes.len();
                    out.push(inbound(line));
                }
                None => break,
            }
        }
        Ok(out.len() - start)
    }
}

/// Reads the record of a line; the line's number is its sequence.
pub fn inbound(line: TextLine<'_>) -> Inbound {
    let (at, record) = if line.is_too_long() {
        (None, Err(too_long(line.bytes, line.length)))
    } else {
        let read = json::read_record(line.bytes);
        // A line without a time is refused further on; only here can it be told what it had.
        let undated = read.at.is_none() && read.record.is_ok();
        match undated.then(|| json::null_at(line.bytes)).flatten() {
            Some(refused) => (None, Err(refused)),
            None => (read.at, read.record),
        }
    };
    let undecodable = record.as_ref().err().is_some_and(|refused| refused.fault.word().is_some());
    Inbound {
        sequence: line.number,
        index: None,
        at: at.map_or(Stamp::Absent, Stamp::Text),
        record,
        raw: undecodable.then(|| Raw {
            bytes: Bytes::copy_from_slice(line.bytes),
            length: line.length,
            subject: None,
        }),
    }
}
