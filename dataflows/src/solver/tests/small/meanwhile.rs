//! Prices of a part that are set while its market goes on.

use super::*;
use crate::saved;

/// Prices of a part come in slices while it changes: at every moment all is as true as ever, and what
/// is restored half-way goes on as what never stopped.
fn meanwhile(seed: u64) {
    let _seed = Seed(seed);
    let dice = &mut Dice(seed);
    let mut pair = Pair::begun(dice);
    let region = if dice.chance(50) { 0 } else { 1_000 };
    let upkeep = Upkeep { region, ..small_pieces(dice.chance(50)) };
    let passed = [8, 40, 1_000][dice.roll(0, 2) as usize];
    let due = Due { urgent: WHOLE - 1, later: WHOLE - 1, before: 0, steps: u64::MAX, passed };
    for _ in 0..24 {
        if dice.chance(25) {
            pair.market = saved::read(&saved::bytes(&pair.market)).unwrap();
        }
        let planned = dice.chance(15);
        for market in [&mut pair.market, &mut pair.mirror] {
            if planned || !market.has_upkeep() {
                market.plan_upkeep(upkeep);
            }
            market.keep_up(upkeep, due);
        }
        same(&pair.market, &pair.mirror, "upkeep");
        hold(&pair.world, &pair.market, "upkeep");
        if dice.chance(30) {
            let changes = later_changes(dice, &pair);
            pair.tick(dice, changes);
        }
    }
}

#[test]
fn prices_that_are_under_way_stand_what_comes() {
    for_each_seed(150, meanwhile);
}

/// Prices of a part are set anew whichever of its offers has changed.
#[test]
fn a_great_part_is_priced_whichever_offer_has_changed() {
    for n in 0..3 {
        let dice = &mut Dice(3);
        let mut market = Market::new(params(8, dice));
        let place = dice.place();
        let placed = |n: i64, visit: i64| {
            let mut placed = offer(&mut Dice(5), n);
            let offer = Arc::make_mut(&mut placed.offer);
            offer.tiers = Tiers::new(vec![Tier { min_buyers: 2, price: money(100) }]).unwrap();
            (offer.list_price, offer.visit_value) = (money(200), money(visit));
            (placed.place, placed.opening, placed.stock) = (place, Opening::Always, 3);
            placed
        };
        (0..3).for_each(|n| market.put_offer(placed(n, 5)));
        for n in 0..9 {
            let (budget, slots) = (money(200), SlotSet::range(Slot(FIRST), Slot(FIRST + 3)));
            let buyer = Intent { place, budget, slots, quantity: 1, ..intent(&mut Dice(1), n) };
            market.put_intent(buyer);
        }
        market.refresh();
        market.unsolved.clear();
        market.put_offer(placed(n, 6));
        market.refresh();
        let o = market.by_store[&StoreId::new(&format!("s{n}")).unwrap()];
        market.unsolved = BTreeSet::from([o]);
        let upkeep = Upkeep { region: 0, ..small_pieces(true) };
        market.plan_upkeep(upkeep);
        market.keep_up(upkeep, Due::ALL);
        assert!(market.agenda.pricing.is_some(), "store {n} has changed");
    }
}
