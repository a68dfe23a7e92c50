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
use crate::saved::{self, Copied, Copier, Saved, Unreadable, Writer};
use serde::{Serialize, de::DeserializeOwned};
use std::cell::RefCell;
use std::io;

/// Counts of what was done: ticks, events, changes.
type Done = (u64, u64, u64);
/// How far it is: whether the log is closed, the last tick, the last sequence.
type Place = (bool, Option<Tick>, u64);

impl Engine {
    /// Copies the state, between steps, with what the caller keeps beside it: [`Saved`] as bytes.
    ///
    /// # Errors
    /// A copy cannot be made.
    ///
    /// **Contract** decisions and verdicts have been drained.
    /// **Cost** the copier's.
    pub fn save(&mut self, copier: &dyn Copier, beside: &impl Serialize) -> io::Result<Copied> {
        debug_assert!(self.decisions.is_empty() && self.verdicts.is_empty(), "drained");
        let place: Place = (self.closed, self.done, self.sequence);
        let done: Done = (self.ticks, self.events, self.changes);
        let state = (&self.params, &self.book, &self.life, &self.inbox, &self.feedback);
        let elsewhere = self.flow.elsewhere();
        let markets = self.flow.hold();
        let here = || markets.iter().flat_map(|part| part.products());
        let products = || here().chain(elsewhere.iter().map(|(product, _)| product));
        // Made here: a copier may run what follows where it should ask for no memory.
        let sizes = RefCell::new(Vec::with_capacity(products().count()));
        copier.copy(&|to| {
            let mut to = Writer::begin(to, &(beside, state, place, done))?;
            let sizes = &mut *sizes.borrow_mut();
            sizes.clear();
            markets.iter().try_for_each(|part| part.save(&mut to, sizes))?;
            for (_, bytes) in &elsewhere {
                to.bytes(bytes)?;
                sizes.push(bytes.len() as u64);
            }
            to.end(products(), sizes)
        })
    }

    /// An engine in the state that was saved, and what its caller kept beside it; `start` starts
    /// its dataflow.
    ///
    /// # Errors
    /// The bytes are not those of [`Engine::save`] of this version of the program.
    pub fn restore<B: DeserializeOwned>(
        saved: &Saved,
        start: impl FnOnce(&Params) -> Flow,
    ) -> Result<(Self, B), Unreadable> {
        type State = (Params, Book, Life, Inbox, Vec<Feedback>);
        let (beside, state, place, counts): (B, State, Place, Done) = saved::read(&saved.own)?;
        let (params, book, life, inbox, feedback) = state;
        let life = life.restored();
        let mut flow = start(&params);
        let (closed, done, sequence) = place;
        if let Some(done) = done {
            flow.restore(done, saved.markets.clone(), book.everything())?;
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
