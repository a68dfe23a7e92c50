//! Classes of markets: each is hard in its own way.
//!
//! `city`: neighbourhoods of stores and buyers; `dense`: few stores, many buyers; `sparse`: many
//! stores, each with few; `tight`: stock binds; `qty`: buyers want several units; `cliff`: tiers
//! that punish greed; `chain`, `lattice`: a locally best window spoils the rest; `ties`: much is
//! worth the same. Beside them `wide`, for updates: a city whose buyers stay longer and reach more.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

/// All classes.
pub(crate) const CLASSES: [&str; 9] =
    ["city", "dense", "sparse", "tight", "qty", "cliff", "chain", "lattice", "ties"];

const LAT: f64 = 48.85;
const LNG: f64 = 2.35;
/// Degrees of latitude that 20 intents of a city fill.
const SIDE: f64 = 0.0063;
/// Between neighbours of a chain: 1 km.
const STEP: f64 = 0.013_667;

/// The market of that class, size and seed, as an instance's document.
pub(crate) fn market(class: &str, intents: usize, seed: u64) -> Value {
    let class_seed = class.bytes().fold(seed, |s, b| s.wrapping_mul(257).wrapping_add(b as u64));
    let mut draw = Draw(ChaCha8Rng::seed_from_u64(class_seed.wrapping_add(intents as u64) << 8));
    match class {
        "chain" => chain(&mut draw, intents),
        "lattice" => lattice(&mut draw, intents),
        "ties" => ties(&mut draw, intents),
        _ => city(&mut draw, class, intents),
    }
}

struct Draw(ChaCha8Rng);

impl Draw {
    fn int(&mut self, least: i64, most: i64) -> i64 {
        self.0.random_range(least..=most)
    }

    fn real(&mut self, least: f64, most: f64) -> f64 {
        self.0.random_range(least..most)
    }

    fn chance(&mut self, percent: i64) -> bool {
        self.int(1, 100) <= percent
    }

    fn pick(&mut self, of: &[i64]) -> i64 {
        of[self.int(0, of.len() as i64 - 1) as usize]
    }

    /// Near 0, most within 1: the sum of three draws.
    fn bell(&mut self) -> f64 {
        (0..3).map(|_| self.real(-1.0, 1.0)).sum()
    }
}

fn document(travel: i64, stores: Vec<Value>, offers: Vec<Value>, intents: Vec<Value>) -> Value {
    json!({
        "params": {"slot_minutes": 20, "travel_cost_per_km": travel},
        "stores": stores, "offers": offers, "intents": intents,
    })
}

/// Where things are: around a few centres, or anywhere.
struct Area {
    height: f64,
    width: f64,
    centres: Vec<(f64, f64)>,
}

impl Area {
    fn new(draw: &mut Draw, height: f64, centres: i64) -> Self {
        let width = height * 1.5;
        let centre = |_| (draw.real(0.0, height), draw.real(0.0, width));
        Self { height, width, centres: (0..centres).map(centre).collect() }
    }

    fn place(&self, draw: &mut Draw) -> (f64, f64) {
        let (lat, lng) = if draw.chance(60) {
            let n = draw.int(0, self.centres.len() as i64 - 1) as usize;
            let (lat, lng) = self.centres[n];
            (lat + draw.bell() * self.height / 8.0, lng + draw.bell() * self.width / 9.0)
        } else {
            (draw.real(0.0, self.height), draw.real(0.0, self.width))
        };
        (LAT + lat.clamp(0.0, self.height), LNG + lng.clamp(0.0, self.width))
    }
}

fn city(draw: &mut Draw, class: &str, n: usize) -> Value {
    let size = n as f64;
    let (height, stores) = match class {
        "sparse" => (0.017 * (size / 20.0).sqrt(), n / 4),
        "dense" => (SIDE, n / 50),
        "cliff" => (SIDE * (size / 20.0).sqrt(), n / 20),
        _ => (SIDE * (size / 20.0).sqrt(), n / 25),
    };
    let stores = stores.max(2) as i64;
    let area = Area::new(draw, height, stores);
    let level = if class == "cliff" { 1_000 } else { draw.pick(&[400, 900, 2_500, 4_000]) };
    let (mut places, mut offers) = (Vec::new(), Vec::new());
    for k in 0..stores {
        let (lat, lng) = area.place(draw);
        let open = [draw.pick(&[24, 27, 30]), draw.pick(&[54, 57, 60])];
        places.push(json!({"id": k, "lat": lat, "lng": lng, "open": [open]}));
        offers.push(offer(draw, class, k, level, n as i64 / stores));
    }
    let intents = (0..n).map(|i| intent(draw, class, &area, i, level)).collect();
    document(if class == "cliff" { 10 } else { 40 }, places, offers, intents)
}

fn offer(draw: &mut Draw, class: &str, store: i64, level: i64, share: i64) -> Value {
    if class == "cliff" {
        let full = draw.pick(&[10, 20, 20, 20]);
        return json!({
            "store": store, "product": "p", "list_price": 1_000, "stock": 4 * full,
            "max_group": full,
            "tiers": [{"min_buyers": 2, "price": draw.int(985, 992)},
                      {"min_buyers": full, "price": draw.int(580, 620)}],
        });
    }
    let list = (level as f64 * draw.real(0.93, 1.07)) as i64;
    let mut price = list as f64 * (1.0 - draw.real(0.075, 0.12));
    let sizes =
        [draw.pick(&[3, 3, 3, 3, 3, 3, 4]), draw.int(5, 7), draw.int(10, 12), draw.int(20, 21)];
    let mut tiers = Vec::new();
    for least in sizes.iter().take(draw.int(2, 4) as usize) {
        tiers.push(json!({"min_buyers": least, "price": price as i64}));
        price *= 1.0 - draw.real(0.015, 0.16);
    }
    let stock = match class {
        "tight" => draw.int(3, 12),
        "sparse" => draw.int(7, 15),
        "qty" => (share as f64 * draw.real(1.0, 1.8)) as i64,
        _ => (share as f64 * draw.real(1.2, 3.2)) as i64,
    };
    let mut offer = json!({"store": store, "product": "p", "list_price": list,
        "stock": stock.max(3), "tiers": tiers});
    if class == "tight" {
        offer["max_group"] = draw.int(10, 15).into();
    } else if draw.chance(80) {
        offer["max_group"] = draw.pick(&[20, 20, 25, 30, 40, 50]).into();
    }
    offer
}

fn intent(draw: &mut Draw, class: &str, area: &Area, id: usize, level: i64) -> Value {
    let (lat, lng) = area.place(draw);
    let (from, stay, median_m) = match class {
        "wide" => (draw.int(24, 48), draw.int(4, 12), 1_700.0),
        _ => (draw.int(24, 54), draw.int(3, 11), 1_100.0),
    };
    let until = (from + stay).min(60);
    let quantity = match class {
        "qty" => draw.int(1, 8),
        _ => 1 + draw.chance(10) as i64,
    };
    let reach = (median_m * (draw.bell() * 0.5).exp()) as i64;
    let mut intervals = vec![[from, until]];
    if draw.chance(25) && until + 6 < 58 {
        intervals.push([until + 6, 60]);
    }
    json!({
        "id": id, "product": "p", "lat": lat, "lng": lng, "intervals": intervals,
        "budget": (level as f64 * draw.real(0.7, 1.3)) as i64,
        "quantity": quantity, "reach_m": reach.clamp(500, 3_000),
    })
}

/// Stores between clusters of three along a line: six are needed, and every cluster serves two.
fn chain(draw: &mut Draw, n: usize) -> Value {
    let clusters = (n / 3).max(2);
    let at = |k: f64| (LAT, LNG + STEP * k);
    let stores = (0..clusters - 1).map(|k| at(k as f64 + 0.5)).collect();
    let places = (0..clusters).map(|k| at(k as f64)).collect();
    knots(draw, stores, places, 3, (600, 33))
}

/// Stores in the triangles of a lattice, clusters of two at its points.
fn lattice(draw: &mut Draw, n: usize) -> Value {
    let side = ((n / 2) as f64).sqrt() as usize;
    let up = 0.007_788;
    let point = |row: usize, column: usize| {
        (LAT + up * row as f64, LNG + STEP * (column as f64 + 0.5 * (row % 2) as f64))
    };
    let mut stores = Vec::new();
    for row in 0..side - 1 {
        let shift = row % 2;
        for column in 0..side - 1 {
            let low = [point(row, column), point(row, column + 1)];
            let high = [point(row + 1, column), point(row + 1, column + 1)];
            let middle = |a: (f64, f64), b: (f64, f64), c: (f64, f64)| {
                ((a.0 + b.0 + c.0) / 3.0, (a.1 + b.1 + c.1) / 3.0)
            };
            stores.push(middle(low[0], low[1], high[1 - (1 - shift)]));
            stores.push(middle(high[0], high[1], low[1 - shift]));
        }
    }
    let places = (0..side).flat_map(|r| (0..side).map(move |c| point(r, c))).collect();
    knots(draw, stores, places, 2, (640, 32))
}

/// Clusters of `each` buyers around the places, and stores that need six.
fn knots(
    draw: &mut Draw,
    stores: Vec<(f64, f64)>,
    places: Vec<(f64, f64)>,
    each: usize,
    (reach, until): (i64, i64),
) -> Value {
    let store = |(k, at): (usize, &(f64, f64))| json!({"id": k, "lat": at.0, "lng": at.1});
    let offers = (0..stores.len())
        .map(|k| {
            json!({"store": k, "product": "p", "list_price": 1_000, "stock": 100,
                "tiers": [{"min_buyers": 6, "price": draw.int(700, 800)}]})
        })
        .collect();
    let mut intents = Vec::new();
    for (lat, lng) in places {
        for _ in 0..each {
            intents.push(json!({
                "id": intents.len(), "product": "p",
                "lat": lat + draw.real(-0.000_18, 0.000_18),
                "lng": lng + draw.real(-0.000_28, 0.000_28),
                "from": 30, "to": until, "budget": 1_000, "quantity": 1, "reach_m": reach,
            }));
        }
    }
    document(10, stores.iter().enumerate().map(store).collect(), offers, intents)
}

fn ties(draw: &mut Draw, n: usize) -> Value {
    let stores = (n / 20).max(2);
    let shift = draw.int(0, 5) as usize;
    let place = |k: usize| json!({"id": k, "lat": LAT, "lng": LNG});
    let offer = |k: usize| {
        json!({"store": k, "product": "p", "list_price": 1_000, "stock": 30, "max_group": 12,
            "tiers": [{"min_buyers": 3, "price": 900}, {"min_buyers": 7, "price": 800},
                      {"min_buyers": 11, "price": 700}]})
    };
    let intent = |i: usize| {
        let from = 30 + 2 * ((i + shift) % 6);
        json!({"id": i, "product": "p", "lat": LAT, "lng": LNG, "from": from, "to": from + 4,
            "budget": 1_000, "quantity": 1, "reach_m": 500})
    };
    let (places, offers) = ((0..stores).map(place).collect(), (0..stores).map(offer).collect());
    document(40, places, offers, (0..n).map(intent).collect())
}
