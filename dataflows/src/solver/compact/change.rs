//! How the windows of a grouping change, and change back.

use super::Window;
use super::plan::{FREE, Plan};

/// What a window was.
#[derive(Debug, Clone)]
pub(crate) struct Was {
    window: u32,
    group: Before,
    turn: u32,
}

/// What a window's group was before a change.
#[derive(Debug, Clone)]
enum Before {
    /// These.
    Of(Vec<u32>),
    /// What it was after, without that candidate, and at the same tier.
    Without(u32),
}

impl Plan<'_> {
    /// Where changes can be taken back to.
    pub(crate) fn mark(&self) -> usize {
        self.log.len()
    }

    /// Forgets how to take changes back.
    pub(crate) fn keep(&mut self) {
        self.log.clear();
    }

    /// Takes back all changes since the mark.
    pub(crate) fn roll_back(&mut self, mark: usize) {
        let mut back: Vec<u32> = Vec::new();
        if cfg!(debug_assertions) {
            back.extend(self.changed(mark));
        }
        self.undo(mark);
        debug_assert!(back.into_iter().all(|w| self.is_summed(w)));
        // A member may have been freed by the undoing of another window: windows say who is where.
        debug_assert!(self.is_sound());
    }

    /// The same, and nothing is looked through in debug builds.
    pub(super) fn undo(&mut self, mark: usize) {
        while self.log.len() > mark {
            let Was { window, group, turn } = self.log.pop().expect("longer");
            // Whoever is elsewhere by now leaves there when that window's turn comes.
            match group {
                Before::Of(members) => drop(self.put(window, members)),
                Before::Without(n) => self.count_one(window, n, false),
            }
            self.turn[window as usize] = turn;
        }
    }

    /// Windows changed since the mark.
    pub(crate) fn changed(&self, mark: usize) -> impl Iterator<Item = u32> + '_ {
        self.log[mark..].iter().map(|was| was.window)
    }

    /// Replaces a window's group; its new members are free or in it.
    pub(crate) fn set(&mut self, w: u32, members: Vec<u32>) {
        let before = Before::Of(self.put(w, members));
        self.note(w, before);
    }

    /// Seats a candidate of the window there too, who is free.
    ///
    /// **Cost** constant, but for the place in a list, where the group's tier stays.
    pub(crate) fn join(&mut self, w: u32, n: u32) {
        let size = self.members[w as usize].len() + 1;
        if size > 1 && self.reached(w, size).unwrap_or(0) == self.tier[w as usize] as usize {
            self.count_one(w, n, true);
            return self.note(w, Before::Without(n));
        }
        let mut members = Vec::with_capacity(size);
        members.extend_from_slice(&self.members[w as usize]);
        members.insert(members.partition_point(|m| *m < n), n);
        self.set(w, members);
    }

    /// The window's group is another one, and was that.
    fn note(&mut self, w: u32, group: Before) {
        self.log.push(Was { window: w, group, turn: self.turn[w as usize] });
        self.turns = self.turns.wrapping_add(1);
        self.turn[w as usize] = self.turns;
    }

    /// One candidate comes to a window's group, or goes, and its tier stays.
    fn count_one(&mut self, w: u32, n: u32, comes: bool) {
        let (at, c) = (w as usize, *self.cand(n));
        let Window { slot, offer, .. } = self.part.windows[at];
        let price = self.pays[at].0;
        let members = &mut self.members[at];
        let place = members.partition_point(|m| *m < n);
        let one = if comes {
            members.insert(place, n);
            (self.home[c.intent as usize], self.seat[c.intent as usize]) = (w, n);
            1
        } else {
            members.remove(place);
            if self.home[c.intent as usize] == w {
                self.home[c.intent as usize] = FREE;
            }
            -1
        };
        let size = members.len() as u32;
        self.used[offer as usize] += one * c.quantity as i64;
        let gained = one * c.at(price);
        self.worth[at] += gained;
        self.total.value += gained;
        self.total.buyers += one;
        self.total.earlier -= one * slot.0 as i64;
        self.total.nearer -= one * c.distance_m as i64;
        let tier = self.tier[at] as usize;
        self.pays[at].1 =
            size.saturating_sub(self.part.offers[offer as usize].tiers[tier].min_buyers);
    }

    fn put(&mut self, w: u32, members: Vec<u32>) -> Vec<u32> {
        debug_assert!(members.is_sorted());
        let at = w as usize;
        let slot = self.part.windows[at].slot.0 as i64;
        let offer = self.part.windows[at].offer as usize;
        let old = std::mem::replace(&mut self.members[at], members);
        for &n in &old {
            let c = self.cand(n);
            if self.home[c.intent as usize] == w {
                self.home[c.intent as usize] = FREE;
            }
            self.used[offer] -= c.quantity as i64;
            self.total.nearer += c.distance_m as i64;
        }
        let size = self.members[at].len();
        self.total.buyers += size as i64 - old.len() as i64;
        self.total.earlier -= slot * (size as i64 - old.len() as i64);
        let tier = self.reached(w, size).unwrap_or(0);
        let price = self.price(w, tier);
        let mut worth = 0;
        for k in 0..size {
            let c = self.cand(self.members[at][k]);
            self.home[c.intent as usize] = w;
            self.seat[c.intent as usize] = self.members[at][k];
            self.used[offer] += c.quantity as i64;
            self.total.nearer -= c.distance_m as i64;
            worth += c.at(price);
        }
        self.total.value += worth - self.worth[at];
        self.worth[at] = worth;
        self.tier[at] = tier as u8;
        let least = self.part.offers[offer].tiers[tier].min_buyers;
        self.pays[at] = (price, (size as u32).saturating_sub(least));
        old
    }
}
