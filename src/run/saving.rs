//! A pipeline's state on its way out of it, and back.

use bytes::Bytes;
use dataflows::market::Params;
use dataflows::saved::{Copied, SavedMarkets, Unreadable};
use std::io::{self, Cursor, Read};

/// Copies of everything that a pipeline needs to go on as if it had never stopped; to be read once.
pub struct Saving {
    /// The parameters that it decides by.
    pub params: Params,
    /// Its own state.
    pub own: Copied,
    /// The markets, in pieces.
    pub markets: Vec<Copied>,
}

/// The same, read.
#[derive(Debug, Clone)]
pub struct Saved {
    params: Params,
    own: Bytes,
    markets: Bytes,
}

impl Saving {
    /// Reads it all into memory.
    ///
    /// # Errors
    /// A copy failed half-way.
    pub fn read(mut self) -> io::Result<Saved> {
        let (mut own, mut markets) = (Vec::new(), Vec::new());
        self.own.read_to_end(&mut own)?;
        for mut part in self.markets {
            part.read_to_end(&mut markets)?;
        }
        Ok(Saved::new(self.params, own.into(), markets.into()))
    }
}

impl Saved {
    /// Of its parts, as they were written.
    pub(super) fn new(params: Params, own: Bytes, markets: Bytes) -> Self {
        Self { params, own, markets }
    }

    /// The parameters that decided.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The pipeline's own state.
    pub(super) fn own(&self) -> &[u8] {
        &self.own
    }

    /// The markets.
    ///
    /// # Errors
    /// They are not what was written.
    pub(super) fn markets(&self) -> Result<SavedMarkets, Unreadable> {
        SavedMarkets::read(&self.markets)
    }
}

/// Whichever workers the markets were on.
impl PartialEq for Saved {
    fn eq(&self, other: &Self) -> bool {
        self.params == other.params && self.own == other.own && self.markets() == other.markets()
    }
}

impl From<Saved> for Saving {
    fn from(saved: Saved) -> Self {
        Self {
            params: saved.params,
            own: Box::new(Cursor::new(saved.own)),
            markets: vec![Box::new(Cursor::new(saved.markets))],
        }
    }
}
