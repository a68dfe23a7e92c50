//! What windows take from the book when they lock, and give back when they end.

use super::{Book, OfferEntry, site, windows_of};
use crate::flow::{Changes, Lock};
use crate::market::{IntentId, Promise, Tick, WindowKey};
use std::sync::Arc;

impl Book {
    /// A window has locked: its buyers and units are consumed.
    pub fn lock(&mut self, window: &WindowKey, members: &[IntentId]) {
        let mut units = 0;
        let locked_in = Arc::new(window.clone());
        for id in members {
            if let Some(entry) = self.intents.get_mut(id) {
                self.live -= 1;
                units += entry.intent.quantity as i64;
                entry.locked_in = Some(locked_in.clone());
                self.changes.intents.push((entry.intent.clone(), -1));
            }
        }
        self.hold(window, Some(units));
        let key = window.offer();
        if let Some(entry) = self.offers.get_mut(&key) {
            entry.ledger.take(units);
            entry.locked += units;
        }
        self.recount(&key);
    }

    /// A locked window's slot is over: its units are sold and its intents are done.
    pub fn close(&mut self, tick: Tick, window: &WindowKey, members: &[IntentId]) {
        self.unlock(window);
        self.recount(&window.offer());
        self.hold(window, None);
        for id in members {
            if let Some(entry) = self.intents.remove(id) {
                self.bury(tick, id.clone(), entry.heard, entry.declined);
            }
        }
    }

    /// A locked window cannot be honoured: its units and buyers are back; its slot stays taken, by
    /// nobody, until [`Book::vacate`].
    pub fn cancel_window(&mut self, tick: Tick, window: &WindowKey, members: &[IntentId]) {
        let units = self.unlock(window);
        if let Some(entry) = self.offers.get_mut(&window.offer()) {
            entry.ledger.take(-units);
        }
        self.recount(&window.offer());
        self.hold(window, Some(0));
        for id in members {
            let Some(entry) = self.intents.get_mut(id) else { continue };
            entry.locked_in = None;
            let declined = windows_of(entry.declined.as_deref(), &entry.intent.product);
            // Whoever is in a locked window may decline others meanwhile.
            let promise = Promise { declined, ..Promise::default() };
            Arc::make_mut(&mut entry.intent).promise = promise;
            if entry.leaves_at <= tick {
                self.lapse(tick, id);
            } else {
                self.live += 1;
                self.changes.intents.push((entry.intent.clone(), 1));
            }
        }
    }

    /// A cancelled window's slot is over.
    pub fn vacate(&mut self, window: &WindowKey) {
        self.hold(window, None);
    }

    /// The window's slot is taken, with so many units, or no longer.
    fn hold(&mut self, window: &WindowKey, units: Option<i64>) {
        let before = match units {
            Some(units) => self.held.insert(window.clone(), units),
            None => self.held.remove(window),
        };
        let lock = |units| Lock { key: window.clone(), units };
        self.changes.locked.extend(before.map(|units| (lock(units), -1)));
        self.changes.locked.extend(units.map(|units| (lock(units), 1)));
    }

    /// Everything that the dataflow has been told and not taken back, as if it all came now.
    ///
    /// **Cost** a copy of the book.
    pub fn everything(&self) -> Changes {
        let stores = self.stores.values().filter(|entry| !entry.store.paused);
        let offers = self.offers.values().filter(|entry| !entry.offer.withdrawn);
        let stock = self.offers.values().filter(|entry| entry.counted != 0);
        let counted = |entry: &OfferEntry| (entry.offer.key.clone(), entry.counted as isize);
        let intents = self.intents.values().filter(|entry| entry.locked_in.is_none());
        let locks = self.held.iter();
        Changes {
            intents: intents.map(|entry| (entry.intent.clone(), 1)).collect(),
            stores: stores.map(|entry| ((entry.store.id.clone(), site(&entry.store)), 1)).collect(),
            offers: offers.map(|entry| (entry.offer.clone(), 1)).collect(),
            stock: stock.map(counted).collect(),
            locked: locks
                .map(|(key, units)| (Lock { key: key.clone(), units: *units }, 1))
                .collect(),
            clock: self.clock.map(|clock| (clock, 1)).into_iter().collect(),
        }
    }

    /// Takes a window's units out of its offer's locked ones.
    fn unlock(&mut self, window: &WindowKey) -> i64 {
        let units = self.held.get(window).copied().unwrap_or(0);
        if let Some(entry) = self.offers.get_mut(&window.offer()) {
            entry.locked -= units;
        }
        units
    }
}
