//! Wire and market: the only place that rejects input.
//!
//! [`inbound`] turns a record into a checked event, or says which field cannot be, with its value;
//! [`outbound`] turns decisions and outcomes into messages. Whatever passes here cannot be wrong
//! further in.

pub mod inbound;

pub mod outbound;

pub use inbound::{Dating, Translator};
pub use outbound::Announcer;
