//! State as bytes, and back.
//!
//! bincode 1.3 with fixed-width integers. Whoever keeps the bytes keeps a checksum of them, and the
//! version of the program's state ([`STATE_VERSION`]), too: bytes of another version may decode to
//! nonsense.

use serde::{Serialize, de::DeserializeOwned};

/// Counts changes of what the engine's state consists of.
pub const STATE_VERSION: u32 = 3;

/// The bytes are not the state that was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the state cannot be read: {0}")]
pub struct Unreadable(pub String);

/// The bytes of some state.
pub(crate) fn write<S: Serialize + ?Sized>(state: &S) -> Vec<u8> {
    bincode::serialize(state).expect("memory takes every byte, and lengths are known")
}

/// State from its bytes.
///
/// # Errors
/// They are not exactly that.
pub(crate) fn read<S: DeserializeOwned>(bytes: &[u8]) -> Result<S, Unreadable> {
    bincode::deserialize(bytes).map_err(|error| Unreadable(error.to_string()))
}
