//! The engine's whole state as bytes, and back.
//!
//! What is restored goes on exactly as if it had never stopped: the book, the windows' lives, what
//! waits for its tick, and every market with its grouping, its prices and its marks. Compiled opening
//! hours and the dataflow's own arrangements are made anew of that.

use super::Engine;
use super::book::Book;
use super::inbox::Inbox;
use super::life::{Feedback, Life};
use crate::flow::Flow;
use crate::market::{Params, Tick};
use crate::saved::{self, Copied, Copier, SavedMarkets, Unreadable};
use serde::{Serialize, de::DeserializeOwned};
use std::io;
use std::sync::Arc;

/// Counts of what was done: ticks, events, changes.
type Done = (u64, u64, u64);
/// How far it is: whether the log is closed, the last tick, the last sequence.
type Place = (bool, Option<Tick>, u64);

/// Copies of a state.
pub struct Copies {
    /// The engine's own, and what its caller keeps with it.
    pub own: Copied,
    /// The markets': [`SavedMarkets`], one after the other.
    pub markets: Vec<Copied>,
}

impl Engine {
    /// Copies the state, between steps, with what the caller keeps beside it.
    ///
    /// # Errors
    /// A copy cannot be made.
    ///
    /// **Contract** decisions and verdicts have been drained.
    /// **Cost** the copier's, once for the engine and once for each worker.
    pub fn save(
        &mut self,
        copier: &Arc<dyn Copier>,
        beside: &impl Serialize,
    ) -> io::Result<Copies> {
        debug_assert!(self.decisions.is_empty() && self.verdicts.is_empty(), "drained");
        let markets = self.flow.save(copier)?;
        let place: Place = (self.closed, self.done, self.sequence);
        let done: Done = (self.ticks, self.events, self.changes);
        let state = (&self.params, &self.book, &self.life, &self.inbox, &self.feedback);
        let own = copier.copy(&|to| saved::write(to, &(beside, state, place, done)))?;
        Ok(Copies { own, markets })
    }

    /// An engine in the state that was saved, and what its caller kept beside it; `start` starts
    /// its dataflow.
    ///
    /// # Errors
    /// The bytes are not those of [`Engine::save`] of this version of the program.
    pub fn restore<B: DeserializeOwned>(
        own: &[u8],
        markets: SavedMarkets,
        start: impl FnOnce(&Params) -> Flow,
    ) -> Result<(Self, B), Unreadable> {
        type State = (Params, Book, Life, Inbox, Vec<Feedback>);
        let (beside, state, place, counts): (B, State, Place, Done) = saved::read(own)?;
        let (params, book, life, inbox, feedback) = state;
        let mut flow = start(&params);
        let (closed, done, sequence) = place;
        if let Some(done) = done {
            flow.restore(done, markets, book.everything())?;
        }
        let (ticks, events, changes) = counts;
        let (decisions, verdicts) = (Vec::new(), Vec::new());
        let engine = Self {
            params,
            flow,
            book,
            life,
            inbox,
            closed,
            done,
            feedback,
            sequence,
            decisions,
            verdicts,
            ticks,
            events,
            changes,
        };
        Ok((engine, beside))
    }
}
