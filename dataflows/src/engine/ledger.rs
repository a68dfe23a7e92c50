//! One offer's stock, from absolute and relative updates in any order.
//!
//! The stock is the units of the greatest absolute version, and every relative change of a version
//! greater than that: so the order in which they arrive changes nothing.

use crate::market::{EventId, Outcome, StockChange, limits::MAX_STOCK_EVENTS};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One offer's stock, in units outside locked windows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Units of the absolute update that counts, less what locks have taken since.
    base: i64,
    /// Its version, if there was one.
    version: Option<u64>,
    /// Hardly any offer has one.
    relative: Option<Box<Relative>>,
}

/// Relative changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Relative {
    /// Those of later versions than the absolute one, which count too.
    later: BTreeMap<(u64, EventId), i64>,
    /// Names of changes that count or have counted, to know a repeated one.
    seen: BTreeMap<EventId, u64>,
    /// The same by version: the oldest is forgotten first.
    oldest: BTreeSet<(u64, EventId)>,
}

impl Ledger {
    /// Units outside locked windows; below 0 counts as 0.
    pub fn units(&self) -> i64 {
        let later = self.relative.iter().flat_map(|relative| relative.later.values());
        (self.base + later.sum::<i64>()).max(0)
    }

    /// The seller says, with the offer itself, what there is.
    pub fn reset(&mut self, units: i64) {
        self.base = units;
        if let Some(relative) = &mut self.relative {
            relative.later.clear();
        }
    }

    /// A lock takes units away (positive) or gives them back (negative).
    pub fn take(&mut self, units: i64) {
        self.base -= units;
    }

    /// Takes in a stock update.
    pub fn update(&mut self, version: u64, change: &StockChange) -> Outcome {
        match change {
            StockChange::Absolute(_) if Some(version) == self.version => Outcome::Duplicate,
            StockChange::Absolute(_) if Some(version) < self.version => Outcome::Superseded,
            StockChange::Absolute(units) => {
                self.base = *units;
                self.version = Some(version);
                if let Some(relative) = &mut self.relative {
                    relative.later.retain(|(v, _), _| *v > version);
                }
                Outcome::Applied
            }
            StockChange::Relative(_, event) if self.has_seen(event) => Outcome::Duplicate,
            StockChange::Relative(..) if Some(version) <= self.version => Outcome::Superseded,
            StockChange::Relative(units, event) => {
                let relative = self.relative.get_or_insert_default();
                relative.later.insert((version, event.clone()), *units);
                relative.seen.insert(event.clone(), version);
                relative.oldest.insert((version, event.clone()));
                self.forget();
                Outcome::Applied
            }
        }
    }

    fn has_seen(&self, event: &EventId) -> bool {
        self.relative.as_ref().is_some_and(|relative| relative.seen.contains_key(event))
    }

    /// Settles the oldest relative changes beyond the limit: they count, and are no longer known.
    fn forget(&mut self) {
        let Some(Relative { later, seen, oldest }) = self.relative.as_deref_mut() else { return };
        while oldest.len() > MAX_STOCK_EVENTS {
            let Some((version, event)) = oldest.pop_first() else { return };
            seen.remove(&event);
            self.base += later.remove(&(version, event)).unwrap_or(0);
            self.version = self.version.max(Some(version));
            let settled: Vec<_> =
                later.range(..=(version, max_event())).map(|(k, _)| k.clone()).collect();
            for key in settled {
                self.base += later.remove(&key).unwrap_or(0);
            }
        }
    }
}

/// An id after all others of its kind.
fn max_event() -> EventId {
    EventId::new(&"z".repeat(crate::market::limits::MAX_ID_CHARS)).expect("a valid id")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str) -> EventId {
        EventId::new(id).unwrap()
    }

    #[test]
    fn order_changes_nothing_but_the_outcome_of_what_was_overtaken() {
        let updates = [
            (2, StockChange::Relative(-3, event("a"))),
            (1, StockChange::Absolute(10)),
            (4, StockChange::Relative(5, event("b"))),
            (3, StockChange::Absolute(20)),
        ];
        let mut orders =
            vec![vec![0, 1, 2, 3], vec![3, 2, 1, 0], vec![1, 3, 0, 2], vec![2, 0, 3, 1]];
        for order in orders.drain(..) {
            let mut ledger = Ledger::default();
            for n in order {
                ledger.update(updates[n].0, &updates[n].1);
            }
            assert_eq!(ledger.units(), 25);
        }
    }

    #[test]
    fn a_repeated_event_is_a_duplicate_and_too_little_is_nothing() {
        let mut ledger = Ledger::default();
        let sold = StockChange::Relative(-3, event("a"));
        assert_eq!(ledger.update(1, &sold), Outcome::Applied);
        assert_eq!(ledger.update(1, &sold), Outcome::Duplicate);
        assert_eq!(ledger.units(), 0);
        assert_eq!(ledger.update(2, &StockChange::Absolute(7)), Outcome::Applied);
        assert_eq!(ledger.update(2, &StockChange::Absolute(9)), Outcome::Duplicate);
        assert_eq!(ledger.update(1, &StockChange::Absolute(9)), Outcome::Superseded);
        assert_eq!(ledger.update(1, &StockChange::Relative(1, event("c"))), Outcome::Superseded);
        assert_eq!(ledger.units(), 7);
    }

    #[test]
    fn memory_is_bounded() {
        let mut ledger = Ledger::default();
        for n in 0..3 * MAX_STOCK_EVENTS as u64 {
            ledger.update(n + 1, &StockChange::Relative(1, event(&format!("e{n}"))));
        }
        assert_eq!(ledger.units(), 3 * MAX_STOCK_EVENTS as i64);
        let relative = ledger.relative.unwrap();
        assert!(relative.seen.len() <= MAX_STOCK_EVENTS);
        assert!(relative.later.len() <= MAX_STOCK_EVENTS);
    }
}
