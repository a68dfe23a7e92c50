//! A part from its incumbent to what its budget buys, phase by phase.

use super::Compact;
use super::dual::{Demand, Prices};
use super::plan::Plan;
use super::rounds::Pace;
use super::search::Greedy;
use crate::solver::plan::Gain;
use crate::solver::price::SCALE;
use crate::solver::{Budget, Phase};

/// How often a grouping is made of what the windows ask for, in rounds of prices.
const FOLLOWED_EVERY: u32 = 8;
/// How many (candidate, tier) pairs make that as rare again, and how rare it can get.
const RARER: (usize, u32) = (5_000, 12);
/// What a round of prices, a step of search and a node may cost on average, in counted steps: great
/// parts have fewer of them.
const ROUND_WORK: u64 = 300_000;
const STEP_WORK: u64 = 20_000;
const NODE_WORK: u64 = 20_000;
/// How many starts a search has.
const STARTS: u32 = 2;
/// Parts of more intents than this are searched from one start.
const MANY: u32 = 200;
/// A part of so many intents has the budget's steps of search; a greater one more, up to so many
/// times.
const MORE_STEPS: (u32, u32) = (100, 6);
/// A part of so many intents has the budget's nodes; of more, fewer; within these limits.
const NODES_FOR: (u64, u64, u64) = (70, 40, 280);
/// Rounds that may pass without a better bound before their step is halved.
const PATIENCE: u32 = 6;

/// The most intents of a part where all windows compete for the buyers, and the rounds of that;
/// the share of the gap that it has to close to be kept.
const COMPETING: usize = 200;
const COMPETING_ROUNDS: u32 = 60;
const WORTH_COMPETING: i128 = 10;

/// A solve under way.
pub(crate) struct Solve<'a> {
    part: &'a Compact,
    budget: Budget,
    /// The best grouping so far.
    pub plan: Plan<'a>,
    /// The best prices so far.
    pub prices: Prices,
    /// The least bound so far, scaled.
    pub bound: i128,
    /// What the incumbent was, and who accepted which of its windows.
    began: Gain,
    held: Vec<(u32, u32)>,
    /// What the objective is a multiple of.
    grain: i64,
    /// Whether bounds gain where all windows compete for the part's buyers.
    together: bool,
    demand: Demand,
}

impl<'a> Solve<'a> {
    /// At the incumbent, with the prices that it had.
    pub(crate) fn new(part: &'a Compact, plan: Plan<'a>, prices: Prices, budget: Budget) -> Self {
        let mut demand = Demand::default();
        let bound = part.bound_at(&prices, None, &mut demand).expect("nothing is forced");
        let (began, held) = (plan.total(), plan.held());
        let (grain, together) = (part.grain(), false);
        Self { part, budget, began, held, plan, prices, bound, grain, together, demand }
    }

    /// Every phase; `watch` is told the value and the bound after each.
    pub(crate) fn run(&mut self, seed: u64, watch: &mut dyn FnMut(Phase, i64, i128)) {
        if self.budget.from_scratch {
            self.construct();
            watch(Phase::Construct, self.plan.total().value, self.bound);
        }
        self.tighten(self.budget.price_rounds / 2);
        watch(Phase::Prices, self.plan.total().value, self.bound);
        self.search(seed);
        watch(Phase::Search, self.plan.total().value, self.bound);
        self.tighten(self.budget.price_rounds / 2);
        watch(Phase::Prices, self.plan.total().value, self.bound);
        self.compete();
        self.branch();
        let step = (self.grain * SCALE) as i128;
        self.bound = self.bound.div_euclid(step) * step;
        watch(Phase::Branches, self.plan.total().value, self.bound);
    }

    /// Whether the incumbent was improved, or a tie was.
    pub(crate) fn gained(&self) -> bool {
        debug_assert_eq!(self.plan.held(), self.held, "who accepted stays (R8)");
        self.plan.total() > self.began && self.plan.held() == self.held
    }

    /// Whether nothing is left to gain.
    fn is_proven(&self) -> bool {
        self.bound < (self.plan.total().value + self.grain) as i128 * SCALE as i128
    }

    fn construct(&mut self) {
        for greedy in [Greedy::Window, Greedy::Buyer] {
            let mut fresh = self.plan.clone();
            fresh.start_anew(greedy);
            self.plan.better_of(&fresh);
        }
    }

    /// Rounds of prices; now and then a grouping is made of what they ask for.
    fn tighten(&mut self, rounds: u32) {
        if self.is_proven() || rounds == 0 {
            return;
        }
        let pairs = self.part.pairs();
        let every = FOLLOWED_EVERY * ((pairs / RARER.0) as u32).clamp(1, RARER.1);
        let floor = self.plan.total().value as i128 * SCALE as i128;
        let work = self.budget.price_rounds as u64 * ROUND_WORK;
        let pace = Pace { rounds, patience: PATIENCE, work };
        let (mut trial, mut round) = (self.plan.clone(), 0);
        let plan = &mut self.plan;
        let reach = (floor, floor + SCALE as i128);
        let mut each = |demand: &Demand| {
            round += 1;
            if round % every == 0 {
                trial.follow(demand);
                plan.better_of(&trial);
            }
        };
        let (part, prices) = (self.part, &mut self.prices);
        let bound = part.tighten(prices, None, pace, reach, &mut self.demand, &mut each);
        self.bound = self.bound.min(bound.expect("nothing is forced"));
        // Once more at the prices that remain, with every joint limit.
        self.demand.thorough = true;
        let bound = part.bound_at(prices, None, &mut self.demand).expect("nothing is forced");
        self.demand.thorough = false;
        self.bound = self.bound.min(bound);
        trial.follow(&self.demand);
        plan.better_of(&trial);
    }

    /// Rounds of prices at which all windows compete for the buyers of the part: that proves more
    /// where buyers are alike, and what limits them is how many they are.
    fn compete(&mut self) {
        let few = self.part.intents.len() <= COMPETING;
        if self.is_proven() || self.budget.nodes == 0 || !few {
            return;
        }
        let mut prices = self.prices.clone();
        let floor = self.plan.total().value as i128 * SCALE as i128;
        let reach = (floor, floor + (self.grain * SCALE) as i128);
        let pace = Pace { rounds: COMPETING_ROUNDS, patience: PATIENCE, work: u64::MAX };
        self.demand.together = true;
        let (part, demand) = (self.part, &mut self.demand);
        let bound = part.tighten(&mut prices, None, pace, reach, demand, &mut |_| {});
        self.demand.together = false;
        let bound = bound.expect("nothing is forced");
        if bound < self.bound - (self.bound - floor) / WORTH_COMPETING {
            (self.together, self.bound, self.prices) = (true, bound, prices);
        }
    }

    fn search(&mut self, seed: u64) {
        let size = self.part.intents.len() as u32;
        let starts = if size <= MANY { STARTS } else { 1 };
        let more = (size / MORE_STEPS.0).clamp(1, MORE_STEPS.1);
        let steps = self.budget.search_steps / starts * more;
        let work = self.budget.search_steps as u64 * STEP_WORK / starts as u64;
        let enough = self.bound.div_euclid(SCALE as i128) as i64;
        let start = self.plan.clone();
        for n in 0..starts {
            if self.is_proven() {
                return;
            }
            let mut run = start.clone();
            let guide = (&self.prices, &self.demand);
            run.search((steps, work), seed.wrapping_add(n as u64), guide, enough);
            self.plan.better_of(&run);
        }
    }

    fn branch(&mut self) {
        if self.is_proven() || self.budget.nodes == 0 {
            return;
        }
        let size = (self.part.intents.len() as u64).clamp(NODES_FOR.1, NODES_FOR.2);
        let work = self.budget.nodes as u64 * NODE_WORK * NODES_FOR.0 / size;
        let kind = (self.grain, self.together);
        let bound = self.part.close(&mut self.plan, &self.prices, kind, work);
        self.bound = self.bound.min(bound);
    }
}
