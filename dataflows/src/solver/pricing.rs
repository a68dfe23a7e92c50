//! Prices of a great part, in slices.
//!
//! Such a part is taken out of the market once. Each tick then has some of its rounds of prices, while
//! the market goes on; at the end whoever is still there has the prices that came of it. Any prices
//! make a valid bound; only what was proven beyond them is lost where something has changed meanwhile.

use super::compact::dual::{Demand, Prices};
use super::compact::rounds::{Course, Pace};
use super::compact::{Compact, Offer};
use super::hot::UNPRICED;
use super::market::Market;
use super::price::SCALE;
use super::{Budget, Phase};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What has become of a part since it was taken out.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Since {
    /// Intents and offers that are gone, or were put in anew: their indices may be others' now.
    pub intents: BTreeSet<u32>,
    pub offers: BTreeSet<u32>,
    /// Whether anything has changed that a proof depends on.
    pub changed: bool,
}

/// Rounds of prices of a part, under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Pricing {
    offers: Vec<u32>,
    /// Without its intents' places, which rounds do not read.
    part: Compact,
    course: Course,
    /// The pace of a second course from the best prices of the first, as a whole solve has it.
    again: Option<Pace>,
    /// The value that prices aim at, scaled.
    floor: i128,
    pub since: Since,
    /// Steps that it may take now; fewer than none where the last round took more.
    credit: i64,
}

impl Market {
    /// Takes a part out whose prices are to be set anew, within half of so many steps.
    ///
    /// **Contract** nothing is dirty, stale or fresh; no other part is out.
    pub(crate) fn begin_prices(&mut self, offers: Vec<u32>, budget: Budget, allowance: u64) {
        let part = Compact::without_places(self, &offers);
        let rounds = budget.price_rounds / 2;
        let pace = Pace::of(budget, rounds, part.intents.len(), allowance / 4);
        let course = Course::new(self.prices_of(&part), pace);
        let floor = self.value_in(&offers) as i128 * SCALE as i128;
        let (again, since) = (Some(pace), Since::default());
        let pricing = Pricing { offers, part, course, again, floor, since, credit: 0 };
        self.agenda.pricing = Some(Box::new(pricing));
    }

    /// Goes on with the rounds of the part that is out, for about so many steps; returns those taken.
    ///
    /// **Contract** as above, but that it is out.
    pub(crate) fn go_on_with_prices(&mut self, most: u64) -> u64 {
        let Some(mut pricing) = self.agenda.pricing.take() else { return 0 };
        let mut demand = Demand::default();
        let over = loop {
            if pricing.course.is_over() {
                let Some(pace) = pricing.again.take() else { break true };
                pricing.course = Course::new(pricing.course.best, pace);
            } else if demand.work >= most {
                break false;
            } else {
                pricing.round(&mut demand);
            }
        };
        pricing.credit = pricing.credit.saturating_sub_unsigned(demand.work);
        if over {
            self.take_prices(*pricing, &mut demand);
            self.effort.solved += 1;
        } else {
            self.agenda.pricing = Some(pricing);
        }
        self.effort.spend(Phase::Prices, demand.work);
        demand.work
    }

    /// Gives those who are still there the prices of a part that was out.
    fn take_prices(&mut self, pricing: Pricing, demand: &mut Demand) {
        let Pricing { mut offers, part, course, since, .. } = pricing;
        let here = |o: &u32| !since.offers.contains(o);
        offers.retain(here);
        let mut around = offers.clone();
        if since.changed {
            let intents = part.intents.iter().filter(|i| !since.intents.contains(i));
            around.extend(intents.flat_map(|&i| &self.node(i).edges));
            around.sort_unstable();
            around.dedup();
        }
        around.iter().for_each(|&o| self.unprove(o));
        self.set_part_prices(&around, &part, &course.best, &since);
        if !since.changed {
            let bound = part.joint_bound_at(&course.best, demand);
            self.note_proof(&offers, bound.min(course.bound));
        }
        self.is_settled(&around);
    }

    /// Takes over the prices of a part for what is still there; all windows of `offers`, and no others,
    /// may be served by its intents.
    pub(crate) fn set_part_prices(
        &mut self,
        offers: &[u32],
        part: &Compact,
        prices: &Prices,
        since: &Since,
    ) {
        let intents = part.intents.iter().zip(&prices.u);
        for (&i, &u) in intents.filter(|intent| !since.intents.contains(intent.0)) {
            let hot = &mut self.hot[i as usize];
            debug_assert!(hot.price != UNPRICED);
            self.dual += (u - hot.price) as i128;
            hot.price = u;
        }
        let here = |offer: &Offer| !since.offers.contains(&offer.o);
        for (offer, &v) in part.offers.iter().zip(&prices.v).filter(|offer| here(offer.0)) {
            let node = self.offers[offer.o as usize].as_mut().expect("an index in use");
            self.dual += node.placed.stock.max(0) as i128 * (v - node.price) as i128;
            node.price = v;
        }
        // Offers that can open no window have terms too.
        for &o in offers {
            self.offer_mut(o).windows.iter_mut().for_each(|window| window.cover = None);
        }
        for window in &part.windows {
            let offer = &part.offers[window.offer as usize];
            if !here(offer) {
                continue;
            }
            let (o, whole) = (offer.o, offer.whole && !since.changed);
            for &slot in &window.covers {
                debug_assert!(!whole || self.covers(o, slot, window.slot));
                // Who cannot be served as things are is left out of the part; that may change.
                if whole || self.covers(o, slot, window.slot) {
                    let node = self.offer_mut(o).window_mut(slot);
                    node.expect("a window").cover = Some(window.slot);
                }
            }
        }
        for &o in offers {
            for n in 0..self.offer(o).windows.len() {
                let slot = self.offer(o).windows[n].slot;
                self.reckon(o, slot);
            }
        }
    }

    /// What is proven of the market may not hold any more, nor of a part of it that is out.
    pub(crate) fn outdate(&mut self) {
        if let Some(pricing) = &mut self.agenda.pricing {
            pricing.since.changed = true;
        }
    }
}

impl Pricing {
    /// Time passes, and pays for so many steps; returns how many it may take now, of at most `most`.
    pub(crate) fn earn(&mut self, steps: u64, most: u64) -> u64 {
        let most = most.min(i64::MAX as u64) as i64;
        self.credit = self.credit.saturating_add_unsigned(steps).min(most);
        self.credit.max(0) as u64
    }

    fn round(&mut self, demand: &mut Demand) {
        let reach = (self.floor, self.floor + SCALE as i128);
        let done = self.course.round(&self.part, None, reach, demand, &mut |_| {});
        done.expect("nothing is forced");
    }

    /// Whether it is the offer's part, or was when it was taken out.
    pub(crate) fn is_of(&self, o: u32) -> bool {
        self.offers.contains(&o) && !self.since.offers.contains(&o)
    }
}
