//! Places: positions, exact distance (R2), H3 cells and catchments.
//!
//! The only floating-point numbers of the core are here: degrees, and the haversine that turns two
//! of them into whole metres. They use `libm`, so that every machine rounds alike. Cells are an
//! index and nothing else: no cell's border changes what is near.

use super::{Invalid, limits::MAX_REACH_M};
use h3o::{CellIndex, LatLng};
use serde::{Deserialize, Serialize};

/// The sphere's radius (R2), in metres: H3's own.
pub const EARTH_RADIUS_M: f64 = 6_371_007.180918475;

/// A place: degrees, finite and in range, kept as the bits that came in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    lat: u64,
    lng: u64,
}

impl Position {
    /// Makes the position.
    ///
    /// # Errors
    /// When `lat` is not in -90..=90 or `lng` not in -180..=180 (NaN is in no range).
    pub fn new(lat: f64, lng: f64) -> Result<Self, Invalid> {
        if !(-90.0..=90.0).contains(&lat) {
            return Err(Invalid::new("lat", lat, "a latitude is -90 to 90 degrees"));
        }
        if !(-180.0..=180.0).contains(&lng) {
            return Err(Invalid::new("lng", lng, "a longitude is -180 to 180 degrees"));
        }
        // Adding 0.0 turns -0.0 into 0.0: one place, one value.
        Ok(Self { lat: (lat + 0.0).to_bits(), lng: (lng + 0.0).to_bits() })
    }

    /// Latitude in degrees.
    pub fn lat(self) -> f64 {
        f64::from_bits(self.lat)
    }

    /// Longitude in degrees.
    pub fn lng(self) -> f64 {
        f64::from_bits(self.lng)
    }

    /// R2: the distance to `store` in whole metres, halves up.
    ///
    /// **Cost** about 0.1 us: six transcendental functions.
    pub fn distance_m(self, store: Position) -> u32 {
        let (p1, p2) = (self.lat().to_radians(), store.lat().to_radians());
        let s_lat = libm::sin((p2 - p1) * 0.5);
        let s_lng = libm::sin((store.lng().to_radians() - self.lng().to_radians()) * 0.5);
        let a = s_lat * s_lat + s_lng * s_lng * libm::cos(p1) * libm::cos(p2);
        let a = a.clamp(0.0, 1.0);
        let angle = 2.0 * libm::atan2(libm::sqrt(a), libm::sqrt(1.0 - a));
        libm::floor(angle * EARTH_RADIUS_M + 0.5) as u32
    }

    /// Whether `other` is farther than `reach_m`, as far as a cheap filter before
    /// [`Position::distance_m`] can see, which never errs on a place within reach: polynomials that are
    /// less than the haversine's sines and cosines, and nearly as great where places are near.
    ///
    /// **Cost** some nanoseconds.
    #[inline]
    pub fn surely_beyond(self, other: Position, reach_m: u32) -> bool {
        let (p1, p2) = (self.lat().to_radians(), other.lat().to_radians());
        let half_lng = (other.lng() - self.lng()).abs().to_radians() * 0.5;
        // The sine of a right angle and more is that of what is left to two.
        let half_lng = half_lng.min(std::f64::consts::PI - half_lng);
        let half_lat = (p2 - p1).abs() * 0.5;
        let sine = |x: f64| x - x * x * x / 6.0;
        let cosine = (1.0 - (p1 * p1).max(p2 * p2) * 0.5).max(0.0);
        let (s_lat, s_lng) = (sine(half_lat), sine(half_lng) * cosine);
        // An angle is no less than its sine. A metre leaves room for what is rounded.
        let chord = (reach_m as f64 + 1.0) / (2.0 * EARTH_RADIUS_M);
        s_lat * s_lat + s_lng * s_lng > chord * chord
    }

    /// The cell of that resolution in which the position lies.
    pub fn cell(self, resolution: Resolution) -> Cell {
        let place = LatLng::new(self.lat(), self.lng()).expect("a position is finite");
        Cell(u64::from(place.to_cell(resolution.h3())))
    }
}

impl std::fmt::Debug for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "({}, {})", self.lat(), self.lng())
    }
}

/// An H3 resolution, 0 to 15.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Resolution(u8);

impl Default for Resolution {
    /// Cells of about half a kilometre: a usual catchment is some tens of them.
    fn default() -> Self {
        Self(8)
    }
}

impl Resolution {
    /// Makes the resolution.
    ///
    /// # Errors
    /// When it is greater than 15.
    pub fn new(resolution: u8) -> Result<Self, Invalid> {
        if resolution <= 15 {
            Ok(Self(resolution))
        } else {
            Err(Invalid::new("h3_resolution", resolution, "an H3 resolution is 0 to 15"))
        }
    }

    fn h3(self) -> h3o::Resolution {
        h3o::Resolution::try_from(self.0).expect("checked when made")
    }

    /// How many rings of cells around a cell hold every place within `reach_m` of any place in it.
    ///
    /// Ring `k` is nowhere nearer than `1.5 * edge * k - 2 * edge`; the least edge anywhere is
    /// taken as 0.55 of the mean one (measured: a cell's area is at least half the mean; the rest
    /// is for shape). A test holds this against exact distances all over the globe.
    pub fn rings(self, reach_m: u32) -> u32 {
        let mean = self.h3().edge_length_m();
        let (least, most) = (0.55 * mean, 1.3 * mean);
        libm::ceil((reach_m.min(MAX_REACH_M) as f64 + 2.0 * most) / (1.5 * least)) as u32
    }
}

/// An H3 cell.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cell(u64);

impl Cell {
    /// H3's own index.
    pub fn index(self) -> u64 {
        self.0
    }

    /// The cells within `rings` steps, the cell itself among them: the catchment of what lies in
    /// it. In no particular order.
    ///
    /// **Cost** about 1 us for one ring, growing with the square.
    pub fn disk(self, rings: u32) -> impl Iterator<Item = Cell> {
        let cell = CellIndex::try_from(self.0).expect("made from a cell");
        cell.grid_disk::<Vec<_>>(rings).into_iter().map(|c| Cell(u64::from(c)))
    }
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

impl std::fmt::Debug for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(lat: f64, lng: f64) -> Position {
        Position::new(lat, lng).unwrap()
    }

    #[test]
    fn distances_are_those_of_the_sphere() {
        assert_eq!(at(0.0, 0.0).distance_m(at(0.0, 0.0)), 0);
        let half = (std::f64::consts::PI * EARTH_RADIUS_M + 0.5).floor() as u32;
        assert_eq!(at(0.0, 0.0).distance_m(at(0.0, 180.0)), half);
        assert_eq!(at(0.0, 0.0).distance_m(at(0.0, 1.0)), 111_195);
        assert_eq!(at(41.0, 179.9999).distance_m(at(41.0, -179.9999)), 17);
    }

    #[test]
    fn a_place_off_the_globe_is_refused() {
        for (lat, lng, field) in [
            (90.1, 0.0, "lat"),
            (f64::NAN, 0.0, "lat"),
            (0.0, -180.5, "lng"),
            (0.0, f64::INFINITY, "lng"),
        ] {
            assert_eq!(Position::new(lat, lng).unwrap_err().field, field);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

        /// The filter never errs on a place within reach, near or far, and lets hardly any other
        /// pass in a city that is not near a pole.
        #[test]
        fn what_is_surely_beyond_is_beyond(
            lat in -90.0f64..=90.0, lng in -180.0f64..=180.0, east in -180.0f64..=180.0,
            there_lat in -90.0f64..=90.0, apart in -15.0f64..0.5, r in 0u32..100_000,
        ) {
            let (here, scale) = (at(lat, lng), apart.exp2());
            let there_lng = (lng + east * scale + 540.0).rem_euclid(360.0) - 180.0;
            let there = at((lat + (there_lat - lat) * scale).clamp(-90.0, 90.0), there_lng);
            let distance = here.distance_m(there);
            for reach in [r, distance, distance.saturating_sub(1), distance.saturating_sub(r)] {
                if here.surely_beyond(there, reach) {
                    prop_assert!(distance > reach, "{distance} m, reach {reach}");
                } else if lat.abs() < 45.0 && distance < 100_000 {
                    prop_assert!(distance as f64 * 0.96 <= reach as f64 + 2.0, "{distance} m, reach {reach}");
                }
            }
        }

        /// No border of cells hides a place within reach, at any resolution in use, anywhere.
        #[test]
        fn a_disk_of_rings_holds_all_within_reach(
            lat in -89.0f64..89.0, lng in -180.0f64..180.0,
            bearing in 0.0f64..std::f64::consts::TAU, reach in 50u32..3000, r in 7u8..=9,
        ) {
            let resolution = Resolution::new(r).unwrap();
            let here = at(lat, lng);
            let degrees = reach as f64 / 111_195.0;
            let there_lat = (lat + degrees * bearing.cos() * 0.999).clamp(-90.0, 90.0);
            let there_lng = lng + degrees * bearing.sin() * 0.999 / lat.to_radians().cos().max(0.01);
            let there = at(there_lat, (there_lng + 540.0).rem_euclid(360.0) - 180.0);
            prop_assume!(here.distance_m(there) <= reach);
            prop_assert!(!here.surely_beyond(there, reach));
            let cell = there.cell(resolution);
            let found = here.cell(resolution).disk(resolution.rings(reach)).any(|c| c == cell);
            prop_assert!(found);
        }
    }
}
