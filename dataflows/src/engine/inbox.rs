//! What has come in and is not brought about yet, and how far time has come.
//!
//! A record says when it happened, and time follows it. What is refused must not move time, and
//! some records may be refused for what they refer to: an offer of a store that no record before it
//! has put, stock of an offer that none has put when its store was, and what refers to a window (a
//! reply, an arrival), since only the engine knows windows. Such a record is *unsure*. When it is later
//! than the newest tick, it waits until others have brought time past its tick, and is judged then, in
//! its tick. At most [`MAX_WAITING`] unsure records are held, those of the newest tick included: one
//! more is refused at once. At the end of the log
//! what waits brings time on after all if it refers to something known: to a known store, to a
//! known offer, or to a window of a known offer.
//!
//! Invariant: what waits is a function of the records that came before in the log and of their
//! ticks, so neither batches nor workers can tell, nor the order within a tick that is over (as long
//! as no record is refused because too many wait).

use super::Tagged;
use crate::market::{Event, Invalid, Offer, OfferKey, StoreId, Tick, limits::MAX_WAITING};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Events by tick.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Inbox {
    /// Ticks before this one are over.
    horizon: Tick,
    /// Events of ticks up to the horizon.
    events: BTreeMap<Tick, Vec<Tagged>>,
    /// Events later than the horizon, which refer to something unknown.
    waiting: BTreeMap<Tick, Vec<Tagged>>,
    /// How many wait.
    count: usize,
    /// How many unsure events are in the horizon's tick.
    unsure: usize,
    /// The first tick in which a record put each store.
    stores: BTreeMap<StoreId, Tick>,
    /// The last tick in which a record put each offer, refused or not.
    offers: BTreeMap<OfferKey, Tick>,
    /// Offers that were put while their store was unknown, in the horizon's tick or before it.
    storeless: Vec<OfferKey>,
}

impl Inbox {
    /// Ticks before this one are over.
    pub(super) fn horizon(&self) -> Tick {
        self.horizon
    }

    /// Time has come to that tick. Time never runs back.
    pub(super) fn advance(&mut self, tick: Tick) {
        if tick > self.horizon {
            self.move_to(tick, tick);
        }
    }

    /// That tick is over.
    pub(super) fn pass(&mut self, tick: Tick) {
        self.move_to(tick, self.horizon.max(tick.next()));
    }

    /// What waits for ticks up to `until` waits no more, and ticks before `horizon` are over.
    fn move_to(&mut self, until: Tick, horizon: Tick) {
        self.unsure = 0;
        self.release(until, horizon);
        self.horizon = horizon;
        // An offer whose store was unknown when its tick was over was refused: nothing can refer to
        // it before it is put again.
        let (stores, offers) = (&self.stores, &mut self.offers);
        self.storeless.retain(|key| {
            let open = offers.get(key).is_some_and(|last| *last >= horizon);
            let unknown = !stores.contains_key(&key.store);
            if unknown && !open {
                offers.remove(key);
            }
            unknown && open
        });
    }

    fn release(&mut self, until: Tick, horizon: Tick) {
        while let Some(first) = self.waiting.first_entry().filter(|e| *e.key() <= until) {
            let (due, events) = first.remove_entry();
            self.count -= events.len();
            if due == horizon {
                self.unsure += events.len();
            }
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
                if !self.stores.contains_key(&offer.key.store) {
                    self.storeless.push(offer.key.clone());
                }
            }
            _ => {}
        }
    }

    /// Takes in an event of that tick; whether time has come to it.
    ///
    /// **Cost** O(log n).
    ///
    /// **Errors** it refers to something unknown, and as many such events as may wait do.
    pub(super) fn put(&mut self, tick: Tick, event: Tagged) -> Result<bool, Invalid> {
        let sure = self.knows(&event.event, |_| false);
        if !sure && self.count + self.unsure >= MAX_WAITING {
            return Err(self.crowded_out(&event.event));
        }
        if !sure && tick > self.horizon {
            self.count += 1;
            self.waiting.entry(tick).or_default().push(event);
            return Ok(false);
        }
        if sure {
            self.advance(tick);
        } else {
            self.unsure += 1;
        }
        self.learn(self.horizon, &event.event);
        self.events.entry(self.horizon).or_default().push(event);
        Ok(sure)
    }

    /// The refusal of an unsure event for which there is no room.
    fn crowded_out(&self, event: &Event) -> Invalid {
        let reason =
            format!("unknown, and {MAX_WAITING} records that refer to something unknown wait");
        match event {
            Event::Offer { offer: Offer { key, .. }, .. } | Event::Stock { offer: key, .. } => {
                if self.stores.contains_key(&key.store) {
                    Invalid::named("product", &key.product, reason)
                } else {
                    Invalid::named("store", &key.store, reason)
                }
            }
            Event::Reply { window, .. } | Event::Arrival { window, .. } => {
                Invalid::named("window", window, reason)
            }
            Event::Store(..) | Event::Intent { .. } | Event::Clock => {
                unreachable!("refers to nothing")
            }
        }
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
        (self.count, self.unsure) = (0, 0);
        std::mem::take(&mut self.waiting).into_values().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{ProductId, StockChange};

    /// Stock of a store that nobody has put.
    fn ghost(n: u64) -> Tagged {
        let store = StoreId::new(&format!("ghost{n}")).unwrap();
        let offer = OfferKey { store, product: ProductId::new("tea").unwrap() };
        let event = Event::Stock { offer, version: 1, change: StockChange::Absolute(3) };
        Tagged { event, sequence: n, index: 0 }
    }

    fn clock() -> Tagged {
        Tagged { event: Event::Clock, sequence: 0, index: 0 }
    }

    #[test]
    fn what_refers_to_nothing_known_is_bounded_in_whatever_tick_it_is() {
        for ticks in [[7, 7], [7, 8], [8, 8], [8, 7], [9, 1_000]] {
            let mut inbox = Inbox::default();
            assert_eq!(inbox.put(Tick(7), clock()), Ok(true));
            let mut refused = 0;
            for n in 0..MAX_WAITING as u64 + 5 {
                let tick = Tick(ticks[n as usize % 2]);
                refused += u64::from(inbox.put(tick, ghost(n)).is_err());
            }
            assert_eq!(refused, 5, "{ticks:?}");
            assert_eq!(inbox.put(Tick(7), clock()), Ok(true), "what is known is taken in");
            // When its tick is over, there is room again.
            assert_eq!(inbox.put(Tick(10), clock()), Ok(true));
            assert!(inbox.put(Tick(10), ghost(0)).is_ok(), "{ticks:?}");
        }
    }

    #[test]
    fn time_that_comes_to_what_waits_makes_no_room_before_it_is_over() {
        let mut inbox = Inbox::default();
        for n in 0..MAX_WAITING as u64 {
            assert_eq!(inbox.put(Tick(8), ghost(n)), Ok(false));
        }
        assert_eq!(inbox.put(Tick(8), clock()), Ok(true));
        assert!(inbox.put(Tick(8), ghost(0)).is_err());
        assert_eq!(inbox.put(Tick(9), clock()), Ok(true));
        assert_eq!(inbox.put(Tick(9), ghost(0)), Ok(false));
    }
}
