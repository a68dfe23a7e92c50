//! The lines of a file, counted, with a bound on what one line can take.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use super::{BUFFER_BYTES, FileError, STANDARD, ZSTD_SUFFIX};
use crate::codec::{BEGINNING_BYTES, MAX_BODY_BYTES};

/// What a zstd frame begins with.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// A reader of lines.
///
/// Holds one line at a time, and of a line over [`MAX_BODY_BYTES`] never more than the limit.
pub struct Lines {
    reader: Box<dyn BufRead + Send>,
    /// The line that was read last.
    buffer: Vec<u8>,
    /// Its number, from 1.
    number: u64,
    path: String,
}

/// One line without its line end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextLine<'a> {
    /// Its number, from 1; every line counts.
    pub number: u64,
    /// Its bytes; of a line that is too long only the beginning.
    pub bytes: &'a [u8],
    /// Whether it is longer than [`MAX_BODY_BYTES`].
    pub too_long: bool,
}

impl Lines {
    /// Opens a file, or standard input for `-`; zstd if its name or its first bytes say so.
    ///
    /// # Errors
    /// The file cannot be opened, or its first bytes not read.
    pub fn open(path: &str) -> Result<Lines, FileError> {
        let reader: Box<dyn Read + Send> = if path == STANDARD {
            Box::new(io::stdin())
        } else {
            let file = File::open(path)
                .map_err(|source| FileError::Open { path: path.to_owned(), source })?;
            Box::new(file)
        };
        Lines::new(reader, path)
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
        Ok(Lines { reader, buffer: Vec::new(), number: 0, path: path.to_owned() })
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
                Ok(Some(too_long)) => {
                    let bytes = self.buffer.as_slice();
                    return Ok(Some(TextLine { number: self.number, bytes, too_long }));
                }
                Err(source) => {
                    let (path, line) = (self.path.clone(), self.number);
                    return Err(FileError::Read { path, line, source });
                }
            }
        }
    }

    /// Reads one line into the buffer, and whether it was too long; none at the end.
    fn read(&mut self) -> io::Result<Option<bool>> {
        self.buffer.clear();
        // One byte more than the limit for each of `\r` and `\n`.
        let limit = MAX_BODY_BYTES as u64 + 2;
        let length = (&mut self.reader).take(limit).read_until(b'\n', &mut self.buffer)?;
        if length == 0 {
            return Ok(None);
        }
        self.number += 1;
        let ended = self.buffer.last() == Some(&b'\n');
        if ended {
            self.buffer.pop();
            if self.buffer.last() == Some(&b'\r') {
                self.buffer.pop();
            }
        }
        let too_long = self.buffer.len() > MAX_BODY_BYTES;
        if too_long {
            if !ended {
                self.reader.skip_until(b'\n')?;
            }
            self.buffer.truncate(BEGINNING_BYTES);
        }
        Ok(Some(too_long))
    }
}
