//! Versions of an intent that were refused as late: they were not applied, but older ones are
//! superseded from then on.

use super::moment::Moment;
use super::outcome::Outcomes;
use dataflows::market::Tick;
use std::cmp::Ordering;

/// A version's place among versions; of two with the same number a cancellation is the greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) number: u64,
    pub(super) cancels: bool,
}

/// The greatest versions that were refused.
#[derive(Default)]
pub(super) struct Refused {
    /// The one that certainly was, and when.
    certain: Option<(Place, Tick)>,
    /// The one that may have been.
    possible: Option<Place>,
}

impl Refused {
    /// Whether a version is certainly older than one that was refused: that is remembered within
    /// the horizon, and may be forgotten after it.
    pub(super) fn supersedes(&self, version: Place, moment: Moment) -> bool {
        let known = self.certain.filter(|(_, tick)| *tick > moment.remembered);
        known.is_some_and(|(place, _)| version < place)
    }

    /// Whether a version may be older than one that was refused.
    pub(super) fn may_supersede(&self, version: Place) -> bool {
        self.possible.is_some_and(|place| version < place)
    }

    /// What a version gets of an intent that is in a locked window with a put that has one of
    /// these versions.
    pub(super) fn late(
        &mut self,
        version: Place,
        counts: impl Iterator<Item = u64>,
        moment: Moment,
    ) -> Outcomes {
        let superseded = self.supersedes(version, moment);
        let perhaps = self.may_supersede(version);
        let mut outcomes = Outcomes::NONE;
        for number in counts {
            outcomes |= match version.cmp(&Place { number, cancels: false }) {
                Ordering::Less => Outcomes::SUPERSEDED,
                _ if superseded => Outcomes::SUPERSEDED,
                Ordering::Equal => Outcomes::DUPLICATE,
                _ if perhaps => Outcomes::LATE | Outcomes::SUPERSEDED,
                _ => Outcomes::LATE,
            };
        }
        if outcomes.allow("late") {
            self.possible = self.possible.max(Some(version));
        }
        if outcomes == Outcomes::LATE {
            self.certain = Some((version, moment.tick));
        }
        outcomes
    }
}
