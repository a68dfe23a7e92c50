//! A market in a file: read, checked, and handed to the solver product by product.
//!
//! The format is that of the public check of a grouping: intents, stores and offers with whatever
//! ids they have, and times that are slot numbers or RFC 3339 rounded inward. Ids become ranks
//! inside (numbers before texts), so that every decision depends on the ids' order alone.
//!
//! **Limits** those of [`dataflows::market::limits`], and the constants below; beyond any of them
//! an instance is refused, never cut.

mod document;
mod solution;

pub use document::Id;
pub use solution::{Certificate, Grouping, Solution, Window};

use dataflows::market as m;
use dataflows::market::{Invalid, Money, Position, Slot, SlotSet, limits};
use dataflows::solver::PlacedOffer;
use document::{Document, Moment};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Slots that count lie between minus this and this.
const MAX_SLOT: i128 = 100_000_000;
/// The most slots that one intent and one store may have in common.
const MAX_COMMON_SLOTS: i64 = 20_000;
/// The longest slot: a week, in minutes.
const MAX_SLOT_MINUTES: i64 = 7 * 1_440;
/// Half the way round the globe, in metres: nothing is farther.
const MAX_DISTANCE_M: i64 = 20_015_115;

/// One product's market.
#[derive(Debug)]
struct Product {
    name: Id,
    offers: Vec<PlacedOffer>,
    intents: Vec<m::Intent>,
}

/// A checked instance.
#[derive(Debug)]
pub struct Instance {
    params: m::Params,
    products: Vec<Product>,
    /// Ids by rank.
    intents: Vec<Id>,
    stores: Vec<Id>,
}

/// How the instance's times become slots.
struct Clock {
    /// Nanoseconds in a slot.
    slot: i128,
    /// Nanoseconds from 1970 to slot 0.
    epoch: i128,
    horizon: Option<(i128, i128)>,
}

/// A store, checked.
struct Place {
    position: Position,
    open: Option<SlotSet>,
}

impl Instance {
    /// By product: the parameters, the offers and the intents.
    pub fn parts(&self) -> impl Iterator<Item = (&m::Params, &[PlacedOffer], &[m::Intent])> {
        self.products.iter().map(|p| (&self.params, p.offers.as_slice(), p.intents.as_slice()))
    }

    /// Reads an instance.
    ///
    /// # Errors
    /// The first field whose value cannot be, by its path.
    pub fn parse(text: &[u8]) -> Result<Self, Invalid> {
        let document = document::parse(text)?;
        let clock = Clock::new(&document.params)?;
        let params = m::Params {
            travel_cost_per_km: document.params.travel_cost_per_km,
            stay_bonus_ppm: 0,
            lead_minutes: 0,
            ..m::Params::default()
        };
        let params = params.checked().map_err(|invalid| inside("params", invalid))?;
        let intents = ranks("intents", document.intents.iter().map(|i| &i.id))?;
        let stores = ranks("stores", document.stores.iter().map(|s| &s.id))?;
        let places = places(&document, &clock)?;
        let mut products: BTreeMap<Id, Product> = BTreeMap::new();
        for (n, offer) in document.offers.iter().enumerate() {
            let path = format!("offers[{n}]");
            let Some((&rank, place)) = stores.get(&offer.store).zip(places.get(&offer.store))
            else {
                let store = format!("{path}.store");
                return Err(Invalid::new(&store, &offer.store, "there is no such store"));
            };
            let placed = placed(offer, rank, place, params.resolution);
            let placed = placed.map_err(|invalid| inside(&path, invalid))?;
            let product = products.entry(offer.product.clone()).or_insert_with(|| Product {
                name: offer.product.clone(),
                offers: Vec::new(),
                intents: Vec::new(),
            });
            if product.offers.iter().any(|o| o.offer.key == placed.offer.key) {
                let reason = "a second offer for the same store and product";
                return Err(Invalid::new(&format!("{path}.store"), &offer.store, reason));
            }
            product.offers.push(placed);
        }
        for (n, raw) in document.intents.iter().enumerate() {
            let offers = products.get(&raw.product).map_or(&[][..], |p| &p.offers);
            let intent = intent(raw, intents[&raw.id], &clock, params.resolution, offers)
                .map_err(|invalid| inside(&format!("intents[{n}]"), invalid))?;
            if let Some(product) = products.get_mut(&raw.product) {
                product.intents.push(intent);
            }
        }
        Ok(Self {
            params,
            products: products.into_values().collect(),
            intents: intents.into_keys().collect(),
            stores: stores.into_keys().collect(),
        })
    }
}

/// The refusal, seen from the record that holds the field.
fn inside(path: &str, invalid: Invalid) -> Invalid {
    let field = format!("{path}.{}", invalid.field);
    invalid.within(&field)
}

/// The value, if it is in the range.
fn ranged(field: &str, value: i64, least: i64, most: i64) -> Result<i64, Invalid> {
    if (least..=most).contains(&value) {
        Ok(value)
    } else {
        Err(Invalid::new(field, value, format!("must be {least} to {most}")))
    }
}

/// Every id with its rank; an id that comes twice is refused.
fn ranks<'a>(
    list: &str,
    ids: impl Iterator<Item = &'a Id>,
) -> Result<BTreeMap<Id, usize>, Invalid> {
    let mut all = BTreeSet::new();
    for (n, id) in ids.enumerate() {
        if !all.insert(id.clone()) {
            return Err(Invalid::new(&format!("{list}[{n}].id"), id, "an id that came before"));
        }
    }
    Ok(all.into_iter().enumerate().map(|(rank, id)| (id, rank)).collect())
}

/// A rank as text whose order is that of the ranks.
fn rank_text(rank: usize) -> String {
    format!("{rank:010}")
}

impl Clock {
    fn new(params: &document::Params) -> Result<Self, Invalid> {
        let minutes = params.slot_minutes.unwrap_or(20);
        let minutes = ranged("params.slot_minutes", minutes, 1, MAX_SLOT_MINUTES)?;
        let epoch = params.epoch.as_deref().map_or(Ok(0), |text| nanos("params.epoch", text))?;
        let horizon = params.horizon.map(|(from, until)| (i128::from(from), i128::from(until)));
        if let Some((from, until)) = horizon.filter(|(from, until)| from > until) {
            let value = format!("[{from}, {until}]");
            return Err(Invalid::new("params.horizon", value, "it ends before it starts"));
        }
        Ok(Self { slot: i128::from(minutes) * 60_000_000_000, epoch, horizon })
    }

    /// Nanoseconds from the start of slot 0.
    fn since_epoch(&self, field: &str, moment: &Moment) -> Result<i128, Invalid> {
        match moment {
            Moment::Slot(slot) => Ok(slot * self.slot),
            Moment::Text(text) => Ok(nanos(field, text)? - self.epoch),
        }
    }

    /// R1: the slots wholly inside the intervals, and inside the horizon.
    fn slots<'a>(
        &self,
        field: &str,
        intervals: impl Iterator<Item = (&'a Moment, &'a Moment)>,
    ) -> Result<SlotSet, Invalid> {
        let ranges = intervals.enumerate().map(|(n, (from, until))| {
            let field = format!("{field}[{n}]");
            self.range((&field, from), (&field, until))
        });
        let ranges: Vec<Option<(Slot, Slot)>> = ranges.collect::<Result<_, _>>()?;
        Ok(SlotSet::new(ranges.into_iter().flatten().collect()))
    }

    /// The same of one interval, whose ends have names of their own.
    fn range(
        &self,
        (from_field, from): (&str, &Moment),
        (until_field, until): (&str, &Moment),
    ) -> Result<Option<(Slot, Slot)>, Invalid> {
        let start = self.since_epoch(from_field, from)?;
        let end = self.since_epoch(until_field, until)?;
        if start > end {
            let value = format!("[{from}, {until}]");
            return Err(Invalid::new(until_field, value, "an interval ends before it starts"));
        }
        let mut first = -(-start).div_euclid(self.slot);
        let mut last = end.div_euclid(self.slot);
        if let Some((from, until)) = self.horizon {
            (first, last) = (first.max(from), last.min(until));
        }
        if first >= last {
            return Ok(None);
        }
        let reason = || format!("slots are {} to {MAX_SLOT}", -MAX_SLOT);
        if first < -MAX_SLOT {
            return Err(Invalid::new(from_field, from, reason()));
        }
        if last > MAX_SLOT {
            return Err(Invalid::new(until_field, until, reason()));
        }
        Ok(Some((Slot(first as i32), Slot(last as i32))))
    }
}

/// Nanoseconds from 1970 to the instant.
fn nanos(field: &str, text: &str) -> Result<i128, Invalid> {
    let reason = "not an RFC 3339 time with a zone, such as 2026-03-01T09:00:00Z";
    let time: Result<jiff::Timestamp, _> = text.parse();
    time.map(jiff::Timestamp::as_nanosecond).map_err(|_| Invalid::new(field, text, reason))
}

fn places(document: &Document, clock: &Clock) -> Result<BTreeMap<Id, Place>, Invalid> {
    let mut places = BTreeMap::new();
    for (n, store) in document.stores.iter().enumerate() {
        let path = format!("stores[{n}]");
        let position = Position::new(store.lat, store.lng);
        let position = position.map_err(|invalid| inside(&path, invalid))?;
        let open = store.open.as_ref().map(|open| {
            clock.slots(&format!("{path}.open"), open.iter().map(|(from, until)| (from, until)))
        });
        let open = open.transpose()?;
        places.insert(store.id.clone(), Place { position, open });
    }
    Ok(places)
}

fn placed(
    raw: &document::Offer,
    store: usize,
    place: &Place,
    resolution: m::Resolution,
) -> Result<PlacedOffer, Invalid> {
    let mut tiers = Vec::with_capacity(raw.tiers.len());
    for (n, tier) in raw.tiers.iter().enumerate() {
        let field = format!("tiers[{n}].min_buyers");
        let most = i64::from(limits::MAX_GROUP);
        let min_buyers = ranged(&field, tier.min_buyers, 1, most)? as u32;
        let price = Money::new(&format!("tiers[{n}].price"), tier.price)?;
        tiers.push(m::Tier { min_buyers, price });
    }
    let max_group = raw.max_group.unwrap_or(i64::from(limits::MAX_GROUP));
    let max_group = ranged("max_group", max_group, 0, i64::from(limits::MAX_GROUP))? as u32;
    let key = m::OfferKey {
        store: m::StoreId::new(&rank_text(store))?,
        product: m::ProductId::new(PRODUCT)?,
    };
    Ok(PlacedOffer {
        offer: Arc::new(m::Offer {
            key,
            list_price: Money::new("list_price", raw.list_price)?,
            tiers: m::Tiers::new(tiers)?,
            max_group,
            visit_value: Money::ZERO,
            slot_values: Box::default(),
            lead_minutes: None,
            withdrawn: false,
        }),
        place: place.position,
        cell: place.position.cell(resolution),
        opening: place.open.clone().map_or(m::Opening::Always, m::Opening::Slots),
        stock: ranged("stock", raw.stock, 0, limits::MAX_STOCK)?,
        locked: Box::default(),
    })
}

/// The product's name inside: a market has only one.
const PRODUCT: &str = "p";

fn intent(
    raw: &document::Intent,
    rank: usize,
    clock: &Clock,
    resolution: m::Resolution,
    offers: &[PlacedOffer],
) -> Result<m::Intent, Invalid> {
    let place = Position::new(raw.lat, raw.lng)?;
    let slots = match (&raw.intervals, &raw.from, &raw.to) {
        (Some(intervals), ..) => clock.slots("intervals", intervals.iter().map(|(a, b)| (a, b)))?,
        (None, Some(from), Some(to)) => {
            SlotSet::new(clock.range(("from", from), ("to", to))?.into_iter().collect())
        }
        (None, None, _) => return Err(Invalid::new("from", "nothing", "missing")),
        (None, _, None) => return Err(Invalid::new("to", "nothing", "missing")),
    };
    let most = i64::from(limits::MAX_QUANTITY);
    let quantity = ranged("quantity", raw.quantity, 1, most)? as u32;
    let budget = Money::new("budget", raw.budget)?;
    let reach_m = ranged("reach_m", raw.reach_m, 0, MAX_DISTANCE_M)? as u32;
    for offer in offers {
        let distance_m = place.distance_m(offer.place);
        if distance_m > reach_m {
            continue;
        }
        if distance_m > limits::MAX_REACH_M {
            let reason = format!("nobody goes {distance_m} m: at most {}", limits::MAX_REACH_M);
            return Err(Invalid::new("reach_m", raw.reach_m, reason));
        }
        let open = offer.opening.schedule();
        let common: i64 = slots
            .ranges()
            .iter()
            .flat_map(|&(a, b)| open.open_slots(a, b, m::SlotLength::default()).ranges().to_vec())
            .map(|(a, b)| i64::from(b.0) - i64::from(a.0))
            .sum();
        if common > MAX_COMMON_SLOTS {
            let field = if raw.intervals.is_some() { "intervals" } else { "to" };
            let value = format!("{common} slots");
            let reason = format!("at most {MAX_COMMON_SLOTS} slots in common with one store");
            return Err(Invalid::new(field, value, reason));
        }
    }
    Ok(m::Intent {
        id: m::IntentId::new(&rank_text(rank))?,
        product: m::ProductId::new(PRODUCT)?,
        place,
        cell: place.cell(resolution),
        slots,
        budget,
        quantity,
        reach_m: reach_m.min(limits::MAX_REACH_M),
        promise: m::Promise::default(),
    })
}
