//! How often snapshots are made, as flags.

use crate::run::pace::Pace;
use std::time::Duration;

/// How often snapshots are made; for a command that has `--snapshots`.
#[derive(Debug, Clone, clap::Args)]
pub struct PaceArgs {
    /// How often a snapshot is made
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = some_seconds,
          requires = "snapshots")]
    pub snapshot_every: Duration,
    /// Of the time, at most so much passes while a snapshot is written: great ones are made less often
    #[arg(long, value_name = "PERCENT", default_value = "5", value_parser = percentage,
          requires = "snapshots")]
    pub snapshot_share: f64,
}

impl PaceArgs {
    /// As a run takes it.
    pub(super) fn pace(&self) -> Pace {
        Pace { every: self.snapshot_every, share: self.snapshot_share }
    }
}

/// A duration in seconds that is more than none.
fn some_seconds(text: &str) -> Result<Duration, String> {
    let every = super::seconds(text).ok().filter(|every| !every.is_zero());
    every.ok_or_else(|| "not a number of seconds, more than 0".into())
}

/// A share of the time.
fn percentage(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.01..=100.0).contains(&share) => Ok(share),
        _ => Err("a share is 0.01 to 100 percent".into()),
    }
}
