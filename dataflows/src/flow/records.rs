//! The records that travel through the dataflow. Their order is the order in which a market takes
//! in the changes of one tick.

use crate::market::{
    Cell, Certificate, Intent, Offer, OfferKey, Opening, Position, ProductId, Slot, StoreId,
    WindowKey,
};
use crate::solver::GroupedWindow;
use serde::{Deserialize, Serialize};

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
    /// Windows that lock at this minute (since 1970) or before take no more part.
    Minute(i64),
    /// An offer that stands, at its store.
    Offer(Offer, Site),
    /// Units left over by locked windows.
    Stock(StoreId, i64),
    /// A slot that a locked window takes.
    Locked(StoreId, Slot),
    /// A live intent.
    Intent(Box<Intent>),
}

/// What comes out of a market.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Output {
    /// A window of its grouping.
    Window(GroupedWindow),
    /// The grouping's value and bound.
    Market(ProductId, Certificate),
}

/// All changes of one tick, as differences: what came (+1) and what went (-1).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// Live intents.
    pub intents: Vec<(Intent, isize)>,
    /// Stores that take groups.
    pub stores: Vec<((StoreId, Site), isize)>,
    /// Offers that stand.
    pub offers: Vec<(Offer, isize)>,
    /// Units of stock, as differences.
    pub stock: Vec<(OfferKey, isize)>,
    /// Locked windows.
    pub locked: Vec<(Lock, isize)>,
    /// The minute up to which windows lock.
    pub minute: Vec<(i64, isize)>,
}

impl Changes {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.intents.is_empty()
            && self.stores.is_empty()
            && self.offers.is_empty()
            && self.stock.is_empty()
            && self.locked.is_empty()
            && self.minute.is_empty()
    }

    /// How many records change.
    pub fn len(&self) -> usize {
        self.intents.len()
            + self.stores.len()
            + self.offers.len()
            + self.stock.len()
            + self.locked.len()
            + self.minute.len()
    }
}
