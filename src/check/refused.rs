//! Versions of an intent that were refused as late: they were not applied, but older ones are
//! superseded from then on.

use super::intents::{Moment, Version};
use super::outcome::Outcomes;
use dataflows::market::Tick;

/// A version's place in the order of versions: of two with the same number a cancellation is the
/// greater.
type Place = (u64, bool);

/// The greatest versions that were refused.
#[derive(Default)]
pub(super) struct Refused {
    /// The one that certainly was, and when.
    certain: Option<(Place, Tick)>,
    /// The one that may have been.
    possible: Option<Place>,
}

impl Refused {
    /// Whether a version is older than one that was refused: certainly, or perhaps (what was
    /// refused is remembered within the horizon, and may be forgotten after it).
    pub(super) fn supersede(&self, version: &Version, moment: Moment) -> (bool, bool) {
        let older = |place: &Place| version.place() < *place;
        let certain = self.certain.filter(|(_, tick)| *tick > moment.remembered);
        (certain.is_some_and(|(place, _)| older(&place)), self.possible.is_some_and(|p| older(&p)))
    }

    /// What a version gets of an intent that is in a locked window with a put that has one of
    /// these versions.
    pub(super) fn late(
        &mut self,
        version: &Version,
        counts: impl Iterator<Item = u64> + Clone,
        moment: Moment,
    ) -> Outcomes {
        let place = version.place();
        let (superseded, perhaps) = self.supersede(version, moment);
        let mut outcomes = Outcomes::NONE;
        for number in counts {
            outcomes |= match place.cmp(&(number, false)) {
                std::cmp::Ordering::Less => Outcomes::SUPERSEDED,
                _ if superseded => Outcomes::SUPERSEDED,
                std::cmp::Ordering::Equal => Outcomes::DUPLICATE,
                _ if perhaps => Outcomes::LATE | Outcomes::SUPERSEDED,
                _ => Outcomes::LATE,
            };
        }
        if outcomes.allow("late") {
            self.possible = self.possible.max(Some(place));
        }
        if outcomes == Outcomes::LATE {
            self.certain = Some((place, moment.tick));
        }
        outcomes
    }
}
