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
