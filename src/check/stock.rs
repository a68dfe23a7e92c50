//! One offer's stock in units outside locked windows, by the versions of its updates.
//!
//! Where the protocol leaves open which of two figures holds, the greater one is kept: a stock is
//! only ever used as an upper limit.

use super::outcome::Outcomes;
use dataflows::market::{EventId, StockChange, limits::MAX_STOCK_EVENTS};
use std::collections::BTreeMap;

/// The units of one offer.
#[derive(Debug, Default)]
pub(super) struct Stock {
    /// Whether there may be less than the figure: it was left open what counted.
    open: bool,
    /// The last absolute figure.
    base: i64,
    /// Units taken by locks since then, less those that cancelled windows gave back.
    locked: i64,
    /// The greatest version of an absolute update.
    absolute: Option<u64>,
    /// The greatest version of a relative change that was settled for want of room.
    settled: Option<u64>,
    /// Relative changes that count on top of the base, by version.
    relative: BTreeMap<u64, Vec<(EventId, i64)>>,
    /// The events of those changes.
    seen: BTreeMap<EventId, u64>,
    /// Events of changes that a later figure has absorbed.
    absorbed: BTreeMap<EventId, u64>,
}

impl Stock {
    /// Units that windows may still take.
    pub(super) fn free(&self) -> i64 {
        let relative: i64 = self.relative.values().flatten().map(|change| change.1).sum();
        (self.base + relative - self.locked).max(0)
    }

    /// Whether exactly so many units are free, not fewer.
    pub(super) fn is_sure(&self) -> bool {
        !self.open
    }

    /// An offer's own figure: everything before it is absorbed.
    pub(super) fn put(&mut self, units: i64) {
        self.open = false;
        self.base = units;
        self.locked = 0;
        self.relative.clear();
        self.absorbed.append(&mut self.seen);
        self.forget();
    }

    /// A lock takes units.
    pub(super) fn take(&mut self, units: i64) {
        self.locked += units;
    }

    /// A cancelled window gives its units back.
    pub(super) fn give_back(&mut self, units: i64) {
        self.locked -= units;
    }

    /// A stock update.
    pub(super) fn apply(&mut self, version: u64, change: &StockChange) -> Outcomes {
        match change {
            StockChange::Absolute(units) => self.absolute(version, *units),
            StockChange::Relative(units, event) => self.relative(version, *units, event),
        }
    }

    fn absolute(&mut self, version: u64, units: i64) -> Outcomes {
        match self.absolute {
            Some(known) if version < known => return Outcomes::SUPERSEDED,
            Some(known) if version == known => return Outcomes::DUPLICATE,
            _ => {}
        }
        self.absolute = Some(version);
        self.base = units;
        self.locked = 0;
        let later = version.checked_add(1).map(|next| self.relative.split_off(&next));
        self.relative = later.unwrap_or_default();
        let (absorbed, counted) =
            std::mem::take(&mut self.seen).into_iter().partition(|(_, v)| *v <= version);
        self.seen = counted;
        let mut absorbed: BTreeMap<_, _> = absorbed;
        self.absorbed.append(&mut absorbed);
        self.forget();
        Outcomes::APPLIED
    }

    fn relative(&mut self, version: u64, units: i64, event: &EventId) -> Outcomes {
        let old = self.absolute.is_some_and(|known| version <= known);
        let settled = self.settled.is_some_and(|known| version <= known);
        if self.seen.contains_key(event) {
            return if old || settled {
                Outcomes::DUPLICATE | Outcomes::SUPERSEDED
            } else {
                Outcomes::DUPLICATE
            };
        }
        let repeated = self.absorbed.contains_key(event);
        if old || settled {
            let either = Outcomes::SUPERSEDED | Outcomes::DUPLICATE;
            return if repeated { either } else { Outcomes::SUPERSEDED };
        }
        self.open |= repeated;
        if repeated && units < 0 {
            return Outcomes::DUPLICATE | Outcomes::APPLIED;
        }
        self.relative.entry(version).or_default().push((event.clone(), units));
        self.seen.insert(event.clone(), version);
        self.settle();
        if repeated { Outcomes::DUPLICATE | Outcomes::APPLIED } else { Outcomes::APPLIED }
    }

    /// Beyond the limit, the oldest version counts as settled.
    fn settle(&mut self) {
        while self.seen.len() > MAX_STOCK_EVENTS
            && let Some((version, changes)) = self.relative.pop_first()
        {
            self.open = true;
            self.settled = self.settled.max(Some(version));
            for (event, units) in changes {
                self.base += units;
                self.seen.remove(&event);
            }
        }
    }

    fn forget(&mut self) {
        while self.absorbed.len() > MAX_STOCK_EVENTS {
            self.absorbed.pop_first();
        }
    }
}
