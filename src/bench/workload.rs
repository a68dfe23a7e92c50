//! What a bench offers: records as JSON lines, an opening that stands and then a stream.

use crate::failure::{Failure, Kind as FailureKind, OrFail};
use crate::run::forked::Forked;
use crate::scenario::{City, Dated};
use connectors::codec::json;
use connectors::file::{Lines, inbound};
use connectors::inbound::Stamp;
use dataflows::saved::Copier;
use jiff::Timestamp;
use std::fs::File;
use std::io::{self, Seek, Write};

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
    fn logical_rate(&self) -> Result<f64, Failure> {
        match self {
            // Cancellations, edits, sales and new prices come on top.
            Kind::City(city) => Ok(city.intents as f64 * 1.2 / (f64::from(city.hours) * 3_600.0)),
            Kind::Trace(path, load) => {
                rate_of(path, *load).or_fail(FailureKind::Data, || format!("cannot read {path}"))
            }
        }
    }

    /// In words.
    pub fn name(&self) -> String {
        match self {
            Kind::City(city) if city.rush > 0 => format!(
                "burst: {} want one product at one place at noon, in a city of {} standing intents, {} stores, \
                 {} products, seed {}",
                city.rush, city.crowd, city.stores, city.products, city.seed
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
pub struct Workload {
    lines: Box<Lines>,
    path: String,
    /// Whether the lines are made, and begin with what they belong to.
    made: bool,
    /// How many lines of the opening of a trace are left.
    left: usize,
    /// What was read of the next part.
    next: Option<Vec<u8>>,
    logical_rate: f64,
}

/// What the line of a record begins with that opens a city, and of one that comes later.
const OPENS: u8 = b'o';
const COMES: u8 = b'c';

impl Workload {
    /// At its beginning. A city's records are made by a process of their own, with so many of the stream, and
    /// wait in a file that has no name: neither their making nor what it remembers is this process's.
    ///
    /// **Contract** this process has no other threads.
    ///
    /// # Errors
    /// The trace cannot be opened, or the file cannot be written.
    pub fn open(kind: &Kind, measured: usize) -> Result<Self, Failure> {
        let (lines, path, left) = match kind {
            Kind::City(city) => {
                let path = "the records of the city".to_owned();
                let made = make(city, measured).or_fail(FailureKind::Data, || path.clone())?;
                (Lines::new(made, &path), path, 0)
            }
            Kind::Trace(path, load) => (Lines::open(path), path.clone(), *load),
        };
        let lines = lines.or_fail(FailureKind::Data, || format!("cannot read {path}"))?;
        let (made, logical_rate) = (matches!(kind, Kind::City(_)), kind.logical_rate()?);
        Ok(Self { lines: Box::new(lines), path, made, left, next: None, logical_rate })
    }

    /// Records a second of logical time in the measured part, about.
    pub fn logical_rate(&self) -> f64 {
        self.logical_rate
    }

    /// Some more lines of the opening; none when it is over.
    ///
    /// # Errors
    /// The trace cannot be read.
    pub fn opening(&mut self) -> Result<Vec<Vec<u8>>, Failure> {
        let most = if self.made { AT_ONCE } else { AT_ONCE.min(self.left) };
        let made = self.read(most, OPENS)?;
        self.left -= if self.made { 0 } else { made.len() };
        Ok(made)
    }

    /// So many lines of the stream, or as many as there are.
    ///
    /// # Errors
    /// The trace cannot be read.
    pub fn measured(&mut self, count: usize) -> Result<Vec<Vec<u8>>, Failure> {
        self.read(count, COMES)
    }

    /// The line that comes next.
    ///
    /// # Errors
    /// The trace cannot be read.
    pub fn comes(&mut self) -> Result<Option<&[u8]>, Failure> {
        self.look_ahead()?;
        let made = self.made as usize;
        Ok(self.next.as_ref().map(|line| &line[made..]))
    }

    /// Reads the next line, unless that is done.
    fn look_ahead(&mut self) -> Result<(), Failure> {
        if self.next.is_none() {
            let read = self.lines.next_line();
            let read = read.or_fail(FailureKind::Data, || format!("cannot read {}", self.path))?;
            self.next = read.map(|line| line.bytes.to_vec());
        }
        Ok(())
    }

    fn read(&mut self, count: usize, part: u8) -> Result<Vec<Vec<u8>>, Failure> {
        let mut all = Vec::new();
        while all.len() < count {
            self.look_ahead()?;
            let made = self.made;
            let own = |line: &mut Vec<u8>| !made || line.first() == Some(&part);
            let Some(mut line) = self.next.take_if(own) else { break };
            if self.made {
                line.remove(0);
            }
            all.push(line);
        }
        Ok(all)
    }
}

/// A file with the city's records, and so many of those that come when it stands.
fn make(city: &City, measured: usize) -> io::Result<File> {
    let write = |to: &mut dyn Write| {
        let (mut line, mut left) = (Vec::new(), measured);
        for dated in city.records() {
            // What opens the city is put at its start, the crowd until then.
            let opening = dated.at < city.opened() || opens(&dated);
            if !opening && left == 0 {
                break;
            }
            left -= !opening as usize;
            line.clear();
            line.push(if opening { OPENS } else { COMES });
            json::write_record(&mut line, Some(&dated.at.to_string()), &dated.record);
            line.push(b'\n');
            to.write_all(&line)?;
        }
        Ok(())
    };
    let mut made = tempfile::tempfile()?;
    io::copy(&mut Forked.copy(&write)?, &mut made)?;
    made.rewind()?;
    Ok(made)
}

/// How many lines a trace has in a second of its own time, after so many of them; 1 where they say no time.
fn rate_of(path: &str, load: usize) -> anyhow::Result<f64> {
    let (mut lines, mut count) = (Lines::open(path)?, 0usize);
    let mut span: Option<(Timestamp, Timestamp)> = None;
    while let Some(line) = lines.next_line()? {
        count += 1;
        let said = (count > load).then(|| inbound(line).at);
        let Some(Stamp::Text(at)) = said else { continue };
        let Ok(at) = at.parse::<Timestamp>() else { continue };
        let (first, last) = span.unwrap_or((at, at));
        span = Some((first.min(at), last.max(at)));
    }
    let seconds = span.map_or(0.0, |(first, last)| last.duration_since(first).as_secs_f64());
    Ok(if seconds > 0.0 { (count - load) as f64 / seconds } else { 1.0 })
}

fn opens(dated: &Dated) -> bool {
    use connectors::wire::Record;
    match &dated.record {
        Record::Store(_) => true,
        Record::Offer(offer) => offer.version == 1,
        _ => false,
    }
}
