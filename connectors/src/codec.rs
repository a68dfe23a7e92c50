//! Bytes to messages and back: JSON and bincode, single records and batch bodies.
//!
//! Decoding never fails as a whole: it gives a record or a [`Refused`] that names the field and
//! its value. Equal messages encode to equal bytes.

pub mod batch;
pub mod binary;
pub mod json;

mod diagnose;
mod object;
mod scan;
#[cfg(test)]
mod tests;

use crate::inbound::Refused;

/// The longest line and the longest message body, in bytes.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

/// The longest line that is kept whole as a dead letter, in bytes: with its headers it is one
/// message of a server with the usual limit of 1 MiB.
pub const MAX_KEPT_BYTES: usize = 1024 * 1024 - 16 * 1024;

/// How much of a line over that limit is kept, in bytes.
pub const BEGINNING_BYTES: usize = 4 * 1024;

/// How many bytes of lines and bodies a source hands on at once, and a publisher holds ready, at
/// most; one record more may be added to fewer.
pub const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;

/// The most fields that one record may have.
pub const MAX_FIELDS: usize = 64;

/// The most characters of a value that a refusal shows.
pub const MAX_SHOWN_CHARS: usize = 80;

/// The content type of JSON bodies, and of bodies without one.
pub const CONTENT_JSON: &str = "application/json";

/// The content type of bincode bodies.
pub const CONTENT_BINCODE: &str = "application/x-iceshop-bincode";

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object, or one per line.
    Json,
    /// bincode 1.3 (fixed-width little-endian integers), or a length-prefixed sequence.
    Bincode,
}

impl Format {
    /// The format of a content type; JSON unless it says bincode.
    pub fn of_content_type(content_type: Option<&str>) -> Format {
        match content_type {
            Some(CONTENT_BINCODE) => Format::Bincode,
            _ => Format::Json,
        }
    }

    /// The content type that says so.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Json => CONTENT_JSON,
            Format::Bincode => CONTENT_BINCODE,
        }
    }
}

/// A message that its reader could not decode.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The JSON does not fit.
    #[error("cannot read the message as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The bincode does not fit.
    #[error("cannot read the message as bincode: {0}")]
    Bincode(#[from] bincode::Error),
}

/// The refusal of a record or body of `length` bytes, which is over [`MAX_BODY_BYTES`]; `known` is
/// the beginning of it, or all.
pub fn too_long(known: &[u8], length: u64) -> Refused {
    diagnose::too_long(known, length)
}

/// The first [`MAX_SHOWN_CHARS`] characters of a value, and an ellipsis if there are more.
pub fn shorten(value: &str) -> String {
    match value.char_indices().nth(MAX_SHOWN_CHARS) {
        None => value.to_owned(),
        Some((end, _)) => format!("{}…", &value[..end]),
    }
}
