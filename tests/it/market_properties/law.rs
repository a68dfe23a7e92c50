//! The rules of market.md, worked out from the book alone after every tick.

use super::stream::IN_HASTE;
use dataflows::engine::{Book, Engine};
use dataflows::market::{
    Intent, IntentId, OfferKey, Params, ProductId, Slot, StoreId, Time, WindowKey,
};
use dataflows::solver::Market;
use std::collections::{BTreeMap, BTreeSet};

/// More assignments than this are not tried one by one.
const MOST_ASSIGNMENTS: usize = 20_000;
/// A greedy with more ends than this, by its ties, is not followed.
const MOST_ENDS: usize = 64;
/// With more free buyers for one window than this, not every group is tried.
const MOST_BUYERS: usize = 9;

pub(super) const INTENTS: i64 = 9;
pub(super) const STORES: i64 = 3;
pub(super) const PRODUCTS: i64 = 2;

pub(super) fn product(n: i64) -> ProductId {
    ProductId::new(&format!("p{n}")).unwrap()
}

pub(super) fn store(n: i64) -> StoreId {
    StoreId::new(&format!("s{n}")).unwrap()
}

pub(super) fn intent(n: i64) -> IntentId {
    IntentId::new(&format!("i{n}")).unwrap()
}

type Window = (Slot, StoreId);
/// A tier's least number of buyers, and every intent's worth there.
type Worths = (usize, Vec<Option<i64>>);

/// What is true after a tick.
pub(super) struct World<'a> {
    params: &'a Params,
    engine: &'a mut Engine,
    /// Windows whose slots are taken.
    taken: &'a BTreeSet<WindowKey>,
    /// What locks at this instant or before takes no more part.
    closed_at: Time,
    live: BTreeMap<IntentId, Intent>,
}

/// One product's market as the rules have it.
struct Problem<'a> {
    intents: Vec<&'a Intent>,
    /// Of every window: its store's number, and the worth of every intent in a group that reaches
    /// each tier (R5 and R9), where that is allowed.
    windows: BTreeMap<Window, Vec<Worths>>,
    most: BTreeMap<StoreId, usize>,
    stock: BTreeMap<StoreId, i64>,
}

impl<'a> World<'a> {
    pub(super) fn new(
        params: &'a Params,
        engine: &'a mut Engine,
        taken: &'a BTreeSet<WindowKey>,
    ) -> Self {
        let tick = engine.done().unwrap();
        let closed_at = params.start(tick).plus_ms(-params.tick_ms);
        let book = engine.book();
        let live = (0..INTENTS)
            .filter_map(|n| book.intent(&intent(n)))
            .filter(|entry| entry.locked_in.is_none())
            .map(|entry| (entry.intent.id.clone(), entry.intent.as_ref().clone()))
            .collect();
        Self { params, engine, taken, closed_at, live }
    }

    /// Holds every market, and the demand.
    pub(super) fn hold(&mut self, tried: &mut BTreeMap<String, u64>) {
        *tried.entry("tick".into()).or_default() += 1;
        let mut markets = BTreeMap::new();
        // A step whose events change nothing is no tick: the markets are as they were looked at before.
        let ticks = self.engine.stats().ticks;
        let is_tick = tried.insert("ticks so far".into(), ticks) != Some(ticks);
        let flow = self.engine.flow();
        // As the tick has left them: what upkeep gains since then is said at the next one.
        let mut left = BTreeMap::new();
        flow.each_market_as_it_is(|product, market| {
            left.insert(product.clone(), market.certificate());
        });
        flow.each_market(|product, market| {
            markets.insert(product.clone(), market.clone());
        });
        self.hold_demand();
        for n in 0..PRODUCTS {
            let product = product(n);
            let empty = Market::new(self.params.clone());
            let market = markets.get(&product).unwrap_or(&empty);
            let certificate = self.engine.certificates().get(&product).copied().unwrap_or_default();
            if is_tick {
                assert_eq!(certificate, left.get(&product).copied().unwrap_or_default());
            }
            let kept = market.certificate();
            assert!(kept.value >= certificate.value && kept.bound <= certificate.bound, "worse");
            self.hold_market(&product, market, tried);
        }
        assert_eq!(self.engine.book().live_intents(), self.live.len());
    }

    fn hold_demand(&mut self) {
        let mut expected = BTreeMap::new();
        for intent in self.live.values() {
            for slot in intent.slots.iter() {
                *expected.entry((intent.product.clone(), intent.cell, slot)).or_insert(0) += 1;
            }
        }
        // A flow that was never stepped has no demand to tell.
        assert_eq!(self.engine.flow().demand(), expected, "demand");
    }

    fn hold_market(&self, product: &ProductId, market: &Market, tried: &mut BTreeMap<String, u64>) {
        market.inspect().unwrap();
        let mut problem = self.problem(product);
        let grouping = market.grouping();
        let seated: BTreeSet<&IntentId> =
            grouping.iter().flat_map(|w| &w.members).map(|m| &m.0).collect();
        // Who accepted and cannot be held is let go at once, and told to the book a tick later.
        let let_go = |id: &IntentId| {
            self.live.get(id).is_some_and(|i| i.promise.pin.is_some()) && !seated.contains(id)
        };
        let known = market.candidates().into_iter().filter(|c| !let_go(&c.0));
        let expected = problem.candidates().filter(|c| !let_go(&c.0));
        assert_eq!(known.collect::<BTreeSet<_>>(), expected.collect(), "candidates of {product}");
        for n in 0..problem.intents.len() {
            if let_go(&problem.intents[n].id) {
                problem.leave_out(n);
            }
        }
        let certificate = market.certificate();
        assert!(certificate.value <= certificate.bound);
        if let Some(best) = problem.optimum() {
            *tried.entry("optimum".into()).or_default() += 1;
            assert!(certificate.bound >= best, "bound {} < {best}", certificate.bound);
            assert!(certificate.value <= best, "value {} > {best}", certificate.value);
        }
        let accepted = problem.intents.iter().any(|i| i.promise.pin.is_some() && !let_go(&i.id));
        *tried.entry("in haste".into()).or_default() += market.effort().crowded.min(1);
        // What is tried in haste may be less than a greedy finds, until upkeep has the time.
        let hasty = self.params.upkeep_steps == IN_HASTE;
        if !hasty
            && !accepted
            && let Some(least) = problem.least_greedy()
        {
            *tried.entry("greedy".into()).or_default() += 1;
            let value = certificate.value;
            let own = market.greedy_value();
            assert!(value >= own, "{product}: value {value}, own greedy {own}");
            assert!(value >= least, "{product}: value {value}, plain greedy {least}, own {own}");
        }
    }

    fn problem(&self, product: &ProductId) -> Problem<'_> {
        let intents: Vec<&Intent> = self.live.values().filter(|i| i.product == *product).collect();
        let slots: BTreeSet<Slot> = intents.iter().flat_map(|i| i.slots.iter()).collect();
        let (mut windows, mut most, mut stock) =
            (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let book = self.engine.book();
        for store in (0..STORES).map(store) {
            let key = OfferKey { store: store.clone(), product: product.clone() };
            let Some(offer) = book.offer(&key).filter(|offer| !offer.withdrawn) else { continue };
            most.insert(store.clone(), offer.max_group as usize);
            stock.insert(store.clone(), book.units(&key));
            for &slot in &slots {
                let lead = offer.lead_minutes.unwrap_or(self.params.lead_minutes) as i64;
                let locks = self.params.slot.start(slot).0 - lead * 60_000;
                let window = WindowKey { slot, store: store.clone(), product: product.clone() };
                if locks <= self.closed_at.0
                    || self.taken.contains(&window)
                    || !book.is_open(&store, slot)
                {
                    continue;
                }
                let tiers = offer.tiers.as_slice();
                let worths = tiers.iter().filter(|t| t.min_buyers <= offer.max_group).map(|tier| {
                    let worth = |i: &&Intent| self.worth(book, i, &window, tier.price.minor());
                    (tier.min_buyers as usize, intents.iter().map(worth).collect())
                });
                windows.insert((slot, store.clone()), worths.collect());
            }
        }
        Problem { intents, windows, most, stock }
    }

    /// R5 and R9 of the intent in that window at that price; `None` where a rule forbids it. That
    /// the window is open is the caller's business.
    fn worth(&self, book: &Book, intent: &Intent, window: &WindowKey, price: i64) -> Option<i64> {
        let (offer, store) = (book.offer(&window.offer())?, book.store(&window.store)?);
        let here = (window.store.clone(), window.slot);
        let promise = &intent.promise;
        let budget = intent.budget.minor();
        let mut most = budget;
        if let Some(pin) = &promise.pin {
            // What was accepted limits the price (R8); what it is worth is measured by the budget.
            most = most.min(pin.price.minor());
            if (&pin.store, pin.slot) != (&here.0, here.1) {
                return None;
            }
        }
        let metres = intent.place.distance_m(store.place);
        let travel = self.params.travel_cost_per_km * metres as i64 / 1_000;
        let list = offer.list_price.minor();
        let own = intent.quantity as i64 * (budget.min(list) - price) - travel;
        let fits = intent.slots.contains(window.slot)
            && !promise.declined.contains(&here)
            && metres <= intent.reach_m
            && most >= price
            && own >= 0;
        let visit = offer.slot_values.iter().find(|value| value.0 == window.slot);
        let visit = visit.map_or(offer.visit_value, |value| value.1).minor();
        let stays = promise.announced.as_deref() == Some(&here);
        let bonus = if stays { list * self.params.stay_bonus_ppm / 1_000_000 } else { 0 };
        fits.then_some(own + visit + bonus)
    }
}

impl Problem<'_> {
    /// The n-th intent takes part in no window.
    fn leave_out(&mut self, n: usize) {
        for (_, worths) in self.windows.values_mut().flatten() {
            worths[n] = None;
        }
    }

    /// Every (intent, store, slot) that some group could hold.
    fn candidates(&self) -> impl Iterator<Item = (IntentId, StoreId, Slot)> {
        self.windows.iter().flat_map(|((slot, store), tiers)| {
            let could = |n: &usize| tiers.iter().any(|(_, worths)| worths[*n].is_some());
            let ids = (0..self.intents.len()).filter(could);
            ids.map(|n| (self.intents[n].id.clone(), store.clone(), *slot))
        })
    }

    /// The value of the group (a set of bits) in that window; `None` where a rule is broken, its
    /// store's stock left aside.
    fn value(&self, window: &Window, group: u32) -> Option<i64> {
        let buyers = group.count_ones() as usize;
        let tier = self.windows[window].iter().rev().find(|tier| tier.0 <= buyers)?;
        if buyers > self.most[&window.1] {
            return None;
        }
        bits(group).map(|n| tier.1[n]).sum()
    }

    fn units(&self, group: u32) -> i64 {
        bits(group).map(|n| self.intents[n].quantity as i64).sum()
    }

    /// The greatest value of any grouping; `None` where there are too many to try.
    fn optimum(&self) -> Option<i64> {
        let could = |window: &Window, n: usize| {
            self.windows[window].iter().any(|(_, worths)| worths[n].is_some())
        };
        let options: Vec<Vec<&Window>> = (0..self.intents.len())
            .map(|n| self.windows.keys().filter(|window| could(window, n)).collect())
            .collect();
        let assignments = options.iter().try_fold(1usize, |product, windows| {
            Some(product * (windows.len() + 1)).filter(|product| *product <= MOST_ASSIGNMENTS)
        });
        assignments.map(|_| self.best(&options, &mut BTreeMap::new()))
    }

    /// The best that the intents without a home yet add to those with one.
    fn best<'b>(&self, options: &[Vec<&'b Window>], homes: &mut BTreeMap<&'b Window, u32>) -> i64 {
        let Some((windows, rest)) = options.split_last() else {
            return self.total(homes).unwrap_or(i64::MIN);
        };
        let bit = 1 << rest.len();
        let mut best = self.best(rest, homes);
        for window in windows {
            *homes.entry(window).or_default() |= bit;
            best = best.max(self.best(rest, homes));
            *homes.get_mut(window).unwrap() &= !bit;
        }
        best
    }

    /// The value of the grouping; `None` where a rule is broken.
    fn total(&self, homes: &BTreeMap<&Window, u32>) -> Option<i64> {
        let mut units: BTreeMap<&StoreId, i64> = BTreeMap::new();
        let mut total = 0;
        for (window, group) in homes.iter().filter(|(_, group)| **group > 0) {
            total += self.value(window, *group)?;
            *units.entry(&window.1).or_default() += self.units(*group);
        }
        units.iter().all(|(store, units)| *units <= self.stock[*store]).then_some(total)
    }

    /// The least value with which the plain greedy can end, whichever way it breaks ties: again and
    /// again it opens the window whose best group of free buyers is worth most. `None` where that
    /// is too much to try.
    fn least_greedy(&self) -> Option<i64> {
        let mut ends = 0;
        self.greedy_from(0, &BTreeSet::new(), &self.stock, &mut ends)
    }

    fn greedy_from(
        &self,
        seated: u32,
        open: &BTreeSet<&Window>,
        stock: &BTreeMap<StoreId, i64>,
        ends: &mut usize,
    ) -> Option<i64> {
        let mut best: (i64, Vec<(&Window, u32)>) = (1, Vec::new());
        for window in self.windows.keys().filter(|window| !open.contains(window)) {
            let could = |n: &usize| {
                seated >> n & 1 == 0
                    && self.windows[window].iter().any(|(_, worths)| worths[*n].is_some())
            };
            let free: Vec<usize> = (0..self.intents.len()).filter(could).collect();
            if free.len() > MOST_BUYERS {
                return None;
            }
            for set in 1u32..1 << free.len() {
                let group = bits(set).fold(0, |group, bit| group | 1 << free[bit]);
                let value = self.value(window, group);
                let Some(value) = value.filter(|_| self.units(group) <= stock[&window.1]) else {
                    continue;
                };
                if value > best.0 || best.1.is_empty() && value == best.0 {
                    best = (value, Vec::new());
                }
                if value == best.0 {
                    best.1.push((window, group));
                }
            }
        }
        if best.1.is_empty() {
            *ends += 1;
            return Some(0);
        }
        let mut least = None;
        for (window, group) in best.1 {
            if *ends > MOST_ENDS {
                return None;
            }
            let mut open = open.clone();
            open.insert(window);
            let mut stock = stock.clone();
            *stock.get_mut(&window.1).unwrap() -= self.units(group);
            let rest = self.greedy_from(seated | group, &open, &stock, ends)?;
            least = Some(least.map_or(rest, |least: i64| least.min(rest)));
        }
        least.map(|least| least + best.0)
    }
}

/// The numbers of the bits that are set.
fn bits(set: u32) -> impl Iterator<Item = usize> {
    (0..32).filter(move |n| set >> n & 1 == 1)
}
