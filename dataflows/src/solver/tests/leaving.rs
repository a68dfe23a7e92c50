//! Intents that leave at once, beside the same one after the other.

use super::*;
use crate::saved;

/// Both ways leave the same market, bit for bit.
fn at_once(seed: u64) {
    let _seed = Seed(seed);
    let dice = &mut Dice(seed);
    let mut market = Market::new(params(8, dice));
    for n in 0..dice.roll(2, 8) {
        market.put_offer(offer(dice, n));
    }
    for n in 0..dice.roll(20, 120) {
        market.put_intent(intent(dice, n));
    }
    if dice.chance(80) {
        market.solve(Budget { price_rounds: 20, search_steps: 10, ..Budget::NONE });
    }
    for id in ids(&market) {
        if dice.chance(30) {
            let old = intent_of(&market, &id);
            let promise = promise(dice, &market, &id, &old.promise);
            market.put_intent(Intent { promise, ..old });
        }
    }
    if dice.chance(50) {
        market.refresh();
    }
    let percent = [5, 30, 90, 100][dice.roll(0, 3) as usize];
    let gone: Vec<IntentId> = ids(&market).into_iter().filter(|_| dice.chance(percent)).collect();
    let mut mirror: Market = saved::read(&saved::bytes(&market)).unwrap();
    gone.iter().for_each(|id| mirror.remove_intent(id));
    market.remove_intents(gone.iter());
    assert!(saved::bytes(&market) == saved::bytes(&mirror), "{} left at once", gone.len());
    market.refresh();
    market.inspect().unwrap();
}

fn ids(market: &Market) -> Vec<IntentId> {
    market.intents.in_order().into_iter().map(|i| market.node(i).intent.id.clone()).collect()
}

fn intent_of(market: &Market, id: &IntentId) -> Intent {
    let i = market.intents.find(id).unwrap();
    Intent::clone(&market.node(i).intent)
}

#[test]
fn who_leaves_at_once_leaves_as_one_after_the_other() {
    for_each_seed(400, at_once);
}
