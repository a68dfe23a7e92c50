//! Ids: 1-64 characters of `[A-Za-z0-9_-]`, one type per thing named.

use super::{Invalid, limits::MAX_ID_CHARS};
use compact_str::CompactString;
use serde::{Deserialize, Serialize};

/// Whether `text` can be an id.
///
/// A dot, a `*` or a `>` would change the subject that the id becomes a part of.
fn is_id(text: &str) -> bool {
    (1..=MAX_ID_CHARS).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// The first eight letters of an id as a number: where these differ, ids are ordered as they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct IdOrder(u64);

impl IdOrder {
    fn of(id: &str) -> Self {
        let mut first = [0; 8];
        id.bytes().zip(&mut first).for_each(|(letter, place)| *place = letter);
        Self(u64::from_be_bytes(first))
    }

    /// Whether it is all of its id: no letter is a zero.
    #[inline]
    pub fn is_whole(self) -> bool {
        self.0 as u8 == 0
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $field:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(CompactString);

        impl $name {
            /// Makes the id.
            ///
            /// # Errors
            /// When `text` is not 1-64 characters of `[A-Za-z0-9_-]`.
            pub fn new(text: &str) -> Result<Self, Invalid> {
                if is_id(text) {
                    Ok(Self(CompactString::new(text)))
                } else {
                    Err(Invalid::new($field, text, "an id is 1-64 characters of [A-Za-z0-9_-]"))
                }
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// What its first letters say of its order.
            #[inline]
            pub fn order(&self) -> IdOrder {
                IdOrder::of(&self.0)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// Names one buyer's wish.
    IntentId, "id"
);
id!(
    /// Names a buyer, opaquely: no phone number, no name.
    BuyerId, "buyer"
);
id!(
    /// Names a store.
    StoreId, "store"
);
id!(
    /// Names a product.
    ProductId, "product"
);
id!(
    /// Names one happening (a sale, a reply), so that its repetition is known.
    EventId, "event"
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Where the first letters differ they decide; where they are all of one id, the other is
        /// the same.
        #[test]
        fn an_ids_first_letters_order_as_the_id_does(a in "[A-Za-z0-9_-]{1,10}", b in "[ab]{1,10}") {
            for (a, b) in [(&a, &b), (&b, &a), (&a, &a), (&b, &format!("{b}x"))] {
                let (a, b) = (StoreId::new(a).unwrap(), StoreId::new(b).unwrap());
                let by_order = a.order().cmp(&b.order());
                prop_assert_eq!(by_order.then_with(|| a.cmp(&b)), a.cmp(&b));
                if a.order() == b.order() && a.order().is_whole() {
                    prop_assert_eq!(&a, &b);
                }
            }
        }
    }

    #[test]
    fn an_id_is_a_subject_token() {
        for good in ["a", "s9", "A-b_3", &"x".repeat(64)] {
            assert_eq!(StoreId::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "a.b", "a*", ">", "ü", "a b", &"x".repeat(65)] {
            let refused = StoreId::new(bad).unwrap_err();
            assert_eq!(refused.field, "store");
        }
    }
}
