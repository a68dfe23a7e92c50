//! Two groupings of a part, merged region by region.
//!
//! Where two groupings differ, windows that share a buyer or a scarce stock belong together, in a
//! region. Regions do not touch each other, so each can come from whichever grouping does better
//! there: of two groupings that differ in many places the merged one is better than both. A search
//! of a great part needs this: it rarely is at its best everywhere at once.

use super::plan::{FREE, Plan};
use crate::solver::plan::Gain;

/// Windows joined to regions: of each window another of its region, or itself.
struct Regions(Vec<u32>);

impl Regions {
    /// The window that stands for the region.
    fn find(&mut self, mut w: u32) -> u32 {
        while self.0[w as usize] != w {
            let next = self.0[self.0[w as usize] as usize];
            self.0[w as usize] = next;
            w = next;
        }
        w
    }

    fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.find(a), self.find(b));
        self.0[a.max(b) as usize] = a.min(b);
    }
}

impl Plan<'_> {
    /// Takes over what another grouping does better, region by region.
    ///
    /// **Cost** the members of the windows that differ, and the windows of the part.
    pub(crate) fn merge(&mut self, other: &[Vec<u32>]) {
        self.merge_among((0..other.len() as u32).collect(), other);
    }

    /// The same where only those windows can differ.
    pub(crate) fn merge_among(&mut self, mut differ: Vec<u32>, other: &[Vec<u32>]) {
        differ.sort_unstable();
        differ.dedup();
        differ.retain(|&w| self.members[w as usize] != other[w as usize]);
        if differ.is_empty() {
            return;
        }
        let mut regions = self.regions(&differ, other);
        let mut gains = vec![Gain::default(); other.len()];
        for &w in &differ {
            let gain = self.gain_of(w, &other[w as usize]);
            let own = self.gain_of(w, &self.members[w as usize]);
            let sum = &mut gains[regions.find(w) as usize];
            *sum = sum.plus(gain).less(own);
        }
        let taken: Vec<u32> = differ
            .into_iter()
            .filter(|&w| gains[regions.find(w) as usize] > Gain::default())
            .collect();
        for &w in &taken {
            self.set(w, Vec::new());
        }
        for &w in &taken {
            self.set(w, other[w as usize].clone());
        }
        self.keep();
    }

    /// Joins what differs: by buyers who are elsewhere in the other grouping, and by scarce stock.
    fn regions(&self, differ: &[u32], other: &[Vec<u32>]) -> Regions {
        let mut regions = Regions((0..other.len() as u32).collect());
        let mut scarce: Vec<Option<u32>> = vec![None; self.part.offers.len()];
        for &w in differ {
            for &n in &other[w as usize] {
                let home = self.home[self.cand(n).intent as usize];
                if home != FREE && home != w {
                    regions.join(w, home);
                }
            }
            let offer = self.part.windows[w as usize].offer as usize;
            if self.part.offers[offer].scarce {
                let first = *scarce[offer].get_or_insert(w);
                regions.join(w, first);
            }
        }
        regions
    }

    /// What a group in the window is worth.
    fn gain_of(&self, w: u32, group: &[u32]) -> Gain {
        let tier = self.reached(w, group.len()).unwrap_or(0);
        let price = self.price(w, tier);
        let slot = self.part.windows[w as usize].slot.0 as i64;
        let each = group.iter().map(|&n| {
            let c = self.cand(n);
            let nearer = -(c.distance_m as i64);
            Gain { value: c.at(price), buyers: 1, earlier: -slot, nearer }
        });
        each.fold(Gain::default(), Gain::plus)
    }
}
