//! What intents are promised: every change of it is a retraction and an insertion.

use super::{Book, windows_of};
use crate::market::{
    Intent, IntentId, Invalid, Money, Pin, Promise, Slot, StoreId, WindowKey, limits,
};
use std::sync::Arc;

impl Book {
    /// Changes what an intent was promised.
    fn promise(&mut self, id: &IntentId, change: impl FnOnce(&mut Promise)) {
        let Some(entry) = self.intents.get_mut(id).filter(|e| e.locked_in.is_none()) else {
            return;
        };
        let mut promise = entry.intent.promise.clone();
        change(&mut promise);
        if promise != entry.intent.promise {
            let intent = Arc::new(Intent { promise, ..entry.intent.as_ref().clone() });
            let old = std::mem::replace(&mut entry.intent, intent.clone());
            self.changes.intents.push((old, -1));
            self.changes.intents.push((intent, 1));
        }
    }

    /// The buyer accepted the window at that price (R8).
    pub fn pin(&mut self, id: &IntentId, window: &WindowKey, price: Money) {
        let pin = Pin { store: window.store.clone(), slot: window.slot, price };
        self.promise(id, |promise| promise.pin = Some(Box::new(pin)));
    }

    /// The promise could not be held.
    pub fn unpin(&mut self, id: &IntentId) {
        self.promise(id, |promise| promise.pin = None);
    }

    /// The buyer declined the window: it never comes again (R8).
    ///
    /// # Errors
    /// When the buyer has declined as many windows as are remembered.
    pub fn decline(&mut self, id: &IntentId, window: &WindowKey) -> Result<(), Invalid> {
        let Some(entry) = self.intents.get_mut(id) else { return Ok(()) };
        let known = entry.declined.get_or_insert_default();
        if known.len() >= limits::MAX_DECLINED {
            let reason = format!("an intent declines at most {} windows", limits::MAX_DECLINED);
            return Err(Invalid::named("answer", "decline", reason));
        }
        known.insert(window.clone());
        if entry.intent.product != window.product {
            return Ok(());
        }
        let all = windows_of(entry.declined.as_deref(), &window.product);
        let declined = (window.store.clone(), window.slot);
        self.promise(id, |promise| {
            promise.declined = all;
            if promise.pin.as_ref().is_some_and(|p| (&p.store, p.slot) == (&declined.0, declined.1))
            {
                promise.pin = None;
            }
        });
        Ok(())
    }

    /// The intent is a member of the window as announced (R9), or of none.
    pub fn announce(&mut self, id: &IntentId, window: Option<&WindowKey>) {
        let announced = window.map(|window| self.share(window));
        self.promise(id, |promise| promise.announced = announced);
    }

    /// The intent left the window's announced group. (Of a window of what was wanted before,
    /// nothing is left; one of another product may be in the same store and slot.)
    pub fn unannounce(&mut self, id: &IntentId, window: &WindowKey) {
        if self.intents.get(id).is_none_or(|entry| entry.intent.product != window.product) {
            return;
        }
        let left = (window.store.clone(), window.slot);
        self.promise(id, |promise| {
            promise.announced.take_if(|announced| **announced == left);
        });
    }

    /// The window's store and slot: one copy for all members who are told one after the other.
    fn share(&mut self, window: &WindowKey) -> Arc<(StoreId, Slot)> {
        let same = |told: &&Arc<(StoreId, Slot)>| (&told.0, told.1) == (&window.store, window.slot);
        if let Some(told) = self.told.as_ref().filter(same) {
            return told.clone();
        }
        self.told.insert(Arc::new((window.store.clone(), window.slot))).clone()
    }
}
