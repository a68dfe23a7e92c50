//! Which worker keeps which market.
//!
//! A product is at home with the worker of its hash. Few products are wanted by many, so now and
//! then, between ticks, whole markets move from the worker that has most to do to the one that has
//! least. No decision depends on where a market is.

use crate::market::ProductId;
use differential_dataflow::Hashable;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// No market moves while the workers' loads differ by less than this part of the mean.
const LEVEL: u128 = 16;
/// After how many ticks loads are compared again, if intents have not doubled or halved before.
const COMPARED_EVERY: u32 = 4_096;
/// Fewer live intents are not worth a move.
const FEW_INTENTS: i64 = 64;

/// Which worker the updates of a product go to.
#[derive(Clone, Default)]
pub(super) struct Routes(Arc<RwLock<BTreeMap<ProductId, usize>>>);

impl Routes {
    /// The worker, one of `peers`, that keeps the product's market.
    pub(super) fn worker(&self, product: &ProductId, peers: usize) -> usize {
        let moved = self.0.read().unwrap_or_else(PoisonError::into_inner);
        moved.get(product).copied().unwrap_or_else(|| home(product, peers))
    }

    /// How many products have been moved.
    pub(super) fn moved(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// From now on the product's updates go to that worker.
    pub(super) fn note(&self, product: &ProductId, worker: usize) {
        let mut moved = self.0.write().unwrap_or_else(PoisonError::into_inner);
        moved.insert(product.clone(), worker);
    }
}

/// The worker that a product begins with.
pub(super) fn home(product: &ProductId, peers: usize) -> usize {
    (product.hashed() % peers as u64) as usize
}

/// When loads are to be compared.
#[derive(Default)]
pub(super) struct Balance {
    live: i64,
    /// Live intents when they were compared last.
    compared_at: i64,
    ticks: u32,
}

impl Balance {
    /// A tick is over in which so many more intents came than went; whether loads are to be compared.
    pub(super) fn is_due(&mut self, came: i64) -> bool {
        (self.live, self.ticks) = (self.live + came, self.ticks + 1);
        let grown = self.live >= 2 * self.compared_at || 2 * self.live <= self.compared_at;
        if self.live < FEW_INTENTS || !grown && self.ticks < COMPARED_EVERY {
            return false;
        }
        (self.compared_at, self.ticks) = (self.live, 0);
        true
    }
}

/// A market that is to go from one worker to another.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Move {
    /// Its product.
    pub(super) product: ProductId,
    /// The worker that has it.
    pub(super) from: usize,
    /// The worker that is to have it.
    pub(super) to: usize,
}

/// What to move, given what there is to do for each market of each worker: time and again the market
/// that brings the busiest worker and the idlest closest together.
pub(super) fn moves(mut markets: Vec<BTreeMap<ProductId, u128>>) -> Vec<Move> {
    let mut loads: Vec<u128> = markets.iter().map(|of| of.values().sum()).collect();
    let mean = loads.iter().sum::<u128>() / loads.len().max(1) as u128;
    let mut all = Vec::new();
    loop {
        let load = |worker: &usize| loads[*worker];
        let workers = || 0..loads.len();
        let (Some(from), Some(to)) = (workers().max_by_key(load), workers().min_by_key(load))
        else {
            return all;
        };
        let apart = loads[from] - loads[to];
        let best = markets[from]
            .iter()
            .filter(|(_, load)| (1..apart).contains(*load))
            .min_by_key(|(_, load)| (2 * **load).abs_diff(apart));
        let Some((product, &load)) = best.filter(|_| apart * LEVEL > mean) else { return all };
        let product = product.clone();
        markets[from].remove(&product);
        markets[to].insert(product.clone(), load);
        loads[from] -= load;
        loads[to] += load;
        all.push(Move { product, from, to });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn product(n: usize) -> ProductId {
        ProductId::new(&format!("p{n}")).expect("an id")
    }

    fn products(loads: &[u128]) -> BTreeMap<ProductId, u128> {
        let named = loads.iter().enumerate();
        named.map(|(n, load)| (product(n), *load)).collect()
    }

    #[test]
    fn a_worker_with_everything_shares_it_and_one_great_market_stays() {
        let spread = moves(vec![products(&[5, 4, 3, 3, 2, 1]), BTreeMap::new(), BTreeMap::new()]);
        let mut loads = [18, 0, 0];
        for Move { product, from, to } in &spread {
            let load = products(&[5, 4, 3, 3, 2, 1])[product];
            loads[*from] -= load;
            loads[*to] += load;
        }
        assert_eq!(loads, [6, 5, 7], "{spread:?}");
        assert_eq!(moves(vec![products(&[100]), products(&[0, 1])]), []);
    }

    proptest! {
        /// Each move brings the busiest and the idlest closer together, so that moving ends; what is
        /// level then stays.
        #[test]
        fn moving_ends_level_or_where_no_market_helps(
            workers in 1_usize..6,
            of_products in vec((0_usize..6, 0_u128..800), 0..30),
        ) {
            let mut markets = vec![BTreeMap::new(); workers];
            for (n, (worker, load)) in of_products.into_iter().enumerate() {
                markets[worker % workers].insert(product(n), load);
            }
            let spread = |markets: &[BTreeMap<ProductId, u128>]| {
                let loads = markets.iter().map(|of| of.values().sum::<u128>());
                (loads.clone().sum::<u128>(), loads.clone().max().unwrap() - loads.min().unwrap())
            };
            let before = spread(&markets);
            for Move { product, from, to } in moves(markets.clone()) {
                let load = markets[from].remove(&product).expect("it is there");
                markets[to].insert(product, load);
            }
            let after = spread(&markets);
            prop_assert_eq!(after.0, before.0);
            prop_assert!(after.1 <= before.1);
            prop_assert_eq!(moves(markets), vec![]);
        }
    }
}
