//! The relaxation of branch and bound, made stronger than that of the prices.

use super::cuts::Rivals;
use super::dual::{Demand, Prices};
use super::rounds::{FULL_LENGTH, GREAT, PATIENCE, Pace};
use super::solve::{Relaxed, Solve};
use crate::market::limits::MAX_TIERS;
use crate::solver::Phase;
use crate::solver::price::SCALE;

/// The share of the budget's rounds of prices that each try has, and how often the relaxation is cut.
const STRENGTHENING: (u32, u32) = (3, 20);
const CUTTINGS: u32 = 4;
/// The share of the gap that competing for buyers has to close.
const WORTH_COMPETING: i128 = 10;

impl Solve<'_> {
    /// Makes the relaxation of branch and bound stronger than that of the prices: by cuts, and by
    /// letting all windows compete for the buyers of the part.
    pub(super) fn strengthen(&mut self) {
        self.relaxed = Relaxed { prices: self.prices.clone(), ..Relaxed::default() };
        let few = self.part.intents.len() <= GREAT;
        let narrow = few && self.part.is_closed();
        if self.is_proven() || self.budget.nodes == 0 || !narrow || self.left(1) == 0 {
            return;
        }
        self.cut();
        let Relaxed { together, prices, .. } = &self.relaxed;
        debug_assert!(!*together);
        let mut trial = prices.clone();
        let before = self.bound;
        let bound = self.relax(&mut trial, true, &mut |_| {});
        let floor = self.plan.total().value as i128 * SCALE as i128;
        if bound < before - (before - floor) / WORTH_COMPETING {
            (self.relaxed.together, self.relaxed.prices) = (true, trial);
        }
    }

    /// Cuts off what prices ask for and cannot be.
    fn cut(&mut self) {
        let Some(mut rivals) = Rivals::of(self.part) else { return };
        let mut prices = self.relaxed.prices.clone();
        for _ in 0..CUTTINGS {
            let mut asked = vec![0u32; self.part.windows.len() * MAX_TIERS];
            let mut rounds = 0;
            self.relax(&mut prices, false, &mut |demand| {
                rounds += 1;
                for (w, pick) in demand.picks.iter().enumerate() {
                    asked[w * MAX_TIERS + pick.tier] += (pick.size > 0) as u32;
                }
            });
            let of = |w: u32, tier: u8| asked[w as usize * MAX_TIERS + tier as usize];
            if self.is_proven() || rivals.add(&of, rounds) == 0 {
                break;
            }
            self.relaxed.cuts = rivals.cuts().to_vec();
            prices.v.resize(self.part.offers.len() + self.relaxed.cuts.len(), 0);
        }
        self.relax(&mut prices, false, &mut |_| {});
        self.relaxed.prices = prices;
    }

    /// Rounds of prices in the stronger relaxation; returns their bound.
    fn relax(
        &mut self,
        prices: &mut Prices,
        together: bool,
        each: &mut dyn FnMut(&Demand),
    ) -> i128 {
        let floor = self.plan.total().value as i128 * SCALE as i128;
        let reach = (floor, floor + (self.grain * SCALE) as i128);
        let rounds = self.budget.price_rounds * STRENGTHENING.0 / STRENGTHENING.1;
        let pace = Pace { rounds, patience: PATIENCE, work: u64::MAX, length: FULL_LENGTH };
        let mut demand = Demand { together, cuts: self.relaxed.cuts.clone(), ..Demand::default() };
        let bound = self.part.tighten(prices, None, pace, reach, &mut demand, each);
        let bound = bound.expect("nothing is forced");
        self.effort.spend(Phase::Branches, demand.work);
        self.bound = self.bound.min(bound);
        bound
    }
}
