//! What has come in and is not brought about yet, and how far time has come.
//!
//! A record says when it happened, and time follows it. What is refused must not move time, and
//! some records may be refused for what they refer to: an offer of a store that no record before it
//! has put, stock of an offer that none has put when its store was, and what refers to a window (a
//! reply, an arrival), since only the engine knows windows. Such a record, when it is later than the newest tick, *waits* until
//! others have brought time past its tick, and is judged then, in its tick. At the end of the log
//! what waits brings time on after all if it refers to something known: to a known store, to a
//! known offer, or to a window of a known offer.
//!
//! Invariant: what waits is a function of the records that came before in the log and of their
//! ticks, so neither batches nor workers can tell, nor the order within a tick that is over.

use super::Tagged;
use crate::market::{Event, OfferKey, StoreId, Tick, limits::MAX_WAITING};
use std::collections::BTreeMap;

/// Events by tick.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// Ticks before this one are over.
    horizon: Tick,
    /// Events of ticks up to the horizon.
    events: BTreeMap<Tick, Vec<Tagged>>,
    /// Events later than the horizon, which refer to something unknown.
    waiting: BTreeMap<Tick, Vec<Tagged>>,
    /// How many wait.
    count: usize,
    /// The first tick in which a record put each store.
    stores: BTreeMap<StoreId, Tick>,
    /// The last tick in which a record put each offer, refused or not.
    offers: BTreeMap<OfferKey, Tick>,
}

impl Inbox {
    /// Ticks before this one are over.
    pub(super) fn horizon(&self) -> Tick {
        self.horizon
    }

    /// Time has come to that tick. Time never runs back.
    pub(super) fn advance(&mut self, tick: Tick) {
        if tick > self.horizon {
            self.release(tick);
            self.horizon = tick;
        }
    }

    /// That tick is over.
    pub(super) fn pass(&mut self, tick: Tick) {
        self.release(tick);
        self.horizon = self.horizon.max(tick.next());
    }

    /// What waits for ticks up to that one waits no more.
    fn release(&mut self, until: Tick) {
        while let Some(first) = self.waiting.first_entry().filter(|e| *e.key() <= until) {
            let (due, events) = first.remove_entry();
            self.count -= events.len();
            events.iter().for_each(|event| self.learn(due, &event.event));
            self.events.entry(due).or_default().extend(events);
        }
    }

    /// Notes what can be referred to once the event is judged in that tick.
    fn learn(&mut self, tick: Tick, event: &Event) {
        match event {
            Event::Store(store, _)
                if self.stores.get(&store.id).is_none_or(|first| tick < *first) =>
            {
                self.stores.insert(store.id.clone(), tick);
            }
            Event::Offer { offer, .. }
                if self.offers.get(&offer.key).is_none_or(|last| tick > *last) =>
            {
                self.offers.insert(offer.key.clone(), tick);
            }
            _ => {}
        }
    }

    /// Takes in an event of that tick; whether time has come to it.
    ///
    /// **Cost** O(log n).
    pub(super) fn put(&mut self, tick: Tick, event: Tagged) -> bool {
        let sure = self.knows(&event.event, |_| false);
        if tick > self.horizon && !sure && self.count < MAX_WAITING {
            self.count += 1;
            self.waiting.entry(tick).or_default().push(event);
            return false;
        }
        if sure {
            self.advance(tick);
        }
        self.learn(self.horizon, &event.event);
        self.events.entry(self.horizon).or_default().push(event);
        sure
    }

    /// Whether all that the event refers to is known; `windows` knows windows.
    fn knows(&self, event: &Event, windows: impl Fn(&str) -> bool) -> bool {
        match event {
            Event::Offer { offer, .. } => self.stores.contains_key(&offer.key.store),
            Event::Stock { offer, .. } => {
                // Stores come first in a tick.
                let put = self.stores.get(&offer.store).zip(self.offers.get(offer));
                put.is_some_and(|(store, offer)| store <= offer)
            }
            Event::Reply { window, .. } | Event::Arrival { window, .. } => windows(window),
            Event::Store(..) | Event::Intent { .. } | Event::Clock => true,
        }
    }

    /// The first tick with events that time has come to.
    pub(super) fn next(&self) -> Option<Tick> {
        self.events.keys().next().copied()
    }

    /// The events of that tick.
    pub(super) fn take(&mut self, tick: Tick) -> Vec<Tagged> {
        self.events.remove(&tick).unwrap_or_default()
    }

    /// The first and the last tick of waiting events that refer to something known.
    ///
    /// **Cost** O(waiting).
    pub(super) fn founded(&self, windows: impl Fn(&str) -> bool) -> Option<(Tick, Tick)> {
        let known = |events: &[Tagged]| events.iter().any(|e| self.knows(&e.event, &windows));
        let mut ticks = self.waiting.iter().filter(|(_, events)| known(events)).map(|w| *w.0);
        let first = ticks.next()?;
        Some((first, ticks.next_back().unwrap_or(first)))
    }

    /// Everything that waits.
    pub(super) fn take_waiting(&mut self) -> Vec<Tagged> {
        self.count = 0;
        std::mem::take(&mut self.waiting).into_values().flatten().collect()
    }
}
