//! A part from its incumbent to what its budget buys, phase by phase.

use super::Compact;
use super::cuts::Cut;
use super::dual::{Demand, Prices};
use super::graft::passes_of;
use super::plan::Plan;
use super::rounds::{GREAT, Pace};
use super::search::{Dice, Greedy, Manner};
use super::turn::{Turn, search_limits};
use crate::solver::effort::{Effort, SEARCH_WEIGHT};
use crate::solver::plan::Gain;
use crate::solver::price::SCALE;
use crate::solver::{Budget, Phase};

/// How often a grouping is made of what the windows ask for, in rounds of prices.
const FOLLOWED_EVERY: u32 = 8;
/// How many (candidate, tier) pairs make that as rare again, and how rare it can get.
const RARER: (usize, u32) = (5_000, 12);
/// The most pairs of a part that is not solved from scratch, but whose groupings are made anew.
const FOLLOWED_PAIRS: usize = 20_000;
/// What a node may cost on average, in counted steps: great parts have fewer of them.
const NODE_WORK: u64 = 20_000;
/// How many starts a search from scratch has in a part of up to so many intents, and how many of them
/// share the budget's steps; one from an incumbent has fewer, and in greater parts one.
const STARTS: [(usize, u32, u32); 3] = [(60, 4, 3), (GRAFTED, 3, 3), (usize::MAX, 6, 6)];
const STARTS_FROM_INCUMBENT: [(usize, u32, u32); 1] = [(60, 2, 2)];
/// In a part of more intents than that all starts but the first are from elsewhere: each ends somewhere
/// else, and the best takes over what others do better, a piece at a time, in so many tries, which take
/// no more than that share of the start's own work. Such parts have rounds of grafts, too.
pub(crate) const GRAFTED: usize = 200;
const GRAFTS: (u32, u64) = (1_000, 2);
/// A part of so many intents has the budget's nodes; of more, fewer; within these limits.
const NODES_FOR: (u64, u64, u64) = (70, 62, 280);
/// How parts are searched.
const MIXED: Manner = Manner { exchange_in: 6, heat: 1 };
/// How they are searched on: where what a group is worth jumps with its size, much has to be lost
/// before more can be gained.
const EXCHANGES: Manner = Manner { exchange_in: 1, heat: 4 };
/// How great parts are searched that are kept up: a search that finds nothing else any more must lose more
/// to get away from there, and exchanges find a third of what others do for the same work.
const KEPT: Manner = Manner { exchange_in: 30, heat: 10 };
/// A part of more intents is not branched while its gap is more than one in so many: it is searched
/// on by exchanges alone, so many times, each with the steps of that.
const BRANCHED: usize = 50;
const HOPELESS: i128 = 30;
const SEARCHES_ON: u32 = 2;
/// A part of no more intents than that, or with a gap of no more than one in so many, is branched
/// after its first start already: mostly that closes it.
const CLOSE: i128 = 1_000;

/// The relaxation that branch and bound works with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Relaxed {
    pub prices: Prices,
    pub cuts: Vec<Cut>,
    /// Whether all windows compete for the buyers of the part.
    pub together: bool,
}

/// What a search came to.
struct Searched {
    /// Steps of it that were made, and what they took.
    made: u32,
    used: u64,
    /// The value where it ended.
    value: i64,
}

/// A solve under way.
pub(crate) struct Solve<'a> {
    pub(super) part: &'a Compact,
    pub(super) budget: Budget,
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
    pub(super) grain: i64,
    /// What branch and bound starts from.
    pub(super) relaxed: Relaxed,
    demand: Demand,
    /// The most steps in all, and those taken.
    allowance: u64,
    pub effort: Effort,
}

impl<'a> Solve<'a> {
    /// At the incumbent, with the prices that it had.
    pub(crate) fn new(part: &'a Compact, plan: Plan<'a>, prices: Prices, budget: Budget) -> Self {
        let mut demand = Demand::default();
        let bound = part.bound_at(&prices, None, &mut demand).expect("nothing is forced");
        let (began, held) = (plan.total(), plan.held());
        let (grain, relaxed) = (part.grain(), Relaxed::default());
        let (allowance, effort) = (u64::MAX, Effort::default());
        Self {
            part,
            budget,
            began,
            held,
            plan,
            prices,
            bound,
            grain,
            relaxed,
            demand,
            allowance,
            effort,
        }
    }

    /// Limits the steps in all; a phase that has begun ends with a few more.
    pub(crate) fn within(mut self, allowance: u64) -> Self {
        self.allowance = allowance;
        self
    }

    /// Of that many steps, those that are left.
    pub(super) fn left(&self, steps: u64) -> u64 {
        steps.min(self.allowance.saturating_sub(self.effort.total()))
    }

    /// The next of the slices that all phases come in; `watch` is told the value and the bound after
    /// each phase. Whether it was the last.
    pub(crate) fn run(
        &mut self,
        seed: u64,
        turn: &mut Turn,
        watch: &mut dyn FnMut(Phase, i64, i128),
    ) -> bool {
        if self.budget.from_scratch {
            self.construct();
            watch(Phase::Construct, self.plan.total().value, self.bound);
        }
        if turn.done.left.is_none() && !turn.priced {
            self.tighten(self.budget.price_rounds / 2);
            watch(Phase::Prices, self.plan.total().value, self.bound);
            if self.has_had(turn) {
                turn.done.left = Some(self.search_limits());
                return false;
            }
        }
        if !turn.done.searched {
            self.search(seed, turn);
            watch(Phase::Search, self.plan.total().value, self.bound);
            if turn.done.left.is_some_and(|left| left.0 > 0 && left.1 > 0) {
                return false;
            }
            turn.done.searched = true;
            if self.has_had(turn) {
                return false;
            }
        }
        let (before, ends) = (turn.done.grafted, self.graft_on(seed, turn));
        if turn.done.grafted > before {
            watch(Phase::Search, self.plan.total().value, self.bound);
        }
        if !ends {
            return false;
        }
        if turn.priced {
            self.bound_jointly();
        } else {
            self.tighten(self.budget.price_rounds / 2);
        }
        watch(Phase::Prices, self.plan.total().value, self.bound);
        if self.is_hopeless() {
            self.search_on(seed);
            watch(Phase::Search, self.plan.total().value, self.bound);
        } else {
            self.strengthen();
            self.branch();
        }
        self.plan.seat_idle();
        let step = (self.grain * SCALE) as i128;
        self.bound = self.bound.div_euclid(step) * step;
        watch(Phase::Branches, self.plan.total().value, self.bound);
        true
    }

    /// Whether its slice has had half of what a search may take: the next phase is for another.
    pub(super) fn has_had(&self, turn: &Turn) -> bool {
        self.effort.total() >= turn.most.saturating_mul(SEARCH_WEIGHT) / 2
    }

    /// Only the bound.
    pub(crate) fn prove(&mut self) {
        self.tighten(self.budget.price_rounds);
    }

    /// Whether the incumbent was improved, or a tie was.
    pub(crate) fn gained(&self) -> bool {
        debug_assert_eq!(self.plan.held(), self.held, "who accepted stays (R8)");
        self.plan.total() > self.began && self.plan.held() == self.held
    }

    /// Whether nothing is left to gain.
    pub(super) fn is_proven(&self) -> bool {
        self.bound < (self.plan.total().value + self.grain) as i128 * SCALE as i128
    }

    /// Whether whole groupings are made between rounds of prices: of a great part only when it is solved from
    /// scratch.
    fn follows(&self) -> bool {
        self.budget.from_scratch || self.part.pairs() <= FOLLOWED_PAIRS
    }

    fn construct(&mut self) {
        for greedy in [Greedy::Window, Greedy::Buyer] {
            let mut fresh = self.plan.clone();
            fresh.start_anew(greedy);
            let steps = (fresh.work - self.plan.work) * SEARCH_WEIGHT;
            self.effort.spend(Phase::Construct, steps);
            self.plan.better_of(&fresh);
        }
    }

    /// Rounds of prices; now and then a grouping is made of what they ask for.
    fn tighten(&mut self, rounds: u32) {
        if self.is_proven() || rounds == 0 {
            return;
        }
        let follows = self.follows();
        let pairs = self.part.pairs();
        let every = FOLLOWED_EVERY * ((pairs / RARER.0) as u32).clamp(1, RARER.1);
        let floor = self.plan.total().value as i128 * SCALE as i128;
        let spent = self.effort.steps[Phase::Prices as usize];
        let most = (self.allowance / 2).saturating_sub(spent);
        let pace = Pace::of(self.budget, rounds, self.part.intents.len(), most);
        let begun = (self.demand.work, self.plan.work);
        let (mut trial, mut round) = (self.plan.clone(), 0);
        let plan = &mut self.plan;
        let reach = (floor, floor + SCALE as i128);
        let mut each = |demand: &Demand| {
            round += 1;
            if follows && round % every == 0 {
                trial.follow(demand);
                plan.better_of(&trial);
            }
        };
        let (part, prices) = (self.part, &mut self.prices);
        let bound = part.tighten(prices, None, pace, reach, &mut self.demand, &mut each);
        self.bound = self.bound.min(bound.expect("nothing is forced"));
        self.bound_jointly();
        if follows {
            trial.follow(&self.demand);
            self.plan.better_of(&trial);
        }
        let steps = self.demand.work - begun.0 + (trial.work - begun.1) * SEARCH_WEIGHT;
        self.effort.spend(Phase::Prices, steps);
    }

    /// The bound once more at the prices that remain, with every joint limit.
    fn bound_jointly(&mut self) {
        let bound = self.part.joint_bound_at(&self.prices, &mut self.demand);
        self.bound = self.bound.min(bound);
    }

    /// Searches from the incumbent and from elsewhere; in a part that is neither small nor solved from
    /// scratch only from the incumbent, as far as its turn goes.
    fn search(&mut self, seed: u64, turn: &mut Turn) {
        let size = self.part.intents.len();
        let all: &[_] = if self.budget.from_scratch { &STARTS } else { &STARTS_FROM_INCUMBENT };
        let few = all.iter().find(|few| size <= few.0);
        let (starts, shares) = few.map_or((1, 1), |few| (few.1, few.2));
        let (steps, work) = turn.done.left.unwrap_or_else(|| self.search_limits());
        if starts == 1 && !self.budget.from_scratch {
            let limits = (steps, self.left(work.min(turn.most) * SEARCH_WEIGHT) / SEARCH_WEIGHT);
            let manner = if size > GRAFTED { KEPT } else { MIXED };
            let Searched { made, used, .. } = match self.is_proven() {
                true => Searched { made: steps, used: 0, value: 0 },
                false => self.search_from(self.plan.clone(), false, limits, seed, manner),
            };
            // What credit does not reach is left out.
            let work = if limits.1 < work.min(turn.most) { 0 } else { work };
            turn.done.left = Some((steps - made, work.saturating_sub(used / SEARCH_WEIGHT)));
            return;
        }
        turn.done.left = Some((0, 0));
        let (steps, work) = (steps / shares, work / shares as u64);
        let start = self.plan.clone();
        let mut found = None;
        for n in 0..starts {
            if self.is_proven() {
                return;
            }
            let limits = (steps, self.left(work * SEARCH_WEIGHT) / SEARCH_WEIGHT);
            // From elsewhere once, in case the incumbent is no place to start from; in great parts always.
            let anew = n > 0 && (n + 1 == starts || size > GRAFTED);
            let seed = seed.wrapping_add(n as u64);
            let value = self.search_from(start.clone(), anew, limits, seed, MIXED).value;
            // Two that end alike have most likely found all there is.
            if found == Some(value) && !self.is_hopeless() {
                return;
            }
            found = found.max(Some(value));
            if n == 0 && starts > 1 && (size <= BRANCHED || self.is_close()) {
                self.strengthen();
                self.branch();
            }
        }
    }

    /// Steps of all its search, and candidates that they may look at.
    fn search_limits(&self) -> (u32, u64) {
        search_limits(self.budget, self.part.intents.len(), self.part.pairs() as u64)
    }

    /// One search from there, or from what the windows ask for.
    fn search_from(
        &mut self,
        mut run: Plan<'a>,
        anew: bool,
        limits: (u32, u64),
        seed: u64,
        manner: Manner,
    ) -> Searched {
        let begun = run.work;
        if anew {
            run.follow(&self.demand);
        }
        let enough = self.bound.div_euclid(SCALE as i128) as i64;
        let made = run.search(limits, seed, (&self.prices, &self.demand), enough, manner);
        let value = run.total().value;
        if anew && self.part.intents.len() > GRAFTED && value < enough {
            let work = (run.work - begun) / GRAFTS.1;
            run = self.graft(run, work, seed);
        }
        let used = (run.work - begun) * SEARCH_WEIGHT;
        self.effort.spend(Phase::Search, used);
        self.plan.better_of(&run);
        Searched { made, used, value }
    }

    /// The better of this grouping and the best so far, with what the other one does better.
    fn graft(&self, mut run: Plan<'a>, work: u64, seed: u64) -> Plan<'a> {
        let mut best = self.plan.clone();
        best.work = run.work;
        if run.total() > best.total() {
            std::mem::swap(&mut best, &mut run);
        }
        let passes = passes_of(self.budget);
        best.graft(&run.members, (GRAFTS.0, work, passes), &mut Dice(!seed));
        best
    }

    /// Whether the gap is too great for branch and bound to close.
    fn is_hopeless(&self) -> bool {
        let value = self.plan.total().value as i128 * SCALE as i128;
        self.budget.from_scratch
            && self.part.intents.len() > BRANCHED
            && self.bound - value > self.bound / HOPELESS
    }

    /// Whether the gap is so small that branch and bound will most likely close it.
    fn is_close(&self) -> bool {
        let value = self.plan.total().value as i128 * SCALE as i128;
        self.bound - value <= self.bound / CLOSE
    }

    /// Searches on by exchanges instead of branching.
    fn search_on(&mut self, seed: u64) {
        let mut left = self.left(self.branch_work() * SEARCHES_ON as u64);
        let share = left / SEARCHES_ON as u64;
        for n in 0..SEARCHES_ON {
            let limits = (u32::MAX, share.min(left) / SEARCH_WEIGHT);
            let seed = seed.wrapping_add((STARTS[2].1 + n) as u64);
            let searched = self.search_from(self.plan.clone(), n == 0, limits, seed, EXCHANGES);
            left = left.saturating_sub(searched.used);
        }
    }

    /// What branch and bound may cost, in steps.
    fn branch_work(&self) -> u64 {
        let size = (self.part.intents.len() as u64).clamp(NODES_FOR.1, NODES_FOR.2);
        self.budget.nodes as u64 * NODE_WORK * NODES_FOR.0 / size
    }

    fn branch(&mut self) {
        let few = self.part.intents.len() <= GREAT;
        let narrow = few && self.part.is_closed();
        if self.is_proven() || self.budget.nodes == 0 || !narrow || !self.follows() {
            return;
        }
        let work = self.left(self.branch_work());
        let (bound, steps) = self.part.close(&mut self.plan, &self.relaxed, self.grain, work);
        self.effort.spend(Phase::Branches, steps);
        self.bound = self.bound.min(bound);
    }
}
