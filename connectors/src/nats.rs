//! NATS JetStream: the input stream, decisions, receipts and dead letters of one city.
//!
//! | part | delivery obligation |
//! |---|---|
//! | [`InputSource`] | every message from a sequence on, once, in stream order |
//! | [`Sink`] | OUT holds exactly the decisions in order; receipts and dead letters once each |
//! | [`Durable`] | none: it shows how far the engine is |
//! | [`publish_file`] | every line once and in order; if `exclusive`, nothing of others between them |
//! | [`Letters`] | every dead letter in order |
//! | [`Tap`] | every decision in order |
//!
//! What nats-server 2.9.10 offers suffices.

mod clock;
mod connect;
mod durable;
mod flight;
mod held;
mod letters;
mod notes;
mod order;
mod publisher;
mod reader;
mod sink;
mod source;
mod state;
mod streams;
mod tap;

use sha2::{Digest, Sha256};

use crate::codec::DecodeError;
use crate::file::FileError;

pub use clock::{Clock, QUIET, Quiet};
pub use connect::{ConnectSettings, Connection, Login, MAX_RECONNECT_DELAY, connect};
pub use durable::Durable;
pub use flight::FlightSettings;
pub use letters::{Letter, Letters, send_again};
pub use notes::{Noted, Place, Untold};
pub use order::{Came, Order};
pub use publisher::{PublishSettings, Published, publish_file};
pub use reader::Start;
pub use sink::Sink;
pub use source::{InputSource, Progress, is_recorded};
pub use state::StreamState;
pub use streams::{Row, StreamSettings, check, check_input, init};
pub use tap::{Announced, Tap};

/// The header with a record's time: RFC 3339. In the first message of an input stream it makes the
/// stream a recorded one, whose times are these headers.
pub const AT_HEADER: &str = "Iceshop-At";

/// The header of the clock record by which an engine ends the last tick of a recorded stream.
pub const END_HEADER: &str = "Iceshop-Clock";

/// The header of a line or a dead letter that was too long to be published whole: how many bytes it
/// has.
pub const TRUNCATED_HEADER: &str = "Iceshop-Truncated";

/// The room that the headers of a record or of a dead letter may need, in bytes.
const HEADER_ROOM_BYTES: usize = 8 * 1024;

/// The header of a decision: every input up to this sequence is reflected.
pub const IN_SEQUENCE_HEADER: &str = "Iceshop-In-Seq";

/// The header of a decision: when it is of no more use.
pub const EXPIRES_HEADER: &str = "Iceshop-Expires";

/// What went wrong between this process and the broker.
#[derive(Debug, thiserror::Error)]
pub enum NatsError {
    /// No server answers.
    #[error("cannot reach nats at {url}: {reason}")]
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// Why.
        reason: String,
    },
    /// The server does not let this user in, or not do this.
    #[error("nats denies: {what}")]
    Denied {
        /// The server's words.
        what: String,
    },
    /// The credentials cannot be read.
    #[error("cannot read credentials {path}")]
    Credentials {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A stream is missing.
    #[error("stream {stream} does not exist: iceshop nats init makes a city's streams")]
    NoStream {
        /// Its name.
        stream: String,
    },
    /// The stream no longer holds what is wanted: it was purged, or its limits were too narrow.
    #[error("stream {stream} begins at {first}, but {wanted} is needed")]
    StreamCut {
        /// Its name.
        stream: String,
        /// The sequence to go on from.
        wanted: u64,
        /// The first one that it holds.
        first: u64,
    },
    /// The stream ends before what it must hold: it was made anew.
    #[error("stream {stream} ends at {last}, but must reach {wanted}")]
    StreamShort {
        /// Its name.
        stream: String,
        /// The sequence that it must have reached.
        wanted: u64,
        /// The last one that it had.
        last: u64,
    },
    /// The stream was deleted and made anew while it was read.
    #[error("stream {stream} was deleted and made anew at {made}, when {wanted} was to come next")]
    Replaced {
        /// Its name.
        stream: String,
        /// When, as the broker says.
        made: String,
        /// The sequence that would have come next.
        wanted: u64,
    },
    /// The stream has another message in a place than was read there: it lost its end, and was filled
    /// anew.
    #[error(
        "stream {stream} has gone back and was filled anew: its message {sequence} came at {now}, the one \
         that was read at {then}"
    )]
    Refilled {
        /// Its name.
        stream: String,
        /// Where.
        sequence: u64,
        /// When the message came that was read there, as the broker says.
        then: String,
        /// When the one came that is there.
        now: String,
    },
    /// Somebody else wrote into a stream that has one writer, or it is of another run.
    #[error("stream {stream} holds {found} at {sequence}, not {expected}")]
    Foreign {
        /// Its name.
        stream: String,
        /// Where.
        sequence: u64,
        /// What belongs there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A place that was to be a message's has been taken, and nothing is there: somebody wrote and deleted
    /// a message, or deleted that one.
    #[error(
        "stream {stream} had something as its message {sequence}, in the place of {expected}, and has lost it"
    )]
    Emptied {
        /// Its name.
        stream: String,
        /// Where.
        sequence: u64,
        /// What belongs there.
        expected: String,
    },
    /// The stream is without a message that its server has not forgotten: it takes none of that id.
    #[error(
        "stream {stream} takes no {id} as its message {number}: the server remembers that it had it, as \
         message {sequence}"
    )]
    Remembered {
        /// Its name.
        stream: String,
        /// Where the message was.
        sequence: u64,
        /// The message.
        id: String,
        /// Where it belongs now.
        number: u64,
    },
    /// Something came of a message that the input stream does not have.
    #[error(
        "stream {stream} tells of message {sequence} of {input}, which does not have it or got it later: it \
         has gone back"
    )]
    Ahead {
        /// Its name.
        stream: String,
        /// The message.
        sequence: u64,
        /// The input stream.
        input: String,
    },
    /// What was made once more is not what it was.
    #[error(
        "stream {stream} holds {id} at {sequence} with other content than is made of the log now"
    )]
    Differs {
        /// Its name.
        stream: String,
        /// Where.
        sequence: u64,
        /// The message.
        id: String,
    },
    /// A message was refused, and would be again.
    #[error("publishing on {subject} was refused: {reason}")]
    Refused {
        /// Its subject.
        subject: String,
        /// The server's words.
        reason: String,
    },
    /// The stream has as much as it may have, and stays so.
    #[error("stream {stream} is full: {reason}")]
    Full {
        /// Its name.
        stream: String,
        /// The server's words.
        reason: String,
    },
    /// Nothing was acknowledged for as long as the settings allow.
    #[error("nothing was acknowledged for {seconds} s, last because of: {reason}")]
    Stalled {
        /// How long.
        seconds: u64,
        /// What happened last.
        reason: String,
    },
    /// The broker did not do what it was asked.
    #[error("stream {stream}: cannot {what}: {reason}")]
    Request {
        /// What was asked.
        what: &'static str,
        /// Of which stream.
        stream: String,
        /// Why not.
        reason: String,
    },
    /// A message in OUT is no decision.
    #[error("cannot read decision {sequence} of stream {stream}")]
    Decision {
        /// The stream.
        stream: String,
        /// Its sequence there.
        sequence: u64,
        /// Why.
        #[source]
        source: DecodeError,
    },
    /// The file that is published cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A time that the broker tells, in RFC 3339.
fn instant(at: async_nats::datetime::DateTime) -> String {
    instant_of(at.unix_timestamp_nanos())
}

/// The same, of nanoseconds of Unix time.
fn instant_of(at_ns: i128) -> String {
    let known = jiff::Timestamp::from_nanosecond(at_ns);
    known.map_or_else(|_| at_ns.to_string(), |known| known.to_string())
}

/// The first eight bytes of a digest.
fn eight_bytes(digest: Sha256) -> u64 {
    digest.finalize()[..8].iter().fold(0, |sum, byte| sum << 8 | *byte as u64)
}

/// Text as a header's value: a line end would end the header.
fn header_text(text: &str) -> String {
    text.replace(|letter: char| letter.is_control(), "?")
}
