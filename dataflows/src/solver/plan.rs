//! The incumbent grouping: who is in which window, what that is worth, and changes on trial.
//!
//! **Invariant** `hot[i].home` and the windows' members mirror each other; `offer.used` is the sum
//! of its members' units; `market.value` is the sum of its windows' values. Between an update and
//! its repair a window may hold a group that breaks a rule; after [`Market::settle`] none does.

use super::candidate::Candidate;
use super::hot::Home;
use super::market::{Market, WindowNode};
use crate::market::Slot;
use std::collections::BTreeSet;

/// A promise would be broken (R8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken;

/// What a change is worth, in the order of the objective and its ties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Gain {
    /// The objective.
    pub value: i64,
    /// More buyers.
    pub buyers: i64,
    /// Earlier slots (negated sum over buyers).
    pub earlier: i64,
    /// Shorter ways (negated sum of metres).
    pub nearer: i64,
}

impl Gain {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            value: self.value + other.value,
            buyers: self.buyers + other.buyers,
            earlier: self.earlier + other.earlier,
            nearer: self.nearer + other.nearer,
        }
    }

    pub(crate) fn less(self, other: Self) -> Self {
        Self {
            value: self.value - other.value,
            buyers: self.buyers - other.buyers,
            earlier: self.earlier - other.earlier,
            nearer: self.nearer - other.nearer,
        }
    }
}

/// The windows that a trial has touched, as they were.
#[derive(Debug, Default)]
pub(crate) struct Trial {
    before: Vec<(u32, Slot, Vec<Candidate>)>,
    /// Which windows those are.
    noted: BTreeSet<(u32, Slot)>,
}

/// Kept in place of a loss where there is none, as a promise would break; and while it is not known.
pub(crate) const NO_LOSS: i64 = i64::MAX;
pub(crate) const UNKNOWN: i64 = i64::MIN;

impl Market {
    /// The objective's part of a member at the window's tier; negative gain is left as it is.
    #[inline]
    pub(crate) fn weight(&self, o: u32, c: &Candidate, window: &WindowNode, tier: usize) -> i64 {
        let price = self.offer(o).tiers()[tier].price.minor();
        let extra = window.visit_value + self.bonus(o, c.intent, window.slot);
        c.base() - c.quantity() as i64 * price + extra
    }

    /// The value of a group in the window at the tier that its size reaches.
    pub(crate) fn value_of(&self, o: u32, slot: Slot, members: &[Candidate]) -> i64 {
        let offer = self.offer(o);
        let Some(tier) = offer.placed.offer.tiers.reached(members.len()) else { return 0 };
        let Some(window) = offer.window(slot) else { return 0 };
        members.iter().map(|c| self.weight(o, c, window, tier)).sum()
    }

    /// Replaces the window's group, whoever was there leaves; keeps every sum.
    ///
    /// The new members are in the order of ids, and free or members already; the group may break
    /// rules until settled.
    pub(crate) fn seat(&mut self, o: u32, slot: Slot, members: Vec<Candidate>) {
        debug_assert!(members.is_sorted_by_key(|c| &self.node(c.intent).intent.id));
        let value = self.value_of(o, slot, &members);
        let units: i64 = members.iter().map(|c| c.quantity() as i64).sum();
        let offer = self.offers[o as usize].as_mut().expect("an index in use");
        let tier = offer.placed.offer.tiers.reached(members.len()).unwrap_or(0) as u32;
        let window = offer.window_mut(slot).expect("a window with candidates");
        let old_value = std::mem::replace(&mut window.value, value);
        window.tier = tier;
        let old = std::mem::replace(&mut window.members, members);
        offer.used += units - old.iter().map(|c| c.quantity() as i64).sum::<i64>();
        self.value += value - old_value;
        for c in &old {
            self.hot[c.intent as usize].home = Home::Free;
        }
        let losses = self.losses.get_mut();
        let window = self.offers[o as usize].as_ref().and_then(|offer| offer.window(slot));
        for c in &window.expect("just found").members {
            self.hot[c.intent as usize].home = Home::In(o, slot);
            // Whoever was there before has another home, and what is kept of it is out of date, too.
            losses.get_mut(c.intent as usize).into_iter().for_each(|kept| *kept = UNKNOWN);
        }
        self.changed.insert((slot, o));
    }

    /// Where the intent belongs among the members, by id.
    fn place_among(&self, members: &[Candidate], i: u32) -> usize {
        let id = &self.node(i).intent.id;
        members.partition_point(|c| self.node(c.intent).intent.id < *id)
    }

    /// Empties the window; returns who was in it.
    pub(crate) fn disband(&mut self, o: u32, slot: Slot) -> Vec<u32> {
        let members = match self.offer(o).window(slot) {
            Some(window) if !window.members.is_empty() => window.members.clone(),
            _ => return Vec::new(),
        };
        self.seat(o, slot, Vec::new());
        members.iter().map(|c| c.intent).collect()
    }

    /// Empties the offer's windows; returns who was in them.
    pub(crate) fn disband_all(&mut self, o: u32) -> Vec<(Slot, Vec<u32>)> {
        let open = self.offer(o).windows.iter().filter(|w| !w.members.is_empty());
        let open: Vec<Slot> = open.map(|w| w.slot).collect();
        open.into_iter().map(|slot| (slot, self.disband(o, slot))).collect()
    }

    /// Takes the intent out of its window, which may be left below its tier.
    pub(crate) fn leave(&mut self, i: u32) {
        if let Home::In(o, slot) = self.hot[i as usize].home {
            let window = self.offer(o).window(slot).expect("a home is a window");
            let rest = window.members.iter().copied().filter(|c| c.intent != i).collect();
            self.seat(o, slot, rest);
        }
    }

    /// Puts those back into the window who still fit it; the window waits for its repair.
    pub(crate) fn readmit(&mut self, o: u32, slot: Slot, intents: &[u32]) {
        let o = match self.offers.get(o as usize) {
            Some(Some(_)) => o,
            _ => return,
        };
        let Some(window) = self.offer(o).window(slot) else { return };
        let mut members = window.members.clone();
        for &i in intents {
            if self.intents[i as usize].is_some()
                && self.hot[i as usize].home == Home::Free
                && self.eligible(o, i, slot)
                && let Some(at) = self.candidate_of(o, i)
            {
                let c = self.offer(o).candidates[at];
                members.insert(self.place_among(&members, i), c);
            }
        }
        self.seat(o, slot, members);
        self.dirty.insert((slot, o));
    }

    /// Puts whole groups back, as far as they still fit; who does not looks for another window.
    pub(crate) fn readmit_all(&mut self, o: u32, groups: Vec<(Slot, Vec<u32>)>) {
        for (slot, members) in groups {
            self.readmit(o, slot, &members);
            let free = |i: &u32| self.hot[*i as usize].home == Home::Free;
            let lost: Vec<u32> = members.into_iter().filter(free).collect();
            self.awake.extend(lost);
        }
    }

    /// Whether the intent's buyer accepted a window (R8).
    #[inline]
    pub(crate) fn pinned(&self, i: u32) -> bool {
        self.hot[i as usize].answered && self.node(i).intent.promise.pin.is_some()
    }

    /// Brings the window's group back under R4, R5 and R7's group size: who cannot pay leaves,
    /// a group below the first tier disbands.
    ///
    /// # Errors
    /// [`Broken`] if that would send away a buyer who accepted; the window is then unsettled.
    pub(crate) fn settle(&mut self, o: u32, slot: Slot) -> Result<Vec<u32>, Broken> {
        let offer = self.offer(o);
        let Some(window) = offer.window(slot) else { return Ok(Vec::new()) };
        let mut members = window.members.clone();
        let mut gone: Vec<u32> = Vec::new();
        let before = members.len();
        members.retain(|c| {
            let stays = self.eligible(o, c.intent, slot);
            if !stays {
                gone.push(c.intent);
            }
            stays
        });
        while members.len() > offer.max_group() {
            let tier = offer.placed.offer.tiers.reached(members.len()).unwrap_or(0);
            let worst = (0..members.len())
                .filter(|&n| !self.pinned(members[n].intent))
                .min_by_key(|&n| (self.weight(o, &members[n], window, tier), usize::MAX - n));
            gone.push(members.remove(worst.ok_or(Broken)?).intent);
        }
        loop {
            let Some(tier) = offer.placed.offer.tiers.reached(members.len()) else {
                if members.iter().any(|c| self.pinned(c.intent)) {
                    return Err(Broken);
                }
                gone.extend(members.drain(..).map(|c| c.intent));
                break;
            };
            let price = offer.tiers()[tier].price.minor();
            let poor = members.iter().position(|c| !self.pays(c, price));
            let Some(_) = poor else { break };
            let pays = |c: &Candidate| self.pays(c, price);
            if members.iter().any(|c| !pays(c) && self.pinned(c.intent)) {
                return Err(Broken);
            }
            gone.extend(members.iter().filter(|c| !pays(c)).map(|c| c.intent));
            members.retain(pays);
        }
        if members.len() != before {
            self.seat(o, slot, members);
        }
        Ok(gone)
    }

    /// Of the offer's candidates at those places: what is known of [`Market::loss`].
    ///
    /// All of it is read at once, so that one load does not wait for another.
    pub(crate) fn kept_losses(&self, o: u32, places: &[u32]) -> Vec<i64> {
        let mut losses = self.losses.borrow_mut();
        if losses.len() < self.intents.len() {
            let more = self.intents.len() - losses.len();
            let room = more.max(losses.len() / 8);
            losses.reserve_exact(room);
            losses.resize(self.intents.len(), UNKNOWN);
        }
        let candidates = &self.offer(o).candidates;
        let of = |at: &u32| losses[candidates[*at as usize].intent as usize];
        places.iter().map(of).collect()
    }

    /// [`Market::loss`] of who is in a window, of which `kept` is known; that is kept until its group
    /// changes: every rival window asks for it.
    pub(crate) fn known_loss(&self, i: u32, kept: i64) -> Option<i64> {
        let mut loss = kept;
        if loss == UNKNOWN {
            loss = self.loss(i).unwrap_or(NO_LOSS);
            self.losses.borrow_mut()[i as usize] = loss;
        }
        (loss != NO_LOSS).then_some(loss)
    }

    /// What the objective loses if the intent leaves its window alone; `None` if a promise to
    /// another member would break.
    pub(crate) fn loss(&self, i: u32) -> Option<i64> {
        let Home::In(o, slot) = self.hot[i as usize].home else { return Some(0) };
        let window = self.offer(o).window(slot).expect("a home is a window");
        let own = window.members.iter().find(|c| c.intent == i).expect("a member");
        let tiers = &self.offer(o).placed.offer.tiers;
        if tiers.reached(window.members.len() - 1) == Some(window.tier as usize) {
            return Some(self.weight(o, own, window, window.tier as usize));
        }
        // The price rises; whoever cannot pay it leaves, which may raise it further.
        let rest = || window.members.iter().filter(|c| c.intent != i);
        let mut count = window.members.len() - 1;
        loop {
            let Some(tier) = tiers.reached(count) else {
                let held = rest().any(|c| self.pinned(c.intent));
                return (!held).then_some(window.value);
            };
            let price = self.offer(o).tiers()[tier].price.minor();
            let stays = |c: &&Candidate| self.pays(c, price);
            let staying = rest().filter(stays).count();
            if staying == count || tiers.reached(staying) == Some(tier) {
                if rest().any(|c| !stays(&c) && self.pinned(c.intent)) {
                    return None;
                }
                let left = rest().filter(stays).map(|c| self.weight(o, c, window, tier));
                return Some(window.value - left.sum::<i64>());
            }
            count = staying;
        }
    }

    /// Notes the window as it is, once, before the trial changes it.
    pub(crate) fn touch(&mut self, trial: &mut Trial, o: u32, slot: Slot) {
        if trial.noted.insert((o, slot)) {
            let members = self.offer(o).window(slot).map_or(Vec::new(), |w| w.members.clone());
            trial.before.push((o, slot, members));
        }
    }

    /// What the trial has gained so far.
    pub(crate) fn gain(&self, trial: &Trial) -> Gain {
        let mut gain = Gain::default();
        for (o, slot, before) in &trial.before {
            let Some(window) = self.offer(*o).window(*slot) else { continue };
            gain.value += window.value - self.value_of(*o, *slot, before);
            let (now, then) = (&window.members, before);
            gain.buyers += now.len() as i64 - then.len() as i64;
            gain.earlier -= slot.0 as i64 * (now.len() as i64 - then.len() as i64);
            let metres = |members: &[Candidate]| -> i64 {
                members.iter().map(|c| c.distance_m() as i64).sum()
            };
            gain.nearer -= metres(now) - metres(then);
        }
        gain
    }

    /// Takes the trial back: every window as it was.
    pub(crate) fn roll_back(&mut self, trial: Trial) {
        for (o, slot, _) in &trial.before {
            self.disband(*o, *slot);
        }
        for (o, slot, members) in trial.before {
            if !members.is_empty() {
                self.seat(o, slot, members);
            }
        }
    }

    /// Windows that the trial touched.
    pub(crate) fn touched(trial: &Trial) -> impl Iterator<Item = (u32, Slot)> + '_ {
        trial.before.iter().map(|b| (b.0, b.1))
    }

    /// Who was in a window before the trial and is in none now.
    pub(crate) fn set_free(&self, trial: &Trial) -> Vec<u32> {
        let before = trial.before.iter().flat_map(|b| &b.2).map(|c| c.intent);
        before.filter(|&i| self.hot[i as usize].home == Home::Free).collect()
    }

    /// Puts a free intent into the open window where it adds most to the objective (at least
    /// nothing), if there is one.
    ///
    /// **Cost** in proportion to the open windows within reach.
    pub(crate) fn fill(&mut self, trial: &mut Trial, i: u32) -> bool {
        if self.hot[i as usize].home != Home::Free {
            return false;
        }
        let mut best: Option<(Gain, u32, Slot, Candidate)> = None;
        let (from, until) = (self.hot[i as usize].from, self.hot[i as usize].until);
        for &o in &self.node(i).edges {
            let offer = self.offer(o);
            if offer.used == 0 {
                continue;
            }
            let first = offer.windows.partition_point(|w| w.slot < from);
            let mut known = None;
            for window in offer.windows[first..].iter().take_while(|w| w.slot < until) {
                if window.members.is_empty() || window.members.len() >= offer.max_group() {
                    continue;
                }
                let c = *known.get_or_insert_with(|| {
                    let at = self.candidate_of(o, i);
                    offer.candidates[at.expect("an edge has its candidate")]
                });
                if offer.used + c.quantity() as i64 > offer.placed.stock
                    || !self.eligible(o, i, window.slot)
                {
                    continue;
                }
                if let Some(value) = self.joining(o, &c, window) {
                    let gain = Gain {
                        value,
                        buyers: 1,
                        earlier: -(window.slot.0 as i64),
                        nearer: -(c.distance_m() as i64),
                    };
                    if value >= 0 && best.as_ref().is_none_or(|b| gain > b.0) {
                        best = Some((gain, o, window.slot, c));
                    }
                }
            }
        }
        let Some((_, o, slot, c)) = best else { return false };
        self.touch(trial, o, slot);
        let mut members = self.offer(o).window(slot).expect("open").members.clone();
        members.insert(self.place_among(&members, i), c);
        self.seat(o, slot, members);
        true
    }

    /// What the objective gains if the candidate joins the open window; `None` if it cannot pay.
    fn joining(&self, o: u32, c: &Candidate, window: &WindowNode) -> Option<i64> {
        let offer = self.offer(o);
        let tier = offer.placed.offer.tiers.reached(window.members.len() + 1)?;
        let price = offer.tiers()[tier].price.minor();
        if !self.pays(c, price) {
            return None;
        }
        let own = self.weight(o, c, window, tier);
        if tier == window.tier as usize {
            return Some(own);
        }
        let others: i64 = window.members.iter().map(|m| self.weight(o, m, window, tier)).sum();
        Some(own + others - window.value)
    }
}
