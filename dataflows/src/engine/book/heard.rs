//! Which versions of an intent were heard: the one that counts, and the greatest one refused as late.
//!
//! The greatest version wins, also over one that comes late. So a version that was refused because
//! its intent was in a locked window is not applied, but supersedes older ones from then on; sent
//! again itself, it is judged again.

use crate::market::Outcome;
use serde::{Deserialize, Serialize};

/// A version of an intent; of two with the same number a cancellation is the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Version {
    pub(super) number: u64,
    /// Whether it takes the intent back.
    pub(super) cancels: bool,
}

/// The versions of an intent that were heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Heard {
    counts: Version,
    /// Hardly any was.
    refused: Option<Box<Version>>,
}

impl Heard {
    /// That version counts.
    pub(super) fn new(counts: Version) -> Self {
        Self { counts, refused: None }
    }

    /// What a version is against those that were heard; `None` if it is news.
    pub(super) fn judge(&self, next: Version) -> Option<Outcome> {
        if next < self.counts || self.refused.as_ref().is_some_and(|refused| next < **refused) {
            Some(Outcome::Superseded)
        } else {
            (next == self.counts).then_some(Outcome::Duplicate)
        }
    }

    /// A version that was news is refused.
    pub(super) fn refuse(&mut self, next: Version) {
        let refused = self.refused.get_or_insert_with(|| Box::new(next));
        **refused = next.max(**refused);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_supersedes_what_is_older() {
        let version = |number, cancels| Version { number, cancels };
        let mut heard = Heard::new(version(2, false));
        assert_eq!(heard.judge(version(2, true)), None);
        heard.refuse(version(5, true));
        heard.refuse(version(4, false));
        for (next, expected) in [
            (version(1, true), Some(Outcome::Superseded)),
            (version(2, false), Some(Outcome::Superseded)),
            (version(4, false), Some(Outcome::Superseded)),
            (version(5, false), Some(Outcome::Superseded)),
            (version(5, true), None),
            (version(6, false), None),
        ] {
            assert_eq!(heard.judge(next), expected, "{next:?}");
        }
        let heard = Heard::new(version(2, true));
        assert_eq!(heard.judge(version(2, true)), Some(Outcome::Duplicate));
        assert_eq!(heard.judge(version(2, false)), Some(Outcome::Superseded));
    }
}
