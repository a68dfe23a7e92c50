//! How a command fails: the kind decides the exit code, the error's chain tells what happened.

use connectors::nats::NatsError;
use std::fmt;

/// What went wrong, as an operator's script tells it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Whoever read stdout has left; that is no failure, and nothing is said about it.
    ReaderGone,
    /// A check found a violation.
    Violation,
    /// The command line asks for what cannot be.
    Usage,
    /// The configuration cannot be used.
    Config,
    /// NATS cannot be reached.
    Unreachable,
    /// A file or a record cannot be used, or written.
    Data,
    /// Somebody told it to stop before it was done.
    Stopped,
}

impl Kind {
    /// The process's exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::ReaderGone => 0,
            Kind::Violation => 1,
            Kind::Usage => 2,
            Kind::Config => 3,
            Kind::Unreachable => 4,
            Kind::Data => 5,
            Kind::Stopped => 130,
        }
    }
}

/// A command's failure.
#[derive(Debug)]
pub struct Failure {
    /// Which exit code.
    pub kind: Kind,
    /// What happened, and why.
    pub error: anyhow::Error,
}

impl Failure {
    /// A failure of that kind.
    pub fn new(kind: Kind, error: impl Into<anyhow::Error>) -> Self {
        Self { kind, error: error.into() }
    }
}

/// The whole chain on one line, outermost first.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.error)
    }
}

impl std::error::Error for Failure {}

/// What the connector could not do, with its exit code.
impl From<NatsError> for Failure {
    fn from(error: NatsError) -> Self {
        let kind = match &error {
            NatsError::Unreachable { .. } => Kind::Unreachable,
            NatsError::Denied { .. }
            | NatsError::Credentials { .. }
            | NatsError::NoStream { .. } => Kind::Config,
            _ => Kind::Data,
        };
        Self::new(kind, error)
    }
}

/// Gives an error the kind that decides the exit code.
pub trait OrFail<T> {
    /// The value, or a failure of that kind which `doing` puts into words.
    ///
    /// # Errors
    /// When `self` is an error.
    fn or_fail(self, kind: Kind, doing: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrFail<T> for Result<T, E> {
    fn or_fail(self, kind: Kind, doing: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|error| Failure { kind, error: error.into().context(doing()) })
    }
}
