//! Opening hours in compiled form: from local days to stretches of time to slots.
//!
//! A day's opening is a list of local minute ranges: looked up by weekday where the expression is
//! weekly, else evaluated by the parser's crate. Ranges that touch, at midnight too, are joined;
//! each then becomes a stretch of absolute time in the store's zone, and the slots wholly inside a
//! stretch are open.
//!
//! Invariant: whether a slot is open depends on the slot alone, not on the range asked for.

use super::syntax::Rules;
use crate::market::{Slot, SlotLength, SlotSet, Time, limits};
use chrono::{NaiveDate, Weekday};
use jiff::civil::{Date, DateTime, Time as Clock};
use jiff::{Timestamp, tz::TimeZone};
use opening_hours::{OpeningHours, RuleKind};
use std::{borrow::Cow, sync::Arc};

/// Minutes in a day.
const DAY: u16 = 1_440;
/// Milliseconds in a day.
const DAY_MS: i64 = 86_400_000;

/// A day's opening: `[from, until)` in minutes since local midnight, sorted, at most 1440.
type Minutes<'a> = Cow<'a, [(u16, u16)]>;

/// Compiled opening hours: cheap to ask and to clone, not for the dataflow; by default always.
#[derive(Debug, Clone, Default)]
pub struct Schedule(Kind);

#[derive(Debug, Clone, Default)]
enum Kind {
    #[default]
    Always,
    Slots(SlotSet),
    Hours(Arc<Compiled>),
}

#[derive(Debug)]
struct Compiled {
    zone: TimeZone,
    days: Days,
    /// Closed dates as days since 1970, sorted.
    closed: Box<[i32]>,
}

#[derive(Debug)]
enum Days {
    /// By weekday, Monday first.
    Weekly([Vec<(u16, u16)>; 7]),
    /// By date.
    Dated(OpeningHours),
}

/// A stretch of opening on the local clock: `[from, until)`.
type Local = (DateTime, DateTime);

/// A stretch of opening: `[from, until)` in milliseconds since 1970.
type Stretch = (i64, i64);

impl Schedule {
    /// Open at all times.
    pub(super) fn always() -> Self {
        Self(Kind::Always)
    }

    /// Open in these slots.
    pub(super) fn slots(slots: SlotSet) -> Self {
        Self(Kind::Slots(slots))
    }

    /// Open as the rules say, but for the closed days.
    pub(super) fn hours(zone: TimeZone, rules: Rules, closed: Box<[i32]>) -> Self {
        let days = if rules.weekly {
            // Any week does for a weekly expression; its Monday sees the Sunday before.
            Days::Weekly(std::array::from_fn(|n| {
                let weekday = Weekday::try_from(n as u8).expect("0 to 6 are weekdays");
                let date = NaiveDate::from_isoywd_opt(2024, 20, weekday);
                evaluate(&rules.hours, date.expect("2024 has a week 20"))
            }))
        } else {
            Days::Dated(rules.hours)
        };
        Self(Kind::Hours(Arc::new(Compiled { zone, days, closed })))
    }

    /// The open slots among `[from, until)`.
    ///
    /// A slot counts only if it lies wholly inside one stretch of opening (R1); stretches that
    /// touch (`20:00-24:00`, then `00:00-02:00`) are one.
    ///
    /// **Contract** hours are known from 2000 to a month past 2100 ([`limits`]); nothing is open
    /// outside. `Always` and `Slots` have no such bounds.
    ///
    /// **Cost** some 0.2 microseconds per opening of the days asked for and one day around; where
    /// the expression is not weekly, some microseconds a day.
    pub fn open_slots(&self, from: Slot, until: Slot, length: SlotLength) -> SlotSet {
        match &self.0 {
            Kind::Always => SlotSet::range(from, until),
            Kind::Slots(slots) => slots.intersect(&SlotSet::range(from, until)),
            Kind::Hours(compiled) => compiled.open_slots(from, until, length),
        }
    }
}

impl Compiled {
    fn open_slots(&self, from: Slot, until: Slot, length: SlotLength) -> SlotSet {
        let from = from.max(length.from(Time(limits::MIN_TIME_S * 1_000)));
        let until = until.min(length.at(Time(limits::MAX_TIME_S * 1_000 + 31 * DAY_MS)));
        if from >= until {
            return SlotSet::default();
        }
        // One day around: a stretch that reaches over the edge must be seen whole enough.
        let stretches = self.stretches(
            self.local_date(length.start(from).0 - DAY_MS),
            self.local_date(length.start(until).0 + DAY_MS),
        );
        let slots = stretches.into_iter().map(|(start, end)| {
            (length.from(Time(start)).max(from), length.at(Time(end)).min(until))
        });
        SlotSet::new(slots.collect())
    }

    /// The stretches of opening from the first to the last local date, sorted, none touching.
    fn stretches(&self, first: Date, last: Date) -> Vec<Stretch> {
        let mut stretches = Vec::new();
        let mut running: Option<Local> = None;
        let mut date = first;
        while date <= last {
            let next = following(date);
            let closed = self.is_closed(date);
            if closed && let Some(local) = running.take() {
                self.close(local, Some(date), &mut stretches);
            }
            let minutes = if closed { Minutes::default() } else { self.minutes(date) };
            for &(from, until) in minutes.iter() {
                let (from, until) = (civil(date, next, from), civil(date, next, until));
                match &mut running {
                    Some(local) if local.1 == from => local.1 = until,
                    _ => {
                        if let Some(local) = running.replace((from, until)) {
                            self.close(local, None, &mut stretches);
                        }
                    }
                }
            }
            date = next;
        }
        if let Some(local) = running {
            self.close(local, None, &mut stretches);
        }
        merge(stretches)
    }

    /// Adds a local stretch that goes no further, as absolute time, cut off where the closed date
    /// that follows it begins.
    fn close(&self, (from, until): Local, closed: Option<Date>, stretches: &mut Vec<Stretch>) {
        let start = self.first(from);
        let end = self.last(until);
        let end = match closed {
            Some(date) => end.min(self.first(date.to_datetime(Clock::midnight()))),
            None => end,
        };
        if start < end {
            stretches.push((start, end));
        }
    }

    /// The local opening of one date that is not closed.
    fn minutes(&self, date: Date) -> Minutes<'_> {
        match &self.days {
            Days::Weekly(week) => {
                Cow::Borrowed(&week[date.weekday().to_monday_zero_offset() as usize])
            }
            Days::Dated(hours) => {
                let (year, month, day) = (date.year().into(), date.month(), date.day());
                let naive = NaiveDate::from_ymd_opt(year, month as u32, day as u32);
                Cow::Owned(evaluate(hours, naive.expect("both calendars are gregorian")))
            }
        }
    }

    fn is_closed(&self, date: Date) -> bool {
        !self.closed.is_empty() && self.closed.binary_search(&day_number(date)).is_ok()
    }

    /// The local date at that instant.
    fn local_date(&self, ms: i64) -> Date {
        let instant = Timestamp::from_millisecond(ms).expect("the instant is near 2000 to 2100");
        self.zone.to_datetime(instant).date()
    }

    /// The first instant at which the local clock shows that time; if it skips it, the instant
    /// as long after the gap's start as the time is.
    fn first(&self, local: DateTime) -> i64 {
        let instant = self.zone.to_ambiguous_timestamp(local).compatible();
        instant.expect("the instant is near 2000 to 2100").as_millisecond()
    }

    /// The last instant at which the local clock shows that time; a skipped one as in `first`.
    fn last(&self, local: DateTime) -> i64 {
        let instant = self.zone.to_ambiguous_timestamp(local).later();
        instant.expect("the instant is near 2000 to 2100").as_millisecond()
    }
}

/// Days from 1970 to the date.
pub(super) fn day_number(date: Date) -> i32 {
    const EPOCH: Date = Date::constant(1970, 1, 1);
    date.duration_since(EPOCH).as_hours() as i32 / 24
}

/// The date after this one.
fn following(date: Date) -> Date {
    date.tomorrow().expect("the date is near 2000 to 2100")
}

/// A minute of the date, or the next date's midnight.
fn civil(date: Date, next: Date, minute: u16) -> DateTime {
    if minute >= DAY {
        return next.to_datetime(Clock::midnight());
    }
    date.at((minute / 60) as i8, (minute % 60) as i8, 0, 0)
}

/// The crate's answer for one day.
fn evaluate(hours: &OpeningHours, date: NaiveDate) -> Vec<(u16, u16)> {
    let open = hours.schedule_at(date).into_iter().filter(|range| range.kind == RuleKind::Open);
    let minutes = open.map(|time| {
        (time.range.start.mins_from_midnight(), time.range.end.mins_from_midnight().min(DAY))
    });
    minutes.filter(|(from, until)| from < until).collect()
}

/// The union of the stretches: sorted, none touching.
fn merge(mut stretches: Vec<Stretch>) -> Vec<Stretch> {
    stretches.sort_unstable();
    let mut merged: Vec<Stretch> = Vec::with_capacity(stretches.len());
    for (start, end) in stretches {
        match merged.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => merged.push((start, end)),
        }
    }
    merged
}
