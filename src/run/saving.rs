//! A pipeline's state on its way out of it, and back.

use dataflows::market::Params;
use dataflows::saved::{self, Copied};
use std::io::{self, Read};

/// A copy of everything that a pipeline needs to go on as if it had never stopped; to be read once.
pub struct Saving {
    /// The parameters that it decides by.
    pub params: Params,
    /// The state.
    pub state: Copied,
}

/// The same, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Saved {
    /// The parameters that it decides by.
    pub params: Params,
    /// The state.
    pub state: saved::Saved,
}

impl Saving {
    /// Reads it all into memory.
    ///
    /// # Errors
    /// The copy failed half-way.
    pub fn read(mut self) -> io::Result<Saved> {
        let mut state = Vec::new();
        self.state.read_to_end(&mut state)?;
        let state = saved::Saved::read(&state.into()).map_err(io::Error::other)?;
        Ok(Saved { params: self.params, state })
    }
}
