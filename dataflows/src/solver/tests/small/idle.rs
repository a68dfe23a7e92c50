//! Buyers whom a window gains nothing: of groupings of equal worth the one with more of them is better.

use super::*;

/// Nobody has to travel, and most are asked for exactly what they would pay.
fn at_their_limit(seed: u64) {
    let _seed = Seed(seed);
    let dice = &mut Dice(seed);
    let params = Params { travel_cost_per_km: 0, ..params(8, dice) };
    let (mut market, mut world) = (Market::new(params.clone()), World::new(params));
    let mut changes = Vec::new();
    let mut prices = Vec::new();
    for n in 0..dice.roll(1, 3) {
        let mut placed = offer(dice, n);
        let offer = Arc::make_mut(&mut placed.offer);
        (offer.visit_value, offer.slot_values) = (Money::default(), Box::default());
        prices.extend(offer.tiers.as_slice().iter().map(|tier| tier.price));
        changes.push(Change::Offer(Box::new(placed)));
    }
    for n in 0..dice.roll(2, 7) {
        let budget = prices[dice.roll(0, prices.len() as i64 - 1) as usize];
        changes.push(Change::Put(Box::new(Intent { budget, ..intent(dice, n) })));
    }
    for change in &changes {
        change.apply(&mut market);
        world.apply(change);
    }
    market.solve(Budget::default());
    hold(&world, &market, "solve");
    assert_eq!(world.idle(&market), None, "somebody could be seated for nothing");
}

#[test]
fn nobody_is_idle_whom_a_window_could_hold_for_nothing() {
    for_each_seed(300, at_their_limit);
}
