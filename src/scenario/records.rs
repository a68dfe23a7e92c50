//! The city's records, minute by minute.
//!
//! Invariant: what is given out is ordered by time, and within one instant by its making; a
//! change comes after what it changes.

use super::dice::{Dice, Weights, zipf};
use super::opening::{MINUTE_MS, Opening};
use super::supply::{self, Supply};
use super::town::{Spot, Town};
use super::wish::{Want, Wish};
use super::{City, Dated, Stay};
use connectors::wire::{self, Record};
use jiff::Timestamp;
use std::collections::{BTreeMap, VecDeque};

/// How much is wanted in each hour of the day: a little breakfast, lunch, and evening.
const DEMAND: [u64; 24] =
    [5, 3, 2, 1, 1, 2, 4, 9, 14, 12, 12, 19, 28, 24, 14, 12, 14, 21, 30, 32, 25, 16, 10, 7];
/// Of a hundred intents, how many are cancelled.
const CANCELLED: u64 = 6;
/// Of a hundred intents, how many are edited.
const EDITED: u64 = 3;
/// Stock changes for a hundred intents.
const STOCK_CHANGES: u64 = 12;
/// New price lists for a hundred intents.
const REPRICED: u64 = 1;
/// How long a burst lasts, in minutes.
const BURST_MINUTES: i64 = 4;
/// Of a hundred intents during a burst, how many belong to it.
const BURST_SHARE: u64 = 30;

/// Many want one product near one place.
struct Burst {
    product: usize,
    spot: Spot,
    until_ms: i64,
}

/// What happens in a minute; at one instant, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Wish,
    StockChange,
    NewPrices,
}

/// What the iterator knows.
pub(super) struct Records {
    pub(super) town: Town,
    pub(super) supply: Supply,
    pub(super) wanted: Weights,
    pub(super) dice: Dice,
    /// When demand begins.
    start_ms: i64,
    /// Intents in all.
    intents: u64,
    /// Of them, those of demand.
    demanded: u64,
    pub(super) opening: Opening,
    pub(super) stay: Stay,
    bursts: bool,
    burst: Option<Burst>,
    /// Demand before each minute; the last is the whole.
    demand: Vec<u64>,
    minute: usize,
    /// Intents put so far.
    put: usize,
    /// Events (sales, deliveries) so far.
    events: u64,
    /// What is made; it orders what happens at one instant.
    made: u64,
    /// Made and not yet given out, by time.
    later: BTreeMap<(i64, u64), Record>,
    /// Ready to be given out.
    ready: VecDeque<Dated>,
}

impl Records {
    pub(super) fn new(city: &City) -> Self {
        let town = Town::new(city, &mut Dice::new(city.seed, 1));
        let supply = Supply::draw(city, &town, &mut Dice::new(city.seed, 2));
        let opening = Opening::of(city);
        let mut records = Self {
            wanted: Weights::new(zipf(supply.products.len())),
            town,
            supply,
            dice: Dice::new(city.seed, 3),
            start_ms: opening.demand_from_ms(),
            intents: (city.intents + city.crowd + city.rush) as u64,
            demanded: city.intents as u64,
            opening,
            stay: city.stay,
            bursts: city.burst,
            burst: None,
            demand: demand(city),
            minute: 0,
            put: 0,
            events: 0,
            made: 0,
            later: BTreeMap::new(),
            ready: VecDeque::new(),
        };
        records.open(city.start.as_millisecond());
        records
    }

    /// Puts stores and offers.
    fn open(&mut self, at_ms: i64) {
        let stores = std::mem::take(&mut self.supply.stores);
        let offers = self.supply.shelves.iter().map(|shelf| Record::Offer(shelf.offer.clone()));
        let records = stores.into_iter().map(Record::Store).chain(offers);
        self.ready = records.filter_map(|record| dated(at_ms, record)).collect();
    }

    /// Makes the next minute.
    fn fill(&mut self) {
        let from_ms = self.start_ms + self.minute as i64 * MINUTE_MS;
        let until = self.due(self.minute + 1);
        let from = self.due(self.minute);
        let of = |rate: u64| until * rate / 100 - from * rate / 100;
        if self.bursts {
            self.start_burst(from_ms);
        }
        let kinds = [
            (Happening::Wish, until - from),
            (Happening::StockChange, of(STOCK_CHANGES)),
            (Happening::NewPrices, of(REPRICED)),
        ];
        let mut happenings = Vec::new();
        for (kind, count) in kinds {
            for _ in 0..count {
                happenings.push((from_ms + self.dice.below(MINUTE_MS as u64) as i64, kind));
            }
        }
        happenings.sort_unstable();
        for (at_ms, kind) in happenings {
            match kind {
                Happening::Wish => self.wish(at_ms),
                Happening::StockChange => self.stock_change(at_ms),
                Happening::NewPrices => self.new_prices(at_ms),
            }
        }
        self.minute += 1;
        self.give_out(from_ms + MINUTE_MS);
    }

    /// Gives out what is due before that time.
    pub(super) fn give_out(&mut self, until_ms: i64) {
        let after = self.later.split_off(&(until_ms, 0));
        let now = std::mem::replace(&mut self.later, after);
        self.ready.extend(now.into_iter().filter_map(|((at_ms, _), record)| dated(at_ms, record)));
    }

    /// How many intents are put before that minute.
    fn due(&self, minute: usize) -> u64 {
        let total = self.demand[self.demand.len() - 1].max(1);
        (u128::from(self.demanded) * u128::from(self.demand[minute]) / u128::from(total)) as u64
    }

    /// Now and then, many begin to want what one store near them has.
    fn start_burst(&mut self, now_ms: i64) {
        if self.burst.as_ref().is_some_and(|burst| burst.until_ms <= now_ms) {
            self.burst = None;
        }
        if self.burst.is_none() && self.dice.percent(10) && !self.supply.shelves.is_empty() {
            let shelf = self.dice.below(self.supply.shelves.len() as u64) as usize;
            let shelf = &self.supply.shelves[shelf];
            let until_ms = now_ms + BURST_MINUTES * MINUTE_MS;
            self.burst = Some(Burst { product: shelf.product, spot: shelf.spot, until_ms });
        }
    }

    /// Somebody wants something.
    fn wish(&mut self, at_ms: i64) {
        let (product, spot) = match &self.burst {
            Some(burst) if self.dice.percent(BURST_SHARE) => {
                (burst.product, burst.spot.around(&mut self.dice, 200))
            }
            _ => (self.wanted.draw(&mut self.dice), self.town.buyer(&mut self.dice)),
        };
        let wish = self.draw_wish(at_ms, product, spot);
        self.put(at_ms, wish);
    }

    /// Draws what the next buyer wants, at that time.
    pub(super) fn draw_wish(&mut self, at_ms: i64, product: usize, spot: Spot) -> Wish {
        let want = Want {
            product: &self.supply.products[product].id,
            list_price: self.supply.products[product].list_price,
            place: self.town.degrees(spot),
            buyers: self.intents * 3 / 4 + 1,
            stay: self.stay,
        };
        self.put += 1;
        Wish::draw(&mut self.dice, self.put, at_ms, &want)
    }

    /// Puts a wish, and plans what its buyer will change before it begins: so long it surely lives.
    pub(super) fn put(&mut self, at_ms: i64, mut wish: Wish) {
        self.keep(at_ms, Record::Intent(wish.intent.clone()));
        let mut since_ms = at_ms + 10_000;
        if wish.from_s * 1_000 <= since_ms {
            return;
        }
        if self.dice.percent(EDITED) {
            since_ms = self.dice.between(since_ms, wish.from_s * 1_000);
            wish.edit(&mut self.dice);
            self.keep_until_end(since_ms, Record::Intent(wish.intent.clone()));
            since_ms += 1;
        }
        if self.dice.percent(CANCELLED) {
            let cancelled_ms = self.dice.between(since_ms, wish.from_s * 1_000 + 1);
            let wire::Intent { id, version, .. } = wish.intent;
            let version = version + 1;
            let gone = wire::Intent { id, version, cancel: Some(true), ..Default::default() };
            self.keep_until_end(cancelled_ms, Record::Intent(gone));
        }
    }

    /// A sale at the counter, a delivery, or a count of the shelf.
    fn stock_change(&mut self, at_ms: i64) {
        let Some(shelf) = self.draw_shelf() else { return };
        let kind = self.dice.below(100);
        let shelf = &mut self.supply.shelves[shelf];
        shelf.stock_version += 1;
        let mut stock = wire::Stock {
            store: shelf.offer.store.clone(),
            product: shelf.offer.product.clone(),
            version: shelf.stock_version,
            ..Default::default()
        };
        match kind {
            0..72 => stock.sold = Some(self.dice.rather_low(1, 5)),
            72..90 => stock.added = Some(self.dice.between(10, 80)),
            _ => stock.units = Some(self.dice.rather_low(0, 300)),
        }
        if stock.units.is_none() {
            self.events += 1;
            stock.event = Some(format!("e{}", self.events));
        }
        self.keep(at_ms, Record::Stock(stock));
    }

    /// A store changes what one product costs.
    fn new_prices(&mut self, at_ms: i64) {
        let Some(shelf) = self.draw_shelf() else { return };
        let offer = &mut self.supply.shelves[shelf].offer;
        supply::reprice(offer, &mut self.dice);
        let offer = offer.clone();
        self.keep(at_ms, Record::Offer(offer));
    }

    fn draw_shelf(&mut self) -> Option<usize> {
        let count = self.supply.shelves.len();
        (count > 0).then(|| self.dice.below(count as u64) as usize)
    }

    /// Keeps a record until its time, if the city lasts so long.
    fn keep_until_end(&mut self, at_ms: i64, record: Record) {
        if at_ms < self.start_ms + (self.demand.len() as i64 - 1) * MINUTE_MS {
            self.keep(at_ms, record);
        }
    }

    fn keep(&mut self, at_ms: i64, record: Record) {
        self.made += 1;
        self.later.insert((at_ms, self.made), record);
    }
}

impl Iterator for Records {
    type Item = Dated;

    fn next(&mut self) -> Option<Dated> {
        while self.ready.is_empty() && self.fill_opening() {}
        while self.ready.is_empty() && self.minute + 1 < self.demand.len() {
            self.fill();
        }
        self.ready.pop_front()
    }
}

/// Demand before each minute of the city, by the local hour; the last entry is the whole.
fn demand(city: &City) -> Vec<u64> {
    let zone = city.zone();
    let start_ms = city.start.as_millisecond();
    let mut total = 0;
    let mut before = vec![0];
    for minute in 0..i64::from(city.hours.max(1)) * 60 {
        let instant = Timestamp::from_millisecond(start_ms + minute * MINUTE_MS);
        let local = instant.map(|instant| zone.to_datetime(instant));
        total += local.map_or(0, |local| {
            // Between two hours, demand goes straight from one to the other.
            let (hour, past) = (local.hour() as usize, local.minute() as u64);
            DEMAND[hour] * (60 - past) + DEMAND[(hour + 1) % 24] * past
        });
        before.push(total);
    }
    before
}

fn dated(at_ms: i64, record: Record) -> Option<Dated> {
    Timestamp::from_millisecond(at_ms).ok().map(|at| Dated { at, record })
}
