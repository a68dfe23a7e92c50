//! One buyer's wish: when, for how much, how far.

use super::Stay;
use super::dice::Dice;
use connectors::wire;
use jiff::Timestamp;

/// An intent, with what is needed to change it later.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    /// The put.
    pub(super) intent: wire::Intent,
    /// When its availability begins, in seconds since 1970.
    pub(super) from_s: i64,
    /// When its availability ends.
    pub(super) until_s: i64,
}

/// What a wish is about, and from where.
pub(super) struct Want<'a> {
    /// The product's id.
    pub(super) product: &'a str,
    /// What it usually costs.
    pub(super) list_price: i64,
    /// Latitude and longitude.
    pub(super) place: (f64, f64),
    /// How many buyers there are, about.
    pub(super) buyers: u64,
    /// How long they take.
    pub(super) stay: Stay,
}

impl Wish {
    /// Draws the n-th wish, at an instant in milliseconds.
    pub(super) fn draw(dice: &mut Dice, number: usize, at_ms: i64, want: &Want<'_>) -> Self {
        // Whole minutes, as people say it.
        let mut draw = |(least, most): (u32, u32)| dice.rather_low(least.into(), most.into());
        let from_s = (at_ms / 60_000 + draw(want.stay.ahead)) * 60;
        let long_s = draw(want.stay.long) * 60;
        let mut available = vec![(from_s, from_s + long_s)];
        // Each of two intervals is long enough for a whole slot.
        if long_s >= 80 * 60 && dice.percent(20) {
            let half_s = long_s / 120 * 60;
            let pause_s = dice.between(30, 120) * 60;
            let second_s = from_s + half_s + pause_s;
            available = vec![(from_s, from_s + half_s), (second_s, second_s + long_s - half_s)];
        }
        let until_s = available.last().map_or(from_s, |interval| interval.1);
        let expires = dice.percent(5).then(|| instant(until_s - 600));
        let quantity = match dice.below(100) {
            0..85 => None,
            85..95 => Some(2),
            95..99 => Some(3),
            _ => Some(dice.between(4, 8)),
        };
        let intent = wire::Intent {
            id: format!("i{number}"),
            version: 1,
            buyer: Some(format!("b{}", dice.below(want.buyers))),
            product: Some(want.product.to_string()),
            lat: Some(want.place.0),
            lng: Some(want.place.1),
            available: Some(available.into_iter().map(|(a, b)| [instant(a), instant(b)]).collect()),
            budget: Some(want.list_price * dice.between(62, 108) / 1_000 * 10),
            quantity,
            reach_m: Some(dice.rather_low(6, 40) * 50),
            expires,
            cancel: None,
        };
        Self { intent, from_s, until_s }
    }

    /// The same wish at another time.
    pub(super) fn between(mut self, from_s: i64, until_s: i64) -> Self {
        self.intent.available = Some(vec![[instant(from_s), instant(until_s)]]);
        self.intent.expires = None;
        (self.from_s, self.until_s) = (from_s, until_s);
        self
    }

    /// Changes its mind: a higher budget, a longer way, or a later end.
    pub(super) fn edit(&mut self, dice: &mut Dice) {
        self.intent.version += 1;
        match dice.below(3) {
            0 => self.intent.budget = self.intent.budget.map(|b| b * dice.between(102, 120) / 100),
            1 => self.intent.reach_m = self.intent.reach_m.map(|m| (m + 300).min(2_000)),
            _ => {
                self.until_s += dice.between(2, 6) * 600;
                let last = self.intent.available.iter_mut().flat_map(|all| all.last_mut()).next();
                if let Some(interval) = last {
                    interval[1] = instant(self.until_s);
                }
            }
        }
    }
}

/// RFC 3339, in UTC.
fn instant(seconds: i64) -> String {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX).to_string()
}
