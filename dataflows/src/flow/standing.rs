//! How the markets stand: what their solver has reached, and how much it took.
//!
//! Whoever keeps markets up writes here now and then, whoever asks reads; nothing of it comes back into the
//! dataflow, so it decides nothing.

use crate::market::{Certificate, ProductId};
use crate::solver::{Effort, Market, Phase};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a process measures time with, from any beginning: how long the solver takes is told, and decides
/// nothing.
pub type Stopwatch = fn() -> Duration;

/// How long a market's solver has taken in this process, as a [`Stopwatch`] tells; nothing without one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// Taking updates in: repair, trials, a valid bound.
    pub updates: Duration,
    /// Upkeep by [`Phase`], in their order.
    pub phases: [Duration; 4],
}

/// Tells what the time between its laps was spent on.
pub(super) struct Laps {
    stopwatch: Option<Stopwatch>,
    last: Duration,
}

impl Laps {
    /// What was spent since the last lap, or the beginning.
    pub(super) fn lap(&mut self) -> Duration {
        let Some(stopwatch) = self.stopwatch else { return Duration::ZERO };
        let now = stopwatch();
        now.saturating_sub(std::mem::replace(&mut self.last, now))
    }
}

impl Times {
    /// Adds another's.
    pub fn add(&mut self, other: &Times) {
        self.updates += other.updates;
        for (phase, more) in self.phases.iter_mut().zip(other.phases) {
            *phase += more;
        }
    }

    /// Runs upkeep that tells its phases; what it does when the last one is over counts as that one.
    pub(super) fn of_upkeep<T>(
        &mut self,
        mut laps: Laps,
        upkeep: impl FnOnce(&mut dyn FnMut(Phase)) -> T,
    ) -> T {
        let mut last = None;
        let done = upkeep(&mut |phase| {
            self.phases[phase as usize] += laps.lap();
            last = Some(phase);
        });
        if let Some(last) = last {
            self.phases[last as usize] += laps.lap();
        }
        done
    }
}

/// How one market stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Its objective and bound.
    pub certificate: Certificate,
    /// The part of the objective whose grouping is proven to be optimal.
    pub proven: i64,
    /// Objective, bound and proven part, summed over all the times at which it was settled.
    pub over_time: (i128, i128, i128),
    /// What has been done in the background.
    pub effort: Effort,
    /// How long all that took.
    pub times: Times,
    /// The objective, and that of a plain greedy on the same market, both without the bonus for
    /// staying, summed over the times at which they were compared.
    pub against_greedy: (i128, i128),
}

/// How all markets stand: each as it was when it was settled last, or looked at since.
#[derive(Debug, Clone, Default)]
pub struct Standings {
    all: Arc<Mutex<BTreeMap<ProductId, Standing>>>,
    /// Whether a plain greedy is run beside the markets now and then.
    greedy: bool,
    /// What tells how long the solver takes, if that is to be told.
    stopwatch: Option<Stopwatch>,
}

impl Standings {
    /// With a plain greedy beside every market, or without.
    pub fn new(greedy: bool) -> Self {
        Self { greedy, ..Self::default() }
    }

    /// With the time that every market's solver takes.
    pub fn timed(self, stopwatch: Stopwatch) -> Self {
        Self { stopwatch: Some(stopwatch), ..self }
    }

    /// Begins to measure, now.
    pub(super) fn laps(&self) -> Laps {
        let last = self.stopwatch.map_or(Duration::ZERO, |stopwatch| stopwatch());
        Laps { stopwatch: self.stopwatch, last }
    }

    /// Whether a plain greedy is run beside the markets.
    pub(super) fn greedy(&self) -> bool {
        self.greedy
    }

    /// How they stand, by product.
    pub fn read(&self) -> BTreeMap<ProductId, Standing> {
        self.all.lock().expect("no writer panics").clone()
    }

    /// Whoever is not noted from now on is gone, and worth nothing any more.
    pub(super) fn begin_anew(&self) {
        for standing in self.all.lock().expect("no writer panics").values_mut() {
            (standing.certificate, standing.proven) = (Certificate::default(), 0);
        }
    }

    /// Notes how a market stands that is not settled yet: its figures over time stay as they are.
    ///
    /// **Cost** the market's offers.
    pub(super) fn renew(&self, product: &ProductId, (market, times): (&Market, Times)) {
        let mut all = self.all.lock().expect("no writer panics");
        let standing = all.entry(product.clone()).or_default();
        standing.certificate = market.certificate();
        standing.proven = market.proven_value();
        (standing.effort, standing.times) = (market.effort(), times);
    }

    /// Notes that a market is settled, and how it stands; compares it with a plain greedy where that is `due`.
    ///
    /// **Cost** the market's offers; a copy of the market for a comparison.
    pub(super) fn note(&self, product: &ProductId, (market, times): (&Market, Times), due: bool) {
        let greedy = (due && self.greedy).then(|| market.greedy_market().plain_value());
        self.renew(product, (market, times));
        let mut all = self.all.lock().expect("no writer panics");
        let standing = all.entry(product.clone()).or_default();
        standing.over_time.0 += standing.certificate.value as i128;
        standing.over_time.1 += standing.certificate.bound as i128;
        standing.over_time.2 += standing.proven as i128;
        if let Some(greedy) = greedy {
            standing.against_greedy.0 += market.plain_value() as i128;
            standing.against_greedy.1 += greedy as i128;
        }
    }
}
