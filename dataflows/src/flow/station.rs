//! One worker's end of the dataflow: its inputs, its outputs and its traces.

use super::{
    Changes, DemandKey, DemandTrace, Inputs, Output, Place, Shards, T, build_incremental, reference,
};
use crate::market::{Intent, Offer, OfferKey, Params, StoreId, Tick};
use differential_dataflow::input::InputSession;
use differential_dataflow::trace::TraceReader;
use differential_dataflow::trace::cursor::{Cursor, cursor_list};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use timely::dataflow::ProbeHandle;
use timely::dataflow::operators::vec::Map;
use timely::dataflow::operators::{Exchange, Inspect, Probe};
use timely::progress::Antichain;
use timely::worker::Worker;

/// Which markets a dataflow is built with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The engine's own operator.
    Incremental,
    /// The `reduce` that solves from scratch, on one worker.
    Reference,
}

/// One worker's end of the dataflow.
pub struct Station {
    intents: InputSession<T, Arc<Intent>, isize>,
    stores: InputSession<T, (StoreId, super::Site), isize>,
    offers: InputSession<T, Arc<Offer>, isize>,
    stock: InputSession<T, OfferKey, isize>,
    locked: InputSession<T, super::Lock, isize>,
    clock: InputSession<T, super::Clock, isize>,
    probe: ProbeHandle<T>,
    decided: Rc<RefCell<Vec<(Output, isize)>>>,
    demand: DemandTrace,
    shards: Shards,
}

impl Station {
    /// Builds the dataflow on this worker, whose markets are in that place. All workers build alike.
    pub fn build(worker: &mut Worker, params: &Params, shape: Shape, place: &Place) -> Self {
        let decided = Rc::new(RefCell::new(Vec::new()));
        let probe = ProbeHandle::new();
        let peers = worker.peers();
        worker.dataflow_named::<T, _, _>("iceshop", |scope| {
            let mut intents = InputSession::new();
            let mut stores = InputSession::new();
            let mut offers = InputSession::new();
            let mut stock = InputSession::new();
            let mut locked = InputSession::new();
            let mut clock = InputSession::new();
            let inputs = Inputs {
                intents: intents.to_collection(scope),
                stores: stores.to_collection(scope),
                offers: offers.to_collection(scope),
                stock: stock.to_collection(scope),
                locked: locked.to_collection(scope),
                clock: clock.to_collection(scope),
            };
            let outputs = match shape {
                Shape::Incremental => build_incremental(inputs, peers, params, place.clone()),
                Shape::Reference => reference::build_reference(inputs, params),
            };
            let collected = decided.clone();
            // All decisions gather on the first worker, which hands a tick's on when the probe
            // says that it is complete.
            outputs
                .decided
                .inner
                .exchange(|_| 0)
                .map(|(output, _, diff)| (output, diff))
                .inspect(move |decision| collected.borrow_mut().push(decision.clone()))
                .probe_with(&probe);
            let demand = outputs.demand.trace;
            let (decided, probe, shards) = (decided.clone(), probe.clone(), place.shards.clone());
            Self { intents, stores, offers, stock, locked, clock, probe, decided, demand, shards }
        })
    }

    /// Feeds the changes of a tick.
    pub fn feed(&mut self, tick: Tick, changes: Changes) {
        self.advance_to(tick.0);
        changes.intents.into_iter().for_each(|(r, d)| self.intents.update(r, d));
        changes.stores.into_iter().for_each(|(r, d)| self.stores.update(r, d));
        changes.offers.into_iter().for_each(|(r, d)| self.offers.update(r, d));
        changes.stock.into_iter().for_each(|(r, d)| self.stock.update(r, d));
        changes.locked.into_iter().for_each(|(r, d)| self.locked.update(r, d));
        changes.clock.into_iter().for_each(|(r, d)| self.clock.update(r, d));
    }

    /// Says that no more changes of that tick or an earlier one come.
    pub fn close(&mut self, tick: Tick) {
        self.advance_to(tick.0 + 1);
        self.intents.flush();
        self.stores.flush();
        self.offers.flush();
        self.stock.flush();
        self.locked.flush();
        self.clock.flush();
        // A trace that is held back holds every update for ever.
        let frontier = Antichain::from_elem(tick.0);
        self.demand.set_logical_compaction(frontier.borrow());
        self.demand.set_physical_compaction(frontier.borrow());
    }

    /// Takes nothing in: time is what other workers say.
    pub(super) fn follow(&mut self) {
        // An input that is dropped is closed.
        self.intents = InputSession::new();
        self.stores = InputSession::new();
        self.offers = InputSession::new();
        self.stock = InputSession::new();
        self.locked = InputSession::new();
        self.clock = InputSession::new();
    }

    /// Whether nothing more can come, from anywhere.
    pub(super) fn is_over(&self) -> bool {
        self.probe.done()
    }

    /// Lets go of what was before the tick that is under way, where only others know which that is.
    pub(super) fn let_go(&mut self) {
        let frontier = self.probe.with_frontier(|frontier| frontier.to_owned());
        self.demand.set_logical_compaction(frontier.borrow());
        self.demand.set_physical_compaction(frontier.borrow());
    }

    fn advance_to(&mut self, time: T) {
        self.intents.advance_to(time);
        self.stores.advance_to(time);
        self.offers.advance_to(time);
        self.stock.advance_to(time);
        self.locked.advance_to(time);
        self.clock.advance_to(time);
    }

    /// Whether the tick's decisions are still incomplete here.
    pub fn behind(&self, tick: Tick) -> bool {
        self.probe.less_equal(&tick.0)
    }

    /// Takes what has come out, netted and in order.
    pub fn take(&mut self) -> Vec<(Output, isize)> {
        let mut decided = std::mem::take(&mut *self.decided.borrow_mut());
        differential_dataflow::consolidation::consolidate(&mut decided);
        decided
    }

    /// This worker's part of the demand as of its last closed tick: live intents per (product,
    /// cell, slot).
    ///
    /// **Cost** O(keys).
    pub fn demand(&mut self) -> BTreeMap<DemandKey, i64> {
        let mut sums = BTreeMap::new();
        let whole = timely::progress::frontier::AntichainRef::new(&[]);
        let Some(batches) = self.demand.batches_through(whole) else { return sums };
        let (mut cursor, storage) = cursor_list(batches);
        while let Some(key) = cursor.get_key(&storage) {
            let key = key.clone();
            let mut sum = 0;
            while cursor.get_val(&storage).is_some() {
                cursor.map_times(&storage, |_, diff| sum += *diff as i64);
                cursor.step_val(&storage);
            }
            if sum != 0 {
                sums.insert(key, sum);
            }
            cursor.step_key(&storage);
        }
        sums
    }

    /// This worker's markets.
    pub fn shards(&self) -> &Shards {
        &self.shards
    }
}
