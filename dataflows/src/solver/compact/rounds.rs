//! Rounds of prices: steps against subgradients, which tighten the bound.

use super::Compact;
use super::dual::{Branch, Demand, Prices};
use crate::solver::Budget;
use serde::{Deserialize, Serialize};

/// The greatest price of an intent: above anything that an intent can be worth.
const MAX_PRICE: i64 = 1 << 48;
/// The greatest price of a unit of stock.
const MAX_UNIT_PRICE: i64 = 1 << 38;
/// Polyak's length of a step, which halvings make shorter; and what is too short.
pub(crate) const FULL_LENGTH: i128 = 1 << 10;
const LEAST_LENGTH: i128 = 4;
/// Directions are kept in 1/16.
const TREND: i64 = 16;

/// What a round of prices may cost on average, in counted steps: great parts have fewer of them.
const ROUND_WORK: u64 = 300_000;
/// A part of more intents is great: its rounds may cost half as much again.
pub(crate) const GREAT: usize = 300;
/// Rounds that may pass without a better bound before their step is halved.
pub(crate) const PATIENCE: u32 = 6;
/// How long steps from prices that were good a while ago are at first.
const WARM_LENGTH: i128 = FULL_LENGTH / 8;
/// After how many rounds without a better bound those are halved.
const WARM_PATIENCE: u32 = 3;

/// How rounds of prices go.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Pace {
    /// How many at most.
    pub rounds: u32,
    /// How many may pass without a better bound before the step is halved.
    pub patience: u32,
    /// How many counted steps they may take.
    pub work: u64,
    /// How long the first steps are, of [`FULL_LENGTH`]: prices that are nearly right want short ones.
    pub length: i128,
}

/// How often each window, and each candidate, was asked for over some rounds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Frequency {
    pub rounds: u32,
    pub windows: Vec<u32>,
    pub cands: Vec<u32>,
}

impl Pace {
    /// That of so many rounds of a part of so many intents, within so many steps in all.
    pub(crate) fn of(budget: Budget, rounds: u32, intents: usize, most: u64) -> Self {
        let great = (intents > GREAT) as u64;
        let work = most.min(budget.price_rounds as u64 * ROUND_WORK * (2 + great) / 2);
        let (length, patience) = match budget.from_scratch {
            true => (FULL_LENGTH, PATIENCE),
            false => (WARM_LENGTH, WARM_PATIENCE),
        };
        Self { rounds, patience, work, length }
    }
}

/// Rounds of prices, under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Course {
    /// The best prices so far, and their bound, scaled.
    pub best: Prices,
    pub bound: i128,
    /// The next round's prices, and the direction that they came from.
    at: Prices,
    trend: Prices,
    length: i128,
    /// Rounds since the bound was better.
    waited: u32,
    patience: u32,
    /// Rounds and steps that are left.
    rounds: u32,
    work: u64,
}

impl Course {
    pub(crate) fn new(prices: Prices, pace: Pace) -> Self {
        let trend = Prices { u: vec![0; prices.u.len()], v: vec![0; prices.v.len()] };
        Self {
            at: prices.clone(),
            best: prices,
            bound: i128::MAX,
            trend,
            length: pace.length,
            waited: 0,
            patience: pace.patience,
            rounds: pace.rounds.max(1),
            work: pace.work,
        }
    }

    /// Whether there is no round left.
    pub(crate) fn is_over(&self) -> bool {
        self.rounds == 0
    }

    /// One round towards `floor`; the last one, if it comes below `enough`. `None` if the branch holds
    /// nothing.
    pub(crate) fn round(
        &mut self,
        part: &Compact,
        branch: Option<&Branch>,
        (floor, enough): (i128, i128),
        demand: &mut Demand,
        each: &mut dyn FnMut(&Demand),
    ) -> Option<()> {
        let begun = demand.work;
        let bound = part.bound_at(&self.at, branch, demand)?;
        each(demand);
        if bound < self.bound {
            self.bound = bound;
            self.best.clone_from(&self.at);
            self.waited = 0;
        } else {
            self.waited += 1;
        }
        let work = demand.work - begun;
        if self.bound < enough || self.length < LEAST_LENGTH || work > self.work {
            self.rounds = 0;
            return Some(());
        }
        self.rounds -= 1;
        self.work -= work;
        if self.waited > self.patience {
            self.waited = 0;
            self.length /= 2;
        }
        let length = (bound - floor) * self.length / FULL_LENGTH;
        if !part.step(&mut self.at, demand, &mut self.trend, length) {
            self.waited = self.patience;
        }
        Some(())
    }
}

impl Compact {
    /// Tightens the bound by deflected subgradient steps of Polyak's length towards a floor
    /// (scaled); leaves the best prices in `prices` and returns their bound, or `None` if the
    /// branch holds nothing. Ends early below what is enough.
    pub(crate) fn tighten(
        &self,
        prices: &mut Prices,
        branch: Option<&Branch>,
        pace: Pace,
        reach: (i128, i128),
        demand: &mut Demand,
        each: &mut dyn FnMut(&Demand),
    ) -> Option<i128> {
        let mut course = Course::new(std::mem::take(prices), pace);
        let mut holds = Some(());
        while holds.is_some() && !course.is_over() {
            holds = course.round(self, branch, reach, demand, each);
        }
        *prices = course.best;
        holds.map(|()| course.bound)
    }

    /// One step; false where there is none to make.
    fn step(&self, at: &mut Prices, demand: &Demand, trend: &mut Prices, length: i128) -> bool {
        let mut norm: i128 = 0;
        let mut turn = |trend: &mut i64, slack: i64, price: i64| {
            let to = slack + *trend * 3 / 4;
            *trend = if to > 0 && price == 0 { 0 } else { to };
            norm += (*trend as i128).pow(2);
        };
        for (n, trend) in trend.u.iter_mut().enumerate() {
            turn(trend, TREND * (1 - demand.wanted[n] as i64), at.u[n]);
        }
        for (n, trend) in trend.v.iter_mut().enumerate() {
            let slack = match n.checked_sub(self.offers.len()) {
                None => TREND * (self.offers[n].stock - demand.units[n]) / self.span(n),
                Some(cut) => TREND * (1 - demand.units[n]) * demand.cuts[cut].span,
            };
            turn(trend, slack, at.v[n]);
        }
        if norm == 0 {
            return false;
        }
        let along = Along::new(TREND as i128 * length.max(1), norm);
        let along = |trend: i64| along.of(trend);
        let mut moved = false;
        for (price, &trend) in at.u.iter_mut().zip(&trend.u) {
            let to = (*price - along(trend)).clamp(0, MAX_PRICE);
            moved |= to != *price;
            *price = to;
        }
        for (n, (price, &trend)) in at.v.iter_mut().zip(&trend.v).enumerate() {
            let by = match n.checked_sub(self.offers.len()) {
                None => along(trend) / self.span(n),
                Some(cut) => along(trend) * demand.cuts[cut].span,
            };
            let to = (*price - by).clamp(0, MAX_UNIT_PRICE);
            moved |= to != *price;
            *price = to;
        }
        moved
    }

    /// By how much a unit price counts for less than an intent's: a stock has many units, and
    /// without this its direction would drown those of all intents.
    fn span(&self, n: usize) -> i64 {
        let offer = &self.offers[n];
        offer.stock.clamp(1, (offer.most as i64).max(1) * 2).isqrt().max(1)
    }
}

/// Goes along a direction: by `trend * length / norm`, rounded towards zero, at most [`MAX_PRICE`].
struct Along {
    length: i128,
    norm: i128,
    /// The length in whole norms, what is left of it, and the norm, where all products fit 64 bits:
    /// divisions of 128 took a fifth of a great market's time.
    short: Option<(i64, i64, i64)>,
}

impl Along {
    /// Both are positive.
    fn new(length: i128, norm: i128) -> Self {
        let (whole, rest) = (length / norm, length % norm);
        // No trend is greater than the norm's root.
        let fits = norm < 1 << 40 && whole < 1 << 40;
        let short = fits.then_some((whole as i64, rest as i64, norm as i64));
        Self { length, norm, short }
    }

    fn of(&self, trend: i64) -> i64 {
        match self.short {
            _ if trend == 0 => 0,
            Some((whole, rest, norm)) => {
                (trend * whole + trend * rest / norm).clamp(-MAX_PRICE, MAX_PRICE)
            }
            None => {
                let by = trend as i128 * self.length / self.norm;
                by.clamp(-MAX_PRICE as i128, MAX_PRICE as i128) as i64
            }
        }
    }
}

impl Frequency {
    pub(crate) fn of(part: &Compact) -> Self {
        Self { rounds: 0, windows: vec![0; part.windows.len()], cands: vec![0; part.cands.len()] }
    }

    pub(crate) fn note(&mut self, part: &Compact, demand: &Demand) {
        self.rounds += 1;
        for (w, window) in part.windows.iter().enumerate() {
            if demand.tier[w].1 > 0 {
                self.windows[w] += 1;
                for n in window.first..window.end {
                    self.cands[n as usize] += demand.chosen[n as usize] as u32;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn short_divisions_are_long_ones(
            (trend, finer) in (-(1i64 << 21)..1 << 21, 0u32..21),
            (others, less) in (0..i64::MAX, 0u32..63),
            (length, more, fewer) in (1..i64::MAX, 0u32..20, 0u32..82),
        ) {
            let trend = trend >> finer;
            let norm = (trend as i128).pow(2).max(1) + (others >> less) as i128;
            let along = Along::new((((length as i128) << more) >> fewer).max(1), norm);
            let long = Along { short: None, ..along };
            prop_assert_eq!(along.of(trend), long.of(trend));
        }
    }
}
