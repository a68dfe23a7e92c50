//! What updates do to a market: offers and intents come, change and go; time closes windows.
//!
//! An update keeps the candidates, the windows and every sum, and marks what it touched: `dirty`
//! windows, whose groups may have to change, and `stale` ones, whose terms of the bound may. It
//! decides nothing; that is for [`Market::refresh`].

use super::PlacedOffer;
use super::market::{Candidate, Hot, IntentNode, Market, OfferNode, WindowNode};
use super::plan::Home;
use super::price::UNPRICED;
use crate::market::{Cell, Intent, IntentId, Promise, Slot, SlotSet, StoreId, Time};
use std::collections::{BTreeMap, BTreeSet};

impl Market {
    /// Puts an offer in, or puts it anew; its windows keep the members who still fit.
    pub fn put_offer(&mut self, placed: PlacedOffer) {
        if let Some(&o) = self.by_store.get(&placed.offer.key.store) {
            let old = &self.offer(o).placed;
            let same_terms = old.offer == placed.offer
                && old.place == placed.place
                && old.opening == placed.opening
                && old.cell == placed.cell;
            if same_terms && old.locked == placed.locked {
                return self.restock(o, placed.stock);
            }
            let groups = self.take_offer(o);
            self.insert_offer(placed);
            for (slot, members) in groups {
                self.readmit(o, slot, &members);
                for i in members {
                    if self.hot[i as usize].home == Home::Free {
                        self.mark_intent(i);
                    }
                }
            }
        } else {
            self.insert_offer(placed);
        }
    }

    /// Takes an offer out; its buyers are free.
    pub fn remove_offer(&mut self, store: &StoreId) {
        if let Some(&o) = self.by_store.get(store) {
            for (_, members) in self.take_offer(o) {
                for i in members {
                    self.mark_intent(i);
                }
            }
        }
    }

    fn restock(&mut self, o: u32, stock: i64) {
        self.unprove(o);
        let offer = self.offer_mut(o);
        let old = std::mem::replace(&mut offer.placed.stock, stock);
        let (demand, price) = (offer.demand, offer.price);
        self.dual += (stock.max(0) - old.max(0)) as i128 * price as i128;
        if old.min(stock) < demand {
            let marks: Vec<_> = self.offer(o).windows.iter().map(|w| (w.slot, o)).collect();
            self.dirty.extend(&marks);
            self.stale.extend(marks);
        }
    }

    fn insert_offer(&mut self, placed: PlacedOffer) {
        let o = self.free_offers.pop().unwrap_or_else(|| {
            self.offers.push(None);
            self.offers.len() as u32 - 1
        });
        self.by_store.insert(placed.offer.key.store.clone(), o);
        self.offer_cells.entry(placed.cell).or_default().push(o);
        let first_open = self.first_open(&placed.offer);
        let (cell, place) = (placed.cell, placed.place);
        self.offers[o as usize] = Some(OfferNode {
            stay_bonus: self.params.stay_bonus(placed.offer.list_price),
            schedule: placed.opening.schedule(),
            placed,
            candidates: Vec::new(),
            windows: Vec::new(),
            used: 0,
            demand: 0,
            price: 0,
            proof: None,
            first_open,
            open: SlotSet::default(),
            open_until: first_open,
        });
        for i in self.near(cell, self.longest_reach_m, &self.intent_cells, self.by_id.len()) {
            if !place.surely_beyond(self.node(i).intent.place, self.longest_reach_m) {
                self.connect(o, i);
            }
        }
    }

    /// Removes the offer and everything that refers to it; returns the groups it had.
    fn take_offer(&mut self, o: u32) -> Vec<(Slot, Vec<u32>)> {
        self.unprove(o);
        let mut groups = Vec::new();
        for n in 0..self.offer(o).windows.len() {
            let slot = self.offer(o).windows[n].slot;
            let members = self.disband(o, slot);
            if !members.is_empty() {
                groups.push((slot, members));
            }
        }
        let node = self.offers[o as usize].take().expect("an index in use");
        let store = &node.placed.offer.key.store;
        let changed = std::mem::take(&mut self.changed);
        let (gone, kept) = changed.into_iter().partition(|c| c.1 == o);
        self.changed = kept;
        let gone: BTreeSet<(Slot, u32)> = gone;
        self.gone.extend(gone.into_iter().map(|(slot, _)| (slot, store.clone())));
        let terms: i128 = node.windows.iter().map(|w| w.term as i128).sum();
        self.dual -= terms + node.placed.stock.max(0) as i128 * node.price as i128;
        let least = node.tiers()[0].min_buyers;
        let rival = node.windows.iter().any(|w| w.eligible >= least);
        for c in &node.candidates {
            let edges = &mut self.intents[c.intent as usize].as_mut().expect("a candidate").edges;
            edges.retain(|e| *e != o);
            if rival {
                self.thinned.extend(edges.iter().copied());
            }
        }
        self.thinned.remove(&o);
        self.unsolved.remove(&o);
        for window in &node.windows {
            self.dirty.remove(&(window.slot, o));
            self.stale.remove(&(window.slot, o));
        }
        self.by_store.remove(&node.placed.offer.key.store);
        remove_from(&mut self.offer_cells, node.placed.cell, o);
        self.free_offers.push(o);
        groups
    }

    /// Puts an intent in, or puts it anew; it keeps its window if it still fits.
    pub fn put_intent(&mut self, intent: Intent) {
        let Some(&i) = self.by_id.get(&intent.id) else {
            self.insert_intent(intent);
            return;
        };
        if self.only_announced(i, &intent) {
            return self.announce(i, intent);
        }
        let home = self.hot[i as usize].home;
        self.take_intent(i);
        let i = self.insert_intent(intent);
        if let Home::In(o, slot) = home
            && self.offers[o as usize].is_some()
        {
            self.readmit(o, slot, &[i]);
        }
    }

    /// Whether nothing differs but where the intent was last announced.
    fn only_announced(&self, i: u32, intent: &Intent) -> bool {
        let old = &self.node(i).intent;
        let promise =
            Promise { announced: old.promise.announced.clone(), ..intent.promise.clone() };
        let same = Intent { promise, ..intent.clone() };
        same == *old && !self.hot[i as usize].released
    }

    /// Moves the bonus for staying (R9) from one window to another.
    fn announce(&mut self, i: u32, intent: Intent) {
        let old = self.node(i).intent.promise.announced.clone();
        let new = intent.promise.announced.clone();
        let Hot { home, price, .. } = self.hot[i as usize];
        self.hot[i as usize] = Hot { home, price, ..Hot::of(&intent) };
        self.intents[i as usize].as_mut().expect("in use").intent = intent;
        for (store, slot) in old.into_iter().chain(new) {
            if let Some(&o) = self.by_store.get(&store)
                && let Some(window) = self.offer(o).window(slot)
            {
                let members = window.members.clone();
                self.unprove(o);
                self.uncover(o, |covered, cover| covered == slot || cover == slot);
                self.seat(o, slot, members);
                self.dirty.insert((slot, o));
                self.stale.insert((slot, o));
            }
        }
    }

    /// Takes an intent out.
    pub fn remove_intent(&mut self, id: &IntentId) {
        if let Some(&i) = self.by_id.get(id) {
            self.take_intent(i);
        }
    }

    fn insert_intent(&mut self, intent: Intent) -> u32 {
        let i = self.free_intents.pop().unwrap_or_else(|| {
            self.intents.push(None);
            self.hot.push(Hot::vacant());
            self.intents.len() as u32 - 1
        });
        self.by_id.insert(intent.id.clone(), i);
        self.fresh.insert(i);
        if let Some(pin) = &intent.promise.pin {
            let key = (pin.slot, pin.store.clone());
            self.pins.entry(key).or_default().insert(intent.id.clone());
        }
        self.intent_cells.entry(intent.cell).or_default().push(i);
        self.longest_reach_m = self.longest_reach_m.max(intent.reach_m);
        self.hot[i as usize] = Hot::of(&intent);
        let (cell, place, reach) = (intent.cell, intent.place, intent.reach_m);
        self.intents[i as usize] = Some(IntentNode { intent, edges: Vec::new() });
        for o in self.near(cell, reach, &self.offer_cells, self.by_store.len()) {
            if !place.surely_beyond(self.offer(o).placed.place, reach) {
                self.connect(o, i);
            }
        }
        i
    }

    fn take_intent(&mut self, i: u32) {
        if let Home::In(o, slot) = self.hot[i as usize].home {
            self.leave(i);
            self.dirty.insert((slot, o));
            self.mark_scarce(o);
        }
        let windows = self.windows_of(i);
        if self.hot[i as usize].price != UNPRICED {
            self.stale.extend(&windows);
        }
        self.dirty.extend(windows);
        let node = self.node(i).clone();
        for &o in &node.edges {
            self.unprove(o);
            for slot in self.slots_of_pair(o, i) {
                if let Some(window) = self.offer_mut(o).window_mut(slot) {
                    window.eligible -= 1;
                }
            }
            let at = self.candidate_at(o, &node.intent.id).expect("an edge has its candidate");
            let offer = self.offer_mut(o);
            let gone = offer.candidates.remove(at);
            offer.demand -= gone.quantity as i64;
        }
        self.dual -= self.price_of(i) as i128;
        self.fresh.remove(&i);
        self.by_id.remove(&node.intent.id);
        if let Some(pin) = &node.intent.promise.pin {
            let key = (pin.slot, pin.store.clone());
            let ids = self.pins.get_mut(&key).expect("noted when it came");
            ids.remove(&node.intent.id);
            if ids.is_empty() {
                self.pins.remove(&key);
            }
        }
        remove_from(&mut self.intent_cells, node.intent.cell, i);
        self.intents[i as usize] = None;
        self.hot[i as usize] = Hot::vacant();
        self.free_intents.push(i);
    }

    /// Makes the pair a candidate if R6 holds and the buyer can ever accept the price (R5).
    fn connect(&mut self, o: u32, i: u32) {
        let offer = self.offer(o);
        let node = self.node(i);
        let Some(price) = offer.deepest_price() else { return };
        let pinned_elsewhere = node.intent.promise.pin.as_ref();
        if pinned_elsewhere.is_some_and(|pin| pin.store != offer.placed.offer.key.store) {
            return;
        }
        let distance_m = node.intent.place.distance_m(offer.placed.place);
        let travel = self.params.travel(distance_m);
        if node.intent.gain(offer.list_price(), price, distance_m, travel).is_none() {
            return;
        }
        let quantity = node.intent.quantity;
        let worth = node.intent.budget.min(offer.list_price()).minor();
        let base = quantity as i64 * worth - travel;
        let accepted = node.intent.promise.pin.as_ref().map_or(i64::MAX, |pin| pin.price.minor());
        let limit = base.div_euclid(quantity as i64).min(accepted);
        let limit = limit.clamp(-1, i32::MAX as i64) as i32;
        let Hot { from, until, .. } = self.hot[i as usize];
        let candidate = Candidate { base, intent: i, quantity, distance_m, limit, from, until };
        let store = offer.placed.offer.key.store.clone();
        let id = node.intent.id.clone();
        let edge = node.edges.partition_point(|e| self.offer(*e).placed.offer.key.store < store);
        let at = self.candidate_at(o, &id).expect_err("a pair is connected once");
        let offer = self.offer_mut(o);
        offer.candidates.insert(at, candidate);
        offer.demand += quantity as i64;
        let edges = &mut self.intents[i as usize].as_mut().expect("in use").edges;
        edges.insert(edge, o);
        // A new pair may join two parts.
        for o in edges.clone() {
            self.unprove(o);
        }
        let slots = self.slots_of_pair(o, i);
        let node = self.offer(o);
        let full = node.max_group() as u32;
        let grown = |slot: Slot| node.window(slot).is_some_and(|w| w.eligible >= full);
        let full: Vec<Slot> = slots.iter().copied().filter(|slot| grown(*slot)).collect();
        let worth: Vec<(Slot, i64)> = slots
            .iter()
            .map(|&slot| {
                let visit = node.placed.offer.visit_value_at(slot);
                (slot, visit + self.bonus(o, i, slot))
            })
            .collect();
        let worth = |slot: Slot| worth.iter().find(|at| at.0 == slot).map(|at| at.1);
        self.uncover(o, |slot, cover| {
            // It may be in the window, and not in its cover, or at less there.
            full.contains(&cover) || worth(slot) > worth(cover)
        });
        for slot in slots {
            let visit_value = self.offer(o).placed.offer.visit_value_at(slot);
            let offer = self.offer_mut(o);
            match offer.windows.binary_search_by_key(&slot, |w| w.slot) {
                Ok(n) => offer.windows[n].eligible += 1,
                Err(n) => offer.windows.insert(n, WindowNode::closed(slot, visit_value)),
            }
            self.dirty.insert((slot, o));
            if self.hot[i as usize].price != UNPRICED {
                self.stale.insert((slot, o));
            }
        }
    }

    /// Where the candidate of that id is, or belongs.
    pub(crate) fn candidate_at(&self, o: u32, id: &IntentId) -> Result<usize, usize> {
        self.offer(o).candidates.binary_search_by(|c| self.node(c.intent).intent.id.cmp(id))
    }

    /// What is bucketed in the cells within reach of `cell`; everything, where that is less work.
    fn near(
        &self,
        cell: Cell,
        reach_m: u32,
        index: &BTreeMap<Cell, Vec<u32>>,
        all: usize,
    ) -> Vec<u32> {
        let rings = self.params.resolution.rings(reach_m) as usize;
        if 3 * rings * (rings + 1) + 1 > all.max(index.len()) {
            return index.values().flatten().copied().collect();
        }
        cell.disk(rings as u32).filter_map(|c| index.get(&c)).flatten().copied().collect()
    }

    /// Closes every window that locks at `until` or before.
    ///
    /// **Cost** in proportion to the offers, and to the windows that close.
    pub fn advance(&mut self, until: Time) {
        if until <= self.closed_at {
            return;
        }
        self.closed_at = until;
        for o in self.by_store.values().copied().collect::<Vec<_>>() {
            let first_open = self.first_open(&self.offer(o).placed.offer);
            let offer = self.offer_mut(o);
            if first_open <= offer.first_open {
                continue;
            }
            offer.first_open = first_open;
            let past = offer.windows.partition_point(|w| w.slot < first_open);
            if past > 0 {
                self.unprove(o);
                self.uncover(o, |_, cover| cover < first_open);
            }
            for n in 0..past {
                let slot = self.offer(o).windows[n].slot;
                for i in self.disband(o, slot) {
                    self.mark_intent(i);
                    self.mark_scarce(o);
                }
            }
            for n in 0..past {
                let slot = self.offer(o).windows[n].slot;
                self.dirty.remove(&(slot, o));
                self.stale.remove(&(slot, o));
            }
            let offer = self.offer_mut(o);
            let least = offer.tiers()[0].min_buyers;
            let rival = offer.windows[..past].iter().any(|w| w.eligible >= least);
            let gone: i128 = offer.windows.drain(..past).map(|w| w.term as i128).sum();
            if rival {
                self.thinned.insert(o);
            }
            self.dual -= gone;
        }
    }

    /// Units of the offer may have come free: where its stock binds, that concerns all its windows.
    pub(crate) fn mark_scarce(&mut self, o: u32) {
        let offer = self.offer(o);
        if offer.demand > offer.placed.stock {
            let marks: Vec<_> = offer.windows.iter().map(|w| (w.slot, o)).collect();
            self.dirty.extend(marks);
        }
    }

    /// Marks every window that the intent could be in.
    pub(crate) fn mark_intent(&mut self, i: u32) {
        let windows = self.windows_of(i);
        self.dirty.extend(windows);
    }
}

fn remove_from(index: &mut BTreeMap<Cell, Vec<u32>>, cell: Cell, item: u32) {
    if let Some(bucket) = index.get_mut(&cell) {
        bucket.retain(|x| *x != item);
        if bucket.is_empty() {
            index.remove(&cell);
        }
    }
}
