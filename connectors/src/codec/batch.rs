//! Batch bodies: many records in one message.
//!
//! NDJSON (blank lines are skipped and do not count) or a sequence of bincode records, each behind
//! its length as a little-endian `u32`. The header `Iceshop-Count` says how many there are; a
//! message without it is one record. A body that does not hold what its header says is refused as
//! a whole, since nobody can tell what is missing.
//!
//! Limit: [`MAX_BODY_BYTES`] per body.

use bytes::Bytes;

use super::{Format, MAX_BODY_BYTES, binary, json, shorten, too_long};
use crate::inbound::{Fault, Refused};
use crate::wire::Record;

/// The header that makes a body a batch.
pub const COUNT_HEADER: &str = "Iceshop-Count";

/// The bytes of the length before each bincode record.
const LENGTH_BYTES: usize = 4;

/// One record of a body.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Its place, from 0; absent: the body was one record.
    pub index: Option<u32>,
    /// The field `at` of a JSON record, unchecked.
    pub at: Option<String>,
    /// The record, or why there is none.
    pub record: Result<Record, Refused>,
    /// The bytes of what could not be decoded.
    pub raw: Option<Bytes>,
}

/// Appends the records of a body to `items`: at least one, since a body without any is refused.
///
/// `count` is the value of [`COUNT_HEADER`]. No item carries bytes but an undecodable one.
pub fn read_body(format: Format, count: Option<&str>, body: &Bytes, items: &mut Vec<Item>) {
    let start = items.len();
    if body.len() > MAX_BODY_BYTES {
        items.push(whole(body, too_long(body, body.len() as u64)));
        return;
    }
    let Some(count) = count else {
        items.push(item(format, None, body, body));
        return;
    };
    let result = match format {
        Format::Json => read_lines(body, items),
        Format::Bincode => read_prefixed(body, items),
    };
    let found = items.len() - start;
    let reason = match result {
        Err(reason) => reason,
        Ok(()) if found > 0 && count.parse() == Ok(found) => return,
        Ok(()) => format!("the body holds {found} records"),
    };
    items.truncate(start);
    let refused = Refused {
        fault: Fault::Batch,
        field: COUNT_HEADER.into(),
        value: shorten(count),
        reason,
        kind: None,
        id: None,
    };
    items.push(whole(body, refused));
}

/// Appends one record to a bincode batch body.
///
/// # Panics
/// If the record is over 4 GiB.
pub fn write_prefixed(out: &mut Vec<u8>, record: &Record) {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    binary::write_record(out, record);
    let length = u32::try_from(out.len() - start - LENGTH_BYTES).expect("a record is small");
    out[start..start + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
}

/// Reads NDJSON.
fn read_lines(body: &Bytes, items: &mut Vec<Item>) -> Result<(), String> {
    let lines = body.split(|byte| *byte == b'\n');
    for (index, line) in (0..).zip(lines.filter(|line| !line.trim_ascii().is_empty())) {
        items.push(item(Format::Json, Some(index), body, line));
    }
    Ok(())
}

/// Reads a length-prefixed sequence; an error says where it is cut short.
fn read_prefixed(body: &Bytes, items: &mut Vec<Item>) -> Result<(), String> {
    let mut rest: &[u8] = body;
    let mut index = 0;
    while !rest.is_empty() {
        let cut = || format!("the body ends within record {index}");
        let (length, after) = rest.split_first_chunk::<LENGTH_BYTES>().ok_or_else(cut)?;
        let length = u32::from_le_bytes(*length) as usize;
        let (record, after) = after.split_at_checked(length).ok_or_else(cut)?;
        items.push(item(Format::Bincode, Some(index), body, record));
        rest = after;
        index += 1;
    }
    Ok(())
}

/// Reads one record that lies in `body`.
fn item(format: Format, index: Option<u32>, body: &Bytes, bytes: &[u8]) -> Item {
    let (at, record) = match format {
        Format::Json => {
            let line = json::read_record(bytes);
            (line.at, line.record)
        }
        Format::Bincode => (None, binary::read_record(bytes)),
    };
    let undecodable = record.as_ref().err().is_some_and(|refused| refused.fault.word().is_some());
    Item { index, at, record, raw: undecodable.then(|| body.slice_ref(bytes)) }
}

/// A body that is refused as a whole.
fn whole(body: &Bytes, refused: Refused) -> Item {
    Item { index: None, at: None, record: Err(refused), raw: Some(body.clone()) }
}
