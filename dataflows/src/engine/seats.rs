//! Where intents sit: the window that each is grouped in, and the one that it is announced in.
//!
//! Both follow from the windows: they are not saved, but found anew ([`Seats::of`]).

use super::window::Window;
use crate::market::{IntentId, State, WindowKey};
use indexmap::IndexMap;
use std::sync::Arc;

/// Where one intent sits.
#[derive(Debug, Default)]
struct Seat {
    grouped: Option<Arc<WindowKey>>,
    announced: Option<Arc<WindowKey>>,
}

/// Where all intents sit that sit somewhere.
#[derive(Debug, Default)]
pub(super) struct Seats {
    by_intent: IndexMap<IntentId, Seat>,
    /// How many are grouped.
    grouped: usize,
}

impl Seats {
    /// Who sits in these windows.
    pub(super) fn of<'a>(windows: impl Iterator<Item = &'a Window>) -> Self {
        let mut seats = Self::default();
        for window in windows {
            for (id, _) in window.group.iter().flat_map(|group| &group.members) {
                seats.group(id, &window.key);
            }
            if matches!(window.state, State::Proposed | State::Locked | State::Active) {
                for id in window.announced.iter().flat_map(|announced| announced.ids()) {
                    seats.announce(id, &window.key);
                }
            }
        }
        seats
    }

    /// The window that an intent is grouped in.
    pub(super) fn grouped_in(&self, id: &IntentId) -> Option<&WindowKey> {
        self.by_intent.get(id).and_then(|seat| seat.grouped.as_deref())
    }

    /// The window that an intent is announced in.
    pub(super) fn announced_in(&self, id: &IntentId) -> Option<&WindowKey> {
        self.by_intent.get(id).and_then(|seat| seat.announced.as_deref())
    }

    /// How many intents are grouped.
    pub(super) fn grouped(&self) -> usize {
        self.grouped
    }

    /// The intent is grouped in that window now.
    pub(super) fn group(&mut self, id: &IntentId, window: &Arc<WindowKey>) {
        let before = self.seat(id).grouped.replace(window.clone());
        self.grouped += before.is_none() as usize;
    }

    /// The intent is grouped in no window now.
    pub(super) fn ungroup(&mut self, id: &IntentId) {
        let Some(seat) = self.by_intent.get_mut(id) else { return };
        self.grouped -= seat.grouped.take().is_some() as usize;
        if seat.announced.is_none() {
            self.by_intent.swap_remove(id);
        }
    }

    /// The intent is announced in that window now.
    pub(super) fn announce(&mut self, id: &IntentId, window: &Arc<WindowKey>) {
        self.seat(id).announced = Some(window.clone());
    }

    /// The intent is announced in no window now.
    pub(super) fn unannounce(&mut self, id: &IntentId) {
        let Some(seat) = self.by_intent.get_mut(id) else { return };
        seat.announced = None;
        if seat.grouped.is_none() {
            self.by_intent.swap_remove(id);
        }
    }

    fn seat(&mut self, id: &IntentId) -> &mut Seat {
        self.by_intent.entry(id.clone()).or_default()
    }
}
