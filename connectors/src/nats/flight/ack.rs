//! What the broker answers to a message.

use serde::Deserialize;

/// What an acknowledgement says.
#[derive(Deserialize)]
pub(super) struct Ack {
    #[serde(default)]
    pub(super) seq: u64,
    /// Whether the stream had a message of that id already.
    #[serde(default)]
    pub(super) duplicate: bool,
    pub(super) error: Option<AckError>,
}

/// Why the broker did not take a message.
#[derive(Deserialize)]
pub(super) struct AckError {
    pub(super) code: u64,
    #[serde(default)]
    pub(super) err_code: u64,
    #[serde(default)]
    pub(super) description: String,
}
