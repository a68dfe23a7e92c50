//! The public messages, version 1: what goes in, what comes out.
//!
//! Plain fields with the wire's own types; whether a value makes sense is decided by whoever
//! translates it. Within version 1 only optional fields are added; unknown fields are ignored.
//! Money is in minor units, distance in metres, places in degrees, times in RFC 3339 with offset.
//!
//! In a file a record is one line `{"at": ..., "kind": ..., ...}`; in a NATS message the same
//! object without `at`, since the broker dates it. The derived encodings write every field, which
//! bincode needs; that JSON omits what is absent is the work of `codec`.

mod unique_keys;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use unique_keys::unique_keys;

/// The version of the messages that this crate speaks.
pub const VERSION: u32 = 1;

/// One input record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Record {
    /// A buyer's wish, or its cancellation.
    Intent(Intent),
    /// A place with opening hours.
    Store(Store),
    /// A seller's mandate.
    Offer(Offer),
    /// A stock update.
    Stock(Stock),
    /// A buyer's answer to a window.
    Reply(Reply),
    /// What happened at a window.
    Arrival(Arrival),
    /// Time passes although nothing else happens.
    Clock(Clock),
}

impl Record {
    /// The record's `kind` on the wire.
    pub fn kind(&self) -> &'static str {
        match self {
            Record::Intent(_) => "intent",
            Record::Store(_) => "store",
            Record::Offer(_) => "offer",
            Record::Stock(_) => "stock",
            Record::Reply(_) => "reply",
            Record::Arrival(_) => "arrival",
            Record::Clock(_) => "clock",
        }
    }
}

/// Puts an intent, or (with `cancel`) takes it away. The greatest version wins.
///
/// A put needs every field that is not marked optional; a cancellation only `id` and `version`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// The intent's id.
    pub id: String,
    /// Rises with every change.
    pub version: u64,
    /// An opaque buyer id. Needed in a put.
    pub buyer: Option<String>,
    /// What is wanted. Needed in a put.
    pub product: Option<String>,
    /// Latitude in degrees. Needed in a put.
    pub lat: Option<f64>,
    /// Longitude in degrees. Needed in a put.
    pub lng: Option<f64>,
    /// When the buyer is free: `[from, until)` pairs. Needed in a put.
    pub available: Option<Vec<[String; 2]>>,
    /// The greatest unit price. Needed in a put.
    pub budget: Option<i64>,
    /// Units wanted; 1 if absent.
    pub quantity: Option<i64>,
    /// How far the buyer goes, in metres; 1000 if absent.
    pub reach_m: Option<i64>,
    /// When the intent lapses, if before its last availability.
    pub expires: Option<String>,
    /// Whether the intent leaves.
    pub cancel: Option<bool>,
}

/// Puts a store. The greatest version wins.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Store {
    /// The store's id.
    pub id: String,
    /// Rises with every change.
    pub version: u64,
    /// Its name, as shown to buyers.
    pub name: String,
    /// Latitude in degrees.
    pub lat: f64,
    /// Longitude in degrees.
    pub lng: f64,
    /// IANA time zone, such as `Europe/Istanbul`.
    pub timezone: String,
    /// When it is open, in OpenStreetMap's `opening_hours` syntax, local time.
    pub hours: String,
    /// Local dates (`2026-12-31`) on which it is closed whatever `hours` says.
    pub closed_dates: Option<Vec<String>>,
    /// Whether it takes no groups for now.
    pub paused: Option<bool>,
}

/// One discount tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tier {
    /// The least number of buyers.
    pub min_buyers: i64,
    /// The unit price they pay.
    pub price: i64,
}

/// Puts an offer: the seller's mandate. The greatest version wins.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Offer {
    /// The store.
    pub store: String,
    /// The product.
    pub product: String,
    /// Rises with every change.
    pub version: u64,
    /// What one unit costs without a group.
    pub list_price: i64,
    /// What a group pays.
    pub tiers: Vec<Tier>,
    /// Units outside locked windows; absent: as it is; never said: 0.
    pub stock: Option<i64>,
    /// The most buyers of one window.
    pub max_group: Option<i64>,
    /// What one more visitor is worth to the seller.
    pub visit_value: Option<i64>,
    /// The same for single slots: the slot's start, and the worth.
    #[serde(default, deserialize_with = "unique_keys")]
    pub slot_values: Option<BTreeMap<String, i64>>,
    /// How long before its slot a window locks, in minutes.
    pub lead_minutes: Option<i64>,
    /// Whether the seller takes the offer back.
    pub withdrawn: Option<bool>,
}

/// Changes an offer's stock, in units outside locked windows: exactly one of `units` (absolute),
/// `sold` and `added` (relative, with `event`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Stock {
    /// The store.
    pub store: String,
    /// The product.
    pub product: String,
    /// Rises with every change of this offer's stock.
    pub version: u64,
    /// The stock is this.
    pub units: Option<i64>,
    /// So many were sold.
    pub sold: Option<i64>,
    /// So many came in.
    pub added: Option<i64>,
    /// Names a relative change, so that a repeated one is known.
    pub event: Option<String>,
}

/// A buyer's answer to an announced window.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The window's id.
    pub window: String,
    /// The revision that is answered.
    pub revision: u64,
    /// The intent whose buyer answers.
    pub intent: String,
    /// `accept` or `decline`.
    pub answer: String,
    /// Names the answer, so that a repeated one is known.
    pub event: String,
}

/// What happened with one buyer of a window.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Arrival {
    /// The window's id.
    pub window: String,
    /// The intent.
    pub intent: String,
    /// `bought` or `absent`.
    pub outcome: String,
    /// Names the happening, so that a repeated one is known.
    pub event: String,
}

/// Time passes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Clock {}

/// One window decision: complete, so that its reader needs nothing else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The version of this message: 1.
    pub v: u32,
    /// The window's id.
    pub window: String,
    /// Rises with every decision about this window, from 1.
    pub revision: u64,
    /// `proposed`, `locked`, `active`, `closed`, `withdrawn` or `cancelled`.
    pub state: String,
    /// The state before; `forming` at first.
    pub previous: String,
    /// Why this decision was made.
    pub reason: Reason,
    /// H3 cell of the store at resolution 7, 15 hex digits.
    pub zone: String,
    /// Every input up to this sequence is reflected.
    pub input_sequence: u64,
    /// The logical time of the decision.
    pub decided_at: String,
    /// The slot, in the store's time zone.
    pub slot: SlotTimes,
    /// When the window locks.
    pub lock_at: String,
    /// When answers are due; later ones are `late`.
    pub reply_by: String,
    /// When this message is of no more use: the slot's end.
    pub expires: String,
    /// Where to go.
    pub store: StoreView,
    /// What is bought.
    pub product: String,
    /// What a unit costs.
    pub price: Price,
    /// The group in numbers.
    pub group: Group,
    /// The group's members; up to 512 in one message.
    pub members: Vec<Member>,
    /// Who left since the revision before, and why.
    pub left: Vec<Left>,
    /// R5 over the members: what the buyers gain, and what the seller says their visit is worth.
    pub value: i64,
    /// The market that the window was decided in, with its proof.
    pub market: Market,
    /// This message's number among the parts of one revision, from 1; absent: the only one.
    pub part: Option<u32>,
    /// How many parts the revision has; absent: one.
    pub parts: Option<u32>,
}

/// Why something was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// A word from a closed list.
    pub code: String,
}

/// A slot as its store's clock shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotTimes {
    /// Its start.
    pub from: String,
    /// Its end.
    pub until: String,
    /// The store's IANA time zone.
    pub timezone: String,
}

/// What a buyer needs to know of the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoreView {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Latitude in degrees.
    pub lat: f64,
    /// Longitude in degrees.
    pub lng: f64,
    /// H3 cell at resolution 9, 15 hex digits.
    pub cell: String,
}

/// What a unit costs, and what it would cost with more buyers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// The group's unit price.
    pub unit: i64,
    /// The price without a group.
    pub list: i64,
    /// The tier reached, from 1.
    pub tier: u32,
    /// The tier after it, if there is one.
    pub next_tier: Option<Tier>,
}

/// The group in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Members.
    pub buyers: u64,
    /// Units over all members.
    pub units: u64,
    /// Members who accepted.
    pub accepted: u64,
    /// Mean distance, rounded down.
    pub average_distance_m: u64,
    /// Median distance (of an even count the lower one).
    pub median_distance_m: u64,
}

/// One member of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The intent.
    pub intent: String,
    /// Its buyer.
    pub buyer: String,
    /// Units.
    pub quantity: u64,
    /// Distance from the buyer to the store.
    pub distance_m: u64,
    /// `quantity * (min(budget, list) - price)`: what the group saves this buyer, before travel.
    pub saving: i64,
    /// What the way costs.
    pub travel: i64,
    /// Whether the buyer accepted.
    pub accepted: bool,
    /// Against the revision before: `joined`, `kept` or `repriced`.
    pub change: String,
}

/// One who was a member in the revision before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// The intent.
    pub intent: String,
    /// Its buyer.
    pub buyer: String,
    /// Why it left.
    pub reason: Reason,
    /// The window it is in now, if any.
    pub next: Option<String>,
}

/// The market of a decision: the proof that goes with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Market {
    /// Its id: the product.
    pub id: String,
    /// The objective of the whole grouping (R5 and R9).
    pub value: i64,
    /// No grouping has a greater objective.
    pub bound: i64,
    /// `(bound - value) / bound` in millionths, rounded up.
    pub gap_ppm: u64,
}

/// What became of one input record: exactly one for each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The version of this message: 1.
    pub v: u32,
    /// The record's sequence: its line's number in a file (from 1), its stream sequence in NATS.
    pub sequence: u64,
    /// Its place in a batch body, from 0; absent: the message was one record.
    pub index: Option<u32>,
    /// `applied`, `superseded`, `duplicate`, `late` or `invalid`.
    pub outcome: String,
    /// The record's kind, where it could be told.
    pub kind: Option<String>,
    /// The id of what the record is about, where it could be told.
    pub id: Option<String>,
    /// Of an `invalid` one: which field, as a path (`tiers[1].price`); `record` if no one field is
    /// to blame.
    pub field: Option<String>,
    /// Of an `invalid` one: what it held, as JSON and shortened; `absent` if it was not there.
    pub value: Option<String>,
    /// Why, where there is more to say.
    pub reason: Option<String>,
}
