//! Windows: (store, product, slot), their public ids, and a market's certificate.

use super::{OfferKey, ProductId, Slot, SlotLength, StoreId, limits::MAX_ID_CHARS};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Names a window. Ordered by slot first: what locks next comes first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WindowKey {
    /// The slot in which the group visits.
    pub slot: Slot,
    /// The store that it visits.
    pub store: StoreId,
    /// The product that it buys.
    pub product: ProductId,
}

impl WindowKey {
    /// The offer whose window it is.
    pub fn offer(&self) -> OfferKey {
        OfferKey { store: self.store.clone(), product: self.product.clone() }
    }

    /// The public id: `<store>_<product>_<slot start in minutes since 1970>`, or, where that is
    /// longer than 64 characters, `w_` and the first 16 bytes of its SHA-256 in hex.
    ///
    /// Two windows have equal ids only if their stores and products, joined with `_`, are equal;
    /// the book refuses an offer that would bring that about.
    pub fn id(&self, length: SlotLength) -> String {
        let minutes = length.start(self.slot).0 / 60_000;
        let id = format!("{}_{}_{}", self.store, self.product, minutes);
        if id.len() <= MAX_ID_CHARS {
            return id;
        }
        let digest = Sha256::digest(id.as_bytes());
        let mut hashed = String::from("w_");
        for byte in &digest[..16] {
            hashed.push_str(&format!("{byte:02x}"));
        }
        hashed
    }
}

/// What proves a solved market: its value and an upper bound on any grouping's value.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Certificate {
    /// The objective of the grouping (R5 with visit values, and R9).
    pub value: i64,
    /// No grouping of the same market has a greater objective.
    pub bound: i64,
}

impl Certificate {
    /// `(bound - value) / bound` in parts per million, rounded up; 0 for an empty market.
    ///
    /// Rounded up, so that 0 means proven optimal.
    pub fn gap_ppm(&self) -> u64 {
        if self.bound <= 0 {
            return 0;
        }
        let gap = (self.bound - self.value).max(0) as i128 * 1_000_000;
        ((gap + self.bound as i128 - 1) / self.bound as i128) as u64
    }
}

impl std::ops::Add for Certificate {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { value: self.value + other.value, bound: self.bound + other.bound }
    }
}

impl std::ops::Sub for Certificate {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { value: self.value - other.value, bound: self.bound - other.bound }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short() {
        let key = |store: &str| WindowKey {
            slot: Slot(1_486_581),
            store: StoreId::new(store).unwrap(),
            product: ProductId::new("latte").unwrap(),
        };
        let length = SlotLength::default();
        assert_eq!(key("s9").id(length), "s9_latte_29731620");
        let hashed = key(&"s".repeat(64)).id(length);
        assert_eq!(hashed.len(), 34);
        assert_ne!(hashed, key(&"t".repeat(64)).id(length));
    }

    #[test]
    fn a_gap_is_rounded_up() {
        let gap = |value, bound| Certificate { value, bound }.gap_ppm();
        assert_eq!(gap(0, 0), 0);
        assert_eq!(gap(5, 5), 0);
        assert_eq!(gap(999_999_999, 1_000_000_000), 1);
        assert_eq!(gap(0, 7), 1_000_000);
    }
}
