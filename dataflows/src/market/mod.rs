//! The market's vocabulary: values that cannot be wrong, with the words of the problem's definition.
//!
//! Everything here is a plain value with a total order; nothing here decides anything. What a
//! value may be is checked once, when it is made; the rest of the engine never checks again.

pub mod limits;

pub mod ids;

pub mod money;

pub mod geo;

pub mod slot;

pub mod hours;

pub mod intent;

pub mod offer;

pub mod window;

pub mod event;

pub mod decision;

pub mod params;

pub use decision::{Change, Decision, Departure, Left, Member, Quote, Reason, State};
pub use event::{Answer, Attendance, Event, Outcome, Put, StockChange, Verdict};
pub use geo::{Cell, Position, Resolution};
pub use hours::Opening;
pub use ids::{BuyerId, EventId, IdOrder, IntentId, ProductId, StoreId};
pub use intent::{Intent, Pin, Promise};
pub use money::Money;
pub use offer::{Offer, OfferKey, Store, Tier, Tiers};
pub use params::Params;
pub use slot::{Slot, SlotLength, SlotSet, Tick, Time};
pub use window::{Certificate, WindowKey};

/// A value that was refused: which field, what it held, and why it cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {value}: {reason}")]
pub struct Invalid {
    /// The field's name, as on the wire.
    pub field: String,
    /// The value as it came, shortened to [`limits::SHOWN_CHARS`] characters.
    pub value: String,
    /// Why it is refused: lower case, no full stop.
    pub reason: String,
}

impl Invalid {
    /// Refuses `value` of `field`, for `reason`.
    pub fn new(field: &str, value: impl ToString, reason: impl ToString) -> Self {
        let value = value.to_string();
        let value = if value.chars().count() > limits::SHOWN_CHARS {
            let mut short: String = value.chars().take(limits::SHOWN_CHARS).collect();
            short.push('…');
            short
        } else {
            value
        };
        Self { field: field.to_string(), value, reason: reason.to_string() }
    }

    /// Refuses what an id names, for `reason`: the id is shown as JSON shows a text.
    pub fn named(field: &str, id: impl std::fmt::Display, reason: impl ToString) -> Self {
        Self::new(field, format_args!("\"{id}\""), reason)
    }

    /// The same refusal, seen from the record that holds the field: `tiers` becomes `tiers[2]`.
    pub fn within(mut self, outer: &str) -> Self {
        self.field = outer.to_string();
        self
    }
}
