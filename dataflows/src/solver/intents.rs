//! The intents of a market, by index and by id.
//!
//! **Invariant** `by_id` has the index of every intent, once; what is looked up in it is compared with the
//! intent itself, and nothing is ever read in its order.

use crate::lists::make_room;
use crate::market::{Intent, IntentId};
use hashbrown::HashTable;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::hash::{BuildHasher, RandomState};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// An intent and the offers that could serve it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct IntentNode {
    pub intent: Arc<Intent>,
    /// Offers' indices, in the order of their stores' ids.
    pub edges: Vec<u32>,
}

/// The intents, each of which has its index for as long as it is there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Intents {
    nodes: Vec<Option<IntentNode>>,
    by_id: HashTable<u32>,
    hasher: RandomState,
}

impl Intents {
    /// How many there are; [`len`](slice::len) is the number of indices.
    pub(crate) fn count(&self) -> usize {
        self.by_id.len()
    }

    /// The index of the intent of that id.
    pub(crate) fn find(&self, id: &IntentId) -> Option<u32> {
        let is = |i: &u32| self.id_of(*i) == id;
        self.by_id.find(self.hasher.hash_one(id), is).copied()
    }

    /// One more index, without an intent.
    pub(crate) fn grow(&mut self) -> u32 {
        make_room(&mut self.nodes);
        self.nodes.push(None);
        self.nodes.len() as u32 - 1
    }

    /// Puts an intent that is not here yet at an index that has none.
    pub(crate) fn put(&mut self, i: u32, intent: Arc<Intent>) {
        let hash = self.hasher.hash_one(&intent.id);
        self.nodes[i as usize] = Some(IntentNode { intent, edges: Vec::new() });
        let Self { nodes, by_id, hasher } = self;
        let hash_of = |i: &u32| hasher.hash_one(&node_of(nodes, *i).intent.id);
        by_id.insert_unique(hash, i, hash_of);
    }

    /// Takes the intent at that index out.
    pub(crate) fn take(&mut self, i: u32) -> IntentNode {
        let node = self.nodes[i as usize].take().expect("an index in use");
        let found = self.by_id.find_entry(self.hasher.hash_one(&node.intent.id), |j| *j == i);
        found.expect("whatever has an index is found").remove();
        node
    }

    /// All indices in use, in the order of their intents' ids.
    pub(crate) fn in_order(&self) -> Vec<u32> {
        let mut all: Vec<u32> = self.by_id.iter().copied().collect();
        all.sort_unstable_by(|a, b| self.id_of(*a).cmp(self.id_of(*b)));
        all
    }

    fn id_of(&self, i: u32) -> &IntentId {
        &node_of(&self.nodes, i).intent.id
    }
}

fn node_of(nodes: &[Option<IntentNode>], i: u32) -> &IntentNode {
    nodes[i as usize].as_ref().expect("an index in use")
}

impl Deref for Intents {
    type Target = [Option<IntentNode>];

    fn deref(&self) -> &Self::Target {
        &self.nodes
    }
}

impl DerefMut for Intents {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.nodes
    }
}

impl Serialize for Intents {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.nodes.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Intents {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let nodes = Vec::<Option<IntentNode>>::deserialize(from)?;
        let hasher = RandomState::new();
        let hash_of = |i: &u32| hasher.hash_one(&node_of(&nodes, *i).intent.id);
        let used = (0..).zip(&nodes).filter(|node| node.1.is_some()).map(|node| node.0);
        let mut by_id = HashTable::new();
        for i in used {
            by_id.insert_unique(hash_of(&i), i, hash_of);
        }
        Ok(Self { nodes, by_id, hasher })
    }
}
