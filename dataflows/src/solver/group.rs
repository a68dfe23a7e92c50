//! The best group of one window, exactly (R4, R5, R7).
//!
//! With what each buyer could get elsewhere given as a cost, one window is easy: for every tier,
//! the buyers who can pay its price, the most worthwhile first, at least as many as the tier needs.
//! Sorting is exact unless stock binds; then it is a knapsack, solved exactly while it is small.

use super::knapsack::{Limits, knapsack, sum};
use crate::market::Tier;

/// Cells of a knapsack's table that are worth their while for a window that is to stay.
pub(crate) const KNAPSACK_CELLS: usize = 1 << 18;
/// The same for a window on trial.
pub(crate) const TRIAL_CELLS: usize = 1 << 12;

/// One buyer who could be in the window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item {
    /// Who: the caller's index.
    pub intent: u32,
    /// `quantity * min(budget, list) - travel`: the gain at price 0 (R5).
    pub base: i64,
    /// Worth added at any price: visit value and bonus, less what taking the buyer costs.
    pub extra: i64,
    /// Units bought.
    pub quantity: u32,
    /// Units of the stock that is left: none of who has them already, in another window of the offer.
    pub units: u32,
    /// Metres; carried, not used.
    pub distance_m: u32,
    /// The greatest unit price that the buyer pays.
    pub limit: i32,
    /// Whether the group must hold this buyer (R8).
    pub bound_here: bool,
}

/// What a window may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    /// Its offer's tiers.
    pub tiers: &'a [Tier],
    /// The shallowest tier allowed: promises hold the price at that or less (R8).
    pub least_tier: usize,
    /// The most buyers.
    pub max_group: usize,
    /// The most units.
    pub units: i64,
    /// The most cells of a knapsack's table (buyers x group x units); beyond it the group is the
    /// best that a greedy by worth per unit finds, which a rebuild may still improve.
    pub cells: usize,
    /// Groups that are worth less are not asked for: the best of them may not be found.
    pub least_worth: i64,
}

impl<'a> Frame<'a> {
    /// Any tier, and the usual care where stock binds.
    pub(crate) fn of(tiers: &'a [Tier], max_group: usize, units: i64) -> Self {
        let (least_tier, cells, least_worth) = (0, KNAPSACK_CELLS, i64::MIN);
        Self { tiers, least_tier, max_group, units, cells, least_worth }
    }
}

/// A group and its worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    /// The sum of base, extra and price over the group, at `tier`.
    pub worth: i64,
    /// The tier counted with; the group may be large enough for a deeper, better one.
    pub tier: usize,
    /// Positions in the items, rising.
    pub chosen: Vec<usize>,
    /// Cells of the knapsacks' tables that it took.
    pub cells: usize,
}

/// The group of greatest worth; of equal ones the one with more buyers, then the shallower tier.
/// `None` if no tier can be filled.
///
/// **Contract** items are in the order of their ids: of two equally good buyers the first is taken.
/// **Cost** O(tiers * n log n) while stock does not bind.
pub(crate) fn best_group(items: &[Item], frame: Frame<'_>) -> Option<Group> {
    let mut best: Option<Group> = None;
    let mut order: Vec<(i64, usize)> = Vec::with_capacity(items.len());
    // Where everybody takes one unit, stock is no more than a limit of the group's size.
    let single = items.iter().all(|item| item.units == 1);
    let max_group =
        if single { frame.max_group.min(frame.units.max(0) as usize) } else { frame.max_group };
    let mut all_cells = 0;
    for (tier, step) in frame.tiers.iter().enumerate().skip(frame.least_tier).rev() {
        let least = step.min_buyers as usize;
        if least > max_group {
            continue;
        }
        order.clear();
        let (mut bound, mut wanted, mut most) = (0, 0, 0);
        let mut lost = false;
        for (n, item) in items.iter().enumerate() {
            if step.price.minor() <= item.limit as i64 {
                let gain = item.base - item.quantity as i64 * step.price.minor();
                let worth = gain + item.extra;
                order.push((worth, n));
                bound += item.bound_here as usize;
                wanted += (item.bound_here || worth > 0) as usize;
                most += if item.bound_here { worth } else { worth.max(0) };
            } else {
                lost |= item.bound_here;
            }
        }
        if lost || order.len() < least || bound > max_group {
            continue;
        }
        if most < frame.least_worth || best.as_ref().is_some_and(|best| most < best.worth) {
            continue;
        }
        let by_worth = |a: &(i64, usize), b: &(i64, usize)| {
            let bound_first = items[b.1].bound_here.cmp(&items[a.1].bound_here);
            bound_first.then(b.0.cmp(&a.0)).then(a.1.cmp(&b.1))
        };
        let size = wanted.max(least).min(max_group).min(order.len());
        if size < order.len() {
            order.select_nth_unstable_by(size - 1, by_worth);
        }
        let units: i64 = order[..size].iter().map(|entry| items[entry.1].units as i64).sum();
        let worth = sum(order[..size].iter().map(|entry| entry.0));
        let fits = units <= frame.units;
        let group = if fits {
            let chosen = order[..size].iter().map(|entry| entry.1).collect();
            Some(Group { worth, tier, chosen, cells: 0 })
        } else if worth < frame.least_worth {
            None
        } else {
            order.sort_unstable_by(by_worth);
            let Frame { max_group: most, units, cells, .. } = frame;
            let limits = Limits { least, most, units, cells };
            let units_of = |n: usize| items[n].units as i64;
            let (picked, cells) = knapsack(&order, units_of, bound, &limits);
            all_cells += cells;
            picked.map(|(worth, chosen)| Group { worth, tier, chosen, cells })
        };
        if let Some(mut group) = group {
            let better = best.as_ref().is_none_or(|best| {
                (group.worth, group.chosen.len()) >= (best.worth, best.chosen.len())
            });
            if better {
                group.chosen.sort_unstable();
                best = Some(group);
            }
        }
        if fits && wanted >= least {
            // Reached by those alone who are worth something: nobody is worth more at a shallower
            // tier, and no more may come.
            break;
        }
    }
    best.map(|best| Group { cells: all_cells, ..best })
}

/// False if no group of these can be worth `least_worth` or more: a cheap look before
/// [`best_group`], which is then not worth its while.
///
/// **Cost** O(n).
pub(crate) fn may_reach(items: &[Item], frame: Frame<'_>, least_worth: i64) -> bool {
    let reachable = |tier: &&Tier| tier.min_buyers as usize <= frame.max_group;
    let Some(deepest) = frame.tiers.iter().rev().find(reachable) else { return false };
    let (mut most, mut buyers) = (0, 0);
    for item in items {
        if deepest.price.minor() <= item.limit as i64 {
            let gain = item.base - item.quantity as i64 * deepest.price.minor();
            buyers += 1;
            let worth = gain + item.extra;
            most += if item.bound_here { worth } else { worth.max(0) };
        }
    }
    buyers >= frame.tiers[0].min_buyers && most >= least_worth
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::Money;
    use proptest::prelude::*;

    fn tiers(steps: &[(u32, i64)]) -> Vec<Tier> {
        let tier =
            |&(min_buyers, price)| Tier { min_buyers, price: Money::new("", price).unwrap() };
        steps.iter().map(tier).collect()
    }

    /// Every subset, every tier.
    fn brute(items: &[Item], frame: Frame<'_>) -> Option<i64> {
        let mut best = None;
        for set in 0u32..1 << items.len() {
            let group: Vec<&Item> =
                (0..items.len()).filter(|n| set >> n & 1 == 1).map(|n| &items[n]).collect();
            let all_bound =
                items.iter().enumerate().all(|(n, i)| !i.bound_here || set >> n & 1 == 1);
            let units: i64 = group.iter().map(|i| i.units as i64).sum();
            if !all_bound || group.len() > frame.max_group || units > frame.units {
                continue;
            }
            for tier in &frame.tiers[frame.least_tier..] {
                let gain = |i: &Item| i.base - i.quantity as i64 * tier.price.minor();
                if group.len() >= tier.min_buyers as usize && group.iter().all(|i| gain(i) >= 0) {
                    let worth = group.iter().map(|i| gain(i) + i.extra).sum::<i64>();
                    best = best.max(Some(worth));
                }
            }
        }
        best
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

        #[test]
        fn a_best_group_is_best_of_all_groups(
            raw in prop::collection::vec((0i64..300, -80i64..40, 1u32..4, prop::bool::weighted(0.1), prop::bool::weighted(0.2)), 0..9),
            units in 0i64..16, max_group in 1usize..8, least_tier in 0usize..2,
            second in 1u32..4,
        ) {
            let tiers = tiers(&[(2, 60), (2 + second, 45)]);
            let items: Vec<Item> = raw.iter().enumerate()
                .map(|(n, &(base, extra, quantity, bound_here, beside))| {
                    let limit = base.div_euclid(quantity as i64) as i32;
                    let units = if beside { 0 } else { quantity };
                    Item { intent: n as u32, base, extra, quantity, units, distance_m: 0, limit, bound_here }
                }).collect();
            let frame = Frame { least_tier, ..Frame::of(&tiers, max_group, units) };
            let found = best_group(&items, frame);
            prop_assert_eq!(found.as_ref().map(|g| g.worth), brute(&items, frame));
        }
    }
}
