//! The best group of one window where stock binds: a knapsack.
//!
//! Buyers who want as many units as each other come in the order of their worth, so where most want
//! one unit and the others two or three, it is enough to try how many of each come; otherwise a
//! table is made while it is small, and a greedy choice beyond that.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What a group may be.
pub(super) struct Limits {
    /// The least and the most buyers.
    pub least: usize,
    pub most: usize,
    /// The most units.
    pub units: i64,
    /// The most cells of a table.
    pub cells: usize,
}

/// The best group when stock binds, with its worth: exactly while the table is small, else
/// greedily; the cells of the table.
///
/// `order` holds (worth, buyer), those who must be in it (`bound` of them) first, the others by
/// worth; `units` says what a buyer takes.
pub(super) fn knapsack(
    order: &[(i64, usize)],
    units: impl Fn(usize) -> i64,
    bound: usize,
    limits: &Limits,
) -> (Option<(i64, Vec<usize>)>, usize) {
    let quantity = |entry: &(i64, usize)| units(entry.1);
    let fixed_units: i64 = order[..bound].iter().map(quantity).sum();
    let fixed_worth = order[..bound].iter().map(|entry| entry.0);
    let room = limits.units - fixed_units;
    if room < 0 {
        return (None, 0);
    }
    let free = &order[bound..];
    let most = (limits.most - bound).min(free.len());
    let need = limits.least.saturating_sub(bound);
    // Where the stock ends before the group is full, buyers need not be counted beyond `need`.
    let mut quantities: Vec<i64> = free.iter().map(quantity).collect();
    let ends = most == free.len() || {
        let (less, last, _) = quantities.select_nth_unstable(most);
        less.iter().sum::<i64>() + *last > room
    };
    let counts = if ends { need } else { most };
    let cells = free.len().saturating_mul(counts + 1).saturating_mul(room as usize + 1);
    let classes = Classes::of(free, &quantity);
    let combinations = classes.combinations();
    let (picked, cells) = if need > most {
        (None, 0)
    } else if combinations <= MOST_COMBINED {
        (classes.best(free, (need, most), room), COMBINATION_CELLS * combinations)
    } else if cells <= limits.cells {
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

/// What a group is worth. Whoever breaks up another group is worth less by all of that group, so
/// that thousands of them are beyond an `i64`: no group wants that many.
pub(super) fn sum(worths: impl Iterator<Item = i64>) -> i64 {
    worths.fold(0, i64::saturating_add)
}

/// How many cells take as long as a combination of counts.
const COMBINATION_CELLS: usize = 32;
/// Combinations of counts that are tried before a table is made.
const MOST_COMBINED: usize = 256;

/// Buyers by how many units they want, the most worthwhile of each first.
struct Classes {
    /// Units, and positions; the largest class last.
    all: Vec<(i64, Vec<usize>)>,
}

impl Classes {
    /// Of a list in the order of worth.
    fn of(free: &[(i64, usize)], quantity: &impl Fn(&(i64, usize)) -> i64) -> Self {
        let mut all: Vec<(i64, Vec<usize>)> = Vec::new();
        for (n, entry) in free.iter().enumerate() {
            let units = quantity(entry);
            match all.iter_mut().find(|class| class.0 == units) {
                Some(class) => class.1.push(n),
                None => all.push((units, vec![n])),
            }
        }
        all.sort_unstable_by_key(|class| (class.1.len(), class.0));
        Self { all }
    }

    /// How many ways there are to take so many of each class but the largest.
    fn combinations(&self) -> usize {
        let smaller = self.all.split_last().map_or(&[][..], |all| all.1);
        smaller.iter().fold(1, |all, class| all.saturating_mul(class.1.len() + 1))
    }

    /// The best choice of `need` to `most` buyers and at most `room` units: of each class the first.
    fn best(
        &self,
        free: &[(i64, usize)],
        (need, most): (usize, usize),
        room: i64,
    ) -> Option<Vec<usize>> {
        let (main, smaller) = self.all.split_last()?;
        let sums: Vec<Vec<i128>> = self
            .all
            .iter()
            .map(|class| {
                let add = |sum: &mut i128, n: &usize| {
                    *sum += free[*n].0 as i128;
                    Some(*sum)
                };
                std::iter::once(0).chain(class.1.iter().scan(0, add)).collect()
            })
            .collect();
        let wanted = main.1.iter().take_while(|n| free[**n].0 >= 0).count();
        let mut best: Option<(i128, usize)> = None;
        let mut counts = vec![0; self.all.len()];
        let mut chosen = counts.clone();
        loop {
            let (mut units, mut buyers, mut worth) = (0, 0, 0);
            for (n, class) in smaller.iter().enumerate() {
                units += class.0 * counts[n] as i64;
                buyers += counts[n];
                worth += sums[n][counts[n]];
            }
            let fits = units <= room && buyers <= most;
            if fits {
                let least = need.saturating_sub(buyers);
                let fit = match main.0 {
                    0 => usize::MAX,
                    1 => (room - units) as usize,
                    each => ((room - units) / each) as usize,
                };
                let greatest = main.1.len().min(most - buyers).min(fit);
                if least <= greatest {
                    let count = wanted.clamp(least, greatest);
                    let found = (worth + sums[smaller.len()][count], buyers + count);
                    if best.is_none_or(|best| found > best) {
                        counts[smaller.len()] = count;
                        chosen.copy_from_slice(&counts);
                        best = Some(found);
                    }
                }
            }
            // The next combination; where this one is too much, so is more of what it begins with.
            let all = smaller.len();
            let begins = || (0..all).find(|n| counts[*n] > 0);
            let from = if fits { 0 } else { begins().map_or(all, |first| first + 1) };
            let Some(n) = (from..all).find(|n| counts[*n] < smaller[*n].1.len()) else {
                break;
            };
            counts[..n].fill(0);
            counts[n] += 1;
        }
        best?;
        Some(self.all.iter().zip(chosen).flat_map(|(c, n)| c.1[..n].iter().copied()).collect())
    }
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
    // Few are taken of many: no more are put in order than come into question.
    let all = (0..free.len()).filter(|&n| free[n].0 > 0);
    let mut by_density: BinaryHeap<(i128, Reverse<usize>)> =
        all.map(|n| (density(free[n].0, quantity(&free[n])), Reverse(n))).collect();
    let least = free.iter().map(quantity).min().unwrap_or(0);
    let mut picked = Vec::new();
    let mut inside = vec![false; free.len()];
    while picked.len() < most
        && least <= room
        && let Some((_, Reverse(n))) = by_density.pop()
    {
        if quantity(&free[n]) <= room {
            room -= quantity(&free[n]);
            picked.push(n);
            inside[n] = true;
        }
    }
    if picked.len() < need {
        let mut rest: Vec<usize> = (0..free.len()).filter(|&n| !inside[n]).collect();
        rest.sort_unstable_by_key(|&n| (quantity(&free[n]), Reverse(free[n].0), n));
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
    if need < smallest.len() {
        smallest.select_nth_unstable_by_key(need, |&n| (quantity(&free[n]), Reverse(free[n].0), n));
    }
    smallest.truncate(need);
    smallest.sort_unstable_by_key(|&n| (quantity(&free[n]), Reverse(free[n].0), n));
    let used: i64 = picked.iter().map(|&n| quantity(&free[n])).sum();
    let fits = smallest.iter().map(|&n| quantity(&free[n])).sum::<i64>() <= room + used;
    (smallest.len() == need && fits).then_some(smallest)
}

/// What is worth that much is worth in thousandths of a unit.
fn density(worth: i64, quantity: i64) -> i128 {
    let quantity = quantity.max(1);
    match worth.checked_mul(1_000) {
        // A division of 64 bits is several times faster.
        Some(worth) => (worth / quantity) as i128,
        None => worth as i128 * 1_000 / quantity as i128,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

        #[test]
        fn counts_of_classes_find_what_a_table_finds(
            raw in prop::collection::vec((-60i64..200, 0i64..5), 1..14),
            most in 1usize..14, room in 0i64..24, need in 0usize..6,
        ) {
            let mut raw = raw;
            raw.sort_by_key(|entry| std::cmp::Reverse(entry.0));
            let free: Vec<(i64, usize)> = raw.iter().zip(0..).map(|(e, n)| (e.0, n)).collect();
            let quantity = |entry: &(i64, usize)| raw[entry.1].1;
            let most = most.min(free.len());
            prop_assume!(need <= most);
            let worth = |found: Option<Vec<usize>>| {
                let sum = |picked: &Vec<usize>| picked.iter().map(|&n| free[n].0).sum::<i64>();
                found.map(|picked| (sum(&picked), picked.len()))
            };
            let counted = Classes::of(&free, &quantity).best(&free, (need, most), room);
            if let Some(picked) = &counted {
                prop_assert!(picked.iter().map(|&n| raw[n].1).sum::<i64>() <= room);
                prop_assert!((need..=most).contains(&picked.len()));
            }
            let table = exact(&free, &quantity, (most, false), need, room as usize);
            prop_assert_eq!(worth(counted).map(|it| it.0), worth(table).map(|it| it.0));
        }
    }
}
