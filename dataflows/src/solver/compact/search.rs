//! Search: parts of a grouping are taken down and built again, guided by prices and chance.
//!
//! A step forces one window open, with each buyer costing a share of its dual price instead of
//! what it is worth where it is, or fills one by exchanges, or takes some neighbouring windows
//! down; what that sets free is grouped anew and improved. A step that loses little is kept for a
//! while, less and less of it as the search goes on; the best grouping seen is what remains. Steps
//! are counted, never timed, and chance is a function of the seed.

use super::dual::{Demand, Prices};
use super::plan::{FREE, Plan};
use crate::solver::plan::Gain;
use crate::solver::price::SCALE;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The most windows that one step builds anew; a step that frees more is given up.
const MAX_REBUILT: usize = 400;
/// A step may at first lose as much as a window is worth on average, divided by this.
const COLD: i64 = 8;
/// Parts of more windows than this cool down to half of that.
const COLDER: usize = 200;
/// How often a search goes back to the best grouping seen.
const RETURNS: u64 = 8;
/// A part of a search until then is this many steps of cooling down.
const COOLING: u64 = 1 << 10;

/// A generator of numbers: splitmix64.
pub(crate) struct Dice(pub u64);

impl Dice {
    /// A number below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n.max(1) as u64) as usize
    }
}

/// One in so many windows that are forced open takes no more buyers than its tier asks for: more
/// would break up the windows that they come from.
const JUST: usize = 3;

/// How a search goes about it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    /// One step in so many fills a window by exchanges.
    pub exchange_in: usize,
    /// How many times as much as usual a step may lose.
    pub heat: i64,
}

/// The best grouping that a search has seen.
struct Best {
    total: Gain,
    members: Vec<Vec<u32>>,
    /// The windows that may have changed since.
    since: Vec<u32>,
}

impl Best {
    /// Takes over a better grouping.
    fn note(&mut self, plan: &Plan<'_>) {
        if plan.total > self.total {
            self.total = plan.total;
            for w in self.since.drain(..) {
                self.members[w as usize].clone_from(&plan.members[w as usize]);
            }
        }
    }

    /// Merges both groupings into the one that is best everywhere.
    fn merge_with(&mut self, plan: &mut Plan<'_>) {
        plan.merge_among(self.since.clone(), &self.members);
        self.note(plan);
    }
}

/// How a greedy compares windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Greedy {
    /// By the window's whole worth.
    Window,
    /// By its worth per buyer.
    Buyer,
}

/// How a greedy opens windows of a part.
#[derive(Debug, Clone, Copy)]
enum Opening<'a> {
    /// By what they are worth alone.
    Plain(Greedy),
    /// By their worth less what their buyers cost at these prices.
    Guided(&'a Prices),
}

impl Plan<'_> {
    /// Opens, again and again, the window that is worth most to buyers who are free.
    ///
    /// A window's worth only falls as buyers are taken, so it is computed anew only when it comes
    /// to the top.
    fn greedy(&mut self, windows: &[u32], opening: Opening<'_>) {
        let mut queue: BinaryHeap<(i64, Reverse<u32>)> = BinaryHeap::new();
        for &w in windows {
            if !self.is_open(w)
                && let Some((key, _)) = self.greedy_group(w, opening)
            {
                queue.push((key, Reverse(w)));
            }
        }
        while let Some((key, Reverse(w))) = queue.pop() {
            let Some((now, group)) = self.greedy_group(w, opening) else { continue };
            if now < key && queue.peek().is_some_and(|next| (now, Reverse(w)) < *next) {
                queue.push((now, Reverse(w)));
                continue;
            }
            self.open(w, group, &mut Vec::new()).expect("free buyers break no promise");
        }
    }

    fn greedy_group(&mut self, w: u32, opening: Opening<'_>) -> Option<(i64, Vec<u32>)> {
        let (key, worth, group) = match opening {
            Opening::Plain(greedy) => {
                self.list_free(w, |_| 0);
                let (worth, group) = self.best(w, 0, 1)?;
                let key = match greedy {
                    Greedy::Window => worth,
                    Greedy::Buyer => worth / group.len() as i64,
                };
                (key, worth, group)
            }
            Opening::Guided(prices) => {
                let cost = |i: u32| prices.u[i as usize] / SCALE;
                self.list_free(w, cost);
                let (left, group) = self.best(w, 0, i64::MIN)?;
                let spent: i64 = group.iter().map(|&n| cost(self.cand(n).intent)).sum();
                (left, left + spent, group)
            }
        };
        (worth > 0).then_some((key, group))
    }

    /// Searches for `steps` steps; the objective and its ties never get worse. Ends early when the value
    /// reaches `enough`: then nothing is left to gain. Returns the steps that were made or need not be.
    pub(crate) fn search(
        &mut self,
        (steps, work): (u32, u64),
        seed: u64,
        (prices, demand): (&Prices, &Demand),
        enough: i64,
        Manner { exchange_in, heat: hot }: Manner,
    ) -> u32 {
        let count = self.part.windows.len();
        if count == 0 || steps == 0 {
            return steps;
        }
        // Windows that prices think well of come up more often.
        let mut order: Vec<u32> = (0..count as u32).collect();
        order.sort_by_key(|&w| (Reverse(demand.open_worth[w as usize]), w));
        self.keep();
        let (began, work) = (self.work, work.max(1));
        let dice = &mut Dice(seed);
        let open = self.members.iter().filter(|group| !group.is_empty()).count() as i64;
        let mean = self.total.value / open.max(1);
        let cold = COLD * (count as i64 / 64).max(1) * (1 + (count > COLDER) as i64);
        let mut best = Best { total: self.total, members: self.members.clone(), since: vec![] };
        let (mut returned, mut made) = (0, steps);
        for step in 0..steps {
            let worked = self.work - began;
            if best.total.value >= enough {
                break;
            }
            if worked > work {
                made = step;
                break;
            }
            // How far it is: by steps, or by work where that ends it.
            let share = |of: u64, all: u64| of * RETURNS * COOLING / all;
            let done = share(step as u64, steps as u64).max(share(worked, work));
            let heat = hot * (COOLING - done % COOLING) as i64;
            if done / COOLING > returned {
                returned = done / COOLING;
                best.merge_with(self);
            }
            let before = self.total;
            let w = {
                let below = dice.below(count) + 1;
                order[dice.below(below)]
            };
            let mut freed = Vec::new();
            let shaken = if dice.below(exchange_in) == 0 {
                self.exchange(w, dice, &mut freed)
            } else if dice.below(3) > 0 {
                self.force_open(w, dice, prices, &mut freed)
            } else {
                self.take_down(w, dice, &mut freed)
            };
            let kept = shaken && self.rebuild(freed, dice, prices) && {
                // What may be lost: a part of a window's worth, less in great parts, cooling down.
                let slack = mean.saturating_mul(heat) / (cold * COOLING as i64);
                let slack = dice.below(slack.max(0) as usize + 1) as i64;
                self.total > before || self.total.value > before.value - slack
            };
            debug_assert!(!kept || self.is_paid_for(0), "a group reaches no tier, or cannot pay");
            if !kept {
                self.roll_back(0);
            }
            best.since.extend(self.changed(0));
            self.keep();
            best.note(self);
        }
        best.merge_with(self);
        made
    }

    /// Brings back a whole grouping.
    pub(crate) fn restore(&mut self, members: &[Vec<u32>]) {
        for (w, group) in members.iter().enumerate() {
            if self.members[w] != *group {
                self.set(w as u32, Vec::new());
            }
        }
        for (w, group) in members.iter().enumerate() {
            if self.members[w] != *group {
                self.set(w as u32, group.clone());
            }
        }
        self.keep();
    }

    /// Opens the window with the group that is best at a share of the dual prices.
    fn force_open(
        &mut self,
        w: u32,
        dice: &mut Dice,
        prices: &Prices,
        freed: &mut Vec<u32>,
    ) -> bool {
        let offer = self.part.windows[w as usize].offer as usize;
        let others = &self.part.offers[offer].windows;
        let open: Vec<u32> =
            others.iter().copied().filter(|&o| o != w && self.is_open(o)).collect();
        if !open.is_empty() && dice.below(2) == 0 {
            let other = open[dice.below(open.len())];
            if !self.is_held(other) {
                self.close(other, freed);
            }
        }
        let share = dice.below(5) as i64;
        let tier = dice.below(self.part.offers[offer].tiers.len());
        let just = dice.below(JUST) == 0;
        let group =
            self.guided_group(w, (tier, just), |i| prices.u[i as usize] / SCALE * share / 4);
        let Some((_, group)) = group else { return false };
        if group == self.members[w as usize] && freed.is_empty() {
            return false;
        }
        self.open(w, group, freed).is_ok()
    }

    /// Closes the window, or one of its rivals, and some of their neighbours.
    fn take_down(&mut self, mut w: u32, dice: &mut Dice, freed: &mut Vec<u32>) -> bool {
        for _ in 0..2 + dice.below(3) {
            let i = if self.is_open(w) && !self.is_held(w) {
                let from = freed.len();
                self.close(w, freed);
                freed[from + dice.below(freed.len() - from)]
            } else {
                let near = self.part.cands_of(w);
                near[dice.below(near.len())].intent
            };
            let places = &self.part.places[i as usize];
            let open: Vec<u32> = places.iter().map(|p| p.0).filter(|&w| self.is_open(w)).collect();
            if open.is_empty() {
                break;
            }
            w = open[dice.below(open.len())];
        }
        !freed.is_empty()
    }

    /// Groups anew whom a step has set free; false if that is too much work.
    fn rebuild(&mut self, mut freed: Vec<u32>, dice: &mut Dice, prices: &Prices) -> bool {
        freed.retain(|&i| self.home[i as usize] == FREE);
        freed.sort_unstable();
        let mut windows: Vec<u32> =
            freed.iter().flat_map(|&i| self.part.places[i as usize].iter().map(|p| p.0)).collect();
        windows.sort_unstable();
        windows.dedup();
        windows.retain(|_| dice.below(8) > 0);
        if windows.len() > MAX_REBUILT {
            return false;
        }
        let opening = match dice.below(4) {
            0 | 1 => Opening::Guided(prices),
            2 => Opening::Plain(Greedy::Window),
            _ => Opening::Plain(Greedy::Buyer),
        };
        self.greedy(&windows, opening);
        for i in freed {
            self.fill(i);
        }
        let mut touched: Vec<u32> = self.changed(0).collect();
        // What closed leaves stock to the offer's other windows.
        for n in 0..touched.len() {
            let w = touched[n];
            let offer = &self.part.offers[self.part.windows[w as usize].offer as usize];
            if offer.scarce && !self.is_open(w) {
                touched.extend(offer.windows.iter().copied().filter(|&o| self.is_open(o)));
            }
        }
        self.improve(touched, 3);
        true
    }

    /// The grouping of greatest objective that a greedy and improvement find from nothing but
    /// what is promised.
    pub(crate) fn start_anew(&mut self, greedy: Greedy) {
        let all: Vec<u32> = (0..self.part.windows.len() as u32).collect();
        for &w in &all {
            if self.is_open(w) && !self.is_held(w) {
                self.set(w, Vec::new());
            }
        }
        self.greedy(&all, Opening::Plain(greedy));
        self.improve(all, 4);
    }

    /// Seats those who are free wherever that costs nothing: of groupings of equal worth the one with more
    /// buyers is better. Windows that are worth nothing open only here.
    pub(super) fn seat_idle(&mut self) {
        let mut windows: Vec<u32> = (0..self.part.windows.len() as u32).collect();
        windows.sort_by_key(|&w| (self.part.windows[w as usize].slot, w));
        for w in windows {
            if !self.is_open(w) {
                self.list_free(w, |_| 0);
                if let Some((_, group)) = self.best(w, 0, 0) {
                    self.open(w, group, &mut Vec::new()).expect("free buyers break no promise");
                }
            }
        }
        for i in (0..self.part.intents.len() as u32).filter(|&i| !self.part.away[i as usize]) {
            self.fill(i);
        }
        self.keep();
    }

    /// The grouping that the windows ask for at some prices, as far as it goes: the windows of
    /// greatest worth first, each with those of its choice who are still free; then greedily.
    pub(crate) fn follow(&mut self, demand: &Demand) {
        for w in 0..self.part.windows.len() as u32 {
            if self.is_open(w) && !self.is_held(w) {
                self.set(w, Vec::new());
            }
        }
        let mut asked: Vec<(Reverse<i64>, u32)> = (0..self.part.windows.len() as u32)
            .filter(|&w| demand.tier[w as usize].1 > 0 && !self.is_open(w))
            .map(|w| (Reverse(demand.open_worth[w as usize]), w))
            .collect();
        asked.sort_unstable();
        for &(_, w) in &asked {
            // Those of its choice, and whoever else is free.
            if let Some((worth, group)) = self.choice(w, demand)
                && worth > 0
            {
                self.open(w, group, &mut Vec::new()).expect("free buyers break no promise");
            }
        }
        let all: Vec<u32> = (0..self.part.windows.len() as u32).collect();
        self.greedy(&all, Opening::Plain(Greedy::Window));
        self.improve(all, 3);
        self.keep();
    }

    /// The better of this and another grouping.
    pub(crate) fn better_of(&mut self, other: &Plan<'_>) {
        self.merge(&other.members);
        debug_assert!(self.total >= other.total);
    }

    /// The objective and its ties.
    pub(crate) fn total(&self) -> Gain {
        self.total
    }
}
