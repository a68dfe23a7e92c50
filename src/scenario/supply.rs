//! What the town's stores have: products, opening hours, prices and discounts.

use super::City;
use super::dice::{Dice, Weights, zipf};
use super::town::{Spot, Town};
use connectors::wire;
use jiff::ToSpan;

/// The most wanted products, with their usual price in minor units; more are made up.
const PRODUCTS: [(&str, i64); 40] = [
    ("latte", 8_990),
    ("simit", 2_490),
    ("espresso", 6_490),
    ("cappuccino", 8_990),
    ("doner", 15_990),
    ("croissant", 7_490),
    ("water", 1_990),
    ("sandwich", 13_990),
    ("tea", 3_490),
    ("ice-cream", 9_490),
    ("burger", 19_990),
    ("pizza", 22_990),
    ("lahmacun", 10_990),
    ("bread", 2_990),
    ("salad", 14_490),
    ("lemonade", 6_990),
    ("pide", 17_990),
    ("eggs", 11_990),
    ("baklava", 18_490),
    ("soup", 8_490),
    ("falafel", 12_490),
    ("cheesecake", 13_490),
    ("milk", 4_490),
    ("orange-juice", 9_990),
    ("cookie", 4_990),
    ("ramen", 24_990),
    ("tomatoes", 5_990),
    ("smoothie", 11_490),
    ("cheese", 21_990),
    ("sushi", 39_990),
    ("strawberries", 12_990),
    ("kombucha", 10_490),
    ("olive-oil", 34_990),
    ("flowers", 29_990),
    ("honey", 27_990),
    ("batteries", 14_990),
    ("umbrella", 24_490),
    ("notebook", 9_990),
    ("socks", 12_990),
    ("headphones", 89_990),
];

const FIRST: [&str; 12] = [
    "Blue", "Old", "Corner", "Golden", "Little", "Harbour", "Garden", "Seven", "Sunny", "North",
    "Stone", "Tulip",
];
const SECOND: [&str; 10] = [
    "Kitchen", "Market", "Bakery", "Coffee", "Pantry", "Counter", "House", "Bazaar", "Deli",
    "Table",
];

/// One product, as most people know it.
pub(super) struct Product {
    /// Its id.
    pub(super) id: String,
    /// What it usually costs.
    pub(super) list_price: i64,
}

/// One offer, and how often its stock has changed.
pub(super) struct Shelf {
    /// The last put.
    pub(super) offer: wire::Offer,
    /// The last stock version.
    pub(super) stock_version: u64,
    /// Where its store is.
    pub(super) spot: Spot,
    /// The product's index.
    pub(super) product: usize,
}

/// All that is for sale.
pub(super) struct Supply {
    /// The products, the most wanted first.
    pub(super) products: Vec<Product>,
    /// The stores, as put.
    pub(super) stores: Vec<wire::Store>,
    /// The offers, store by store.
    pub(super) shelves: Vec<Shelf>,
}

impl Supply {
    /// Draws the stores and what they offer.
    pub(super) fn draw(city: &City, town: &Town, dice: &mut Dice) -> Self {
        let products = products(city.products.max(1), dice);
        // Stores stock what is wanted, but less unevenly than it is wanted.
        let stocked = Weights::new(zipf(products.len()).map(u64::isqrt));
        let mut supply = Self { products, stores: Vec::new(), shelves: Vec::new() };
        for number in 0..city.stores.max(1) {
            let spot = town.store(dice);
            let store = store(city, number, town.degrees(spot), dice);
            let mut chosen: Vec<usize> = Vec::new();
            let count = dice.between(3, 10) as usize;
            for _ in 0..3 * count {
                let product = stocked.draw(dice);
                if chosen.len() < count && !chosen.contains(&product) {
                    chosen.push(product);
                }
            }
            for product in chosen {
                let offer = offer(&store.id, &supply.products[product], dice);
                supply.shelves.push(Shelf { offer, stock_version: 0, spot, product });
            }
            supply.stores.push(store);
        }
        supply
    }
}

fn products(count: usize, dice: &mut Dice) -> Vec<Product> {
    let made_up = |n: usize, dice: &mut Dice| Product {
        id: format!("p{}", n + 1),
        list_price: dice.rather_low(20, 600) * 100 - 10,
    };
    let product = |n: usize| match PRODUCTS.get(n) {
        Some((id, list_price)) => Product { id: id.to_string(), list_price: *list_price },
        None => made_up(n, dice),
    };
    (0..count).map(product).collect()
}

fn store(city: &City, number: usize, (lat, lng): (f64, f64), dice: &mut Dice) -> wire::Store {
    let first = FIRST[dice.below(FIRST.len() as u64) as usize];
    let second = SECOND[dice.below(SECOND.len() as u64) as usize];
    let closed = dice.percent(4).then(|| {
        let day = city.start.checked_add((dice.between(24, 240)).hours()).unwrap_or(city.start);
        vec![day.strftime("%Y-%m-%d").to_string()]
    });
    wire::Store {
        id: format!("s{number}"),
        version: 1,
        name: format!("{first} {second}"),
        lat,
        lng,
        timezone: city.timezone.clone(),
        hours: hours(dice),
        closed_dates: closed,
        paused: None,
    }
}

/// Opening hours of the usual kinds: all day, lunch break, late night, office hours.
fn hours(dice: &mut Dice) -> String {
    let half = |dice: &mut Dice, low: i64, high: i64| {
        let half_hours = dice.between(low, high);
        format!("{:02}:{:02}", half_hours / 2, half_hours % 2 * 30)
    };
    let open = half(dice, 13, 18);
    match dice.below(100) {
        0..5 => "24/7".to_string(),
        5..45 => format!("Mo-Su {open}-{}", half(dice, 42, 47)),
        45..57 => format!("Mo-Fr {open}-{}; Sa 10:00-16:00", half(dice, 36, 40)),
        57..70 => format!("Mo-Sa {open}-12:30,13:30-{}", half(dice, 38, 43)),
        70..82 => format!("Mo-Su 11:00-{}", half(dice, 1, 6)),
        82..90 => format!("Mo-Su 00:00-{},05:30-24:00", half(dice, 1, 4)),
        90..96 => "Su-Th 10:00-24:00, Fr-Sa 10:00-02:00".to_string(),
        _ => format!("Tu-Su 12:00-{}; Mo off", half(dice, 44, 47)),
    }
}

fn offer(store: &str, product: &Product, dice: &mut Dice) -> wire::Offer {
    let list_price = product.list_price * dice.between(92, 115) / 1_000 * 10;
    let mut tiers = Vec::new();
    let mut buyers = dice.rather_low(2, 8);
    let mut discount = dice.rather_low(8, 28);
    for _ in 0..dice.between(1, 3) {
        tiers.push(wire::Tier { min_buyers: buyers, price: list_price * (100 - discount) / 100 });
        buyers += dice.between(2, 8);
        discount += dice.between(4, 12);
    }
    // Every tier but the first must be cheaper than the one before, down to the smallest coin.
    tiers.dedup_by(|next, tier| next.price >= tier.price);
    wire::Offer {
        store: store.to_string(),
        product: product.id.clone(),
        version: 1,
        list_price,
        max_group: dice.percent(85).then(|| buyers + dice.between(2, 24)),
        stock: Some(dice.rather_low(20, 400)),
        visit_value: dice.percent(15).then(|| list_price * dice.between(1, 6) / 100),
        slot_values: None,
        lead_minutes: dice.percent(15).then(|| [5, 10, 15, 30, 45][dice.below(5) as usize]),
        withdrawn: None,
        tiers,
    }
}

/// A new price list: everything some per cent dearer or cheaper.
pub(super) fn reprice(offer: &mut wire::Offer, dice: &mut Dice) {
    let share = dice.between(90, 111);
    offer.version += 1;
    offer.stock = None;
    offer.list_price = offer.list_price * share / 100;
    offer.tiers.iter_mut().for_each(|tier| tier.price = tier.price * share / 100);
}
