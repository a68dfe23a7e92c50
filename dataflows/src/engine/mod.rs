//! The engine: events in, decisions out; no I/O, no clock.
//!
//! Logical time is the log's. Events are buffered by tick; when time has moved past a tick, the
//! engine brings it about: what the tick before sent back (locks, promises), what lapses, the
//! tick's events in canonical order, one step of the dataflow, the life of windows. Ticks in which
//! nothing is due are skipped, so a quiet log costs nothing and decides the same.

mod book;

mod ledger;

mod life;

mod answers;

mod publish;

mod seats;

mod window;

mod announce;

mod inbox;

mod save;

pub use book::{Book, IntentEntry, Removal};
pub use ledger::Ledger;
pub use life::Counts;

use crate::flow::{Flow, Standing};
use crate::market::{
    Certificate, Decision, Event, Invalid, Outcome, Params, ProductId, Tick, Time, Verdict,
};
use inbox::Inbox;
use life::{Feedback, Life};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An event and the record that it came from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tagged {
    /// The event.
    pub event: Event,
    /// The record's sequence in its log.
    pub sequence: u64,
    /// The record's place in a batch body, from 0.
    pub index: u32,
}

/// What the engine holds now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Intents in the market.
    pub live_intents: usize,
    /// Buyers in windows that are forming or proposed.
    pub grouped_buyers: usize,
    /// Windows by state.
    pub windows: Counts,
    /// All markets together: objective and bound.
    pub market: Certificate,
    /// Ticks brought about so far.
    pub ticks: u64,
    /// Events applied so far, whatever became of them.
    pub events: u64,
    /// Records that changed in the dataflow so far.
    pub changes: u64,
}

/// The engine.
pub struct Engine {
    params: Params,
    flow: Flow,
    book: Book,
    life: Life,
    /// Events of ticks that are not brought about.
    inbox: Inbox,
    /// Whether the log is at its end.
    closed: bool,
    /// The last tick that was brought about.
    done: Option<Tick>,
    feedback: Vec<Feedback>,
    sequence: u64,
    decisions: Vec<Decision>,
    verdicts: Vec<Verdict>,
    ticks: u64,
    events: u64,
    changes: u64,
}

impl Engine {
    /// An engine with an empty market.
    pub fn new(params: Params, flow: Flow) -> Self {
        Self {
            book: Book::new(params.clone()),
            life: Life::new(params.clone()),
            flow,
            inbox: Inbox::default(),
            closed: false,
            done: None,
            feedback: Vec::new(),
            sequence: 0,
            decisions: Vec::new(),
            verdicts: Vec::new(),
            ticks: 0,
            events: 0,
            changes: 0,
            params,
        }
    }

    /// How the markets stood when they were last settled, by product.
    pub fn standings(&self) -> BTreeMap<ProductId, Standing> {
        self.flow.standings()
    }

    /// Its parameters.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Takes in an event of that time; an event older than the newest counts as of the newest.
    /// Whether time has come to it: one that may refer to something unknown waits for time.
    ///
    /// **Errors** it may refer to something unknown, and as many such events wait as may
    /// ([`MAX_WAITING`](crate::market::limits::MAX_WAITING)): it is refused, and there is no other verdict on it.
    ///
    /// **Contract** an event's tick is over only when time has moved past it, so the order of the
    /// events of one tick changes nothing.
    pub fn apply(&mut self, at: Time, event: Tagged) -> Result<bool, Invalid> {
        self.inbox.put(self.params.tick(at), event)
    }

    /// When the last tick would begin if the log ended here.
    pub fn last_tick(&self) -> Time {
        let waiting = self.inbox.founded(|id| self.book.names_window(id));
        let last = waiting.map_or(self.inbox.horizon(), |(_, last)| last);
        self.params.start(last)
    }

    /// Time has come to `at`: every tick before its own is over. Time never runs back.
    pub fn advance(&mut self, at: Time) {
        self.inbox.advance(self.params.tick(at));
    }

    /// The log is at its end: its last tick is over, and so is the tick of every event that waited
    /// for it and refers to something known by then (see [`inbox`]). What is due is brought about by
    /// [`Engine::step`].
    pub fn close(&mut self) {
        self.closed = true;
        self.inbox.pass(self.inbox.horizon());
    }

    /// Brings about the next tick that is over and in which something is due; false if there is
    /// none.
    ///
    /// **Panics** if a rule of the market is broken, or a worker of the dataflow panicked.
    pub fn step(&mut self) -> bool {
        let due = self.next_due().filter(|tick| *tick < self.inbox.horizon());
        let Some(tick) = due else { return self.closed && self.settle() };
        debug_assert!(self.done.is_none_or(|done| done < tick), "ticks rise");
        let only_events = self.next_own().is_none_or(|own| own > tick);
        for feedback in std::mem::take(&mut self.feedback) {
            self.take_back(tick, feedback);
        }
        self.book.pass(tick);
        let events = self.inbox.take(tick);
        let applied = self.take_in(tick, events);
        if only_events && !applied {
            // What changes nothing leaves no trace: the tick has not been.
            return true;
        }
        self.ticks += 1;
        self.book.tell(tick);
        let touched = self.book.take_touched();
        let broken = self.life.broken(&self.book, &touched);
        for (window, _) in &broken {
            let members = self.life.members(window);
            self.book.cancel_window(tick, window, &members);
        }
        self.life.relead(&self.book, &touched);
        self.life.note_removed(self.book.take_removed());
        let edited = self.book.take_edited();
        for (id, window) in self.life.seated(&self.book, &edited) {
            self.book.announce(&id, Some(&window));
        }
        self.life.note_edited(edited);
        let changes = self.book.take_changes();
        if !changes.is_empty() {
            self.changes += changes.len() as u64;
            let outputs = self.flow.step(tick, changes);
            self.life.take_in(tick, outputs, &self.book);
        }
        let decisions = self.life.tick(tick, self.sequence, &self.book, broken);
        self.decisions.extend(decisions);
        self.feedback = std::mem::take(&mut self.life.feedback);
        self.done = Some(tick);
        true
    }

    /// Does what is better done while nobody waits, between ticks: keeps the markets up. It decides the same
    /// whenever it is done, if at all.
    pub fn rest(&self) {
        self.flow.rest();
    }

    /// Waits until that is done, wherever it is done.
    pub fn end_rest(&self) {
        self.flow.end_rest();
    }

    /// The log is at its end and what was due is done: brings time to the first event that waited
    /// and whose premise has come, or refuses all that still waits. False if nothing waits.
    fn settle(&mut self) -> bool {
        if let Some((tick, _)) = self.inbox.founded(|id| self.book.names_window(id)) {
            self.inbox.pass(tick);
            return true;
        }
        let refused = self.inbox.take_waiting();
        let any = !refused.is_empty();
        // They refer to nothing that is known: no change can come of them.
        self.take_in(self.inbox.horizon(), refused);
        any
    }

    /// The next tick in which something is due.
    fn next_due(&self) -> Option<Tick> {
        [self.next_own(), self.inbox.next()].into_iter().flatten().min()
    }

    /// The next tick in which something is due that no event brings.
    fn next_own(&self) -> Option<Tick> {
        let after = self.done.map(Tick::next);
        let feedback = after.filter(|_| !self.feedback.is_empty());
        // A timer set for a tick that is over already is due at the next one.
        let timers = [self.book.next_due(), self.life.next_due()]
            .into_iter()
            .flatten()
            .map(|tick| after.map_or(tick, |after| tick.max(after)));
        timers.chain(feedback).min()
    }

    /// What the tick before sent back into the market.
    fn take_back(&mut self, tick: Tick, feedback: Feedback) {
        match feedback {
            Feedback::Lock(window, members) => self.book.lock(&window, &members),
            Feedback::Close(window, members) => self.book.close(tick, &window, &members),
            Feedback::Vacate(window) => self.book.vacate(&window),
            Feedback::Announce(intent, window) => self.book.announce(&intent, Some(&window)),
            Feedback::Unannounce(intent, window) => self.book.unannounce(&intent, &window),
            Feedback::Release(intent) => self.book.unpin(&intent),
        }
    }

    /// The events of the tick, in canonical order; whether one of them was applied.
    fn take_in(&mut self, tick: Tick, mut events: Vec<Tagged>) -> bool {
        let mut applied = false;
        events.sort_by(|a, b| {
            let place = (a.sequence, a.index).cmp(&(b.sequence, b.index));
            a.event.canonical(&b.event).then(place)
        });
        self.events += events.len() as u64;
        for Tagged { event, sequence, index } in events {
            self.sequence = self.sequence.max(sequence);
            let outcome = match event {
                Event::Store(store, version) => self.book.put_store(store, version),
                Event::Offer { offer, version, stock } => {
                    self.book.put_offer(offer, version, stock)
                }
                Event::Stock { offer, version, change } => {
                    self.book.stock(&offer, version, &change)
                }
                Event::Intent { id, version, put } => {
                    self.book.intent_event(tick, id, version, put)
                }
                Event::Reply { window, intent, event, revision, answer } => {
                    self.life.reply(&mut self.book, &window, &intent, event, revision, answer)
                }
                Event::Arrival { window, intent, event, attendance } => {
                    self.life.arrival(&window, &intent, event, attendance)
                }
                Event::Clock => {
                    applied = true;
                    continue;
                }
            };
            applied |= outcome == Outcome::Applied;
            self.verdicts.push(Verdict { sequence, index, outcome });
        }
        applied
    }

    /// The decisions since the last call, in the order in which they were made.
    pub fn drain_decisions(&mut self) -> Vec<Decision> {
        std::mem::take(&mut self.decisions)
    }

    /// What became of the events since the last call; of a clock nothing else can than that it is applied,
    /// which is known when it comes: it has no verdict.
    pub fn drain_verdicts(&mut self) -> Vec<Verdict> {
        std::mem::take(&mut self.verdicts)
    }

    /// The last tick that was brought about.
    pub fn done(&self) -> Option<Tick> {
        self.done
    }

    /// The dataflow, to be read between ticks.
    pub fn flow(&mut self) -> &mut Flow {
        &mut self.flow
    }

    /// The book, to be read between ticks.
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// The markets' certificates, by product.
    pub fn certificates(&self) -> &BTreeMap<ProductId, Certificate> {
        &self.life.certificates
    }

    /// All markets together: objective and bound.
    pub fn market(&self) -> Certificate {
        self.life.total
    }

    /// What the engine holds now.
    ///
    /// **Cost** O(windows).
    pub fn stats(&self) -> Stats {
        Stats {
            live_intents: self.book.live_intents(),
            grouped_buyers: self.life.seats.grouped(),
            windows: self.life.count(),
            market: self.life.total,
            ticks: self.ticks,
            events: self.events,
            changes: self.changes,
        }
    }
}
