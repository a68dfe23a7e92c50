//! The best group of one window, exactly (R4, R5, R7).
//!
//! With what each buyer could get elsewhere given as a cost, one window is easy: for every tier,
//! the buyers who can pay its price, the most worthwhile first, at least as many as the tier needs.
//! Sorting is exact unless stock binds; then it is a knapsack, solved exactly while it is small.

use super::knapsack::{Limits, knapsack, sum};
use crate::market::Tier;
use std::cmp::Reverse;

/// Cells of a knapsack's table that are worth their while for a window that is to stay.
pub(crate) const KNAPSACK_CELLS: usize = 1 << 18;
/// The same for a window on trial.
pub(crate) const TRIAL_CELLS: usize = 1 << 12;

/// One buyer who could be in the window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item {
    /// Worth at price 0: the gain there (R5), visit value and bonus, less what taking the buyer costs.
    pub worth: i64,
    /// Who: the caller's number.
    pub who: u32,
    /// Units bought.
    pub quantity: u32,
    /// Units of the stock that is left: none of who has them already, in another window of the offer.
    pub units: u32,
    /// The greatest unit price that the buyer pays.
    pub limit: i32,
    /// Whether the group must hold this buyer (R8).
    pub bound_here: bool,
}

impl Item {
    #[inline]
    fn at(&self, price: i64) -> i64 {
        self.worth - self.quantity as i64 * price
    }

    #[inline]
    fn pays(&self, price: i64) -> bool {
        price <= self.limit as i64
    }

    /// Whether it is in every group at that price that need not be full, or must be.
    #[inline]
    fn is_wanted(&self, price: i64) -> bool {
        self.pays(price) & (self.bound_here | (self.at(price) > 0))
    }
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
    /// The sum of the group's worths at the price of `tier`.
    pub worth: i64,
    /// The tier counted with; the group may be large enough for a deeper, better one.
    pub tier: usize,
    /// Positions in the items, rising.
    pub chosen: Vec<usize>,
    /// Cells of the knapsacks' tables that it took.
    pub cells: usize,
}

/// Who could be in a group at one price.
#[derive(Debug, Default)]
struct Crowd {
    paying: usize,
    bound: usize,
    /// Those who are worth something or must be in it, and what they are worth together.
    wanted: usize,
    worth: i64,
    /// The most that anybody else is worth: nothing or less.
    next: i64,
    /// Whether one who must be in it cannot pay.
    lost: bool,
}

impl Crowd {
    /// Without branches: chance has it who can pay, and who is worth something.
    fn at(items: &[Item], price: i64) -> Self {
        let mut crowd = Self { next: i64::MIN, ..Self::default() };
        for item in items {
            let (worth, pays) = (item.at(price), item.pays(price));
            let wanted = pays & (item.bound_here | (worth > 0));
            crowd.lost |= item.bound_here & !pays;
            crowd.paying += pays as usize;
            crowd.bound += (item.bound_here & pays) as usize;
            crowd.wanted += wanted as usize;
            crowd.worth += if wanted { worth } else { 0 };
            crowd.next = crowd.next.max(if pays & !wanted { worth } else { i64::MIN });
        }
        crowd
    }

    /// No group of `least` or more is worth more: if everyone whom it lacks were worth `next`.
    fn most(&self, least: usize) -> i64 {
        let lacks = least.saturating_sub(self.wanted) as i64;
        self.worth.saturating_add(self.next.saturating_mul(lacks))
    }
}

/// The group of greatest worth; of equal ones the one with more buyers, then the shallower tier.
/// `None` if no tier can be filled.
///
/// **Contract** items are in the order of their ids: of two equally good buyers the first is taken.
/// **Cost** O(tiers * n) while stock does not bind.
pub(crate) fn best_group(items: &[Item], frame: Frame<'_>) -> Option<Group> {
    let mut best: Option<Group> = None;
    // Where everybody takes one unit, stock is no more than a limit of the group's size.
    let single = items.iter().all(|item| item.units == 1);
    let max_group =
        if single { frame.max_group.min(frame.units.max(0) as usize) } else { frame.max_group };
    let mut all_cells = 0;
    let shallowest = frame.tiers.get(frame.least_tier)?.min_buyers as usize;
    for (tier, step) in frame.tiers.iter().enumerate().skip(frame.least_tier).rev() {
        let (least, price) = (step.min_buyers as usize, step.price.minor());
        if least > max_group {
            continue;
        }
        let crowd = Crowd::at(items, price);
        if crowd.lost || crowd.paying < least || crowd.bound > max_group {
            continue;
        }
        let floor = best.as_ref().map_or(frame.least_worth, |b| b.worth.max(frame.least_worth));
        if crowd.most(shallowest) < floor {
            // At a shallower tier nobody is worth more.
            break;
        }
        if crowd.most(least) < floor {
            continue;
        }
        let size = crowd.wanted.max(least).min(max_group).min(crowd.paying);
        let (worth, chosen) = best_of_size(items, price, &crowd, size);
        let fits = chosen.iter().map(|&n| items[n].units as i64).sum::<i64>() <= frame.units;
        let group = if fits {
            Some(Group { worth, tier, chosen, cells: 0 })
        } else if worth < floor {
            None
        } else {
            let order = in_order(items, price);
            let Frame { units, cells, .. } = frame;
            let limits = Limits { least, most: frame.max_group, units, cells };
            let units_of = |n: usize| items[n].units as i64;
            let (picked, cells) = knapsack(&order, units_of, crowd.bound, &limits);
            all_cells += cells;
            picked.map(|(worth, mut chosen)| {
                chosen.sort_unstable();
                Group { worth, tier, chosen, cells }
            })
        };
        if let Some(group) = group {
            let better = best.as_ref().is_none_or(|best| {
                (group.worth, group.chosen.len()) >= (best.worth, best.chosen.len())
            });
            if better {
                best = Some(group);
            }
        }
        if fits && crowd.wanted >= least {
            // Reached by those alone who are worth something: nobody is worth more at a shallower
            // tier, and no more may come.
            break;
        }
    }
    best.map(|best| Group { cells: all_cells, ..best })
}

/// All who can pay, in the order of [`rank`].
fn in_order(items: &[Item], price: i64) -> Vec<(i64, usize)> {
    let mut order = Vec::with_capacity(items.len());
    for bound in [true, false] {
        let from = order.len();
        let all = items.iter().enumerate();
        let paying = all.filter(|(_, item)| item.bound_here == bound && item.pays(price));
        order.extend(paying.map(|(n, item)| (item.at(price), n)));
        order[from..].sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    }
    debug_assert!(order.is_sorted_by_key(|&(_, n)| Reverse(rank(&items[n], price, n))));
    order
}

/// Where somebody stands among others, the greatest first: who must be in it, then the greater worth, then
/// the earlier position.
fn rank(item: &Item, price: i64, n: usize) -> u128 {
    // Signed numbers in the order of unsigned ones.
    let worth = item.at(price) as u64 ^ 1 << 63;
    (item.bound_here as u128) << 96 | (worth as u128) << 32 | (u32::MAX - n as u32) as u128
}

/// What `of` says of those items of which it says that they are meant, `most` of them at most.
///
/// Without branches, as [`Crowd::at`].
fn list<T: Copy + Default>(
    items: &[Item],
    most: usize,
    of: impl Fn(usize, &Item) -> (T, bool),
) -> Vec<T> {
    let mut all = vec![T::default(); most + 1];
    let mut count = 0;
    for (n, item) in items.iter().enumerate() {
        let (what, is_meant) = of(n, item);
        all[count] = what;
        count += is_meant as usize;
    }
    all.truncate(count);
    all
}

/// The best `size` of those who can pay, with their worth; positions rise.
fn best_of_size(items: &[Item], price: i64, crowd: &Crowd, size: usize) -> (i64, Vec<usize>) {
    if size == crowd.wanted {
        return (crowd.worth, list(items, size, |n, item| (n, item.is_wanted(price))));
    }
    // Too many, or some who are worth nothing come too.
    let too_many = size < crowd.wanted;
    let is_one = |item: &Item| item.pays(price) & (item.is_wanted(price) == too_many);
    let (few, of, worth) = match too_many {
        true => (size, crowd.wanted, 0),
        false => (size - crowd.wanted, crowd.paying - crowd.wanted, crowd.worth),
    };
    let mut ranks = list(items, of, |n, item| (rank(item, price, n), is_one(item)));
    let last = if few < of { *ranks.select_nth_unstable_by(few - 1, |a, b| b.cmp(a)).1 } else { 0 };
    let chosen = list(items, size, |n, item| {
        let is_best = is_one(item) & (rank(item, price, n) >= last);
        (n, is_best | (!too_many & item.is_wanted(price)))
    });
    let worths = ranks[..few].iter().map(|rank| ((rank >> 32) as u64 ^ 1 << 63) as i64);
    (sum(std::iter::once(worth).chain(worths)), chosen)
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

    /// Every subset, every tier; `bases` are the items' gains at price 0.
    fn brute(items: &[Item], bases: &[i64], frame: Frame<'_>) -> Option<i64> {
        let mut best = None;
        for set in 0u32..1 << items.len() {
            let inside = || (0..items.len()).filter(|n| set >> n & 1 == 1);
            let group: Vec<&Item> = inside().map(|n| &items[n]).collect();
            let all_bound =
                items.iter().enumerate().all(|(n, i)| !i.bound_here || set >> n & 1 == 1);
            let units: i64 = group.iter().map(|i| i.units as i64).sum();
            if !all_bound || group.len() > frame.max_group || units > frame.units {
                continue;
            }
            for tier in &frame.tiers[frame.least_tier..] {
                let price = tier.price.minor();
                let mut gains = inside().map(|n| bases[n] - items[n].quantity as i64 * price);
                if group.len() >= tier.min_buyers as usize && gains.all(|gain| gain >= 0) {
                    let worth =
                        group.iter().map(|i| i.worth - i.quantity as i64 * price).sum::<i64>();
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
                    Item { worth: base + extra, who: n as u32, quantity, units, limit, bound_here }
                }).collect();
            let frame = Frame { least_tier, ..Frame::of(&tiers, max_group, units) };
            let bases: Vec<i64> = raw.iter().map(|item| item.0).collect();
            let found = best_group(&items, frame);
            prop_assert_eq!(found.as_ref().map(|g| g.worth), brute(&items, &bases, frame));
        }
    }
}
