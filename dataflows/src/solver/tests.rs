//! The solver against programs that share nothing with it: candidates from the rules, the optimum
//! by trying everything, the plain greedy by trying every group.
//!
//! Small random markets go through batches of changes; after each batch the incremental market
//! must stand every comparison. A failure prints its seed: `ICESHOP_SEED=<seed>` repeats it,
//! `ICESHOP_CASES=<n>` runs more of them.

pub(super) mod cliff;

mod exact;

mod faults;

mod great;

mod leaving;

mod limits;

mod reference;

mod small;

use super::{Budget, Market, Trials};
use crate::market::limits::{MAX_GROUP, MAX_MONEY};
use crate::market::*;
use reference::World;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A generator of numbers: splitmix64.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `least` to `most`, both included.
    pub(super) fn roll(&mut self, least: i64, most: i64) -> i64 {
        least + (self.next() % (most - least + 1) as u64) as i64
    }

    fn chance(&mut self, percent: i64) -> bool {
        self.roll(1, 100) <= percent
    }

    fn place(&mut self) -> Position {
        let degrees = |n: i64| n as f64 / 1e6;
        Position::new(48.85 + degrees(self.roll(0, 20_000)), 2.35 + degrees(self.roll(0, 20_000)))
            .unwrap()
    }

    fn slots(&mut self) -> SlotSet {
        let mut ranges = Vec::new();
        for _ in 0..if self.chance(20) { 2 } else { 1 } {
            let from = self.roll(0, SLOTS as i64 - 1) as i32;
            let until = self.roll(from as i64 + 1, SLOTS as i64) as i32;
            ranges.push((Slot(FIRST + from), Slot(FIRST + until)));
        }
        SlotSet::new(ranges)
    }
}

/// Prints the seed when a test dies.
pub(super) struct Seed(pub(super) u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("ICESHOP_SEED={} fails", self.0);
        }
    }
}

pub(super) const FIRST: i32 = 72_000;
pub(super) const SLOTS: i32 = 4;

fn money(minor: i64) -> Money {
    Money::new("", minor).unwrap()
}

fn offer(dice: &mut Dice, n: i64) -> super::PlacedOffer {
    let mut least = 0;
    let mut price = dice.roll(75, 100);
    let mut tiers = Vec::new();
    for _ in 0..dice.roll(1, 3) {
        least += dice.roll(1, 2) as u32;
        tiers.push(Tier { min_buyers: least, price: money(price) });
        price -= dice.roll(1, 20);
    }
    let place = dice.place();
    let slot_values = (0..SLOTS).filter(|_| dice.chance(15)).collect::<Vec<_>>();
    let slot_values =
        slot_values.into_iter().map(|t| (Slot(FIRST + t), money(dice.roll(0, 30)))).collect();
    super::PlacedOffer {
        offer: Arc::new(Offer {
            key: OfferKey {
                store: StoreId::new(&format!("s{n}")).unwrap(),
                product: ProductId::new("p").unwrap(),
            },
            list_price: money(dice.roll(85, 115)),
            tiers: Tiers::new(tiers).unwrap(),
            max_group: if dice.chance(60) { MAX_GROUP } else { dice.roll(0, 5) as u32 },
            visit_value: money(if dice.chance(30) { dice.roll(0, 20) } else { 0 }),
            slot_values,
            lead_minutes: if dice.chance(20) { Some(dice.roll(0, 60) as u32) } else { None },
            withdrawn: false,
        }),
        place,
        cell: place.cell(Resolution::default()),
        opening: if dice.chance(60) { Opening::Always } else { Opening::Slots(dice.slots()) },
        stock: stock(dice),
        locked: Box::default(),
    }
}

fn stock(dice: &mut Dice) -> i64 {
    match dice.roll(0, 9) {
        0 => dice.roll(-3, 0),
        1..=5 => dice.roll(1, 9),
        _ => 100,
    }
}

fn intent(dice: &mut Dice, n: i64) -> Intent {
    let place = dice.place();
    Intent {
        id: IntentId::new(&format!("i{n}")).unwrap(),
        product: ProductId::new("p").unwrap(),
        place,
        cell: place.cell(Resolution::default()),
        slots: dice.slots(),
        budget: money(dice.roll(60, 120)),
        quantity: if dice.chance(60) { 1 } else { dice.roll(1, 4) as u32 },
        reach_m: dice.roll(500, 3_000) as u32,
        promise: Promise::default(),
    }
}

/// One change to a market.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Put(Box<Intent>),
    Take(IntentId),
    Offer(Box<super::PlacedOffer>),
    Withdraw(StoreId),
}

impl Change {
    fn about(&self) -> &str {
        match self {
            Change::Put(intent) => intent.id.as_str(),
            Change::Take(id) => id.as_str(),
            Change::Offer(placed) => placed.offer.key.store.as_str(),
            Change::Withdraw(store) => store.as_str(),
        }
    }

    fn rank(&self) -> (bool, &str) {
        (matches!(self, Change::Put(_) | Change::Take(_)), self.about())
    }

    fn apply(&self, market: &mut Market) {
        let resolution = market.params.resolution;
        match self.clone() {
            Change::Put(intent) => {
                let cell = intent.place.cell(resolution);
                market.put_intent(Intent { cell, ..*intent });
            }
            Change::Take(id) => market.remove_intent(&id),
            Change::Offer(placed) => {
                let cell = placed.place.cell(resolution);
                market.put_offer(super::PlacedOffer { cell, ..*placed });
            }
            Change::Withdraw(store) => market.remove_offer(&store),
        }
    }
}

/// What a buyer has been told, and answers: mostly about the window that the intent is in.
fn promise(dice: &mut Dice, market: &Market, id: &IntentId, old: &Promise) -> Promise {
    let home = market.grouping().into_iter().find(|w| w.members.iter().any(|m| m.0 == *id));
    let anywhere = (
        StoreId::new(&format!("s{}", dice.roll(0, 3))).unwrap(),
        Slot(FIRST + dice.roll(0, SLOTS as i64 - 1) as i32),
    );
    let place = home.as_ref().map_or(anywhere, |w| (w.key.store.clone(), w.key.slot));
    let mut promise = old.clone();
    match dice.roll(0, 9) {
        0..=4 => promise.announced = Some(Arc::new(place)),
        5..=6 => {
            let price = home.map_or_else(|| money(dice.roll(60, 100)), |w| w.price);
            let pin = Pin { store: place.0, slot: place.1, price };
            promise.pin = Some(Box::new(pin));
        }
        7 => promise = Promise::default(),
        _ => {
            let declined: BTreeSet<_> = promise.declined.iter().cloned().chain([place]).collect();
            promise.declined = declined.into_iter().collect();
            promise.announced = None;
        }
    }
    promise
}

fn change(dice: &mut Dice, world: &World, market: &Market, pins: bool) -> Change {
    let n = dice.roll(0, 6);
    let id = IntentId::new(&format!("i{n}")).unwrap();
    let known = world.intents.get(&id);
    let store = dice.roll(0, 3);
    let key = StoreId::new(&format!("s{store}")).unwrap();
    match dice.roll(0, 19) {
        0..=6 => Change::Put(Box::new(intent(dice, n))),
        7..=10 if known.is_some() && pins => {
            let old = known.unwrap();
            let promise = promise(dice, market, &id, &old.promise);
            Change::Put(Box::new(Intent { promise, ..old.clone() }))
        }
        11 if known.is_some() => {
            let budget = money(dice.roll(60, 120));
            Change::Put(Box::new(Intent { budget, ..known.unwrap().clone() }))
        }
        12..=13 => Change::Take(id),
        14..=16 => match world.offers.get(&key) {
            Some(old) => Change::Offer(Box::new(match dice.roll(0, 2) {
                0 => super::PlacedOffer { stock: stock(dice), ..old.clone() },
                1 => {
                    let taken = (0..SLOTS).filter(|_| dice.chance(25)).map(|t| Slot(FIRST + t));
                    let locked = taken.collect::<Vec<_>>().into_boxed_slice();
                    super::PlacedOffer { locked, ..old.clone() }
                }
                _ => {
                    let new = offer(dice, store);
                    super::PlacedOffer { place: old.place, opening: old.opening.clone(), ..new }
                }
            })),
            None => Change::Offer(Box::new(offer(dice, store))),
        },
        17 => Change::Withdraw(key),
        _ => Change::Offer(Box::new(offer(dice, store))),
    }
}

fn params(resolution: u8, dice: &mut Dice) -> Params {
    Params {
        travel_cost_per_km: [0, 3, 10, 25][dice.roll(0, 3) as usize],
        stay_bonus_ppm: [0, 10_000, 100_000][dice.roll(0, 2) as usize],
        lead_minutes: 20,
        resolution: Resolution::new(resolution).unwrap(),
        ..Params::default()
    }
}

/// One market through a dozen batches, with every comparison after each.
fn live(seed: u64) {
    let _seed = Seed(seed);
    let dice = &mut Dice(seed);
    let one = params(7 + (seed % 3) as u8, dice);
    let pins = dice.chance(60);
    let other =
        Params { resolution: Resolution::new(7 + ((seed + 1) % 3) as u8).unwrap(), ..one.clone() };
    let mut market = Market::new(one);
    let mut mirror = Market::new(other);
    let mut world = World::new(market.params.clone());
    for batch in 0..dice.roll(2, 12) {
        let mut changes: Vec<Change> = Vec::new();
        for _ in 0..if batch == 0 { 12 } else { dice.roll(1, 4) } {
            let change = change(dice, &world, &market, pins);
            if changes.iter().all(|c| c.about() != change.about()) {
                changes.push(change);
            }
        }
        if dice.chance(10) {
            let until = market.params.slot.start(Slot(FIRST - 2 + dice.roll(0, 3) as i32));
            market.advance(until);
            mirror.advance(until);
            world.advance(until);
        }
        // The order in which the dataflow hands on what one tick changes.
        changes.sort_by(|a, b| a.rank().cmp(&b.rank()));
        for change in &changes {
            change.apply(&mut market);
            world.apply(change);
            // Somebody far away comes and goes, so that indices are given out differently.
            let far = Position::new(-40.0, dice.roll(0, 9) as f64).unwrap();
            let n = 900 + dice.roll(0, 3);
            let stranger = Intent { place: far, ..intent(dice, n) };
            if dice.chance(50) {
                Change::Put(Box::new(stranger)).apply(&mut mirror);
            } else {
                Change::Take(stranger.id).apply(&mut mirror);
            }
            change.apply(&mut mirror);
        }
        let released = world.released(&market);
        if dice.chance(20) {
            // What a refresh in haste leaves out the greedies of a solve find.
            market.refresh_with(Trials::FEW);
            mirror.refresh_with(Trials::FEW);
            assert_eq!(market.grouping(), mirror.grouping(), "in haste in batch {batch}");
            assert_eq!(market.verify(), Ok(market.value));
            assert_eq!(market.audit(), Ok(()));
            let greedies = Budget { from_scratch: true, ..Budget::NONE };
            market.solve(greedies);
            mirror.solve(greedies);
        }
        market.refresh();
        mirror.refresh();
        world.hold(&market, &released);
        assert_eq!(market.grouping(), mirror.grouping(), "batch {batch}");
        assert_eq!(market.dual, mirror.dual, "batch {batch}");
        if dice.chance(25) {
            market.solve(Budget {
                price_rounds: 30,
                search_steps: 30,
                nodes: 5,
                from_scratch: true,
            });
            mirror.solve(Budget {
                price_rounds: 30,
                search_steps: 30,
                nodes: 5,
                from_scratch: true,
            });
            world.hold(&market, &released);
            assert_eq!(market.grouping(), mirror.grouping(), "solved in batch {batch}");
            assert_eq!(market.dual, mirror.dual, "solved in batch {batch}");
        }
    }
    world.hold_against_a_fresh_one(&market);
}

/// Tries `ICESHOP_CASES` seeds, or the one in `ICESHOP_SEED`.
#[allow(clippy::disallowed_methods, reason = "a test's seed may come from outside")]
pub(super) fn for_each_seed(cases: u64, test: impl Fn(u64)) {
    let read = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = read("ICESHOP_SEED") {
        return test(seed);
    }
    for seed in 0..read("ICESHOP_CASES").unwrap_or(cases) {
        test(seed);
    }
}

#[test]
fn a_changing_market_stands_every_comparison() {
    for_each_seed(300, live);
}
