//! The markets: one custom operator, keyed by product, driven by the frontier.
//!
//! Key in: product; key out: none (windows carry theirs); state: one [`Market`] a product; work per
//! update: what the update touches. When the frontier passes a tick, its changes are netted, taken
//! in in the order of [`MarketInput`], and the difference between each touched window's group and
//! the one emitted last goes out at that tick: never more than one group per window at a time.
//!
//! Upkeep is done between ticks ([`Shards::rest`]), when what the tick decided is out: nobody waits for
//! it then but the next tick, with which goes out what it changes, and which does it first if nobody has yet. So it
//! knows of what the tick decided, locks and announcements, only what the markets are told at the next one.

use super::Standings;
use super::T;
use super::placement::{Routes, home};
use super::records::{Clock, Key, MarketInput, Output};
use super::shard::Shard;
use crate::market::{Params, ProductId, Tick, Time};
use crate::saved::{self, SavedMarkets, Unreadable, Writer};
use crate::solver::{Market, Trials};
use differential_dataflow::consolidation::consolidate_updates;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::operator::Operator;

type Update = ((Key, MarketInput), T, isize);
type Emission = (Output, T, isize);

/// The markets of one worker, shared with whoever reads them between ticks.
#[derive(Clone, Default)]
pub struct Shards(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    markets: BTreeMap<ProductId, Shard>,
    /// When the upkeep of each of them that has any under way is to be gone on with.
    queue: BTreeSet<(Time, ProductId)>,
    /// Those of which upkeep has changed something since the last tick.
    unsaid: BTreeSet<ProductId>,
    /// The last tick and its time, until what upkeep was due then is done.
    resting: Option<(T, Clock)>,
    /// Where it is noted how they stand.
    standings: Standings,
    /// The tick up to which whatever comes in is in the markets already: they were restored.
    primed: Option<T>,
}

impl Shards {
    /// No markets; how they stand is noted there.
    pub(super) fn new(standings: Standings) -> Self {
        Self(Arc::new(Mutex::new(Held { standings, ..Held::default() })))
    }

    /// Shows every market of this worker as it is: kept up or not.
    pub(super) fn each_as_it_is(&self, mut show: impl FnMut(&ProductId, &Market)) {
        self.lock().markets.iter().for_each(|(product, shard)| show(product, &shard.market));
    }

    /// Notes how every market of this worker stands now, kept up.
    pub(super) fn renew(&self) {
        let held = self.hold().0;
        for (product, shard) in &held.markets {
            held.standings.renew(product, (&shard.market, shard.times));
        }
    }

    /// Shows every market of this worker, kept up.
    pub fn each(&self, mut show: impl FnMut(&ProductId, &Market)) {
        for (product, shard) in &self.hold().0.markets {
            show(product, &shard.market);
        }
    }

    /// The markets, kept up, for as long as they are held: their worker waits.
    pub(super) fn hold(&self) -> Holding<'_> {
        let mut held = self.lock();
        held.rest();
        Holding(held)
    }

    /// Keeps the markets up as the last tick has it, unless that is done; another thread may do it.
    pub(super) fn rest(&self) {
        self.lock().rest();
    }

    /// The same where only others know when the tick is complete.
    pub(super) fn rest_after(&self, is_complete: impl FnOnce(Tick) -> bool) {
        let mut held = self.lock();
        if held.resting.is_some_and(|(tick, _)| is_complete(Tick(tick))) {
            held.rest();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().expect("a worker that panicked has ended the engine")
    }

    /// Takes those of the markets that are this worker's, one of `peers`; what they are made of
    /// comes in again in tick `done`, and changes nothing.
    ///
    /// # Errors
    /// They are not what [`Holding::save`] wrote.
    pub(super) fn restore(
        &self,
        (index, peers): (usize, usize),
        done: T,
        markets: &SavedMarkets,
    ) -> Result<(), Unreadable> {
        let mut held = self.lock();
        held.primed = Some(done);
        for (product, bytes) in markets {
            if home(product, peers) == index {
                held.put(product.clone(), saved::read(bytes)?);
            }
        }
        Ok(())
    }
}

impl Held {
    fn put(&mut self, product: ProductId, shard: Shard) {
        self.queue.extend(shard.next_upkeep().map(|next| (next, product.clone())));
        self.unsaid.extend(shard.is_unsaid().then(|| product.clone()));
        self.markets.insert(product, shard);
    }

    fn take(&mut self, product: &ProductId) -> Shard {
        let shard = self.markets.remove(product).expect("a market that is here");
        if let Some(next) = shard.next_upkeep() {
            self.queue.remove(&(next, product.clone()));
        }
        self.unsaid.remove(product);
        shard
    }

    /// Time has come to another minute, for all of them.
    fn pass(&mut self, before: Option<Clock>, now: Clock) {
        for (product, shard) in &mut self.markets {
            let next = shard.next_upkeep();
            shard.pass(before, now);
            if shard.next_upkeep() != next {
                self.queue.extend(shard.next_upkeep().map(|next| (next, product.clone())));
                if let Some(next) = next {
                    self.queue.remove(&(next, product.clone()));
                }
            }
        }
    }

    /// Goes on with the upkeep that is due since the last tick.
    fn rest(&mut self) {
        let Some((_, now)) = self.resting.take() else { return };
        for product in self.due(now.at) {
            let shard = self.markets.get_mut(&product).expect("a market that is here");
            if shard.keep_up(&product, now, &self.standings) {
                self.unsaid.insert(product.clone());
            }
            self.queue.extend(shard.next_upkeep().map(|next| (next, product)));
        }
    }

    /// Takes those whose upkeep is to be gone on with now out of the queue.
    fn due(&mut self, now: Time) -> BTreeSet<ProductId> {
        let is_due = |(next, _): &(Time, ProductId)| *next <= now;
        let mut due = BTreeSet::new();
        while self.queue.first().is_some_and(is_due) {
            due.extend(self.queue.pop_first().map(|(_, product)| product));
        }
        due
    }
}

/// Where a worker's markets are, and what else it shares with whoever reads them between ticks.
#[derive(Clone, Default)]
pub struct Place {
    /// Its markets.
    pub shards: Shards,
    /// Which worker keeps which.
    pub(super) routes: Routes,
}

/// The markets of a worker that waits.
pub(crate) struct Holding<'a>(MutexGuard<'a, Held>);

impl Holding<'_> {
    /// Their products, in order.
    pub(crate) fn products(&self) -> impl Iterator<Item = &ProductId> {
        self.0.markets.keys()
    }

    /// What there is to do for each market's updates, by product.
    pub(super) fn loads(&self) -> impl Iterator<Item = (ProductId, u128)> {
        let load = |(product, shard): (&ProductId, &Shard)| (product.clone(), shard.market.load());
        self.0.markets.iter().map(load)
    }

    /// Shows every market with what surrounds it.
    pub(super) fn each(&self, mut show: impl FnMut(&ProductId, &Shard)) {
        self.0.markets.iter().for_each(|(product, shard)| show(product, shard));
    }

    /// Takes a market away.
    pub(super) fn take(&mut self, product: &ProductId) -> Shard {
        self.0.take(product)
    }

    /// Puts a market in.
    pub(super) fn put(&mut self, product: ProductId, shard: Shard) {
        self.0.put(product, shard);
    }

    /// Writes every market, in that order; their sizes behind `sizes`.
    ///
    /// # Errors
    /// Those of `to`.
    pub(crate) fn save(&self, to: &mut Writer<'_>, sizes: &mut Vec<u64>) -> io::Result<()> {
        for shard in self.0.markets.values() {
            sizes.push(to.market(shard)?);
        }
        Ok(())
    }
}

/// The operator.
pub(super) fn markets<'s>(
    inputs: Stream<'s, T, Vec<Update>>,
    params: Params,
    peers: usize,
    place: Place,
) -> Stream<'s, T, Vec<Emission>> {
    let Place { shards, routes } = place;
    let route = Exchange::new(move |u: &Update| match &u.0.0 {
        Key::Product(product) => routes.worker(product, peers) as u64,
        Key::Worker(worker) => *worker,
    });
    inputs.unary_frontier::<CapacityContainerBuilder<Vec<Emission>>, _, _, _>(
        route,
        "Markets",
        move |_capability, _info| {
            let mut stash = BTreeMap::new();
            let mut clock = None;
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
                    let mut held = shards.lock();
                    if held.primed.is_some_and(|done| tick <= done) {
                        for ((_, record), _, diff) in updates {
                            if let (MarketInput::Clock(told), true) = (record, diff > 0) {
                                clock = Some(told);
                            }
                        }
                        continue;
                    }
                    held.rest();
                    take_in(&mut held, &params, tick, &mut clock, updates, &mut out);
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
    held: &mut Held,
    params: &Params,
    tick: T,
    clock: &mut Option<Clock>,
    updates: Vec<Update>,
    out: &mut Vec<(Output, isize)>,
) {
    let mut per_product: BTreeMap<ProductId, Vec<(MarketInput, isize)>> = BTreeMap::new();
    let mut told = None;
    for ((key, record), _, diff) in updates {
        match (key, record) {
            (Key::Worker(_), MarketInput::Clock(at)) if diff > 0 => told = Some(at),
            (Key::Worker(_), _) => {}
            (Key::Product(product), record) => {
                per_product.entry(product).or_default().push((record, diff));
            }
        }
    }
    let mut touched: BTreeSet<ProductId> = BTreeSet::new();
    if let Some(now) = told {
        let before = clock.replace(now);
        if before.map(|before| before.at.minute()) != Some(now.at.minute()) {
            held.pass(before, now);
            touched.extend(held.markets.keys().cloned());
        }
    }
    let changed: BTreeSet<ProductId> = per_product.keys().cloned().collect();
    for (product, records) in per_product {
        let (mut laps, new) = (held.standings.laps(), || Shard::new(params, *clock));
        let shard = held.markets.entry(product).or_insert_with(new);
        shard.apply(records);
        shard.times.updates += laps.lap();
    }
    touched.extend(changed.iter().cloned());
    let crowded = told.is_some_and(|now| now.crowded);
    for product in &touched {
        let trials = if crowded && changed.contains(product) { Trials::FEW } else { Trials::ALL };
        let (mut laps, shard) = (held.standings.laps(), held.markets.get_mut(product));
        let shard = shard.expect("a market that is here");
        shard.market.refresh_with(trials);
        shard.times.updates += laps.lap();
    }
    touched.append(&mut held.unsaid);
    for product in touched {
        let shard = held.markets.get_mut(&product).expect("a market that is here");
        shard.emit(&product, out);
        if shard.is_empty() {
            held.take(&product);
        }
    }
    held.resting = told.map(|now| (tick, now));
}
