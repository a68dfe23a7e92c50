//! The optimum of a small market, exactly: by the best value of every set of buyers.
//!
//! Shares nothing with the solver, and works for more windows than can be tried one by one: window
//! by window, then store by store, it keeps what each set of intents is worth at most.

use super::reference::World;
use super::{FIRST, SLOTS};
use crate::market::{IntentId, Slot, StoreId};
use std::collections::BTreeSet;

/// The most intents whose sets are counted.
const MOST_INTENTS: usize = 14;
/// A set that cannot be.
const NONE: i64 = i64::MIN;

impl World {
    /// The greatest value of any grouping that seats everybody in `must` and nobody in `released`;
    /// `None` if none does.
    ///
    /// **Cost** 3^intents for every window that can open.
    pub(super) fn best(
        &self,
        released: &BTreeSet<IntentId>,
        must: &BTreeSet<IntentId>,
    ) -> Option<i64> {
        let ids: Vec<&IntentId> =
            self.intents.keys().filter(|id| !released.contains(*id)).collect();
        assert!(ids.len() <= MOST_INTENTS);
        let mut seated = 0;
        for id in must {
            seated |= 1 << ids.iter().position(|other| *other == id)?;
        }
        let mut best = nobody(ids.len());
        for (store, placed) in &self.offers {
            let units = |set: usize| -> i64 {
                let members = (0..ids.len()).filter(|n| set >> n & 1 == 1);
                members.map(|n| self.intents[ids[n]].quantity as i64).sum()
            };
            let mut here = nobody(ids.len());
            for slot in (FIRST..FIRST + SLOTS).map(Slot) {
                let groups = self.groups(&ids, store, slot);
                here = both(&here, &groups);
            }
            for (set, worth) in here.iter_mut().enumerate().skip(1) {
                if units(set) > placed.stock {
                    *worth = NONE;
                }
            }
            best = both(&best, &here);
        }
        let all = best.iter().enumerate().filter(|(set, _)| set & seated == seated);
        all.map(|(_, worth)| *worth).filter(|worth| *worth != NONE).max()
    }

    /// What each set of intents is worth as the group of that window.
    fn groups(&self, ids: &[&IntentId], store: &StoreId, slot: Slot) -> Vec<i64> {
        let placed = &self.offers[store];
        let most = placed.offer.max_group as usize;
        let mut worths = nobody(ids.len());
        for buyers in 1..=ids.len().min(most) {
            // What each of a group of so many is worth; the sets of that size from those who fit.
            let own: Vec<Option<i64>> =
                ids.iter().map(|id| self.worth(id, store, slot, buyers)).collect();
            for (set, worth) in worths.iter_mut().enumerate() {
                if set.count_ones() as usize == buyers {
                    let members = (0..ids.len()).filter(|n| set >> n & 1 == 1);
                    *worth = members.map(|n| own[n]).sum::<Option<i64>>().unwrap_or(NONE);
                }
            }
        }
        worths
    }
}

/// Nothing but the empty set.
fn nobody(intents: usize) -> Vec<i64> {
    let mut worths = vec![NONE; 1 << intents];
    worths[0] = 0;
    worths
}

/// What each set is worth at most, split between two.
fn both(one: &[i64], other: &[i64]) -> Vec<i64> {
    let mut best = one.to_vec();
    let all = one.len() - 1;
    for (set, worth) in other.iter().enumerate().skip(1).filter(|(_, worth)| **worth != NONE) {
        let others = all & !set;
        let mut rest = others;
        loop {
            if one[rest] != NONE {
                best[set | rest] = best[set | rest].max(one[rest] + worth);
            }
            if rest == 0 {
                break;
            }
            rest = (rest - 1) & others;
        }
    }
    best
}
