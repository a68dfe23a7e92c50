//! The incremental dataflow against the plain `reduce` that solves from scratch: the same changes
//! into both, and what each says holds for the other.

use super::law::{PRODUCTS, STORES, intent, product, store};
use crate::support::{Dice, for_each_seed};
use dataflows::flow::{Changes, Flow, Lock, Output, Site};
use dataflows::market::{
    Certificate, Intent, Money, Offer, OfferKey, Opening, Params, Position, ProductId, Promise,
    Resolution, Slot, SlotSet, StoreId, Tick, Tier, Tiers, WindowKey,
};
use dataflows::solver::feasible::check_grouping;
use dataflows::solver::{GroupedWindow, PlacedOffer};
use std::collections::BTreeMap;

/// The first slot; the stream's ticks lie before it.
const FIRST: i32 = 72_000;
const SLOTS: i64 = 4;
const INTENTS: i64 = 8;

/// What is in the collections, and what each dataflow has said.
struct Both {
    params: Params,
    incremental: Flow,
    reference: Flow,
    intents: BTreeMap<i64, Intent>,
    offers: BTreeMap<OfferKey, (Offer, i64)>,
    sites: BTreeMap<StoreId, Site>,
    locks: BTreeMap<WindowKey, i64>,
    said: [BTreeMap<Output, isize>; 2],
}

fn money(minor: i64) -> Money {
    Money::new("", minor).unwrap()
}

fn place(dice: &mut Dice) -> Position {
    let degrees = |n: i64| n as f64 / 1e6;
    Position::new(48.85 + degrees(dice.roll(0, 20_000)), 2.35 + degrees(dice.roll(0, 20_000)))
        .unwrap()
}

fn slots(dice: &mut Dice) -> SlotSet {
    let from = dice.roll(0, SLOTS - 1) as i32;
    let until = dice.roll(from as i64 + 1, SLOTS) as i32;
    SlotSet::range(Slot(FIRST + from), Slot(FIRST + until))
}

impl Both {
    fn new(params: Params) -> Self {
        Self {
            incremental: Flow::start(&params, 1),
            reference: Flow::reference(&params),
            intents: BTreeMap::new(),
            offers: BTreeMap::new(),
            sites: BTreeMap::new(),
            locks: BTreeMap::new(),
            said: Default::default(),
            params,
        }
    }

    fn change(&mut self, dice: &mut Dice, changes: &mut Changes) {
        match dice.roll(0, 9) {
            0..=4 => self.change_intent(dice, changes),
            5..=6 => self.change_offer(dice, changes),
            7 => self.change_site(dice, changes),
            _ => self.change_lock(dice, changes),
        }
    }

    fn change_intent(&mut self, dice: &mut Dice, changes: &mut Changes) {
        let n = dice.roll(0, INTENTS - 1);
        if let Some(old) = self.intents.remove(&n) {
            changes.intents.push((old.into(), -1));
            if dice.chance(30) {
                return;
            }
        }
        let place = place(dice);
        let new = Intent {
            id: intent(n),
            product: product(dice.roll(0, PRODUCTS - 1)),
            place,
            cell: place.cell(self.params.resolution),
            slots: slots(dice),
            budget: money(dice.roll(60, 120)),
            quantity: dice.roll(1, 3) as u32,
            reach_m: dice.roll(500, 3_000) as u32,
            promise: Promise::default(),
        };
        changes.intents.push((new.clone().into(), 1));
        self.intents.insert(n, new);
    }

    fn change_offer(&mut self, dice: &mut Dice, changes: &mut Changes) {
        let (store, product) =
            (store(dice.roll(0, STORES - 1)), product(dice.roll(0, PRODUCTS - 1)));
        let key = OfferKey { store, product };
        if let Some((old, stock)) = self.offers.remove(&key) {
            changes.offers.push((old.into(), -1));
            changes.stock.push((key.clone(), -(stock as isize)));
            if dice.chance(20) {
                return;
            }
        }
        let first = dice.roll(1, 3) as u32;
        let price = dice.roll(75, 100);
        let tier = |min_buyers, price| Tier { min_buyers, price: money(price) };
        let offer = Offer {
            key: key.clone(),
            list_price: money(dice.roll(85, 115)),
            tiers: Tiers::new(vec![tier(first, price), tier(first + 2, price - 15)]).unwrap(),
            max_group: dice.roll(2, 6) as u32,
            visit_value: money(dice.roll(0, 10)),
            slot_values: Box::default(),
            lead_minutes: None,
            withdrawn: false,
        };
        let stock = dice.roll(0, 12);
        changes.offers.push((offer.clone().into(), 1));
        changes.stock.push((key.clone(), stock as isize));
        self.offers.insert(key, (offer, stock));
    }

    fn change_site(&mut self, dice: &mut Dice, changes: &mut Changes) {
        let store = store(dice.roll(0, STORES - 1));
        if let Some(old) = self.sites.remove(&store) {
            changes.stores.push(((store.clone(), old), -1));
        }
        let place = place(dice);
        let opening = if dice.chance(60) { Opening::Always } else { Opening::Slots(slots(dice)) };
        let site = Site { place, cell: place.cell(self.params.resolution), opening };
        changes.stores.push(((store.clone(), site.clone()), 1));
        self.sites.insert(store, site);
    }

    fn change_lock(&mut self, dice: &mut Dice, changes: &mut Changes) {
        let key = WindowKey {
            slot: Slot(FIRST + dice.roll(0, SLOTS - 1) as i32),
            store: store(dice.roll(0, STORES - 1)),
            product: product(dice.roll(0, PRODUCTS - 1)),
        };
        match self.locks.remove(&key) {
            Some(units) => changes.locked.push((Lock { key, units }, -1)),
            None => {
                let units = dice.roll(0, 3);
                changes.locked.push((Lock { key: key.clone(), units }, 1));
                self.locks.insert(key, units);
            }
        }
    }

    fn step(&mut self, tick: Tick, changes: Changes) {
        let flows = [&mut self.incremental, &mut self.reference];
        for (flow, said) in flows.into_iter().zip(&mut self.said) {
            for (output, diff) in flow.step(tick, changes.clone()) {
                *said.entry(output).or_default() += diff;
            }
            said.retain(|_, count| *count != 0);
            assert!(said.values().all(|count| *count == 1), "{said:?}");
        }
        for n in 0..PRODUCTS {
            self.hold(&product(n));
        }
        let demand = self.incremental.demand();
        assert_eq!(demand, self.reference.demand());
        let wanted: i64 = self.intents.values().map(|i| i.slots.iter().count() as i64).sum();
        assert_eq!(demand.values().sum::<i64>(), wanted);
    }

    /// Either's grouping is feasible and worth what it says, and either's bound bounds both.
    fn hold(&self, product: &ProductId) {
        let placed: BTreeMap<StoreId, PlacedOffer> = self
            .offers
            .values()
            .filter(|(offer, _)| offer.key.product == *product)
            .filter_map(|(offer, stock)| {
                let site = self.sites.get(&offer.key.store)?;
                let of_offer = self.locks.iter().filter(|(key, _)| key.offer() == offer.key);
                let used: i64 = of_offer.clone().map(|(_, units)| units).sum();
                let placed = PlacedOffer {
                    offer: offer.clone().into(),
                    place: site.place,
                    cell: site.cell,
                    opening: site.opening.clone(),
                    stock: stock - used,
                    locked: of_offer.map(|(key, _)| key.slot).collect(),
                };
                Some((offer.key.store.clone(), placed))
            })
            .collect();
        let certificates = self.said.each_ref().map(|said| {
            let of_market = |output: &Output| match output {
                Output::Market(of, certificate) if of == product => Some(*certificate),
                _ => None,
            };
            let windows: Vec<GroupedWindow> = said
                .keys()
                .filter_map(|output| match output {
                    Output::Window(window) if window.key.product == *product => {
                        Some(GroupedWindow::clone(window))
                    }
                    _ => None,
                })
                .collect();
            let certificate: Certificate = said.keys().find_map(of_market).unwrap_or_default();
            let intent_of = |id: &_| self.intents.values().find(|i| i.id == *id);
            let value =
                check_grouping(&self.params, &windows, |store| placed.get(store), intent_of);
            assert_eq!(value, Ok(certificate.value));
            certificate
        });
        let least = certificates[0].bound.min(certificates[1].bound);
        let most = certificates[0].value.max(certificates[1].value);
        assert!(least >= most, "{product}: {certificates:?}");
    }
}

#[test]
fn the_incremental_dataflow_agrees_with_the_one_from_scratch() {
    for_each_seed(60, |seed| {
        let dice = &mut Dice::new(seed);
        let mut both = Both::new(Params {
            travel_cost_per_km: *dice.pick(&[0, 10]),
            resolution: Resolution::new(dice.roll(7, 9) as u8).unwrap(),
            ..Params::default()
        });
        let mut tick = Tick(1);
        for step in 0..dice.roll(3, 15) {
            let mut changes = Changes::default();
            for _ in 0..if step == 0 { 25 } else { dice.roll(1, 5) } {
                both.change(dice, &mut changes);
            }
            both.step(tick, changes);
            tick = Tick(tick.0 + dice.roll(1, 50) as u64);
        }
    });
}
