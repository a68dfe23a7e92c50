//! Which decisions go out at a tick, and what they say.
//!
//! A window's first proposal waits until its group has held for the settle time, and revisions
//! keep that distance, so that churn does not reach workers. Beyond that, consistency rules: a
//! revision that brings a buyer in goes out with or after the one that gives the buyer up. What
//! locks goes out at once, and pulls along whatever still holds one of its buyers.

use super::announce::announced;
use super::book::Book;
use super::life::{Feedback, Life};
use super::window::{Announced, Timer};
use crate::lists::make_room;
use crate::market::{Change, Decision, Departure, IntentId, Reason, State, Tick, WindowKey};
use crate::solver::GroupedWindow;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Windows whose timers are due at a tick.
#[derive(Default)]
struct Fired {
    due: BTreeSet<WindowKey>,
    locking: BTreeSet<WindowKey>,
    starting: Vec<WindowKey>,
    ending: Vec<WindowKey>,
}

impl Life {
    /// Everything that happens to windows at this tick: the decisions, in the order in which a
    /// reader should take them.
    pub(super) fn tick(
        &mut self,
        tick: Tick,
        sequence: u64,
        book: &Book,
        broken: Vec<(WindowKey, Reason)>,
    ) -> Vec<Decision> {
        let mut out = Vec::new();
        let mut fired = self.fire(tick);
        self.note_releases(book);
        for (key, reason) in broken {
            out.push(self.cancel(tick, sequence, &key, reason));
        }
        let open = |life: &Self, key: &WindowKey| {
            life.windows.get(key).is_some_and(|w| {
                matches!(w.state, State::Forming | State::Proposed | State::Withdrawn)
            })
        };
        fired.locking.retain(|key| open(self, key) && self.windows[key].locks_at <= tick);
        let mut due = std::mem::take(&mut self.pending);
        due.append(&mut fired.due);
        due.retain(|key| open(self, key));
        let publish = self.publishable(tick, &due, &fired.locking);
        for key in &publish {
            let locks = fired.locking.contains(key);
            out.extend(self.publish(tick, sequence, book, key, locks));
        }
        for key in due.difference(&publish) {
            self.wait(tick, key);
        }
        // A window without a lead time locks and starts at once.
        let at_once = self.fire(tick);
        for key in fired.starting.iter().chain(&at_once.starting) {
            out.extend(self.start(tick, sequence, key));
        }
        for key in fired.ending.iter().chain(&at_once.ending) {
            out.extend(self.end(tick, sequence, key));
        }
        self.describe_next(&mut out);
        out.sort_by(|a, b| (rank(a.state), &a.window).cmp(&(rank(b.state), &b.window)));
        out
    }

    /// Takes the timers that are due.
    fn fire(&mut self, tick: Tick) -> Fired {
        let mut fired = Fired::default();
        while self.timers.first().is_some_and(|timer| timer.0 <= tick) {
            let Some((_, key, timer)) = self.timers.pop_first() else { break };
            let key = WindowKey::clone(&key);
            match timer {
                Timer::Due => {
                    fired.due.insert(key);
                }
                Timer::Lock => {
                    fired.locking.insert(key);
                }
                Timer::Start => fired.starting.push(key),
                Timer::End => fired.ending.push(key),
                Timer::Forget => self.forget(&key),
            }
        }
        fired
    }

    /// The windows of `due` whose decision may go out now. What locks always may.
    fn publishable(
        &self,
        tick: Tick,
        due: &BTreeSet<WindowKey>,
        locking: &BTreeSet<WindowKey>,
    ) -> BTreeSet<WindowKey> {
        // Forced: what locks, and whatever still holds a buyer that a forced one takes.
        let mut forced: BTreeSet<WindowKey> = locking.clone();
        let mut queue: Vec<WindowKey> = locking.iter().cloned().collect();
        while let Some(key) = queue.pop() {
            for holder in self.holders(&key) {
                if forced.insert(holder.clone()) {
                    queue.push(holder.clone());
                }
            }
        }
        let mut may: BTreeSet<WindowKey> = due
            .iter()
            .filter(|key| forced.contains(*key) || self.windows[*key].due <= tick)
            .cloned()
            .collect();
        may.extend(forced.iter().cloned());
        loop {
            let blocked: Vec<WindowKey> = may
                .iter()
                .filter(|key| !forced.contains(*key))
                .filter(|key| self.holders(key).any(|holder| !may.contains(holder)))
                .cloned()
                .collect();
            if blocked.is_empty() {
                return may;
            }
            for key in blocked {
                may.remove(&key);
            }
        }
    }

    /// Other windows in whose last announcement a member of this one's group still is.
    fn holders<'a>(&'a self, key: &'a WindowKey) -> impl Iterator<Item = &'a WindowKey> {
        let group = self.windows.get(key).and_then(|w| w.group.as_deref());
        let members = group.into_iter().flat_map(|g| &g.members);
        let holders = members.filter_map(|(id, _)| self.seats.announced_in(id));
        holders.filter(move |holder| *holder != key)
    }

    /// The window is looked at again when it, and who holds its buyers, may be revised.
    fn wait(&mut self, tick: Tick, key: &WindowKey) {
        let until = self
            .holders(key)
            .chain([key])
            .filter_map(|key| self.windows.get(key))
            .map(|w| w.due)
            .max()
            .unwrap_or(tick)
            .max(tick.next());
        self.set_timer(until, key, Timer::Due);
    }

    /// Promises that the grouping no longer holds are to be released. Until that is announced they
    /// stand: nobody is asked for more than was accepted without having been told. A promise that
    /// the buyer gave up, by wanting something else for a while, is none any more.
    fn note_releases(&mut self, book: &Book) {
        let (mut given_up, mut released) = (Vec::new(), Vec::new());
        for key in &self.pending {
            let Some(window) = self.windows.get(key) else { continue };
            if window.state != State::Proposed {
                continue;
            }
            for id in &window.said().accepted {
                if self.seats.grouped_in(id) != Some(key) {
                    released.push((key.clone(), id.clone()));
                } else if !pinned(book, key, id) {
                    given_up.push((key.clone(), id.clone()));
                }
            }
        }
        for (key, id) in given_up {
            self.windows.get_mut(&key).expect("listed").hear().accepted.remove(&id);
        }
        for (key, id) in released {
            let said = self.windows.get_mut(&key).expect("listed").hear();
            said.accepted.remove(&id);
            said.released.insert(id, Reason::NoGroup);
        }
    }

    /// Whoever was to be released and is in the group again, under the promise, is held after all.
    fn hold_again(&mut self, book: &Book, key: &WindowKey, group: &GroupedWindow) {
        let Some(said) = self.windows.get_mut(key).expect("listed").said_mut() else { return };
        for (id, _) in &group.members {
            if said.released.contains_key(id) && pinned(book, key, id) {
                said.released.remove(id);
                said.accepted.insert(id.clone());
            }
        }
    }

    /// The releases of the window are announced: their buyers are free.
    fn free_released(&mut self, key: &WindowKey) {
        let Some(said) = self.windows.get_mut(key).expect("listed").said_mut() else { return };
        let released = std::mem::take(&mut said.released);
        self.feedback.extend(released.into_keys().map(Feedback::Release));
    }

    /// The decision of a window whose group or price is not what was announced, if there is one.
    fn publish(
        &mut self,
        tick: Tick,
        sequence: u64,
        book: &Book,
        key: &WindowKey,
        locks: bool,
    ) -> Option<Decision> {
        let window = self.windows.get_mut(key).expect("listed");
        let Some(group) = window.group.take() else {
            return match window.state {
                State::Proposed => Some(self.withdraw(tick, sequence, book, key)),
                _ => None,
            };
        };
        let decision = self.revise(tick, sequence, book, key, &group, locks);
        self.windows.get_mut(key).expect("listed").group = Some(group);
        decision
    }

    /// The same of a window with that group.
    fn revise(
        &mut self,
        tick: Tick,
        sequence: u64,
        book: &Book,
        key: &WindowKey,
        group: &Arc<GroupedWindow>,
        locks: bool,
    ) -> Option<Decision> {
        let before = self.windows[key].announced.clone();
        self.hold_again(book, key, group);
        let window = &self.windows[key];
        let now = announced(&self.params, book, window, group);
        let same = before.as_ref().is_some_and(|b| b.says(&now));
        if same && !locks {
            return None;
        }
        let left = self.left(book, key, before.as_deref(), Some(group));
        let previous = window.state;
        let settled = self.after_settle(tick);
        let window = self.windows.get_mut(key).expect("just read");
        window.state = if locks { State::Locked } else { State::Proposed };
        window.revision += 1;
        window.due = settled;
        make_room(&mut window.prices);
        window.prices.push((window.revision, now.quote.unit));
        window.announced = Some(Arc::new(now));
        if let Some(said) = window.said_mut() {
            said.declined.clear();
        }
        window.edited = None;
        self.free_released(key);
        let reason = match (locks, previous) {
            (true, _) => Reason::LeadTime,
            (false, State::Proposed) => Reason::Revised,
            (false, _) => Reason::Formed,
        };
        self.ids.insert(key.id(self.params.slot).into(), self.windows[key].key.clone());
        self.seat(key, before.as_deref());
        if locks {
            self.lock(key);
        }
        let mut decision = self.decision(tick, sequence, key, previous, reason);
        for member in &mut decision.members {
            let was = before.as_deref().filter(|b| b.has(&member.intent));
            member.change = match was {
                None => Change::Joined,
                Some(b) if b.quote.unit != decision.quote.unit => Change::Repriced,
                Some(_) => Change::Kept,
            };
        }
        decision.left = left;
        Some(decision)
    }

    /// Keeps the seats true, and tells the market who joined and who left (R9).
    fn seat(&mut self, key: &WindowKey, before: Option<&Announced>) {
        let window = &self.windows[key];
        let now = window.announced.as_deref();
        for id in before.into_iter().flat_map(Announced::ids) {
            if now.is_none_or(|now| !now.has(id)) {
                if self.seats.announced_in(id) == Some(key) {
                    self.seats.unannounce(id);
                }
                self.removed.remove(id);
                self.feedback.push(Feedback::Unannounce(id.clone(), key.clone()));
            }
        }
        for id in now.into_iter().flat_map(Announced::ids) {
            if before.is_none_or(|before| !before.has(id)) {
                self.feedback.push(Feedback::Announce(id.clone(), key.clone()));
            }
            self.seats.announce(id, &window.key);
        }
    }

    fn lock(&mut self, key: &WindowKey) {
        let params = self.params.clone();
        self.feedback.push(Feedback::Lock(key.clone(), self.members(key)));
        let start = params.tick_from(params.slot.start(key.slot));
        let end = params.tick_from(params.slot.end(key.slot));
        self.set_timer(start, key, Timer::Start);
        self.set_timer(end, key, Timer::End);
    }

    fn withdraw(&mut self, tick: Tick, sequence: u64, book: &Book, key: &WindowKey) -> Decision {
        let before = self.windows[key].announced.clone();
        let left = self.left(book, key, before.as_deref(), None);
        let reason = self.premise(book, key).unwrap_or_else(|| {
            if book.units(&key.offer()) <= 0 {
                Reason::StockGone
            } else if left.iter().any(|l| l.departure == Departure::Moved) {
                Reason::Moved
            } else {
                Reason::NoGroup
            }
        });
        let settled = self.after_settle(tick);
        let window = self.windows.get_mut(key).expect("listed");
        window.state = State::Withdrawn;
        window.revision += 1;
        window.due = settled;
        if let Some(said) = window.said_mut() {
            said.accepted.clear();
            said.declined.clear();
        }
        window.edited = None;
        self.free_released(key);
        let mut decision = self.decision(tick, sequence, key, State::Proposed, reason);
        decision.members.clear();
        decision.value = 0;
        decision.left = left;
        self.windows.get_mut(key).expect("listed").announced = None;
        self.seat(key, before.as_deref());
        self.counts.withdrawn += 1;
        decision
    }

    fn cancel(&mut self, tick: Tick, sequence: u64, key: &WindowKey, reason: Reason) -> Decision {
        let window = self.windows.get_mut(key).expect("a held window");
        let previous = window.state;
        window.state = State::Cancelled;
        window.revision += 1;
        let before = window.announced.clone();
        let mut decision = self.decision(tick, sequence, key, previous, reason);
        decision.members.clear();
        decision.value = 0;
        decision.left = before
            .iter()
            .flat_map(|b| b.buyers())
            .map(|member| self.leaves(member, Departure::Released(reason)))
            .collect();
        let window = self.windows.get_mut(key).expect("a held window");
        window.announced = None;
        for id in before.iter().flat_map(|b| b.ids()) {
            self.seats.unannounce(id);
        }
        self.counts.cancelled += 1;
        decision
    }

    fn start(&mut self, tick: Tick, sequence: u64, key: &WindowKey) -> Option<Decision> {
        let window = self.windows.get_mut(key).filter(|w| w.state == State::Locked)?;
        window.state = State::Active;
        window.revision += 1;
        Some(self.decision(tick, sequence, key, State::Locked, Reason::SlotStart))
    }

    fn end(&mut self, tick: Tick, sequence: u64, key: &WindowKey) -> Option<Decision> {
        let window = self.windows.get_mut(key)?;
        if window.state == State::Cancelled {
            self.feedback.push(Feedback::Vacate(key.clone()));
            return None;
        }
        let previous = window.state;
        window.state = State::Closed;
        window.revision += 1;
        let decision = self.decision(tick, sequence, key, previous, Reason::SlotEnd);
        let members: Vec<IntentId> = decision.members.iter().map(|m| m.intent.clone()).collect();
        for id in &members {
            self.seats.unannounce(id);
        }
        self.feedback.push(Feedback::Close(key.clone(), members));
        self.counts.closed += 1;
        Some(decision)
    }
}

/// Whether the book holds the intent's promise to be in that window.
fn pinned(book: &Book, key: &WindowKey, id: &IntentId) -> bool {
    let pin = book.intent(id).and_then(|entry| entry.intent.promise.pin.as_ref());
    pin.is_some_and(|pin| (&pin.store, pin.slot) == (&key.store, key.slot))
}

/// Cancelled and withdrawn first: they set buyers free.
fn rank(state: State) -> u8 {
    match state {
        State::Closed => 0,
        State::Cancelled => 1,
        State::Withdrawn => 2,
        State::Proposed => 3,
        State::Locked => 4,
        _ => 5,
    }
}
