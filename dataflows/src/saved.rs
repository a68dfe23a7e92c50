//! State as bytes, and back.
//!
//! bincode 1.3 with fixed-width integers. Whoever keeps the bytes keeps a checksum of them, and the
//! version of the program's state ([`STATE_VERSION`]), too: bytes of another version may decode to
//! nonsense.
//!
//! How the bytes leave the engine is its caller's business ([`Copier`]): the engine shows its state
//! and waits until it has been copied.

use crate::market::ProductId;
use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Write};

/// Counts changes of what the engine's state consists of.
pub const STATE_VERSION: u32 = 4;

/// The bytes are not the state that was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the state cannot be read: {0}")]
pub struct Unreadable(pub String);

/// What writes some state.
pub type Writing<'a> = dyn Fn(&mut dyn Write) -> io::Result<()> + 'a;
/// A copy of some state, to be read once; an error if the copy failed half-way.
pub type Copied = Box<dyn Read + Send>;

/// Copies state while its owner waits.
pub trait Copier: Send + Sync {
    /// What `write` writes, as it would write it now.
    ///
    /// # Errors
    /// There is no room for a copy.
    fn copy(&self, write: &Writing<'_>) -> io::Result<Copied>;
}

/// Copies by writing it all into memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InMemory;

impl Copier for InMemory {
    fn copy(&self, write: &Writing<'_>) -> io::Result<Copied> {
        let mut bytes = Vec::new();
        write(&mut bytes)?;
        Ok(Box::new(Cursor::new(bytes)))
    }
}

/// Writes some state. Allocates nothing, so that a [`Copier`] may do without.
pub(crate) fn write<S: Serialize + ?Sized>(to: &mut dyn Write, state: &S) -> io::Result<()> {
    bincode::serialize_into(to, state).map_err(|error| match *error {
        bincode::ErrorKind::Io(error) => error,
        error => io::Error::other(error),
    })
}

/// State from its bytes.
///
/// # Errors
/// They are not exactly that.
pub(crate) fn read<S: DeserializeOwned>(bytes: &[u8]) -> Result<S, Unreadable> {
    bincode::deserialize(bytes).map_err(|error| Unreadable(error.to_string()))
}

/// Markets as bytes, by product.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SavedMarkets(pub(crate) BTreeMap<ProductId, Bytes>);

/// What is written before a market: whose it is, and how many bytes follow.
#[derive(Serialize, Deserialize)]
struct Heading<P> {
    product: P,
    bytes: u64,
}

impl SavedMarkets {
    /// Writes a market; what several workers have written, one after the other, is read as one.
    pub(crate) fn write<M: Serialize>(
        to: &mut dyn Write,
        product: &ProductId,
        market: &M,
    ) -> io::Result<()> {
        let bytes = bincode::serialized_size(market).map_err(io::Error::other)?;
        write(to, &Heading { product, bytes })?;
        write(to, market)
    }

    /// Markets from what was written of them.
    ///
    /// # Errors
    /// The bytes are something else.
    pub fn read(all: &Bytes) -> Result<Self, Unreadable> {
        let mut markets = BTreeMap::new();
        let mut cursor = Cursor::new(all);
        while cursor.position() < all.len() as u64 {
            let heading = bincode::deserialize_from(&mut cursor);
            let heading: Heading<ProductId> =
                heading.map_err(|error| Unreadable(error.to_string()))?;
            let from = cursor.position();
            let until = from.checked_add(heading.bytes).filter(|until| *until <= all.len() as u64);
            let until = until.ok_or_else(|| {
                Unreadable(format!("a market of {} bytes ends behind them all", heading.bytes))
            })?;
            markets.insert(heading.product, all.slice(from as usize..until as usize));
            cursor.set_position(until);
        }
        Ok(Self(markets))
    }
}
