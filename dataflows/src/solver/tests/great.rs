//! A part that is great enough for grafts, kept up slice by slice.

use super::super::compact::Compact;
use super::super::compact::solve::GRAFTED;
use super::super::{Due, Upkeep};
use super::*;
use crate::saved;

/// Budgets of parts with an urgent window, and of others.
const NOW: Budget = Budget { price_rounds: 12, search_steps: 18, nodes: 5, from_scratch: false };
const LATER: Budget = Budget { price_rounds: 8, search_steps: 12, nodes: 0, from_scratch: false };

/// Some hundreds of buyers who could be served by many stores.
fn great(dice: &mut Dice) -> Market {
    let mut market = Market::new(params(8, dice));
    for n in 0..dice.roll(10, 14) {
        market.put_offer(offer(dice, n));
    }
    for n in 0..dice.roll(330, 360) {
        market.put_intent(intent(dice, n));
        if n % 50 == 0 {
            market.refresh();
        }
    }
    market.refresh();
    market
}

/// What is restored between any two slices goes on as what never stopped, and loses nothing.
fn slice_by_slice(seed: u64) {
    let _seed = Seed(seed);
    let dice = &mut Dice(seed);
    let mut market = great(dice);
    let largest = market.components().into_iter().map(|part| Compact::of(&market, &part));
    let largest = largest.map(|part| part.intents.len()).max().unwrap();
    assert!(largest > GRAFTED, "no part of {largest} intents has grafts");
    let soon = Time(if dice.chance(50) { i64::MAX / 4 } else { i64::MIN / 4 });
    let (minutes, region, share) = (4, u64::MAX, u64::MAX);
    let (now, later, apart, slice) = (NOW, LATER, u64::MAX, 200_000);
    let upkeep = Upkeep { minutes, soon, now, later, region, apart, slice, share };
    let due = Due { passed: 1, ..Due::ALL };
    let mut mirror = market.clone();
    let (mut grafted, mut slices) = (0, 0);
    [&mut market, &mut mirror].into_iter().for_each(|market| market.plan_upkeep(upkeep));
    while market.has_upkeep() {
        let value = market.certificate().value;
        [&mut market, &mut mirror].into_iter().for_each(|market| {
            market.keep_up(upkeep, due);
        });
        assert!(market.certificate().value >= value, "upkeep lost");
        assert_eq!(market.grouping(), mirror.grouping());
        assert_eq!(market.scaled_bound(), mirror.scaled_bound());
        market.inspect().unwrap();
        grafted = grafted.max(market.agenda.grafted());
        slices += 1;
        market = saved::read(&saved::bytes(&market)).unwrap();
    }
    assert!(grafted > 0 && slices > 3, "{grafted} rounds of grafts in {slices} slices");
    assert!(!mirror.has_upkeep());
}

#[test]
fn a_great_part_is_grafted_slice_by_slice() {
    for_each_seed(20, slice_by_slice);
}
