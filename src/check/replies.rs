//! What replies and arrivals do, judged by what was announced before their tick.

use super::intents::{Accepted, Entry, Wish, World};
use super::life::{hashed, window_of};
use super::moment::Moment;
use super::outcome::Outcomes;
use super::state::{Reference, fits};
use super::table::REMEMBERED_MS;
use dataflows::market::{Answer, EventId, IntentId, State, Tick, limits};
use std::rc::Rc;

/// How long after its slot a window is known for certain, in milliseconds.
const KNOWN_MS: i64 = 6 * 3_600_000;

impl Reference<'_> {
    /// Outcomes that the window's age adds: one that is not known, or no longer.
    fn by_age(&self, id: &str, old: Outcomes, moment: Moment) -> Outcomes {
        let key = window_of(id, self);
        let over_ms = key.map(|key| moment.now.0 - self.params.slot.end(key.slot).0);
        match (self.windows.get(id), over_ms) {
            (Some(_), Some(over_ms)) if over_ms < KNOWN_MS => Outcomes::NONE,
            (Some(_), _) => Outcomes::INVALID,
            (None, Some(over_ms)) if over_ms < REMEMBERED_MS => Outcomes::INVALID,
            // It may be a window that ended long ago; of a hashed id that cannot be told.
            (None, _) if hashed(id) || over_ms.is_some() => Outcomes::INVALID | old,
            (None, _) => Outcomes::INVALID,
        }
    }

    /// A buyer's answer.
    pub(super) fn reply(
        &mut self,
        id: &str,
        intent: &IntentId,
        event: EventId,
        revision: u64,
        answer: Answer,
        tick: Tick,
    ) -> Outcomes {
        let old = Outcomes::LATE | Outcomes::DUPLICATE;
        let aged = self.by_age(id, old, self.moment(tick));
        aged | self.answer(id, intent, event, revision, answer, tick)
    }

    /// An answer to a window that is known.
    fn answer(
        &mut self,
        id: &str,
        intent: &IntentId,
        event: EventId,
        revision: u64,
        answer: Answer,
        tick: Tick,
    ) -> Outcomes {
        let moment = self.moment(tick);
        let event = (id.to_string(), event);
        let known = self.events.get(&event).copied();
        let Some(window) = self.windows.get_mut(id) else { return Outcomes::NONE };
        let repeated = if known.is_some() { Outcomes::DUPLICATE } else { Outcomes::LATE };
        match (window.state, answer) {
            (State::Withdrawn, _) | (State::Proposed, Answer::Accept) => {}
            (State::Proposed, Answer::Decline) => window.declines += 1,
            _ => return Outcomes::LATE | repeated,
        }
        if known == Some(true) {
            return Outcomes::DUPLICATE;
        }
        if revision > window.revision {
            // Nobody can answer what has not been said.
            let repeated = if known.is_some() { Outcomes::DUPLICATE } else { Outcomes::NONE };
            return Outcomes::INVALID | Outcomes::SUPERSEDED | repeated;
        }
        let doubt = known.is_some() || window.declines > limits::MAX_DECLINED;
        let window = &*window;
        let member = window.has_member(intent.as_str());
        let price = usize::try_from(revision).ok().and_then(|n| window.price_of(n));
        let entry = self.intents.get_mut(intent);
        let outcomes = match answer {
            Answer::Accept => {
                let announced = window.message.price.unit;
                let price = price.filter(|price| member && *price >= announced);
                let (Some(price), State::Proposed) = (price, window.state) else {
                    let most = Outcomes::SUPERSEDED;
                    return if doubt { most | Outcomes::DUPLICATE } else { most };
                };
                let pin = Accepted { window: window.id.clone(), price };
                let fits = |wish: &Wish| fits(&self.windows, &self.stores, self.params, &pin, wish);
                entry.map_or(Outcomes::INVALID | Outcomes::SUPERSEDED, |entry| {
                    accept(entry, &pin, moment, doubt, fits)
                })
            }
            Answer::Decline => {
                let certain = window.state == State::Proposed && !doubt;
                let id = window.id.clone();
                entry.map_or(Outcomes::INVALID | Outcomes::APPLIED | Outcomes::SUPERSEDED, |e| {
                    decline(e, id, moment, certain)
                })
            }
        };
        let counted = outcomes == Outcomes::APPLIED;
        self.events.insert(event, counted || known == Some(true));
        if doubt {
            return outcomes | Outcomes::DUPLICATE | Outcomes::INVALID;
        }
        outcomes
    }

    /// What happened at a window.
    pub(super) fn arrival(
        &mut self,
        id: &str,
        intent: &IntentId,
        event: EventId,
        tick: Tick,
    ) -> Outcomes {
        let old = Outcomes::APPLIED | Outcomes::DUPLICATE;
        self.by_age(id, old, self.moment(tick)) | self.arrive(id, intent, event)
    }

    /// An arrival at a window that is known.
    fn arrive(&mut self, id: &str, intent: &IntentId, event: EventId) -> Outcomes {
        let Some(window) = self.windows.get_mut(id) else { return Outcomes::NONE };
        let after = matches!(window.state, State::Locked | State::Active | State::Closed);
        let right = after && window.has_member(intent.as_str());
        let event = (id.to_string(), event);
        match self.events.get(&event) {
            Some(true) if right => Outcomes::DUPLICATE,
            Some(_) if right => Outcomes::DUPLICATE | Outcomes::APPLIED,
            Some(_) => Outcomes::INVALID | Outcomes::DUPLICATE,
            None if right => {
                self.events.insert(event, true);
                Outcomes::APPLIED
            }
            None => Outcomes::INVALID,
        }
    }
}

/// The buyer accepted: every world is pinned; where that is open, the worlds before stay too.
fn accept(
    entry: &mut Entry,
    pin: &Accepted,
    moment: Moment,
    doubt: bool,
    fits: impl Fn(&Wish) -> bool,
) -> Outcomes {
    let declined = entry.declined.iter().any(|(window, _)| *window == pin.window);
    let mut certain = !doubt && !declined;
    for world in std::mem::take(&mut entry.worlds) {
        let over = |wish: &Rc<Wish>| wish.over(moment.now, moment.length);
        let Some(wish) = world.wish.clone().filter(|wish| !over(wish)) else {
            certain = false;
            entry.add(world);
            continue;
        };
        let firm = !doubt && !declined && fits(&wish);
        entry.add(World { wish: Some(wish.clone()), pin: Some(pin.clone()) });
        match &world.pin {
            Some(old) if old.window == pin.window => {
                let price = old.price.min(pin.price);
                let pin = Some(Accepted { price, ..pin.clone() });
                entry.add(World { wish: Some(wish), pin });
            }
            None if firm => {}
            _ => {
                certain = false;
                entry.add(world);
            }
        }
    }
    if certain { Outcomes::APPLIED } else { Outcomes::APPLIED | Outcomes::SUPERSEDED }
}

/// The buyer declined: never that window again, and no promise of it.
fn decline(entry: &mut Entry, id: Rc<str>, moment: Moment, certain: bool) -> Outcomes {
    for mut world in std::mem::take(&mut entry.worlds) {
        if world.pin.as_ref().is_some_and(|pin| pin.window == id) {
            if !certain {
                entry.add(world.clone());
            }
            world.pin = None;
        }
        entry.add(world);
    }
    if certain && entry.surely_alive(moment) {
        entry.declined.push((id, moment.tick));
        return Outcomes::APPLIED;
    }
    entry.declined_perhaps.push((id, moment.tick));
    Outcomes::APPLIED | Outcomes::SUPERSEDED | Outcomes::DUPLICATE | Outcomes::INVALID
}
