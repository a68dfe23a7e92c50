//! What a source hands on: one record, or the refusal of one, with its sequence and its time.
//!
//! Nothing is dropped silently: whatever stood in the input becomes an [`Inbound`], so that it can
//! get its receipt. What could not be decoded at all carries its bytes as well, for the dead
//! letters.

use bytes::Bytes;

use crate::wire::Record;

/// One record of the input.
#[derive(Debug, Clone, PartialEq)]
pub struct Inbound {
    /// The line's number in a file (from 1, every line counts), the stream sequence in NATS.
    pub sequence: u64,
    /// The place in a batch body, from 0; absent: the message was one record.
    pub index: Option<u32>,
    /// What the source says about the record's time.
    pub at: Stamp,
    /// The record, or why there is none.
    pub record: Result<Record, Refused>,
    /// The bytes of what could not be decoded; absent whenever [`Fault::word`] is.
    pub raw: Option<Raw>,
}

impl Inbound {
    /// The dead letter of an undecodable record; none of any other.
    pub fn dead_letter(&self) -> Option<DeadLetter> {
        let refused = self.record.as_ref().err()?;
        let raw = self.raw.as_ref()?;
        Some(DeadLetter {
            reason: refused.fault.word()?,
            sequence: self.sequence,
            index: self.index,
            subject: raw.subject.clone(),
            bytes: raw.bytes.clone(),
            length: raw.length,
        })
    }
}

/// What a source says about a record's time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stamp {
    /// RFC 3339 text: `at` of a line, or the header `Iceshop-At`. Not checked here.
    Text(String),
    /// Nanoseconds since 1970 in UTC: the broker's timestamp.
    Nanos(i128),
    /// Nothing: the record happened at the newest time seen.
    Absent,
}

/// The bytes of a record that could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw {
    /// The bytes; of a line over [`MAX_KEPT_BYTES`](crate::codec::MAX_KEPT_BYTES) only the beginning.
    pub bytes: Bytes,
    /// How many there were.
    pub length: u64,
    /// The NATS subject that they came on.
    pub subject: Option<String>,
}

/// Why a record was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {value}: {reason}")]
pub struct Refused {
    /// What kind of refusal this is.
    pub fault: Fault,
    /// The offending field as a path (`tiers[0].price`), or `record` for the whole.
    pub field: String,
    /// What it held, as it was typed and shortened; `absent` if it was not there.
    pub value: String,
    /// Why that does not do.
    pub reason: String,
    /// The record's kind, where it could be told.
    pub kind: Option<String>,
    /// The id of what the record is about, where it could be told.
    pub id: Option<String>,
}

/// The kinds of refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Decodable, but a field is wrong: a receipt says so.
    Invalid,
    /// Not JSON, not an object, or not bincode.
    Malformed,
    /// Longer than a record or a body may be.
    TooLong,
    /// Of no kind that is known.
    UnknownKind,
    /// Of another version than 1.
    UnknownVersion,
    /// A batch body that is not what its headers say.
    Batch,
}

impl Fault {
    /// The last token of a dead letter's subject; none if the record does not become one.
    pub fn word(self) -> Option<&'static str> {
        match self {
            Fault::Invalid => None,
            Fault::Malformed => Some("malformed"),
            Fault::TooLong => Some("too_long"),
            Fault::UnknownKind => Some("kind"),
            Fault::UnknownVersion => Some("version"),
            Fault::Batch => Some("batch"),
        }
    }
}

/// What could not be decoded, byte for byte as far as it was kept, with where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// A word from a closed list, see [`Fault::word`].
    pub reason: &'static str,
    /// The input's sequence.
    pub sequence: u64,
    /// The place in a batch body.
    pub index: Option<u32>,
    /// The NATS subject that it came on.
    pub subject: Option<String>,
    /// The bytes.
    pub bytes: Bytes,
    /// How many there were: more than `bytes` if only the beginning was kept.
    pub length: u64,
}
