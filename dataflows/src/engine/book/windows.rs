//! What windows take from the book when they lock, and give back when they end.

use super::{Book, windows_of};
use crate::flow::Lock;
use crate::market::{IntentId, Tick, WindowKey};

impl Book {
    /// A window has locked: its buyers and units are consumed.
    pub fn lock(&mut self, window: &WindowKey, members: &[IntentId]) {
        let mut units = 0;
        for id in members {
            if let Some(entry) = self.intents.get_mut(id) {
                self.live -= 1;
                units += entry.intent.quantity as i64;
                entry.locked_in = Some(window.clone());
                self.changes.intents.push((entry.intent.clone(), -1));
            }
        }
        self.changes.locked.push((Lock { key: window.clone(), units }, 1));
        let key = window.offer();
        if let Some(entry) = self.offers.get_mut(&key) {
            entry.ledger.take(units);
            entry.locked += units;
        }
        self.recount(&key);
    }

    /// A locked window's slot is over: its units are sold and its intents are done.
    pub fn close(&mut self, tick: Tick, window: &WindowKey, members: &[IntentId]) {
        let units = self.unlock(window, members);
        self.recount(&window.offer());
        self.changes.locked.push((Lock { key: window.clone(), units }, -1));
        for id in members {
            if let Some(entry) = self.intents.remove(id) {
                self.bury(tick, id.clone(), entry.heard, entry.declined);
            }
        }
    }

    /// A locked window cannot be honoured: its units and buyers are back; its slot stays taken, by
    /// nobody, until [`Book::vacate`].
    pub fn cancel_window(&mut self, tick: Tick, window: &WindowKey, members: &[IntentId]) {
        let units = self.unlock(window, members);
        if let Some(entry) = self.offers.get_mut(&window.offer()) {
            entry.ledger.take(-units);
        }
        self.recount(&window.offer());
        self.changes.locked.push((Lock { key: window.clone(), units }, -1));
        self.changes.locked.push((Lock { key: window.clone(), units: 0 }, 1));
        for id in members {
            let Some(entry) = self.intents.get_mut(id) else { continue };
            entry.locked_in = None;
            entry.intent.promise.pin = None;
            entry.intent.promise.announced = None;
            // Whoever is in a locked window may decline others meanwhile.
            entry.intent.promise.declined = windows_of(&entry.declined, &entry.intent.product);
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
        self.changes.locked.push((Lock { key: window.clone(), units: 0 }, -1));
    }

    /// Takes a window's units out of its offer's locked ones.
    fn unlock(&mut self, window: &WindowKey, members: &[IntentId]) -> i64 {
        let units = members.iter().filter_map(|id| self.intents.get(id));
        let units = units.map(|entry| entry.intent.quantity as i64).sum();
        if let Some(entry) = self.offers.get_mut(&window.offer()) {
            entry.locked -= units;
        }
        units
    }
}
