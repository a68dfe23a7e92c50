//! The moves that change a grouping: windows open, close, take buyers from others and fill up.

use super::plan::{Broken, FREE, Plan};
use crate::solver::plan::Gain;
use std::cmp::Reverse;

impl Plan<'_> {
    /// Seats the group, whoever its members are with now; `freed` gets whoever is in no window
    /// for it.
    pub(crate) fn open(
        &mut self,
        w: u32,
        group: Vec<u32>,
        freed: &mut Vec<u32>,
    ) -> Result<(), Broken> {
        let robbed = self.robbed_by(w, &group);
        // Marks the group's members first, so that each robbed window is set once.
        for &from in &robbed {
            let rest: Vec<u32> = self.members[from as usize]
                .iter()
                .copied()
                .filter(|n| {
                    let i = self.cand(*n).intent;
                    !group.iter().any(|&g| self.cand(g).intent == i)
                })
                .collect();
            self.set(from, rest);
        }
        let old = self.members[w as usize].clone();
        self.set(w, group);
        freed.extend(
            old.iter().map(|&n| self.cand(n).intent).filter(|&i| self.home[i as usize] == FREE),
        );
        for from in robbed {
            self.settle(from, freed)?;
        }
        self.settle(w, freed)
    }

    /// The other windows that members of the group are in.
    fn robbed_by(&self, w: u32, group: &[u32]) -> Vec<u32> {
        let mut robbed: Vec<u32> = Vec::new();
        for &n in group {
            let home = self.home[self.cand(n).intent as usize];
            if home != FREE && home != w && !robbed.contains(&home) {
                robbed.push(home);
            }
        }
        robbed
    }

    /// Empties the window; `freed` gets who was in it.
    pub(crate) fn close(&mut self, w: u32, freed: &mut Vec<u32>) {
        freed.extend(self.members[w as usize].iter().map(|&n| self.cand(n).intent));
        self.set(w, Vec::new());
    }

    /// Sends away who cannot pay what the group's size earns.
    pub(super) fn settle(&mut self, w: u32, freed: &mut Vec<u32>) -> Result<(), Broken> {
        let mut members = self.members[w as usize].clone();
        let before = members.len();
        loop {
            if members.is_empty() {
                break;
            }
            let Some(tier) = self.reached(w, members.len()) else {
                if members.iter().any(|&n| self.cand(n).bound_here) {
                    return Err(Broken);
                }
                freed.extend(members.drain(..).map(|n| self.cand(n).intent));
                break;
            };
            let price = self.price(w, tier);
            if members.iter().all(|&n| self.cand(n).pays(price)) {
                break;
            }
            let poor = |n: &u32| !self.cand(*n).pays(price);
            if members.iter().any(|n| poor(n) && self.cand(*n).bound_here) {
                return Err(Broken);
            }
            freed.extend(members.iter().filter(|n| poor(n)).map(|&n| self.cand(n).intent));
            members.retain(|n| !poor(n));
        }
        if members.len() != before {
            self.set(w, members);
        }
        Ok(())
    }

    /// Puts a free intent into the open window where it adds most, at least nothing.
    pub(crate) fn fill(&mut self, i: u32) -> bool {
        if self.home[i as usize] != FREE {
            return false;
        }
        let mut best: Option<(Gain, u32, u32)> = None;
        for &(w, n) in &self.part.places[i as usize] {
            let size = self.members[w as usize].len();
            let offer = self.part.windows[w as usize].offer as usize;
            let c = self.cand(n);
            if size == 0
                || size >= self.part.offers[offer].cap
                || self.used[offer] + c.quantity as i64 > self.part.offers[offer].stock
            {
                continue;
            }
            let Some(tier) = self.reached(w, size + 1) else { continue };
            let price = self.price(w, tier);
            if !c.pays(price) {
                continue;
            }
            let mut value = c.at(price);
            if tier != self.tier[w as usize] as usize {
                let others = self.members[w as usize].iter();
                value += others.map(|&m| self.cand(m).at(price)).sum::<i64>();
                value -= self.worth[w as usize];
            }
            let gain = Gain {
                value,
                buyers: 1,
                earlier: -(self.part.windows[w as usize].slot.0 as i64),
                nearer: -(c.distance_m as i64),
            };
            if value >= 0 && best.as_ref().is_none_or(|b| gain > b.0) {
                best = Some((gain, w, n));
            }
        }
        let Some((_, w, n)) = best else { return false };
        self.join(w, n);
        true
    }

    /// Tries the best group of the window against whatever its buyers do now; keeps it if that
    /// gains. `disturbed` gets the windows that it touched.
    pub(crate) fn reopen(&mut self, w: u32, disturbed: &mut Vec<u32>) -> bool {
        let before = self.worth[w as usize];
        let size = self.members[w as usize].len();
        self.list_at_loss(w);
        // The best group may take more buyers of a window than that can spare.
        for again in [false, true] {
            let Some((worth, group)) = self.best(w, 0, before.max(0)) else { return false };
            if worth < 0 || (worth, group.len()) <= (before, size) {
                return false;
            }
            let kept = group.clone();
            if self.seat_gaining(w, group, disturbed) {
                return true;
            }
            if again || !self.spare(w, &kept) {
                return false;
            }
        }
        false
    }

    /// Seats the group, and whoever it sets free, if that gains; otherwise changes nothing.
    fn seat_gaining(&mut self, w: u32, group: Vec<u32>, disturbed: &mut Vec<u32>) -> bool {
        let (mark, total) = (self.mark(), self.total);
        let mut freed = Vec::new();
        let sound = self.open(w, group, &mut freed).is_ok();
        if sound {
            freed.sort_unstable();
            for &i in &freed {
                self.fill(i);
            }
            if self.total > total {
                disturbed.extend(self.changed(mark));
                for &i in freed.iter().filter(|&&i| self.home[i as usize] == FREE) {
                    disturbed.extend(self.part.places[i as usize].iter().map(|p| p.0));
                }
                return true;
            }
        }
        self.roll_back(mark);
        false
    }

    /// Of those listed, leaves to other windows whom their tiers need, where the group takes more
    /// than they can spare: each buyer's loss is counted as if the others stayed. False if it does
    /// not.
    fn spare(&mut self, w: u32, group: &[u32]) -> bool {
        let mut any = false;
        for home in self.robbed_by(w, group) {
            let of = |plan: &Self, n: u32| plan.home[plan.cand(n).intent as usize] == home;
            let mut taken: Vec<u32> = group.iter().copied().filter(|&n| of(self, n)).collect();
            let tier = self.tier[home as usize] as usize;
            let least = self.part.offer_of(home).tiers[tier].min_buyers as usize;
            let spared = self.members[home as usize].len() - least;
            if (1..taken.len()).contains(&spared) {
                taken.sort_by_cached_key(|&n| {
                    let c = self.cand(n);
                    (Reverse(c.base - self.loss(c.intent).unwrap_or(0)), n)
                });
                taken.truncate(spared);
                self.unlist(|plan, n| of(plan, n) && !taken.contains(&n));
                any = true;
            }
        }
        any
    }

    /// Improves the listed windows and those that they disturb, `passes` times at most.
    pub(crate) fn improve(&mut self, mut list: Vec<u32>, passes: usize) {
        for _ in 0..passes {
            list.sort_unstable();
            list.dedup();
            let mut disturbed = Vec::new();
            for w in list {
                self.reopen(w, &mut disturbed);
            }
            if disturbed.is_empty() {
                return;
            }
            list = disturbed;
        }
    }
}
