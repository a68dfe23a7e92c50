//! What updates do to a market: offers and intents come, change and go; time closes windows.
//!
//! An update keeps the candidates, the windows and every sum, and marks what it touched: `dirty`
//! windows, whose groups may break a rule or hold more; `stale` ones, whose terms of the bound may
//! be too low; `awake` intents and `roomy` offers, which may find something better. It decides
//! nothing; that is for [`Market::refresh`].

use super::PlacedOffer;
use super::hot::{Home, Hot, UNPRICED};
use super::market::{Market, OfferNode};
use super::price::SCALE;
use crate::lists::make_room;
use crate::market::{Cell, Intent, Position, Slot, SlotSet, StoreId, Time};
use std::collections::BTreeSet;
use std::sync::Arc;

/// So many places are looked through in the time that one cell takes to look up.
const PLACES_A_CELL: usize = 16;
/// While more units than this many of its greatest groups are left, an offer's stock holds up none.
const ROOMY_FROM: i64 = 2;

impl Market {
    /// Puts an offer in, or puts it anew; its windows keep the members who still fit.
    pub fn put_offer(&mut self, placed: PlacedOffer) {
        if let Some(&o) = self.by_store.get(&placed.offer.key.store) {
            let old = &self.offer(o).placed;
            let same_frame = old.place == placed.place
                && old.opening == placed.opening
                && old.cell == placed.cell
                && old.offer.lead_minutes == placed.offer.lead_minutes;
            if same_frame {
                if old.locked != placed.locked {
                    self.change_locked(o, placed.locked.clone());
                }
                return if self.offer(o).placed.offer == placed.offer {
                    self.restock(o, placed.stock)
                } else {
                    self.change_terms(o, placed)
                };
            }
            let groups = self.take_offer(o);
            self.insert_offer(placed);
            self.readmit_all(o, groups);
        } else {
            self.insert_offer(placed);
        }
    }

    /// Takes an offer out; its buyers are free.
    pub fn remove_offer(&mut self, store: &StoreId) {
        if let Some(&o) = self.by_store.get(store) {
            let groups = self.take_offer(o);
            self.awake.extend(groups.into_iter().flat_map(|group| group.1));
        }
    }

    fn restock(&mut self, o: u32, stock: i64) {
        if stock == self.offer(o).placed.stock {
            return;
        }
        self.updates += 1;
        self.unprove(o);
        let offer = self.offer_mut(o);
        let old = std::mem::replace(&mut offer.placed.stock, stock);
        let (demand, used, price) = (offer.demand, offer.used, offer.price);
        self.dual += (stock.max(0) - old.max(0)) as i128 * price as i128;
        if old.min(stock) >= demand {
            return;
        }
        // Stock says how great a group can be, and who takes part at all.
        let windows: Vec<_> = self.offer(o).windows.iter().map(|w| (w.slot, o)).collect();
        self.stale.extend(&windows);
        if used > stock {
            self.dirty.extend(windows);
        } else if stock > old {
            self.roomy.insert(o);
        }
    }

    fn insert_offer(&mut self, placed: PlacedOffer) {
        self.updates += 1;
        let o = self.free_offers.pop().unwrap_or_else(|| {
            make_room(&mut self.offers);
            self.offers.push(None);
            make_room(&mut self.places);
            self.places.push(placed.place);
            self.offers.len() as u32 - 1
        });
        self.places[o as usize] = placed.place;
        self.by_store.insert(placed.offer.key.store.clone(), o);
        self.offer_cells.insert((placed.cell, o));
        let lead_minutes = placed.offer.lead_minutes;
        let first_open = self.first_open(lead_minutes);
        self.closes_after(first_open, lead_minutes);
        self.offers[o as usize] = Some(OfferNode {
            stay_bonus: self.params.stay_bonus(placed.offer.list_price),
            order: placed.offer.key.store.order(),
            lead_minutes,
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
        self.unprove(o);
        self.connect_near(o);
        self.roomy.insert(o);
        self.await_accepted(o);
    }

    /// Makes candidates of the intents around that are none yet and can be.
    pub(crate) fn connect_near(&mut self, o: u32) {
        let PlacedOffer { cell, place, .. } = self.offer(o).placed;
        let mut known: Vec<u32> = self.offer(o).candidates.iter().map(|c| c.intent).collect();
        known.sort_unstable();
        let mut others: Vec<u32> = Vec::new();
        for i in self.near(cell, self.longest_reach_m, &self.intent_cells) {
            if known.binary_search(&i).is_err()
                && !place.surely_beyond(self.node(i).intent.place, self.longest_reach_m)
                && self.connect(o, i)
            {
                others.extend(&self.node(i).edges);
            }
        }
        // The offer may join two parts.
        others.sort_unstable();
        others.dedup();
        others.into_iter().for_each(|other| self.unprove(other));
    }

    /// Who accepted a window of the offer waits for repair to seat them there.
    pub(crate) fn await_accepted(&mut self, o: u32) {
        let store = self.store(o).clone();
        let accepted: Vec<Slot> =
            self.pins.keys().filter(|pin| pin.1 == store).map(|pin| pin.0).collect();
        self.dirty.extend(accepted.into_iter().map(|slot| (slot, o)));
    }

    /// Removes the offer and everything that refers to it; returns the groups it had.
    fn take_offer(&mut self, o: u32) -> Vec<(Slot, Vec<u32>)> {
        self.unprove(o);
        let groups = self.disband_all(o);
        let node = self.offers[o as usize].take().expect("an index in use");
        let store = &node.placed.offer.key.store;
        let changed = std::mem::take(&mut self.changed);
        let (gone, kept) = changed.into_iter().partition(|c| c.1 == o);
        self.changed = kept;
        let gone: BTreeSet<(Slot, u32)> = gone;
        self.gone.extend(gone.into_iter().map(|(slot, _)| (slot, store.clone())));
        let terms: i128 = node.windows.iter().map(|w| w.term as i128).sum();
        self.dual -= terms + node.placed.stock.max(0) as i128 * node.price as i128;
        for c in &node.candidates {
            let edges = &mut self.intents[c.intent as usize].as_mut().expect("a candidate").edges;
            edges.retain(|e| *e != o);
            self.touched.extend(edges.iter().copied());
            self.unsolved.extend(edges.iter().copied());
        }
        self.touched.remove(&o);
        self.unsolved.remove(&o);
        self.agenda.lose_offer(o);
        self.roomy.remove(&o);
        for window in &node.windows {
            self.dirty.remove(&(window.slot, o));
            self.stale.remove(&(window.slot, o));
            self.loose.remove(&(window.slot, o));
        }
        self.by_store.remove(&node.placed.offer.key.store);
        self.offer_cells.remove(&(node.placed.cell, o));
        self.free_offers.push(o);
        groups
    }

    /// Puts an intent in, or puts it anew; it keeps its window if it still fits.
    pub fn put_intent(&mut self, intent: impl Into<Arc<Intent>>) {
        let intent = intent.into();
        let Some(i) = self.intents.find(&intent.id) else {
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
        intent.is_but_announced(&self.node(i).intent) && !self.hot[i as usize].released
    }

    /// Moves the bonus for staying (R9) from one window to another.
    ///
    /// A proof outlives that where the bonus goes to the window that the intent is in: the optimum
    /// rises by it at most.
    fn announce(&mut self, i: u32, intent: Arc<Intent>) {
        if self.node(i).intent == intent {
            return;
        }
        let places: Vec<(u32, Slot)> = [&self.node(i).intent, &intent]
            .iter()
            .filter_map(|intent| intent.promise.announced.as_deref())
            .filter_map(|(store, slot)| Some((*self.by_store.get(store)?, *slot)))
            .filter(|&(o, slot)| self.offer(o).window(slot).is_some())
            .collect();
        let Hot { home, price, .. } = self.hot[i as usize];
        for &(o, slot) in &places {
            self.uncover(o, |covered, cover| covered == slot || cover == slot);
            self.recount(o, slot, i, false);
        }
        self.hot[i as usize] = Hot { home, price, ..Hot::of(&intent) };
        self.intents[i as usize].as_mut().expect("in use").intent = intent;
        for &(o, slot) in &places {
            self.recount(o, slot, i, true);
            self.touched.insert(o);
            if home == Home::In(o, slot) {
                let members = self.offer(o).window(slot).expect("a home").members.clone();
                self.seat(o, slot, members);
            }
        }
        match home {
            Home::In(o, slot) if self.bonus(o, i, slot) > 0 => {
                self.raise_proof(o, self.bonus(o, i, slot) as i128 * SCALE as i128);
            }
            _ => places.iter().for_each(|place| self.unprove(place.0)),
        }
    }

    /// Takes a priced intent out of the sums of one window, or back into them.
    fn recount(&mut self, o: u32, slot: Slot, i: u32, comes: bool) {
        let price = self.hot[i as usize].price;
        if price != UNPRICED
            && let Some(at) = self.candidate_of(o, i)
        {
            let c = self.offer(o).candidates[at];
            self.count(o, slot, &c, price, comes);
        }
    }

    fn insert_intent(&mut self, intent: Arc<Intent>) -> u32 {
        self.updates += 1;
        let i = self.free_intents.pop().unwrap_or_else(|| {
            make_room(&mut self.hot);
            self.hot.push(Hot::vacant());
            self.intents.grow()
        });
        self.fresh.insert(i);
        if let Some(pin) = &intent.promise.pin {
            let key = (pin.slot, pin.store.clone());
            self.pins.entry(key).or_default().insert(intent.id.clone());
        }
        self.intent_cells.insert((intent.cell, i));
        self.longest_reach_m = self.longest_reach_m.max(intent.reach_m);
        self.hot[i as usize] = Hot::of(&intent);
        let (cell, place, reach) = (intent.cell, intent.place, intent.reach_m);
        self.intents.put(i, intent);
        for o in self.offers_near(cell, place, reach) {
            self.connect(o, i);
        }
        // A new pair may join two parts.
        for o in self.node(i).edges.clone() {
            self.unprove(o);
        }
        if let Some(pin) = self.node(i).intent.promise.pin.clone()
            && let Some(&o) = self.by_store.get(&pin.store)
        {
            self.dirty.insert((pin.slot, o));
        }
        i
    }

    /// The offers within reach of a place in `cell`, and perhaps some that are not quite.
    fn offers_near(&self, cell: Cell, place: Position, reach_m: u32) -> Vec<u32> {
        let may_reach = |o: u32| !place.surely_beyond(self.places[o as usize], reach_m);
        let is_there = |o: u32| self.offers[o as usize].is_some();
        if self.cells_within(reach_m) * PLACES_A_CELL > self.places.len() {
            let all = 0..self.places.len() as u32;
            return all.filter(|o| may_reach(*o) && is_there(*o)).collect();
        }
        let mut near = self.near(cell, reach_m, &self.offer_cells);
        near.retain(|o| may_reach(*o));
        near
    }

    /// How many cells are those within reach of a cell.
    fn cells_within(&self, reach_m: u32) -> usize {
        let rings = self.params.resolution.rings(reach_m) as usize;
        3 * rings * (rings + 1) + 1
    }

    /// What is bucketed in the cells within reach of `cell`; everything, where that is less work.
    fn near(&self, cell: Cell, reach_m: u32, index: &BTreeSet<(Cell, u32)>) -> Vec<u32> {
        if self.cells_within(reach_m) > index.len() {
            return index.iter().map(|entry| entry.1).collect();
        }
        let rings = self.params.resolution.rings(reach_m);
        let inside = |cell| index.range((cell, 0)..=(cell, u32::MAX)).map(|entry| entry.1);
        cell.disk(rings).flat_map(inside).collect()
    }

    /// Closes every window that locks at `until` or before.
    ///
    /// **Cost** in proportion to the offers, and to the windows that close, if any can.
    pub fn advance(&mut self, until: Time) {
        if until <= self.closed_at {
            return;
        }
        self.closed_at = until;
        if until < self.closes_next {
            return;
        }
        self.closes_next = Time(i64::MAX);
        for o in self.by_store.values().copied().collect::<Vec<_>>() {
            let lead_minutes = self.offer(o).lead_minutes;
            let first_open = self.first_open(lead_minutes);
            self.closes_after(first_open, lead_minutes);
            let offer = self.offer_mut(o);
            if first_open <= offer.first_open {
                continue;
            }
            offer.first_open = first_open;
            let past = offer.windows.partition_point(|w| w.slot < first_open);
            let past: Vec<Slot> = offer.windows[..past].iter().map(|w| w.slot).collect();
            self.end_windows(o, &past);
        }
    }

    /// Of an offer with that lead time the first open window locks next.
    fn closes_after(&mut self, first_open: Slot, lead_minutes: Option<u32>) {
        let locks_at = self.params.lock_at(first_open, lead_minutes);
        self.closes_next = self.closes_next.min(locks_at);
    }

    /// Takes windows of the offer out of the market; their buyers are free.
    pub(crate) fn end_windows(&mut self, o: u32, slots: &[Slot]) {
        if slots.is_empty() {
            return;
        }
        self.unprove(o);
        self.uncover(o, |_, cover| slots.contains(&cover));
        for &slot in slots {
            let freed = self.disband(o, slot);
            if !freed.is_empty() {
                self.awake.extend(freed);
                self.mark_roomy(o);
            }
        }
        for &slot in slots {
            self.dirty.remove(&(slot, o));
            self.stale.remove(&(slot, o));
            self.loose.remove(&(slot, o));
        }
        let mut gone: i128 = 0;
        self.offer_mut(o).windows.retain(|w| {
            let ends = slots.contains(&w.slot);
            gone += if ends { w.term as i128 } else { 0 };
            !ends
        });
        self.dual -= gone;
    }

    /// Units of the offer have come free: where little was left, other windows may have waited.
    pub(crate) fn mark_roomy(&mut self, o: u32) {
        let offer = self.offer(o);
        let greatest = offer.tiers().last().map_or(0, |tier| tier.min_buyers as i64);
        if offer.demand > offer.placed.stock
            && offer.placed.stock - offer.used < ROOMY_FROM * greatest
        {
            self.roomy.insert(o);
        }
    }
}
