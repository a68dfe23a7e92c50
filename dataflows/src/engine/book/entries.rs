//! The intents that the book knows, by their ids, each of which is kept once.

use super::IntentEntry;
use crate::market::IntentId;
use indexmap::IndexSet;
use indexmap::set::MutableValues;
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::hash::{Hash, Hasher};

/// Entries in an order that only their history decides.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Entries(IndexSet<Keyed>);

/// An entry, by its intent's id.
#[derive(Debug, Serialize, Deserialize)]
struct Keyed(Box<IntentEntry>);

impl Borrow<IntentId> for Keyed {
    fn borrow(&self) -> &IntentId {
        &self.0.intent.id
    }
}

impl Hash for Keyed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.intent.id.hash(state);
    }
}

impl PartialEq for Keyed {
    fn eq(&self, other: &Self) -> bool {
        self.0.intent.id == other.0.intent.id
    }
}

impl Eq for Keyed {}

impl Entries {
    pub(super) fn get(&self, id: &IntentId) -> Option<&IntentEntry> {
        self.0.get(id).map(|entry| &*entry.0)
    }

    /// The entry, whose id is to stay what it is.
    pub(super) fn get_mut(&mut self, id: &IntentId) -> Option<&mut IntentEntry> {
        self.0.get_full_mut2(id).map(|(_, entry)| &mut *entry.0)
    }

    /// Puts an entry in place of the one of its id, if there is one.
    pub(super) fn insert(&mut self, entry: IntentEntry) {
        self.0.replace(Keyed(Box::new(entry)));
    }

    pub(super) fn remove(&mut self, id: &IntentId) -> Option<IntentEntry> {
        self.0.swap_take(id).map(|entry| *entry.0)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &IntentEntry> {
        self.0.iter().map(|entry| &*entry.0)
    }
}
