//! What buyers want: intents, and what was promised to their buyers.

use super::{Cell, Money, Position, ProductId, Slot, SlotSet, StoreId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use super::IntentId;

/// One buyer's wish, as the market sees it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Intent {
    /// Its id.
    pub id: IntentId,
    /// What is wanted.
    pub product: ProductId,
    /// Where the buyer starts from.
    pub place: Position,
    /// The cell it is bucketed by; it decides nothing.
    pub cell: Cell,
    /// When the buyer is free, in whole slots (R1).
    pub slots: SlotSet,
    /// The greatest unit price.
    pub budget: Money,
    /// How many units, 1 to [`super::limits::MAX_QUANTITY`].
    pub quantity: u32,
    /// How far the buyer goes, in metres (R6).
    pub reach_m: u32,
    /// What the buyer has been told and has answered.
    pub promise: Promise,
}

/// What a buyer has been told, and has answered; it narrows or weighs what the solver may do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Promise {
    /// The announced window that the intent is a member of: staying there earns the bonus (R9).
    /// Shared, where members of one window were told one after the other.
    pub announced: Option<Arc<(StoreId, Slot)>>,
    /// The window that the buyer accepted: the only one that counts (R8).
    pub pin: Option<Box<Pin>>,
    /// Windows that the buyer declined, sorted: none of them comes again (R8).
    pub declined: Box<[(StoreId, Slot)]>,
}

/// An accepted window and the unit price that was accepted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Pin {
    /// The window's store.
    pub store: StoreId,
    /// The window's slot.
    pub slot: Slot,
    /// The price accepted: the buyer never pays more.
    pub price: Money,
}

impl Intent {
    /// Whether the other one differs from it in where it was announced, or in nothing.
    pub fn is_but_announced(&self, other: &Self) -> bool {
        // Every field, so that one that is added is not forgotten.
        let Self { id, product, place, cell, slots, budget, quantity, reach_m, promise } = self;
        let Promise { announced: _, pin, declined } = promise;
        (id, product, place, cell, slots)
            == (&other.id, &other.product, &other.place, &other.cell, &other.slots)
            && (budget, quantity, reach_m) == (&other.budget, &other.quantity, &other.reach_m)
            && (pin, declined) == (&other.promise.pin, &other.promise.declined)
    }

    /// The greatest unit price that the buyer pays: the budget, or the accepted price if that is
    /// less (R8).
    ///
    /// It limits the price and nothing else: what a window is worth to the buyer (R5) is measured
    /// by the budget, before and after accepting. Were the accepted price put in its place, whoever
    /// accepted would gain minus the way, and no window could hold them.
    pub fn most(&self) -> Money {
        match &self.promise.pin {
            Some(pin) => self.budget.min(pin.price),
            None => self.budget,
        }
    }

    /// Whether the buyer's availability and answers allow this window; says nothing of the store.
    pub fn allows(&self, store: &StoreId, slot: Slot) -> bool {
        let pinned_elsewhere =
            self.promise.pin.as_ref().is_some_and(|pin| pin.slot != slot || pin.store != *store);
        self.slots.contains(slot)
            && !pinned_elsewhere
            && !self.promise.declined.iter().any(|(s, t)| *t == slot && s == store)
    }

    /// R5 without the seller's visit value: what the buyer gains in a window at `price`, at
    /// `distance_m` metres; `None` where the buyer must not be in it (R5, R6).
    pub fn gain(
        &self,
        list_price: Money,
        price: Money,
        distance_m: u32,
        travel: i64,
    ) -> Option<i64> {
        if distance_m > self.reach_m || self.most() < price {
            return None;
        }
        let unit = self.budget.min(list_price).minor() - price.minor();
        let gain = self.quantity as i64 * unit - travel;
        (gain >= 0).then_some(gain)
    }
}
