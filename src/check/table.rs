//! The windows as their last messages say, who is in them, and what is due when.
//!
//! Invariant: an intent is in at most one live window (R7); a window has one due tick at most.

use connectors::wire;
use dataflows::market::{IntentId, State, StoreId, Tick, Time, WindowKey};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

/// How long an ended window is remembered after its slot, for arrivals, in milliseconds.
pub(super) const REMEMBERED_MS: i64 = 24 * 3_600_000;

/// One window.
pub(super) struct Window {
    pub(super) id: Rc<str>,
    pub(super) key: WindowKey,
    pub(super) state: State,
    pub(super) revision: u64,
    /// The tick and the line of the last message.
    pub(super) tick: Tick,
    pub(super) line: u64,
    /// The last message.
    pub(super) message: Rc<wire::Decision>,
    /// Unit prices by revision, from 1.
    prices: Vec<i64>,
    /// How many declined it.
    pub(super) declines: usize,
    /// The tick at which its state must change at the latest.
    due: Option<Tick>,
}

impl Window {
    /// The unit price of that revision.
    pub(super) fn price_of(&self, revision: usize) -> Option<i64> {
        self.prices.get(revision.checked_sub(1)?).copied()
    }

    /// Whether the last message shows the intent as a member.
    pub(super) fn has_member(&self, intent: &str) -> bool {
        self.message.members.iter().any(|member| member.intent == intent)
    }
}

/// Whether a window of that state holds buyers.
pub(super) fn is_live(state: State) -> bool {
    matches!(state, State::Proposed | State::Locked | State::Active)
}

/// All windows that were announced or locked and are not forgotten.
#[derive(Default)]
pub(super) struct Windows {
    by_id: HashMap<Rc<str>, Window>,
    /// Live windows of a store.
    by_store: HashMap<StoreId, BTreeSet<Rc<str>>>,
    /// The live window that an intent's buyer knows of.
    member_of: HashMap<IntentId, Rc<str>>,
    dues: BTreeSet<(Tick, Rc<str>)>,
    /// Ended windows by the end of their memory.
    ended: BTreeMap<Time, Vec<Rc<str>>>,
    /// How many there were.
    pub(super) count: u64,
}

impl Windows {
    /// The window of that id.
    pub(super) fn get(&self, id: &str) -> Option<&Window> {
        self.by_id.get(id)
    }

    /// The window of that id, to be changed.
    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut Window> {
        self.by_id.get_mut(id)
    }

    /// The live window that shows the intent.
    pub(super) fn of_member(&self, intent: &IntentId) -> Option<&Rc<str>> {
        self.member_of.get(intent)
    }

    /// Whether the intent is in a locked or active window.
    pub(super) fn holds_locked(&self, intent: &IntentId) -> bool {
        let window = self.member_of.get(intent).and_then(|id| self.by_id.get(id));
        window.is_some_and(|w| matches!(w.state, State::Locked | State::Active))
    }

    /// The live windows of a store.
    pub(super) fn live(&self, store: &StoreId) -> impl Iterator<Item = &Window> {
        self.by_store.get(store).into_iter().flatten().filter_map(|id| self.by_id.get(id))
    }

    /// Takes a message as the window's last one.
    pub(super) fn set(&mut self, window: Window, unit: i64) {
        let (store, id) = (window.key.store.clone(), window.id.clone());
        let old = self.by_id.remove(&id);
        self.count += old.is_none() as u64;
        let (mut prices, declines, due) =
            old.map_or((Vec::new(), 0, None), |old| (old.prices, old.declines, old.due));
        // What was withdrawn cannot be accepted at any price.
        prices.push(if window.state == State::Withdrawn { i64::MIN } else { unit });
        let of_store = self.by_store.entry(store.clone()).or_default();
        if is_live(window.state) {
            of_store.insert(id.clone());
        } else {
            of_store.remove(&id);
            if of_store.is_empty() {
                self.by_store.remove(&store);
            }
        }
        self.by_id.insert(id, Window { prices, declines, due, ..window });
    }

    /// A window made from a message, for [`Windows::set`].
    pub(super) fn made(
        id: Rc<str>,
        key: WindowKey,
        state: State,
        tick: Tick,
        line: u64,
        message: Rc<wire::Decision>,
    ) -> Window {
        let revision = message.revision;
        let (prices, declines, due) = (Vec::new(), 0, None);
        Window { id, key, state, revision, tick, line, message, prices, declines, due }
    }

    /// The intent is in that window's last message.
    pub(super) fn join(&mut self, intent: IntentId, window: Rc<str>) {
        self.member_of.insert(intent, window);
    }

    /// The intent is no longer in that window, if it was.
    pub(super) fn leave(&mut self, intent: &IntentId, window: &str) {
        if self.member_of.get(intent).is_some_and(|id| &**id == window) {
            self.member_of.remove(intent);
        }
    }

    /// By that tick the window's state must change.
    pub(super) fn set_due(&mut self, id: &str, tick: Tick) {
        self.clear_due(id);
        if let Some(window) = self.by_id.get_mut(id) {
            window.due = Some(tick);
            self.dues.insert((tick, window.id.clone()));
        }
    }

    /// Nothing is due for the window.
    pub(super) fn clear_due(&mut self, id: &str) {
        if let Some(window) = self.by_id.get_mut(id)
            && let Some(tick) = window.due.take()
        {
            self.dues.remove(&(tick, window.id.clone()));
        }
    }

    /// The first window whose change was due at that tick or before.
    pub(super) fn overdue(&self, tick: Tick) -> Option<(Tick, &Window)> {
        let (due, id) = self.dues.first().filter(|due| due.0 <= tick)?;
        Some((*due, self.by_id.get(id)?))
    }

    /// The window has ended: it is remembered for a while.
    pub(super) fn end(&mut self, id: &Rc<str>, slot_end: Time) {
        self.ended.entry(slot_end.plus_ms(REMEMBERED_MS)).or_default().push(id.clone());
    }

    /// Forgets what ended long ago.
    pub(super) fn forget(&mut self, now: Time) {
        while let Some(entry) = self.ended.first_entry().filter(|entry| *entry.key() <= now) {
            for id in entry.remove() {
                self.by_id.remove(&id);
            }
        }
    }
}
