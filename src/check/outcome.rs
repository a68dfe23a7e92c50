//! Sets of outcomes that the log allows for one record.

use std::fmt::{self, Display};
use std::ops::{BitOr, BitOrAssign};

/// Which outcomes are right; more than one where the protocol leaves it open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outcomes(u8);

impl Outcomes {
    pub(super) const NONE: Self = Self(0);
    pub(super) const APPLIED: Self = Self(1);
    pub(super) const SUPERSEDED: Self = Self(2);
    pub(super) const DUPLICATE: Self = Self(4);
    pub(super) const LATE: Self = Self(8);
    pub(super) const INVALID: Self = Self(16);

    /// The words, in the order of the bits.
    const WORDS: [&str; 5] = ["applied", "superseded", "duplicate", "late", "invalid"];

    /// The outcome of that word; none if it is not one.
    pub(super) fn of(word: &str) -> Self {
        Self::WORDS.iter().position(|w| *w == word).map_or(Self::NONE, |n| Self(1 << n))
    }

    /// Whether that word is among them.
    pub(super) fn allow(self, word: &str) -> bool {
        self.0 & Self::of(word).0 != 0
    }

    /// Whether there is no doubt.
    pub(super) fn is_sure(self) -> bool {
        self.0.is_power_of_two()
    }
}

impl BitOr for Outcomes {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Outcomes {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl Display for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = Self::WORDS.into_iter().filter(|word| self.allow(word)).collect();
        f.write_str(&words.join(" or "))
    }
}
