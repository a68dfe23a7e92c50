//! Intents that are gone: cancelled, lapsed or served. The greatest version wins, also over one that
//! comes late: so the versions of what is gone are remembered for as long as an older one could still
//! have a slot to come.
//!
//! Invariants: at most [`MAX_GONE`] are remembered; `queue` names every one of them under the tick at
//! which it is forgotten, in order; it may name others, which are skipped, but never more than twice
//! as many and [`SLACK`].

use super::Declined;
use super::heard::Heard;
use crate::market::{IntentId, Tick, limits::MAX_GONE};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// How many names the queue may hold beyond twice those that are remembered.
const SLACK: usize = 1_024;

/// What is remembered of an intent that is gone.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Tombstone {
    /// Its versions: a cancellation wins over a put of the same one.
    heard: Heard,
    /// The tick at which it is forgotten.
    until: Tick,
    /// What its buyer declined: it is not offered again if the intent comes back (R8).
    declined: Declined,
}

/// The intents that are gone.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Gone {
    tombstones: BTreeMap<IntentId, Tombstone>,
    /// When each is forgotten, in order.
    queue: VecDeque<(Tick, IntentId)>,
}

impl Gone {
    /// The versions of an intent that is gone.
    pub(super) fn heard(&self, id: &IntentId) -> Option<Heard> {
        self.tombstones.get(id).map(|gone| gone.heard.clone())
    }

    /// The intent is gone, and remembered until that tick.
    ///
    /// **Contract** `until` never falls from call to call.
    ///
    /// **Cost** O(log n), amortised.
    pub(super) fn bury(&mut self, id: IntentId, heard: Heard, until: Tick, mut declined: Declined) {
        debug_assert!(self.queue.back().is_none_or(|last| last.0 <= until), "time never runs back");
        if let Some(mut before) = self.raise(&id) {
            declined.get_or_insert_default().append(&mut before);
        }
        self.queue.push_back((until, id.clone()));
        self.tombstones.insert(id, Tombstone { heard, until, declined });
        while self.tombstones.len() > MAX_GONE {
            self.forget_first();
        }
        if self.queue.len() > 2 * self.tombstones.len() + SLACK {
            let tombstones = &self.tombstones;
            self.queue.retain(|(until, id)| tombstones.get(id).is_some_and(|t| t.until == *until));
        }
    }

    /// The intent is back, or buried again: what its buyer has declined.
    pub(super) fn raise(&mut self, id: &IntentId) -> Declined {
        self.tombstones.remove(id)?.declined
    }

    /// Time has come to that tick: who was remembered until then is forgotten.
    pub(super) fn pass(&mut self, tick: Tick) {
        while self.queue.front().is_some_and(|(until, _)| *until <= tick) {
            self.forget_first();
        }
    }

    /// Forgets the first of the queue, unless it is back or was buried again since.
    fn forget_first(&mut self) {
        let Some((until, id)) = self.queue.pop_front() else { return };
        if self.tombstones.get(&id).is_some_and(|gone| gone.until == until) {
            self.tombstones.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::heard::Version;
    use super::*;

    fn id(n: usize) -> IntentId {
        IntentId::new(&format!("i{n}")).unwrap()
    }

    fn version(number: u64) -> Heard {
        Heard::new(Version { number, cancels: false })
    }

    #[test]
    fn each_is_known_until_its_time() {
        let mut gone = Gone::default();
        gone.bury(id(1), version(5), Tick(10), None);
        gone.bury(id(2), version(5), Tick(10), None);
        gone.bury(id(2), version(6), Tick(11), None);
        assert_eq!(gone.heard(&id(1)), Some(version(5)));
        gone.pass(Tick(10));
        assert_eq!(gone.heard(&id(1)), None);
        assert_eq!(gone.heard(&id(2)), Some(version(6)));
        gone.pass(Tick(11));
        assert!(gone.tombstones.is_empty() && gone.queue.is_empty());
    }

    #[test]
    fn memory_is_bounded() {
        let mut gone = Gone::default();
        for n in 0..MAX_GONE + 3 {
            gone.bury(id(n), version(1), Tick(n as u64), None);
        }
        assert_eq!(gone.tombstones.len(), MAX_GONE);
        assert_eq!((0..5).filter(|n| gone.heard(&id(*n)).is_none()).count(), 3);
        let mut gone = Gone::default();
        for n in 0..10 * SLACK {
            gone.bury(id(n % 7), version(n as u64), Tick(n as u64), None);
            assert!(gone.queue.len() <= 14 + SLACK);
        }
        assert_eq!(gone.tombstones.len(), 7);
    }
}
