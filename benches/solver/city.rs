//! A city that changes: its records, a stream of random changes to them, and the market that
//! follows.
//!
//! **Invariant** `market` holds exactly the intents in `live` and the offers in `offers`.

use super::classes;
use dataflows::market::{Intent, Money, Params, Tier, Tiers};
use dataflows::solver::{Market, PlacedOffer};
use iceshop::instance::Instance;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// How many intents come before the market is refreshed, while it is loaded.
const LOADED_AT_ONCE: usize = 300;
/// How many intents are looked at for what is in reach of one.
const SAMPLE: usize = 1_000;

/// What a change is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Put,
    Take,
    /// Another budget or stay.
    Edit,
    Stock,
    /// An offer's other tiers.
    Tiers,
}

/// The kinds with their names, and how many of a hundred changes are of each.
pub(crate) const KINDS: [(Kind, &str, u32); 5] = [
    (Kind::Put, "put", 40),
    (Kind::Take, "take", 40),
    (Kind::Edit, "edit", 12),
    (Kind::Stock, "stock", 6),
    (Kind::Tiers, "tiers", 2),
];

/// One change, ready to be made.
pub(crate) enum Change {
    Put(Intent),
    Take(Intent),
    Offer(PlacedOffer),
}

/// The city.
pub(crate) struct City {
    pub(crate) params: Params,
    pub(crate) offers: Vec<PlacedOffer>,
    /// Intents in the market, and those that may come.
    pub(crate) live: Vec<Intent>,
    away: Vec<Intent>,
    pub(crate) market: Market,
    draw: ChaCha8Rng,
}

impl City {
    /// A city of that many intents of a class, loaded; half as many, and a hundred, may still come.
    pub(crate) fn new(class: &str, intents: usize, seed: u64) -> Self {
        let away = (intents / 2).min(4_000) + 100;
        let document = classes::market(class, intents + away, seed).to_string();
        let instance = Instance::parse(document.as_bytes()).expect("a generated market");
        let (params, offers, all) = instance.parts().next().expect("one product");
        let (live, away) = all.split_at(intents);
        let mut city = Self {
            params: params.clone(),
            offers: offers.to_vec(),
            live: live.to_vec(),
            away: away.to_vec(),
            market: Market::new(params.clone()),
            draw: ChaCha8Rng::seed_from_u64(seed),
        };
        city.market = city.fresh_market(LOADED_AT_ONCE);
        city
    }

    /// A market of the same records, refreshed whenever so many intents have come.
    pub(crate) fn fresh_market(&self, at_once: usize) -> Market {
        let mut market = Market::new(self.params.clone());
        self.offers.iter().for_each(|offer| market.put_offer(offer.clone()));
        for intents in self.live.chunks(at_once) {
            intents.iter().for_each(|intent| market.put_intent(intent.clone()));
            market.refresh();
        }
        market
    }

    fn roll(&mut self, least: i64, most: i64) -> i64 {
        self.draw.random_range(least..=most)
    }

    fn any(&mut self, of: usize) -> usize {
        self.roll(0, of as i64 - 1) as usize
    }

    /// A random change; the records know it, the market not yet.
    pub(crate) fn next(&mut self) -> (Kind, Change) {
        let mut dice = self.roll(0, 99) as u32;
        let mut kinds = KINDS.iter();
        let kind = loop {
            let (kind, _, share) = *kinds.next().expect("shares of a hundred");
            match dice.checked_sub(share) {
                Some(rest) => dice = rest,
                None => break kind,
            }
        };
        let kind = match kind {
            Kind::Put if self.away.is_empty() => Kind::Take,
            Kind::Take if self.live.len() < 2 => Kind::Put,
            kind => kind,
        };
        let change = match kind {
            Kind::Put => {
                let n = self.any(self.away.len());
                let intent = self.away.swap_remove(n);
                self.live.push(intent.clone());
                Change::Put(intent)
            }
            Kind::Take => {
                let n = self.any(self.live.len());
                let intent = self.live.swap_remove(n);
                self.away.push(intent.clone());
                Change::Take(intent)
            }
            Kind::Edit => Change::Put(self.edit()),
            Kind::Stock | Kind::Tiers => Change::Offer(self.change_offer(kind)),
        };
        (kind, change)
    }

    /// An intent with another budget, or another's stay.
    fn edit(&mut self) -> Intent {
        let (n, other) = (self.any(self.live.len()), self.any(self.live.len()));
        let percent = self.roll(85, 118);
        let other = self.live[other].slots.clone();
        let intent = &mut self.live[n];
        if percent % 2 == 0 {
            let budget = intent.budget.minor() * percent / 100;
            intent.budget = Money::new("budget", budget).expect("not much more than it was");
        } else {
            intent.slots = other;
        }
        intent.clone()
    }

    fn change_offer(&mut self, kind: Kind) -> PlacedOffer {
        let (n, percent) = (self.any(self.offers.len()), self.roll(60, 140));
        let placed = &mut self.offers[n];
        if kind == Kind::Stock {
            placed.stock = (placed.stock * percent / 100).clamp(3, 200);
            return placed.clone();
        }
        // All but the first price go the same way, and still fall.
        let tiers = placed.offer.tiers.as_slice();
        let first = tiers[0].price.minor();
        let moved = tiers.iter().map(|tier| {
            let less = (first - tier.price.minor()) * percent / 100;
            Money::new("price", first - less).map(|price| Tier { price, ..*tier })
        });
        if let Ok(tiers) = moved.collect::<Result<_, _>>().and_then(Tiers::new) {
            Arc::make_mut(&mut placed.offer).tiers = tiers;
        }
        placed.clone()
    }

    /// Makes the change in the market, and refreshes it.
    pub(crate) fn make(&mut self, change: Change) {
        match change {
            Change::Put(intent) => self.market.put_intent(intent),
            Change::Take(intent) => self.market.remove_intent(&intent.id),
            Change::Offer(placed) => self.market.put_offer(placed),
        }
        self.market.refresh();
    }

    /// How many offers, and how many of their windows, an intent could be served by, on average
    /// over a sample of those who could be served at all: by the rules, not by the market.
    pub(crate) fn in_reach(&self) -> (f64, f64) {
        let step = (self.live.len() / SAMPLE).max(1);
        let (mut served, mut offers, mut windows) = (0, 0, 0);
        for intent in self.live.iter().step_by(step) {
            let before = offers;
            for placed in &self.offers {
                let metres = intent.place.distance_m(placed.place);
                let deepest = placed.offer.tiers.as_slice().last().expect("a tier").price;
                let travel = self.params.travel(metres);
                let gain = intent.gain(placed.offer.list_price, deepest, metres, travel);
                if gain.is_some() {
                    let schedule = placed.opening.schedule();
                    let (from, until) = intent.slots.first().zip(intent.slots.end()).expect("some");
                    let open = schedule.open_slots(from, until, self.params.slot);
                    let both = intent.slots.intersect(&open).iter().count();
                    offers += (both > 0) as usize;
                    windows += both;
                }
            }
            served += (offers > before) as usize;
        }
        (offers as f64 / served.max(1) as f64, windows as f64 / served.max(1) as f64)
    }
}
