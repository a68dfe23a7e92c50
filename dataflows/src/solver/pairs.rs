//! Pairs of an offer and an intent that it could serve: how they come and go.
//!
//! **Invariant** a pair is in the offer's candidates and in the intent's edges, both in the order
//! of ids; every window of the offer in which the two can meet counts it.

use super::candidate::Candidate;
use super::hot::UNPRICED;
use super::market::{Market, WindowNode};
use crate::lists::make_room;
use crate::market::{IntentId, Slot};

/// So many candidates are looked through for one rather than searched by their ids.
const SCANNED: usize = 512;

impl Market {
    /// Makes the pair a candidate if R6 holds and the buyer can ever accept the price (R5); whether
    /// it is one now.
    pub(crate) fn connect(&mut self, o: u32, i: u32) -> bool {
        let Some(candidate) = self.pair(o, i) else { return false };
        let node = self.node(i);
        let edge = node.edges.partition_point(|e| self.by_stores(*e, o).is_lt());
        let at = self.candidate_at(o, &node.intent.id).expect_err("a pair is connected once");
        let slots = self.slots_of_pair(o, i);
        let offer = self.offer_mut(o);
        make_room(&mut offer.candidates);
        offer.candidates.insert(at, candidate);
        offer.demand += candidate.quantity() as i64;
        let edges = &mut self.intents[i as usize].as_mut().expect("in use").edges;
        make_room(edges);
        edges.insert(edge, o);
        self.uncover_for(o, i, &slots);
        let priced = self.hot[i as usize].price != UNPRICED;
        let offer = self.offers[o as usize].as_mut().expect("an index in use");
        for slot in slots {
            let n = offer.windows.binary_search_by_key(&slot, |w| w.slot).unwrap_or_else(|n| {
                let visit_value = offer.placed.offer.visit_value_at(slot);
                make_room(&mut offer.windows);
                offer.windows.insert(n, WindowNode::closed(slot, visit_value));
                n
            });
            offer.windows[n].eligible += 1;
            if priced {
                self.stale.insert((slot, o));
            }
        }
        true
    }

    /// The candidate that the intent would be; none if R6 does not hold, or no price can suit it.
    pub(crate) fn pair(&self, o: u32, i: u32) -> Option<Candidate> {
        let offer = self.offer(o);
        let intent = &self.node(i).intent;
        let price = offer.deepest_price()?;
        let pin = intent.promise.pin.as_ref();
        if pin.is_some_and(|pin| pin.store != offer.placed.offer.key.store) {
            return None;
        }
        let distance_m = intent.place.distance_m(offer.placed.place);
        let travel = self.params.travel(distance_m);
        intent.gain(offer.list_price(), price, distance_m, travel)?;
        let quantity = intent.quantity;
        let worth = intent.budget.min(offer.list_price()).minor();
        let base = quantity as i64 * worth - travel;
        let hot = &self.hot[i as usize];
        Some(Candidate::new((i, hot), base, pin.is_some(), quantity, distance_m))
    }

    /// Whether the buyer may be in the window at that unit price: at no loss (R5), and at no more than the
    /// price accepted (R8).
    #[inline]
    pub(crate) fn pays(&self, c: &Candidate, price: i64) -> bool {
        c.affords(price) && (!c.accepted() || price <= self.limit_of(c) as i64)
    }

    /// The greatest of such prices.
    #[inline]
    pub(crate) fn limit_of(&self, c: &Candidate) -> i32 {
        let pin = || self.node(c.intent).intent.promise.pin.as_ref();
        let accepted = if c.accepted() { pin().map(|pin| pin.price.minor()) } else { None };
        // Both are amounts of money.
        accepted.map_or(c.dearest(), |accepted| accepted.min(c.dearest())) as i32
    }

    /// Windows that this intent could be in, and not in their cover or at less there, are covered
    /// no more.
    fn uncover_for(&mut self, o: u32, i: u32, slots: &[Slot]) {
        let node = self.offer(o);
        if node.windows.iter().all(|w| w.cover.is_none()) {
            return;
        }
        let most = node.placed.offer.max_group;
        let grown = |slot: Slot| node.window(slot).is_some_and(|w| w.eligible >= most);
        let full: Vec<Slot> = slots.iter().copied().filter(|slot| grown(*slot)).collect();
        let worth = |slot: Slot| node.placed.offer.visit_value_at(slot) + self.bonus(o, i, slot);
        let worths: Vec<(Slot, i64)> = slots.iter().map(|&slot| (slot, worth(slot))).collect();
        let worth = |slot: Slot| worths.iter().find(|at| at.0 == slot).map(|at| at.1);
        self.uncover(o, |slot, cover| full.contains(&cover) || worth(slot) > worth(cover));
    }

    /// Takes a pair apart whose intent goes; its price until now was `price`.
    ///
    /// **Contract** the intent is in no window.
    pub(crate) fn disconnect(&mut self, o: u32, i: u32, price: i64) {
        let at = self.candidate_of(o, i).expect("an edge has its candidate");
        let c = self.offer(o).candidates[at];
        self.discount(o, &c, price);
        let offer = self.offer_mut(o);
        offer.candidates.remove(at);
        offer.demand -= c.quantity() as i64;
    }

    /// The same of all those of an offer's candidates who go, whose demand counts no more already.
    ///
    /// **Cost** the offer's candidates.
    pub(crate) fn disconnect_all(&mut self, o: u32, goes: impl Fn(u32) -> bool) {
        let candidates = &self.offer(o).candidates;
        let gone: Vec<Candidate> = candidates.iter().filter(|c| goes(c.intent)).copied().collect();
        for c in &gone {
            self.discount(o, c, self.hot[c.intent as usize].price);
        }
        self.offer_mut(o).candidates.retain(|c| !goes(c.intent));
    }

    /// The offer's windows count the candidate no more.
    fn discount(&mut self, o: u32, c: &Candidate, price: i64) {
        for slot in self.met(o, c.intent) {
            if price != UNPRICED {
                self.count(o, slot, c, price, false);
            }
            let window = self.offer_mut(o).window_mut(slot).expect("just listed");
            window.eligible -= 1;
        }
    }

    /// The windows of the offer that count the intent.
    pub(crate) fn met(&self, o: u32, i: u32) -> Vec<Slot> {
        let hot = &self.hot[i as usize];
        let offer = self.offer(o);
        let first = offer.windows.partition_point(|w| w.slot < hot.from);
        let near = offer.windows[first..].iter().take_while(|w| w.slot < hot.until);
        near.map(|w| w.slot).filter(|slot| self.meet(o, i, *slot)).collect()
    }

    /// Whether a window of the offer in that slot, which is in the intent's time, counts the intent.
    pub(crate) fn meet(&self, o: u32, i: u32, slot: Slot) -> bool {
        let hot = &self.hot[i as usize];
        match hot.answered {
            true => self.node(i).intent.allows(self.store(o), slot),
            false => hot.mask >> (slot.0 - hot.from.0) & 1 == 1,
        }
    }

    /// Who may be in the offer's window of that slot: their places among its candidates, in order.
    ///
    /// What is read of them is read without a branch on it, so that one load does not wait for another.
    pub(crate) fn who_may(&self, o: u32, slot: Slot) -> Vec<u32> {
        let candidates = &self.offer(o).candidates;
        let mut places = vec![0; candidates.len()];
        let mut listed = 0;
        for (at, c) in (0..).zip(candidates) {
            places[listed] = at;
            listed += c.in_time(slot) as usize;
        }
        let mut kept = 0;
        for n in 0..listed {
            let at = places[n];
            places[kept] = at;
            let hot = &self.hot[candidates[at as usize].intent as usize];
            kept += hot.may_allow(slot) as usize;
        }
        places.truncate(kept);
        places.retain(|&at| self.eligible(o, candidates[at as usize].intent, slot));
        places
    }

    /// Where the intent's candidate is.
    pub(crate) fn candidate_of(&self, o: u32, i: u32) -> Option<usize> {
        let candidates = &self.offer(o).candidates;
        if candidates.len() > SCANNED {
            return self.candidate_at(o, &self.node(i).intent.id).ok();
        }
        // They lie side by side; what their order is by does not.
        let at = candidates.iter().position(|c| c.intent == i);
        debug_assert_eq!(at, self.candidate_at(o, &self.node(i).intent.id).ok());
        at
    }

    /// Where the candidate of that id is, or belongs.
    fn candidate_at(&self, o: u32, id: &IntentId) -> Result<usize, usize> {
        let order = id.order();
        self.offer(o).candidates.binary_search_by(|c| {
            let by_order = self.hot[c.intent as usize].order.cmp(&order);
            by_order.then_with(|| self.node(c.intent).intent.id.cmp(id))
        })
    }
}
