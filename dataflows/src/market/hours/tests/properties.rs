//! Opening hours against a reference that walks the local clock minute by minute, and against
//! text made to break the parser.

use super::super::zone as zone_of;
use super::*;
use jiff::{civil::Time as Clock, tz::TimeZone};
use proptest::prelude::*;

const ZONES: [&str; 9] = [
    "Europe/Berlin",
    "America/New_York",
    "Africa/Lagos",
    "Europe/Istanbul",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "America/Havana",
    "Asia/Beirut",
    "Pacific/Chatham",
];

const NAMES: [&str; 7] = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"];

/// One rule: on which weekdays, and from which minute for how many.
type Rule = (Vec<bool>, Vec<(u16, u16)>);

fn weekdays() -> impl Strategy<Value = Vec<bool>> {
    proptest::collection::vec(any::<bool>(), 7).prop_filter("some day", |days| days.contains(&true))
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let span = (0u16..288, 1u16..288).prop_map(|(from, length)| (from * 5, length * 5));
    proptest::collection::vec((weekdays(), proptest::collection::vec(span, 1..4)), 1..4)
}

/// The rules as an expression, joined by `separator`.
fn written(rules: &[Rule], separator: &str) -> String {
    let time = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    let one = |(days, spans): &Rule| {
        let days: Vec<&str> = (0..7).filter(|n| days[*n]).map(|n| NAMES[n]).collect();
        let spans: Vec<String> = spans
            .iter()
            .map(|(from, long)| format!("{}-{}", time(*from), time(from + long)))
            .collect();
        format!("{} {}", days.join(","), spans.join(","))
    };
    rules.iter().map(one).collect::<Vec<_>>().join(separator)
}

/// Whether the rules open a weekday's minute: all of them add up, or the day's last one counts
/// and, where the day has none, the first one that reaches into it.
fn is_open(rules: &[Rule], adding: bool, weekday: usize, minute: u16) -> bool {
    let covers = |rule: &Rule, weekday: usize, minute: u16| {
        rule.0[weekday] && rule.1.iter().any(|(from, long)| (*from..from + long).contains(&minute))
    };
    let rule_opens = |rule: &Rule| {
        covers(rule, weekday, minute) || covers(rule, (weekday + 6) % 7, minute + 1440)
    };
    if adding {
        rules.iter().any(rule_opens)
    } else {
        let reaches = |rule: &&Rule| {
            rule.0[(weekday + 6) % 7] && rule.1.iter().any(|(from, long)| from + long > 1440)
        };
        let todays = rules.iter().rev().find(|rule| rule.0[weekday]);
        todays.or_else(|| rules.iter().find(reaches)).is_some_and(rule_opens)
    }
}

/// Every minute of absolute time from `start`, with what the local clock shows: minutes since
/// the local midnight of the first one's date.
fn clock(zone: &TimeZone, start: i64, minutes: i64) -> Vec<i64> {
    let show =
        |minute: i64| zone.to_datetime(Timestamp::from_second((start + minute) * 60).unwrap());
    let midnight = show(0).date().to_datetime(Clock::midnight());
    (0..minutes).map(|n| show(n).duration_since(midnight).as_mins()).collect()
}

/// Open minutes of absolute time, by scanning the clock: index 0 is `start`.
fn reference(clock: &[i64], open: impl Fn(i64) -> bool) -> Vec<u32> {
    // Where the clock skips a time, that time is as far after the gap's start as it is.
    let first = |local: i64| {
        clock.iter().position(|shown| *shown == local).map(|n| n as i64).unwrap_or_else(|| {
            let before =
                clock.iter().position(|shown| *shown > local).unwrap_or(clock.len()) as i64 - 1;
            if before < 0 { 0 } else { before + local - clock[before as usize] }
        })
    };
    let last = |local: i64| {
        clock.iter().rposition(|shown| *shown == local).map_or_else(|| first(local), |n| n as i64)
    };
    let mut number = vec![0; clock.len()];
    let end = clock.iter().max().copied().unwrap_or_default();
    let mut local = 0;
    let mut run = 0;
    while local < end {
        let until = (local..end).find(|minute| !open(*minute)).unwrap_or(end);
        if until > local {
            let (from, until) = (first(local), last(until));
            // A run that overlaps or touches one before belongs to it.
            let touches = from > 0 && number[from as usize - 1] != 0;
            run += if touches { 0 } else { 1 };
            for minute in from..until.min(clock.len() as i64) {
                number[minute as usize] = run;
            }
        }
        local = until + 1;
    }
    number
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn weekly_hours_agree_with_the_clock(
        zone in proptest::sample::select(&ZONES[..]),
        adding in any::<bool>(),
        rules in rules(),
        around in proptest::sample::select(&[
            "2026-03-07", "2026-03-28", "2026-10-24", "2026-10-31", "2026-04-04", "2026-06-12",
            "2026-09-26", "2026-10-03", "2025-12-31",
        ][..]),
        minutes in proptest::sample::select(&[5u32, 10, 20, 30, 60][..]),
    ) {
        let expression = written(&rules, if adding { ", " } else { "; " });
        let schedule = hours(zone, &expression, &[]).schedule();
        let length = SlotLength::minutes(minutes).unwrap();
        let tz = zone_of(zone).unwrap();
        let day: Date = around.parse().unwrap();
        let middle = tz.to_timestamp(day.to_datetime(Clock::midnight())).unwrap();
        let start = middle.as_second() / 60 - 3 * 1440;
        let clock = clock(&tz, start, 8 * 1440);
        let instant = Timestamp::from_second(start * 60).unwrap();
        let weekday = tz.to_datetime(instant).weekday().to_monday_zero_offset() as i64;
        let open = |local: i64| {
            is_open(&rules, adding, ((weekday + local / 1440) % 7) as usize, (local % 1440) as u16)
        };
        let number = reference(&clock, open);
        let from = length.from(Time((start + 2 * 1440) * 60_000));
        let until = length.at(Time((start + 6 * 1440) * 60_000));
        let slots = schedule.open_slots(from, until, length);
        for slot in (from.0..until.0).map(Slot) {
            let minute = (length.start(slot).0 / 60_000 - start) as usize;
            let inside = &number[minute..minute + minutes as usize];
            let expected = inside[0] != 0 && inside.iter().all(|run| *run == inside[0]);
            let shown = Timestamp::from_millisecond(length.start(slot).0).unwrap();
            let shown = shown.to_zoned(tz.clone());
            prop_assert_eq!(slots.contains(slot), expected, "{} at {}", expression, shown);
        }
    }

    #[test]
    fn ranges_add_up(
        zone in proptest::sample::select(&ZONES[..]),
        rules in rules(),
        dated in proptest::sample::select(&["", "; Mar off", "; Oct 25 10:00-26:00"][..]),
        closed in proptest::sample::subsequence(
            vec!["2026-03-29", "2026-10-25", "2026-11-01"],
            0..3,
        ),
        day in proptest::sample::select(&["2026-03-28", "2026-10-24", "2026-10-31"][..]),
        cuts in [0i32..300, 0..300, 0..300],
    ) {
        let expression = format!("{}{dated}", written(&rules, "; "));
        let schedule = hours(zone, &expression, &closed).schedule();
        let length = SlotLength::default();
        let start = slot_at("UTC", day, length).0;
        let mut cuts = cuts;
        cuts.sort_unstable();
        let [a, b, c] = cuts.map(|cut| Slot(start + cut));
        let mut both = schedule.open_slots(a, b, length).ranges().to_vec();
        both.extend(schedule.open_slots(b, c, length).ranges());
        prop_assert_eq!(SlotSet::new(both), schedule.open_slots(a, c, length));
    }

    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = Hours::new("UTC", &text, &[]);
        let _ = Hours::new(&text, "24/7", std::slice::from_ref(&text));
    }
}

/// Pieces of the syntax, which random text seldom hits.
const PIECES: [&str; 60] = [
    "Mo",
    "Su",
    "-",
    ",",
    ";",
    " ",
    " ",
    ", ",
    "; ",
    " || ",
    "10:00",
    "26:00",
    "24:00",
    "48:00",
    "0:00",
    "10:00-12:00",
    "22:00-02:00",
    "24/7",
    "PH",
    "SH",
    "off",
    "open",
    "closed",
    "unknown",
    "\"x\"",
    "[",
    "]",
    "1",
    "5",
    "-1",
    "[1]",
    "[-1]",
    "[1-3]",
    "[5-2]",
    "week",
    "week ",
    "53",
    "/2",
    "/",
    "9999",
    "2026",
    "2026 ",
    "1900",
    "2020-2030",
    "Jan",
    "Dec",
    "Feb ",
    "29",
    "31",
    "easter",
    " +1 day",
    " -9999 days",
    "+Mo",
    "-Su",
    "+",
    "sunrise",
    "(dusk-01:00)",
    ":",
    "/24:00",
    "/30",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn no_pieces_panic(
        pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 1..12),
        day in 0i32..36_525,
    ) {
        let text = pieces.concat();
        if let Ok(hours) = Hours::new("Europe/Berlin", &text, &[]) {
            let length = SlotLength::minutes(60).unwrap();
            let from = length.from(Time(limits::MIN_TIME_S * 1_000)).0 + day * 24;
            let schedule = hours.schedule();
            let open = schedule.open_slots(Slot(from), Slot(from + 72), length);
            let again = hours.schedule().open_slots(Slot(from + 24), Slot(from + 72), length);
            let middle = SlotSet::range(Slot(from + 24), Slot(from + 72));
            prop_assert_eq!(open.intersect(&middle), again, "{}", text);
        }
    }
}
