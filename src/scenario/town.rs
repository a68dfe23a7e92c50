//! Where things are: a few dense centres, and sprawl around them.

use super::City;
use super::dice::{Dice, Weights, zipf};

/// Metres in a degree of latitude, on the sphere of market.md R2.
const DEGREE_MM: i128 = 111_195_080;

/// A place, in metres from the town's middle.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot {
    east_m: i64,
    north_m: i64,
}

impl Spot {
    /// A place around this one.
    pub(super) fn around(self, dice: &mut Dice, deviation_m: i64) -> Spot {
        Spot {
            east_m: self.east_m + dice.normal(deviation_m),
            north_m: self.north_m + dice.normal(deviation_m),
        }
    }
}

/// The town's shape: it grows with the number of its stores, its density stays.
pub(super) struct Town {
    centres: Vec<(Spot, i64)>,
    weights: Weights,
    spread_m: i64,
    middle: Spot,
    /// Latitude and longitude of the middle, in millionths of a degree.
    latitude: i128,
    longitude: i128,
    /// The cosine of the latitude, in millionths.
    cosine: i128,
}

impl Town {
    /// Draws the centres: the bigger ones nearer to the middle.
    pub(super) fn new(city: &City, dice: &mut Dice) -> Self {
        let spread_m = (100 * city.stores.isqrt() as i64).max(600);
        let count = (4 + city.stores / 150).min(40);
        let middle = Spot { east_m: 0, north_m: 0 };
        let centres = (0..count).map(|n| {
            let spot = middle.around(dice, spread_m * (n as i64 + 1) / count as i64);
            (spot, dice.between(180, 500))
        });
        let millionths = |degrees: f64| (degrees * 1e6).round() as i128;
        let latitude = city.centre.0.clamp(-85.0, 85.0);
        Self {
            centres: centres.collect(),
            weights: Weights::new(zipf(count)),
            spread_m,
            middle,
            latitude: millionths(latitude),
            longitude: millionths(city.centre.1.clamp(-180.0, 180.0)),
            cosine: millionths(cosine(latitude)),
        }
    }

    /// Where a store is: mostly in a centre.
    pub(super) fn store(&self, dice: &mut Dice) -> Spot {
        let (centre, deviation_m) = self.centres[self.weights.draw(dice)];
        if dice.percent(75) {
            centre.around(dice, deviation_m)
        } else {
            self.middle.around(dice, self.spread_m)
        }
    }

    /// Where a buyer is: often in or around a centre, else anywhere.
    pub(super) fn buyer(&self, dice: &mut Dice) -> Spot {
        let (centre, deviation_m) = self.centres[self.weights.draw(dice)];
        match dice.below(100) {
            0..45 => centre.around(dice, deviation_m),
            45..70 => centre.around(dice, deviation_m * 2),
            _ => self.middle.around(dice, self.spread_m),
        }
    }

    /// Latitude and longitude in degrees, to the sixth place.
    pub(super) fn degrees(&self, spot: Spot) -> (f64, f64) {
        let north = i128::from(spot.north_m) * 1_000_000_000 / DEGREE_MM;
        let east = i128::from(spot.east_m) * 1_000_000_000_000_000 / (DEGREE_MM * self.cosine);
        let degrees = |millionths: i128| millionths as f64 / 1e6;
        let latitude = (self.latitude + north).clamp(-90_000_000, 90_000_000);
        let longitude = (self.longitude + east + 180_000_000).rem_euclid(360_000_000) - 180_000_000;
        (degrees(latitude), degrees(longitude))
    }
}

/// The cosine of an angle of -90 to 90 degrees, by its series: the same bits on every machine.
fn cosine(degrees: f64) -> f64 {
    let square =
        (degrees * std::f64::consts::PI / 180.0) * (degrees * std::f64::consts::PI / 180.0);
    let (mut sum, mut term) = (1.0, 1.0);
    for n in 1..=12 {
        let n = f64::from(2 * n);
        term = -term * square / (n * (n - 1.0));
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kilometre_is_a_kilometre() {
        for degrees in [0.0, 41.0369, -33.9, 85.0] {
            assert!((cosine(degrees) - f64::cos(degrees.to_radians())).abs() < 1e-12);
            let city = City { centre: (degrees, 179.999), ..City::default() };
            let town = Town::new(&city, &mut Dice::new(1, 0));
            let (north, _) = town.degrees(Spot { east_m: 0, north_m: 1_000 });
            let (_, east) = town.degrees(Spot { east_m: 1_000, north_m: 0 });
            assert!(((north - degrees) * 111_195.08 - 1_000.0).abs() < 1.0);
            let east = (east - 179.999).rem_euclid(360.0) * 111_195.08 * cosine(degrees);
            assert!((east - 1_000.0).abs() < 1.0, "{east}");
        }
    }
}
