//! Time: instants, logical ticks, slots and sets of slots (market.md R1).
//!
//! Nothing here reads a clock: an instant is what a record says.

use super::{Invalid, limits};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// An instant: milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Time(pub i64);

impl Time {
    /// The instant that `field` names, from nanoseconds since 1970, rounded down to a millisecond.
    ///
    /// # Errors
    /// When it is not between 2000 and 2100.
    pub fn from_nanos(field: &str, nanos: i128) -> Result<Self, Invalid> {
        let seconds = nanos.div_euclid(1_000_000_000);
        if (limits::MIN_TIME_S as i128..limits::MAX_TIME_S as i128).contains(&seconds) {
            Ok(Self(nanos.div_euclid(1_000_000) as i64))
        } else {
            Err(Invalid::new(field, format!("{seconds} s"), "a time is between 2000 and 2100"))
        }
    }

    /// The instant `ms` milliseconds later.
    pub fn plus_ms(self, ms: i64) -> Self {
        Self(self.0 + ms)
    }

    /// The minute that it lies in, since 1970.
    pub fn minute(self) -> i64 {
        self.0.div_euclid(60_000)
    }

    /// The instant at which a minute since 1970 begins.
    pub fn of_minute(minute: i64) -> Self {
        Self(minute * 60_000)
    }
}

/// Logical time: an instant divided by the engine's tick length, rounded down.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Tick(pub u64);

impl Tick {
    /// The tick after this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A slot of the clock: slot `t` is `[t * len, (t + 1) * len)` since 1970 (or an instance's epoch).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Slot(pub i32);

impl Slot {
    /// The slot after this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// How long a slot is, in whole minutes; it divides a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SlotLength(u32);

impl Default for SlotLength {
    fn default() -> Self {
        Self(20)
    }
}

impl SlotLength {
    /// A slot length of that many minutes.
    ///
    /// # Errors
    /// When it does not divide a day of 1440 minutes.
    pub fn minutes(minutes: u32) -> Result<Self, Invalid> {
        if minutes > 0 && 1440 % minutes == 0 {
            Ok(Self(minutes))
        } else {
            Err(Invalid::new("slot_minutes", minutes, "a slot divides a day of 1440 minutes"))
        }
    }

    /// Minutes in a slot.
    pub fn as_minutes(self) -> u32 {
        self.0
    }

    /// Milliseconds in a slot.
    pub fn as_ms(self) -> i64 {
        self.0 as i64 * 60_000
    }

    /// When the slot starts.
    pub fn start(self, slot: Slot) -> Time {
        Time(slot.0 as i64 * self.as_ms())
    }

    /// When the slot ends: the start of the next one.
    pub fn end(self, slot: Slot) -> Time {
        self.start(slot.next())
    }

    /// The slot that holds the instant.
    pub fn at(self, time: Time) -> Slot {
        Slot(time.0.div_euclid(self.as_ms()) as i32)
    }

    /// The first slot that starts at the instant or later.
    pub fn from(self, time: Time) -> Slot {
        Slot(-((-time.0).div_euclid(self.as_ms())) as i32)
    }

    /// The slots wholly inside `[from, until)`, both in nanoseconds since the epoch of slot 0:
    /// rounded inward, half open, possibly empty (R1).
    pub fn inside(self, from: i128, until: i128) -> (Slot, Slot) {
        let length = self.as_ms() as i128 * 1_000_000;
        let first = -((-from).div_euclid(length));
        (Slot(first as i32), Slot(until.div_euclid(length) as i32))
    }
}

/// A set of slots: ranges `[from, until)`, sorted, disjoint, not touching, none empty. Mostly it is one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct SlotSet(SmallVec<[(Slot, Slot); 1]>);

impl SlotSet {
    /// The union of the ranges; empty and reversed ones count for nothing.
    pub fn new(mut ranges: Vec<(Slot, Slot)>) -> Self {
        ranges.retain(|(from, until)| from < until);
        ranges.sort_unstable();
        let mut merged: Vec<(Slot, Slot)> = Vec::with_capacity(ranges.len());
        for (from, until) in ranges {
            match merged.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(until),
                _ => merged.push((from, until)),
            }
        }
        Self(SmallVec::from_slice(&merged))
    }

    /// The one range `[from, until)`.
    pub fn range(from: Slot, until: Slot) -> Self {
        Self::new(vec![(from, until)])
    }

    /// The ranges `[from, until)`, in order.
    pub fn ranges(&self) -> &[(Slot, Slot)] {
        &self.0
    }

    /// Whether no slot is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the slot is in the set.
    pub fn contains(&self, slot: Slot) -> bool {
        self.0.iter().any(|&(from, until)| from <= slot && slot < until)
    }

    /// The slots in order.
    pub fn iter(&self) -> impl Iterator<Item = Slot> + '_ {
        self.0.iter().flat_map(|&(from, until)| (from.0..until.0).map(Slot))
    }

    /// The first slot.
    pub fn first(&self) -> Option<Slot> {
        self.0.first().map(|range| range.0)
    }

    /// The slot after the last one.
    pub fn end(&self) -> Option<Slot> {
        self.0.last().map(|range| range.1)
    }

    /// The slots in both sets.
    pub fn intersect(&self, other: &SlotSet) -> SlotSet {
        let (mut a, mut b) = (0, 0);
        let mut out = Vec::new();
        while let (Some(&(a0, a1)), Some(&(b0, b1))) = (self.0.get(a), other.0.get(b)) {
            let (from, until) = (a0.max(b0), a1.min(b1));
            if from < until {
                out.push((from, until));
            }
            if a1 <= b1 { a += 1 } else { b += 1 }
        }
        Self(SmallVec::from_slice(&out))
    }
}

impl std::fmt::Debug for SlotSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(a, b)| a.0..b.0)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_round_inward() {
        let length = SlotLength::default();
        let s = 1_000_000_000i128;
        let check = |from: i128, until: i128, expected: (i32, i32)| {
            let (a, b) = length.inside(from, until);
            assert_eq!((a.0, b.0), expected, "{from}..{until}");
        };
        check(0, 3600 * s, (0, 3));
        check(s, 3599 * s, (1, 2));
        check(1, 3600 * s, (1, 3));
        check(0, 3600 * s - 1, (0, 2));
        check(60 * s, 19 * 60 * s, (1, 0));
        check(-1200 * s, 0, (-1, 0));
        check(-1199 * s, 1, (0, 0));
    }

    #[test]
    fn sets_merge_and_intersect() {
        let set = |ranges: &[(i32, i32)]| {
            SlotSet::new(ranges.iter().map(|&(a, b)| (Slot(a), Slot(b))).collect())
        };
        assert_eq!(set(&[(3, 5), (1, 3), (9, 9), (8, 2)]), set(&[(1, 5)]));
        assert_eq!(set(&[(1, 5), (7, 9)]).intersect(&set(&[(4, 8)])), set(&[(4, 5), (7, 8)]));
        assert_eq!(set(&[(1, 3), (7, 9)]).iter().map(|s| s.0).collect::<Vec<_>>(), [1, 2, 7, 8]);
        assert!(!set(&[(1, 3)]).contains(Slot(3)));
    }
}
