//! A pair of an offer and an intent in its reach, in few bytes.

use super::hot::Hot;
use crate::market::Slot;
use crate::market::limits::{MAX_MONEY, MAX_QUANTITY, MAX_REACH_M};
use serde::{Deserialize, Serialize};

/// A pair within reach: an intent that an offer could ever serve. There are some twenty for each intent:
/// whatever it holds counts twenty times.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Candidate {
    /// The gain at price 0, above the last bits of the first slot of the intent's availability and how many
    /// there are to its last one: kept here too, so that a scan need not look further for most of them.
    packed: u64,
    /// The intent's index.
    pub intent: u32,
    /// Whether the buyer accepted a price, units, and metres between them.
    way: u32,
}

const _: () = assert!(size_of::<Candidate>() == 16);

/// What a first slot takes, and a number of slots.
const FROM_BITS: u32 = u16::BITS;
const SLOTS_BITS: u32 = u8::BITS;
const BASE_BITS: u32 = u64::BITS - FROM_BITS - SLOTS_BITS;
/// So many slots, or more: who asks looks elsewhere.
const MANY: u64 = (1 << SLOTS_BITS) - 1;

/// What a distance takes, and a quantity.
const DISTANCE_BITS: u32 = 17;
const QUANTITY_BITS: u32 = 10;

const _: () = assert!(MAX_REACH_M < 1 << DISTANCE_BITS);
const _: () = assert!(MAX_QUANTITY < 1 << QUANTITY_BITS);
const _: () = assert!(MAX_MONEY as u64 * (MAX_QUANTITY as u64) < 1 << BASE_BITS);

impl Candidate {
    /// The pair of an intent of that index and availability, whose gain at price 0 is `base`; whether its
    /// buyer accepted a price.
    ///
    /// # Panics
    /// The quantity, the distance or the gain is beyond its limit.
    pub(crate) fn new(
        (intent, hot): (u32, &Hot),
        base: i64,
        accepted: bool,
        quantity: u32,
        distance_m: u32,
    ) -> Self {
        assert!(distance_m <= MAX_REACH_M && quantity <= MAX_QUANTITY, "beyond a limit");
        assert!((0..1 << BASE_BITS).contains(&base), "who may be in a window gains by it");
        let slots = hot.until.0.saturating_sub(hot.from.0).clamp(0, MANY as i32) as u64;
        let from = (hot.from.0 as u16 as u64) << SLOTS_BITS;
        let packed = (base as u64) << (FROM_BITS + SLOTS_BITS) | from | slots;
        let accepted = (accepted as u32) << (QUANTITY_BITS + DISTANCE_BITS);
        Self { packed, intent, way: accepted | quantity << DISTANCE_BITS | distance_m }
    }

    /// `quantity * min(budget, list) - travel`: the gain at price 0.
    #[inline]
    pub(crate) fn base(&self) -> i64 {
        (self.packed >> (FROM_BITS + SLOTS_BITS)) as i64
    }

    /// Whether the buyer accepted a price: then that is a limit, too (R8).
    #[inline]
    pub(crate) fn accepted(&self) -> bool {
        self.way >> (QUANTITY_BITS + DISTANCE_BITS) != 0
    }

    /// Units.
    #[inline]
    pub(crate) fn quantity(&self) -> u32 {
        self.way >> DISTANCE_BITS & ((1 << QUANTITY_BITS) - 1)
    }

    /// Metres between them.
    #[inline]
    pub(crate) fn distance_m(&self) -> u32 {
        self.way & ((1 << DISTANCE_BITS) - 1)
    }

    /// Whether the slot may lie between the first and the last of the intent's: surely not, if it says so.
    #[inline]
    pub(crate) fn in_time(&self, slot: Slot) -> bool {
        let slots = self.packed & MANY;
        let from = (self.packed >> SLOTS_BITS) as u16;
        slots == MANY || ((slot.0 as u16).wrapping_sub(from) as u64) < slots
    }

    /// Whether nothing is lost by being in the window at that unit price (R5).
    #[inline]
    pub(crate) fn affords(&self, price: i64) -> bool {
        price * self.quantity() as i64 <= self.base()
    }

    /// The greatest unit price at which nothing is lost (R5).
    #[inline]
    pub(crate) fn dearest(&self) -> i64 {
        match self.quantity() {
            1 => self.base(),
            quantity => self.base() / quantity as i64,
        }
    }
}
