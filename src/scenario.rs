//! A seeded city as a stream of wire records: stores, offers, buyers and their changes of mind.
//!
//! It feeds `iceshop generate`, the embedded default run, the tests and the benches. Nothing in it
//! is taken from data: density, popularity, hours and prices are drawn from rules that resemble
//! those of a real city.
//!
//! Invariant: equal cities give equal records on every machine. All draws and places are integers
//! (a cosine and roots use the basic operations of IEEE 754 only), and no clock is read.

mod dice;
mod records;
mod supply;
#[cfg(test)]
mod tests;
mod town;
mod wish;

use connectors::wire;
use jiff::Timestamp;

/// What a city is like; [`City::records`] makes it happen.
#[derive(Debug, Clone, PartialEq)]
pub struct City {
    /// Decides everything that is drawn.
    pub seed: u64,
    /// How many intents are put.
    pub intents: usize,
    /// How many stores there are, at least 1.
    pub stores: usize,
    /// How many products there are, at least 1; the first is the most wanted.
    pub products: usize,
    /// Over how many hours the intents are put, at least 1.
    pub hours: u32,
    /// When it starts: stores and offers are put at that instant.
    pub start: Timestamp,
    /// Latitude and longitude of the town's middle, in degrees.
    pub centre: (f64, f64),
    /// IANA time zone of the stores, and of the hours of demand.
    pub timezone: String,
    /// Whether now and then many want one product near one place within minutes.
    pub burst: bool,
}

impl Default for City {
    /// Istanbul on a Friday from 11:00: 10,000 intents in an hour.
    fn default() -> Self {
        Self {
            seed: 7,
            intents: 10_000,
            stores: 1_200,
            products: 40,
            hours: 1,
            start: Timestamp::constant(1_781_251_200, 0),
            centre: (41.0369, 28.985),
            timezone: "Europe/Istanbul".to_string(),
            burst: true,
        }
    }
}

/// A record and when it is put.
#[derive(Debug, Clone, PartialEq)]
pub struct Dated {
    /// When.
    pub at: Timestamp,
    /// What.
    pub record: wire::Record,
}

impl City {
    /// The city's records, ordered by time: stores and offers, then `hours` of demand and change.
    ///
    /// **Contract** ids are valid, versions rise, and whatever a record refers to is there: an edit
    /// or a cancellation comes while its intent lives. What would fall after the last hour is left
    /// out, and so is what would fall after the year 9999.
    ///
    /// **Cost** memory in the stores, their offers, and the changes of mind that are still to come;
    /// each minute of the city is made when it is asked for.
    pub fn records(&self) -> impl Iterator<Item = Dated> + Send + use<> {
        records::Records::new(self)
    }
}
