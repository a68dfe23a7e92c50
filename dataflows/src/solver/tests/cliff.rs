//! Markets whose groups are worth hardly anything until they are full.

use super::super::PlacedOffer;
use super::*;
use crate::solver::hot::Home;

/// What costs 1,000 alone, and less by tiers, in groups of so many at most.
fn set_terms(placed: &mut PlacedOffer, max_group: u32, tiers: &[(u32, i64)]) {
    let tier = |&(min_buyers, price)| Tier { min_buyers, price: money(price) };
    let terms = Arc::make_mut(&mut placed.offer);
    (terms.list_price, terms.max_group) = (money(1_000), max_group);
    terms.tiers = Tiers::new(tiers.iter().map(tier).collect()).unwrap();
}

/// A store of which a few pay hardly anything less, and a full group much less.
fn steep(dice: &mut Dice, n: i64) -> PlacedOffer {
    let mut placed = offer(dice, n);
    let full = dice.roll(4, 7) as u32;
    let tiers = [(2, dice.roll(980, 995)), (3, dice.roll(900, 970)), (full, dice.roll(580, 620))];
    set_terms(&mut placed, full, &tiers);
    (placed.opening, placed.stock) = (Opening::Always, 4 * full as i64);
    placed
}

/// Many buyers of a few such stores, each for some of a few slots.
fn many(seed: u64) {
    let _seed = Seed(seed);
    let dice = &mut Dice(seed);
    let mut market = Market::new(params(8, dice));
    for n in 0..dice.roll(3, 6) {
        Change::Offer(Box::new(steep(dice, n))).apply(&mut market);
    }
    for n in 0..dice.roll(51, 70) {
        let from = FIRST + dice.roll(0, 4) as i32;
        let slots = SlotSet::new(vec![(Slot(from), Slot(from + dice.roll(1, 3) as i32))]);
        let budget = money(dice.roll(950, 1_300));
        Change::Put(Box::new(Intent { slots, budget, quantity: 1, ..intent(dice, n) }))
            .apply(&mut market);
    }
    market.solve(Budget { nodes: 100, ..Budget::percent(5) });
    market.inspect().unwrap();
    assert_eq!(market.verify(), Ok(market.certificate().value));
}

#[test]
fn groups_that_are_filled_by_chains_are_whole() {
    for_each_seed(60, many);
}

/// One store whose windows are worth 20 with two buyers and 1,600 with four; buyers who are there at
/// its door in those slots, counted from the first.
pub(in crate::solver) fn cliff(buyers: &[(i64, i32, i32)]) -> Market {
    let dice = &mut Dice(1);
    let mut placed = offer(dice, 0);
    set_terms(&mut placed, 4, &[(2, 990), (4, 600)]);
    let terms = Arc::make_mut(&mut placed.offer);
    terms.visit_value = money(0);
    terms.slot_values = Box::default();
    (placed.opening, placed.stock) = (Opening::Always, 100);
    let place = placed.place;
    let params = Params { travel_cost_per_km: 0, stay_bonus_ppm: 0, ..params(8, dice) };
    let mut market = Market::new(params);
    Change::Offer(Box::new(placed)).apply(&mut market);
    for &(n, from, until) in buyers {
        let slots = SlotSet::new(vec![(Slot(FIRST + from), Slot(FIRST + until))]);
        let buyer = Intent { place, slots, budget: money(1_000), quantity: 1, ..intent(dice, n) };
        Change::Put(Box::new(buyer)).apply(&mut market);
    }
    market.refresh();
    market
}

#[test]
fn groups_that_are_one_in_a_part_stay_one() {
    let mut market = cliff(&[(1, 0, 2), (2, 0, 2), (3, 0, 2), (4, 0, 2)]);
    let full = market.certificate().value;
    assert_eq!(full, 1_600);
    let group = market.offer(0).candidates.clone();
    let Home::In(0, slot) = market.hot[group[0].intent as usize].home else { panic!("in none") };
    market.disband(0, slot);
    market.seat(0, Slot(FIRST), group[..2].to_vec());
    market.seat(0, Slot(FIRST + 1), group[2..].to_vec());
    assert_eq!(market.certificate().value, 40);
    let mut told = Vec::new();
    market.solve_part(&[0], Budget::NONE, 0, &mut |_, value, _| told.push(value));
    assert_eq!((market.verify(), told.last()), (Ok(full), Some(&full)));
}
