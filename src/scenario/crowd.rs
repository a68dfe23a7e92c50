//! Who is there when a city starts, and who all want the same at noon.
//!
//! A crowd is drawn as if its buyers had come over the hours before and those were still there who
//! have time left; it is put within a minute, so that a city of any size is there at once.

use super::opening::MINUTE_MS;
use super::records::Records;
use super::wish::Wish;

/// How much time is left at least, in milliseconds: a window can still be made.
const LEFT_MS: i64 = 45 * MINUTE_MS;
/// How often somebody is drawn until one has; the last of them comes just now.
const TRIES: usize = 8;
/// How far from the store a rush comes from, in metres, about.
const RUSH_SPREAD_M: i64 = 300;
/// How many are made at a time.
const AT_ONCE: u64 = 1_000;

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
