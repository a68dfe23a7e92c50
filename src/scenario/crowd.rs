//! Who is there when a city starts, and who all want the same at noon.
//!
//! A crowd is drawn as if its buyers had come over the hours before and those were still there who
//! have time left; it is put within a minute, so that a city of any size is there at once.

use super::City;
use super::records::{MINUTE_MS, Records};
use super::wish::Wish;
use jiff::Timestamp;

/// How much time is left at least, in milliseconds: a window can still be made.
const LEFT_MS: i64 = 45 * MINUTE_MS;
/// How often somebody is drawn until one has; the last of them comes just now.
const TRIES: usize = 8;
/// How far from the store a rush comes from, in metres, about.
const RUSH_SPREAD_M: i64 = 300;
/// How many are made at a time.
const AT_ONCE: u64 = 1_000;

/// How far the opening of a city has come.
pub(super) struct Opening {
    start_ms: i64,
    crowd: u64,
    rush: u64,
    /// From when to when the rush has time, in seconds since 1970.
    noon: (i64, i64),
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
    fn next(&mut self) -> Option<(i64, bool)> {
        let n = self.made;
        let within =
            |n: u64, all: u64| (u128::from(n) * MINUTE_MS as u128 / u128::from(all)) as i64;
        let rush_from_ms = self.start_ms + (self.crowd > 0) as i64 * MINUTE_MS;
        let next = match n.checked_sub(self.crowd) {
            None => (self.start_ms + within(n, self.crowd), false),
            Some(n) if n < self.rush => (rush_from_ms + within(n, self.rush), true),
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

impl Records {
    /// Makes some more of the opening; false when it is over.
    pub(super) fn fill_opening(&mut self) -> bool {
        let mut until_ms = None;
        for _ in 0..AT_ONCE {
            let Some((at_ms, rush)) = self.opening.next() else { break };
            let wish = if rush { self.rushing(at_ms) } else { self.standing(at_ms) };
            self.put(at_ms, wish);
            until_ms = Some(at_ms);
        }
        until_ms.inspect(|at_ms| self.give_out(*at_ms + 1)).is_some()
    }

    /// Somebody who came a while ago, and has time left.
    fn standing(&mut self, at_ms: i64) -> Wish {
        // Whoever came earlier is in a window, or gone.
        let within_ms = self.stay.ahead.1 as u64 * MINUTE_MS as u64;
        for _ in 1..TRIES {
            let wish = self.came_within(at_ms, within_ms);
            if wish.until_s * 1_000 > at_ms + LEFT_MS {
                return wish;
            }
        }
        self.came_within(at_ms, 1)
    }

    /// Somebody who came within so many milliseconds.
    fn came_within(&mut self, at_ms: i64, within_ms: u64) -> Wish {
        let (product, spot) = (self.wanted.draw(&mut self.dice), self.town.buyer(&mut self.dice));
        let ago_ms = self.dice.below(within_ms) as i64;
        self.draw_wish(at_ms - ago_ms, product, spot)
    }

    /// Somebody who wants what everybody wants.
    fn rushing(&mut self, at_ms: i64) -> Wish {
        let shelf = self.supply.shelves.iter().find(|shelf| shelf.product == 0);
        let spot = match shelf {
            Some(shelf) => shelf.spot.around(&mut self.dice, RUSH_SPREAD_M),
            None => self.town.buyer(&mut self.dice),
        };
        let (from_s, until_s) = self.opening.noon;
        self.draw_wish(at_ms, 0, spot).between(from_s, until_s)
    }
}
