//! The same markets as a plain differential `reduce`, solved from scratch at every change.
//!
//! Far too slow for a city (a `reduce` reads its whole group again), and obviously right: tests
//! hold the operator's candidates, values and bounds against it.

use super::records::{Key, MarketInput, Output};
use super::{Inputs, Outputs, T, build};
use crate::market::{Params, Slot, StoreId, Time};
use crate::solver::{Budget, Market, PlacedOffer};
use differential_dataflow::VecCollection;
use std::collections::{BTreeMap, BTreeSet};

/// Builds the dataflow with a `reduce` for the markets.
pub fn build_reference<'s>(inputs: Inputs<'s>, params: &Params) -> Outputs<'s> {
    let params = params.clone();
    build(inputs, 1, move |inputs| markets(inputs, params))
}

fn markets<'s>(
    inputs: VecCollection<'s, T, (Key, MarketInput), isize>,
    params: Params,
) -> VecCollection<'s, T, Output, isize> {
    let minute = inputs.clone().flat_map(|(key, record)| match (key, record) {
        (Key::Worker(_), MarketInput::Clock(clock)) => Some(((), clock)),
        _ => None,
    });
    let products = inputs.flat_map(|(key, record)| match key {
        Key::Product(product) => Some((product, record)),
        Key::Worker(_) => None,
    });
    // The minute joins every product's group: it closes slots everywhere.
    let everywhere = products
        .clone()
        .map(|(product, _)| ((), product))
        .distinct()
        .join_map(minute, |_, product, m| (product.clone(), MarketInput::Clock(*m)));
    products
        .concat(everywhere)
        .reduce_named("ReferenceMarkets", move |product, records, out| {
            let market = from_scratch(&params, records.iter().map(|r| r.0));
            out.extend(market.grouping().into_iter().map(|w| (Output::Window(w.into()), 1)));
            let certificate = market.certificate();
            if certificate.value != 0 || certificate.bound != 0 {
                out.push((Output::Market(product.clone(), certificate), 1));
            }
        })
        .map(|(_, output)| output)
}

/// A market built from all its records at once, and solved.
pub fn from_scratch<'a>(params: &Params, records: impl Iterator<Item = &'a MarketInput>) -> Market {
    let mut market = Market::new(params.clone());
    let mut stock: BTreeMap<&StoreId, i64> = BTreeMap::new();
    let mut locked: BTreeMap<&StoreId, BTreeSet<Slot>> = BTreeMap::new();
    let (mut offers, mut intents, mut minute) = (Vec::new(), Vec::new(), None);
    for record in records {
        match record {
            MarketInput::Clock(clock) => minute = minute.max(Some(clock.at.minute())),
            MarketInput::Stock(store, units) => {
                stock.insert(store, *units);
            }
            MarketInput::Locked(store, slot) => {
                locked.entry(store).or_default().insert(*slot);
            }
            MarketInput::Offer(offer, site) => offers.push((offer, site)),
            MarketInput::Intent(intent) => intents.push(intent),
        }
    }
    if let Some(minute) = minute {
        market.advance(Time::of_minute(minute));
    }
    for (offer, site) in offers {
        let store = &offer.key.store;
        market.put_offer(PlacedOffer {
            offer: offer.clone(),
            place: site.place,
            cell: site.cell,
            opening: site.opening.clone(),
            stock: stock.get(store).copied().unwrap_or(0),
            locked: locked.get(store).into_iter().flatten().copied().collect(),
        });
    }
    for intent in intents {
        market.put_intent(intent.clone());
    }
    market.solve(Budget { price_rounds: 50, search_steps: 200, nodes: 5, from_scratch: true });
    market
}
