//! The engine's whole state as bytes, and back.
//!
//! What is restored goes on exactly as if it had never stopped: the book, the windows' lives, what
//! waits for its tick, and every market with its grouping, its prices and its marks. Compiled opening
//! hours and the dataflow's own arrangements are made anew of that.

use super::Engine;
use super::book::Book;
use super::inbox::Inbox;
use super::life::{Feedback, Life};
use crate::flow::{Flow, SavedMarkets};
use crate::market::{Params, Tick};
use crate::saved::{self, Unreadable};

/// Counts of what was done: ticks, events, changes.
type Done = (u64, u64, u64);
/// How far it is: whether the log is closed, the last tick, the last sequence.
type Place = (bool, Option<Tick>, u64);

impl Engine {
    /// The state, between steps.
    ///
    /// **Contract** decisions and verdicts have been drained.
    /// **Cost** a copy of the state.
    pub fn save(&mut self) -> Vec<u8> {
        debug_assert!(self.decisions.is_empty() && self.verdicts.is_empty(), "drained");
        let markets = self.flow.save();
        let place: Place = (self.closed, self.done, self.sequence);
        let done: Done = (self.ticks, self.events, self.changes);
        let own = (&self.params, &self.book, &self.life, &self.inbox, &self.feedback);
        saved::write(&(own, place, done, markets))
    }

    /// An engine in the state that was saved; `start` starts its dataflow.
    ///
    /// # Errors
    /// The bytes are not what [`Engine::save`] of this version of the program wrote.
    pub fn restore(bytes: &[u8], start: impl FnOnce(&Params) -> Flow) -> Result<Self, Unreadable> {
        type Own = (Params, Book, Life, Inbox, Vec<Feedback>);
        let (own, place, counts, markets): (Own, Place, Done, SavedMarkets) = saved::read(bytes)?;
        let (params, book, life, inbox, feedback) = own;
        let mut flow = start(&params);
        let (closed, done, sequence) = place;
        if let Some(done) = done {
            flow.restore(done, markets, book.everything())?;
        }
        let (ticks, events, changes) = counts;
        let (decisions, verdicts) = (Vec::new(), Vec::new());
        Ok(Self {
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
        })
    }
}
