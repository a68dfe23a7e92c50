//! Full recomputation every so often: all groupings are made anew from what is live; what came since
//! the last time waits for the next.

use super::town::{Group, Town};
use dataflows::market::{Opening, Params, ProductId, SlotSet, Time};
use dataflows::solver::{Budget, GroupedWindow, Market};
use std::collections::BTreeMap;

/// How a market is grouped.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Method {
    /// The plain greedy: the window of greatest worth, again and again.
    Greedy,
    /// The engine's own solver, from scratch, with that budget in percent of the usual.
    Solver(u32),
    /// A MIP solver, with that many seconds a market at most.
    #[cfg(feature = "baselines")]
    Exact(f64),
}

/// What was decided last.
pub(crate) struct Recompute {
    method: Method,
    groups: BTreeMap<ProductId, Vec<Group>>,
    /// Markets that were grouped, and those whose grouping is not proven to be the best (MIP only).
    pub(crate) markets: (u64, u64),
}

impl Recompute {
    pub(crate) fn new(method: Method) -> Self {
        Self { method, groups: BTreeMap::new(), markets: (0, 0) }
    }

    /// What the windows are worth, as decided last.
    pub(crate) fn standing(&self, town: &Town) -> i64 {
        let of = |(product, groups): (&ProductId, &Vec<Group>)| -> i64 {
            groups.iter().filter_map(|group| town.value(product, group)).sum()
        };
        self.groups.iter().map(of).sum()
    }

    /// Locks what is due, forgets whose time is over, and decides anew.
    pub(crate) fn pass(&mut self, town: &mut Town, now: Time) {
        for (product, groups) in std::mem::take(&mut self.groups) {
            for group in groups {
                let shelf = town.shelves.get(&product).and_then(|all| all.get(&group.store));
                let lead = shelf.and_then(|shelf| shelf.offer.lead_minutes);
                if town.params.lock_at(group.slot, lead) <= now {
                    town.lock(&product, group);
                }
            }
        }
        town.expire(now);
        let products: Vec<ProductId> = town.wishes.keys().cloned().collect();
        for product in products {
            let mut market = market(town, &product, now);
            if market.intents_len() == 0 {
                continue;
            }
            self.markets.0 += 1;
            let groups = match self.method {
                Method::Greedy => of(market.greedy_market().grouping()),
                Method::Solver(percent) => {
                    market.solve(Budget::percent(percent));
                    of(market.grouping())
                }
                #[cfg(feature = "baselines")]
                Method::Exact(seconds) => {
                    let (groups, proven) = super::exact::solve(town, &product, &market, seconds);
                    self.markets.1 += u64::from(!proven);
                    groups
                }
            };
            self.groups.insert(product, groups);
        }
    }
}

/// A product's market as it is now, not grouped yet.
fn market(town: &Town, product: &ProductId, now: Time) -> Market {
    let params: Params = town.params.clone();
    let mut market = Market::new(params);
    market.advance(now);
    for shelf in town.shelves.get(product).into_iter().flat_map(|all| all.values()) {
        let Some(store) = town.stores.get(&shelf.offer.key.store) else { continue };
        if shelf.offer.withdrawn {
            continue;
        }
        let closed = Opening::Slots(SlotSet::new(Vec::new()));
        market.put_offer(dataflows::solver::PlacedOffer {
            offer: shelf.offer.clone().into(),
            place: store.place,
            cell: store.cell,
            opening: if store.paused { closed } else { store.opening.clone() },
            stock: shelf.stock,
            locked: shelf.locked.clone().into_boxed_slice(),
        });
    }
    for wish in town.wishes.get(product).into_iter().flat_map(|all| all.values()) {
        market.put_intent(wish.intent.clone());
    }
    market
}

fn of(windows: Vec<GroupedWindow>) -> Vec<Group> {
    let group = |window: GroupedWindow| Group {
        store: window.key.store,
        slot: window.key.slot,
        members: window.members.into_iter().map(|(id, _)| id).collect(),
    };
    windows.into_iter().map(group).collect()
}
