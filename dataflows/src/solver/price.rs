//! Dual prices: the proof that goes with every grouping.
//!
//! With a price for every intent and for a unit of every offer's stock, none negative, no grouping
//! is worth more than the sum of the intents' prices, each stock at its price, and for each window
//! the best group at values reduced by those prices, if that is positive (weak duality: the rules
//! "an intent at most once" and "no more than the stock" are bought instead of obeyed). Any prices
//! give a valid bound; good ones give a tight one.
//!
//! **Invariant** `market.dual` is that sum, exactly, for the terms that are kept; a term that is not
//! what its window's candidates and prices make it is in `market.stale`, or would be but for intents
//! that are fresh: those have no price, and no term has them.

use super::market::{Market, OfferNode};
use crate::market::Slot;

/// Prices are in 1/256 of a minor unit.
pub const SCALE: i64 = 256;

/// The greatest price of an intent: above anything that an intent can be worth.
const MAX_PRICE: i64 = 1 << 48;
/// The greatest price of a unit of stock: above anything that a unit can be worth.
const MAX_UNIT_PRICE: i64 = 1 << 38;
/// How many subgradient rounds may pass without a better bound before the step is halved.
const PATIENCE: u32 = 8;
/// How often the step is halved before the rounds end early.
const MAX_HALVINGS: u32 = 12;
/// Directions are kept in 1/16.
const TREND: i64 = 16;

/// The price of an intent that has none yet: it takes no part in any term.
pub(crate) const UNPRICED: i64 = -1;

/// Scratch space of a window's term.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// Who could be in the window, at reduced values.
    items: Vec<Reduced>,
    /// (reduced worth at a tier, position in the items)
    at_tier: Vec<(i64, u32)>,
    /// The best group so far: positions in the items.
    chosen: Vec<u32>,
}

/// A candidate at its reduced worth.
#[derive(Debug, Clone, Copy)]
struct Reduced {
    /// Scaled, at price 0.
    worth: i64,
    quantity: i64,
    /// The greatest unit price that the buyer pays.
    limit: i32,
    intent: u32,
}

/// What a subgradient step goes over.
struct Places {
    windows: Vec<(Slot, u32)>,
    intents: Vec<u32>,
    offers: Vec<u32>,
}

/// What the windows' best groups ask for.
struct Demand {
    /// How many of them want each intent.
    wanted: Vec<i64>,
    /// How many units of each offer they want.
    units: Vec<i64>,
}

/// A number for each of the intents and offers of [`Places`].
struct Prices {
    intents: Vec<i64>,
    offers: Vec<i64>,
}

/// A direction in which prices move.
type Trend = Prices;

impl Prices {
    fn zero(at: &Places) -> Self {
        Self { intents: vec![0; at.intents.len()], offers: vec![0; at.offers.len()] }
    }
}

impl Market {
    /// The bound: no grouping of this market has a greater objective.
    pub(crate) fn bound(&self) -> i64 {
        (self.dual - self.proven).div_euclid(SCALE as i128) as i64
    }

    /// The intent's price; 0 while it has none.
    pub(crate) fn price_of(&self, i: u32) -> i64 {
        self.hot[i as usize].price.max(0)
    }

    /// Lists in `scratch` who could be in the window, at reduced values; false if no tier can be
    /// filled. Of intents without a price, only `guest` is listed: at price 0.
    ///
    /// **Cost** O(candidates of the offer).
    fn reduce(&self, o: u32, slot: Slot, guest: Option<u32>, scratch: &mut Scratch) -> bool {
        scratch.items.clear();
        scratch.chosen.clear();
        let offer = self.offer(o);
        let Some(window) = offer.window(slot) else { return false };
        if window.cover.is_some() {
            return false;
        }
        let least = offer.tiers()[0].min_buyers as usize;
        if (window.eligible as usize) < least || offer.max_group() < least {
            return false;
        }
        let stock = offer.placed.stock.max(0);
        for c in offer.candidates.iter().filter(|c| c.in_time(slot)) {
            let quantity = c.quantity as i64;
            let price = match self.hot[c.intent as usize].price {
                UNPRICED if guest == Some(c.intent) => 0,
                UNPRICED => continue,
                price => price,
            };
            if quantity <= stock && self.eligible(o, c.intent, slot) {
                let extra = window.visit_value + self.bonus(o, c.intent, slot);
                let worth = (c.base + extra) * SCALE - price - offer.price * quantity;
                scratch.items.push(Reduced { worth, quantity, limit: c.limit, intent: c.intent });
            }
        }
        scratch.items.len() >= least
    }

    /// The worth of the best group of what `scratch` lists, never negative; the group is left there.
    ///
    /// **Cost** O(tiers * listed).
    fn best_reduced(&self, o: u32, scratch: &mut Scratch) -> i64 {
        let offer = self.offer(o);
        // Every buyer takes a unit at least.
        let stock = offer.placed.stock.max(0) as usize;
        let mut best = 0;
        for tier in offer.tiers() {
            let (price, least) = (tier.price.minor(), tier.min_buyers as usize);
            let Scratch { items, at_tier, chosen } = &mut *scratch;
            at_tier.clear();
            let mut positive = 0;
            for (n, item) in items.iter().enumerate() {
                if price <= item.limit as i64 {
                    let worth = item.worth - item.quantity * price * SCALE;
                    positive += (worth > 0) as usize;
                    at_tier.push((worth, n as u32));
                }
            }
            let most = offer.max_group().min(stock).min(at_tier.len());
            if least > most {
                continue;
            }
            let size = positive.clamp(least, most);
            if size < at_tier.len() {
                let order = |a: &(i64, u32), b: &(i64, u32)| b.0.cmp(&a.0).then(a.1.cmp(&b.1));
                at_tier.select_nth_unstable_by(size - 1, order);
            }
            let worth: i64 = at_tier[..size].iter().map(|r| r.0).sum();
            if worth > best {
                best = worth;
                chosen.clear();
                chosen.extend(at_tier[..size].iter().map(|r| r.1));
            }
        }
        best
    }

    /// The term of one window at the prices as they are.
    pub(crate) fn term(&self, o: u32, slot: Slot, scratch: &mut Scratch) -> i64 {
        if self.reduce(o, slot, None, scratch) { self.best_reduced(o, scratch) } else { 0 }
    }

    pub(crate) fn set_term(&mut self, o: u32, slot: Slot, term: i64) {
        let window = self.offer_mut(o).window_mut(slot).expect("a window with candidates");
        let old = std::mem::replace(&mut window.term, term);
        self.dual += (term - old) as i128;
    }

    /// Computes every stale term again.
    pub(crate) fn reprice(&mut self) {
        let mut scratch = Scratch::default();
        for (slot, o) in std::mem::take(&mut self.stale) {
            let known = self.offers[o as usize].as_ref();
            if known.is_some_and(|offer| offer.window(slot).is_some()) {
                let term = self.term(o, slot, &mut scratch);
                self.set_term(o, slot, term);
            }
        }
    }

    /// Prices the intents that came or changed: each at what it adds to the second of the windows
    /// that want it most, which is where the bound stops falling.
    ///
    /// **Contract** no term is stale; none is afterwards. A window's term at price `p` of the
    /// intent is exactly `max(without it, at price 0 - p)`, so that each is computed once.
    pub(crate) fn price_fresh(&mut self) {
        debug_assert!(self.stale.is_empty());
        let mut fresh: Vec<u32> = std::mem::take(&mut self.fresh).into_iter().collect();
        fresh.sort_by(|a, b| self.node(*a).intent.id.cmp(&self.node(*b).intent.id));
        let mut scratch = Scratch::default();
        let mut bids: Vec<(i64, Slot, u32)> = Vec::new();
        for i in fresh {
            bids.clear();
            let (mut first, mut second) = (0, 0);
            for (slot, o) in self.windows_of(i) {
                let without = self.offer(o).window(slot).expect("just listed").term;
                if !self.reduce(o, slot, Some(i), &mut scratch) {
                    continue;
                }
                let bid = self.best_reduced(o, &mut scratch) - without;
                if bid > first {
                    (first, second) = (bid, first);
                } else {
                    second = second.max(bid);
                }
                if bid > 0 {
                    bids.push((bid, slot, o));
                }
            }
            let price = second.min(MAX_PRICE);
            self.hot[i as usize].price = price;
            self.dual += price as i128;
            for &(bid, slot, o) in bids.iter().filter(|bid| bid.0 > price) {
                let without = self.offer(o).window(slot).expect("just listed").term;
                self.set_term(o, slot, without + bid - price);
            }
        }
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

    /// Tightens the bound by `rounds` of subgradient steps over the whole market; keeps the best
    /// prices found, those from before among them.
    ///
    /// **Contract** no intent is fresh. **Cost** `rounds` times the terms of all windows.
    pub(crate) fn tighten(&mut self, rounds: u32) {
        let at = Places {
            windows: self
                .by_store
                .values()
                .flat_map(|&o| self.offer(o).windows.iter().map(move |w| (w.slot, o)))
                .collect(),
            intents: self.by_id.values().copied().collect(),
            offers: self.by_store.values().copied().collect(),
        };
        let mut best = (self.dual, self.prices(&at));
        let mut trend = Prices::zero(&at);
        let (mut halvings, mut waited) = (0, 0);
        for _ in 0..rounds {
            let demand = self.demand(&at);
            if self.dual < best.0 {
                best = (self.dual, self.prices(&at));
                waited = 0;
            } else {
                waited += 1;
            }
            if waited > PATIENCE {
                waited = 0;
                halvings += 1;
                self.set_prices(&at, &best.1);
                trend = Prices::zero(&at);
                continue;
            }
            let floor = self.value as i128 * SCALE as i128;
            if best.0 < floor + SCALE as i128 || halvings > MAX_HALVINGS {
                break;
            }
            if !self.step(&at, &demand, &mut trend, halvings) {
                waited = PATIENCE;
            }
        }
        self.demand(&at);
        if self.dual > best.0 {
            self.set_prices(&at, &best.1);
            self.demand(&at);
        }
        debug_assert!(self.dual <= best.0);
    }

    /// Computes every term, and what the best groups ask for.
    fn demand(&mut self, at: &Places) -> Demand {
        let mut scratch = Scratch::default();
        let mut wanted = vec![0; self.intents.len()];
        let mut units = vec![0; self.offers.len()];
        for &(slot, o) in &at.windows {
            let term = self.term(o, slot, &mut scratch);
            for &n in &scratch.chosen {
                let item = &scratch.items[n as usize];
                wanted[item.intent as usize] += 1;
                units[o as usize] += item.quantity;
            }
            self.set_term(o, slot, term);
        }
        self.stale.clear();
        Demand { wanted, units }
    }

    fn prices(&self, at: &Places) -> Prices {
        Prices {
            intents: at.intents.iter().map(|&i| self.hot[i as usize].price).collect(),
            offers: at.offers.iter().map(|&o| self.offer(o).price).collect(),
        }
    }

    fn set_prices(&mut self, at: &Places, prices: &Prices) {
        for (&i, &price) in at.intents.iter().zip(&prices.intents) {
            self.dual += (price - self.hot[i as usize].price) as i128;
            self.hot[i as usize].price = price;
        }
        for (&o, &price) in at.offers.iter().zip(&prices.offers) {
            let offer = self.offer_mut(o);
            let stock = offer.placed.stock.max(0);
            let old = std::mem::replace(&mut offer.price, price);
            self.dual += stock as i128 * (price - old) as i128;
        }
    }

    /// One step against the deflected subgradient, of Polyak's length; false where there is none.
    ///
    /// Each direction keeps three quarters of the one before, so that prices do not zigzag.
    fn step(&mut self, at: &Places, demand: &Demand, trend: &mut Trend, halvings: u32) -> bool {
        let most = MAX_PRICE as i128;
        let turn = |trend: &mut i64, slack: i64, price: i64| {
            let to = TREND * slack + *trend * 3 / 4;
            *trend = if to > 0 && price == 0 { 0 } else { to };
            (*trend as i128).pow(2)
        };
        let mut norm = 0;
        for (trend, &i) in trend.intents.iter_mut().zip(&at.intents) {
            norm += turn(trend, 1 - demand.wanted[i as usize], self.hot[i as usize].price);
        }
        for (trend, &o) in trend.offers.iter_mut().zip(&at.offers) {
            let offer = self.offer(o);
            let spare = offer.placed.stock.max(0) - demand.units[o as usize];
            norm += turn(trend, spare / span(offer), offer.price);
        }
        if norm == 0 {
            return false;
        }
        let length = (self.dual - self.value as i128 * SCALE as i128).max(1);
        let along = |trend: i64| {
            let by = trend as i128 * TREND as i128 * length / norm;
            (by >> halvings).clamp(-most, most) as i64
        };
        let mut moved = false;
        let mut next = self.prices(at);
        for (price, &trend) in next.intents.iter_mut().zip(&trend.intents) {
            let to = (*price - along(trend)).clamp(0, MAX_PRICE);
            moved |= to != *price;
            *price = to;
        }
        for ((price, &trend), &o) in next.offers.iter_mut().zip(&trend.offers).zip(&at.offers) {
            let to = (*price - along(trend) / span(self.offer(o))).clamp(0, MAX_UNIT_PRICE);
            moved |= to != *price;
            *price = to;
        }
        self.set_prices(at, &next);
        moved
    }
}

/// By how much a unit price counts for less than an intent's: a stock has many units, and without
/// this its direction would drown those of all intents.
fn span(offer: &OfferNode) -> i64 {
    offer.placed.stock.clamp(1, offer.demand.max(1)).isqrt().max(1)
}
