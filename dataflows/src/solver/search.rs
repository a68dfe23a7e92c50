//! Search: parts of the grouping are taken down and built again, guided by prices and chance.
//!
//! Local improvement stops where no single window can gain. A step of search forces one window
//! open, with each buyer costing its dual price instead of what it is worth where it is, or takes
//! some neighbouring windows down; what that sets free is grouped anew and improved. The step is
//! kept if it gained, else taken back. Steps are counted, never timed, and chance is a function of
//! the seed: equal markets are searched alike.

use super::group::{Frame, best_group};
use super::improve::Greedy;
use super::market::Market;
use super::plan::{Gain, Home, Trial};
use super::price::SCALE;
use super::repair::Whom;
use crate::market::Slot;
use std::collections::BTreeSet;

/// The most windows that one step works out anew; a step that frees more is given up.
const MAX_REBUILT: usize = 400;

/// A generator of numbers: splitmix64.
struct Dice(u64);

impl Dice {
    /// A number below `n`.
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n.max(1) as u64) as usize
    }
}

impl Market {
    /// Searches for `steps` steps, or not at all where the bound proves that nothing is left to
    /// gain; the objective and its ties never get worse.
    pub(crate) fn search(&mut self, steps: u32, seed: u64) {
        if self.bound() <= self.value {
            return;
        }
        let all: Vec<(Slot, u32)> = self
            .by_store
            .values()
            .flat_map(|&o| self.offer(o).windows.iter().map(move |w| (w, o)))
            .filter(|(w, o)| w.eligible >= self.offer(*o).tiers()[0].min_buyers)
            .map(|(w, o)| (w.slot, o))
            .collect();
        let all = self.in_order(&all);
        let dice = &mut Dice(seed);
        for _ in 0..steps {
            let Some(&(slot, o)) = all.get(dice.below(all.len())) else { return };
            let mut trial = Trial::default();
            let shaken = if dice.below(3) > 0 {
                self.force_open(&mut trial, o, slot, dice)
            } else {
                self.take_down(&mut trial, o, slot, dice)
            };
            if shaken && self.rebuild(&mut trial, dice) && self.gain(&trial) > Gain::default() {
                continue;
            }
            self.roll_back(trial);
        }
    }

    /// Opens the window with the group that is best at dual prices; false if there is none.
    fn force_open(&mut self, trial: &mut Trial, o: u32, slot: Slot, dice: &mut Dice) -> bool {
        let others: Vec<Slot> = self
            .offer(o)
            .windows
            .iter()
            .filter(|w| w.slot != slot && !w.members.is_empty())
            .map(|w| w.slot)
            .collect();
        if !others.is_empty() && dice.below(2) == 0 {
            self.close(trial, o, others[dice.below(others.len())]);
        }
        let Some(mut items) = self.items_for(o, slot, Whom::Everyone) else { return false };
        let offer = self.offer(o);
        let window = offer.window(slot).expect("listed");
        let mine: i64 = window.members.iter().map(|c| c.quantity as i64).sum();
        let share = dice.below(5) as i64;
        for item in &mut items {
            let price = self.price_of(item.intent) / SCALE * share / 4;
            item.extra = window.visit_value + self.bonus(o, item.intent, slot) - price;
        }
        let frame = Frame {
            tiers: offer.tiers(),
            least_tier: dice.below(offer.tiers().len()),
            max_group: offer.max_group(),
            units: offer.placed.stock - (offer.used - mine),
        };
        let Some(group) = best_group(&items, frame) else { return false };
        let robbed = self.gather(trial, o, slot, &items, &group);
        robbed.into_iter().chain([(o, slot)]).all(|(o, slot)| self.settle(o, slot).is_ok())
    }

    /// Closes the window, or one of its rivals, and some of their neighbours.
    fn take_down(&mut self, trial: &mut Trial, o: u32, slot: Slot, dice: &mut Dice) -> bool {
        let (mut slot, mut o) = (slot, o);
        let mut closed = false;
        for _ in 0..2 + dice.below(3) {
            let members = self.close(trial, o, slot);
            closed |= !members.is_empty();
            let near: Vec<u32> = if members.is_empty() {
                self.offer(o).candidates.iter().map(|c| c.intent).collect()
            } else {
                members
            };
            let Some(&i) = near.get(dice.below(near.len())) else { break };
            let open: Vec<(Slot, u32)> = self
                .windows_of(i)
                .into_iter()
                .filter(|(slot, o)| {
                    self.offer(*o).window(*slot).is_some_and(|w| !w.members.is_empty())
                })
                .collect();
            let Some(&next) = open.get(dice.below(open.len())) else { break };
            (slot, o) = next;
        }
        closed
    }

    /// Empties the window unless a promise holds it; returns who was in it.
    fn close(&mut self, trial: &mut Trial, o: u32, slot: Slot) -> Vec<u32> {
        let window = self.offer(o).window(slot).expect("listed");
        if window.members.iter().any(|c| self.pinned(c.intent)) {
            return Vec::new();
        }
        self.touch(trial, o, slot);
        self.disband(o, slot)
    }

    /// Groups anew whom the trial has set free; false if that is too much work.
    fn rebuild(&mut self, trial: &mut Trial, dice: &mut Dice) -> bool {
        let mut free = self.set_free(trial);
        free.sort_by(|a, b| self.node(*a).intent.id.cmp(&self.node(*b).intent.id));
        let around: BTreeSet<(Slot, u32)> = free.iter().flat_map(|&i| self.windows_of(i)).collect();
        let mut windows = self.in_order(&around);
        windows.retain(|_| dice.below(8) > 0);
        if windows.len() > MAX_REBUILT {
            return false;
        }
        let greedy = if dice.below(2) == 0 { Greedy::Window } else { Greedy::Buyer };
        self.greedy(trial, &windows, greedy);
        for i in free {
            if self.hot[i as usize].home == Home::Free {
                self.fill(trial, i);
            }
        }
        let touched: Vec<_> = Market::touched(trial).map(|(o, slot)| (slot, o)).collect();
        let touched = self.in_order(&touched);
        self.improve_within(trial, touched);
        true
    }
}
