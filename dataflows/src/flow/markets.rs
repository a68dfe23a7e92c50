//! The markets: one custom operator, keyed by product, driven by the frontier.
//!
//! Key in: product; key out: none (windows carry theirs); state: one [`Market`] a product; work per
//! update: what the update touches. When the frontier passes a tick, its changes are netted, taken
//! in in the order of [`MarketInput`], and the difference between each touched window's group and
//! the one emitted last goes out at that tick: never more than one group per window at a time.

use super::Standings;
use super::T;
use super::records::{Key, MarketInput, Output};
use crate::market::{Certificate, Intent, IntentId, Offer, Params, ProductId, Slot, StoreId, Time};
use crate::saved::{self, Unreadable};
use crate::solver::{Budget, GroupedWindow, Market, PlacedOffer, Upkeep};
use differential_dataflow::Hashable;
use differential_dataflow::consolidation::consolidate_updates;
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::operator::Operator;

/// How often what has changed of a market is solved again, in minutes: a minute before full
/// hours and their thirds, when windows lock.
pub const SETTLED_EVERY_MINUTES: i64 = 4;
/// The budget of that.
pub const LATER: Budget =
    Budget { price_rounds: 28, search_steps: 50, nodes: 0, from_scratch: false };
/// The budget of parts of which a window locks before the next time.
pub const NOW: Budget =
    Budget { price_rounds: 60, search_steps: 400, nodes: 30, from_scratch: false };

/// How often a market is compared with a plain greedy, where that is asked for, in minutes.
const COMPARED_EVERY_MINUTES: i64 = 20;

type Update = ((Key, MarketInput), T, isize);
type Emission = (Output, T, isize);

/// The markets of one worker, shared with whoever reads them between ticks.
#[derive(Clone, Default)]
pub struct Shards {
    all: Rc<RefCell<BTreeMap<ProductId, Shard>>>,
    /// The tick up to which whatever comes in is in the markets already: they were restored.
    primed: Rc<Cell<Option<T>>>,
}

/// Markets as bytes, by product.
pub type SavedMarkets = BTreeMap<ProductId, Vec<u8>>;

impl Shards {
    /// Shows every market of this worker.
    pub fn each(&self, mut show: impl FnMut(&ProductId, &Market)) {
        for (product, shard) in self.all.borrow().iter() {
            show(product, &shard.market);
        }
    }

    /// Every market of this worker as bytes, between ticks.
    pub fn save(&self) -> SavedMarkets {
        let all = self.all.borrow();
        all.iter().map(|(product, shard)| (product.clone(), saved::write(shard))).collect()
    }

    /// Takes those of the markets that are this worker's, one of `peers`; what they are made of
    /// comes in again in tick `done`, and changes nothing.
    ///
    /// # Errors
    /// They are not what [`Shards::save`] wrote.
    pub fn restore(
        &self,
        (index, peers): (usize, usize),
        done: T,
        markets: &SavedMarkets,
    ) -> Result<(), Unreadable> {
        self.primed.set(Some(done));
        for (product, bytes) in markets {
            if product.hashed() % peers as u64 == index as u64 {
                let mut shard: Shard = saved::read(bytes)?;
                shard.market.compile_hours();
                self.all.borrow_mut().insert(product.clone(), shard);
            }
        }
        Ok(())
    }
}

/// One product's market and what it has emitted.
#[derive(Serialize, Deserialize)]
struct Shard {
    market: Market,
    stock: BTreeMap<StoreId, i64>,
    locked: BTreeMap<StoreId, BTreeSet<Slot>>,
    emitted: BTreeMap<(Slot, StoreId), GroupedWindow>,
    certificate: Certificate,
}

/// The operator.
pub(super) fn markets<'s>(
    inputs: Stream<'s, T, Vec<Update>>,
    params: Params,
    shards: Shards,
    standings: Standings,
) -> Stream<'s, T, Vec<Emission>> {
    let route = Exchange::new(|u: &Update| match &u.0.0 {
        Key::Product(product) => product.hashed(),
        Key::Worker(worker) => *worker,
    });
    inputs.unary_frontier::<CapacityContainerBuilder<Vec<Emission>>, _, _, _>(
        route,
        "Markets",
        move |_capability, _info| {
            let mut stash = BTreeMap::new();
            let mut minute = i64::MIN;
            move |(input, frontier), output| {
                input.for_each_stamp(|capability, batches| {
                    let Some(capability) = capability.retain_least(0) else { return };
                    for batch in batches {
                        for update in batch.drain(..) {
                            let (_, updates) = stash
                                .entry(update.1)
                                .or_insert_with(|| (capability.delayed(&update.1), Vec::new()));
                            updates.push(update);
                        }
                    }
                });
                while let Some(entry) = stash.first_entry() {
                    if frontier.less_equal(entry.key()) {
                        break;
                    }
                    let (tick, (capability, mut updates)) = entry.remove_entry();
                    consolidate_updates(&mut updates);
                    let mut out = Vec::new();
                    if shards.primed.get().is_some_and(|done| tick <= done) {
                        for ((_, record), _, diff) in updates {
                            if let (MarketInput::Minute(m), true) = (record, diff > 0) {
                                minute = m;
                            }
                        }
                        continue;
                    }
                    let mut shards = shards.all.borrow_mut();
                    take_in(&mut shards, &params, &standings, &mut minute, updates, &mut out);
                    let mut session = output.session(&capability);
                    for (record, diff) in out {
                        session.give((record, tick, diff));
                    }
                }
            }
        },
    )
}

/// One tick of one worker.
fn take_in(
    shards: &mut BTreeMap<ProductId, Shard>,
    params: &Params,
    standings: &Standings,
    minute: &mut i64,
    updates: Vec<Update>,
    out: &mut Vec<(Output, isize)>,
) {
    let mut per_product: BTreeMap<ProductId, Vec<(MarketInput, isize)>> = BTreeMap::new();
    let mut new_minute = None;
    for ((key, record), _, diff) in updates {
        match (key, record) {
            (Key::Worker(_), MarketInput::Minute(m)) if diff > 0 => new_minute = Some(m),
            (Key::Worker(_), _) => {}
            (Key::Product(product), record) => {
                per_product.entry(product).or_default().push((record, diff));
            }
        }
    }
    let mut settle = false;
    if let Some(m) = new_minute {
        let period = |m: i64| m.div_euclid(SETTLED_EVERY_MINUTES);
        settle = period(m + 1) != period(*minute + 1);
        *minute = m;
        for (product, shard) in shards.iter_mut() {
            shard.market.advance(Time(m * 60_000));
            if !per_product.contains_key(product) {
                per_product.insert(product.clone(), Vec::new());
            }
        }
    }
    for (product, records) in per_product {
        let shard = shards.entry(product.clone()).or_insert_with(|| Shard::new(params, *minute));
        shard.apply(records);
        shard.market.refresh();
        if settle {
            // Up to the minute after the next time.
            let soon = Time((*minute + SETTLED_EVERY_MINUTES + 1) * 60_000);
            let minutes = SETTLED_EVERY_MINUTES as u64;
            shard.market.settle_down(Upkeep { minutes, soon, now: NOW, later: LATER });
            let compared = minute.rem_euclid(COMPARED_EVERY_MINUTES) < SETTLED_EVERY_MINUTES;
            standings.note(&product, &shard.market, compared);
        }
        shard.emit(&product, out);
        if shard.is_empty() {
            shards.remove(&product);
        }
    }
}

impl Shard {
    fn new(params: &Params, minute: i64) -> Self {
        let mut market = Market::new(params.clone());
        if minute > i64::MIN {
            market.advance(Time(minute * 60_000));
        }
        Self {
            market,
            stock: BTreeMap::new(),
            locked: BTreeMap::new(),
            emitted: BTreeMap::new(),
            certificate: Certificate::default(),
        }
    }

    fn is_empty(&self) -> bool {
        self.market.is_empty()
            && self.stock.is_empty()
            && self.locked.is_empty()
            && self.emitted.is_empty()
    }

    /// Takes in one tick's net changes, which come in the order of [`MarketInput`].
    fn apply(&mut self, records: Vec<(MarketInput, isize)>) {
        let mut offers: BTreeMap<StoreId, Option<(Offer, super::Site)>> = BTreeMap::new();
        let mut touched: BTreeSet<StoreId> = BTreeSet::new();
        let mut intents: BTreeMap<IntentId, Option<Intent>> = BTreeMap::new();
        for (record, diff) in records {
            match record {
                MarketInput::Minute(_) => {}
                MarketInput::Offer(offer, site) => {
                    let slot = offers.entry(offer.key.store.clone()).or_default();
                    if diff > 0 {
                        *slot = Some((offer, site));
                    }
                }
                MarketInput::Stock(store, units) => {
                    if diff > 0 {
                        self.stock.insert(store.clone(), units);
                    } else if self.stock.get(&store) == Some(&units) {
                        self.stock.remove(&store);
                    }
                    touched.insert(store);
                }
                MarketInput::Locked(store, slot) => {
                    let slots = self.locked.entry(store.clone()).or_default();
                    if diff > 0 {
                        slots.insert(slot);
                    } else {
                        slots.remove(&slot);
                    }
                    if slots.is_empty() {
                        self.locked.remove(&store);
                    }
                    touched.insert(store);
                }
                MarketInput::Intent(intent) => {
                    let slot = intents.entry(intent.id.clone()).or_default();
                    if diff > 0 {
                        *slot = Some(*intent);
                    }
                }
            }
        }
        self.apply_offers(offers, touched);
        for (id, intent) in intents {
            match intent {
                Some(intent) => self.market.put_intent(intent),
                None => self.market.remove_intent(&id),
            }
        }
    }

    fn apply_offers(
        &mut self,
        offers: BTreeMap<StoreId, Option<(Offer, super::Site)>>,
        mut touched: BTreeSet<StoreId>,
    ) {
        for (store, offer) in offers {
            touched.remove(&store);
            match offer {
                Some((offer, site)) => {
                    let placed = self.placed(offer, site);
                    self.market.put_offer(placed);
                }
                None => self.market.remove_offer(&store),
            }
        }
        for store in touched {
            if let Some(old) = self.market.placed_offer(&store) {
                let site =
                    super::Site { place: old.place, cell: old.cell, opening: old.opening.clone() };
                let placed = self.placed(old.offer.clone(), site);
                self.market.put_offer(placed);
            }
        }
    }

    fn placed(&self, offer: Offer, site: super::Site) -> PlacedOffer {
        let store = &offer.key.store;
        PlacedOffer {
            stock: self.stock.get(store).copied().unwrap_or(0),
            locked: self.locked.get(store).into_iter().flatten().copied().collect(),
            place: site.place,
            cell: site.cell,
            opening: site.opening,
            offer,
        }
    }

    /// Emits the difference to what was emitted before.
    fn emit(&mut self, product: &ProductId, out: &mut Vec<(Output, isize)>) {
        for (slot, store) in self.market.take_changed() {
            let now = self.market.window(&store, slot);
            let key = (slot, store);
            if self.emitted.get(&key) == now.as_ref() {
                continue;
            }
            if let Some(window) = &now
                && let Err(violation) = self.market.verify_window(window)
            {
                panic!("an infeasible window must not leave the market: {violation}");
            }
            let before = match &now {
                Some(window) => self.emitted.insert(key, window.clone()),
                None => self.emitted.remove(&key),
            };
            out.extend(before.map(|window| (Output::Window(window), -1)));
            out.extend(now.map(|window| (Output::Window(window), 1)));
        }
        let certificate = self.market.certificate();
        if certificate != self.certificate {
            let none = Certificate::default();
            let before = std::mem::replace(&mut self.certificate, certificate);
            if before != none {
                out.push((Output::Market(product.clone(), before), -1));
            }
            if certificate != none {
                out.push((Output::Market(product.clone(), certificate), 1));
            }
        }
    }
}
