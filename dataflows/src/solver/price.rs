//! Dual prices: the proof that goes with every grouping.
//!
//! With a price for every intent and for a unit of every offer's stock, none negative, no grouping
//! is worth more than the sum of the intents' prices, each stock at its price, and for each window
//! the best group at values reduced by those prices, if that is positive (weak duality: the rules
//! "an intent at most once" and "no more than the stock" are bought instead of obeyed). Any prices
//! give a valid bound; good ones give a tight one.
//!
//! An update changes what a window's tiers are worth in constant time ([`super::sums`]): its term
//! may then be a little more than the best group's worth, never less. Such windows are *loose*, and
//! a counted number of them is made exact again at every refresh.
//!
//! **Invariant** `market.dual` is that sum, exactly, for the terms that are kept; a term that could
//! be too low is that of a window in `market.stale`. Intents that are fresh have no price, and no
//! term has them.

use super::candidate::Candidate;
use super::effort::Trials;
use super::hot::UNPRICED;
use super::market::{Market, OfferNode, WindowNode};
use super::sums::{Sizes, TierSum, scan};
use crate::market::Slot;
use std::cmp::Reverse;

/// Prices are in 1/256 of a minor unit.
pub const SCALE: i64 = 256;

/// The greatest price of an intent: above anything that an intent can be worth.
const MAX_PRICE: i64 = 1 << 48;
/// How many of the windows that want a fresh intent most are made exact before it is priced.
const EXACT_BIDS: usize = 3;

/// A window's wish for an intent: what the intent would add to its term, and which window.
type Bid = (i64, Slot, u32);

impl OfferNode {
    /// The sizes that a group can have at that tier.
    #[inline]
    pub(crate) fn sizes(&self, tier: usize) -> Sizes {
        // Every buyer takes a unit at least.
        let most =
            self.placed.offer.max_group.min(self.placed.stock.clamp(0, u32::MAX as i64) as u32);
        Sizes { least: self.tiers()[tier].min_buyers, most }
    }
}

impl Market {
    /// The bound: no grouping of this market has a greater objective.
    pub(crate) fn bound(&self) -> i64 {
        (self.dual - self.proven).div_euclid(SCALE as i128).min(i64::MAX as i128) as i64
    }

    /// The intent's price; 0 while it has none.
    pub(crate) fn price_of(&self, i: u32) -> i64 {
        self.hot[i as usize].price.max(0)
    }

    /// A candidate's worth at price 0 in the window, if the intent costs `price`; scaled.
    #[inline]
    fn worth(&self, o: u32, c: &Candidate, window: &WindowNode, price: i64) -> i64 {
        let extra = window.visit_value + self.bonus(o, c.intent, window.slot);
        (c.base() + extra) * SCALE - price - self.offer(o).price * c.quantity() as i64
    }

    /// Whether the candidate takes part in the window's term, once it has a price.
    #[inline]
    fn takes_part(&self, o: u32, c: &Candidate, slot: Slot) -> bool {
        c.quantity() as i64 <= self.offer(o).placed.stock.max(0) && self.eligible(o, c.intent, slot)
    }

    /// What the window's tiers are worth, exactly.
    ///
    /// **Cost** O(candidates of the offer, and tiers times those in time).
    pub(crate) fn sums_of(&self, o: u32, slot: Slot) -> Vec<TierSum> {
        let offer = self.offer(o);
        let Some(window) = offer.window(slot) else { return Vec::new() };
        let mut listed: Vec<(i64, i64, i32)> = Vec::with_capacity(window.eligible as usize);
        let stock = offer.placed.stock.max(0);
        for at in self.who_may(o, slot) {
            let c = &offer.candidates[at as usize];
            let price = self.hot[c.intent as usize].price;
            if price != UNPRICED && c.quantity() as i64 <= stock {
                listed.push((
                    self.worth(o, c, window, price),
                    c.quantity() as i64 * SCALE,
                    self.limit_of(c),
                ));
            }
        }
        let mut worths = Vec::with_capacity(listed.len());
        let tiers = offer.tiers().iter().enumerate().map(|(tier, step)| {
            let price = step.price.minor();
            worths.clear();
            let pay = listed.iter().filter(|l| price <= l.2 as i64);
            worths.extend(pay.map(|&(worth, units, _)| worth - units * price));
            scan(&mut worths, offer.sizes(tier))
        });
        tiers.collect()
    }

    /// What the sums make the window's term: the bound of its best tier, never negative.
    pub(crate) fn term_of(&self, o: u32, sums: &[TierSum]) -> i64 {
        let offer = self.offer(o);
        let tiers = sums.iter().enumerate();
        tiers.filter_map(|(tier, sum)| sum.bound(offer.sizes(tier))).max().unwrap_or(0).max(0)
    }

    /// What the window would be worth, open, at reduced values: its best tier's bound.
    pub(crate) fn promise_of(&self, o: u32, window: &WindowNode) -> Option<i64> {
        let offer = self.offer(o);
        let tiers = window.sums.iter().enumerate();
        tiers.filter_map(|(tier, sum)| sum.bound(offer.sizes(tier))).max()
    }

    /// The window's term, exactly.
    pub(crate) fn term(&self, o: u32, slot: Slot) -> i64 {
        let covered = self.offer(o).window(slot).is_none_or(|w| w.cover.is_some());
        if covered { 0 } else { self.term_of(o, &self.sums_of(o, slot)) }
    }

    /// Keeps a window's term; what is proven of its part stays as it is.
    fn set_term(&mut self, o: u32, n: usize, term: i64) {
        let offer = self.offers[o as usize].as_mut().expect("an index in use");
        let rises = (term - std::mem::replace(&mut offer.windows[n].term, term)) as i128;
        self.dual += rises;
        if let Some(proof) = offer.proof {
            self.keep_proof(proof, rises);
        }
    }

    /// Makes the window's sums and its term exact.
    pub(crate) fn reckon(&mut self, o: u32, slot: Slot) {
        let covered = self.offer(o).window(slot).is_none_or(|w| w.cover.is_some());
        let sums = if covered { Vec::new() } else { self.sums_of(o, slot) };
        let term = self.term_of(o, &sums);
        let offer = self.offer_mut(o);
        if let Some(n) = offer.place_of(slot) {
            let window = &mut offer.windows[n];
            (window.sums, window.loose) = (sums, false);
            self.set_term(o, n, term);
        }
        self.loose.remove(&(slot, o));
    }

    /// Makes every stale term valid again.
    pub(crate) fn reprice(&mut self) {
        for (slot, o) in std::mem::take(&mut self.stale) {
            if self.offers[o as usize].is_some() {
                self.reckon(o, slot);
            }
        }
    }

    /// Takes a priced candidate into the sums of its window there, or out of them.
    pub(crate) fn count(&mut self, o: u32, slot: Slot, c: &Candidate, price: i64, comes: bool) {
        let offer = self.offer(o);
        let Some(n) = offer.place_of(slot) else { return };
        let window = &offer.windows[n];
        if window.cover.is_some() || self.stale.contains(&(slot, o)) || !self.takes_part(o, c, slot)
        {
            return;
        }
        let worth = self.worth(o, c, window, price);
        self.count_worth(o, n, c, worth, comes);
    }

    fn count_worth(&mut self, o: u32, n: usize, c: &Candidate, worth: i64, comes: bool) {
        let limit = self.limit_of(c) as i64;
        let offer = self.offers[o as usize].as_mut().expect("an index in use");
        let (mut term, mut loosened) = (0, false);
        let most = offer.sizes(0).most;
        let steps = offer.placed.offer.tiers.as_slice();
        let window = &mut offer.windows[n];
        let listed = window.loose && window.term > 0;
        if window.sums.is_empty() {
            window.sums = vec![TierSum::EMPTY; steps.len()];
        }
        for (sum, step) in window.sums.iter_mut().zip(steps) {
            let price = step.price.minor();
            let sizes = Sizes { least: step.min_buyers, most };
            if price <= limit {
                let worth = worth - c.quantity() as i64 * price * SCALE;
                loosened |= if comes { sum.add(worth, sizes) } else { sum.remove(worth, sizes) };
            }
            term = term.max(sum.bound(sizes).unwrap_or(0));
        }
        window.loose |= loosened;
        if window.loose && term > 0 && !listed {
            self.loose.insert((window.slot, o));
        }
        self.set_term(o, n, term);
    }

    /// What the window's term would be with the candidate at price 0, less what it is.
    fn bid(&self, o: u32, n: usize, c: &Candidate) -> i64 {
        let offer = self.offer(o);
        let window = &offer.windows[n];
        let worth = self.worth(o, c, window, 0);
        let most = offer.sizes(0).most;
        let mut with = 0;
        for (tier, step) in offer.tiers().iter().enumerate() {
            let price = step.price.minor();
            let sizes = Sizes { least: step.min_buyers, most };
            let mut sum = window.sums.get(tier).copied().unwrap_or(TierSum::EMPTY);
            if self.pays(c, price) {
                sum.add(worth - c.quantity() as i64 * price * SCALE, sizes);
            }
            with = with.max(sum.bound(sizes).unwrap_or(0));
        }
        with - window.term
    }

    /// Prices the intents that came or changed: each at what it adds to the second of the windows
    /// that want it most, which is where the bound stops falling. Returns those that want it most.
    ///
    /// **Contract** no term is stale; none is afterwards.
    /// **Cost** of an intent: its windows times tiers, and a few of them exactly.
    pub(crate) fn price_fresh(&mut self, trials: Trials) -> Vec<(Slot, u32)> {
        debug_assert!(self.stale.is_empty());
        let mut fresh: Vec<u32> = std::mem::take(&mut self.fresh).into_iter().collect();
        fresh.sort_by(|a, b| self.node(*a).intent.id.cmp(&self.node(*b).intent.id));
        let mut tightened = trials.loose.0;
        let mut wanted = Vec::new();
        for i in fresh {
            let bids = self.price_one(i);
            wanted.extend(bids.iter().take(trials.an_intent).map(|b| (b.1, b.2)));
            tightened += trials.loose.1;
        }
        self.tighten_loose(tightened);
        wanted
    }

    /// Prices an intent that has no price.
    fn price_one(&mut self, i: u32) -> Vec<Bid> {
        let places = self.places_of(i);
        let mut bids: Vec<Bid> = self.bids(&places);
        let mut reckoned = false;
        for &(_, slot, o) in bids.iter().take(EXACT_BIDS) {
            if self.offer(o).window(slot).is_some_and(|w| w.loose) {
                self.reckon(o, slot);
                reckoned = true;
            }
        }
        if reckoned {
            bids = self.bids(&places);
        }
        let price = bids.get(1).map_or(0, |second| second.0).min(MAX_PRICE);
        self.hot[i as usize].price = price;
        self.dual += price as i128;
        for &(o, n, c) in &places {
            let window = &self.offer(o).windows[n];
            if window.cover.is_none() {
                let worth = self.worth(o, &c, window, price);
                self.count_worth(o, n, &c, worth, true);
            }
        }
        bids
    }

    /// The windows that want an intent, most first, then in the order of (slot, store).
    fn bids(&self, places: &[(u32, usize, Candidate)]) -> Vec<Bid> {
        let uncovered = |p: &&(u32, usize, Candidate)| self.offer(p.0).windows[p.1].cover.is_none();
        let mut bids: Vec<Bid> = places
            .iter()
            .filter(uncovered)
            .map(|(o, n, c)| (self.bid(*o, *n, c), self.offer(*o).windows[*n].slot, *o))
            .filter(|bid| bid.0 > 0)
            .collect();
        // Places are in the order of (store, slot): a stable sort needs no ids.
        bids.sort_by_key(|bid| (Reverse(bid.0), bid.1));
        bids
    }

    /// Makes loose terms exact, up to so many.
    fn tighten_loose(&mut self, most: usize) {
        if self.loose.is_empty() {
            return;
        }
        // Slot by slot, as many as it takes: of a great market few are looked at.
        let mut left = most;
        while let Some(&(slot, _)) = self.loose.first().filter(|_| left > 0) {
            let of_slot = self.loose.range((slot, 0)..=(slot, u32::MAX));
            let mut offers: Vec<u32> = of_slot.map(|entry| entry.1).collect();
            if left < offers.len() {
                offers.select_nth_unstable_by(left, |a, b| self.by_stores(*a, *b));
                offers.truncate(left);
            }
            left -= offers.len();
            for o in offers {
                self.reckon(o, slot);
            }
        }
    }

    /// The windows that the intent may be in, with its candidate there: by store, then slot.
    pub(crate) fn places_of(&self, i: u32) -> Vec<(u32, usize, Candidate)> {
        let hot = &self.hot[i as usize];
        let mut all = Vec::new();
        for &o in &self.node(i).edges {
            let offer = self.offer(o);
            let first = offer.windows.partition_point(|w| w.slot < hot.from);
            let Some(window) = offer.windows.get(first).filter(|w| w.slot < hot.until) else {
                continue;
            };
            debug_assert!(window.slot >= hot.from);
            let Some(at) = self.candidate_of(o, i) else { continue };
            let c = offer.candidates[at];
            let near = offer.windows.iter().enumerate().skip(first);
            for (n, window) in near.take_while(|(_, w)| w.slot < hot.until) {
                if self.takes_part(o, &c, window.slot) {
                    all.push((o, n, c));
                }
            }
        }
        all
    }

    /// Of the windows that an intent with a price may be in: those that would gain most by it.
    pub(crate) fn best_places(&self, i: u32, most: usize) -> Vec<(Slot, u32)> {
        let own = self.price_of(i);
        let mut all: Vec<Bid> = Vec::new();
        for (o, n, c) in self.places_of(i) {
            let offer = self.offer(o);
            let window = &offer.windows[n];
            let worth = self.worth(o, &c, window, 0);
            let cap = offer.sizes(0).most;
            let tiers = offer.tiers().iter().zip(&window.sums);
            let gains = tiers.filter(|(step, _)| self.pays(&c, step.price.minor())).filter_map(
                |(step, sum)| {
                    let sizes = Sizes { least: step.min_buyers, most: cap };
                    let worth = worth - c.quantity() as i64 * step.price.minor() * SCALE;
                    Some(sum.bound(sizes)? + sum.lift(worth, worth - own, sizes))
                },
            );
            if let Some(gain) = gains.max() {
                all.push((gain, window.slot, o));
            }
        }
        all.sort_by_key(|bid| (Reverse(bid.0), bid.1));
        all.into_iter().take(most).map(|bid| (bid.1, bid.2)).collect()
    }

    /// Every window of the intent's offers in its time.
    pub(crate) fn windows_of(&self, i: u32) -> Vec<(Slot, u32)> {
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
}
