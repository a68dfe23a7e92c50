//! The best group of one window, exactly (R4, R5, R7).
//!
//! With what each buyer could get elsewhere given as a cost, one window is easy: for every tier,
//! the buyers who can pay its price, the most worthwhile first, at least as many as the tier needs.
//! Sorting is exact unless stock binds; then it is a knapsack, solved exactly while it is small.

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
    /// Units.
    pub quantity: u32,
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
}

impl<'a> Frame<'a> {
    /// Any tier, and the usual care where stock binds.
    pub(crate) fn of(tiers: &'a [Tier], max_group: usize, units: i64) -> Self {
        Self { tiers, least_tier: 0, max_group, units, cells: KNAPSACK_CELLS }
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
    let single = items.iter().all(|item| item.quantity == 1);
    let max_group =
        if single { frame.max_group.min(frame.units.max(0) as usize) } else { frame.max_group };
    let mut all_cells = 0;
    for (tier, step) in frame.tiers.iter().enumerate().skip(frame.least_tier) {
        let least = step.min_buyers as usize;
        if least > max_group {
            break;
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
        if best.as_ref().is_some_and(|best| most < best.worth) {
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
        let units: i64 = order[..size].iter().map(|entry| items[entry.1].quantity as i64).sum();
        let group = if units <= frame.units {
            Some(Group {
                worth: sum(order[..size].iter().map(|entry| entry.0)),
                tier,
                chosen: order[..size].iter().map(|entry| entry.1).collect(),
                cells: 0,
            })
        } else {
            order.sort_unstable_by(by_worth);
            let (picked, cells) = knapsack(items, &order, bound, least, &frame);
            all_cells += cells;
            picked.map(|(worth, chosen)| Group { worth, tier, chosen, cells })
        };
        if let Some(mut group) = group {
            let better = best.as_ref().is_none_or(|best| {
                (group.worth, group.chosen.len()) > (best.worth, best.chosen.len())
            });
            if better {
                group.chosen.sort_unstable();
                best = Some(group);
            }
        }
    }
    best.map(|best| Group { cells: all_cells, ..best })
}

/// What a group is worth. Whoever breaks up another group is worth less by all of that group, so
/// that thousands of them are beyond an `i64`: no group wants that many.
fn sum(worths: impl Iterator<Item = i64>) -> i64 {
    worths.fold(0, i64::saturating_add)
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

/// The best group when stock binds: exactly while the table is small, else greedily; the cells
/// of the table.
///
/// `order` holds (worth, item), the `bound` ones first.
fn knapsack(
    items: &[Item],
    order: &[(i64, usize)],
    bound: usize,
    least: usize,
    frame: &Frame<'_>,
) -> (Option<(i64, Vec<usize>)>, usize) {
    let quantity = |entry: &(i64, usize)| items[entry.1].quantity as i64;
    let fixed_units: i64 = order[..bound].iter().map(quantity).sum();
    let fixed_worth = order[..bound].iter().map(|entry| entry.0);
    let room = frame.units - fixed_units;
    if room < 0 {
        return (None, 0);
    }
    let free = &order[bound..];
    let most = (frame.max_group - bound).min(free.len());
    let need = least.saturating_sub(bound);
    // Where the stock ends before the group is full, buyers need not be counted beyond `need`.
    let mut quantities: Vec<i64> = free.iter().map(quantity).collect();
    quantities.sort_unstable();
    let ends = most == free.len() || quantities[..=most].iter().sum::<i64>() > room;
    let counts = if ends { need } else { most };
    let cells = free.len().saturating_mul(counts + 1).saturating_mul(room as usize + 1);
    let (picked, cells) = if need > most {
        (None, 0)
    } else if cells <= frame.cells {
        (exact(free, &quantity, (counts, ends), need, room as usize), cells)
    } else {
        (greedy(free, &quantity, most, need, room), free.len())
    };
    let group = picked.map(|picked| {
        let worth = sum(fixed_worth.chain(picked.iter().map(|&n| free[n].0)));
        let chosen = order[..bound].iter().map(|e| e.1).chain(picked.iter().map(|&n| free[n].1));
        (worth, chosen.collect())
    });
    (group, cells)
}

/// More buyers than a knapsack counts.
const COUNTED: usize = 1 << 12;

/// Dynamic programming over (buyers, units): positions in `free` of the best choice of `need` to
/// `most` buyers and at most `room` units; `most` stands for any greater count if it is `open`.
fn exact(
    free: &[(i64, usize)],
    quantity: &impl Fn(&(i64, usize)) -> i64,
    (most, open): (usize, bool),
    need: usize,
    room: usize,
) -> Option<Vec<usize>> {
    const NONE: i64 = i64::MIN / 2;
    let width = room + 1;
    let size = (most + 1) * width;
    // Of equal worth the one with more buyers, unless so many digits do not fit.
    let sum: i128 = free.iter().map(|entry| entry.0.unsigned_abs() as i128).sum();
    let (scale, each) =
        if sum < 1 << 48 && free.len() < COUNTED { (COUNTED as i64, 1) } else { (1, 0) };
    let mut best = vec![NONE; size];
    best[0] = 0;
    // A choice's last buyer came to one buyer less, or to as many as count.
    let mut taken = vec![0u8; free.len() * size];
    let (less, same) = (1, 2);
    for (n, entry) in free.iter().enumerate() {
        let q = quantity(entry) as usize;
        if q > room || (entry.0 < 0 && need == 0) {
            continue;
        }
        let worth = entry.0 * scale + each;
        let taken = &mut taken[n * size..][..size];
        for count in (0..=most.min(n + 1)).rev() {
            let row = count * width;
            let (below, rows) = best.split_at_mut(row);
            let (here, taken) = (&mut rows[..width], &mut taken[row..row + width]);
            if open && count == most {
                for units in (q..width).rev() {
                    let with = here[units - q] + worth;
                    if with > here[units] && with > NONE / 2 {
                        (here[units], taken[units]) = (with, same);
                    }
                }
            }
            if count > 0 {
                let from = &below[row - width..row - q];
                for ((from, here), taken) in from.iter().zip(&mut here[q..]).zip(&mut taken[q..]) {
                    let with = from + worth;
                    let better = with > *here && with > NONE / 2;
                    *here = if better { with } else { *here };
                    *taken = if better { less } else { *taken };
                }
            }
        }
    }
    let (mut count, mut units) = (need..=most)
        .flat_map(|count| (0..=room).map(move |units| (count, units)))
        .filter(|&(count, units)| best[count * width + units] > NONE / 2)
        .max_by_key(|&(count, units)| (best[count * width + units], count, room - units))?;
    let mut picked = Vec::new();
    for n in (0..free.len()).rev() {
        let how = taken[n * size + count * width + units];
        if how > 0 {
            picked.push(n);
            units -= quantity(&free[n]) as usize;
            count -= (how == less) as usize;
        }
    }
    debug_assert_eq!((count, units), (0, 0));
    Some(picked)
}

/// Takes what is worth most per unit while it fits, then the smallest until `need` are there.
fn greedy(
    free: &[(i64, usize)],
    quantity: &impl Fn(&(i64, usize)) -> i64,
    most: usize,
    need: usize,
    mut room: i64,
) -> Option<Vec<usize>> {
    let mut by_density: Vec<usize> = (0..free.len()).filter(|&n| free[n].0 > 0).collect();
    by_density.sort_by_key(|&n| {
        (std::cmp::Reverse(free[n].0 as i128 * 1_000 / quantity(&free[n]) as i128), n)
    });
    let mut picked = Vec::new();
    let mut inside = vec![false; free.len()];
    for n in by_density {
        if picked.len() < most && quantity(&free[n]) <= room {
            room -= quantity(&free[n]);
            picked.push(n);
            inside[n] = true;
        }
    }
    if picked.len() < need {
        let mut rest: Vec<usize> = (0..free.len()).filter(|&n| !inside[n]).collect();
        rest.sort_by_key(|&n| (quantity(&free[n]), std::cmp::Reverse(free[n].0), n));
        for n in rest {
            if picked.len() < need && quantity(&free[n]) <= room {
                room -= quantity(&free[n]);
                picked.push(n);
            }
        }
    }
    if picked.len() >= need {
        return Some(picked);
    }
    // Not enough small ones left: the smallest of all are the only group that may fit.
    let mut smallest: Vec<usize> = (0..free.len()).collect();
    smallest.sort_by_key(|&n| (quantity(&free[n]), std::cmp::Reverse(free[n].0), n));
    smallest.truncate(need);
    let used: i64 = picked.iter().chain(&[]).map(|&n| quantity(&free[n])).sum();
    let fits = smallest.iter().map(|&n| quantity(&free[n])).sum::<i64>() <= room + used;
    (smallest.len() == need && fits).then_some(smallest)
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
            let units: i64 = group.iter().map(|i| i.quantity as i64).sum();
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
            raw in prop::collection::vec((0i64..300, -80i64..40, 1u32..4, prop::bool::weighted(0.1)), 0..9),
            units in 0i64..16, max_group in 1usize..8, least_tier in 0usize..2,
            second in 1u32..4,
        ) {
            let tiers = tiers(&[(2, 60), (2 + second, 45)]);
            let items: Vec<Item> = raw.iter().enumerate()
                .map(|(n, &(base, extra, quantity, bound_here))| {
                    let limit = base.div_euclid(quantity as i64) as i32;
                    Item { intent: n as u32, base, extra, quantity, distance_m: 0, limit, bound_here }
                }).collect();
            let frame = Frame { tiers: &tiers, least_tier, max_group, units, cells: KNAPSACK_CELLS };
            let found = best_group(&items, frame);
            prop_assert_eq!(found.as_ref().map(|g| g.worth), brute(&items, frame));
        }
    }
}
