//! An offer's terms change where it stands: its tiers, prices, greatest group or visit values.
//!
//! Most of its candidates stay, with the same slots and at the same distance: they are valued anew
//! in one pass, and only where the new terms let in more buyers than the old are others looked for.
//! So it is where its windows lock, and are given up: the others stay as they are.

use super::PlacedOffer;
use super::candidate::Candidate;
use super::market::{Market, WindowNode};
use crate::market::Slot;

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

    /// Other windows of the offer are locked now: they take no part, and those that were take part
    /// again, where it is open and their time is not over.
    ///
    /// **Cost** the windows that change, and all candidates for each that comes back.
    pub(crate) fn change_locked(&mut self, o: u32, locked: Box<[Slot]>) {
        self.updates += 1;
        self.unprove(o);
        let before = std::mem::replace(&mut self.offer_mut(o).placed.locked, locked);
        let offer = self.offer(o);
        let begun = |w: &&WindowNode| offer.placed.locked.contains(&w.slot);
        let begun: Vec<Slot> = offer.windows.iter().filter(begun).map(|w| w.slot).collect();
        let ended = before.iter().filter(|slot| {
            !offer.placed.locked.contains(slot)
                && **slot >= offer.first_open
                && offer.open.contains(**slot)
        });
        let ended: Vec<Slot> = ended.copied().collect();
        self.end_windows(o, &begun);
        for slot in ended {
            self.begin_window(o, slot);
        }
    }

    /// A window that was locked takes part again.
    fn begin_window(&mut self, o: u32, slot: Slot) {
        let offer = self.offer(o);
        let meets = |c: &&Candidate| {
            let hot = &self.hot[c.intent as usize];
            (hot.from..hot.until).contains(&slot) && self.meet(o, c.intent, slot)
        };
        let eligible = offer.candidates.iter().filter(meets).count() as u32;
        if eligible == 0 {
            return;
        }
        let visit_value = offer.placed.offer.visit_value_at(slot);
        let window = WindowNode { eligible, ..WindowNode::closed(slot, visit_value) };
        let offer = self.offer_mut(o);
        let at = offer.windows.partition_point(|w| w.slot < slot);
        offer.windows.insert(at, window);
        self.stale.insert((slot, o));
        self.roomy.insert(o);
        self.await_accepted(o);
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
