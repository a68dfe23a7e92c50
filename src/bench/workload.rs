//! What a bench offers: records as JSON lines, an opening that stands and then a stream.

use crate::failure::{Failure, Kind as FailureKind, OrFail};
use crate::scenario::{City, Dated};
use connectors::codec::json;
use connectors::file::Lines;
use jiff::Timestamp;

/// How many lines of the opening are made at a time.
const AT_ONCE: usize = 4_096;

/// What is offered.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A city in which a crowd stands; then demand, changes of mind, sales and new prices.
    City(City),
    /// The lines of a file: so many stand, the others are offered.
    Trace(String, usize),
}

impl Kind {
    /// Records a second of logical time in the measured part, about: what a tick should hold.
    pub fn logical_rate(&self) -> f64 {
        match self {
            // Cancellations, edits, sales and new prices come on top.
            Kind::City(city) => city.intents as f64 * 1.2 / (f64::from(city.hours) * 3_600.0),
            Kind::Trace(..) => 10.0,
        }
    }

    /// In words.
    pub fn name(&self) -> String {
        match self {
            Kind::City(city) if city.rush > 0 => format!(
                "burst: {} of {} standing intents' city want one product at one place at noon",
                city.rush, city.crowd
            ),
            Kind::City(city) => format!(
                "city: seed {}, {} standing intents, {} stores, {} products, {} intents in {} hours",
                city.seed, city.crowd, city.stores, city.products, city.intents, city.hours
            ),
            Kind::Trace(path, load) => {
                let name = path.rsplit('/').next().unwrap_or(path);
                format!("trace: {name}, {load} lines stand")
            }
        }
    }
}

/// A workload under way.
pub struct Workload(Source);

enum Source {
    City {
        records: Box<dyn Iterator<Item = Dated> + Send>,
        /// What comes before belongs to the opening.
        opened: Timestamp,
        /// The first record after it.
        next: Option<Box<Dated>>,
    },
    Trace {
        lines: Box<Lines>,
        path: String,
        /// How many lines of the opening are left.
        left: usize,
    },
}

impl Workload {
    /// At its beginning.
    ///
    /// # Errors
    /// The trace cannot be opened.
    pub fn open(kind: &Kind) -> Result<Self, Failure> {
        Ok(Self(match kind {
            Kind::City(city) => Source::City {
                records: Box::new(city.records()),
                opened: city.opened(),
                next: None,
            },
            Kind::Trace(path, load) => {
                let lines = Lines::open(path)
                    .or_fail(FailureKind::Data, || format!("cannot read {path}"))?;
                Source::Trace { lines: Box::new(lines), path: path.clone(), left: *load }
            }
        }))
    }

    /// Some more lines of the opening; none when it is over.
    ///
    /// # Errors
    /// The trace cannot be read.
    pub fn opening(&mut self) -> Result<Vec<Vec<u8>>, Failure> {
        match &mut self.0 {
            Source::City { records, opened, next } => {
                let mut made = Vec::with_capacity(AT_ONCE);
                while made.len() < AT_ONCE && next.is_none() {
                    match records.next() {
                        // What opens the city is put at its start, the crowd until then.
                        Some(dated) if dated.at < *opened || opens(&dated) => {
                            made.push(line(&dated))
                        }
                        Some(dated) => *next = Some(Box::new(dated)),
                        None => break,
                    }
                }
                Ok(made)
            }
            Source::Trace { lines, path, left } => {
                let made = read(lines, path, AT_ONCE.min(*left))?;
                *left -= made.len();
                Ok(made)
            }
        }
    }

    /// So many lines of the stream, or as many as there are.
    ///
    /// # Errors
    /// The trace cannot be read.
    pub fn measured(&mut self, count: usize) -> Result<Vec<Vec<u8>>, Failure> {
        match &mut self.0 {
            Source::City { records, next, .. } => {
                let first = next.take().map(|dated| *dated);
                let all = first.into_iter().chain(records.by_ref());
                Ok(all.take(count).map(|dated| line(&dated)).collect())
            }
            Source::Trace { lines, path, .. } => read(lines, path, count),
        }
    }
}

fn opens(dated: &Dated) -> bool {
    use connectors::wire::Record;
    match &dated.record {
        Record::Store(_) => true,
        Record::Offer(offer) => offer.version == 1,
        _ => false,
    }
}

fn line(dated: &Dated) -> Vec<u8> {
    let mut line = Vec::new();
    json::write_record(&mut line, Some(&dated.at.to_string()), &dated.record);
    line
}

fn read(lines: &mut Lines, path: &str, count: usize) -> Result<Vec<Vec<u8>>, Failure> {
    let mut all = Vec::new();
    while all.len() < count {
        let line =
            lines.next_line().or_fail(FailureKind::Data, || format!("cannot read {path}"))?;
        let Some(line) = line else { break };
        all.push(line.bytes.to_vec());
    }
    Ok(all)
}
