//! A pair of an offer and an intent in its reach, in few bytes.

use super::hot::Hot;
use crate::market::Slot;
use crate::market::limits::{MAX_QUANTITY, MAX_REACH_M};
use serde::{Deserialize, Serialize};

/// A pair within reach: an intent that an offer could ever serve. There are some twenty for each intent:
/// whatever it holds counts twenty times.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Candidate {
    /// `quantity * min(budget, list) - travel`: the gain at price 0.
    pub base: i64,
    /// The intent's index.
    pub intent: u32,
    /// The greatest unit price at which the buyer may be in the window: what leaves no loss (R5),
    /// and no more than the price accepted (R8). Below 0: none.
    pub limit: i32,
    /// Units, and below [`DISTANCE_BITS`] metres between them.
    packed: u32,
    /// First slot of the intent's availability, in its last bits, and how many there are to its last one:
    /// kept here too, so that a scan over candidates need not look further for most of them.
    from: u16,
    slots: u16,
}

const _: () = assert!(size_of::<Candidate>() == 24);

/// What a distance takes.
const DISTANCE_BITS: u32 = 17;

const _: () = assert!(MAX_REACH_M < 1 << DISTANCE_BITS);
const _: () = assert!(MAX_QUANTITY < 1 << (u32::BITS - DISTANCE_BITS));

impl Candidate {
    /// The pair of an intent of that index and availability.
    ///
    /// # Panics
    /// The quantity or the distance is beyond its limit.
    pub(crate) fn new(
        (intent, hot): (u32, &Hot),
        (base, limit): (i64, i32),
        quantity: u32,
        distance_m: u32,
    ) -> Self {
        assert!(distance_m <= MAX_REACH_M && quantity <= MAX_QUANTITY, "beyond a limit");
        let slots = hot.until.0.saturating_sub(hot.from.0).clamp(0, u16::MAX as i32) as u16;
        let packed = quantity << DISTANCE_BITS | distance_m;
        Self { base, intent, limit, packed, from: hot.from.0 as u16, slots }
    }

    /// Units.
    #[inline]
    pub(crate) fn quantity(&self) -> u32 {
        self.packed >> DISTANCE_BITS
    }

    /// Metres between them.
    #[inline]
    pub(crate) fn distance_m(&self) -> u32 {
        self.packed & ((1 << DISTANCE_BITS) - 1)
    }

    /// Whether the slot may lie between the first and the last of the intent's: surely not, if it says so.
    #[inline]
    pub(crate) fn in_time(&self, slot: Slot) -> bool {
        self.slots == u16::MAX || (slot.0 as u16).wrapping_sub(self.from) < self.slots
    }

    /// Whether the buyer may be in the window at that unit price.
    #[inline]
    pub(crate) fn pays(&self, price: i64) -> bool {
        price <= self.limit as i64
    }
}
