//! Intents that leave a market: one, or all those whose time is over at once.

use super::hot::{Home, Hot};
use super::market::Market;
use crate::market::IntentId;

/// So many intents, and at least one in so many of the market's, are better taken out at once.
const MANY: (usize, usize) = (32, 128);

impl Market {
    /// Whether so many intents are better taken out at once, by [`Market::remove_intents`].
    pub fn are_many(&self, intents: usize) -> bool {
        intents >= MANY.0 && intents * MANY.1 >= self.intents.count()
    }

    /// Takes an intent out.
    ///
    /// **Cost** the candidates of the offers that could serve it.
    pub fn remove_intent(&mut self, id: &IntentId) {
        if let Some(i) = self.intents.find(id) {
            self.take_intent(i);
        }
    }

    /// Takes intents out, each once and in the order of ids: the same as one after the other, bit for bit.
    ///
    /// **Cost** the candidates of all offers that could serve any of them, once; the market's indices.
    pub fn remove_intents<'a>(&mut self, ids: impl Iterator<Item = &'a IntentId>) {
        let gone: Vec<u32> = ids.filter_map(|id| self.intents.find(id)).collect();
        let mut goes = vec![false; self.intents.len()];
        let mut around = vec![false; self.offers.len()];
        for &i in &gone {
            goes[i as usize] = true;
            self.set_out(i);
            // What is left to be served counts as whoever has gone already would have left it.
            let quantity = self.node(i).intent.quantity as i64;
            for o in self.take_edges(i) {
                around[o as usize] = true;
                self.unprove(o);
                self.offer_mut(o).demand -= quantity;
            }
        }
        let around = (0..).zip(around).filter(|(_, is)| *is);
        for (o, _) in around {
            self.disconnect_all(o, |i| goes[i as usize]);
        }
        gone.into_iter().for_each(|i| self.forget(i));
    }

    pub(crate) fn take_intent(&mut self, i: u32) {
        self.set_out(i);
        let price = self.hot[i as usize].price;
        for o in self.take_edges(i) {
            self.unprove(o);
            self.disconnect(o, i, price);
        }
        self.forget(i);
    }

    /// It leaves its window.
    fn set_out(&mut self, i: u32) {
        self.updates += 1;
        if let Home::In(o, slot) = self.hot[i as usize].home {
            self.leave(i);
            self.dirty.insert((slot, o));
            self.mark_roomy(o);
        }
    }

    /// The offers that could serve it, which it has no more.
    fn take_edges(&mut self, i: u32) -> Vec<u32> {
        std::mem::take(&mut self.intents[i as usize].as_mut().expect("in use").edges)
    }

    /// Nothing of it is left.
    ///
    /// **Contract** it is in no window, and no offer's candidate.
    fn forget(&mut self, i: u32) {
        self.dual -= self.price_of(i) as i128;
        self.fresh.remove(&i);
        self.awake.remove(&i);
        self.agenda.lose_intent(i);
        let node = self.intents.take(i);
        if let Some(pin) = &node.intent.promise.pin {
            let key = (pin.slot, pin.store.clone());
            let ids = self.pins.get_mut(&key).expect("noted when it came");
            ids.remove(&node.intent.id);
            if ids.is_empty() {
                self.pins.remove(&key);
            }
        }
        self.intent_cells.remove(&(node.intent.cell, i));
        self.hot[i as usize] = Hot::vacant();
        self.free_intents.push(i);
    }
}
