//! The dataflow: collections of what is live, bucketed and joined, into markets, into groupings.
//!
//! ```text
//! intents ------------------------------------------+-> demand per (product, cell, slot)
//! stores --+                                        |
//! offers --+-> placed offers, by product -----------+
//! stock  --+                                        +-> markets (one operator, one key a product)
//! locked --+-> stock left, by product --------------+        |
//!     +------> locked slots, by product ------------+        v
//! minute ----> every worker ------------------------+   windows and certificates, as collections
//! ```
//! Upserts, joins, sums and diffed output are differential's; the matching is one custom operator
//! between its collections, since a `reduce` reads its whole group again at every change of it.
//! [`reference`] is that `reduce`, for tests.

pub mod records;

mod markets;

mod shard;

pub mod reference;

mod station;

mod placement;

mod pool;

mod serving;

mod cluster;

mod profile;

mod standing;

pub use cluster::{Cluster, attend};
pub(crate) use markets::Holding;
pub use markets::{Place, Shards};
pub use pool::{Crew, Flow};
pub use profile::{Profile, Usage};
pub use records::{Changes, Clock, Lock, Output, Site};
pub use shard::upkeep;
pub use standing::{Standing, Standings, Stopwatch, Times};
pub use station::Station;

use crate::market::{Cell, Intent, Offer, OfferKey, Params, ProductId, Slot, StoreId};
use differential_dataflow::operators::CountTotal;
use differential_dataflow::operators::arrange::{Arranged, TraceAgent};
use differential_dataflow::trace::implementations::KeySpine;
use differential_dataflow::{AsCollection, VecCollection};
use records::{Key, MarketInput};
use std::sync::Arc;

/// The timestamp of the dataflow: a tick.
pub type T = u64;
/// What is bucketed by product, cell and slot.
pub type DemandKey = (ProductId, Cell, Slot);
/// How many live intents want a product from a cell in a slot: the sums of this arrangement.
pub type DemandTrace = TraceAgent<KeySpine<DemandKey, T, isize>>;

/// The collections that come in.
pub struct Inputs<'s> {
    /// Live intents that no locked window holds.
    pub intents: VecCollection<'s, T, Arc<Intent>, isize>,
    /// Stores that take groups.
    pub stores: VecCollection<'s, T, (StoreId, Site), isize>,
    /// Offers that stand.
    pub offers: VecCollection<'s, T, Arc<Offer>, isize>,
    /// Units of each offer, as the multiplicity of its key; locked windows' units among them.
    pub stock: VecCollection<'s, T, OfferKey, isize>,
    /// Locked windows and the units that they hold.
    pub locked: VecCollection<'s, T, Lock, isize>,
    /// How far time has come.
    pub clock: VecCollection<'s, T, Clock, isize>,
}

/// The collections that go out.
pub struct Outputs<'s> {
    /// Windows of all groupings, and the markets' certificates.
    pub decided: VecCollection<'s, T, Output, isize>,
    /// Demand per (product, cell, slot), to be read.
    pub demand: Arranged<'s, DemandTrace>,
}

/// Builds the dataflow; `markets` turns each product's inputs into its windows.
pub fn build<'s>(
    inputs: Inputs<'s>,
    workers: usize,
    markets: impl FnOnce(
        VecCollection<'s, T, (Key, MarketInput), isize>,
    ) -> VecCollection<'s, T, Output, isize>,
) -> Outputs<'s> {
    let Inputs { intents, stores, offers, stock, locked, clock } = inputs;

    // Key in: intent; key out: (product, cell, slot); state: one count per key.
    let demand = intents
        .clone()
        .flat_map(|i| {
            i.slots.iter().map(|slot| (i.product.clone(), i.cell, slot)).collect::<Vec<_>>()
        })
        .arrange_by_self_named("Demand");

    // Key in: store; key out: product; state: stores and their offers; work: a store's offers.
    let placed = offers
        .map(|offer| (offer.key.store.clone(), offer))
        .arrange_by_key_named("Offers")
        .join_core(
            stores.arrange_by_key_named("Stores"),
            |_store, offer: &Arc<Offer>, site: &Site| {
                let product = Key::Product(offer.key.product.clone());
                Some((product, MarketInput::Offer(offer.clone(), site.clone())))
            },
        );

    // Key in: offer; key out: product; state: one sum per offer; work: constant.
    let left = stock
        .concat(locked.clone().explode(|lock| Some((lock.key.offer(), -(lock.units as isize)))))
        .arrange_by_self_named("Stock")
        .count_total()
        .map(|(offer, units)| {
            (Key::Product(offer.product), MarketInput::Stock(offer.store, units as i64))
        });

    let taken = locked.map(|lock| {
        let WindowKeyParts { slot, store, product } = lock.key.into();
        (Key::Product(product), MarketInput::Locked(store, slot))
    });
    let wishes =
        intents.map(|intent| (Key::Product(intent.product.clone()), MarketInput::Intent(intent)));
    let clocks = clock.flat_map(move |clock| {
        (0..workers as u64).map(move |w| (Key::Worker(w), MarketInput::Clock(clock)))
    });

    let inputs = placed.concatenate([left, taken, wishes, clocks]);
    Outputs { decided: markets(inputs), demand }
}

/// A window's key, taken apart.
struct WindowKeyParts {
    slot: Slot,
    store: StoreId,
    product: ProductId,
}

impl From<crate::market::WindowKey> for WindowKeyParts {
    fn from(key: crate::market::WindowKey) -> Self {
        Self { slot: key.slot, store: key.store, product: key.product }
    }
}

/// Builds the dataflow with the engine's own operator for the markets.
pub fn build_incremental<'s>(
    inputs: Inputs<'s>,
    workers: usize,
    params: &Params,
    place: Place,
) -> Outputs<'s> {
    let params = params.clone();
    build(inputs, workers, move |inputs| {
        markets::markets(inputs.inner, params, workers, place).as_collection()
    })
}
