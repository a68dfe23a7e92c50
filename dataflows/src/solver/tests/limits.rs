//! Every number at its limit: nothing overflows (tests check every sum), and the bound holds.

use super::*;
use crate::market::limits::{MAX_QUANTITY, MAX_STOCK};
use crate::solver::Upkeep;
use std::sync::Arc;

const LATER: Budget = Budget { price_rounds: 12, search_steps: 40, nodes: 5, from_scratch: false };

/// What an intent gains at price 0, with the seller's visit value.
const MOST: i64 = MAX_MONEY * MAX_QUANTITY as i64 + MAX_MONEY;

/// An offer whose every number is the greatest there is.
fn greatest(dice: &mut Dice, tiers: &[(u32, i64)]) -> super::super::PlacedOffer {
    let mut placed = offer(dice, 0);
    Arc::make_mut(&mut placed.offer).list_price = money(MAX_MONEY);
    Arc::make_mut(&mut placed.offer).visit_value = money(MAX_MONEY);
    Arc::make_mut(&mut placed.offer).slot_values = Box::default();
    Arc::make_mut(&mut placed.offer).max_group = MAX_GROUP;
    Arc::make_mut(&mut placed.offer).lead_minutes = None;
    placed.opening = Opening::Always;
    let tier = |&(min_buyers, price)| Tier { min_buyers, price: money(price) };
    Arc::make_mut(&mut placed.offer).tiers = Tiers::new(tiers.iter().map(tier).collect()).unwrap();
    placed.stock = MAX_STOCK;
    placed
}

/// A buyer of the most units at the greatest budget, at that place.
fn keenest(n: i64, place: Position, slots: SlotSet) -> Intent {
    Intent {
        place,
        budget: money(MAX_MONEY),
        quantity: MAX_QUANTITY,
        slots,
        ..intent(&mut Dice(n as u64), n)
    }
}

fn market() -> Market {
    let mut params = params(8, &mut Dice(1));
    params.stay_bonus_ppm = 1_000_000;
    Market::new(params)
}

fn put(market: &mut Market, intent: Intent) {
    Change::Put(Box::new(intent)).apply(market);
}

/// Solves and settles; the books must be right, and the bound no less than the value.
fn spend(market: &mut Market) {
    market.refresh();
    market.solve(Budget { price_rounds: 20, search_steps: 20, nodes: 5, from_scratch: true });
    let (soon, now, later) = (Time(i64::MAX / 4), LATER, LATER);
    let (region, apart, slice, share) = (1_000, 1 << 40, 1 << 40, u64::MAX);
    let upkeep = Upkeep { minutes: 0, soon, now, later, region, apart, slice, share };
    market.settle_down(upkeep);
    market.settle_down(Upkeep { region: 10, apart: 5, slice: 10, ..upkeep });
    market.tighten_bound(3);
    market.inspect().unwrap();
    let certificate = market.certificate();
    assert!(certificate.bound >= certificate.value, "{certificate:?}");
}

#[test]
fn a_market_at_the_limits_is_solved() {
    let mut market = market();
    let placed = greatest(&mut Dice(1), &[(2, 1), (2_000, 0)]);
    let place = placed.place;
    market.put_offer(placed);
    for n in 0..2_100 {
        put(&mut market, keenest(n, place, SlotSet::range(Slot(FIRST), Slot(FIRST + 1))));
    }
    spend(&mut market);
    assert_eq!(market.certificate().value, 2_100 * MOST);
}

/// More candidates in one window than the greatest group holds.
#[test]
fn a_window_at_the_limits_is_filled() {
    let mut market = market();
    let placed = greatest(&mut Dice(1), &[(2, 1), (MAX_GROUP, 0)]);
    let place = placed.place;
    market.put_offer(placed);
    for n in 0..12_000 {
        put(&mut market, keenest(n, place, SlotSet::range(Slot(FIRST), Slot(FIRST + 1))));
    }
    spend(&mut market);
    assert_eq!(market.certificate().value, MAX_GROUP as i64 * MOST);
}

/// Stock for a few of the most units each, at the greatest prices of intents and stock.
#[test]
fn scarce_units_at_the_limits_are_sold() {
    let mut market = market();
    let mut placed = greatest(&mut Dice(1), &[(2, MAX_MONEY - 1), (3, 0)]);
    placed.stock = 4 * MAX_QUANTITY as i64 + 1;
    let place = placed.place;
    market.put_offer(placed);
    for n in 0..60 {
        let mut intent = keenest(n, place, SlotSet::range(Slot(FIRST), Slot(FIRST + SLOTS)));
        intent.quantity -= (n % 2) as u32;
        put(&mut market, intent);
    }
    spend(&mut market);
    assert_eq!(market.certificate().value, 4 * MOST);
}

/// Buyers whose answers, too, are worth the most: everyone stays where announced.
#[test]
fn bonuses_at_the_limits_are_counted() {
    let mut market = market();
    let placed = greatest(&mut Dice(1), &[(2, MAX_MONEY - 1), (40, 0)]);
    let (place, store) = (placed.place, placed.offer.key.store.clone());
    market.put_offer(placed);
    for n in 0..100 {
        let mut intent = keenest(n, place, SlotSet::range(Slot(FIRST), Slot(FIRST + SLOTS)));
        intent.promise.announced = Some(Arc::new((store.clone(), Slot(FIRST + (n % 2) as i32))));
        put(&mut market, intent);
    }
    spend(&mut market);
    assert_eq!(market.certificate().value, 100 * (MOST + MAX_MONEY));
}

/// Several windows of one offer, none of which can hold what another can, each with as many
/// buyers as a group can have, who have no price yet: their worths together are beyond an `i64`.
#[test]
fn windows_of_an_offer_add_up_at_the_limits() {
    let mut market = market();
    let placed = greatest(&mut Dice(1), &[(MAX_GROUP, 0)]);
    let place = placed.place;
    market.put_offer(placed);
    for n in 0..10_050 {
        // Everybody is away in one of the slots, or in none.
        let mut ranges = Vec::new();
        for slot in (0..5).filter(|slot| n / 10 != *slot) {
            ranges.push((Slot(FIRST + slot as i32), Slot(FIRST + slot as i32 + 1)));
        }
        put(&mut market, keenest(n, place, SlotSet::new(ranges)));
    }
    spend(&mut market);
    assert_eq!(market.certificate().value, MAX_GROUP as i64 * MOST);
}

/// Terms of so many windows that their sum, unscaled, is beyond an `i64`.
#[test]
fn windows_of_a_market_add_up_at_the_limits() {
    let mut market = market();
    let mut place = None;
    for n in 0..20 {
        let mut placed = greatest(&mut Dice(1), &[(MAX_GROUP, 0)]);
        Arc::make_mut(&mut placed.offer).key.store = StoreId::new(&format!("s{n}")).unwrap();
        place = Some(placed.place);
        market.put_offer(placed);
    }
    for n in 0..MAX_GROUP as i64 {
        put(&mut market, keenest(n, place.unwrap(), SlotSet::range(Slot(FIRST), Slot(FIRST + 50))));
    }
    market.refresh();
    let certificate = market.certificate();
    assert!(certificate.bound >= certificate.value, "{certificate:?}");
}
