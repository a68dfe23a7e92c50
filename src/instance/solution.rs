//! An instance, solved: its grouping and its certificate with the ids as they came.

use super::{Id, Instance, Product};
use dataflows::market as m;
use dataflows::solver::{Budget, Market, SCALE, Step};
use serde::Serialize;

/// One window of a grouping.
#[derive(Debug, Serialize)]
pub struct Window<'a> {
    /// The store.
    pub store: &'a Id,
    /// The product.
    pub product: &'a Id,
    /// The slot's number.
    pub slot: i32,
    /// The unit price that the group earns.
    pub price: i64,
    /// The intents in it.
    pub buyers: Vec<&'a Id>,
}

/// A grouping.
#[derive(Debug, Serialize)]
pub struct Grouping<'a> {
    /// Its windows, by product, slot and store.
    pub windows: Vec<Window<'a>>,
}

/// Dual prices: what proves a bound. What is absent has price 0.
#[derive(Debug, Serialize)]
pub struct Certificate<'a> {
    /// Prices are in 1/`scale` of a minor unit.
    pub scale: i64,
    /// Each intent's price.
    pub intents: Vec<(&'a Id, i64)>,
    /// The price of a unit of each offer's stock.
    pub offers: Vec<(&'a Id, &'a Id, i64)>,
}

/// A solved instance.
#[derive(Debug)]
pub struct Solution<'a> {
    instance: &'a Instance,
    /// One per product, in the same order.
    markets: Vec<Market>,
}

impl<'a> Solution<'a> {
    /// Solves every product's market with that budget; `greedy`: by the plain greedy alone. `watch`
    /// is told of every step in the market of a product.
    pub fn of(
        instance: &'a Instance,
        budget: Budget,
        greedy: bool,
        watch: &mut dyn FnMut(&Id, Step),
    ) -> Self {
        let solve = |product: &Product| {
            let mut market = Market::new(instance.params.clone());
            for offer in &product.offers {
                market.put_offer(offer.clone());
            }
            for intent in &product.intents {
                market.put_intent(intent.clone());
            }
            if greedy {
                market = market.greedy_market();
                market.tighten_bound(budget.price_rounds);
            } else {
                market.solve_watched(budget, &mut |step| watch(&product.name, step));
            }
            market
        };
        Self { instance, markets: instance.products.iter().map(solve).collect() }
    }

    /// The value, and the bound: what [`Solution::certificate`] proves and the search has added,
    /// rounded down once.
    pub fn proof(&self) -> m::Certificate {
        let value = self.markets.iter().map(|market| market.certificate().value).sum();
        let dual: i128 = self.markets.iter().map(Market::scaled_bound).sum();
        let bound = dual.div_euclid(i128::from(SCALE)).min(i128::from(i64::MAX)) as i64;
        m::Certificate { value, bound }
    }

    /// How many windows are open.
    pub fn windows(&self) -> usize {
        self.markets.iter().map(|market| market.grouping().len()).sum()
    }

    /// How many buyers are in them.
    pub fn buyers(&self) -> usize {
        let groupings = self.markets.iter().flat_map(Market::grouping);
        groupings.map(|window| window.members.len()).sum()
    }

    /// Who buys with whom.
    pub fn grouping(&self) -> Grouping<'a> {
        let mut windows = Vec::new();
        for (product, market) in self.instance.products.iter().zip(&self.markets) {
            windows.extend(market.grouping().into_iter().map(|window| {
                Window {
                    store: named(&self.instance.stores, window.key.store.as_str()),
                    product: &product.name,
                    slot: window.key.slot.0,
                    price: window.price.minor(),
                    buyers: window
                        .members
                        .iter()
                        .map(|(id, _)| named(&self.instance.intents, id.as_str()))
                        .collect(),
                }
            }));
        }
        Grouping { windows }
    }

    /// The prices behind the bound.
    pub fn certificate(&self) -> Certificate<'a> {
        let (mut intents, mut offers) = (Vec::new(), Vec::new());
        for (product, market) in self.instance.products.iter().zip(&self.markets) {
            let prices = market.dual_prices();
            intents.extend(
                prices
                    .intents
                    .iter()
                    .map(|(id, price)| (named(&self.instance.intents, id.as_str()), *price)),
            );
            offers.extend(prices.offers.iter().map(|(id, price)| {
                (named(&self.instance.stores, id.as_str()), &product.name, *price)
            }));
        }
        Certificate { scale: SCALE, intents, offers }
    }
}

/// The id of that rank, as it came.
fn named<'a>(ids: &'a [Id], rank: &str) -> &'a Id {
    let rank: usize = rank.parse().expect("every id inside is a rank");
    &ids[rank]
}
