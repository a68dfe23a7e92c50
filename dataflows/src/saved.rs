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
pub const STATE_VERSION: u32 = 19;

/// The bytes are not the state that was expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
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

/// Takes state a field at a time, and hands it on in pieces.
pub(crate) struct Pieces<'a> {
    to: &'a mut dyn Write,
    held: usize,
    /// Bytes taken so far.
    taken: u64,
    buffer: [u8; PIECE],
}

/// The size of a piece.
const PIECE: usize = 1 << 14;

impl<'a> Pieces<'a> {
    pub(crate) fn to(to: &'a mut dyn Write) -> Self {
        Self { to, held: 0, taken: 0, buffer: [0; PIECE] }
    }

    /// Bytes taken so far.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// Takes some state. Allocates nothing, so that a [`Copier`] may do without.
    pub(crate) fn put<S: Serialize + ?Sized>(&mut self, state: &S) -> io::Result<()> {
        bincode::serialize_into(self, state).map_err(|error| match *error {
            bincode::ErrorKind::Io(error) => error,
            error => io::Error::other(error),
        })
    }
}

impl Write for Pieces<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > PIECE - self.held {
            self.flush()?;
            if bytes.len() > PIECE {
                self.taken += bytes.len() as u64;
                return self.to.write_all(bytes);
            }
        }
        self.buffer[self.held..self.held + bytes.len()].copy_from_slice(bytes);
        self.held += bytes.len();
        self.taken += bytes.len() as u64;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let held = std::mem::take(&mut self.held);
        self.to.write_all(&self.buffer[..held])
    }
}

/// State as bytes.
pub(crate) fn bytes<S: Serialize + ?Sized>(state: &S) -> Vec<u8> {
    bincode::serialize(state).expect("state is bytes")
}

/// State from its bytes.
///
/// # Errors
/// They are not exactly that.
pub(crate) fn read<S: DeserializeOwned>(bytes: &[u8]) -> Result<S, Unreadable> {
    bincode::deserialize(bytes).map_err(|error| Unreadable(error.to_string()))
}

/// Where the parts of a state begin, in its last bytes.
#[derive(Serialize, Deserialize)]
struct Places {
    /// Bytes of the engine's own state, which comes first.
    own: u64,
    /// Bytes in front of the table of the markets, which comes last.
    table: u64,
}

/// Bytes of [`Places`].
const PLACES: usize = 16;

/// Writes an engine's state: its own, the markets one after the other, whose they are and how many
/// bytes each has, and where that stands.
pub(crate) struct Writer<'a> {
    pieces: Pieces<'a>,
    own: u64,
}

impl<'a> Writer<'a> {
    /// Writes the engine's own state.
    pub(crate) fn begin<S: Serialize + ?Sized>(to: &'a mut dyn Write, own: &S) -> io::Result<Self> {
        let mut pieces = Pieces::to(to);
        pieces.put(own)?;
        let own = pieces.taken();
        Ok(Self { pieces, own })
    }

    /// Writes a market; its size.
    pub(crate) fn market<M: Serialize>(&mut self, market: &M) -> io::Result<u64> {
        let before = self.pieces.taken();
        self.pieces.put(market)?;
        Ok(self.pieces.taken() - before)
    }

    /// Writes a market that is bytes already.
    pub(crate) fn bytes(&mut self, market: &[u8]) -> io::Result<()> {
        self.pieces.write_all(market)
    }

    /// Writes what was written: products, and the sizes of their markets.
    pub(crate) fn end<'p>(
        mut self,
        products: impl Iterator<Item = &'p ProductId>,
        sizes: &[u64],
    ) -> io::Result<()> {
        let places = Places { own: self.own, table: self.pieces.taken() };
        for (product, size) in products.zip(sizes) {
            self.pieces.put(&(product, size))?;
        }
        self.pieces.put(&places)?;
        self.pieces.flush()
    }
}

/// An engine's state as it was written, taken apart. Equal on any number of workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// The engine's own.
    pub(crate) own: Bytes,
    pub(crate) markets: SavedMarkets,
}

/// Markets as bytes, by product.
pub(crate) type SavedMarkets = BTreeMap<ProductId, Bytes>;

impl Saved {
    /// Takes it apart.
    ///
    /// # Errors
    /// The bytes are something else.
    pub fn read(all: &Bytes) -> Result<Self, Unreadable> {
        let wrong = |what: &str| Unreadable(what.into());
        let end = all.len().checked_sub(PLACES).ok_or_else(|| wrong("it is too short"))?;
        let Places { own, table } = read(&all[end..])?;
        if own > table || table > end as u64 {
            return Err(wrong("its parts begin outside of it"));
        }
        let (own, table) = (own as usize, table as usize);
        let (mut markets, mut from) = (SavedMarkets::new(), own);
        let mut entries = &all[table..end];
        while !entries.is_empty() {
            let entry = bincode::deserialize_from(&mut entries);
            let (product, size): (ProductId, u64) = entry.map_err(|e| Unreadable(e.to_string()))?;
            let until = from.checked_add(size as usize).filter(|until| *until <= table);
            let until = until.ok_or_else(|| wrong("a market ends outside of it"))?;
            markets.insert(product, all.slice(from..until));
            from = until;
        }
        Ok(Self { own: all.slice(..own), markets })
    }
}
