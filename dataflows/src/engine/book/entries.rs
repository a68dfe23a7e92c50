//! What the book knows by an id that is a part of it, so that each id is kept once.

use super::{IntentEntry, OfferEntry};
use crate::market::{IntentId, OfferKey};
use indexmap::set::MutableValues;
use indexmap::{Equivalent, IndexSet};
use serde::{Deserialize, Serialize};
use std::hash::{Hash, Hasher};

/// What has its id in it.
pub(super) trait Named {
    /// What it is known by.
    type Id: Hash + Eq;

    /// Its id, which stays what it is.
    fn id(&self) -> &Self::Id;
}

impl Named for IntentEntry {
    type Id = IntentId;

    fn id(&self) -> &IntentId {
        &self.intent.id
    }
}

impl Named for OfferEntry {
    type Id = OfferKey;

    fn id(&self) -> &OfferKey {
        &self.offer.key
    }
}

/// Entries in an order that only their history decides.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound(serialize = "T: Serialize", deserialize = "T: Deserialize<'de>"))]
pub(super) struct Entries<T: Named>(IndexSet<Keyed<T>>);

/// An entry, by its id.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound(serialize = "T: Serialize", deserialize = "T: Deserialize<'de>"))]
struct Keyed<T>(Box<T>);

/// An id that is looked for.
struct Of<'a, Id>(&'a Id);

impl<Id: Hash> Hash for Of<'_, Id> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<T: Named> Equivalent<Keyed<T>> for Of<'_, T::Id> {
    fn equivalent(&self, entry: &Keyed<T>) -> bool {
        self.0 == entry.0.id()
    }
}

impl<T: Named> Hash for Keyed<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id().hash(state);
    }
}

impl<T: Named> PartialEq for Keyed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0.id() == other.0.id()
    }
}

impl<T: Named> Eq for Keyed<T> {}

impl<T: Named> Default for Entries<T> {
    fn default() -> Self {
        Self(IndexSet::new())
    }
}

impl<T: Named> Entries<T> {
    pub(super) fn get(&self, id: &T::Id) -> Option<&T> {
        self.0.get(&Of(id)).map(|entry| &*entry.0)
    }

    /// The entry, whose id is to stay what it is.
    pub(super) fn get_mut(&mut self, id: &T::Id) -> Option<&mut T> {
        self.0.get_full_mut2(&Of(id)).map(|(_, entry)| &mut *entry.0)
    }

    /// Puts an entry in place of the one of its id, if there is one.
    pub(super) fn insert(&mut self, entry: T) {
        self.0.replace(Keyed(Box::new(entry)));
    }

    pub(super) fn remove(&mut self, id: &T::Id) -> Option<T> {
        self.0.swap_take(&Of(id)).map(|entry| *entry.0)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|entry| &*entry.0)
    }
}
