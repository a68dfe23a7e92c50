//! Checked events: what translation hands to the engine, and what became of each.

use super::{BuyerId, EventId, Intent, IntentId, Offer, OfferKey, Store, Time};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// One checked event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Event {
    /// Puts a store.
    Store(Store, u64),
    /// Puts an offer; with `stock`, sets its stock too.
    Offer {
        /// The offer.
        offer: Offer,
        /// Its version.
        version: u64,
        /// Units outside locked windows; `None`: as it is.
        stock: Option<i64>,
    },
    /// Changes an offer's stock.
    Stock {
        /// Whose stock.
        offer: OfferKey,
        /// The stock's version.
        version: u64,
        /// How it changes.
        change: StockChange,
    },
    /// Puts an intent or takes it away.
    Intent {
        /// Which intent.
        id: IntentId,
        /// Its version.
        version: u64,
        /// The intent, its buyer and when it lapses; `None`: it leaves. (A put sorts before a
        /// cancellation of the same version, which wins over it.)
        put: Put,
    },
    /// A buyer's answer.
    Reply {
        /// The window's public id.
        window: String,
        /// The intent that answers.
        intent: IntentId,
        /// Names the answer.
        event: EventId,
        /// The revision that is answered.
        revision: u64,
        /// The answer.
        answer: Answer,
    },
    /// What happened at a window.
    Arrival {
        /// The window's public id.
        window: String,
        /// The intent.
        intent: IntentId,
        /// Names the happening.
        event: EventId,
        /// What happened.
        attendance: Attendance,
    },
    /// Time passes.
    Clock,
}

impl Event {
    /// The canonical order of one tick's events: by kind, by what they are about, by version, then
    /// by content. So the order of arrival inside a tick decides nothing.
    pub fn canonical(&self, other: &Self) -> Ordering {
        let version_first = match (self, other) {
            (Event::Store(a, v), Event::Store(b, w)) => (&a.id, v).cmp(&(&b.id, w)),
            (
                Event::Offer { offer: a, version: v, .. },
                Event::Offer { offer: b, version: w, .. },
            ) => (&a.key, v).cmp(&(&b.key, w)),
            _ => Ordering::Equal,
        };
        version_first.then_with(|| self.cmp(other))
    }
}

/// What an intent event brings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Put {
    /// The intent as it is now.
    Intent {
        /// The market's part.
        intent: Box<Intent>,
        /// Whose it is.
        buyer: BuyerId,
        /// When it lapses, if it says so.
        expires: Option<Time>,
    },
    /// Nothing: the intent leaves.
    Cancel,
}

/// How a stock changes, in units outside locked windows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StockChange {
    /// It is this many.
    Absolute(i64),
    /// It changes by this many.
    Relative(i64, EventId),
}

/// A buyer's answer to an announced window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Answer {
    /// The buyer comes.
    Accept,
    /// The buyer does not, and does not want to be asked again.
    Decline,
}

/// What a buyer of a locked window did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Attendance {
    /// Came and bought.
    Bought,
    /// Did not come.
    Absent,
}

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Outcome {
    /// It changed what the engine knows.
    Applied,
    /// Something newer was known.
    Superseded,
    /// The same was known.
    Duplicate,
    /// It came after the lock.
    Late,
    /// It refers to what does not exist, or asks for what cannot be: field, value, reason.
    Invalid {
        /// Which field.
        field: String,
        /// What it held.
        value: String,
        /// Why it is refused.
        reason: String,
    },
}

impl Outcome {
    /// The word on a receipt.
    pub fn word(&self) -> &'static str {
        match self {
            Outcome::Applied => "applied",
            Outcome::Superseded => "superseded",
            Outcome::Duplicate => "duplicate",
            Outcome::Late => "late",
            Outcome::Invalid { .. } => "invalid",
        }
    }
}

impl From<super::Invalid> for Outcome {
    fn from(invalid: super::Invalid) -> Self {
        let super::Invalid { field, value, reason } = invalid;
        Outcome::Invalid { field, value, reason }
    }
}

/// An event's outcome, by the tag under which the event was applied.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Verdict {
    /// The record's sequence in its log.
    pub sequence: u64,
    /// Its place in a batch body, from 0.
    pub index: u32,
    /// What became of it.
    pub outcome: Outcome,
}
