//! An offer's terms change where it stands: its tiers, prices, greatest group or visit values.
//!
//! Most of its candidates stay, with the same slots and at the same distance: they are valued anew
//! in one pass, and only where the new terms let in more buyers than the old are others looked for.

use super::PlacedOffer;
use super::candidate::Candidate;
use super::market::Market;

impl Market {
    /// Gives the offer other terms; its windows keep the members who still fit.
    ///
    /// **Contract** place, opening hours, lead time and locked slots are what they were.
    /// **Cost** its candidates and windows; those of its neighbours if it lets in more buyers.
    pub(crate) fn change_terms(&mut self, o: u32, placed: PlacedOffer) {
        self.updates += 1;
        self.unprove(o);
        let groups = self.disband_all(o);
        let more = self.lets_in_more(o, &placed);
        let stay_bonus = self.params.stay_bonus(placed.offer.list_price);
        let offer = self.offer_mut(o);
        let stock = placed.stock.max(0) - offer.placed.stock.max(0);
        (offer.placed, offer.stay_bonus) = (placed, stay_bonus);
        for window in &mut offer.windows {
            window.visit_value = offer.placed.offer.visit_value_at(window.slot);
            window.sums.clear();
            window.cover = None;
        }
        let stale = offer.windows.iter().map(|w| (w.slot, o)).collect::<Vec<_>>();
        self.dual += stock as i128 * self.offer(o).price as i128;
        self.stale.extend(stale);
        self.value_anew(o);
        if more {
            self.connect_near(o);
        }
        self.roomy.insert(o);
        self.await_accepted(o);
        self.readmit_all(o, groups);
    }

    /// Whether somebody could be a candidate by the new terms who could not by the old.
    fn lets_in_more(&self, o: u32, placed: &PlacedOffer) -> bool {
        let old = self.offer(o);
        let deepest = placed.offer.tiers.reached(placed.offer.max_group as usize);
        let Some(price) = deepest.map(|tier| placed.offer.tiers.as_slice()[tier].price) else {
            return false;
        };
        placed.offer.list_price > old.list_price()
            || old.deepest_price().is_none_or(|before| price < before)
    }

    /// Values every candidate by the offer's terms; those who cannot be served any more leave.
    fn value_anew(&mut self, o: u32) {
        let all: Vec<Candidate> = std::mem::take(&mut self.offer_mut(o).candidates);
        let mut kept = Vec::with_capacity(all.len());
        for old in all {
            match self.pair(o, old.intent) {
                Some(c) => kept.push(c),
                None => self.part_with(o, old),
            }
        }
        self.offer_mut(o).candidates = kept;
    }

    /// Forgets a candidate, who is off the list already.
    fn part_with(&mut self, o: u32, c: Candidate) {
        for slot in self.met(o, c.intent) {
            self.offer_mut(o).window_mut(slot).expect("just listed").eligible -= 1;
        }
        self.offer_mut(o).demand -= c.quantity() as i64;
        let edges = &mut self.intents[c.intent as usize].as_mut().expect("a candidate").edges;
        edges.retain(|e| *e != o);
        let others = edges.clone();
        // Without this pair two parts may have come apart.
        self.touched.extend(others.iter().copied());
        others.into_iter().for_each(|other| self.unprove(other));
    }
}
