//! The records that travel through the dataflow. Their order is the order in which a market takes
//! in the changes of one tick.

use crate::market::{
    Cell, Certificate, Intent, Offer, OfferKey, Opening, Position, ProductId, Slot, StoreId, Time,
    WindowKey,
};
use crate::solver::GroupedWindow;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A store as far as markets care.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Site {
    /// Where it is.
    pub place: Position,
    /// The cell of that.
    pub cell: Cell,
    /// When it is open.
    pub opening: Opening,
}

/// A locked window and the units that it holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Lock {
    /// Which window.
    pub key: WindowKey,
    /// Units over its members.
    pub units: i64,
}

/// How far time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Clock {
    /// Windows that lock in its minute or before take no more part.
    pub at: Time,
    /// Live intents in all markets: what there is to do is shared out by them.
    pub live: u64,
    /// Whether so much changes in this tick that little is tried for each change of it.
    pub crowded: bool,
}

/// Where a record goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Key {
    /// To the worker that keeps the product's market.
    Product(ProductId),
    /// To this worker.
    Worker(u64),
}

/// What a market is told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MarketInput {
    /// Time has come on.
    Clock(Clock),
    /// An offer that stands, at its store: the book's own.
    Offer(Arc<Offer>, Site),
    /// Units left over by locked windows.
    Stock(StoreId, i64),
    /// A slot that a locked window takes.
    Locked(StoreId, Slot),
    /// A live intent: the book's own.
    Intent(Arc<Intent>),
}

/// What comes out of a market.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Output {
    /// A window of its grouping: the market's own.
    Window(Arc<GroupedWindow>),
    /// The grouping's value and bound.
    Market(ProductId, Certificate),
}

/// All changes of one tick, as differences: what came (+1) and what went (-1).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// Live intents.
    pub intents: Vec<(Arc<Intent>, isize)>,
    /// Stores that take groups.
    pub stores: Vec<((StoreId, Site), isize)>,
    /// Offers that stand.
    pub offers: Vec<(Arc<Offer>, isize)>,
    /// Units of stock, as differences.
    pub stock: Vec<(OfferKey, isize)>,
    /// Locked windows.
    pub locked: Vec<(Lock, isize)>,
    /// How far time has come.
    pub clock: Vec<(Clock, isize)>,
}

impl Changes {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.intents.is_empty()
            && self.stores.is_empty()
            && self.offers.is_empty()
            && self.stock.is_empty()
            && self.locked.is_empty()
            && self.clock.is_empty()
    }

    /// How many records change.
    pub fn len(&self) -> usize {
        self.intents.len()
            + self.stores.len()
            + self.offers.len()
            + self.stock.len()
            + self.locked.len()
            + self.clock.len()
    }
}
