//! Dual prices: the proof that goes with every grouping.
//!
//! With a price for every intent and for a unit of every offer's stock, none negative, no grouping
//! is worth more than the sum of the intents' prices, each stock at its price, and for each window
//! the best group at values reduced by those prices, if that is positive (weak duality: the rules
//! "an intent at most once" and "no more than the stock" are bought instead of obeyed). Any prices
//! give a valid bound; good ones give a tight one.
//!
//! **Invariant** `market.dual` is that sum, exactly, whenever [`Market::reprice`] has run.

use super::market::Market;
use crate::market::Slot;
use std::collections::BTreeSet;

/// Prices are in 1/256 of a minor unit.
pub const SCALE: i64 = 256;

/// The greatest price of an intent: above anything that an intent can be worth.
const MAX_PRICE: i64 = 1 << 48;
/// The greatest price of a unit of stock: above anything that a unit can be worth.
const MAX_UNIT_PRICE: i64 = 1 << 38;
/// How many subgradient rounds may pass without a better bound before the step is halved.
const PATIENCE: u32 = 4;

/// Scratch space of a window's term.
#[derive(Debug, Default)]
struct Scratch {
    /// (reduced worth but for the tier's price, units, gain at price 0, intent)
    items: Vec<(i64, i64, i64, u32)>,
    /// (reduced worth at the tier, position)
    reduced: Vec<(i64, u32)>,
}

/// A window's best group at reduced values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Term {
    /// Its worth, never negative, scaled.
    pub worth: i64,
    /// Who is in it; nobody where the worth is 0.
    pub chosen: Vec<u32>,
}

impl Market {
    /// The bound: no grouping of this market has a greater objective.
    pub(crate) fn bound(&self) -> i64 {
        (self.dual.div_euclid(SCALE as i128)) as i64
    }

    /// Sets the intent's price; its windows' terms are to be computed again.
    pub(crate) fn set_price(&mut self, i: u32, price: i64) {
        debug_assert!(price >= 0);
        let old = std::mem::replace(&mut self.hot[i as usize].price, price);
        if old != price {
            self.dual += (price - old) as i128;
            self.mark_intent(i);
        }
    }

    /// The term of one window at the prices as they are. With `choose`, says who is in the group.
    ///
    /// **Cost** O(tiers * candidates of the offer).
    fn term(&self, o: u32, slot: Slot, choose: bool, scratch: &mut Scratch) -> Term {
        let offer = self.offer(o);
        let Some(window) = offer.window(slot) else { return Term::default() };
        let least = offer.tiers()[0].min_buyers as usize;
        if (window.eligible as usize) < least || offer.max_group() < least {
            return Term::default();
        }
        let stock = offer.placed.stock.max(0);
        scratch.items.clear();
        for c in &offer.candidates {
            let quantity = c.quantity as i64;
            if quantity <= stock && self.eligible(o, c.intent, slot) {
                let extra = window.visit_value + self.bonus(o, c.intent, slot);
                let price = self.hot[c.intent as usize].price + offer.price * quantity;
                let worth = (c.base + extra) * SCALE - price;
                scratch.items.push((worth, quantity, c.base, c.intent));
            }
        }
        let mut best = Term::default();
        for tier in offer.tiers() {
            let (price, least) = (tier.price.minor(), tier.min_buyers as usize);
            scratch.reduced.clear();
            for (n, &(worth, quantity, base, _)) in scratch.items.iter().enumerate() {
                if base >= quantity * price {
                    scratch.reduced.push((worth - quantity * price * SCALE, n as u32));
                }
            }
            let most = offer.max_group().min(scratch.reduced.len());
            if least > most {
                continue;
            }
            let positive = scratch.reduced.iter().filter(|r| r.0 > 0).count();
            let size = positive.clamp(least, most);
            if size < scratch.reduced.len() {
                scratch
                    .reduced
                    .select_nth_unstable_by(size - 1, |a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
            }
            let worth: i64 = scratch.reduced[..size].iter().map(|r| r.0).sum();
            if worth > best.worth {
                best.worth = worth;
                if choose {
                    let group = scratch.reduced[..size].iter();
                    best.chosen = group.map(|r| scratch.items[r.1 as usize].3).collect();
                }
            }
        }
        best
    }

    /// Computes the windows' terms again.
    pub(crate) fn reprice(&mut self, list: &BTreeSet<(Slot, u32)>) {
        let mut scratch = Scratch::default();
        for &(slot, o) in list {
            if self.offers[o as usize].as_ref().is_none_or(|offer| offer.window(slot).is_none()) {
                continue;
            }
            let worth = self.term(o, slot, false, &mut scratch).worth;
            let window = self.offer_mut(o).window_mut(slot).expect("just found");
            let old = std::mem::replace(&mut window.term, worth);
            self.dual += (worth - old) as i128;
        }
    }

    /// Prices the intents that came or changed: each at what it adds to the second of the windows
    /// that want it most, which is where the bound stops falling.
    pub(crate) fn price_fresh(&mut self) {
        let mut fresh: Vec<u32> = std::mem::take(&mut self.fresh).into_iter().collect();
        fresh.sort_by(|a, b| self.node(*a).intent.id.cmp(&self.node(*b).intent.id));
        let mut scratch = Scratch::default();
        for i in fresh {
            let windows = self.windows_of(i);
            let price = self.hot[i as usize].price;
            let (mut first, mut second) = (0, 0);
            for &(slot, o) in &windows {
                self.hot[i as usize].price = 0;
                let with = self.term(o, slot, false, &mut scratch).worth;
                self.hot[i as usize].price = i64::MAX / 4;
                let without = self.term(o, slot, false, &mut scratch).worth;
                let bid = with - without;
                if bid > first {
                    (first, second) = (bid, first);
                } else {
                    second = second.max(bid);
                }
            }
            self.hot[i as usize].price = price;
            self.set_price(i, second.min(MAX_PRICE));
            self.reprice(&windows.into_iter().collect());
        }
    }

    /// Every window in which the intent is a candidate.
    fn windows_of(&self, i: u32) -> Vec<(Slot, u32)> {
        let hot = &self.hot[i as usize];
        let mut all = Vec::new();
        for &o in &self.node(i).edges {
            let windows = &self.offer(o).windows;
            let first = windows.partition_point(|w| w.slot < hot.from);
            all.extend(
                windows[first..].iter().take_while(|w| w.slot < hot.until).map(|w| (w.slot, o)),
            );
        }
        all
    }

    /// Tightens the bound by `rounds` of subgradient steps over the whole market; keeps the best
    /// prices found, those from before among them.
    ///
    /// **Cost** `rounds` times the terms of all windows.
    pub(crate) fn tighten(&mut self, rounds: u32) {
        let windows: Vec<(Slot, u32)> = self
            .by_store
            .values()
            .flat_map(|&o| self.offer(o).windows.iter().map(move |w| (w.slot, o)))
            .collect();
        let intents: Vec<u32> = self.by_id.values().copied().collect();
        let offers: Vec<u32> = self.by_store.values().copied().collect();
        let mut best = (self.dual, self.prices(&intents, &offers));
        let floor = self.value as i128 * SCALE as i128;
        let (mut halvings, mut waited) = (0u32, 0);
        for _ in 0..rounds {
            let (wanted, units) = self.demand(&windows);
            if self.dual < best.0 {
                best = (self.dual, self.prices(&intents, &offers));
                waited = 0;
            } else {
                waited += 1;
                if waited > PATIENCE {
                    halvings += 1;
                    waited = 0;
                    self.set_prices(&intents, &offers, &best.1);
                }
            }
            if best.0 <= floor || halvings > 12 || !self.step(&intents, &offers, &wanted, &units, halvings, floor)
            {
                break;
            }
        }
        self.demand(&windows);
        if self.dual > best.0 {
            self.set_prices(&intents, &offers, &best.1);
            self.demand(&windows);
        }
        debug_assert!(self.dual <= best.0);
    }

    /// Computes every term; returns how many windows want each intent, and each offer's units.
    fn demand(&mut self, windows: &[(Slot, u32)]) -> (Vec<i64>, Vec<i64>) {
        let mut scratch = Scratch::default();
        let mut wanted = vec![0; self.intents.len()];
        let mut units = vec![0; self.offers.len()];
        for &(slot, o) in windows {
            let term = self.term(o, slot, true, &mut scratch);
            for &i in &term.chosen {
                wanted[i as usize] += 1;
                units[o as usize] += self.node(i).intent.quantity as i64;
            }
            let window = self.offer_mut(o).window_mut(slot).expect("listed");
            let old = std::mem::replace(&mut window.term, term.worth);
            self.dual += (term.worth - old) as i128;
        }
        (wanted, units)
    }

    fn prices(&self, intents: &[u32], offers: &[u32]) -> (Vec<i64>, Vec<i64>) {
        (
            intents.iter().map(|&i| self.hot[i as usize].price).collect(),
            offers.iter().map(|&o| self.offer(o).price).collect(),
        )
    }

    fn set_prices(&mut self, intents: &[u32], offers: &[u32], prices: &(Vec<i64>, Vec<i64>)) {
        for (&i, &price) in intents.iter().zip(&prices.0) {
            self.dual += (price - self.hot[i as usize].price) as i128;
            self.hot[i as usize].price = price;
        }
        for (&o, &price) in offers.iter().zip(&prices.1) {
            let offer = self.offer_mut(o);
            let stock = offer.placed.stock.max(0);
            let old = std::mem::replace(&mut offer.price, price);
            self.dual += stock as i128 * (price - old) as i128;
        }
    }

    /// One step against the subgradient, of Polyak's length; false where there is none.
    fn step(
        &mut self,
        intents: &[u32],
        offers: &[u32],
        wanted: &[i64],
        units: &[i64],
        halvings: u32,
        floor: i128,
    ) -> bool {
        let slack = |m: &Self, i: u32| {
            let slack = 1 - wanted[i as usize];
            if slack > 0 && m.hot[i as usize].price == 0 { 0 } else { slack }
        };
        let spare = |m: &Self, o: u32| {
            let offer = m.offer(o);
            let spare = offer.placed.stock.max(0) - units[o as usize];
            if spare > 0 && offer.price == 0 { 0 } else { spare }
        };
        let norm: i128 = intents.iter().map(|&i| (slack(self, i) as i128).pow(2)).sum::<i128>()
            + offers.iter().map(|&o| (spare(self, o) as i128).pow(2)).sum::<i128>();
        if norm == 0 {
            return false;
        }
        let length = (self.dual - floor).max(1);
        let most = MAX_PRICE as i128;
        let along =
            |by: i64| (by as i128 * length / (norm << halvings)).clamp(-most, most) as i64;
        let mut moved = false;
        let mut next = self.prices(intents, offers);
        for (price, &i) in next.0.iter_mut().zip(intents) {
            let to = (*price - along(slack(self, i))).clamp(0, MAX_PRICE);
            moved |= to != *price;
            *price = to;
        }
        for (price, &o) in next.1.iter_mut().zip(offers) {
            let to = (*price - along(spare(self, o))).clamp(0, MAX_UNIT_PRICE);
            moved |= to != *price;
            *price = to;
        }
        self.set_prices(intents, offers, &next);
        moved
    }
}
