//! How the markets of a run stood, each and all together, for its summary.

use crate::readable::{count, percent, span};
use dataflows::flow::{Standing, Times};
use dataflows::market::{Certificate, ProductId};
use dataflows::solver::Effort;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// A market, or all of them, as the summary shows it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct MarketFigures {
    /// Objective and bound when it was settled last.
    pub value: i64,
    /// The same, the bound.
    pub bound: i64,
    /// The gap between the two, in millionths.
    pub gap_ppm: u64,
    /// Objective and bound in the mean over the times at which it was settled have this gap, in
    /// millionths.
    pub gap_over_time_ppm: u64,
    /// The share of the objective whose grouping was proven to be optimal, likewise.
    pub proven_ppm: u64,
    /// Counted steps of greedy openings, prices, search and branches.
    pub steps: Steps,
    /// CPU time of this process in each of them and in taking updates in, in milliseconds.
    pub cpu_ms: PhaseTimes,
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

/// CPU time by phase, in milliseconds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct PhaseTimes {
    /// Taking updates in: repair, the windows tried for each, a valid bound.
    pub updates: u64,
    /// Greedy openings, from nothing.
    pub construct: u64,
    /// Rounds of dual prices.
    pub prices: u64,
    /// Search guided by them.
    pub search: u64,
    /// Branch and bound.
    pub branches: u64,
}

impl From<Times> for PhaseTimes {
    fn from(Times { updates, phases: [construct, prices, search, branches] }: Times) -> Self {
        let [updates, construct, prices, search, branches] =
            [updates, construct, prices, search, branches].map(|time| time.as_millis() as u64);
        Self { updates, construct, prices, search, branches }
    }
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
            all.certificate.value += standing.certificate.value;
            all.certificate.bound += standing.certificate.bound;
            all.over_time.0 += standing.over_time.0;
            all.over_time.1 += standing.over_time.1;
            all.over_time.2 += standing.over_time.2;
            all.against_greedy.0 += standing.against_greedy.0;
            all.against_greedy.1 += standing.against_greedy.1;
            all.effort.add(&standing.effort);
            all.times.add(&standing.times);
        }
        Self::from(&all)
    }
}

impl MarketFigures {
    /// For people, one line.
    pub fn text(&self) -> String {
        let Steps { construct, prices, search, branches } = self.steps;
        let cpu = self.cpu_ms;
        let work = |steps: u64, ms: u64, name: &str| {
            format!("{} {name} in {}", count(steps / 1_000_000), span(Duration::from_millis(ms)))
        };
        let prices = work(prices, cpu.prices, "prices");
        let search = work(construct + search, cpu.construct + cpu.search, "search");
        let branches = work(branches, cpu.branches, "branches");
        let updates = span(Duration::from_millis(cpu.updates));
        let greedy = self
            .above_greedy_ppm
            .map(|ppm| format!(", {:.2} % above a plain greedy", ppm as f64 / 10_000.0));
        let crowded = Some(self.crowded).filter(|times| *times > 0);
        let crowded = crowded.map(|times| format!(", {} times in haste", count(times)));
        format!(
            "{} of the value proven optimal; updates taken in in {updates}; million steps: {prices}, \
             {search}, {branches}; parts: {} solved, {} shed{}{}",
            percent(self.proven_ppm),
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
        let Certificate { value: now, bound: at_most } = standing.certificate;
        Self {
            value: now,
            bound: at_most,
            gap_ppm: standing.certificate.gap_ppm(),
            gap_over_time_ppm: share(bound - value, bound),
            proven_ppm: share(proven, value),
            steps: Steps { construct, prices, search, branches },
            cpu_ms: standing.times.into(),
            solved,
            shed,
            crowded,
            above_greedy_ppm: (greedy > 0).then(|| ((ours - greedy) * 1_000_000 / greedy) as i64),
        }
    }
}
