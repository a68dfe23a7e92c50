//! bincode 1.3 with fixed-width little-endian integers: what `bincode::serialize` writes.
//!
//! A record is its variant number (in the order of [`Record`]'s declaration) and its fields;
//! trailing bytes are refused. Numbers are not checked here: bincode can carry a NaN.

use bincode::Options;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{DecodeError, MAX_BODY_BYTES, too_long};
use crate::inbound::{Fault, Refused};
use crate::wire::{Decision, Receipt, Record};

/// Reads one record.
///
/// # Errors
/// The refusal of bytes that are not exactly one record.
#[allow(clippy::result_large_err, reason = "a record is larger still")]
pub fn read_record(bytes: &[u8]) -> Result<Record, Refused> {
    if bytes.len() > MAX_BODY_BYTES {
        return Err(too_long(bytes, bytes.len() as u64));
    }
    read(bytes).map_err(|_| Refused {
        fault: Fault::Malformed,
        field: "record".into(),
        value: format!("{} bytes", bytes.len()),
        reason: "not exactly one record in bincode 1.3".into(),
        kind: None,
        id: None,
    })
}

/// Reads one decision.
///
/// # Errors
/// Says what does not fit.
pub fn read_decision(bytes: &[u8]) -> Result<Decision, DecodeError> {
    Ok(read(bytes)?)
}

/// Reads one receipt.
///
/// # Errors
/// Says what does not fit.
pub fn read_receipt(bytes: &[u8]) -> Result<Receipt, DecodeError> {
    Ok(read(bytes)?)
}

/// Appends a record.
pub fn write_record(out: &mut Vec<u8>, record: &Record) {
    write(out, record);
}

/// Appends a decision.
pub fn write_decision(out: &mut Vec<u8>, decision: &Decision) {
    write(out, decision);
}

/// Appends a receipt.
pub fn write_receipt(out: &mut Vec<u8>, receipt: &Receipt) {
    write(out, receipt);
}

/// Reads exactly one value; no length inside can claim more than the bytes hold.
fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, bincode::Error> {
    let limit = bytes.len() as u64;
    bincode::DefaultOptions::new().with_fixint_encoding().with_limit(limit).deserialize(bytes)
}

/// Appends one value.
fn write<T: Serialize>(out: &mut Vec<u8>, value: &T) {
    bincode::serialize_into(out, value).expect("memory takes every byte, and lengths are known");
}
