//! Records that may refer to something unknown: they wait for their own tick, and move no time. As
//! many as are held at most, those of the newest tick included; one more is refused.
//!
//! An offer of an unknown store does, stock of an unknown offer, and whatever refers to a window.
//! What is known follows from the log alone, tick by tick: so whoever reads the same log sees the
//! same records wait, whatever was decided.

use super::facts::Fact;
use dataflows::market::limits::MAX_WAITING;
use dataflows::market::{Event, OfferKey, StoreId, Tick};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What records may refer to.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The first tick in which a record put the store, whatever became of it.
    stores: HashMap<StoreId, Tick>,
    /// The last tick in which a record put the offer.
    offers: HashMap<OfferKey, Tick>,
    /// Offers that were put without their store.
    storeless: Vec<OfferKey>,
}

impl Known {
    /// Whether what the record refers to is known; `windows` says so of a window's id.
    ///
    /// An offer is known if it was put when its store was: in its tick or before, since stores come
    /// first in a tick.
    pub(super) fn has(&self, event: &Event, windows: impl Fn(&str) -> bool) -> bool {
        match event {
            Event::Offer { offer, .. } => self.stores.contains_key(&offer.key.store),
            Event::Stock { offer, .. } => {
                let ticks = self.stores.get(&offer.store).zip(self.offers.get(offer));
                ticks.is_some_and(|(store, offer)| store <= offer)
            }
            Event::Reply { window, .. } | Event::Arrival { window, .. } => windows(window),
            Event::Store(..) | Event::Intent { .. } | Event::Clock => true,
        }
    }

    /// Takes in a record that is judged in that tick.
    pub(super) fn note(&mut self, event: &Event, tick: Tick) {
        match event {
            Event::Store(store, _) => {
                let first = self.stores.entry(store.id.clone()).or_insert(tick);
                *first = tick.min(*first);
            }
            Event::Offer { offer, .. } => {
                let last = self.offers.entry(offer.key.clone()).or_insert(tick);
                *last = tick.max(*last);
                if !self.stores.contains_key(&offer.key.store) {
                    self.storeless.push(offer.key.clone());
                }
            }
            _ => {}
        }
    }

    /// Ticks before that one are over: offers that were put there without their store never were.
    pub(super) fn forget(&mut self, tick: Tick) {
        for key in std::mem::take(&mut self.storeless) {
            match self.offers.get(&key) {
                _ if self.stores.contains_key(&key.store) => {}
                Some(last) if *last >= tick => self.storeless.push(key),
                _ => drop(self.offers.remove(&key)),
            }
        }
    }
}

/// What waits, by tick.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    by_tick: BTreeMap<Tick, Vec<Fact>>,
    /// Their lines.
    lines: BTreeSet<u64>,
    /// How many records of the newest tick refer to something unknown.
    newest: usize,
}

impl Waiting {
    /// Whether one more may be held.
    pub(super) fn has_room(&self) -> bool {
        self.lines.len() + self.newest < MAX_WAITING
    }

    /// Lets the record wait for that tick.
    pub(super) fn put(&mut self, tick: Tick, fact: Fact) {
        self.lines.insert(fact.sequence);
        self.by_tick.entry(tick).or_default().push(fact);
    }

    /// One more record of the newest tick refers to something unknown.
    pub(super) fn count(&mut self) {
        self.newest += 1;
    }

    /// Time has come to a new tick, and none of its records was counted yet. (What has waited for it
    /// counts until it is taken, and then again as of that tick.)
    pub(super) fn restart(&mut self) {
        self.newest = 0;
    }

    /// The first tick for which a record waits that is `wanted`.
    ///
    /// **Cost** linear in what waits and is not wanted.
    pub(super) fn first(&self, wanted: impl Fn(&Fact) -> bool) -> Option<Tick> {
        let found = self.by_tick.iter().find(|(_, facts)| facts.iter().any(&wanted));
        found.map(|(tick, _)| *tick)
    }

    /// What waits for that tick or an earlier one, by tick and then line.
    pub(super) fn until(&self, tick: Tick) -> impl Iterator<Item = (Tick, &Fact)> {
        let ticks = self.by_tick.range(..=tick);
        ticks.flat_map(|(tick, facts)| facts.iter().map(|fact| (*tick, fact)))
    }

    /// The first line after that one that waits.
    pub(super) fn line_after(&self, line: u64) -> Option<u64> {
        self.lines.range(line + 1..).next().copied()
    }

    /// What has waited for that tick.
    pub(super) fn take(&mut self, tick: Tick) -> Vec<Fact> {
        let facts = self.by_tick.remove(&tick).unwrap_or_default();
        for fact in &facts {
            self.lines.remove(&fact.sequence);
        }
        facts
    }

    /// Everything that still waits.
    pub(super) fn take_all(&mut self) -> Vec<Fact> {
        self.lines.clear();
        std::mem::take(&mut self.by_tick).into_values().flatten().collect()
    }
}
