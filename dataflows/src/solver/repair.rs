//! Repair: after an update, the incumbent is brought back under every rule, promises first.
//!
//! A buyer who accepted keeps the window (R8): it is filled up, if need be at a loss and with
//! buyers from elsewhere. Only where no group can hold the accepted price any more is the promise
//! released: the buyer leaves, and is in no window until the promise itself has changed.

use super::candidate::Candidate;
use super::group::{Frame, Group, Item, best_group};
use super::hot::Home;
use super::market::Market;
use super::plan::{Broken, Trial};
use crate::market::{Slot, StoreId};
use std::cmp::Ordering;

/// How often, per dirty window, a promise may be held with buyers from other windows.
const THEFTS: usize = 4;

/// Whom a group may be made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whom {
    /// Who is free, or in the window already.
    Free,
    /// Everyone; who is elsewhere costs what the objective loses there.
    Everyone,
}

impl Market {
    /// Brings every dirty window back under R1-R8; whom that sets free is awake.
    ///
    /// Holding a promise may take buyers from other windows, which are then looked at in turn;
    /// after [`THEFTS`] turns per dirty window only free buyers are taken, so that this ends.
    pub(crate) fn repair(&mut self) {
        let mut list = self.in_order(&self.dirty);
        let polite_from = list.len() * THEFTS;
        let mut freed: Vec<u32> = Vec::new();
        let mut next = 0;
        while let Some(&(slot, o)) = list.get(next) {
            let whom = if next < polite_from { Whom::Everyone } else { Whom::Free };
            next += 1;
            freed.extend(self.drop_unfit(o, slot));
            let accepted = (slot, self.store(o).clone());
            let settled =
                if self.pins.contains_key(&accepted) { Err(Broken) } else { self.settle(o, slot) };
            match settled {
                Ok(gone) => freed.extend(gone),
                Err(Broken) => list.extend(self.hold(o, slot, whom, &mut freed)),
            }
        }
        let mut offers: Vec<u32> = list.iter().map(|d| d.1).collect();
        offers.sort_by(|a, b| self.by_stores(*a, *b));
        offers.dedup();
        for &o in &offers {
            self.fit_stock(o, &mut freed);
        }
        self.release_homeless();
        if !freed.is_empty() {
            offers.iter().for_each(|&o| self.mark_roomy(o));
        }
        self.awake.extend(freed);
    }

    pub(crate) fn store(&self, o: u32) -> &StoreId {
        &self.offer(o).placed.offer.key.store
    }

    /// The order of two offers' stores.
    #[inline]
    pub(crate) fn by_stores(&self, a: u32, b: u32) -> Ordering {
        let by_order = self.offer(a).order.cmp(&self.offer(b).order);
        by_order.then_with(|| self.store(a).cmp(self.store(b)))
    }

    /// The windows by slot, then store: an order that no index and no history enters.
    pub(crate) fn in_order<'a>(
        &self,
        windows: impl IntoIterator<Item = &'a (Slot, u32)>,
    ) -> Vec<(Slot, u32)> {
        let mut list: Vec<(Slot, u32)> = windows
            .into_iter()
            .copied()
            .filter(|(slot, o)| {
                self.offers[*o as usize].as_ref().is_some_and(|offer| offer.window(*slot).is_some())
            })
            .collect();
        list.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| self.by_stores(a.1, b.1)));
        list
    }

    /// Sends away who is no longer allowed in the window.
    fn drop_unfit(&mut self, o: u32, slot: Slot) -> Vec<u32> {
        let window = self.offer(o).window(slot).expect("in order");
        let (rest, gone): (Vec<Candidate>, Vec<Candidate>) =
            window.members.iter().partition(|c| self.eligible(o, c.intent, slot));
        if !gone.is_empty() {
            self.seat(o, slot, rest);
        }
        gone.iter().map(|c| c.intent).collect()
    }

    /// Seats everybody who accepted this window, with whatever company that takes; releases those
    /// whose price no group can hold, the lowest price first. Returns the windows robbed.
    fn hold(&mut self, o: u32, slot: Slot, whom: Whom, freed: &mut Vec<u32>) -> Vec<(Slot, u32)> {
        let window = self.offer(o).window(slot).expect("in order");
        let before: Vec<u32> = window.members.iter().map(|c| c.intent).collect();
        let mut robbed = Vec::new();
        loop {
            let pinned: Vec<u32> = self.pinned_here(o, slot);
            if pinned.is_empty() {
                if self.settle(o, slot).is_err() {
                    self.disband(o, slot);
                }
                break;
            }
            let elsewhere = self.pinned_units_elsewhere(o, slot);
            let mine: i64 = self.units_in(o, slot);
            let stock = self.offer(o).placed.stock;
            let polite = stock - (self.offer(o).used - mine);
            let picked = self
                .group_for(o, slot, polite, whom)
                .or_else(|| self.group_for(o, slot, stock - elsewhere, whom));
            if let Some((items, group)) = picked {
                let from = self.gather(&mut Trial::default(), o, slot, &items, &group);
                robbed.extend(from.into_iter().map(|(o, slot)| (slot, o)));
                if self.settle(o, slot).is_ok() {
                    break;
                }
            }
            let lost = self.most_demanding(&pinned);
            self.release(lost);
        }
        freed.extend(before.into_iter().filter(|&i| self.hot[i as usize].home == Home::Free));
        robbed
    }

    /// Those who accepted the window and have not been released.
    fn pinned_here(&self, o: u32, slot: Slot) -> Vec<u32> {
        let key = (slot, self.store(o).clone());
        let ids = self.pins.get(&key).into_iter().flatten();
        ids.filter_map(|id| self.intents.find(id))
            .filter(|&i| self.eligible(o, i, slot) && self.candidate_of(o, i).is_some())
            .collect()
    }

    fn units_in(&self, o: u32, slot: Slot) -> i64 {
        let window = self.offer(o).window(slot);
        window.map_or(0, |w| w.members.iter().map(|c| c.quantity() as i64).sum())
    }

    fn pinned_units_elsewhere(&self, o: u32, slot: Slot) -> i64 {
        let others = self.offer(o).windows.iter().filter(|w| w.slot != slot);
        others
            .flat_map(|w| &w.members)
            .filter(|c| self.pinned(c.intent))
            .map(|c| c.quantity() as i64)
            .sum()
    }

    /// Of those who accepted: the one at the lowest price, of equal ones the last id.
    fn most_demanding(&self, pinned: &[u32]) -> u32 {
        *pinned
            .iter()
            .min_by_key(|&&i| {
                let intent = &self.node(i).intent;
                (self.limit_at(i), std::cmp::Reverse(&intent.id))
            })
            .expect("somebody accepted")
    }

    /// The greatest price that a buyer who accepted can be held at.
    fn limit_at(&self, i: u32) -> i32 {
        let o = self.node(i).edges[0];
        let at = self.candidate_of(o, i);
        at.map_or(-1, |at| self.limit_of(&self.offer(o).candidates[at]))
    }

    fn release(&mut self, i: u32) {
        if let Home::In(o, _) = self.hot[i as usize].home {
            self.mark_roomy(o);
        }
        self.leave(i);
        self.hot[i as usize].released = true;
        for o in self.node(i).edges.clone() {
            self.unprove(o);
        }
        let windows = self.windows_of(i);
        self.dirty.extend(&windows);
        self.stale.extend(windows);
    }

    /// Who accepted a window that no longer exists has lost the promise.
    fn release_homeless(&mut self) {
        for (slot, store) in self.pins.keys().cloned().collect::<Vec<_>>() {
            let o = self.by_store.get(&store).copied();
            if o.is_some_and(|o| self.offer(o).window(slot).is_some()) {
                continue;
            }
            for id in self.pins[&(slot, store)].iter().cloned().collect::<Vec<_>>() {
                let i = self.intents.find(&id).expect("who is noted is here");
                if !self.hot[i as usize].released {
                    self.release(i);
                }
            }
        }
    }

    /// R7: while the offer's windows hold more units than its stock, the member worth least goes;
    /// those last whom a promise needs.
    fn fit_stock(&mut self, o: u32, freed: &mut Vec<u32>) {
        while self.offer(o).used > self.offer(o).placed.stock.max(0) {
            let mut members: Vec<(bool, bool, i64, Slot, u32)> = Vec::new();
            let offer = self.offer(o);
            for window in &offer.windows {
                let tier = window.tier as usize;
                members.extend(window.members.iter().map(|c| {
                    let weight = self.weight(o, c, window, tier);
                    let needed = self.loss(c.intent).is_none();
                    (self.pinned(c.intent), needed, weight, window.slot, c.intent)
                }));
            }
            let worst = members.into_iter().min_by(|a, b| {
                (a.0, a.1, a.2, b.3)
                    .cmp(&(b.0, b.1, b.2, a.3))
                    .then_with(|| self.node(b.4).intent.id.cmp(&self.node(a.4).intent.id))
            });
            let (pinned, _, _, slot, i) = worst.expect("units are used by members");
            if pinned {
                self.release(i);
            } else {
                self.leave(i);
                freed.push(i);
            }
            self.dirty.insert((slot, o));
            loop {
                match self.settle(o, slot) {
                    Ok(gone) => break freed.extend(gone),
                    Err(Broken) => {
                        let lost = self.most_demanding(&self.pinned_here(o, slot));
                        self.release(lost);
                    }
                }
            }
        }
    }

    /// The best group of a window if every buyer who would be taken from elsewhere costs what the
    /// objective loses there; at most `units` units.
    ///
    /// Buyers who accepted this window are in it, whatever the worth of the group.
    pub(crate) fn group_for(
        &self,
        o: u32,
        slot: Slot,
        units: i64,
        whom: Whom,
    ) -> Option<(Vec<Item>, Group)> {
        let items = self.items_for(o, slot, whom)?;
        let offer = self.offer(o);
        let frame = Frame::of(offer.tiers(), offer.max_group(), units);
        let group = best_group(&items, frame)?;
        Some((items, group))
    }

    /// Who could be in the window, by their places among the offer's candidates, and at what cost to
    /// the objective elsewhere.
    pub(crate) fn items_for(&self, o: u32, slot: Slot, whom: Whom) -> Option<Vec<Item>> {
        let offer = self.offer(o);
        let window = offer.window(slot)?;
        if offer.candidates.len() < offer.tiers()[0].min_buyers as usize {
            return None;
        }
        let places = self.who_may(o, slot);
        let everyone = whom == Whom::Everyone;
        let losses = if everyone { self.kept_losses(o, &places) } else { vec![0; places.len()] };
        let mut items: Vec<Item> = Vec::with_capacity(places.len());
        for (&who, &loss) in places.iter().zip(&losses) {
            let c = &offer.candidates[who as usize];
            let cost = match self.hot[c.intent as usize].home {
                Home::Free => 0,
                home if home == Home::In(o, slot) => 0,
                Home::In(..) if !everyone => continue,
                Home::In(..) => match self.known_loss(c.intent, loss) {
                    Some(loss) => loss,
                    None => continue,
                },
            };
            let extra = window.visit_value + self.bonus(o, c.intent, slot) - cost;
            items.push(Item {
                worth: c.base() + extra,
                who,
                quantity: c.quantity(),
                units: c.quantity(),
                limit: self.limit_of(c),
                bound_here: self.pinned(c.intent),
            });
        }
        Some(items)
    }

    /// Seats the group, taking its members from wherever they are; who was in the window and is
    /// not in the group is free. The windows that lost somebody are settled by the caller.
    pub(crate) fn gather(
        &mut self,
        trial: &mut Trial,
        o: u32,
        slot: Slot,
        items: &[Item],
        group: &Group,
    ) -> Vec<(u32, Slot)> {
        let mut robbed = Vec::new();
        let members = group.chosen.iter().map(|&n| {
            let at = items[n].who as usize;
            self.offer(o).candidates[at]
        });
        let members: Vec<Candidate> = members.collect();
        let mut taken: Vec<u32> = Vec::new();
        for i in members.iter().map(|c| c.intent) {
            if let Home::In(from, s) = self.hot[i as usize].home
                && (from, s) != (o, slot)
            {
                taken.push(i);
                if !robbed.contains(&(from, s)) {
                    robbed.push((from, s));
                }
            }
        }
        taken.sort_unstable();
        for &(from, s) in &robbed {
            self.touch(trial, from, s);
            let window = self.offer(from).window(s).expect("a home is a window");
            let stays = |c: &&Candidate| taken.binary_search(&c.intent).is_err();
            let rest = window.members.iter().filter(stays).copied().collect();
            self.seat(from, s, rest);
            self.dirty.insert((s, from));
        }
        self.touch(trial, o, slot);
        self.seat(o, slot, members);
        robbed
    }
}
