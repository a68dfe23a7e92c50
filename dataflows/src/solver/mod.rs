//! One market, kept solved: the best groups known, and a bound that proves how good they are.
//!
//! In the order in which an update passes them: [`change`] takes it into the state ([`market`]) and
//! marks the windows that it touches; [`repair`] brings their groups back under the rules;
//! [`improve`] lets windows open, steal and close while that gains; [`price`] keeps the certificate
//! valid. From time to time, and in a whole solve, [`part`] takes a connected component out into
//! flat arrays ([`compact`]), where prices, search and branch and bound improve it and prove more;
//! [`upkeep`] says which, when, and in how many slices, and of great components a [`region`] at a time,
//! whose prices are set while the market goes on ([`pricing`]).
//! [`group`] is the one exact step they share; [`feasible`] says what a grouping must obey, from the
//! records alone.
//!
//! Never reads a clock, never depends on hash order, indices or arrival order inside a tick.

mod market;

mod candidate;

mod hot;

mod change;

mod terms;

mod pairs;

mod plan;

mod group;

mod intents;

mod leaving;

mod knapsack;

mod repair;

mod improve;

mod price;

mod sums;

mod compact;

mod part;

mod pricing;

mod region;

mod upkeep;

mod effort;

pub mod feasible;

mod audit;

#[cfg(test)]
mod tests;

pub use effort::{Effort, Trials};
pub use market::{Market, PlacedOffer};
pub use price::SCALE;
pub use upkeep::{Due, WHOLE, share_of};

use crate::market::{Certificate, IntentId, Money, ProductId, StoreId, Time, WindowKey};
use compact::search::Greedy;
use plan::Trial;
use serde::{Deserialize, Serialize};

/// A window of a grouping.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupedWindow {
    /// Which window.
    pub key: WindowKey,
    /// The unit price that the group earns.
    pub price: Money,
    /// The members by id, with their distance in metres.
    pub members: Vec<(IntentId, u32)>,
}

/// What the search's chance starts from.
const SEED: u64 = 0x1ce5_0b0b;

/// The most intents and offers, gone ones' places included, of markets that debug builds inspect
/// after every update.
const INSPECTED_INTENTS: usize = 64;
const INSPECTED_OFFERS: usize = 16;

/// How much work a solve may do, in counted steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Rounds of dual prices over the whole market.
    pub price_rounds: u32,
    /// Steps of search over the whole market.
    pub search_steps: u32,
    /// Nodes of branch and bound.
    pub nodes: u32,
    /// Whether groupings from nothing are tried too.
    pub from_scratch: bool,
}

/// How a market is kept up between its updates.
#[derive(Debug, Clone, Copy)]
pub struct Upkeep {
    /// Minutes of logical time since that was last done; they pay for some of the work.
    pub minutes: u64,
    /// What locks before this time is urgent.
    pub soon: Time,
    /// The budget of parts with an urgent window.
    pub now: Budget,
    /// The budget of the others.
    pub later: Budget,
    /// The most (candidate, slot, tier) triples of a part that is solved as a whole; a greater one is
    /// searched region by region, none of them greater.
    pub region: u64,
    /// The most of them, times rounds of prices, of a part whose prices are set with its solve; those of
    /// a greater one are set first, a few rounds after each tick.
    pub apart: u64,
    /// Steps after which a part or a region waits for its next turn, and a market for the next tick; a
    /// great one may take more of them. The most that a market saves up of its share.
    pub slice: u64,
    /// The market's share of the steps that all may take in that time.
    pub share: u64,
}

/// What a solve is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Greedy openings, improved.
    Construct,
    /// Rounds of dual prices.
    Prices,
    /// Search guided by them.
    Search,
    /// Branch and bound.
    Branches,
}

/// How far a solve has come.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// The part of the market that was worked on, from 1, and how many there are.
    pub part: (usize, usize),
    /// What was done there.
    pub phase: Phase,
    /// The market's value, in minor units.
    pub value: i64,
    /// Its bound, in 1/[`SCALE`] of a minor unit.
    pub bound: i128,
}

impl Budget {
    /// No work.
    pub const NONE: Self = Self { price_rounds: 0, search_steps: 0, nodes: 0, from_scratch: false };

    /// The usual budget, that many times over in percent.
    pub fn percent(percent: u32) -> Self {
        let usual = Self::default();
        let of = |count: u32| (count as u64 * percent as u64 / 100).min(u32::MAX as u64) as u32;
        Self {
            price_rounds: of(usual.price_rounds),
            search_steps: of(usual.search_steps),
            nodes: of(usual.nodes),
            from_scratch: true,
        }
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self { price_rounds: 400, search_steps: 2_400, nodes: 1_000, from_scratch: true }
    }
}

/// Dual prices, as a certificate that anyone can check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prices {
    /// Prices are in 1/`scale` of a minor unit.
    pub scale: i64,
    /// The price of each intent that has one.
    pub intents: Vec<(IntentId, i64)>,
    /// The price of a unit of each offer's stock that has one.
    pub offers: Vec<(StoreId, i64)>,
}

impl GroupedWindow {
    /// Whether the intent is a member.
    pub fn has(&self, id: &IntentId) -> bool {
        self.position(id).is_some()
    }

    /// Which of its members the intent is.
    pub fn position(&self, id: &IntentId) -> Option<usize> {
        self.members.binary_search_by(|member| member.0.cmp(id)).ok()
    }
}

impl Market {
    /// Repairs, improves and prices what the updates since the last call have touched.
    ///
    /// **Cost** in proportion to the windows within reach of what was touched.
    pub fn refresh(&mut self) {
        self.refresh_with(Trials::ALL);
    }

    /// The same; so much is tried. What is left out is upkeep's.
    pub fn refresh_with(&mut self, trials: Trials) {
        self.repair();
        if trials.restarts {
            self.rethink();
        } else {
            // Not at the next refresh either: time alone would bring that about, and change groups then.
            self.touched.clear();
            self.effort.crowded += 1;
        }
        self.reprice();
        let wanted = self.price_fresh(trials);
        let list = self.promising(wanted, trials);
        self.improve(list, trials);
        self.dirty.clear();
        debug_assert_eq!(self.inspect_small(), Ok(()));
    }

    /// Solves the whole market from whatever it has: both greedies, improvement, prices.
    pub fn solve(&mut self, budget: Budget) {
        self.solve_watched(budget, &mut |_| {});
    }

    /// The same; `watch` is told how far the market is whenever a phase of one of its parts is over.
    pub fn solve_watched(&mut self, budget: Budget, watch: &mut dyn FnMut(Step)) {
        self.refresh();
        let parts = self.components();
        for (n, offers) in parts.iter().enumerate() {
            let part = (n + 1, parts.len());
            self.solve_part(offers, budget, SEED, &mut |phase, value, bound| {
                watch(Step { part, phase, value, bound });
            });
        }
        self.dirty.clear();
        debug_assert_eq!(self.inspect(), Ok(()));
    }

    /// Improves and proves, within counted budgets, what has changed since that was last done.
    ///
    /// **Contract** nothing has changed since the last refresh.
    pub fn settle_down(&mut self, upkeep: Upkeep) {
        self.plan_upkeep(upkeep);
        while self.has_upkeep() {
            self.keep_up(upkeep, Due::ALL);
        }
    }

    /// Tightens the bound by a counted number of rounds of prices; the grouping stays as it is.
    pub fn tighten_bound(&mut self, rounds: u32) {
        self.reprice();
        self.price_fresh(Trials::ALL);
        for part in self.components() {
            self.tighten_part(&part, rounds);
        }
    }

    /// What has been done in the background so far.
    pub fn effort(&self) -> Effort {
        self.effort
    }

    /// The value of the plain greedy on this market; the incumbent is not changed.
    pub fn greedy_value(&self) -> i64 {
        self.greedy_market().value
    }

    /// The objective without the bonus for staying (R9).
    pub fn plain_value(&self) -> i64 {
        let windows = self.by_store.values().flat_map(|&o| {
            let windows = &self.offer(o).windows;
            windows.iter().flat_map(move |w| w.members.iter().map(move |c| (o, c.intent, w.slot)))
        });
        self.value - windows.map(|(o, i, slot)| self.bonus(o, i, slot)).sum::<i64>()
    }

    /// This market with the plain greedy's grouping: it opens, again and again, the window of
    /// greatest worth to buyers who are free.
    pub fn greedy_market(&self) -> Market {
        let mut copy = self.clone();
        let windows: Vec<_> = copy
            .by_store
            .values()
            .flat_map(|&o| copy.offer(o).windows.iter().map(move |w| (w.slot, o)))
            .collect();
        let windows = copy.in_order(&windows);
        for &(slot, o) in &windows {
            copy.disband(o, slot);
        }
        copy.greedy(&mut Trial::default(), &windows, Greedy::Window);
        copy
    }

    /// The bound in 1/[`SCALE`] of a minor unit: what [`Market::dual_prices`] prove, less what joint
    /// limits and branches have added.
    pub fn scaled_bound(&self) -> i128 {
        self.dual - self.proven
    }

    /// The certificate: the objective and its bound.
    pub fn certificate(&self) -> Certificate {
        Certificate { value: self.value, bound: self.bound() }
    }

    /// The prices behind the bound.
    pub fn dual_prices(&self) -> Prices {
        let intents = self.intents.in_order();
        let id = |i: u32| self.node(i).intent.id.clone();
        let intents = intents.into_iter().map(|i| (id(i), self.price_of(i)));
        let offers = self.by_store.iter().map(|(id, &o)| (id.clone(), self.offer(o).price));
        Prices {
            scale: SCALE,
            intents: intents.filter(|p| p.1 > 0).collect(),
            offers: offers.filter(|p| p.1 > 0).collect(),
        }
    }

    /// The whole grouping, by window.
    pub fn grouping(&self) -> Vec<GroupedWindow> {
        let mut all = Vec::new();
        for (store, &o) in &self.by_store {
            let slots = self.offer(o).windows.iter().filter(|w| !w.members.is_empty());
            all.extend(slots.filter_map(|w| self.window(store, w.slot)));
        }
        all.sort();
        all
    }

    /// The window's group, if it has one.
    pub fn window(&self, store: &StoreId, slot: crate::market::Slot) -> Option<GroupedWindow> {
        let offer = self.offer(*self.by_store.get(store)?);
        let window = offer.window(slot).filter(|w| !w.members.is_empty())?;
        let product: ProductId = offer.placed.offer.key.product.clone();
        Some(GroupedWindow {
            key: WindowKey { slot, store: store.clone(), product },
            price: offer.tiers()[window.tier as usize].price,
            members: window
                .members
                .iter()
                .map(|c| (self.node(c.intent).intent.id.clone(), c.distance_m()))
                .collect(),
        })
    }

    /// Whether [`Market::take_changed`] would name any.
    pub fn has_changed(&self) -> bool {
        !self.changed.is_empty() || !self.gone.is_empty()
    }

    /// The windows whose group may have changed since the last call, in order.
    pub fn take_changed(&mut self) -> Vec<(crate::market::Slot, StoreId)> {
        let mut all = std::mem::take(&mut self.gone);
        for (slot, o) in std::mem::take(&mut self.changed) {
            if self.offers[o as usize].is_some() {
                all.insert((slot, self.store(o).clone()));
            }
        }
        all.into_iter().collect()
    }

    /// The offer of that store, as the market knows it.
    pub fn placed_offer(&self, store: &StoreId) -> Option<&PlacedOffer> {
        self.by_store.get(store).map(|&o| &self.offer(o).placed)
    }

    /// Holds one window against R1-R7, R8 and its offer's stock, from the records alone: every
    /// group that leaves the market passes here.
    ///
    /// **Cost** the distances of the offer's members in the window.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn verify_window(&self, window: &GroupedWindow) -> Result<(), feasible::Violation> {
        let offer = self.offer(self.by_store[&window.key.store]);
        let intent_of = |id: &IntentId| self.intents.find(id).map(|i| &*self.node(i).intent);
        feasible::check_window(&self.params, &offer.placed, window, intent_of)?;
        let used: i64 =
            offer.windows.iter().flat_map(|w| &w.members).map(|c| c.quantity() as i64).sum();
        let homes = window.members.iter().all(|(id, _)| {
            let home = self.intents.find(id).map(|i| self.hot[i as usize].home);
            home == Some(hot::Home::In(self.by_store[&window.key.store], window.key.slot))
        });
        let broken = |what: String| feasible::Violation {
            rule: "R7",
            store: window.key.store.clone(),
            slot: window.key.slot.0,
            what,
        };
        if !homes {
            return Err(broken("an intent is in two windows".into()));
        }
        let stock = offer.placed.stock;
        if used > stock.max(0) {
            return Err(broken(format!("{used} units, stock {stock}")));
        }
        Ok(())
    }

    /// [`Market::inspect`], where that is soon done: for debug builds, after every update.
    ///
    /// # Errors
    /// The first difference, or the first rule that is broken.
    pub(crate) fn inspect_small(&self) -> Result<(), String> {
        let small = self.hot.len() <= INSPECTED_INTENTS && self.offers.len() <= INSPECTED_OFFERS;
        if small { self.inspect() } else { Ok(()) }
    }

    /// Adds every kept sum up anew, and holds the whole grouping against the rules: for tests.
    ///
    /// # Errors
    /// The first difference, or the first rule that is broken.
    pub fn inspect(&self) -> Result<(), String> {
        self.audit()?;
        match self.verify() {
            Ok(value) if value == self.value => Ok(()),
            Ok(value) => Err(format!("value {}, found {value}", self.value)),
            Err(violation) => Err(violation.to_string()),
        }
    }

    /// Holds the grouping against R1-R9, from the records alone; returns its objective.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn verify(&self) -> Result<i64, feasible::Violation> {
        feasible::check_grouping(
            &self.params,
            &self.grouping(),
            |store| self.placed_offer(store),
            |id| self.intents.find(id).map(|i| &*self.node(i).intent),
        )
    }
}
