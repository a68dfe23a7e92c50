//! What inner loops read of an intent.

use crate::market::{IdOrder, Intent, Slot};
use serde::{Deserialize, Serialize};

/// Where an intent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Home {
    /// In no window.
    Free,
    /// In the window of that offer and slot.
    In(u32, Slot),
}

/// The price of an intent that has none yet: it takes no part in any term.
pub(crate) const UNPRICED: i64 = -1;

/// The slot of no window.
pub(crate) const NEVER: Slot = Slot(i32::MIN);

/// What the inner loops read of an intent: one line of the cache, whichever way they come to it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[repr(align(64))]
pub(crate) struct Hot {
    /// First slot of its availability.
    pub from: Slot,
    /// Slot after the last one.
    pub until: Slot,
    /// The slots that it allows, the first at bit 0; useless where `answered`.
    pub mask: u64,
    /// Whether the mask does not say it all: an answer was given, or the slots are too many.
    pub answered: bool,
    /// The slot of the window that it was announced in; [`NEVER`] if there is none.
    pub stays: Slot,
    /// How the id of that window's store begins.
    pub stays_at: IdOrder,
    /// How its own id begins: most comparisons need no more.
    pub order: IdOrder,
    /// Whether a promise to it cannot be held: it is in no window until its promise changes.
    pub released: bool,
    /// The window that it is in.
    pub home: Home,
    /// Its dual price, in 1/[`super::price::SCALE`] of a minor unit; [`UNPRICED`] while fresh.
    pub price: i64,
}

const _: () = assert!(size_of::<Hot>() == 64);

impl Hot {
    /// Whether its buyer may be in a window of that slot; nothing where that depends on the store.
    #[inline]
    pub(crate) fn allows(&self, slot: Slot) -> Option<bool> {
        let may = self.may_allow(slot);
        (!may || !self.answered).then_some(may)
    }

    /// The same without a branch: whether it may, as far as that does not depend on the store.
    #[inline]
    pub(crate) fn may_allow(&self, slot: Slot) -> bool {
        let bit = self.mask.wrapping_shr(slot.0.wrapping_sub(self.from.0) as u32) & 1 == 1;
        (slot >= self.from) & (slot < self.until) & !self.released & (self.answered | bit)
    }

    pub(crate) fn vacant() -> Self {
        Self {
            from: Slot(0),
            until: Slot(0),
            mask: 0,
            answered: false,
            stays: NEVER,
            stays_at: IdOrder::default(),
            order: IdOrder::default(),
            released: false,
            home: Home::Free,
            price: UNPRICED,
        }
    }

    pub(crate) fn of(intent: &Intent) -> Self {
        let promise = &intent.promise;
        let from = intent.slots.first().unwrap_or_default();
        let until = intent.slots.end().unwrap_or_default();
        let many = until.0 as i64 - from.0 as i64 > u64::BITS as i64;
        let answered = many || promise.pin.is_some() || !promise.declined.is_empty();
        let mut mask = 0;
        if !answered {
            intent.slots.iter().for_each(|slot| mask |= 1 << (slot.0 - from.0));
        }
        let announced = promise.announced.as_deref();
        let stays = announced.map_or(NEVER, |window| window.1);
        let stays_at = announced.map_or_else(IdOrder::default, |window| window.0.order());
        let order = intent.id.order();
        Self { from, until, mask, answered, stays, stays_at, order, ..Self::vacant() }
    }
}
