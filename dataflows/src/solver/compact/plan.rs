//! A grouping of a part, and the moves that change it.
//!
//! **Invariant** `home` and `members` mirror each other; the sums are those of the members. Every
//! change of a window goes through [`Plan::set`] or [`Plan::join`], which keep the sums and note what was there.

use super::change::Was;
use super::dual::Demand;
use super::loss::Rest;
use super::{Cand, Compact, Window};
use crate::solver::group::{Frame, Group, Item, best_group};
use crate::solver::plan::{Gain, NO_LOSS};
use smallvec::SmallVec;

/// Cells of a knapsack's table that are worth their while for a window on trial.
const CELLS: usize = 1 << 14;

/// Cells that take as long as looking at a candidate.
const CELLS_A_STEP: u64 = 4;

/// In no window.
pub(crate) const FREE: u32 = u32::MAX;

/// A promise would be broken (R8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken;

/// A grouping cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Impossible;

/// The grouping.
#[derive(Debug, Clone)]
pub(crate) struct Plan<'a> {
    pub part: &'a Compact,
    /// By intent: its window.
    pub home: Vec<u32>,
    /// By intent in a window: its candidate there.
    pub(super) seat: Vec<u32>,
    /// By window: its candidates' places, rising.
    pub members: Vec<Vec<u32>>,
    /// By window: the tier that its group reaches.
    pub tier: Vec<u8>,
    /// By window: its group's part of the objective.
    pub worth: Vec<i64>,
    /// By window: what its group pays, and how many it has beyond what that tier asks for.
    pub pays: Vec<(i64, u32)>,
    /// By window: what group it has, of all that it has had; taken back, it has its number again.
    pub(super) turn: Vec<u32>,
    pub(super) turns: u32,
    /// By offer: units in its windows.
    pub used: Vec<i64>,
    /// The objective and its ties.
    pub total: Gain,
    /// By intent: what its leaving costs, and the group's number that this holds for.
    pub(super) losses: Vec<(u32, i64)>,
    /// By window: what its group is without those who cannot pay a price, and the group's number.
    pub(super) rests: Vec<(u32, SmallVec<[Rest; 1]>)>,
    /// What windows were, latest last.
    pub(super) log: Vec<Was>,
    /// Candidates looked at so far.
    pub work: u64,
    items: Vec<Item>,
    /// By window: its link in a chain that is looked for, and that chain's number.
    pub links: Vec<(u32, u32)>,
    pub chains: u32,
}

impl<'a> Plan<'a> {
    pub(crate) fn empty(part: &'a Compact) -> Self {
        let windows = part.windows.len();
        Self {
            part,
            home: vec![FREE; part.intents.len()],
            seat: vec![FREE; part.intents.len()],
            members: vec![Vec::new(); windows],
            tier: vec![0; windows],
            worth: vec![0; windows],
            pays: vec![(0, 0); windows],
            turn: vec![0; windows],
            turns: 0,
            used: vec![0; part.offers.len()],
            total: Gain::default(),
            losses: vec![(0, NO_LOSS); part.intents.len()],
            rests: vec![(0, SmallVec::new()); windows],
            log: Vec::new(),
            work: 0,
            items: Vec::new(),
            links: vec![(0, 0); windows],
            chains: 0,
        }
    }

    pub(crate) fn cand(&self, n: u32) -> &'a Cand {
        &self.part.cands[n as usize]
    }

    pub(crate) fn price(&self, w: u32, tier: usize) -> i64 {
        self.part.offer_of(w).tiers[tier].price.minor()
    }

    /// The tier that a group of that size reaches.
    pub(crate) fn reached(&self, w: u32, size: usize) -> Option<usize> {
        let tiers = &self.part.offer_of(w).tiers;
        tiers.iter().take_while(|t| t.min_buyers as usize <= size).count().checked_sub(1)
    }

    pub(crate) fn is_open(&self, w: u32) -> bool {
        !self.members[w as usize].is_empty()
    }

    /// Whether a buyer in it accepted it (R8).
    pub(crate) fn is_held(&self, w: u32) -> bool {
        self.members[w as usize].iter().any(|&n| self.cand(n).bound_here)
    }

    /// Who accepted the window that they are in, with it.
    pub(crate) fn held(&self) -> Vec<(u32, u32)> {
        let all =
            self.members.iter().zip(0..).flat_map(|(group, w)| group.iter().map(move |n| (*n, w)));
        let bound = all.filter(|(n, _)| self.cand(*n).bound_here);
        bound.map(|(n, w)| (self.cand(n).intent, w)).collect()
    }

    pub(super) fn is_sound(&self) -> bool {
        let mirrored = |w: usize| {
            self.members[w].iter().all(|&n| self.home[self.cand(n).intent as usize] == w as u32)
        };
        let seated = self.home.iter().filter(|h| **h != FREE).count();
        (0..self.members.len()).all(mirrored)
            && self.total.value == self.worth.iter().sum::<i64>()
            && seated == self.members.iter().map(Vec::len).sum::<usize>()
    }

    /// Whether the window's tier and worth are those of its group.
    pub(super) fn is_summed(&self, w: u32) -> bool {
        let at = w as usize;
        let tier = self.reached(w, self.members[at].len()).unwrap_or(0);
        let price = self.price(w, tier);
        let worth: i64 = self.members[at].iter().map(|&n| self.cand(n).at(price)).sum();
        (self.tier[at] as usize, self.worth[at], self.pays[at].0) == (tier, worth, price)
    }

    /// Whether every group that has changed since the mark reaches a tier that its members pay.
    pub(crate) fn is_paid_for(&self, mark: usize) -> bool {
        self.changed(mark).all(|w| {
            let group = &self.members[w as usize];
            let price = self.reached(w, group.len()).map(|tier| self.price(w, tier));
            group.iter().all(|&n| price.is_some_and(|price| self.cand(n).pays(price)))
        })
    }

    /// Units that the window's group may use.
    pub(crate) fn room(&self, w: u32) -> i64 {
        let offer = self.part.windows[w as usize].offer as usize;
        let mine: i64 =
            self.members[w as usize].iter().map(|&n| self.cand(n).quantity as i64).sum();
        self.part.offers[offer].stock - (self.used[offer] - mine)
    }

    /// Lists in `items` who could be in the window, each at what `cost` says of the window that the
    /// buyer would leave (this one, if none); those without a cost cannot be had.
    fn list(&mut self, w: u32, mut cost: impl FnMut(&mut Self, u32, &Cand) -> Option<i64>) {
        let mut items = std::mem::take(&mut self.items);
        items.clear();
        let Window { offer, first, end, .. } = self.part.windows[w as usize];
        self.work += (end - first) as u64;
        for (who, c) in (first..).zip(self.part.cands_of(w)) {
            if self.part.away[c.intent as usize] {
                continue;
            }
            let home = self.home[c.intent as usize];
            let here = home == w || home == FREE;
            let Some(cost) = cost(self, if here { w } else { home }, c) else { continue };
            let quantity = c.quantity as u32;
            // Who is in another window of the offer takes no more of its stock.
            let beside = !here && self.part.windows[home as usize].offer == offer;
            let units = if beside { 0 } else { quantity };
            let Cand { limit, bound_here, .. } = *c;
            items.push(Item { worth: c.base - cost, who, quantity, units, limit, bound_here });
        }
        self.items = items;
    }

    /// Takes those off the list.
    pub(crate) fn unlist(&mut self, whom: impl Fn(&Self, u32) -> bool) {
        let mut items = std::mem::take(&mut self.items);
        items.retain(|item| !whom(self, item.who));
        self.items = items;
    }

    /// The best group of the window among those listed, if it is worth so much.
    pub(crate) fn best(
        &mut self,
        w: u32,
        least_tier: usize,
        least_worth: i64,
    ) -> Option<(i64, Vec<u32>)> {
        let cap = self.part.offer_of(w).cap;
        self.best_within(w, least_tier, least_worth, cap)
    }

    /// The same of no more than so many buyers.
    fn best_within(
        &mut self,
        w: u32,
        least_tier: usize,
        least_worth: i64,
        cap: usize,
    ) -> Option<(i64, Vec<u32>)> {
        let offer = self.part.offer_of(w);
        if self.items.len() < offer.tiers[least_tier].min_buyers as usize {
            return None;
        }
        let frame = Frame::of(&offer.tiers, cap, self.room(w));
        let frame = Frame { least_tier, cells: CELLS, least_worth, ..frame };
        let Group { worth, chosen, cells, .. } = best_group(&self.items, frame)?;
        self.work += cells as u64 / CELLS_A_STEP;
        Some((worth, chosen.iter().map(|&k| self.items[k].who).collect()))
    }

    /// Lists who could be in the window, each at what the objective loses where the buyer is.
    pub(crate) fn list_at_loss(&mut self, w: u32) {
        self.list(w, |plan, home, c| if home == w { Some(0) } else { plan.loss(c.intent) });
    }

    /// Lists who could be in the window and is in no other, at what they cost.
    pub(crate) fn list_free(&mut self, w: u32, cost: impl Fn(u32) -> i64) {
        self.list(w, |_, home, c| (home == w).then(|| cost(c.intent)));
    }

    /// The best group of the window at tier `least_tier` or deeper if every buyer costs `costs`;
    /// no greater than that tier asks for if it is `just` to reach it.
    pub(crate) fn guided_group(
        &mut self,
        w: u32,
        (least_tier, just): (usize, bool),
        costs: impl Fn(u32) -> i64,
    ) -> Option<(i64, Vec<u32>)> {
        self.list(w, |plan, home, c| {
            let stuck = home != w && plan.seat_of(c.intent).is_none();
            (!stuck).then(|| costs(c.intent))
        });
        let offer = self.part.offer_of(w);
        let least_tier = least_tier.min(offer.tiers.len() - 1);
        let cap = if just { offer.tiers[least_tier].min_buyers as usize } else { offer.cap };
        self.best_within(w, least_tier, i64::MIN, cap)
    }

    /// The best group of the window among those that it asks for and who are free; of all who are
    /// free if those do not reach a tier.
    pub(crate) fn choice(&mut self, w: u32, demand: &Demand) -> Option<(i64, Vec<u32>)> {
        self.list_free(w, |_| 0);
        let kept = self.items.clone();
        self.unlist(|_, n| !demand.chosen[n as usize]);
        if let Some(found) = self.best(w, 0, i64::MIN) {
            return Some(found);
        }
        self.items = kept;
        self.best(w, 0, i64::MIN)
    }

    /// Exactly what the windows ask for.
    ///
    /// # Errors
    /// Two of them ask for the same intent, or an offer's for more than its stock.
    pub(crate) fn seat_all(&mut self, demand: &Demand) -> Result<(), Impossible> {
        if demand.wanted.iter().any(|wanted| *wanted > 1)
            || demand.units.iter().zip(&self.part.offers).any(|(units, o)| *units > o.stock)
        {
            return Err(Impossible);
        }
        let windows = 0..self.part.windows.len();
        let groups = windows.map(|w| {
            let window = &self.part.windows[w];
            let open = demand.tier[w].1 > 0;
            let chosen = |n: &u32| open && demand.chosen[*n as usize];
            (window.first..window.end).filter(chosen).collect()
        });
        let groups: Vec<Vec<u32>> = groups.collect();
        self.restore(&groups);
        Ok(())
    }

    /// The intent's candidate in the window that it is in, unless it accepted it.
    #[inline]
    pub(crate) fn seat_of(&self, i: u32) -> Option<u32> {
        let n = self.seat[i as usize];
        debug_assert_ne!(self.home[i as usize], FREE);
        (!self.cand(n).bound_here).then_some(n)
    }
}
