//! Opening hours: what a store says of them, and which slots that makes (market.md R1).
//!
//! An expression in OpenStreetMap's `opening_hours` syntax is read in the store's own time zone,
//! with daylight saving; local closed dates override it. The zone database is the compiled-in one,
//! so equal hours give equal slots on every machine. Nothing here reads a clock or a file.
//!
//! **Accepted:** weekdays (`Mo-Fr`, `Sa,Su`, `Mo[1]`, `Fr[-1]`), months, dates and ranges of them
//! (`Dec 24-Jan 2`, `2026 Dec 31`, `easter -2 days`), years, weeks (`week 1-53/2`), times
//! (`09:00-12:30,13:30-18:00`), also past midnight (`22:00-02:00`, `22:00-26:00`), `24/7`,
//! `closed`/`off`, and the separators `;` (overrides), `,` (adds) and `||` (falls back).
//!
//! **Past midnight, with `;`:** as the crate `opening-hours` has it, a later `;` rule replaces its
//! whole day, including the hours that reach into it from the evening before (`Fr 18:00-02:00; Sa
//! 10:00-18:00` closes at midnight, with `, Sa` at two); and hours past midnight belong to their
//! own rule, so that `Mo-Su 18:00-02:00; Fr off` opens on Saturday at midnight.
//!
//! **Refused aloud**, since no slot could be promised on it: `PH` and `SH` (they need a holiday
//! calendar: name the dates in `closed_dates`), `sunrise` and its like (sun position), open ends
//! (`10:00+`), repeated times (`10:00-16:00/01:30`), `unknown`, comments on anything but `closed`
//! (they carry conditions), and what `hours/syntax.rs` lists as misread by its parser.
//!
//! **Daylight saving:** a local time that the clock skips moves forward by the gap; of one that it
//! shows twice, a stretch starts at the first and ends at the last. A stretch that this turns
//! around is empty.
//!
//! **Closed dates** take away exactly their local date: a stretch that began the evening before
//! ends where the closed date begins, and hours past its midnight belong to the next date.

mod schedule;
mod syntax;
#[cfg(test)]
mod tests;

use super::{Invalid, SlotSet, limits};
use compact_str::CompactString;
use jiff::{civil::Date, tz};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};

pub use schedule::Schedule;

/// When a store is open: a plain value, which travels through the dataflow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Opening {
    /// At all times.
    Always,
    /// In these slots, given directly.
    Slots(SlotSet),
    /// As an expression says, in a time zone.
    Hours(Hours),
}

impl Opening {
    /// The compiled form.
    pub fn schedule(&self) -> Schedule {
        match self {
            Opening::Always => Schedule::always(),
            Opening::Slots(slots) => Schedule::slots(slots.clone()),
            Opening::Hours(hours) => hours.schedule(),
        }
    }

    /// The IANA name of the time zone; `UTC` where none is given.
    pub fn timezone(&self) -> &str {
        match self {
            Opening::Always | Opening::Slots(_) => "UTC",
            Opening::Hours(hours) => hours.timezone(),
        }
    }
}

/// Opening hours that can be honoured: a known time zone, an accepted expression, real dates.
///
/// Invariant: [`Hours::new`] accepted it; deserialising asks it again. Clones share one compiled form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Said")]
pub struct Hours(Arc<Shared>);

/// What clones share.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Shared {
    said: Said,
    #[serde(skip)]
    schedule: Schedule,
}

impl PartialEq for Shared {
    fn eq(&self, other: &Self) -> bool {
        self.said == other.said
    }
}

impl Eq for Shared {}

impl PartialOrd for Shared {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Shared {
    fn cmp(&self, other: &Self) -> Ordering {
        self.said.cmp(&other.said)
    }
}

impl Hash for Shared {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.said.hash(state);
    }
}

/// What a store says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Said {
    /// The zone's IANA name, in the database's own spelling.
    timezone: CompactString,
    /// The expression, without blanks around it.
    expression: CompactString,
    /// Local dates without opening, as days since 1970, sorted, each once.
    closed: Box<[i32]>,
}

impl Hours {
    /// Reads opening hours.
    ///
    /// **Cost** one parse: 5 to 20 microseconds for a weekly expression.
    ///
    /// # Errors
    /// Of field `timezone` when the zone is unknown, of `hours` when the expression is unreadable,
    /// too long, or cannot be honoured, of `closed_dates` when there are too many, of
    /// `closed_dates[n]` when that is no date.
    pub fn new(timezone: &str, expression: &str, closed_dates: &[String]) -> Result<Self, Invalid> {
        if closed_dates.len() > limits::MAX_CLOSED_DATES {
            let reason = format!("a store has at most {} closed dates", limits::MAX_CLOSED_DATES);
            return Err(Invalid::new("closed_dates", closed_dates.len(), reason));
        }
        let closed = closed_dates.iter().enumerate().map(|(n, text)| closed_date(n, text));
        let closed = closed.collect::<Result<_, Invalid>>()?;
        Said { timezone: timezone.into(), expression: expression.into(), closed }.try_into()
    }

    /// The IANA name of the time zone.
    pub fn timezone(&self) -> &str {
        &self.0.said.timezone
    }

    /// The compiled form, for whoever asks often.
    pub fn schedule(&self) -> Schedule {
        self.0.schedule.clone()
    }
}

impl TryFrom<Said> for Hours {
    type Error = Invalid;

    fn try_from(said: Said) -> Result<Self, Invalid> {
        let zone = zone(&said.timezone)?;
        let expression = said.expression.trim();
        let rules = syntax::parse(expression)?;
        let mut closed = said.closed.into_vec();
        closed.sort_unstable();
        closed.dedup();
        let said = Said {
            timezone: CompactString::new(zone.iana_name().unwrap_or(&said.timezone)),
            expression: CompactString::new(expression),
            closed: closed.into_boxed_slice(),
        };
        let schedule = Schedule::hours(zone, rules, said.closed.clone());
        Ok(Self(Arc::new(Shared { said, schedule })))
    }
}

/// The time zone of that IANA name, from the compiled-in database.
fn zone(name: &str) -> Result<tz::TimeZone, Invalid> {
    static ZONES: LazyLock<tz::TimeZoneDatabase> = LazyLock::new(tz::TimeZoneDatabase::bundled);
    match ZONES.get(name) {
        Ok(zone) if !zone.is_unknown() => Ok(zone),
        _ => Err(Invalid::new("timezone", name, "not an iana time zone, such as Europe/Istanbul")),
    }
}

/// Days from 1970 to the closed date of that index.
fn closed_date(n: usize, text: &str) -> Result<i32, Invalid> {
    let shaped = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    match text.parse::<Date>() {
        Ok(date) if shaped => Ok(schedule::day_number(date)),
        _ => Err(Invalid::new(&format!("closed_dates[{n}]"), text, "not a date like 2026-12-31")),
    }
}
