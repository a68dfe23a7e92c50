//! Reads an `opening_hours` expression and refuses what cannot be honoured.
//!
//! The parser is the crate `opening-hours`; this file decides which of what it parses is accepted.
//! Beyond the meanings that `hours.rs` refuses, it refuses the few forms that the crate (2.1.4)
//! accepts but misreads: a reversed `[5-2]`, a step longer than its range, a month glued to its
//! year (`2026Jan`), days that no year has (`Apr 31`), the fifth weekday of a month as a bound of
//! dates, and offsets of more than [`MAX_OFFSET_DAYS`].
//!
//! Invariant: an accepted expression evaluates on every day without panic, in bounded time.

use crate::market::{Invalid, limits};
use opening_hours::OpeningHours;
use opening_hours_syntax::rules::{
    OpeningHoursExpression, RuleKind, RuleSequence,
    day::{Date, DateOffset, DaySelector, MonthdayRange, WeekDayRange},
    time::{Time, TimeSpan},
};

/// The greatest offset of a date or weekday; the crate looks one year around a date, not further.
const MAX_OFFSET_DAYS: u16 = 100;
/// The most rules of one expression: evaluating a day is at worst quadratic in them.
const MAX_RULES: usize = 64;
/// The most times of one rule, for the same reason.
const MAX_SPANS: usize = 32;

/// What an accepted expression says.
pub(super) struct Rules {
    /// The expression, evaluated by day.
    pub(super) hours: OpeningHours,
    /// Whether a day's opening depends on nothing but its weekday.
    pub(super) weekly: bool,
}

/// Parses and judges an expression.
///
/// # Errors
/// Of field `hours`, when it is unreadable, too long, or cannot be honoured.
pub(super) fn parse(expression: &str) -> Result<Rules, Invalid> {
    let refuse = |reason: String| Invalid::new("hours", expression, reason);
    judge_text(expression).map_err(refuse)?;
    let hours: OpeningHours =
        expression.parse().map_err(|error| refuse(unreadable(&format!("{error}"))))?;
    let parsed = hours.get_expression();
    judge(expression, &parsed).map_err(refuse)?;
    let weekly = parsed.rules.iter().all(|rule| is_weekly(&rule.day_selector));
    Ok(Rules { hours, weekly })
}

/// The parser's complaint in one lower-case line.
fn unreadable(complaint: &str) -> String {
    let place = complaint.split_once("--> 1:").and_then(|(_, rest)| rest.lines().next());
    match place {
        Some(column) => format!("not an opening_hours expression, from column {column} on"),
        None => {
            let line = complaint.lines().next().unwrap_or_default();
            format!("not an opening_hours expression: {}", line.to_lowercase())
        }
    }
}

/// Refuses by the bare text: what the parser would panic at, or loses.
fn judge_text(expression: &str) -> Result<(), String> {
    if expression.is_empty() {
        return Err("no opening hours are given; 24/7 means always".to_string());
    }
    if expression.len() > limits::MAX_HOURS_BYTES {
        return Err(format!("opening hours have at most {} bytes", limits::MAX_HOURS_BYTES));
    }
    for after in expression.split('/').skip(1) {
        if after.trim_start_matches(' ').starts_with("24:00") {
            return Err("repeated times are no opening hours".to_string());
        }
    }
    for bracket in expression.split('[').skip(1) {
        let inside = bracket.split(']').next().unwrap_or_default();
        for entry in inside.split(',') {
            if entry.split_once('-').is_some_and(|(from, to)| !from.is_empty() && from > to) {
                return Err(format!("a range of weekdays runs backwards: [{entry}]"));
            }
        }
    }
    Ok(())
}

/// Refuses what the parsed expression means.
fn judge(text: &str, expression: &OpeningHoursExpression) -> Result<(), String> {
    if expression.rules.len() > MAX_RULES {
        return Err(format!("more than {MAX_RULES} rules"));
    }
    for rule in &expression.rules {
        judge_rule(rule)?;
        judge_days(&rule.day_selector)?;
    }
    let steps = expression.rules.iter().map(|rule| count_steps(&rule.day_selector)).sum::<usize>();
    let plain: String = text.split('"').step_by(2).collect();
    let slashes = plain.matches('/').count() - plain.matches("24/7").count();
    if steps != slashes {
        return Err("a step is at least 2 and no longer than its range".to_string());
    }
    Ok(())
}

/// Refuses states that are neither open nor closed, and times that are not on the clock.
fn judge_rule(rule: &RuleSequence) -> Result<(), String> {
    if rule.kind == RuleKind::Unknown {
        return Err("unknown is neither open nor closed".to_string());
    }
    if rule.kind == RuleKind::Open && !rule.comment.is_empty() {
        return Err(format!("open under a condition: \"{}\"", rule.comment));
    }
    if rule.time_selector.spans.len() > MAX_SPANS {
        return Err(format!("more than {MAX_SPANS} times in one rule"));
    }
    rule.time_selector.spans.iter().try_for_each(judge_span)
}

/// Refuses times of day that are not two times on the clock.
fn judge_span(span: &TimeSpan) -> Result<(), String> {
    if span.open_end {
        return Err(format!("an open end: {span}"));
    }
    if span.repeats.is_some() {
        return Err(format!("repeated times are no opening hours: {span}"));
    }
    match (&span.range.start, &span.range.end) {
        (Time::Fixed(_), Time::Fixed(_)) => Ok(()),
        _ => Err(format!("times that follow the sun: {span}")),
    }
}

/// Refuses days that need a calendar, and those that the crate misreads.
fn judge_days(days: &DaySelector) -> Result<(), String> {
    for weekday in &days.weekday {
        match weekday {
            WeekDayRange::Holiday { kind, .. } => {
                return Err(format!("{kind} needs a holiday calendar: use closed_dates"));
            }
            WeekDayRange::Fixed { offset, .. } => judge_offset(*offset)?,
        }
    }
    for range in &days.monthday {
        match range {
            MonthdayRange::Month { year: Some(year), .. } => {
                return Err(format!("leave a blank between {} and its month", **year));
            }
            MonthdayRange::Month { year: None, .. } => {}
            MonthdayRange::Date { start, end } => {
                judge_date(start)?;
                judge_date(end)?;
            }
        }
    }
    Ok(())
}

/// Refuses a date that not every year has, but for the 29th of February.
fn judge_date((date, offset): &(Date, DateOffset)) -> Result<(), String> {
    judge_offset(offset.day_offset)?;
    match date {
        Date::Fixed { month, day, .. } => {
            let days = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][*month as usize - 1];
            if *day > days { Err(format!("no year has this day: {date}")) } else { Ok(()) }
        }
        Date::Weekday { nth, .. } if nth.unsigned_abs() > 4 => {
            Err(format!("not every month has a fifth weekday: {date}"))
        }
        Date::Weekday { .. } | Date::Easter { .. } => Ok(()),
    }
}

/// Refuses an offset that leads out of the years that the crate looks at.
fn judge_offset(days: i16) -> Result<(), String> {
    if days.unsigned_abs() > MAX_OFFSET_DAYS {
        return Err(format!("an offset of more than {MAX_OFFSET_DAYS} days: {days}"));
    }
    Ok(())
}

/// How many year and week ranges have a step; the parser turns one that is too long into 1.
fn count_steps(days: &DaySelector) -> usize {
    days.year.iter().filter(|range| range.into_parts().1 != 1).count()
        + days.week.iter().filter(|range| range.into_parts().1 != 1).count()
}

/// Whether the days depend on the weekday alone.
fn is_weekly(days: &DaySelector) -> bool {
    let plain = |day: &WeekDayRange| match day {
        WeekDayRange::Fixed { offset: 0, nth_from_start, .. } => *nth_from_start == [true; 5],
        _ => false,
    };
    days.year.is_empty()
        && days.monthday.is_empty()
        && days.week.is_empty()
        && days.weekday.iter().all(plain)
}
