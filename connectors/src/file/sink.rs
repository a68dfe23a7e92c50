//! A file as a sink of lines.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use super::{BUFFER_BYTES, FileError, STANDARD, ZSTD_SUFFIX};

/// Writes lines to a file, buffered.
///
/// **Contract** call [`LineSink::finish`]: a sink that is only dropped leaves the end of a plain
/// file to chance and a zstd file without its end.
pub struct LineSink {
    writer: Writer,
    path: String,
}

/// Where the bytes go.
enum Writer {
    Plain(BufWriter<Box<dyn Write + Send>>),
    Zstd(zstd::Encoder<'static, BufWriter<Box<dyn Write + Send>>>),
}

impl LineSink {
    /// Creates a file or empties it, or takes standard output for `-`; zstd if its name says so.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn create(path: &str) -> Result<LineSink, FileError> {
        if path == STANDARD {
            return LineSink::new(io::stdout(), path);
        }
        let file =
            File::create(path).map_err(|source| FileError::Open { path: path.into(), source })?;
        LineSink::new(file, path)
    }

    /// Writes to anything; `path` names it in errors, and its end asks for zstd.
    ///
    /// # Errors
    /// zstd cannot be set up.
    pub fn new(writer: impl Write + Send + 'static, path: &str) -> Result<LineSink, FileError> {
        let boxed: Box<dyn Write + Send> = Box::new(writer);
        let plain = BufWriter::with_capacity(BUFFER_BYTES, boxed);
        let writer = if path.ends_with(ZSTD_SUFFIX) {
            let encoder = zstd::Encoder::new(plain, zstd::DEFAULT_COMPRESSION_LEVEL)
                .map_err(|source| FileError::Open { path: path.into(), source })?;
            Writer::Zstd(encoder)
        } else {
            Writer::Plain(plain)
        };
        Ok(LineSink { writer, path: path.to_owned() })
    }

    /// Writes one line; `line` has no line end.
    ///
    /// # Errors
    /// The file cannot be written; see [`FileError::is_broken_pipe`].
    pub fn write_line(&mut self, line: &[u8]) -> Result<(), FileError> {
        debug_assert!(!line.contains(&b'\n'), "one line at a time");
        let written = match &mut self.writer {
            Writer::Plain(it) => it.write_all(line).and_then(|()| it.write_all(b"\n")),
            Writer::Zstd(it) => it.write_all(line).and_then(|()| it.write_all(b"\n")),
        };
        written.map_err(|source| self.failed(source))
    }

    /// Hands everything to the operating system; a reader of the file sees every line so far.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn flush(&mut self) -> Result<(), FileError> {
        let flushed = match &mut self.writer {
            Writer::Plain(it) => it.flush(),
            Writer::Zstd(it) => it.flush(),
        };
        flushed.map_err(|source| self.failed(source))
    }

    /// Ends the file: the zstd frame is closed, and everything handed to the operating system.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(self) -> Result<(), FileError> {
        let finished = match self.writer {
            Writer::Plain(mut it) => it.flush(),
            Writer::Zstd(it) => it.finish().and_then(|mut inner| inner.flush()),
        };
        finished.map_err(|source| FileError::Write { path: self.path, source })
    }

    /// The error of a failed write.
    fn failed(&self, source: io::Error) -> FileError {
        FileError::Write { path: self.path.clone(), source }
    }
}
