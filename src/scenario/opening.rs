//! When those are put who are there when a city starts, and those of a rush.

use super::City;
use jiff::Timestamp;

/// Milliseconds in a minute.
pub(super) const MINUTE_MS: i64 = 60_000;

/// A crowd is there within so many: when demand begins, nothing waits for what was made of it.
const CROWD_MS: i64 = 55_000;

/// How far the opening of a city has come.
pub(super) struct Opening {
    start_ms: i64,
    crowd: u64,
    rush: u64,
    /// From when to when the rush has time, in seconds since 1970.
    pub(super) noon: (i64, i64),
    made: u64,
}

impl Opening {
    pub(super) fn of(city: &City) -> Self {
        let noon_s = noon(city);
        Self {
            start_ms: city.start.as_millisecond(),
            crowd: city.crowd as u64,
            rush: city.rush as u64,
            noon: (noon_s, noon_s + 3_600),
            made: 0,
        }
    }

    /// When demand begins.
    pub(super) fn demand_from_ms(&self) -> i64 {
        let minutes = (self.crowd > 0) as i64 + (self.rush > 0) as i64;
        self.start_ms + minutes * MINUTE_MS
    }

    /// When the next one is put, and whether it belongs to the rush; `None` when all are there.
    pub(super) fn next(&mut self) -> Option<(i64, bool)> {
        let n = self.made;
        let within =
            |ms: i64, n: u64, all: u64| (u128::from(n) * ms as u128 / u128::from(all)) as i64;
        let rush_from_ms = self.start_ms + (self.crowd > 0) as i64 * MINUTE_MS;
        let next = match n.checked_sub(self.crowd) {
            None => (self.start_ms + within(CROWD_MS, n, self.crowd), false),
            Some(n) if n < self.rush => (rush_from_ms + within(MINUTE_MS, n, self.rush), true),
            Some(_) => return None,
        };
        self.made += 1;
        Some(next)
    }
}

/// The first noon after the city's start, by its clock, in seconds since 1970.
fn noon(city: &City) -> i64 {
    let zone = city.zone();
    let today = zone.to_datetime(city.start).date();
    let days = [Some(today), today.tomorrow().ok()].into_iter().flatten();
    let noons = days.filter_map(|day| day.at(12, 0, 0, 0).to_zoned(zone.clone()).ok());
    let mut noons = noons.map(|noon| noon.timestamp());
    noons.find(|noon| *noon > city.start).unwrap_or(Timestamp::MAX).as_second()
}
