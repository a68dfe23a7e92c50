//! Window decisions: what the engine says, complete enough to be acted on alone.

use super::{BuyerId, Certificate, IntentId, Money, Store, Tier, Time, WindowKey};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One decision about one window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Which window.
    pub window: WindowKey,
    /// Rises with every decision about it, from 1.
    pub revision: u64,
    /// Its state from now on.
    pub state: State,
    /// Its state before.
    pub previous: State,
    /// Why.
    pub reason: Reason,
    /// The logical time of the decision.
    pub decided_at: Time,
    /// Every input up to this sequence is reflected.
    pub input_sequence: u64,
    /// When the window locks, or locked.
    pub lock_at: Time,
    /// The store as it was when the window was last revised.
    pub store: Arc<Store>,
    /// What it costs.
    pub quote: Quote,
    /// The members, by id; none once the window is withdrawn or cancelled.
    pub members: Vec<Member>,
    /// Who left since the last decision about the window, by id.
    pub left: Vec<Left>,
    /// The sum of the members' R5, the seller's visit value included.
    pub value: i64,
    /// The proof of the window's market at that time.
    pub market: Certificate,
}

/// What a unit costs in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// The group's unit price.
    pub unit: Money,
    /// The price without a group.
    pub list: Money,
    /// The tier reached, from 1.
    pub tier: u32,
    /// The tier after it.
    pub next_tier: Option<Tier>,
    /// What one visitor in this slot is worth to the seller.
    pub visit_value: i64,
}

/// A window's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum State {
    /// Not announced.
    Forming,
    /// Announced; revised as the market moves.
    Proposed,
    /// Group and price final; buyers and stock consumed.
    Locked,
    /// Its slot has started.
    Active,
    /// Its slot has ended.
    Closed,
    /// It was proposed and is no more.
    Withdrawn,
    /// It was locked and can no longer be honoured.
    Cancelled,
}

impl State {
    /// The state's word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            State::Forming => "forming",
            State::Proposed => "proposed",
            State::Locked => "locked",
            State::Active => "active",
            State::Closed => "closed",
            State::Withdrawn => "withdrawn",
            State::Cancelled => "cancelled",
        }
    }
}

/// Why a decision was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reason {
    /// The group has held for the settle time.
    Formed,
    /// Members or price changed.
    Revised,
    /// The lead time before the slot has come.
    LeadTime,
    /// The slot started.
    SlotStart,
    /// The slot ended.
    SlotEnd,
    /// The group fell below the first tier.
    NoGroup,
    /// Its buyers do better elsewhere.
    Moved,
    /// The store is closed in that slot, or takes no groups.
    StoreClosed,
    /// The seller took the offer back.
    OfferWithdrawn,
    /// There is no stock left for it.
    StockGone,
}

impl Reason {
    /// The reason's code on the wire.
    pub fn code(self) -> &'static str {
        match self {
            Reason::Formed => "formed",
            Reason::Revised => "revised",
            Reason::LeadTime => "lead_time",
            Reason::SlotStart => "slot_start",
            Reason::SlotEnd => "slot_end",
            Reason::NoGroup => "no_group",
            Reason::Moved => "moved",
            Reason::StoreClosed => "store_closed",
            Reason::OfferWithdrawn => "offer_withdrawn",
            Reason::StockGone => "stock_gone",
        }
    }
}

/// One member of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The intent.
    pub intent: IntentId,
    /// Its buyer.
    pub buyer: BuyerId,
    /// Units.
    pub quantity: u32,
    /// Distance from the buyer to the store, in metres.
    pub distance_m: u32,
    /// What the group saves the buyer, before travel.
    pub saving: i64,
    /// What the way costs.
    pub travel: i64,
    /// Whether the buyer accepted.
    pub accepted: bool,
    /// Against the revision before.
    pub change: Change,
}

/// What changed for a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Change {
    /// It was not in the revision before.
    Joined,
    /// Nothing.
    Kept,
    /// Its price.
    Repriced,
}

impl Change {
    /// The change's word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Change::Joined => "joined",
            Change::Kept => "kept",
            Change::Repriced => "repriced",
        }
    }
}

/// One who was a member in the revision before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The intent.
    pub intent: IntentId,
    /// Its buyer.
    pub buyer: BuyerId,
    /// Why it left.
    pub departure: Departure,
    /// The window that it is in now.
    pub next: Option<WindowKey>,
}

/// Why a member left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Departure {
    /// The buyer took the intent back.
    Cancelled,
    /// The intent lapsed.
    Expired,
    /// The buyer declined the window.
    Declined,
    /// The intent changed so that it no longer fits.
    Edited,
    /// It does better, or the others do, with it elsewhere.
    Moved,
    /// There is no place for it in any window now.
    Dropped,
    /// The window went, or an accepted price can no longer be held, for this reason.
    Released(Reason),
}

impl Departure {
    /// The reason's code on the wire.
    pub fn code(self) -> &'static str {
        match self {
            Departure::Cancelled => "cancelled",
            Departure::Expired => "expired",
            Departure::Declined => "declined",
            Departure::Edited => "edited",
            Departure::Moved => "moved",
            Departure::Dropped => "dropped",
            Departure::Released(Reason::NoGroup) => "below_tier",
            Departure::Released(reason) => reason.code(),
        }
    }
}
