//! One market's compact state: who could go where.
//!
//! Offers and intents of one product, a candidate for every pair within reach at a price that the
//! buyer can ever accept, and a window for every slot in which an offer has a candidate. H3 cells
//! are the index by which a change finds what it touches; they decide nothing.
//!
//! **Invariant** `candidates` and `edges` are each other's mirror; both are in the order of ids, so
//! that no decision depends on the history of indices.

use super::plan::Home;
use crate::market::{Cell, Intent, IntentId, Money, Offer, Opening, Params, Position, Slot};
use crate::market::{Promise, SlotSet, StoreId, Tier, Time, hours::Schedule};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How many slots of opening hours are worked out at a time.
const OPEN_SLOTS_AHEAD: i32 = 72;

/// An offer joined with its store and what is left of its stock: all that a market knows of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PlacedOffer {
    /// The offer.
    pub offer: Offer,
    /// Where its store is.
    pub place: Position,
    /// The cell of that.
    pub cell: Cell,
    /// When its store is open.
    pub opening: Opening,
    /// Units left over by locked windows.
    pub stock: i64,
    /// Slots with a locked window, sorted.
    pub locked: Box<[Slot]>,
}

/// A pair within reach: an intent that an offer could ever serve.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate {
    /// `quantity * min(budget, list) - travel`: the gain at price 0.
    pub base: i64,
    /// The intent's index.
    pub intent: u32,
    /// Units.
    pub quantity: u32,
    /// Metres between them.
    pub distance_m: u32,
}

/// What the inner loops read of an intent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hot {
    /// First slot of its availability.
    pub from: Slot,
    /// Slot after the last one.
    pub until: Slot,
    /// Whether every slot between is allowed by it everywhere: one range, no answer given.
    pub plain: bool,
    /// Whether a promise to it cannot be held: it is in no window until its promise changes.
    pub released: bool,
    /// The window that it is in.
    pub home: Home,
    /// Its dual price, in 1/[`super::price::SCALE`] of a minor unit.
    pub price: i64,
}

/// An intent and the offers that could serve it.
#[derive(Debug, Clone)]
pub(crate) struct IntentNode {
    pub intent: Intent,
    /// Offers' indices, in the order of their stores' ids.
    pub edges: Vec<u32>,
}

/// A slot of an offer in which it has a candidate.
#[derive(Debug, Clone)]
pub(crate) struct WindowNode {
    pub slot: Slot,
    /// How many candidates are free and allowed in this slot.
    pub eligible: u32,
    /// What one visitor is worth to the seller.
    pub visit_value: i64,
    /// The group, in the order of ids; empty: closed.
    pub members: Vec<Candidate>,
    /// The tier that the group reaches.
    pub tier: u32,
    /// The group's part of the objective.
    pub value: i64,
    /// What the window adds to the bound, scaled.
    pub term: i64,
}

/// An offer, its candidates and its windows.
#[derive(Debug, Clone)]
pub(crate) struct OfferNode {
    pub placed: PlacedOffer,
    pub stay_bonus: i64,
    /// In the order of intent ids.
    pub candidates: Vec<Candidate>,
    /// In the order of slots.
    pub windows: Vec<WindowNode>,
    /// Units in live windows.
    pub used: i64,
    /// Units over all candidates: stock beyond it never binds.
    pub demand: i64,
    /// Dual price of a unit of stock, scaled.
    pub price: i64,
    schedule: Schedule,
    /// The first slot that is not yet closed to groupings.
    first_open: Slot,
    /// Opening slots worked out so far, from `first_open` on, up to `open_until`.
    open: SlotSet,
    open_until: Slot,
}

impl OfferNode {
    pub(crate) fn tiers(&self) -> &[Tier] {
        self.placed.offer.tiers.as_slice()
    }

    pub(crate) fn max_group(&self) -> usize {
        self.placed.offer.max_group as usize
    }

    pub(crate) fn list_price(&self) -> Money {
        self.placed.offer.list_price
    }

    pub(crate) fn window(&self, slot: Slot) -> Option<&WindowNode> {
        self.windows.binary_search_by_key(&slot, |w| w.slot).ok().map(|n| &self.windows[n])
    }

    pub(crate) fn window_mut(&mut self, slot: Slot) -> Option<&mut WindowNode> {
        self.windows.binary_search_by_key(&slot, |w| w.slot).ok().map(|n| &mut self.windows[n])
    }

    /// Price of the deepest tier that the greatest group can reach.
    fn deepest_price(&self) -> Option<Money> {
        let reached = self.placed.offer.tiers.reached(self.max_group())?;
        Some(self.tiers()[reached].price)
    }
}

/// One market: the offers and intents of one product, their grouping and its prices.
#[derive(Debug, Clone)]
pub struct Market {
    pub(crate) params: Params,
    pub(crate) offers: Vec<Option<OfferNode>>,
    pub(crate) intents: Vec<Option<IntentNode>>,
    pub(crate) hot: Vec<Hot>,
    pub(crate) by_store: BTreeMap<StoreId, u32>,
    pub(crate) by_id: BTreeMap<IntentId, u32>,
    /// Who accepted which window.
    pub(crate) pins: BTreeMap<(Slot, StoreId), BTreeSet<IntentId>>,
    /// Intents whose price has not been set since they came or changed.
    pub(crate) fresh: BTreeSet<u32>,
    free_offers: Vec<u32>,
    free_intents: Vec<u32>,
    offer_cells: BTreeMap<Cell, Vec<u32>>,
    intent_cells: BTreeMap<Cell, Vec<u32>>,
    /// The longest reach of any intent so far.
    longest_reach_m: u32,
    /// Windows that lock at this instant or before take no more part.
    closed_at: Time,
    /// Windows whose candidates, members or terms must be looked at again.
    pub(crate) dirty: BTreeSet<(Slot, u32)>,
    /// Windows whose group may differ from the one last emitted.
    pub(crate) changed: BTreeSet<(Slot, u32)>,
    /// Windows of offers that were taken out, likewise.
    pub(crate) gone: BTreeSet<(Slot, StoreId)>,
    /// The objective.
    pub(crate) value: i64,
    /// The bound: sums of prices, stock at its prices, and windows' terms; scaled.
    pub(crate) dual: i128,
}

impl Market {
    /// An empty market.
    pub fn new(params: Params) -> Self {
        Self {
            params,
            offers: Vec::new(),
            intents: Vec::new(),
            hot: Vec::new(),
            by_store: BTreeMap::new(),
            by_id: BTreeMap::new(),
            pins: BTreeMap::new(),
            fresh: BTreeSet::new(),
            gone: BTreeSet::new(),
            free_offers: Vec::new(),
            free_intents: Vec::new(),
            offer_cells: BTreeMap::new(),
            intent_cells: BTreeMap::new(),
            longest_reach_m: 0,
            closed_at: Time(i64::MIN / 4),
            dirty: BTreeSet::new(),
            changed: BTreeSet::new(),
            value: 0,
            dual: 0,
        }
    }

    /// Whether the market holds neither offers nor intents.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty() && self.by_store.is_empty()
    }

    /// How many intents it holds.
    pub fn intents_len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn offer(&self, o: u32) -> &OfferNode {
        self.offers[o as usize].as_ref().expect("an index in use")
    }

    pub(crate) fn offer_mut(&mut self, o: u32) -> &mut OfferNode {
        self.offers[o as usize].as_mut().expect("an index in use")
    }

    pub(crate) fn node(&self, i: u32) -> &IntentNode {
        self.intents[i as usize].as_ref().expect("an index in use")
    }

    /// Every (intent, store, slot) that could be: for tests, against a computation from scratch.
    pub fn candidates(&self) -> BTreeSet<(IntentId, StoreId, Slot)> {
        let mut all = BTreeSet::new();
        for (store, &o) in &self.by_store {
            let offer = self.offer(o);
            for window in &offer.windows {
                for c in &offer.candidates {
                    if self.eligible(o, c.intent, window.slot) {
                        all.insert((
                            self.node(c.intent).intent.id.clone(),
                            store.clone(),
                            window.slot,
                        ));
                    }
                }
            }
        }
        all
    }

    /// Whether the intent's availability and answers allow the offer's window in `slot`. The
    /// caller knows that the two are a candidate pair and that the window exists.
    #[inline]
    pub(crate) fn eligible(&self, o: u32, i: u32, slot: Slot) -> bool {
        let hot = &self.hot[i as usize];
        if slot < hot.from || slot >= hot.until || hot.released {
            return false;
        }
        hot.plain || self.node(i).intent.allows(&self.offer(o).placed.offer.key.store, slot)
    }

    /// The bonus for staying, where the window is the announced one (R9).
    #[inline]
    pub(crate) fn bonus(&self, o: u32, i: u32, slot: Slot) -> i64 {
        if self.hot[i as usize].plain {
            return 0;
        }
        let offer = self.offer(o);
        match &self.node(i).intent.promise.announced {
            Some((store, s)) if *s == slot && *store == offer.placed.offer.key.store => {
                offer.stay_bonus
            }
            _ => 0,
        }
    }

    /// The slots of the pair (offer, intent): available, open, not closed, not locked.
    fn slots_of_pair(&mut self, o: u32, i: u32) -> Vec<Slot> {
        let slots = self.node(i).intent.slots.clone();
        self.look_ahead(o, slots.end().unwrap_or_default());
        let offer = self.offer(o);
        let both = slots.intersect(&offer.open);
        let node = self.node(i);
        let store = &offer.placed.offer.key.store;
        both.iter()
            .filter(|slot| *slot >= offer.first_open && !offer.placed.locked.contains(slot))
            .filter(|slot| node.intent.allows(store, *slot))
            .collect()
    }

    /// Works out the offer's opening hours up to `until`.
    fn look_ahead(&mut self, o: u32, until: Slot) {
        let length = self.params.slot;
        let offer = self.offer_mut(o);
        if offer.open_until < until {
            let until = Slot(until.0.max(offer.first_open.0) + OPEN_SLOTS_AHEAD);
            offer.open = offer.schedule.open_slots(offer.first_open, until, length);
            offer.open_until = until;
        }
    }

    fn first_open(&self, offer: &Offer) -> Slot {
        let lead = offer.lead_minutes.unwrap_or(self.params.lead_minutes) as i64 * 60_000;
        let closed = self.closed_at.plus_ms(lead);
        if closed.0 <= i32::MIN as i64 * self.params.slot.as_ms() {
            return Slot(i32::MIN / 4);
        }
        self.params.slot.at(closed).next()
    }

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
                self.readmit(o, slot, members);
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
        let offer = self.offer_mut(o);
        let old = std::mem::replace(&mut offer.placed.stock, stock);
        let (demand, price) = (offer.demand, offer.price);
        self.dual += (stock.max(0) - old.max(0)) as i128 * price as i128;
        if old.min(stock) < demand {
            self.mark_offer(o);
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
        for c in &node.candidates {
            let edges = &mut self.intents[c.intent as usize].as_mut().expect("a candidate").edges;
            edges.retain(|e| *e != o);
        }
        for window in &node.windows {
            self.dirty.remove(&(window.slot, o));
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
        let price = self.hot[i as usize].price;
        self.take_intent(i);
        let i = self.insert_intent(intent);
        self.set_price(i, price);
        if let Home::In(o, slot) = home
            && self.offers[o as usize].is_some()
        {
            self.readmit(o, slot, vec![i]);
        }
    }

    /// Whether nothing differs but where the intent was last announced.
    fn only_announced(&self, i: u32, intent: &Intent) -> bool {
        let old = &self.node(i).intent;
        let promise = Promise { announced: old.promise.announced.clone(), ..intent.promise.clone() };
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
                self.seat(o, slot, members);
                self.dirty.insert((slot, o));
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
        }
        self.mark_intent(i);
        let node = self.node(i).clone();
        for &o in &node.edges {
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
        self.set_price(i, 0);
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
        let worth = node.intent.effective_budget().min(offer.list_price()).minor();
        let base = quantity as i64 * worth - travel;
        let store = offer.placed.offer.key.store.clone();
        let id = node.intent.id.clone();
        let edge = node.edges.partition_point(|e| self.offer(*e).placed.offer.key.store < store);
        let at = self.candidate_at(o, &id).expect_err("a pair is connected once");
        let offer = self.offer_mut(o);
        offer.candidates.insert(at, Candidate { base, intent: i, quantity, distance_m });
        offer.demand += quantity as i64;
        self.intents[i as usize].as_mut().expect("in use").edges.insert(edge, o);
        for slot in self.slots_of_pair(o, i) {
            let visit_value = self.offer(o).placed.offer.visit_value_at(slot);
            let offer = self.offer_mut(o);
            match offer.windows.binary_search_by_key(&slot, |w| w.slot) {
                Ok(n) => offer.windows[n].eligible += 1,
                Err(n) => offer.windows.insert(n, WindowNode::closed(slot, visit_value)),
            }
            self.dirty.insert((slot, o));
        }
    }

    /// Where the candidate of that id is, or belongs.
    pub(crate) fn candidate_at(&self, o: u32, id: &IntentId) -> Result<usize, usize> {
        self.offer(o).candidates.binary_search_by(|c| self.node(c.intent).intent.id.cmp(id))
    }

    /// What is bucketed in the cells within reach of `cell`; everything, where that is less work.
    fn near(&self, cell: Cell, reach_m: u32, index: &BTreeMap<Cell, Vec<u32>>, all: usize) -> Vec<u32> {
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
            for n in 0..past {
                let slot = self.offer(o).windows[n].slot;
                self.disband(o, slot);
                self.dirty.remove(&(slot, o));
            }
            let gone: i128 =
                self.offer_mut(o).windows.drain(..past).map(|w| w.term as i128).sum();
            self.dual -= gone;
        }
    }

    pub(crate) fn mark_intent(&mut self, i: u32) {
        let node = self.node(i);
        let (from, until) = (self.hot[i as usize].from, self.hot[i as usize].until);
        let mut marks = Vec::new();
        for &o in &node.edges {
            let windows = &self.offer(o).windows;
            let first = windows.partition_point(|w| w.slot < from);
            marks.extend(
                windows[first..].iter().take_while(|w| w.slot < until).map(|w| (w.slot, o)),
            );
        }
        self.dirty.extend(marks);
    }

    fn mark_offer(&mut self, o: u32) {
        let marks: Vec<_> = self.offer(o).windows.iter().map(|w| (w.slot, o)).collect();
        self.dirty.extend(marks);
    }
}

impl Hot {
    fn vacant() -> Self {
        Self {
            from: Slot(0),
            until: Slot(0),
            plain: true,
            released: false,
            home: Home::Free,
            price: 0,
        }
    }

    fn of(intent: &Intent) -> Self {
        let promise = &intent.promise;
        Self {
            from: intent.slots.first().unwrap_or_default(),
            until: intent.slots.end().unwrap_or_default(),
            plain: intent.slots.ranges().len() <= 1
                && promise.announced.is_none()
                && promise.pin.is_none()
                && promise.declined.is_empty(),
            ..Self::vacant()
        }
    }
}

impl WindowNode {
    fn closed(slot: Slot, visit_value: i64) -> Self {
        let members = Vec::new();
        Self { slot, eligible: 1, visit_value, members, tier: 0, value: 0, term: 0 }
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
