//! How much search a part has, and how far it has come where that is done slice by slice.

use crate::solver::Budget;
use serde::{Deserialize, Serialize};

/// What a step of search may cost on average: great parts have fewer of them.
const STEP_WORK: u64 = 4_000;
/// A part of so many intents has the budget's steps of search; one of twice as many four times as
/// many steps, up to so many times, at least (and from scratch) and at most; fewer where (candidate,
/// tier) pairs are many, whose prices take long already. Shares are of so many.
const MORE_STEPS: (u64, u64, u64) = (100, 7, 18);
const MORE_FROM_SCRATCH: u64 = 10;
const MORE_FOR: u64 = 2_250_000;
/// From scratch, parts of more intents, up to so many, have half as many steps again.
const FEW: (usize, usize) = (110, 500);
const SHARES: u64 = 16;
/// The most rounds of grafts of a part: more of them gain next to nothing.
pub(crate) const MOST_ROUNDS: u32 = 8;

/// Steps of search of a part of so many intents and (candidate, tier) pairs, and the candidates that
/// they may look at.
pub(crate) fn search_limits(budget: Budget, size: usize, pairs: u64) -> (u32, u64) {
    let mut more = (size as u64).pow(2) * SHARES / MORE_STEPS.0.pow(2);
    if budget.from_scratch && size > FEW.0 && size <= FEW.1 {
        more += more / 2;
    }
    let least = if budget.from_scratch { MORE_FROM_SCRATCH } else { MORE_STEPS.1 };
    let most = (MORE_FOR / pairs.max(1)).clamp(least, MORE_STEPS.2);
    let more = more.clamp(SHARES, most * SHARES);
    let steps = budget.search_steps as u64 * more / SHARES;
    (steps as u32, budget.search_steps as u64 * STEP_WORK * more / SHARES)
}

/// How far the search of a part has come that is solved slice by slice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Steps of search that are left, and candidates that they may look at; nothing before the first.
    pub left: Option<(u32, u64)>,
    /// Whether all of that is done.
    pub searched: bool,
    /// How many rounds of grafts are done.
    pub grafted: u32,
}

/// A slice of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn {
    pub done: Progress,
    /// How many rounds of grafts it has, if it is great.
    pub rounds: u32,
    /// Whether its prices were set before.
    pub priced: bool,
    /// The most candidates that a slice's search may look at.
    pub most: u64,
}

impl Turn {
    /// All at once.
    pub(crate) fn whole() -> Self {
        let (done, rounds) = (Progress::default(), MOST_ROUNDS);
        Self { done, rounds, priced: false, most: u64::MAX }
    }
}
