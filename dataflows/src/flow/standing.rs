//! How the markets stand: what their solver has reached, and how much it took.
//!
//! Whoever keeps markets up writes here now and then, whoever asks reads; nothing of it comes back into the
//! dataflow, so it decides nothing.

use crate::market::{Certificate, ProductId};
use crate::solver::{Effort, Market};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

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
    /// The objective, and that of a plain greedy on the same market, both without the bonus for
    /// staying, summed over the times at which they were compared.
    pub against_greedy: (i128, i128),
}

/// How all markets stood when they were last settled.
#[derive(Debug, Clone, Default)]
pub struct Standings {
    all: Arc<Mutex<BTreeMap<ProductId, Standing>>>,
    /// Whether a plain greedy is run beside the markets now and then.
    greedy: bool,
}

impl Standings {
    /// With a plain greedy beside every market, or without.
    pub fn new(greedy: bool) -> Self {
        Self { greedy, ..Self::default() }
    }

    /// Whether a plain greedy is run beside the markets.
    pub(super) fn greedy(&self) -> bool {
        self.greedy
    }

    /// How they stand, by product.
    pub fn read(&self) -> BTreeMap<ProductId, Standing> {
        self.all.lock().expect("no writer panics").clone()
    }

    /// Notes how a market stands; compares it with a plain greedy where that is `due`.
    ///
    /// **Cost** the market's offers; a copy of the market for a comparison.
    pub(super) fn note(&self, product: &ProductId, market: &Market, due: bool) {
        let greedy = (due && self.greedy).then(|| market.greedy_market().plain_value());
        let mut all = self.all.lock().expect("no writer panics");
        let standing = all.entry(product.clone()).or_default();
        standing.certificate = market.certificate();
        standing.proven = market.proven_value();
        standing.over_time.0 += standing.certificate.value as i128;
        standing.over_time.1 += standing.certificate.bound as i128;
        standing.over_time.2 += standing.proven as i128;
        standing.effort = market.effort();
        if let Some(greedy) = greedy {
            standing.against_greedy.0 += market.plain_value() as i128;
            standing.against_greedy.1 += greedy as i128;
        }
    }
}
