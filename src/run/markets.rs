//! How the markets of a run stood, each and all together, for its summary.

use crate::readable::{count, percent};
use dataflows::flow::Standing;
use dataflows::market::ProductId;
use dataflows::solver::Effort;
use serde::Serialize;
use std::collections::BTreeMap;

/// A market, or all of them, as the summary shows it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct MarketFigures {
    /// Objective and bound in the mean over the times at which it was settled have this gap, in
    /// millionths.
    pub gap_over_time_ppm: u64,
    /// The share of the objective whose grouping was proven to be optimal, likewise.
    pub proven_ppm: u64,
    /// Counted steps of greedy openings, prices, search and branches.
    pub steps: Steps,
    /// Parts that were solved again.
    pub solved: u64,
    /// Parts that were not, since the credit of their market was used up.
    pub shed: u64,
    /// Times that a market took in a tick in which so much changed that little was tried for each change.
    pub crowded: u64,
    /// By how much the objective was above that of a plain greedy on the same market, in
    /// millionths of the greedy's; absent unless they were compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub above_greedy_ppm: Option<i64>,
}

/// Counted steps by phase.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Steps {
    /// Greedy openings, from nothing.
    pub construct: u64,
    /// Rounds of dual prices.
    pub prices: u64,
    /// Search guided by them.
    pub search: u64,
    /// Branch and bound.
    pub branches: u64,
}

impl Steps {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.construct + self.prices + self.search + self.branches
    }
}

impl MarketFigures {
    /// All markets together.
    pub fn total(standings: &BTreeMap<ProductId, Standing>) -> Self {
        let mut all = Standing::default();
        for standing in standings.values() {
            all.over_time.0 += standing.over_time.0;
            all.over_time.1 += standing.over_time.1;
            all.over_time.2 += standing.over_time.2;
            all.against_greedy.0 += standing.against_greedy.0;
            all.against_greedy.1 += standing.against_greedy.1;
            all.effort.add(&standing.effort);
        }
        Self::from(&all)
    }
}

impl MarketFigures {
    /// For people, one line.
    pub fn text(&self) -> String {
        let Steps { construct, prices, search, branches } = self.steps;
        let millions = |steps: u64| count(steps / 1_000_000);
        let greedy = self
            .above_greedy_ppm
            .map(|ppm| format!(", {:.2} % above a plain greedy", ppm as f64 / 10_000.0));
        let crowded = Some(self.crowded).filter(|times| *times > 0);
        let crowded = crowded.map(|times| format!(", {} times in haste", count(times)));
        format!(
            "{} of the value proven optimal; million steps: {} prices, {} search, {} branches; \
             parts: {} solved, {} shed{}{}",
            percent(self.proven_ppm),
            millions(prices),
            millions(construct + search),
            millions(branches),
            count(self.solved),
            count(self.shed),
            crowded.unwrap_or_default(),
            greedy.unwrap_or_default(),
        )
    }
}

impl From<&Standing> for MarketFigures {
    fn from(standing: &Standing) -> Self {
        let (value, bound, proven) = standing.over_time;
        let share = |part: i128, whole: i128| {
            if whole > 0 { (part.max(0) * 1_000_000 / whole) as u64 } else { 0 }
        };
        let (ours, greedy) = standing.against_greedy;
        let Effort { steps, solved, shed, crowded } = standing.effort;
        let [construct, prices, search, branches] = steps;
        Self {
            gap_over_time_ppm: share(bound - value, bound),
            proven_ppm: share(proven, value),
            steps: Steps { construct, prices, search, branches },
            solved,
            shed,
            crowded,
            above_greedy_ppm: (greedy > 0).then(|| ((ours - greedy) * 1_000_000 / greedy) as i64),
        }
    }
}
