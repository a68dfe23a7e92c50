//! How much the solver has done, in counted steps, and how much it may do.
//!
//! Steps are counted, never timed, so that what they change is the same in every run. Background
//! work is paid for by updates and by time: each update and each minute of logical time gives a
//! market some credit, which its upkeep uses up, parts that lock soon first, then those with the
//! greatest gap. Time pays for markets where little happens to be grouped as well as they can be;
//! where much happens, updates do, so that work does not grow faster than they come. Prices have at
//! most half of it, and a part that need not lock soon waits until there is enough for all its rounds
//! of prices and as much search: many small attempts find less than a long one. In a quiet market
//! each attempt is longer, as what it finds is kept for longer. How fast credit is used up is limited
//! for all markets together ([`super::Due::steps`]). What neither reaches is shed until the next
//! time.

use super::Phase;
use serde::{Deserialize, Serialize};

/// An update pays for as many steps of background work as all markets together may take in so many
/// milliseconds.
pub(crate) const MS_AN_UPDATE: u64 = 20;
/// And so does a minute of a market's, in thirds of a millisecond.
pub(crate) const THIRDS_A_MINUTE: u64 = 6_400;
/// The most steps that a market saves up.
pub(crate) const MOST_SAVED: u64 = 400_000_000;
/// A step of search costs as much as so many of prices.
pub(crate) const SEARCH_WEIGHT: u64 = 4;

/// A market of which no more than one intent in so many has an update in a minute is searched more: with
/// half as many updates so many times as much, which is the most.
const QUIET: u64 = 80;
const QUIETEST: u64 = 4;

/// How many times as much as usual a market is searched that has so many intents, and so many updates since
/// its last agenda; this one pays for so many minutes.
pub(crate) fn quiet(intents: u64, updates: u64, minutes: u64) -> u32 {
    let few = intents.saturating_mul(minutes).saturating_pow(2);
    let many = QUIET.saturating_mul(updates.max(1)).saturating_pow(2);
    (few / many).clamp(1, QUIETEST) as u32
}

/// How much is tried at a refresh for what has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trials {
    /// Whether a small component that has changed is also solved from scratch, greedily.
    pub restarts: bool,
    /// Of the windows that a new intent may be in, how many that prices think best of are tried for it: one
    /// of the first finds most of what there is to be found, and upkeep the rest.
    pub an_intent: usize,
    /// Of those of one who has lost the window, likewise.
    pub who_lost: usize,
    /// The same of an offer's.
    pub an_offer: usize,
    /// How often windows that were disturbed are gone through before improvement stops.
    pub passes: usize,
    /// How many loose windows are made exact: so many, and for every fresh intent.
    pub loose: (usize, usize),
}

impl Trials {
    /// All that is worth its while.
    pub const ALL: Self =
        Self { restarts: true, an_intent: 3, who_lost: 2, an_offer: 1, passes: 4, loose: (8, 8) };
    /// The least, in a tick in which very much changes.
    pub const FEW: Self =
        Self { restarts: false, an_intent: 1, who_lost: 1, an_offer: 1, passes: 1, loose: (2, 2) };
}

/// What has been done in the background.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effort {
    /// Steps of greedy openings, prices, search and branches: candidates looked at.
    pub steps: [u64; 4],
    /// Parts of markets that were solved, prices and regions of great ones each counted.
    pub solved: u64,
    /// Parts that were not, since their market's credit was used up, and offers of which the time was
    /// over before their turn came.
    pub shed: u64,
    /// Refreshes after ticks in which so much changed that little was tried for each change.
    pub crowded: u64,
}

impl Effort {
    /// Adds steps of a phase.
    pub(crate) fn spend(&mut self, phase: Phase, steps: u64) {
        self.steps[phase as usize] += steps;
    }

    /// All steps.
    pub fn total(&self) -> u64 {
        self.steps.iter().sum()
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Effort) {
        for (steps, more) in self.steps.iter_mut().zip(other.steps) {
            *steps += more;
        }
        self.solved += other.solved;
        self.shed += other.shed;
        self.crowded += other.crowded;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_market_is_searched_more() {
        // Of 8,000 intents one in eighty a minute is a hundred updates.
        assert_eq!(quiet(8_000, 4 * 1_000, 4), 1);
        assert_eq!(quiet(8_000, 4 * 100, 4), 1);
        assert_eq!(quiet(8_000, 4 * 70, 4), 2);
        assert_eq!(quiet(8_000, 4 * 50, 4), QUIETEST as u32);
        assert_eq!(quiet(8_000, 2 * 50, 2), QUIETEST as u32, "by the minute");
        assert_eq!(quiet(8_000, 0, 4), QUIETEST as u32);
        assert_eq!(quiet(0, 0, 4), 1);
        assert_eq!(quiet(u64::MAX, u64::MAX / 80, 1), 1, "no overflow");
    }
}
