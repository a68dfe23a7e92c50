//! Parts of a market, each solved and proven alone, and taken back into the market; and regions of
//! great parts, which are searched alone.

use super::compact::Compact;
use super::compact::dual::Prices;
use super::compact::plan::{FREE, Plan};
use super::compact::solve::Solve;
use super::compact::turn::Turn;
use super::hot::Home;
use super::market::Market;
use super::price::SCALE;
use super::pricing::Since;
use super::{Budget, Phase};
use crate::market::Slot;
use serde::{Deserialize, Serialize};

/// What of a market has been passed through.
pub(crate) struct Seen {
    pub offers: Vec<bool>,
    intents: Vec<bool>,
}

impl Market {
    /// The offers of the market, by connected components, each in the order of stores.
    pub(crate) fn components(&self) -> Vec<Vec<u32>> {
        let mut seen = self.nothing_seen();
        let mut all = Vec::new();
        for &o in self.by_store.values() {
            if !seen.offers[o as usize] {
                all.push(self.component(o, &mut seen));
            }
        }
        all
    }

    /// Nothing of the market has been passed through yet.
    pub(crate) fn nothing_seen(&self) -> Seen {
        Seen { offers: vec![false; self.offers.len()], intents: vec![false; self.intents.len()] }
    }

    /// The offers connected with `o`, in the order of stores.
    ///
    /// **Cost** each of their candidates, and once each intent's offers.
    pub(crate) fn component(&self, o: u32, seen: &mut Seen) -> Vec<u32> {
        seen.offers[o as usize] = true;
        let mut offers = vec![o];
        let mut next = 0;
        while next < offers.len() {
            for c in &self.offer(offers[next]).candidates {
                if std::mem::replace(&mut seen.intents[c.intent as usize], true) {
                    continue;
                }
                for &o in &self.node(c.intent).edges {
                    if !std::mem::replace(&mut seen.offers[o as usize], true) {
                        offers.push(o);
                    }
                }
            }
            next += 1;
        }
        offers.sort_by(|a, b| self.by_stores(*a, *b));
        offers
    }

    /// Solves the part of the market that consists of those offers; keeps what gained, and what is
    /// proven. `watch` is told the market's value and bound (scaled) after every phase.
    ///
    /// **Contract** nothing is dirty, stale or fresh.
    pub(crate) fn solve_part(
        &mut self,
        offers: &[u32],
        budget: Budget,
        seed: u64,
        watch: &mut dyn FnMut(Phase, i64, i128),
    ) {
        self.solve_slice(u64::MAX, offers, budget, (seed, &mut Turn::whole()), watch);
    }

    /// The next slice of that within so many steps; returns those taken, and whether it was the last.
    pub(crate) fn solve_slice(
        &mut self,
        allowance: u64,
        offers: &[u32],
        budget: Budget,
        (seed, turn): (u64, &mut Turn),
        watch: &mut dyn FnMut(Phase, i64, i128),
    ) -> (u64, bool) {
        let part = Compact::of(self, offers);
        let mut solve =
            Solve::new(&part, self.plan_of(&part), self.prices_of(&part), budget).within(allowance);
        let begins = turn.done.left.is_none() && !turn.priced;
        let closed = part.is_closed();
        if closed && begins {
            offers.iter().for_each(|&o| self.unprove(o));
        }
        let (value, dual) = (self.value, self.dual - self.proven);
        // Of two windows that are one in the part it may hold both groups as one, at more.
        let (own, own_dual) = (self.value_in(offers), self.dual_of(offers));
        let ends = solve.run(seed, turn, &mut |phase, now, bound| {
            watch(phase, value - own + now, dual - own_dual + bound);
        });
        // A promise that the part cannot hold is for repair alone.
        let gained = solve.gained() || solve.plan.total().value > own;
        if gained && solve.plan.held().len() == self.held_in(offers) {
            self.adopt(&part, &solve.plan);
        }
        let effort = solve.effort;
        if closed && turn.priced && ends {
            self.note_proof(offers, solve.bound);
            self.is_settled(offers);
        } else if closed && (begins || ends) {
            self.take_proof(offers, &part, &solve);
        }
        self.effort.add(&effort);
        self.effort.solved += ends as u64;
        (effort.total(), ends)
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
        self.set_part_prices(offers, part, &solve.prices, &Since::default());
        self.note_proof(offers, solve.bound);
        self.is_settled(offers);
    }

    /// The offers are as solved as they will be until something changes.
    pub(crate) fn is_settled(&mut self, offers: &[u32]) {
        for o in offers {
            self.unsolved.remove(o);
            self.touched.remove(o);
        }
    }

    pub(crate) fn prices_of(&self, part: &Compact) -> Prices {
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
    pub(crate) fn plan_of<'a>(&self, part: &'a Compact) -> Plan<'a> {
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
    ///
    /// Who is in no window any more, and could be served elsewhere, is awake.
    pub(crate) fn adopt(&mut self, part: &Compact, plan: &Plan<'_>) {
        let shared = part.intents.iter().zip(&part.shared).filter(|(_, shared)| **shared);
        let grouped = |i: &&u32| self.hot[**i as usize].home != Home::Free;
        let shared: Vec<u32> = shared.map(|(i, _)| i).filter(grouped).copied().collect();
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
                let at = self.candidate_of(o, i).expect("a candidate");
                self.offer(o).candidates[at]
            });
            let group = group.collect();
            self.seat(o, slot, group);
        }
        let free = |i: &u32| self.hot[*i as usize].home == Home::Free;
        self.awake.extend(shared.into_iter().filter(free));
        debug_assert_eq!(
            plan.home.iter().filter(|h| **h != FREE).count(),
            (part.intents.iter().zip(&part.away))
                .filter(|&(&i, away)| !away && self.hot[i as usize].home != Home::Free)
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

    /// Notes that the part's objective is at most `bound` (scaled), whatever its prices say, until
    /// one of its offers changes.
    pub(crate) fn note_proof(&mut self, offers: &[u32], bound: i128) {
        let less = (self.dual_of(offers) - bound).max(0);
        offers.iter().for_each(|&o| self.unprove(o));
        offers.iter().for_each(|&o| self.offer_mut(o).proof = Some(offers[0]));
        let optimal = bound.div_euclid(SCALE as i128) <= self.value_in(offers) as i128;
        self.proven += less;
        self.proofs.insert(offers[0], Proof { offers: offers.to_vec(), less, optimal });
    }

    /// How much of the objective is in parts whose grouping is proven to be optimal.
    ///
    /// **Cost** the offers of the market.
    pub fn proven_value(&self) -> i64 {
        let optimal = self.proofs.values().filter(|proof| proof.optimal);
        optimal.map(|proof| self.value_in(&proof.offers)).sum()
    }

    /// The offers' part of the objective.
    pub(crate) fn value_in(&self, offers: &[u32]) -> i64 {
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

    /// What the offer's stock and windows add to the bound, scaled.
    pub(crate) fn terms_of(&self, o: u32) -> i128 {
        let offer = self.offer(o);
        let stock = offer.placed.stock.max(0) as i128 * offer.price as i128;
        stock + offer.windows.iter().map(|w| w.term as i128).sum::<i128>()
    }

    /// The part's share of the bound by prices, scaled.
    pub(crate) fn dual_of(&self, offers: &[u32]) -> i128 {
        let terms: i128 = offers.iter().map(|&o| self.terms_of(o)).sum();
        let prices = self.intents_near(offers).into_iter().map(|i| self.price_of(i) as i128);
        terms + prices.sum::<i128>()
    }

    /// The objective of the offer's part may rise by that much (scaled), whatever is proven of it.
    pub(crate) fn raise_proof(&mut self, o: u32, by: i128) {
        self.outdate();
        if let Some(key) = self.offer(o).proof {
            self.keep_proof(key, -by);
        }
    }

    /// What was proven of the offer's part holds no more.
    pub(crate) fn unprove(&mut self, o: u32) {
        self.outdate();
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

/// What was proven of a part, until something in it changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Proof {
    offers: Vec<u32>,
    /// By how much its bound is less than that of its prices, scaled.
    pub less: i128,
    /// Whether its grouping is optimal.
    optimal: bool,
}
