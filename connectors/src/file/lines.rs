//! The lines of a file, counted, with a bound on what one line can take.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{BUFFER_BYTES, FileError, STANDARD, ZSTD_SUFFIX};
use crate::codec::{BEGINNING_BYTES, MAX_BODY_BYTES, MAX_KEPT_BYTES};

/// What a zstd frame begins with.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// A reader of lines.
///
/// Holds one line at a time, and never more of it than [`MAX_KEPT_BYTES`].
pub struct Lines {
    reader: Box<dyn BufRead + Send>,
    /// The line that was read last.
    buffer: Vec<u8>,
    /// Its number, from 1.
    number: u64,
    path: String,
    progress: Option<Progress>,
}

/// How far a file has been read, as it is on disk: to be asked from anywhere.
#[derive(Debug, Clone)]
pub struct Progress {
    read_bytes: Arc<AtomicU64>,
    bytes: u64,
}

impl Progress {
    /// How many bytes were read.
    pub fn read_bytes(&self) -> u64 {
        self.read_bytes.load(Ordering::Relaxed)
    }

    /// How many the file had when it was opened.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// A reader that tells how far it is.
struct Told<R> {
    inner: R,
    read_bytes: Arc<AtomicU64>,
}

impl<R: Read> Read for Told<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read_bytes.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// One line without its line end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextLine<'a> {
    /// Its number, from 1; every line counts.
    pub number: u64,
    /// Its bytes; of a line over [`MAX_KEPT_BYTES`] only the first [`BEGINNING_BYTES`].
    pub bytes: &'a [u8],
    /// How many bytes it has.
    pub length: u64,
}

impl TextLine<'_> {
    /// Whether it is longer than a record may be: [`MAX_BODY_BYTES`].
    pub fn is_too_long(&self) -> bool {
        self.length > MAX_BODY_BYTES as u64
    }
}

impl Lines {
    /// Opens a file, or standard input for `-`; zstd if its name or its first bytes say so.
    ///
    /// # Errors
    /// The file cannot be opened, or its first bytes not read.
    pub fn open(path: &str) -> Result<Lines, FileError> {
        if path == STANDARD {
            return Lines::new(io::stdin(), path);
        }
        let failed = |source| FileError::Open { path: path.to_owned(), source };
        let inner = File::open(path).map_err(failed)?;
        let bytes = inner.metadata().map_err(failed)?.len();
        let progress = Progress { read_bytes: Arc::default(), bytes };
        let lines = Lines::new(Told { inner, read_bytes: progress.read_bytes.clone() }, path)?;
        Ok(Lines { progress: Some(progress), ..lines })
    }

    /// Reads from anything; `path` names it in errors.
    ///
    /// # Errors
    /// The first bytes cannot be read.
    pub fn new(reader: impl Read + Send + 'static, path: &str) -> Result<Lines, FileError> {
        let failed = |source| FileError::Open { path: path.to_owned(), source };
        let mut plain = BufReader::with_capacity(BUFFER_BYTES, reader);
        let magic = plain.fill_buf().map_err(failed)?.starts_with(&ZSTD_MAGIC);
        let reader: Box<dyn BufRead + Send> = if magic || path.ends_with(ZSTD_SUFFIX) {
            let decoder = zstd::Decoder::with_buffer(plain).map_err(failed)?;
            Box::new(BufReader::with_capacity(BUFFER_BYTES, decoder))
        } else {
            Box::new(plain)
        };
        Ok(Lines { reader, buffer: Vec::new(), number: 0, path: path.to_owned(), progress: None })
    }

    /// How far the file has been read; none of what was not opened by its name.
    pub fn progress(&self) -> Option<&Progress> {
        self.progress.as_ref()
    }

    /// The number of the last line that was read, blank or not.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The next line that is not blank; none at the end.
    ///
    /// # Errors
    /// The file cannot be read on.
    pub fn next_line(&mut self) -> Result<Option<TextLine<'_>>, FileError> {
        loop {
            match self.read() {
                Ok(None) => return Ok(None),
                Ok(Some(_)) if self.buffer.trim_ascii().is_empty() => {}
                Ok(Some(length)) => {
                    let bytes = self.buffer.as_slice();
                    return Ok(Some(TextLine { number: self.number, bytes, length }));
                }
                Err(source) => {
                    let (path, line) = (self.path.clone(), self.number);
                    return Err(FileError::Read { path, line, source });
                }
            }
        }
    }

    /// Reads one line into the buffer, as far as it is kept; how many bytes it has, none at the end.
    fn read(&mut self) -> io::Result<Option<u64>> {
        self.buffer.clear();
        // One byte more than the limit for each of `\r` and `\n`.
        let limit = MAX_KEPT_BYTES as u64 + 2;
        let mut length = (&mut self.reader).take(limit).read_until(b'\n', &mut self.buffer)? as u64;
        if length == 0 {
            return Ok(None);
        }
        self.number += 1;
        // The last two bytes of the line, which may be its end.
        let mut end = [0; 2];
        for byte in &self.buffer[self.buffer.len().saturating_sub(2)..] {
            end = [end[1], *byte];
        }
        if end[1] != b'\n' && length == limit {
            length += self.skip(&mut end)?;
        }
        length -= match end {
            [b'\r', b'\n'] => 2,
            [_, b'\n'] => 1,
            _ => 0,
        };
        let kept = if length > MAX_KEPT_BYTES as u64 { BEGINNING_BYTES } else { length as usize };
        self.buffer.truncate(kept);
        Ok(Some(length))
    }

    /// Skips the rest of a line; how many bytes that was, and into `end` the last two of the line.
    fn skip(&mut self, end: &mut [u8; 2]) -> io::Result<u64> {
        let mut skipped = 0;
        loop {
            let part = self.reader.fill_buf()?;
            let until = part.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
            let length = until.unwrap_or(part.len());
            for byte in &part[length.saturating_sub(2)..length] {
                *end = [end[1], *byte];
            }
            self.reader.consume(length);
            skipped += length as u64;
            if until.is_some() || length == 0 {
                return Ok(skipped);
            }
        }
    }
}
