//! Parts of a market, each solved and proven alone, and taken back into the market.

use super::compact::Compact;
use super::compact::dual::Prices;
use super::compact::plan::{FREE, Plan};
use super::compact::solve::Solve;
use super::effort::{MOST_SAVED, STEPS_A_MINUTE, STEPS_AN_UPDATE};
use super::market::Market;
use super::plan::Home;
use super::price::{SCALE, UNPRICED};
use super::{Budget, Phase, Upkeep};
use crate::market::{Slot, Time};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;

/// A part whose gap is no more than this share of its value is left alone: one of which a window
/// locks soon, and any other.
const ENOUGH: (i128, i128) = (400, 100);

impl Market {
    /// The offers of the market, by connected components, each in the order of stores.
    pub(crate) fn components(&self) -> Vec<Vec<u32>> {
        let mut seen = vec![false; self.offers.len()];
        let mut all = Vec::new();
        for &o in self.by_store.values() {
            if !seen[o as usize] {
                all.push(self.component(o, &mut seen));
            }
        }
        all
    }

    /// The offers connected with `o`, in the order of stores.
    fn component(&self, o: u32, seen: &mut [bool]) -> Vec<u32> {
        seen[o as usize] = true;
        let mut offers = vec![o];
        let mut next = 0;
        while next < offers.len() {
            for c in &self.offer(offers[next]).candidates {
                for &o in &self.node(c.intent).edges {
                    if !std::mem::replace(&mut seen[o as usize], true) {
                        offers.push(o);
                    }
                }
            }
            next += 1;
        }
        offers.sort_by(|a, b| self.store(*a).cmp(self.store(*b)));
        offers
    }

    /// Solves the part of the market that consists of those offers; keeps what gained, and what is
    /// proven. `watch` is told the market's value and bound (scaled) after every phase.
    ///
    /// **Contract** the offers are closed; nothing is dirty, stale or fresh.
    pub(crate) fn solve_part(
        &mut self,
        offers: &[u32],
        budget: Budget,
        seed: u64,
        watch: &mut dyn FnMut(Phase, i64, i128),
    ) {
        self.solve_within(u64::MAX, offers, budget, seed, watch);
    }

    /// The same within so many steps; returns those taken.
    fn solve_within(
        &mut self,
        allowance: u64,
        offers: &[u32],
        budget: Budget,
        seed: u64,
        watch: &mut dyn FnMut(Phase, i64, i128),
    ) -> u64 {
        let part = Compact::of(self, offers);
        let mut solve =
            Solve::new(&part, self.plan_of(&part), self.prices_of(&part), budget).within(allowance);
        offers.iter().for_each(|&o| self.unprove(o));
        let (value, dual) = (self.value, self.dual - self.proven);
        let (own, own_dual) = (solve.plan.total().value, self.dual_of(offers));
        solve.run(seed, &mut |phase, now, bound| {
            watch(phase, value - own + now, dual - own_dual + bound);
        });
        // A promise that the part cannot hold is for repair alone.
        if solve.gained() && solve.plan.held().len() == self.held_in(offers) {
            self.adopt(&part, &solve.plan);
        }
        let effort = solve.effort;
        self.take_proof(offers, &part, &solve);
        self.effort.add(&effort);
        self.effort.solved += 1;
        effort.total()
    }

    /// Tightens the bound of a part by rounds of prices, and leaves its grouping as it is.
    pub(crate) fn tighten_part(&mut self, offers: &[u32], rounds: u32) {
        let part = Compact::of(self, offers);
        let budget = Budget { price_rounds: rounds, ..Budget::NONE };
        let mut solve = Solve::new(&part, self.plan_of(&part), self.prices_of(&part), budget);
        solve.prove();
        offers.iter().for_each(|&o| self.unprove(o));
        self.take_proof(offers, &part, &solve);
    }

    /// Takes over the prices of a solve, and what it has proven.
    fn take_proof(&mut self, offers: &[u32], part: &Compact, solve: &Solve<'_>) {
        self.set_part_prices(offers, part, &solve.prices);
        self.note_proof(offers, solve.bound);
    }

    /// Solves again the parts that have changed since they were: those with a window that locks
    /// soon first, then the others, the greatest gap first, while the market's credit lasts.
    ///
    /// **Contract** nothing is dirty, stale or fresh.
    pub(crate) fn settle_parts(&mut self, upkeep: Upkeep, seed: u64) {
        let Upkeep { minutes, soon, now, later } = upkeep;
        let earned = std::mem::take(&mut self.updates).saturating_mul(STEPS_AN_UPDATE);
        let earned = earned.saturating_add(minutes.saturating_mul(STEPS_A_MINUTE));
        self.credit = self.credit.saturating_add(earned).min(MOST_SAVED);
        let mut parts = self.changed_parts(soon);
        parts.retain(|part| {
            let (budget, enough) = if part.urgent { (now, ENOUGH.0) } else { (later, ENOUGH.1) };
            budget != Budget::NONE && part.gap >= SCALE as i128 + part.value / enough
        });
        for Changed { urgent, offers, .. } in parts {
            let least = if urgent { 1 } else { self.steps_of(&offers, later) };
            if self.credit < least.min(MOST_SAVED) {
                self.effort.shed += 1;
                self.unsolved.extend(offers);
                continue;
            }
            let budget = if urgent { now } else { later };
            let used = self.solve_within(self.credit, &offers, budget, seed, &mut |_, _, _| {});
            self.credit = self.credit.saturating_sub(used);
        }
    }

    /// Steps that all rounds of prices of a part take, and as many for search.
    fn steps_of(&self, offers: &[u32], budget: Budget) -> u64 {
        let pairs = |o: &u32| {
            let offer = self.offer(*o);
            offer.windows.iter().map(|w| w.eligible as u64).sum::<u64>()
                * offer.tiers().len() as u64
        };
        2 * budget.price_rounds as u64 * offers.iter().map(pairs).sum::<u64>()
    }

    /// The parts that have changed since they were solved: those that lock before `soon` first, then
    /// by gap, then by their first stores. They count as unchanged from now on.
    fn changed_parts(&mut self, soon: Time) -> Vec<Changed> {
        let mut seen = vec![false; self.offers.len()];
        let mut unsolved: Vec<u32> = std::mem::take(&mut self.unsolved).into_iter().collect();
        unsolved.retain(|&o| self.offers[o as usize].is_some());
        unsolved.sort_by(|a, b| self.store(*a).cmp(self.store(*b)));
        let mut parts = Vec::new();
        for o in unsolved {
            if !seen[o as usize] {
                let offers = self.component(o, &mut seen);
                let urgent = offers.iter().any(|&o| self.locks_before(o, soon));
                let value = self.value_in(&offers) as i128 * SCALE as i128;
                let gap = self.dual_of(&offers) - value;
                parts.push(Changed { urgent, gap, value, offers });
            }
        }
        parts.sort_by_key(|part| (Reverse(part.urgent), Reverse(part.gap)));
        parts
    }

    /// Whether a window of the offer that may open, or is open, locks before `soon`.
    fn locks_before(&self, o: u32, soon: Time) -> bool {
        let offer = self.offer(o);
        let until = self.first_open_at(&offer.placed.offer, soon);
        let least = offer.tiers()[0].min_buyers;
        let mut windows = offer.windows.iter().take_while(|w| w.slot < until);
        windows.any(|w| w.eligible >= least)
    }

    fn prices_of(&self, part: &Compact) -> Prices {
        Prices {
            u: part.intents.iter().map(|&i| self.price_of(i)).collect(),
            v: part.offers.iter().map(|offer| self.offer(offer.o).price).collect(),
        }
    }

    /// How many buyers of the offers' windows accepted them.
    fn held_in(&self, offers: &[u32]) -> usize {
        let windows = offers.iter().flat_map(|&o| &self.offer(o).windows);
        windows.flat_map(|w| &w.members).filter(|c| self.pinned(c.intent)).count()
    }

    /// The incumbent, as far as the part can hold it.
    fn plan_of<'a>(&self, part: &'a Compact) -> Plan<'a> {
        let mut plan = Plan::empty(part);
        for (number, offer) in part.offers.iter().enumerate() {
            for node in self.offer(offer.o).windows.iter().filter(|w| !w.members.is_empty()) {
                let ids: Vec<u32> = node.members.iter().map(|c| c.intent).collect();
                let home = self.window_for(part, &plan, number, node.slot, &ids);
                if let Some((w, members)) = home {
                    plan.set(w, members);
                }
            }
        }
        plan.keep();
        plan
    }

    /// The window of the part that can hold the group, with what it holds already.
    fn window_for(
        &self,
        part: &Compact,
        plan: &Plan<'_>,
        offer: usize,
        slot: Slot,
        ids: &[u32],
    ) -> Option<(u32, Vec<u32>)> {
        let windows = &part.offers[offer].windows;
        let own = windows.iter().filter(|w| part.windows[**w as usize].stands_for.contains(&slot));
        for &w in own.chain(windows) {
            let window = &part.windows[w as usize];
            let mut members = plan.members[w as usize].clone();
            let places = ids.iter().map(|id| {
                let mut of = (window.first..).zip(part.cands_of(w));
                of.find(|(_, c)| part.intents[c.intent as usize] == *id).map(|(n, _)| n)
            });
            let Some(places) = places.collect::<Option<Vec<u32>>>() else { continue };
            members.extend(places);
            members.sort_unstable();
            let offer = &part.offers[offer];
            let tier = offer.tiers.iter().rev().find(|t| t.min_buyers as usize <= members.len());
            let pay = |price: i64| members.iter().all(|&n| part.cands[n as usize].pays(price));
            if members.len() <= offer.cap && tier.is_some_and(|t| pay(t.price.minor())) {
                return Some((w, members));
            }
        }
        None
    }

    /// Takes the grouping over: every group in the earliest slot that can hold it at no less.
    fn adopt(&mut self, part: &Compact, plan: &Plan<'_>) {
        for offer in &part.offers {
            for n in 0..self.offer(offer.o).windows.len() {
                let slot = self.offer(offer.o).windows[n].slot;
                self.disband(offer.o, slot);
            }
        }
        for (w, members) in plan.members.iter().enumerate() {
            if members.is_empty() {
                continue;
            }
            let o = part.offer_of(w as u32).o;
            let ids: Vec<u32> = members
                .iter()
                .map(|&n| part.intents[part.cands[n as usize].intent as usize])
                .collect();
            let slot = self.earliest(o, part.windows[w].slot, &ids);
            let group = ids.iter().map(|&i| {
                let at = self.candidate_at(o, &self.node(i).intent.id).expect("a candidate");
                self.offer(o).candidates[at]
            });
            let group = group.collect();
            self.seat(o, slot, group);
        }
        debug_assert_eq!(
            plan.home.iter().filter(|h| **h != FREE).count(),
            part.intents
                .iter()
                .filter(|&&i| matches!(self.hot[i as usize].home, Home::In(..)))
                .count()
        );
    }

    /// The first empty slot of the offer that can hold the group at no less worth than `slot`.
    fn earliest(&self, o: u32, slot: Slot, ids: &[u32]) -> Slot {
        let offer = self.offer(o);
        let worth = |slot: Slot, visit: i64| -> i64 {
            ids.iter().map(|&i| visit + self.bonus(o, i, slot)).sum()
        };
        let visit = offer.window(slot).expect("a window of the part").visit_value;
        let least = worth(slot, visit);
        let holds = |slot: Slot| ids.iter().all(|&i| self.eligible(o, i, slot));
        let mut windows = offer.windows.iter().take_while(|w| w.slot < slot);
        windows
            .find(|w| {
                w.members.is_empty() && holds(w.slot) && worth(w.slot, w.visit_value) >= least
            })
            .map_or(slot, |w| w.slot)
    }

    fn set_part_prices(&mut self, offers: &[u32], part: &Compact, prices: &Prices) {
        for (&i, &u) in part.intents.iter().zip(&prices.u) {
            let hot = &mut self.hot[i as usize];
            debug_assert!(hot.price != UNPRICED);
            self.dual += (u - hot.price) as i128;
            hot.price = u;
        }
        for (offer, &v) in part.offers.iter().zip(&prices.v) {
            let node = self.offers[offer.o as usize].as_mut().expect("an index in use");
            self.dual += offer.stock as i128 * (v - node.price) as i128;
            node.price = v;
        }
        // Offers that can open no window have terms too.
        for &o in offers {
            self.unsolved.remove(&o);
            self.offer_mut(o).windows.iter_mut().for_each(|window| window.cover = None);
        }
        for window in &part.windows {
            let o = part.offers[window.offer as usize].o;
            for &slot in &window.covers {
                // The part leaves out who cannot be served as things are; that may change.
                if self.covers(o, slot, window.slot) {
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

    /// Notes that the part's objective is at most `bound` (scaled), whatever its prices say, until
    /// one of its offers changes.
    fn note_proof(&mut self, offers: &[u32], bound: i128) {
        let less = (self.dual_of(offers) - bound).max(0);
        offers.iter().for_each(|&o| self.unprove(o));
        offers.iter().for_each(|&o| self.offer_mut(o).proof = Some(offers[0]));
        let optimal = bound.div_euclid(SCALE as i128) <= self.value_in(offers) as i128;
        self.proven += less;
        self.proofs.insert(offers[0], Proof { offers: offers.to_vec(), less, optimal });
        // They are as solved as they will be until something changes.
        offers.iter().for_each(|o| {
            self.unsolved.remove(o);
            self.touched.remove(o);
        });
    }

    /// How much of the objective is in parts whose grouping is proven to be optimal.
    ///
    /// **Cost** the offers of the market.
    pub fn proven_value(&self) -> i64 {
        let optimal = self.proofs.values().filter(|proof| proof.optimal);
        optimal.map(|proof| self.value_in(&proof.offers)).sum()
    }

    /// The offers' part of the objective.
    fn value_in(&self, offers: &[u32]) -> i64 {
        offers.iter().flat_map(|&o| &self.offer(o).windows).map(|w| w.value).sum()
    }

    /// A part's bound by prices has changed by that much, and the market has not: what is proven
    /// stays as it is.
    pub(crate) fn keep_proof(&mut self, key: u32, rises: i128) {
        let proof = self.proofs.get_mut(&key).expect("a proof is kept");
        // Below 0 while the prices prove more, as far as terms that are stale may say so.
        proof.less += rises;
        self.proven += rises;
    }

    /// Windows whose cover ends, by their slot and its, add to the bound again.
    pub(crate) fn uncover(&mut self, o: u32, mut ends: impl FnMut(Slot, Slot) -> bool) {
        let node = self.offers[o as usize].as_mut().expect("an index in use");
        for window in &mut node.windows {
            if window.cover.is_some_and(|cover| ends(window.slot, cover)) {
                window.cover = None;
                self.stale.insert((window.slot, o));
            }
        }
    }

    /// Whether the window of slot `cover` can hold whatever that of `slot` can, at no less worth.
    pub(crate) fn covers(&self, o: u32, slot: Slot, cover: Slot) -> bool {
        let offer = self.offer(o);
        let (Some(small), Some(great)) = (offer.window(slot), offer.window(cover)) else {
            return false;
        };
        let holds = |i: u32| {
            self.eligible(o, i, cover)
                && great.visit_value + self.bonus(o, i, cover)
                    >= small.visit_value + self.bonus(o, i, slot)
        };
        let mut inside = offer.candidates.iter().filter(|c| self.eligible(o, c.intent, slot));
        great.cover.is_none()
            && great.eligible as usize <= offer.max_group()
            && inside.all(|c| holds(c.intent))
    }

    /// The part's share of the bound by prices, scaled.
    fn dual_of(&self, offers: &[u32]) -> i128 {
        let mut intents: Vec<u32> = Vec::new();
        let mut dual = 0;
        for &o in offers {
            let offer = self.offer(o);
            dual += offer.placed.stock.max(0) as i128 * offer.price as i128;
            dual += offer.windows.iter().map(|w| w.term as i128).sum::<i128>();
            intents.extend(offer.candidates.iter().map(|c| c.intent));
        }
        intents.sort_unstable();
        intents.dedup();
        dual + intents.iter().map(|&i| self.price_of(i) as i128).sum::<i128>()
    }

    /// The objective of the offer's part may rise by that much (scaled), whatever is proven of it.
    pub(crate) fn raise_proof(&mut self, o: u32, by: i128) {
        if let Some(key) = self.offer(o).proof {
            self.keep_proof(key, -by);
        }
    }

    /// What was proven of the offer's part holds no more.
    pub(crate) fn unprove(&mut self, o: u32) {
        self.unsolved.insert(o);
        self.touched.insert(o);
        let Some(proof) = self.offers[o as usize].as_mut().and_then(|node| node.proof.take())
        else {
            return;
        };
        let Proof { offers, less, .. } = self.proofs.remove(&proof).expect("a proof is kept");
        self.proven -= less;
        for o in offers {
            if let Some(node) = &mut self.offers[o as usize] {
                node.proof = None;
            }
        }
    }
}

/// A part that has changed since it was solved.
struct Changed {
    /// Whether one of its windows locks soon.
    urgent: bool,
    /// Its bound by prices less its value, and that; scaled.
    gap: i128,
    value: i128,
    offers: Vec<u32>,
}

/// What was proven of a part, until something in it changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Proof {
    offers: Vec<u32>,
    /// By how much its bound is less than that of its prices, scaled.
    pub less: i128,
    /// Whether its grouping is optimal.
    optimal: bool,
}
