//! Opening hours against examples.

mod properties;

use super::*;
use crate::market::{Slot, SlotLength, Time};
use jiff::{Timestamp, ToSpan, civil::DateTime};

fn hours(zone: &str, expression: &str, closed: &[&str]) -> Hours {
    let closed: Vec<String> = closed.iter().map(|date| date.to_string()).collect();
    Hours::new(zone, expression, &closed).unwrap()
}

/// The slot that starts at a local time or, where that is between two slots, the one before.
fn slot_at(zone: &str, local: &str, length: SlotLength) -> Slot {
    let local: DateTime = local.parse().unwrap();
    let zone = super::zone(zone).unwrap();
    length.at(Time(zone.to_timestamp(local).unwrap().as_millisecond()))
}

/// Open slots from one local date to another, as ranges on the local clock.
fn opened(hours: &Hours, from: &str, until: &str, minutes: u32) -> Vec<String> {
    let length = SlotLength::minutes(minutes).unwrap();
    let zone = super::zone(hours.timezone()).unwrap();
    let shown = |slot: Slot| {
        let instant = Timestamp::from_millisecond(length.start(slot).0).unwrap();
        instant.to_zoned(zone.clone()).strftime("%d %H:%M%z").to_string()
    };
    let from = slot_at(hours.timezone(), from, length);
    let until = slot_at(hours.timezone(), until, length);
    let slots = hours.schedule().open_slots(from, until, length);
    slots.ranges().iter().map(|&(a, b)| format!("{} - {}", shown(a), shown(b))).collect()
}

#[track_caller]
fn check(zone: &str, expression: &str, closed: &[&str], days: [&str; 2], expected: &[&str]) {
    assert_eq!(opened(&hours(zone, expression, closed), days[0], days[1], 20), expected);
}

#[test]
fn weekly_hours() {
    // The 12th of June 2026 is a Friday.
    let fri = ["2026-06-12", "2026-06-13"];
    let istanbul = "Europe/Istanbul";
    check(istanbul, "Mo-Su 07:30-23:00", &[], fri, &["12 07:40+0300 - 12 23:00+0300"]);
    check(istanbul, "24/7", &[], fri, &["12 00:00+0300 - 13 00:00+0300"]);
    check(
        istanbul,
        "Mo-Su 00:00-01:30,05:30-24:00",
        &[],
        fri,
        &["12 00:00+0300 - 12 01:20+0300", "12 05:40+0300 - 13 00:00+0300"],
    );
    check(
        istanbul,
        "Mo-Fr 09:00-12:30,13:30-18:00; Sa 10:00-14:00",
        &[],
        ["2026-06-12", "2026-06-14"],
        &[
            "12 09:00+0300 - 12 12:20+0300",
            "12 13:40+0300 - 12 18:00+0300",
            "13 10:00+0300 - 13 14:00+0300",
        ],
    );
    check(istanbul, "Mo-Fr 09:00-18:00; Fr off", &[], fri, &[]);
    check(istanbul, "closed", &[], fri, &[]);
}

#[test]
fn stretches_that_touch_at_midnight_are_one() {
    let days = ["2026-06-12T12:00", "2026-06-13T12:00"];
    // 20:30-02:30 local is 15:00-21:00 UTC: midnight, 18:30 UTC, is no slot's edge in Kolkata.
    let one = &["12 20:30+0530 - 13 02:30+0530"];
    check("Asia/Kolkata", "Mo-Su 20:30-24:00,00:00-02:30", &[], days, one);
    check("Asia/Kolkata", "Fr 20:30-26:30", &[], days, one);
    check("Asia/Kolkata", "Fr 20:30-02:30", &[], days, one);
    check("Asia/Kolkata", "Fr 20:30-24:00, Sa 00:00-02:30", &[], days, one);
    check("Asia/Kolkata", "Fr 20:30-24:00", &[], days, &["12 20:30+0530 - 12 23:50+0530"]);
    check("Asia/Kolkata", "Sa 00:00-02:30", &[], days, &["13 00:10+0530 - 13 02:30+0530"]);
}

#[test]
fn closed_dates_are_closed() {
    let days = ["2026-06-12T12:00", "2026-06-15"];
    check(
        "Europe/Istanbul",
        "Mo-Su 18:00-03:00",
        &["2026-06-13"],
        days,
        &[
            "12 18:00+0300 - 13 00:00+0300",
            "14 00:00+0300 - 14 03:00+0300",
            "14 18:00+0300 - 15 00:00+0300",
        ],
    );
    check(
        "Europe/Istanbul",
        "24/7",
        &["2026-06-13", "2026-06-14"],
        days,
        &["12 12:00+0300 - 13 00:00+0300"],
    );
    // Havana's clocks go from 01:00 back to 00:00: the day before must not reach into that hour.
    let autumn = ["2026-10-31T12:00", "2026-11-01T12:00"];
    let closed = ["2026-11-01"];
    check("America/Havana", "24/7", &closed, autumn, &["31 12:00-0400 - 01 00:00-0400"]);
}

#[test]
fn daylight_saving() {
    // Berlin skips 02:00-03:00 on the 29th of March and repeats it on the 25th of October.
    let spring = ["2026-03-29", "2026-03-29T12:00"];
    let autumn = ["2026-10-25", "2026-10-25T12:00"];
    let b = "Europe/Berlin";
    check(b, "01:00-04:00", &[], spring, &["29 01:00+0100 - 29 04:00+0200"]);
    check(b, "02:20-04:00", &[], spring, &["29 03:20+0200 - 29 04:00+0200"]);
    check(b, "01:00-02:20", &[], spring, &["29 01:00+0100 - 29 03:20+0200"]);
    check(b, "02:40-03:20", &[], spring, &[]);
    check(b, "01:00-04:00", &[], autumn, &["25 01:00+0200 - 25 04:00+0100"]);
    check(b, "01:00-02:20", &[], autumn, &["25 01:00+0200 - 25 02:20+0100"]);
    check(b, "02:20-04:00", &[], autumn, &["25 02:20+0200 - 25 04:00+0100"]);
    check(b, "24/7", &[], autumn, &["25 00:00+0200 - 25 12:00+0100"]);
    // New York: the 8th of March and the 1st of November.
    let n = "America/New_York";
    let spring = ["2026-03-08", "2026-03-08T12:00"];
    let autumn = ["2026-11-01", "2026-11-01T12:00"];
    check(n, "01:00-03:20", &[], spring, &["08 01:00-0500 - 08 03:20-0400"]);
    check(n, "01:20-05:00", &[], autumn, &["01 01:20-0400 - 01 05:00-0500"]);
    check(n, "00:00-01:20", &[], autumn, &["01 00:00-0400 - 01 01:20-0500"]);
    // No daylight saving, on the same days.
    let lagos = "Africa/Lagos";
    check(lagos, "01:00-04:00", &[], spring, &["08 01:00+0100 - 08 04:00+0100"]);
    check(lagos, "01:00-04:00", &[], autumn, &["01 01:00+0100 - 01 04:00+0100"]);
}

#[test]
fn dated_hours() {
    let z = "Europe/Istanbul";
    let check = |expression: &str, date: &str, open: bool| {
        let day: Date = date.parse().unwrap();
        let next = day.checked_add(1.day()).unwrap().to_string();
        let slots = opened(&hours(z, expression, &[]), date, &next, 20);
        assert_eq!(!slots.is_empty(), open, "{expression} on {date}: {slots:?}");
    };
    check("Jun-Aug 10:00-18:00", "2026-06-12", true);
    check("Jun-Aug 10:00-18:00", "2026-05-31", false);
    check("Nov-Feb 10:00-18:00", "2026-02-28", true);
    check("Mo-Su 10:00-18:00; Dec 24-Jan 2 off", "2026-12-31", false);
    check("Mo-Su 10:00-18:00; Dec 24-Jan 2 off", "2027-01-03", true);
    check("2026 Dec 31 10:00-12:00", "2026-12-31", true);
    check("2026 Dec 31 10:00-12:00", "2027-12-31", false);
    check("Su[1] 10:00-18:00", "2026-06-07", true);
    check("Su[1] 10:00-18:00", "2026-06-14", false);
    check("Su[-1] 10:00-18:00", "2026-06-28", true);
    check("easter +1 day 10:00-12:00", "2026-04-06", true);
    check("week 1-53/2 10:00-12:00", "2026-01-01", true);
    check("week 1-53/2 10:00-12:00", "2026-01-08", false);
    check("Feb 29 10:00-12:00", "2028-02-29", true);
    check("Feb 29 10:00-12:00", "2026-03-01", false);
    check("Mo-Su off \"works\"; Fr 10:00-12:00", "2026-06-12", true);
    check("2027+ 10:00-12:00", "2026-06-12", false);
}

#[test]
fn what_cannot_be_honoured_is_refused() {
    let refused = |expression: &str, reason: &str| {
        let error = Hours::new("Europe/Istanbul", expression, &[]).unwrap_err();
        assert_eq!(error.field, "hours", "{expression}");
        assert!(error.reason.contains(reason), "{expression}: {}", error.reason);
        assert_eq!(error.reason.lines().count(), 1);
    };
    refused("", "no opening hours");
    refused("whenever", "from column 1");
    refused("Mo-Fr 09:00-18:00 or so", "from column 19");
    refused("Mo-Fr 09:00-18:00; PH off", "holiday calendar");
    refused("SH 09:00-18:00", "holiday calendar");
    refused("sunrise-sunset", "follow the sun");
    refused("10:00-(dusk-01:00)", "follow the sun");
    refused("10:00+", "open end");
    refused("10:00-16:00+", "open end");
    refused("10:00-16:00/01:30", "repeated");
    refused("10:00-16:00/ 24:00", "repeated");
    refused("10:00", "from column 6");
    refused("Mo unknown", "unknown");
    refused("\"by appointment\"", "condition");
    refused("10:00-12:00 open \"ring twice\"", "condition");
    refused("Mo[5-2] 10:00-12:00", "backwards");
    refused("week 1-3/9", "step");
    refused("2020-2022/5", "step");
    refused("2026Jan 10:00-12:00", "blank");
    refused("Apr 31 10:00-12:00", "no year");
    refused("Feb Mo[5]-Mar 3", "fifth");
    refused("easter +200 days", "offset");
    refused(&"Mo;".repeat(1_000), "bytes");
    refused(&format!("Mo{}", ";Mo".repeat(200)), "rules");
    refused(&format!("10:00-11:00{}", ",10:00-11:00".repeat(60)), "times");
}

#[test]
fn zones_and_dates_are_checked() {
    let refused = |zone: &str, closed: &[&str], field: &str| {
        let closed: Vec<String> = closed.iter().map(|date| date.to_string()).collect();
        assert_eq!(Hours::new(zone, "24/7", &closed).unwrap_err().field, field);
    };
    for zone in ["", "Nowhere/Land", "Etc/Unknown", "EST5EDT,M3.2.0,M11.1.0", "+03:00"] {
        refused(zone, &[], "timezone");
    }
    for date in ["", "2026-02-29", "20260101", "2026-1-1", "2026-01-01T00:00", "+002026-01-01"] {
        refused("UTC", &["2026-01-01", date], "closed_dates[1]");
    }
    refused("UTC", &["2026-01-01"; limits::MAX_CLOSED_DATES + 1], "closed_dates");
    assert_eq!(hours("europe/istanbul", "24/7", &[]).timezone(), "Europe/Istanbul");
}

#[test]
fn hours_are_values() {
    let a = hours("UTC", " Mo 10:00-12:00 ", &["2026-06-13", "2026-06-12", "2026-06-13"]);
    let b = hours("UTC", "Mo 10:00-12:00", &["2026-06-12", "2026-06-13"]);
    assert_eq!(a, b);
    let bytes = bincode::serialize(&Opening::Hours(a.clone())).unwrap();
    assert_eq!(bincode::deserialize::<Opening>(&bytes).unwrap(), Opening::Hours(b));
    let forged = bincode::serialize(&("UTC", "never mind", [0i32; 0].as_slice())).unwrap();
    assert!(bincode::deserialize::<Hours>(&forged).is_err());
}

#[test]
fn always_and_slots() {
    let length = SlotLength::default();
    let some = SlotSet::range(Slot(3), Slot(9));
    let open = |opening: &Opening| opening.schedule().open_slots(Slot(5), Slot(20), length);
    assert_eq!(open(&Opening::Always), SlotSet::range(Slot(5), Slot(20)));
    assert_eq!(open(&Opening::Slots(some)), SlotSet::range(Slot(5), Slot(9)));
    assert_eq!(Opening::Always.timezone(), "UTC");
}

#[test]
fn hours_have_an_end() {
    let schedule = hours("Pacific/Apia", "24/7", &[]).schedule();
    let length = SlotLength::default();
    let open = schedule.open_slots(Slot(i32::MIN), Slot(i32::MAX), length);
    let first = length.from(Time(limits::MIN_TIME_S * 1_000));
    assert_eq!(open.first(), Some(first));
    assert_eq!(open.ranges().len(), 1);
    assert!(schedule.open_slots(first, first, length).is_empty());
}
