//! Whether somebody was left out: what can be known of it without a solver.
//!
//! Where everything that is connected is small, the engine's grouping is never worth less than a
//! plain greedy's. So buyers of a small part of a market of whom nobody is in any window cannot
//! make a window that gains. (Of larger parts, and of parts with a window, nothing is said here.)
//! A part is looked at when nothing has been said of its product for longer than the settle time:
//! whatever formed has been announced by then. Where anything is open (worlds, answers, promises,
//! stock) the part is passed over.

use super::intents::{Entry, Wish};
use super::report::Violation;
use super::state::{OfferEntry, Reference, StoreEntry, gain};
use super::table::Window;
use dataflows::market::{
    Event, IntentId, OfferKey, ProductId, Put, Slot, State, Tick, Time, WindowKey,
};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

/// How often a product is looked at, at most, in milliseconds of the log.
const EVERY_MS: i64 = 2 * 3_600_000;
/// The most offers, and (buyer, offer, slot) triples, of a part that is looked at.
const MOST_OFFERS: usize = 32;
const MOST_TRIPLES: usize = 500;
/// Ticks beyond the settle time in which what was announced comes back into the market.
pub(super) const ECHO_TICKS: u64 = 4;
/// A degree of latitude is longer than this, in metres.
const DEGREE_M: f64 = 111_000.0;

/// When products were spoken of last, and looked at last.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    stirred: HashMap<ProductId, Tick>,
    looked: HashMap<ProductId, Tick>,
}

/// An offer that takes groups now.
struct Place<'a> {
    key: &'a OfferKey,
    offer: &'a OfferEntry,
    store: &'a StoreEntry,
}

/// A buyer who wants the product.
struct Person<'a> {
    entry: &'a Entry,
    wish: &'a Rc<Wish>,
}

/// One product's market, as far as it can be told.
struct Scene<'a> {
    reference: &'a Reference<'a>,
    now: Time,
    /// By latitude.
    places: Vec<Place<'a>>,
    people: Vec<Person<'a>>,
    /// By place: who could be served there.
    near: Vec<Vec<usize>>,
    /// By place: one of its part, itself at last.
    part: Vec<usize>,
    /// By place: whether something there is open, or somebody is in a window.
    passed: Vec<bool>,
}

impl Reference<'_> {
    /// The product is spoken of at that tick.
    pub(super) fn stir(&mut self, product: &ProductId, tick: Tick) {
        match self.quiet.stirred.get_mut(product) {
            Some(last) => *last = tick,
            None => drop(self.quiet.stirred.insert(product.clone(), tick)),
        }
    }

    /// The products that a record is about: that of an intent as it is put, and as it was.
    pub(super) fn products(&self, event: &Event) -> Vec<ProductId> {
        match event {
            Event::Offer { offer, .. } => vec![offer.key.product.clone()],
            Event::Stock { offer, .. } => vec![offer.product.clone()],
            Event::Reply { window, .. } => {
                self.windows.get(window).map(|w| w.key.product.clone()).into_iter().collect()
            }
            Event::Intent { id, put, .. } => {
                let worlds = self.intents.get(id).map_or(&[][..], |entry| &entry.worlds);
                let before = worlds.iter().filter_map(|world| world.wish.as_ref());
                let mut products: Vec<_> = before.map(|w| w.intent.product.clone()).collect();
                if let Put::Intent { intent, .. } = put {
                    products.push(intent.product.clone());
                }
                products.sort();
                products.dedup();
                products
            }
            Event::Store(..) | Event::Arrival { .. } | Event::Clock => Vec::new(),
        }
    }

    /// Every product that was spoken of, in order.
    pub(super) fn spoken_of(&self) -> Vec<ProductId> {
        let mut products: Vec<_> = self.quiet.stirred.keys().cloned().collect();
        products.sort();
        products
    }

    /// Since when nothing must have been said for all that formed to be announced at that tick.
    pub(super) fn silence(&self, tick: Tick) -> Tick {
        let settle = self.params.tick_from(Time(self.params.settle_ms)).0 + ECHO_TICKS;
        Tick(tick.0.saturating_sub(settle))
    }

    /// Whether nothing was said of the product from that tick on.
    pub(super) fn is_quiet(&self, product: &ProductId, since: Tick) -> bool {
        self.quiet.stirred.get(product).is_some_and(|last| *last < since)
    }

    /// Looks at the product as it is at the end of that tick, if it is quiet and its turn.
    ///
    /// # Errors
    /// A window that would gain, of buyers of whom nobody is in any.
    pub(super) fn look(
        &mut self,
        product: &ProductId,
        tick: Tick,
        line: u64,
    ) -> Result<(), Violation> {
        let (params, since) = (self.params, self.silence(tick));
        let quiet = self.is_quiet(product, since);
        let turn = self
            .quiet
            .looked
            .get(product)
            .is_none_or(|last| params.start(tick).0 - params.start(*last).0 >= EVERY_MS);
        if !quiet || !turn {
            return Ok(());
        }
        self.quiet.looked.insert(product.clone(), tick);
        let Some(mut scene) = Scene::new(self, product, tick, since) else { return Ok(()) };
        scene.join();
        let Some((window, buyers, value)) = scene.left_out() else { return Ok(()) };
        Err(Violation {
            line,
            subject: window.id(params.slot),
            rule: "nobody is left out of a window that gains",
            field: "window".into(),
            expected: format!("{buyers} buyers worth {value} at tick {}", tick.0),
            actual: "none, and none of them in any window".into(),
        })
    }
}

impl<'a> Scene<'a> {
    /// The product's offers and buyers; `None` where what changed since `since` may not have been
    /// announced yet.
    fn new(
        reference: &'a Reference<'a>,
        product: &ProductId,
        tick: Tick,
        since: Tick,
    ) -> Option<Self> {
        let (now, before) = (reference.params.start(tick), reference.params.start(since));
        let mut places = Vec::new();
        for key in reference.by_offer.get(product).into_iter().flatten() {
            let (Some(offer), Some(store)) =
                (reference.offers.get(key), reference.stores.get(&key.store))
            else {
                continue;
            };
            if store.changed >= since {
                return None;
            }
            if !offer.offer.withdrawn && !store.store.paused {
                places.push(Place { key, offer, store });
            }
        }
        places.sort_by(|a, b| a.store.store.place.lat().total_cmp(&b.store.store.place.lat()));
        let count = places.len();
        let mut scene = Self {
            reference,
            now,
            places,
            people: Vec::new(),
            near: vec![Vec::new(); count],
            part: (0..count).collect(),
            passed: vec![false; count],
        };
        let length = reference.params.slot;
        let mut seen = HashSet::new();
        for id in reference.by_product.get(product).into_iter().flatten() {
            let Some(entry) = reference.intents.get(id).filter(|_| seen.insert(id)) else {
                continue;
            };
            let wishes = entry.worlds.iter().filter_map(|world| world.wish.as_ref());
            for wish in wishes.filter(|wish| wish.intent.product == *product) {
                if !wish.over(now, length) {
                    scene.people.push(Person { entry, wish });
                } else if !wish.over(before, length) {
                    return None;
                }
            }
        }
        Some(scene)
    }

    /// Joins places that could serve the same buyer into parts.
    fn join(&mut self) {
        for n in 0..self.people.len() {
            let places = self.places_near(&self.people[n].wish.intent);
            let passed = self.is_open(&self.people[n]);
            for &place in &places {
                let (a, b) = (self.root(place), self.root(places[0]));
                self.part[a] = b;
                // Short ways to the root from now on.
                self.part[place] = b;
                self.near[place].push(n);
                self.passed[place] |= passed;
            }
        }
    }

    /// Whether something about the buyer is open, or the buyer is in a window.
    fn is_open(&self, person: &Person<'_>) -> bool {
        let id: &IntentId = &person.wish.intent.id;
        person.entry.worlds.len() != 1
            || person.entry.worlds[0].pin.is_some()
            || !person.entry.declined_perhaps.is_empty()
            || self.reference.windows.of_member(id).is_some()
    }

    /// The places that could serve the intent at their deepest price.
    fn places_near(&self, intent: &dataflows::market::Intent) -> Vec<usize> {
        let degrees = (intent.reach_m as f64 + 1.0) / DEGREE_M;
        let lat = |place: &Place<'_>| place.store.store.place.lat();
        let first = self.places.partition_point(|p| lat(p) < intent.place.lat() - degrees);
        (first..self.places.len())
            .take_while(|&n| lat(&self.places[n]) <= intent.place.lat() + degrees)
            .filter(|&n| {
                let offer = &self.places[n].offer.offer;
                let tier = offer.tiers.reached(offer.max_group as usize);
                tier.is_some_and(|tier| self.gain(n, intent, tier) >= Some(0))
            })
            .collect()
    }

    /// R5 and R6 of the intent at that place and tier; `None` where it is out of reach or budget.
    fn gain(&self, n: usize, intent: &dataflows::market::Intent, tier: usize) -> Option<i64> {
        let Place { offer, store, .. } = &self.places[n];
        let distance_m = intent.place.distance_m(store.store.place);
        let price = offer.offer.tiers.as_slice()[tier].price.minor();
        let travel = self.reference.params.travel(distance_m);
        let list = offer.offer.list_price.minor();
        let gain = gain(intent, i64::MAX, price, list, travel)?;
        (distance_m <= intent.reach_m && gain >= 0).then_some(gain)
    }

    fn root(&self, mut n: usize) -> usize {
        while self.part[n] != n {
            n = self.part[n];
        }
        n
    }

    /// A window of a small part that nobody is in, and what its buyers would make of it.
    fn left_out(&self) -> Option<(WindowKey, usize, i64)> {
        let mut parts: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for n in (0..self.places.len()).filter(|n| !self.near[*n].is_empty()) {
            parts.entry(self.root(n)).or_default().push(n);
        }
        parts.into_values().find_map(|part| self.gains(&part))
    }

    fn gains(&self, part: &[usize]) -> Option<(WindowKey, usize, i64)> {
        let sure = |&n: &usize| !self.passed[n] && self.has_stock(n);
        if part.len() > MOST_OFFERS || !part.iter().all(sure) {
            return None;
        }
        let mut triples = 0;
        let mut windows: Vec<(usize, Slot, Vec<usize>)> = Vec::new();
        for &n in part {
            let mut by_slot: BTreeMap<Slot, Vec<usize>> = BTreeMap::new();
            for &who in &self.near[n] {
                for slot in self.people[who].wish.intent.slots.iter() {
                    triples += 1;
                    if triples > MOST_TRIPLES {
                        return None;
                    }
                    by_slot.entry(slot).or_default().push(who);
                }
            }
            windows.extend(by_slot.into_iter().map(|(slot, who)| (n, slot, who)));
        }
        windows.into_iter().find_map(|(n, slot, who)| self.group(n, slot, &who))
    }

    /// Whether the place's stock is known, and enough for all who could come.
    fn has_stock(&self, n: usize) -> bool {
        let stock = &self.places[n].offer.stock;
        let wanted = self.near[n].iter().map(|&who| self.people[who].wish.intent.quantity as i64);
        stock.is_sure() && wanted.sum::<i64>() <= stock.free()
    }

    /// What the buyers who could come in that slot would make of a window there, if it gains.
    fn group(&self, n: usize, slot: Slot, who: &[usize]) -> Option<(WindowKey, usize, i64)> {
        let (place, params) = (&self.places[n], self.reference.params);
        let (store, product) = (place.key.store.clone(), place.key.product.clone());
        let key = WindowKey { slot, store, product };
        let (id, offer) = (key.id(params.slot), &place.offer.offer);
        let free = |window: &Window| matches!(window.state, State::Withdrawn);
        if self.reference.lock_at(offer, slot) <= self.now
            || !place.store.open(slot, params)
            || !self.reference.windows.get(&id).is_none_or(free)
        {
            return None;
        }
        let asked = |person: &Person<'_>| !person.entry.declined.iter().any(|d| *d.0 == *id);
        let visit = offer.visit_value_at(slot);
        for (tier, step) in offer.tiers.as_slice().iter().enumerate() {
            let people = who.iter().map(|&n| &self.people[n]).filter(|person| asked(person));
            let gains = people.filter_map(|person| self.gain(n, &person.wish.intent, tier));
            let mut worths: Vec<i64> = gains.map(|gain| gain + visit).collect();
            worths.sort_unstable_by(|a, b| b.cmp(a));
            worths.truncate(offer.max_group as usize);
            let (buyers, value) = (worths.len(), worths.iter().sum::<i64>());
            if buyers >= step.min_buyers as usize && value > 0 {
                return Some((key, buyers, value));
            }
        }
        None
    }
}
