//! When the next snapshot is made.

use std::time::Duration;

/// How often snapshots are made, at most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// From one to the next, at least.
    pub every: Duration,
    /// Of the time, at most so much passes while one is copied and written, in percent.
    pub share: f64,
}

impl Pace {
    /// How long after the last one was begun the next one is due, if the last one took so long.
    pub fn due(&self, took: Duration) -> Duration {
        self.every.max(took.mul_f64(100.0 / self.share))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_long_is_done_less_often() {
        let pace = Pace { every: Duration::from_secs(10), share: 5.0 };
        assert_eq!(pace.due(Duration::ZERO), Duration::from_secs(10));
        assert_eq!(pace.due(Duration::from_millis(500)), Duration::from_secs(10));
        assert_eq!(pace.due(Duration::from_secs(7)), Duration::from_secs(140));
    }
}
