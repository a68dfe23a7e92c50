//! Greedy on arrival: whoever comes joins, or opens with others who wait, the window that gains most
//! at once; nothing is reconsidered.
//!
//! Windows and waiting lists are kept by (offer, slot), as a careful team would: no arrival looks at
//! anything out of its reach.

use super::town::{Change, Group, Town};
use dataflows::market::{IntentId, ProductId, Slot, StoreId, Time};
use std::collections::{BTreeMap, BTreeSet};

/// A store in a slot, for a product.
type Place = (ProductId, StoreId, Slot);

/// The greedy's state beside the town's.
#[derive(Default)]
pub(crate) struct Arrival {
    windows: BTreeMap<Place, Vec<IntentId>>,
    /// Those in no window who could be there.
    waiting: BTreeMap<Place, BTreeSet<IntentId>>,
    /// Where each could be, and where it is.
    places: BTreeMap<IntentId, Vec<Place>>,
    home: BTreeMap<IntentId, Place>,
}

impl Arrival {
    /// What the windows that are open are worth.
    pub(crate) fn standing(&self, town: &Town) -> i64 {
        let value = |(place, members): (&Place, &Vec<IntentId>)| {
            town.value(&place.0, &group(place, members.clone())).unwrap_or(0)
        };
        self.windows.iter().map(value).sum()
    }

    /// Takes in what an event changed.
    pub(crate) fn take(&mut self, town: &Town, now: Time, change: Change) {
        match change {
            Change::Put(product, id) => {
                self.forget(town, now, &id);
                self.come(town, now, &product, id);
            }
            Change::Gone(id) => self.forget(town, now, &id),
            Change::Shelf(product, store) => {
                let from = (product.clone(), store.clone(), Slot(i32::MIN));
                let of = self.windows.range(from..);
                let of = of.take_while(|(place, _)| place.0 == product && place.1 == store);
                let places: Vec<Place> = of.map(|(place, _)| place.clone()).collect();
                places.iter().for_each(|place| self.mend(town, now, place));
            }
            Change::Nothing => {}
        }
    }

    /// Locks what is due, and forgets whose time is over.
    pub(crate) fn pass(&mut self, town: &mut Town, now: Time) {
        let lead = |town: &Town, place: &Place| {
            let shelf = town.shelves.get(&place.0).and_then(|all| all.get(&place.1));
            town.params.lock_at(place.2, shelf.and_then(|shelf| shelf.offer.lead_minutes))
        };
        let due: Vec<Place> =
            self.windows.keys().filter(|place| lead(town, place) <= now).cloned().collect();
        for place in due {
            let members = self.windows.remove(&place).expect("just listed");
            members.iter().for_each(|id| self.leave_lists(id));
            town.lock(&place.0, group(&place, members));
        }
        for id in town.expire(now) {
            self.forget(town, now, &id);
        }
    }

    /// Somebody has come: to the best window that gains.
    fn come(&mut self, town: &Town, now: Time, product: &ProductId, id: IntentId) {
        let Some(wish) = town.wishes.get(product).and_then(|all| all.get(&id)) else { return };
        let intent = &wish.intent;
        let mut places: Vec<Place> = Vec::new();
        for (store, shelf) in town.shelves.get(product).into_iter().flatten() {
            let Some(place) = town.place(store) else { continue };
            if intent.place.surely_beyond(place, intent.reach_m)
                || intent.place.distance_m(place) > intent.reach_m
            {
                continue;
            }
            let open = intent.slots.iter().filter(|slot| town.is_open(shelf, *slot, now));
            places.extend(open.map(|slot| (product.clone(), store.clone(), slot)));
        }
        self.places.insert(id.clone(), places);
        self.wait(&id);
        self.settle(town, &id);
    }

    fn wait(&mut self, id: &IntentId) {
        for place in self.places.get(id).into_iter().flatten() {
            self.waiting.entry(place.clone()).or_default().insert(id.clone());
        }
    }

    /// Of all windows that somebody who waits could be in, the one that gains most takes it.
    fn settle(&mut self, town: &Town, id: &IntentId) {
        let mut best: Option<(i64, &Place, Vec<IntentId>)> = None;
        for place in self.places.get(id).into_iter().flatten() {
            let now = self.windows.get(place);
            let before = now.map_or(0, |members| {
                town.value(&place.0, &group(place, members.clone())).unwrap_or(0)
            });
            let Some((value, members)) = self.with(town, place, id) else { continue };
            let gain = value - before;
            if gain > 0 && best.as_ref().is_none_or(|best| gain > best.0) {
                best = Some((gain, place, members));
            }
        }
        let Some((_, place, members)) = best else { return };
        let place = place.clone();
        for member in &members {
            self.leave_waiting(member);
            self.home.insert(member.clone(), place.clone());
        }
        self.windows.insert(place, members);
    }

    /// The window with somebody more; if it is closed, with those who wait and gain most there.
    fn with(&self, town: &Town, place: &Place, id: &IntentId) -> Option<(i64, Vec<IntentId>)> {
        if let Some(members) = self.windows.get(place) {
            let mut members = members.clone();
            members.push(id.clone());
            let value = town.value(&place.0, &group(place, members.clone()))?;
            return Some((value, members));
        }
        let shelf = town.shelves.get(&place.0)?.get(&place.1)?;
        let store = town.place(&place.1)?;
        let wishes = town.wishes.get(&place.0)?;
        let waiting = self.waiting.get(place)?;
        let tiers = shelf.offer.tiers.as_slice();
        let reached = tiers.iter().filter(|tier| tier.min_buyers as usize <= waiting.len());
        let groups = reached.filter_map(|tier| {
            let gain = |id: &IntentId| {
                let intent = &wishes.get(id)?.intent;
                let distance_m = intent.place.distance_m(store);
                let travel = town.params.travel(distance_m);
                intent.gain(shelf.offer.list_price, tier.price, distance_m, travel)
            };
            gain(id)?;
            let mut others: Vec<(i64, &IntentId)> = waiting
                .iter()
                .filter(|other| *other != id)
                .filter_map(|other| Some((gain(other)?, other)))
                .collect();
            others.sort_by(|a, b| b.cmp(a));
            let most = shelf.offer.max_group as usize - 1;
            let mut members = vec![id.clone()];
            members.extend(others.into_iter().take(most).map(|(_, other)| other.clone()));
            // Fewer, while there are not enough units.
            while members.len() >= tier.min_buyers as usize {
                if let Some(value) = town.value(&place.0, &group(place, members.clone())) {
                    return Some((value, members));
                }
                members.pop();
            }
            None
        });
        groups.max_by_key(|(value, _)| *value)
    }

    /// Somebody is gone, or will come anew.
    fn forget(&mut self, town: &Town, now: Time, id: &IntentId) {
        let home = self.home.get(id).cloned();
        self.leave_lists(id);
        if let Some(place) = home
            && let Some(members) = self.windows.get_mut(&place)
        {
            members.retain(|member| member != id);
            self.mend(town, now, &place);
        }
    }

    fn leave_waiting(&mut self, id: &IntentId) {
        for place in self.places.get(id).into_iter().flatten() {
            if let Some(waiting) = self.waiting.get_mut(place) {
                waiting.remove(id);
                if waiting.is_empty() {
                    self.waiting.remove(place);
                }
            }
        }
    }

    fn leave_lists(&mut self, id: &IntentId) {
        self.leave_waiting(id);
        self.places.remove(id);
        self.home.remove(id);
    }

    /// A window that can no longer be as it is comes apart; its buyers try again.
    fn mend(&mut self, town: &Town, now: Time, place: &Place) {
        let Some(members) = self.windows.get(place) else { return };
        let shelf = town.shelves.get(&place.0).and_then(|all| all.get(&place.1));
        let open = shelf.is_some_and(|shelf| town.is_open(shelf, place.2, now));
        if open && town.value(&place.0, &group(place, members.clone())).is_some() {
            return;
        }
        let members = self.windows.remove(place).expect("just found");
        for id in &members {
            self.home.remove(id);
            self.wait(id);
        }
        for id in &members {
            if !self.home.contains_key(id) {
                self.settle(town, id);
            }
        }
    }
}

fn group((_, store, slot): &Place, members: Vec<IntentId>) -> Group {
    Group { store: store.clone(), slot: *slot, members }
}
