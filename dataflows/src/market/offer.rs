//! What stores have: stores, offers and their discount tiers.

use super::{Cell, Invalid, Money, Opening, Position, ProductId, Slot, StoreId, limits};
use serde::{Deserialize, Serialize};

/// A place with opening hours.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Store {
    /// Its id.
    pub id: StoreId,
    /// Its name, as shown to buyers; it decides nothing.
    pub name: String,
    /// Where it is.
    pub place: Position,
    /// The cell it is bucketed by; it decides nothing.
    pub cell: Cell,
    /// When it is open; a paused store is never open.
    pub opening: Opening,
    /// Whether it takes no groups for now.
    pub paused: bool,
}

/// Names an offer: at most one per store and product.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OfferKey {
    /// The store.
    pub store: StoreId,
    /// The product.
    pub product: ProductId,
}

impl OfferKey {
    /// No offer of the store comes before this one.
    pub fn first_of(store: &StoreId) -> Self {
        let product = ProductId::new("-").expect("the least letter");
        Self { store: store.clone(), product }
    }
}

/// One discount tier: a group of at least that many buyers pays that unit price (R4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tier {
    /// The least number of buyers.
    pub min_buyers: u32,
    /// The unit price they pay.
    pub price: Money,
}

/// Discount tiers: at least one, `min_buyers` strictly rising, prices strictly falling.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tiers(Box<[Tier]>);

impl Tiers {
    /// Makes the tiers.
    ///
    /// # Errors
    /// When there is none or there are too many, when the first needs nobody, or when they do not
    /// strictly rise and fall.
    pub fn new(tiers: Vec<Tier>) -> Result<Self, Invalid> {
        if tiers.is_empty() || tiers.len() > limits::MAX_TIERS {
            let reason = format!("an offer has 1 to {} tiers", limits::MAX_TIERS);
            return Err(Invalid::new("tiers", tiers.len(), reason));
        }
        for (n, tier) in tiers.iter().enumerate() {
            let field = format!("tiers[{n}].min_buyers");
            if tier.min_buyers < 1 || tier.min_buyers > limits::MAX_GROUP {
                let reason = format!("a tier needs 1 to {} buyers", limits::MAX_GROUP);
                return Err(Invalid::new(&field, tier.min_buyers, reason));
            }
            if n > 0 && tier.min_buyers <= tiers[n - 1].min_buyers {
                let reason = "min_buyers strictly rise from tier to tier";
                return Err(Invalid::new(&field, tier.min_buyers, reason));
            }
            if n > 0 && tier.price >= tiers[n - 1].price {
                let reason = "prices strictly fall from tier to tier";
                let field = format!("tiers[{n}].price");
                return Err(Invalid::new(&field, tier.price.minor(), reason));
            }
        }
        Ok(Self(tiers.into_boxed_slice()))
    }

    /// The tiers, shallowest first.
    pub fn as_slice(&self) -> &[Tier] {
        &self.0
    }

    /// Index of the deepest tier that so many buyers reach; `None` below the first (R4).
    pub fn reached(&self, buyers: usize) -> Option<usize> {
        self.0.partition_point(|tier| tier.min_buyers as usize <= buyers).checked_sub(1)
    }
}

/// A seller's mandate for one product at one store: nothing outside it is ever announced.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Offer {
    /// Which offer.
    pub key: OfferKey,
    /// What one unit costs without a group.
    pub list_price: Money,
    /// What a group pays.
    pub tiers: Tiers,
    /// The most buyers of one window.
    pub max_group: u32,
    /// What one more visitor is worth to the seller, in any slot not named below.
    pub visit_value: Money,
    /// What one more visitor is worth in these slots, sorted by slot, each slot once.
    pub slot_values: Box<[(Slot, Money)]>,
    /// How long before its slot a window locks, in minutes; `None`: the engine's lead time.
    pub lead_minutes: Option<u32>,
    /// Whether the seller has taken it back.
    pub withdrawn: bool,
}

impl Offer {
    /// What one more visitor in that slot is worth to the seller (R5).
    pub fn visit_value_at(&self, slot: Slot) -> i64 {
        match self.slot_values.binary_search_by_key(&slot, |entry| entry.0) {
            Ok(n) => self.slot_values[n].1.minor(),
            Err(_) => self.visit_value.minor(),
        }
    }
}
