//! Money: integer minor units of the engine's one currency.

use super::{Invalid, limits::MAX_MONEY};
use serde::{Deserialize, Serialize};

/// An amount of money, 0 to [`MAX_MONEY`] minor units.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Money(i64);

impl Money {
    /// Nothing.
    pub const ZERO: Money = Money(0);

    /// Makes the amount that `field` holds.
    ///
    /// # Errors
    /// When it is negative or greater than [`MAX_MONEY`].
    pub fn new(field: &str, minor: i64) -> Result<Self, Invalid> {
        if (0..=MAX_MONEY).contains(&minor) {
            Ok(Self(minor))
        } else {
            Err(Invalid::new(field, minor, format!("money is 0 to {MAX_MONEY} minor units")))
        }
    }

    /// The amount in minor units.
    pub fn minor(self) -> i64 {
        self.0
    }
}

impl std::fmt::Display for Money {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}
