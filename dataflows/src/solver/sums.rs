//! What one tier of one window is worth at reduced values, kept in constant time.
//!
//! Of all who can pay a tier, the best group holds everybody who is worth something; too many, and
//! the least of them stay out; too few, and others must come in at a loss. The sum of those worth
//! something is kept exactly. What size adds to it, never more than nothing, is exact after a scan
//! and an upper bound after updates: as if who was taken out had left a double behind that is worth
//! nothing, or as little as anybody in the group can be.

use serde::{Deserialize, Serialize};

/// What is kept of a tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TierSum {
    /// The worths above 0 of all who can pay, added up; scaled.
    pub sum: i128,
    /// What the group's size costs against that, at least: 0 or less.
    pub adjust: i128,
    /// No one of the group is worth less than this; of those who are in it only for its size, where
    /// there are any.
    pub worst: i64,
    /// How many are worth something.
    pub positive: u32,
    /// How many can pay.
    pub paying: u32,
}

/// The sizes that a group can have at a tier: from the tier's to the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub least: u32,
    pub most: u32,
}

impl TierSum {
    pub(crate) const EMPTY: Self = Self { sum: 0, adjust: 0, worst: 0, positive: 0, paying: 0 };

    /// The worth of the tier's best group, or more; `None` if the tier cannot be filled.
    #[inline]
    pub(crate) fn bound(&self, sizes: Sizes) -> Option<i64> {
        let fills = self.paying >= sizes.least && sizes.least <= sizes.most;
        // A group's worth fits; only sums over more than a group may not.
        fills.then(|| (self.sum + self.adjust).min(i64::MAX as i128) as i64)
    }

    /// Somebody who can pay comes; whether the bound may now be more than the worth.
    #[inline]
    pub(crate) fn add(&mut self, worth: i64, Sizes { least, most }: Sizes) -> bool {
        let few = self.paying < least;
        self.paying += 1;
        if worth <= 0 {
            // Takes the place of who is worst of those in it for its size, or of nobody.
            let rises = self.positive < least && worth > self.worst;
            if rises {
                self.adjust = (self.adjust + (worth - self.worst) as i128).min(0);
            }
            return rises || few;
        }
        self.sum += worth as i128;
        self.positive += 1;
        if self.positive <= least {
            let last = self.positive == least;
            self.adjust = if last { 0 } else { (self.adjust - self.worst as i128).min(0) };
            // Nobody is in it for its size any more: all are worth something.
            self.worst = if last { 0 } else { self.worst };
            !last
        } else if self.positive <= most {
            self.worst = self.worst.min(worth);
            false
        } else {
            self.adjust -= worth.min(self.worst) as i128;
            true
        }
    }

    /// Somebody who could pay goes; whether the bound may now be more than the worth.
    #[inline]
    pub(crate) fn remove(&mut self, worth: i64, Sizes { least, most }: Sizes) -> bool {
        self.paying -= 1;
        if worth <= 0 {
            return self.positive < least && worth >= self.worst;
        }
        self.sum -= worth as i128;
        self.positive -= 1;
        if self.positive >= most {
            // Whoever takes the place is worth no more, and may be worth next to nothing.
            self.adjust =
                if self.positive == most { 0 } else { (self.adjust + worth as i128).min(0) };
            self.worst = 0;
            return true;
        }
        if self.positive >= least {
            self.adjust = 0;
            return false;
        }
        if self.positive + 1 == least {
            (self.adjust, self.worst) = (0, 0);
        }
        true
    }

    /// By how much the tier's group is worth more with somebody at `free` than at `worth`.
    #[inline]
    pub(crate) fn lift(&self, free: i64, worth: i64, Sizes { least, most }: Sizes) -> i64 {
        if self.positive < least || self.positive >= most {
            (free - worth.max(self.worst)).max(0)
        } else {
            free.max(0) - worth.max(0)
        }
    }
}

/// The tier's sum over all these worths, exactly; their order is lost.
///
/// **Cost** O(n).
pub(crate) fn scan(worths: &mut [i64], Sizes { least, most }: Sizes) -> TierSum {
    let (mut sum, mut positive) = (0i128, 0u32);
    for &worth in worths.iter().filter(|worth| **worth > 0) {
        sum += worth as i128;
        positive += 1;
    }
    let paying = worths.len() as u32;
    let mut whole = TierSum { sum, adjust: 0, worst: 0, positive, paying };
    if positive < least && paying >= least {
        let place = least as usize - 1;
        worths.select_nth_unstable_by(place, |a, b| b.cmp(a));
        whole.worst = worths[place];
        let group: i128 = worths[..=place].iter().map(|worth| *worth as i128).sum();
        whole.adjust = group - sum;
    } else if positive < least {
        // Too few to fill it: whoever comes next is in, and whoever is there stays.
        whole.worst = worths.iter().copied().min().unwrap_or(0).min(0);
        whole.adjust = worths.iter().map(|worth| (*worth).min(0) as i128).sum();
    } else if positive > most && most > 0 {
        let place = most as usize - 1;
        worths.select_nth_unstable_by(place, |a, b| b.cmp(a));
        whole.worst = worths[place];
        let group: i128 = worths[..=place].iter().map(|worth| *worth as i128).sum();
        whole.adjust = group - sum;
    } else if positive >= least {
        whole.worst = worths.iter().copied().filter(|worth| *worth > 0).min().unwrap_or(0);
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::solver::tests::{Dice, Seed, for_each_seed};

    /// The best group's worth, by sorting; `None` if none can be.
    fn best(worths: &[i64], Sizes { least, most }: Sizes) -> Option<i128> {
        let mut sorted = worths.to_vec();
        sorted.sort_unstable_by(|a, b| b.cmp(a));
        let mut sum = 0i128;
        let sums = (1..).zip(&sorted).map(|(count, worth)| {
            sum += *worth as i128;
            (count, sum)
        });
        let none = (least == 0 && least <= most).then_some(0);
        let some = sums.filter(|(count, _)| (least..=most).contains(count)).map(|s| s.1);
        some.chain(none).max()
    }

    /// Holds what is kept against all who can pay; `exact` where no update has loosened it.
    fn hold(kept: &TierSum, worths: &[i64], sizes: Sizes, exact: bool) {
        let positive = worths.iter().filter(|worth| **worth > 0);
        assert_eq!(kept.sum, positive.clone().map(|worth| *worth as i128).sum::<i128>());
        assert_eq!(kept.positive as usize, positive.count());
        assert_eq!(kept.paying as usize, worths.len());
        let (bound, best) = (kept.bound(sizes).map(i128::from), best(worths, sizes));
        assert_eq!(bound.is_some(), best.is_some());
        let Some((bound, best)) = bound.zip(best) else { return };
        let most = i64::MAX as i128;
        assert!(bound >= best.min(most), "{kept:?} {sizes:?}: bound {bound} < {best}");
        assert!(!exact || bound == best.min(most), "{kept:?} {sizes:?}: {bound}, not {best}");
    }

    fn worth(dice: &mut Dice, scale: i64) -> i64 {
        match dice.roll(0, 19) {
            0 => 0,
            1 => scale,
            2 => -scale,
            3 => dice.roll(-1, 1),
            _ => dice.roll(-scale, scale),
        }
    }

    /// Adds and removes at random; now and then everything is scanned.
    fn changing(seed: u64) {
        let _seed = Seed(seed);
        let dice = &mut Dice(seed);
        let least = dice.roll(1, 6);
        let most = (least + dice.roll(-1, 6) * dice.roll(0, 1)) as u32;
        let sizes = Sizes { least: least as u32, most };
        let scale = [3, 100, 1 << 20, 1 << 48][dice.roll(0, 3) as usize];
        let mut worths: Vec<i64> = Vec::new();
        let (mut kept, mut exact) = (TierSum::EMPTY, true);
        for _ in 0..dice.roll(1, 120) {
            let loosens = if worths.is_empty() || dice.roll(0, 99) < 55 {
                let worth = worth(dice, scale);
                worths.push(worth);
                kept.add(worth, sizes)
            } else {
                let n = dice.roll(0, worths.len() as i64 - 1) as usize;
                kept.remove(worths.swap_remove(n), sizes)
            };
            exact &= !loosens;
            hold(&kept, &worths, sizes, exact);
            if dice.roll(0, 9) == 0 {
                (kept, exact) = (scan(&mut worths, sizes), true);
                hold(&kept, &worths, sizes, true);
            }
        }
    }

    #[test]
    fn a_changing_sum_is_never_less_than_the_best_group() {
        for_each_seed(5_000, changing);
    }

    /// A window's candidates at extreme worths, through scans and updates: nothing overflows.
    #[test]
    fn sums_of_extreme_worths_are_exact() {
        let most = 1i64 << 48;
        for (sizes, worth) in [
            (Sizes { least: 1, most: 10_000 }, [most, most]),
            (Sizes { least: 10_000, most: 10_000 }, [-most, -most]),
            (Sizes { least: 10_000, most: 10_000 }, [most, -most]),
            (Sizes { least: 9_000, most: 20_000 }, [-most, most - 1]),
            (Sizes { least: 20_000, most: 30_000 }, [most, -most]),
        ] {
            let mut worths: Vec<i64> = (0..20_000).map(|n| worth[n % 2]).collect();
            let mut kept = TierSum::EMPTY;
            for (n, worth) in worths.iter().enumerate() {
                kept.add(*worth, sizes);
                if n % 4_999 == 0 {
                    hold(&kept, &worths[..=n], sizes, false);
                }
            }
            hold(&kept, &worths, sizes, false);
            kept = scan(&mut worths, sizes);
            hold(&kept, &worths, sizes, true);
            while worths.len() > 10 {
                kept.remove(worths.swap_remove(worths.len() / 3), sizes);
                if worths.len().is_multiple_of(4_999) {
                    hold(&kept, &worths, sizes, false);
                }
            }
            hold(&kept, &worths, sizes, false);
        }
    }
}
