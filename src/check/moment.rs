//! When something is judged.

use dataflows::market::{SlotLength, Tick, Time};

/// When something is judged.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    /// The tick.
    pub(super) tick: Tick,
    /// Its start.
    pub(super) now: Time,
    /// One horizon before its start: whatever was said after that tick is remembered.
    pub(super) remembered: Tick,
    /// How long slots are.
    pub(super) length: SlotLength,
}
