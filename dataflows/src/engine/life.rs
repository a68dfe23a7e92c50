//! The life of a window: forming, proposed, locked, active, closed; withdrawn, cancelled.
//!
//! Holds what the grouping says of every window now and what was last announced of it. Every tick
//! it turns the difference between the two into decisions ([`super::publish`] says which of them
//! may go out now), and tells the engine what comes back into the market at the next tick.
//!
//! **Invariant** after every tick no intent is a member of the last decisions of two windows that
//! are proposed, locked or active.

use super::book::{Book, Removal};
use super::seats::Seats;
use super::window::{Timer, Window, only_in};
use crate::flow::Output;
use crate::market::{
    Certificate, Decision, IntentId, OfferKey, Params, ProductId, Reason, State, StoreId, Tick,
    WindowKey,
};
use crate::solver::GroupedWindow;
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How long after its slot a window is still known, so that arrivals can be told, in milliseconds.
const REMEMBERED_MS: i64 = 6 * 3_600_000;

/// What comes back into the market at the next tick.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Feedback {
    /// The window has locked with these members.
    Lock(WindowKey, Vec<IntentId>),
    /// The window's slot is over.
    Close(WindowKey, Vec<IntentId>),
    /// The cancelled window's slot is over.
    Vacate(WindowKey),
    /// The intent is now a member of the announced window.
    Announce(IntentId, WindowKey),
    /// The intent no longer is.
    Unannounce(IntentId, WindowKey),
    /// The intent's accepted price cannot be held.
    Release(IntentId),
}

/// Counts for reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Windows with a group that is not announced yet.
    pub forming: usize,
    /// Windows proposed now.
    pub proposed: usize,
    /// Windows locked now.
    pub locked: usize,
    /// Windows active now.
    pub active: usize,
    /// Windows closed so far.
    pub closed: u64,
    /// Withdrawals so far.
    pub withdrawn: u64,
    /// Cancellations so far.
    pub cancelled: u64,
}

/// All windows.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Life {
    pub params: Params,
    #[serde(with = "super::window::by_key")]
    pub windows: BTreeMap<WindowKey, Window>,
    /// Announced windows by public id.
    pub ids: BTreeMap<CompactString, Arc<WindowKey>>,
    #[serde(skip)]
    pub seats: Seats,
    pub certificates: BTreeMap<ProductId, Certificate>,
    /// The sum of those.
    pub total: Certificate,
    pub timers: BTreeSet<(Tick, Arc<WindowKey>, Timer)>,
    /// Windows whose group, or what is said of it, has changed at this tick.
    pub pending: BTreeSet<WindowKey>,
    /// Announced intents that left the book since, and why.
    pub removed: BTreeMap<IntentId, Removal>,
    /// Live windows by offer.
    pub by_offer: BTreeMap<OfferKey, BTreeSet<Arc<WindowKey>>>,
    pub feedback: Vec<Feedback>,
    pub counts: Counts,
}

impl Life {
    pub(super) fn new(params: Params) -> Self {
        Self {
            params,
            windows: BTreeMap::new(),
            ids: BTreeMap::new(),
            seats: Seats::default(),
            certificates: BTreeMap::new(),
            total: Certificate::default(),
            timers: BTreeSet::new(),
            pending: BTreeSet::new(),
            removed: BTreeMap::new(),
            by_offer: BTreeMap::new(),
            feedback: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// Finds what is not saved, and what is shared.
    pub(super) fn restored(mut self) -> Self {
        let shared = |key: Arc<WindowKey>| match self.windows.get(&*key) {
            Some(window) => window.key.clone(),
            None => key,
        };
        let timers = std::mem::take(&mut self.timers).into_iter();
        self.timers = timers.map(|(tick, key, timer)| (tick, shared(key), timer)).collect();
        let ids = std::mem::take(&mut self.ids).into_iter();
        self.ids = ids.map(|(id, key)| (id, shared(key))).collect();
        for keys in self.by_offer.values_mut() {
            *keys = std::mem::take(keys).into_iter().map(shared).collect();
        }
        self.windows.values_mut().for_each(Window::share);
        self.seats = Seats::of(self.windows.values());
        self
    }

    /// The windows of the offers of these stores.
    fn of_stores(
        &self,
        stores: &BTreeSet<StoreId>,
    ) -> impl Iterator<Item = (&OfferKey, &BTreeSet<Arc<WindowKey>>)> {
        stores.iter().flat_map(|store| {
            let first = OfferKey::first_of(store);
            self.by_offer.range(first..).take_while(|(offer, _)| offer.store == *store)
        })
    }

    /// The next tick at which something happens by itself.
    pub(super) fn next_due(&self) -> Option<Tick> {
        self.timers.first().map(|timer| timer.0)
    }

    /// Notes which announced intents have left the book.
    pub(super) fn note_removed(&mut self, removed: Vec<(IntentId, Removal)>) {
        for (id, why) in removed {
            if let Some(key) = self.seats.announced_in(&id) {
                self.pending.insert(key.clone());
                self.removed.insert(id, why);
            }
        }
    }

    /// Notes which announced intents were put anew: what is said of them may have changed.
    pub(super) fn note_edited(&mut self, edited: Vec<IntentId>) {
        for id in edited {
            let Some(key) = self.seats.announced_in(&id) else { continue };
            self.pending.insert(key.clone());
            let window = self.windows.get_mut(key).expect("it is announced");
            window.edited.get_or_insert_default().insert(id);
        }
    }

    /// Which of these intents are in an announced window of what they want now: whoever left and
    /// came back within a tick has stayed (R9).
    pub(super) fn seated(&self, book: &Book, ids: &[IntentId]) -> Vec<(IntentId, WindowKey)> {
        let seat = |id: &IntentId| {
            let key = self.seats.announced_in(id)?;
            let wanted = book.intent(id)?.intent.product == key.product;
            let proposed = self.windows[key].state == State::Proposed;
            (wanted && proposed).then(|| (id.clone(), key.clone()))
        };
        ids.iter().filter_map(seat).collect()
    }

    /// Takes in what the tick changed in the grouping.
    pub(super) fn take_in(&mut self, tick: Tick, outputs: Vec<(Output, isize)>, book: &Book) {
        let mut groups: BTreeMap<WindowKey, Option<Arc<GroupedWindow>>> = BTreeMap::new();
        for (output, diff) in outputs {
            match output {
                Output::Window(group) => {
                    let now = groups.entry(group.key.clone()).or_default();
                    if diff > 0 {
                        *now = Some(group);
                    }
                }
                Output::Market(product, certificate) if diff > 0 => {
                    self.certificates.insert(product, certificate);
                    self.total = self.total + certificate;
                }
                Output::Market(product, certificate) => {
                    self.total = self.total - certificate;
                    if self.certificates.get(&product) == Some(&certificate) {
                        self.certificates.remove(&product);
                    }
                }
            }
        }
        for (key, group) in &groups {
            let old = self.windows.get(key).and_then(|w| w.group.as_deref());
            only_in(old, group.as_deref()).for_each(|id| self.seats.ungroup(id));
            self.pending.insert(key.clone());
            if group.is_some() {
                let anew = old.is_none();
                self.join(tick, key, anew, book);
            }
        }
        for (key, group) in groups {
            let Some(window) = self.windows.get_mut(&key) else { continue };
            let old = std::mem::replace(&mut window.group, group);
            for id in only_in(window.group.as_deref(), old.as_deref()) {
                self.seats.group(id, &window.key);
            }
        }
    }

    /// A window is in the grouping: it is known, and its timers run.
    fn join(&mut self, tick: Tick, key: &WindowKey, anew: bool, book: &Book) {
        let settled = self.after_settle(tick);
        let lead = book.offer(&key.offer()).and_then(|offer| offer.lead_minutes);
        let lock_at = self.params.lock_at(key.slot, lead);
        let locks_at = self.params.tick_from(lock_at);
        let forming = || Window::forming(key, settled, (lock_at, locks_at));
        let window = self.windows.entry(key.clone()).or_insert_with(forming);
        let key = window.key.clone();
        if anew && window.announced.is_none() {
            window.due = window.due.max(settled);
        }
        (window.lock_at, window.locks_at) = (lock_at, locks_at);
        let due = window.due;
        self.timers.insert((due, key.clone(), Timer::Due));
        self.timers.insert((locks_at, key.clone(), Timer::Lock));
        let end = self.params.tick_from(self.params.slot.end(key.slot).plus_ms(REMEMBERED_MS));
        self.timers.insert((end, key.clone(), Timer::Forget));
        self.by_offer.entry(key.offer()).or_default().insert(key.clone());
    }

    /// Sets a timer of a window that is known.
    pub(super) fn set_timer(&mut self, tick: Tick, key: &WindowKey, timer: Timer) {
        let key = self.windows[key].key.clone();
        self.timers.insert((tick, key, timer));
    }

    /// The tick at which the settle time that starts now is over.
    pub(super) fn after_settle(&self, tick: Tick) -> Tick {
        self.params.tick_from(self.params.start(tick).plus_ms(self.params.settle_ms))
    }

    /// Locked and active windows whose store or offer was put and can no longer honour them, with
    /// the reason.
    pub(super) fn broken(
        &self,
        book: &Book,
        touched: &BTreeSet<StoreId>,
    ) -> Vec<(WindowKey, Reason)> {
        let mut broken = Vec::new();
        for key in self.of_stores(touched).flat_map(|(_, keys)| keys) {
            let held = matches!(self.windows[&**key].state, State::Locked | State::Active);
            if held && let Some(reason) = self.premise(book, key) {
                broken.push((WindowKey::clone(key), reason));
            }
        }
        broken
    }

    /// Which premise of a window is broken: its store closed, or its offer withdrawn.
    pub(super) fn premise(&self, book: &Book, key: &WindowKey) -> Option<Reason> {
        if book.offer(&key.offer()).is_none_or(|offer| offer.withdrawn) {
            Some(Reason::OfferWithdrawn)
        } else if !book.is_open(&key.store, key.slot) {
            Some(Reason::StoreClosed)
        } else {
            None
        }
    }

    /// Offers of these stores may have a new lead time or list price: their windows' lock timers
    /// are set anew, and what is said of them is looked at again.
    pub(super) fn relead(&mut self, book: &Book, touched: &BTreeSet<StoreId>) {
        let (mut open, mut moved) = (Vec::new(), Vec::new());
        for (offer, keys) in self.of_stores(touched) {
            let lead = book.offer(offer).and_then(|o| o.lead_minutes);
            for key in keys {
                let lock_at = self.params.lock_at(key.slot, lead);
                let locks_at = self.params.tick_from(lock_at);
                let window = &self.windows[&**key];
                if matches!(window.state, State::Forming | State::Proposed) {
                    open.push(WindowKey::clone(key));
                    if window.locks_at != locks_at {
                        moved.push((key.clone(), lock_at, locks_at));
                    }
                }
            }
        }
        self.pending.extend(open);
        for (key, lock_at, locks_at) in moved {
            let window = self.windows.get_mut(&*key).expect("listed");
            (window.lock_at, window.locks_at) = (lock_at, locks_at);
            self.timers.insert((locks_at, key, Timer::Lock));
        }
    }

    /// The decision that a window's current state makes, its members as announced.
    pub(super) fn decision(
        &self,
        tick: Tick,
        sequence: u64,
        key: &WindowKey,
        previous: State,
        reason: Reason,
    ) -> Decision {
        let window = &self.windows[key];
        let announced = window.announced.as_deref().expect("announced before it is decided");
        Decision {
            window: key.clone(),
            revision: window.revision,
            state: window.state,
            previous,
            reason,
            decided_at: self.params.start(tick),
            input_sequence: sequence,
            lock_at: window.lock_at,
            store: announced.store.clone(),
            quote: announced.quote,
            members: announced.members(&self.params),
            left: Vec::new(),
            value: announced.value,
            market: self.certificates.get(&key.product).copied().unwrap_or_default(),
        }
    }

    /// The members of a window as last announced.
    pub(super) fn members(&self, key: &WindowKey) -> Vec<IntentId> {
        let announced = self.windows.get(key).and_then(|w| w.announced.as_ref());
        announced.into_iter().flat_map(|a| a.ids()).cloned().collect()
    }

    /// Windows by state now, and totals so far.
    pub(super) fn count(&self) -> Counts {
        let mut counts = self.counts;
        for window in self.windows.values() {
            match window.state {
                State::Forming if window.group.is_some() => counts.forming += 1,
                State::Proposed => counts.proposed += 1,
                State::Locked => counts.locked += 1,
                State::Active => counts.active += 1,
                _ => {}
            }
        }
        counts
    }

    /// Forgets windows that nobody can ask for any more.
    pub(super) fn forget(&mut self, key: &WindowKey) {
        let over = self.windows.get(key).is_some_and(|w| {
            w.group.is_none() && !matches!(w.state, State::Proposed | State::Locked | State::Active)
        });
        if over {
            self.windows.remove(key);
            self.pending.remove(key);
            self.ids.remove(key.id(self.params.slot).as_str());
            if let Some(keys) = self.by_offer.get_mut(&key.offer()) {
                keys.remove(key);
                if keys.is_empty() {
                    self.by_offer.remove(&key.offer());
                }
            }
        }
    }
}
