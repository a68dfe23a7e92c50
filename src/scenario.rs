//! A seeded city as a stream of wire records: stores, offers, buyers and their changes of mind.
//!
//! It feeds `iceshop generate`, the embedded default run, the tests and the benches. Nothing in it
//! is taken from data: density, popularity, hours and prices are drawn from rules that resemble
//! those of a real city.
//!
//! Invariant: equal cities give equal records on every machine. All draws and places are integers
//! (a cosine and roots use the basic operations of IEEE 754 only), and no clock is read.

mod crowd;
mod dice;
mod opening;
mod records;
mod supply;
#[cfg(test)]
mod tests;
mod town;
mod wish;

use connectors::wire;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};

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
    /// How many intents are there when it starts, as if they had come in the hours before: all of
    /// them are put in the first minute, and demand begins after it.
    pub crowd: usize,
    /// How long its buyers take.
    pub stay: Stay,
    /// How many then want the most wanted product near one store from noon to one, within a minute.
    pub rush: usize,
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
            crowd: 0,
            stay: Stay::default(),
            rush: 0,
        }
    }
}

/// How long buyers take, in minutes: the least and the most, the lower half more often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stay {
    /// From the wish until there is time for it.
    pub ahead: (u32, u32),
    /// How long there is time for it.
    pub long: (u32, u32),
}

impl Stay {
    /// People who decide shortly before, and are in the market for about half an hour.
    pub const SHORT: Self = Self { ahead: (20, 50), long: (30, 60) };
}

impl Default for Stay {
    fn default() -> Self {
        Self { ahead: (20, 180), long: (40, 240) }
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
    /// When the crowd is there: what comes before opens the city, what comes after happens in it.
    pub fn opened(&self) -> Timestamp {
        let opening = SignedDuration::from_secs(if self.crowd > 0 { 60 } else { 0 });
        self.start.saturating_add(opening).unwrap_or(self.start)
    }

    /// Its time zone; UTC if there is none of that name.
    fn zone(&self) -> TimeZone {
        TimeZoneDatabase::bundled().get(&self.timezone).unwrap_or(TimeZone::UTC)
    }

    /// The city's records, ordered by time: stores and offers, the crowd and the rush if there are
    /// any, then `hours` of demand and change.
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
