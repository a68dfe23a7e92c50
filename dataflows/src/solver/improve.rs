//! Improvement: windows open, take buyers from others, change tier and close, while that is worth
//! more than it costs.
//!
//! Every step is a trial: it is applied, measured by the objective and its ties, and taken back
//! unless it gained. So the incumbent never gets worse here. Work is counted in steps, never timed.

use super::compact::search::Greedy;
use super::effort::Trials;
use super::group::{Frame, Group, Item, TRIAL_CELLS, best_group};
use super::hot::Home;
use super::market::{Market, WindowNode};
use super::plan::{Gain, Trial};
use super::repair::Whom;
use crate::market::Slot;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// A component of at most this many (candidate, slot) pairs is also solved from scratch by both
/// greedies at every change of it, so that the incumbent is never worse than either.
const SMALL_PAIRS: usize = 1_000;
/// The most offers of such a component.
const SMALL_OFFERS: usize = 64;

/// What is known of an offer's component.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Nothing,
    /// It is the one that is looked through.
    Here,
    Small,
    /// It is great; so is that of whoever shares a candidate with it.
    Great,
}

impl Market {
    /// The windows to be tried after an update: those whose groups changed, those that want a new
    /// intent most, and those where who is free, or offers with room, may find something better.
    pub(crate) fn promising(
        &mut self,
        wanted: Vec<(Slot, u32)>,
        trials: Trials,
    ) -> Vec<(Slot, u32)> {
        let mut places = std::mem::take(&mut self.dirty);
        places.extend(wanted);
        let mut awake: Vec<u32> = std::mem::take(&mut self.awake).into_iter().collect();
        awake.retain(|&i| self.intents[i as usize].is_some());
        awake.sort_by(|a, b| self.node(*a).intent.id.cmp(&self.node(*b).intent.id));
        for i in awake {
            if self.hot[i as usize].home == Home::Free && !self.fill(&mut Trial::default(), i) {
                places.extend(self.best_places(i, trials.who_lost));
            }
        }
        for o in std::mem::take(&mut self.roomy) {
            let windows = self.offer(o).windows.iter().filter(|w| w.members.is_empty());
            let mut best: Vec<(Reverse<i64>, Slot)> =
                windows.filter_map(|w| Some((Reverse(self.promise_of(o, w)?), w.slot))).collect();
            best.sort_unstable();
            places.extend(best.iter().take(trials.an_offer).map(|w| (w.1, o)));
        }
        self.in_order(&places)
    }

    /// Improves the windows of `list` and those that they disturb; returns the steps used.
    pub(crate) fn improve(&mut self, list: Vec<(Slot, u32)>, trials: Trials) -> u64 {
        let mut steps = 0;
        let mut pending = list;
        for _ in 0..trials.passes {
            let mut disturbed: BTreeSet<(Slot, u32)> = BTreeSet::new();
            for &(slot, o) in &pending {
                steps += 1;
                if let Some(trial) = self.reopen(o, slot) {
                    disturbed.extend(Market::touched(&trial).map(|(o, slot)| (slot, o)));
                    for i in self.set_free(&trial) {
                        disturbed.extend(self.best_places(i, trials.who_lost));
                    }
                }
            }
            if disturbed.is_empty() {
                break;
            }
            pending = self.in_order(&disturbed);
        }
        steps
    }

    /// Tries the best group of the window against whatever its buyers do now; keeps it if that
    /// gains.
    fn reopen(&mut self, o: u32, slot: Slot) -> Option<Trial> {
        let offer = self.offer(o);
        let window = offer.window(slot)?;
        if window.eligible < offer.tiers()[0].min_buyers {
            return None;
        }
        let mine: i64 = window.members.iter().map(|c| c.quantity() as i64).sum();
        let before = window.value;
        let same = window.members.len();
        let units = offer.placed.stock - (offer.used - mine);
        let items = self.items_for(o, slot, Whom::Everyone)?;
        let least_worth = before.max(0);
        let frame = Frame::of(offer.tiers(), offer.max_group(), units);
        let frame = Frame { cells: TRIAL_CELLS, least_worth, ..frame };
        let group = best_group(&items, frame)?;
        if group.worth < 0 {
            return None;
        }
        let grows = group.worth > before || (group.worth == before && group.chosen.len() > same);
        if !grows {
            return None;
        }
        let mut trial = Trial::default();
        let old: Vec<u32> = self.offer(o).window(slot)?.members.iter().map(|c| c.intent).collect();
        let robbed = self.gather(&mut trial, o, slot, &items, &group);
        let mut free: Vec<u32> =
            old.into_iter().filter(|&i| self.hot[i as usize].home == Home::Free).collect();
        let mut sound = true;
        for (from, s) in robbed.into_iter().chain([(o, slot)]) {
            match self.settle(from, s) {
                Ok(gone) => free.extend(gone),
                Err(_) => sound = false,
            }
        }
        self.conclude(trial, free, sound)
    }

    /// Places whoever a trial set free, then keeps the trial if it gained, else takes it back.
    fn conclude(&mut self, mut trial: Trial, mut free: Vec<u32>, sound: bool) -> Option<Trial> {
        if sound {
            free.sort_by(|a, b| self.node(*a).intent.id.cmp(&self.node(*b).intent.id));
            for i in free {
                self.fill(&mut trial, i);
            }
            if self.gain(&trial) > Gain::default() {
                return Some(trial);
            }
        }
        self.roll_back(trial);
        None
    }

    /// For every small component in which something has changed: both greedies from scratch; one
    /// that beats the incumbent is improved and replaces it. Returns the steps used.
    pub(crate) fn rethink(&mut self) -> u64 {
        let mut offers: Vec<u32> = std::mem::take(&mut self.touched).into_iter().collect();
        offers.retain(|o| self.offers[*o as usize].is_some());
        if offers.is_empty() {
            return 0;
        }
        offers.sort_by(|a, b| self.by_stores(*a, *b));
        let mut seen = vec![Seen::Nothing; self.offers.len()];
        let mut steps = 0;
        for o in offers {
            if seen[o as usize] != Seen::Nothing {
                continue;
            }
            let (offers, kind) = self.small_component(o, &mut seen);
            offers.iter().for_each(|&o| seen[o as usize] = kind);
            if kind == Seen::Great {
                continue;
            }
            for greedy in [Greedy::Window, Greedy::Buyer] {
                steps += self.restart(&offers, greedy);
            }
        }
        steps
    }

    /// The offers connected with `o` through shared candidates, if they are few enough; else some of them.
    ///
    /// **Cost** bounded by [`SMALL_OFFERS`] and [`SMALL_PAIRS`], whatever the market's size.
    fn small_component(&self, o: u32, seen: &mut [Seen]) -> (Vec<u32>, Seen) {
        let mut offers = vec![o];
        seen[o as usize] = Seen::Here;
        // Every candidate has a slot, so it counts for one pair at least. That is counted as soon as an
        // offer is found: great components mostly show within the first candidate's offers.
        let mut pairs = self.offer(o).candidates.len();
        let mut next = 0;
        while next < offers.len() {
            let offer = self.offer(offers[next]);
            if pairs <= SMALL_PAIRS {
                let eligible: usize = offer.windows.iter().map(|w| w.eligible as usize).sum();
                pairs += eligible.saturating_sub(offer.candidates.len());
            }
            if pairs > SMALL_PAIRS {
                return (offers, Seen::Great);
            }
            for c in &offer.candidates {
                for &e in &self.node(c.intent).edges {
                    match std::mem::replace(&mut seen[e as usize], Seen::Here) {
                        Seen::Here => continue,
                        Seen::Great => {
                            offers.push(e);
                            return (offers, Seen::Great);
                        }
                        _ => {
                            pairs += self.offer(e).candidates.len();
                            offers.push(e);
                        }
                    }
                }
                if pairs > SMALL_PAIRS || offers.len() > SMALL_OFFERS {
                    return (offers, Seen::Great);
                }
            }
            next += 1;
        }
        (offers, Seen::Small)
    }

    /// Solves the offers' windows greedily from nothing (promises kept), improves that, and keeps
    /// it if it beats the incumbent.
    pub(crate) fn restart(&mut self, offers: &[u32], greedy: Greedy) -> u64 {
        let mut trial = Trial::default();
        let mut windows: Vec<(Slot, u32)> = Vec::new();
        for &o in offers {
            let offer = self.offer(o);
            let least = offer.tiers()[0].min_buyers;
            let useful = |w: &&WindowNode| w.eligible >= least || !w.members.is_empty();
            windows.extend(offer.windows.iter().filter(useful).map(|w| (w.slot, o)));
        }
        let windows = self.in_order(&windows);
        for &(slot, o) in &windows {
            let window = self.offer(o).window(slot).expect("in order");
            if window.members.iter().any(|c| self.pinned(c.intent)) {
                continue;
            }
            self.touch(&mut trial, o, slot);
            self.disband(o, slot);
        }
        let mut steps = self.greedy(&mut trial, &windows, greedy);
        if self.gain(&trial) <= Gain::default() {
            self.roll_back(trial);
            return steps;
        }
        // Windows that hold a promise were left alone; improvement may still change them.
        for &(slot, o) in &windows {
            self.touch(&mut trial, o, slot);
        }
        steps += self.improve(windows, Trials::ALL);
        if self.gain(&trial) <= Gain::default() {
            self.roll_back(trial);
        }
        steps
    }

    /// Opens, again and again, the window that is worth most to buyers who are free.
    ///
    /// A window's worth only falls as buyers are taken, so it is computed anew only when it comes
    /// to the top.
    pub(crate) fn greedy(
        &mut self,
        trial: &mut Trial,
        windows: &[(Slot, u32)],
        greedy: Greedy,
    ) -> u64 {
        let mut steps = 0;
        // Greatest key first; of equal ones the earlier window.
        let mut queue: BTreeSet<(i128, std::cmp::Reverse<usize>)> = BTreeSet::new();
        for (n, &(slot, o)) in windows.iter().enumerate() {
            if self.offer(o).window(slot).is_some_and(|w| w.members.is_empty()) {
                steps += 1;
                if let Some(key) = self.greedy_key(o, slot, greedy) {
                    queue.insert((key, std::cmp::Reverse(n)));
                }
            }
        }
        while let Some((key, std::cmp::Reverse(n))) = queue.pop_last() {
            let (slot, o) = windows[n];
            steps += 1;
            let Some(now) = self.greedy_key(o, slot, greedy) else { continue };
            if now < key {
                queue.insert((now, std::cmp::Reverse(n)));
                continue;
            }
            self.open_with_free(trial, o, slot);
        }
        steps
    }

    fn greedy_key(&self, o: u32, slot: Slot, greedy: Greedy) -> Option<i128> {
        let (_, group) = self.free_group(o, slot)?;
        (group.worth > 0).then(|| match greedy {
            Greedy::Window => group.worth as i128,
            Greedy::Buyer => group.worth as i128 * 1_000 / group.chosen.len() as i128,
        })
    }

    fn free_group(&self, o: u32, slot: Slot) -> Option<(Vec<Item>, Group)> {
        let offer = self.offer(o);
        self.group_for(o, slot, offer.placed.stock - offer.used, Whom::Free)
    }

    fn open_with_free(&mut self, trial: &mut Trial, o: u32, slot: Slot) {
        if let Some((items, group)) = self.free_group(o, slot) {
            self.gather(trial, o, slot, &items, &group);
            if let Ok(gone) = self.settle(o, slot) {
                debug_assert!(gone.is_empty(), "a group of free buyers can pay its tier");
            }
        }
    }
}
