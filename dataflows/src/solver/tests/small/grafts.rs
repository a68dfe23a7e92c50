//! Groupings of greedies, grafted onto the incumbent and the other way round; and rounds of grafts from
//! what the windows ask for.

use crate::solver::compact::Compact;
use crate::solver::compact::search::{Dice, Greedy};
use crate::solver::compact::solve::Solve;
use crate::solver::{Budget, Market};

/// Tries of pieces at a time.
const TRIES: u32 = 30;
/// Rounds of grafts: at the prices, and nearby.
const ROUNDS: u32 = 3;

/// Does so in every part; the better of the groupings remains.
pub(super) fn graft(market: &mut Market) {
    market.refresh();
    for offers in market.components() {
        let part = Compact::of(market, &offers);
        let mut plan = market.plan_of(&part);
        let (began, held) = (plan.total(), plan.held());
        for (greedy, seed, passes) in [(Greedy::Window, 1, 1), (Greedy::Buyer, 2, 3)] {
            let mut other = plan.clone();
            other.start_anew(greedy);
            let limits = (TRIES, u64::MAX, passes);
            let totals = [plan.total(), other.total()];
            plan.graft(&other.members, limits, &mut Dice(seed));
            other.graft(&plan.members, limits, &mut Dice(seed));
            assert!(plan.total() >= totals[0] && other.total() >= totals[1], "a graft lost");
            plan.better_of(&other);
        }
        assert_eq!(plan.held(), held, "who accepted stays (R8)");
        let began_here = plan.total();
        let mut solve = Solve::new(&part, plan, market.prices_of(&part), Budget::default());
        (0..ROUNDS).for_each(|n| solve.graft_round(n, 3));
        let plan = &solve.plan;
        assert!(plan.total() >= began_here, "a round of grafts lost");
        assert_eq!(plan.held(), held, "who accepted stays (R8)");
        if plan.total() > began {
            market.adopt(&part, plan);
        }
    }
}
