//! Records to facts: the checker's own reading of the protocol, apart from the engine's.
//!
//! A record that is refused here must have had no effect: it changes nothing, not even the time.
//! What only the state can tell (an unknown store, an old version) is judged in `state.rs`.

use super::instant::Instant;
use super::receipts::Subject;
use connectors::wire;
use dataflows::market::hours::Hours;
use dataflows::market::{
    Answer, Attendance, BuyerId, Event, EventId, Intent, IntentId, Invalid, Money, Offer, OfferKey,
    Opening, Params, Position, ProductId, Promise, Put, Slot, SlotSet, StockChange, Store, StoreId,
    Tier, Tiers, Time, limits,
};

/// Milliseconds in a day.
const DAY_MS: i64 = 86_400_000;

/// One record that the protocol allows.
#[derive(Debug)]
pub(super) struct Fact {
    /// Its line.
    pub(super) sequence: u64,
    /// What its receipt says of it, if there are receipts.
    pub(super) subject: Option<Box<Subject>>,
    /// What it says.
    pub(super) event: Event,
}

/// The fact that a record of that time states.
///
/// # Errors
/// The field that the protocol does not allow.
pub(super) fn read(record: &wire::Record, at: Time, params: &Params) -> Result<Event, Invalid> {
    match record {
        wire::Record::Intent(it) => intent(it, at, params),
        wire::Record::Store(it) => store(it, params),
        wire::Record::Offer(it) => offer(it, params),
        wire::Record::Stock(it) => stock(it),
        wire::Record::Reply(it) => reply(it),
        wire::Record::Arrival(it) => arrival(it),
        wire::Record::Clock(_) => Ok(Event::Clock),
    }
}

/// The time of a record: its own, or the newest one seen if that is later.
///
/// # Errors
/// Of field `at`, when it is no time, out of range, or too far ahead.
pub(super) fn time(
    at: &connectors::inbound::Stamp,
    newest: Option<Time>,
    params: &Params,
) -> Result<Time, Invalid> {
    use connectors::inbound::Stamp;
    let own = match at {
        Stamp::Text(text) => Instant::time("at", text)?,
        Stamp::Nanos(nanos) => Time::from_nanos("at", *nanos)?,
        Stamp::Absent => {
            return Err(Invalid::new("at", "absent", "a record of a file says when it happened"));
        }
    };
    let jump = params.jump_days as i64 * DAY_MS;
    match newest {
        // Records of one tick may all jump so far, or none.
        Some(newest)
            if params.tick(own) > params.tick(tick_start(newest, params).plus_ms(jump)) =>
        {
            Err(Invalid::new("at", own.0, format!("more than {} days ahead", params.jump_days)))
        }
        Some(newest) => Ok(own.max(newest)),
        None => Ok(own),
    }
}

/// The start of the tick: whatever is measured from a record is measured from there, so that the
/// order within a tick decides nothing.
fn tick_start(time: Time, params: &Params) -> Time {
    params.start(params.tick(time))
}

fn need<T: Clone>(field: &str, value: &Option<T>) -> Result<T, Invalid> {
    value.clone().ok_or_else(|| Invalid::new(field, "absent", "a put needs it"))
}

fn within(field: &str, value: i64, least: i64, most: i64) -> Result<i64, Invalid> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(Invalid::new(field, value, format!("must be {least} to {most}")))
}

fn intent(it: &wire::Intent, at: Time, params: &Params) -> Result<Event, Invalid> {
    let id = IntentId::new(&it.id)?;
    if it.cancel == Some(true) {
        return Ok(Event::Intent { id, version: it.version, put: Put::Cancel });
    }
    let place = Position::new(need("lat", &it.lat)?, need("lng", &it.lng)?)?;
    let quantity =
        within("quantity", it.quantity.unwrap_or(1), 1, limits::MAX_QUANTITY as i64)? as u32;
    let reach_m =
        within("reach_m", it.reach_m.unwrap_or(1000), 0, limits::MAX_REACH_M as i64)? as u32;
    let expires = it.expires.as_deref().map(|text| Instant::time("expires", text)).transpose()?;
    let intent = Intent {
        id: id.clone(),
        product: ProductId::new(&need("product", &it.product)?)?,
        place,
        cell: place.cell(params.resolution),
        slots: slots(&need("available", &it.available)?, at, params)?,
        budget: Money::new("budget", need("budget", &it.budget)?)?,
        quantity,
        reach_m,
        promise: Promise::default(),
    };
    let buyer = BuyerId::new(&need("buyer", &it.buyer)?)?;
    let put = Put::Intent { intent: Box::new(intent), buyer, expires };
    Ok(Event::Intent { id, version: it.version, put })
}

/// The whole slots of an availability.
fn slots(available: &[[String; 2]], at: Time, params: &Params) -> Result<SlotSet, Invalid> {
    if available.is_empty() || available.len() > limits::MAX_INTERVALS {
        let reason = format!("an availability has 1 to {} intervals", limits::MAX_INTERVALS);
        return Err(Invalid::new("available", available.len(), reason));
    }
    let horizon = tick_start(at, params).plus_ms(params.horizon_days as i64 * DAY_MS);
    let horizon = horizon.0 as i128 * 1_000_000;
    let mut ranges = Vec::with_capacity(available.len());
    for (n, interval) in available.iter().enumerate() {
        let mut bounds = [0; 2];
        for (m, text) in interval.iter().enumerate() {
            let field = format!("available[{n}][{m}]");
            let instant = Instant::read(&field, text)?;
            Time::from_nanos(&field, instant.nanos)?;
            if instant.nanos > horizon {
                let reason = format!("more than {} days ahead", params.horizon_days);
                return Err(Invalid::new(&field, text, reason));
            }
            bounds[m] = instant.nanos;
        }
        if bounds[0] >= bounds[1] {
            let field = format!("available[{n}]");
            return Err(Invalid::new(&field, &interval[0], "an interval ends after it starts"));
        }
        ranges.push(params.slot.inside(bounds[0], bounds[1]));
    }
    Ok(SlotSet::new(ranges))
}

fn store(it: &wire::Store, params: &Params) -> Result<Event, Invalid> {
    let place = Position::new(it.lat, it.lng)?;
    let length = it.name.chars().count();
    if length == 0 || length > limits::MAX_NAME_CHARS || it.name.contains(char::is_control) {
        let reason = format!("a name is 1 to {} printable characters", limits::MAX_NAME_CHARS);
        return Err(Invalid::new("name", &it.name, reason));
    }
    let closed = it.closed_dates.as_deref().unwrap_or_default();
    let store = Store {
        id: StoreId::new(&it.id).map_err(|invalid| invalid.within("id"))?,
        name: it.name.clone(),
        place,
        cell: place.cell(params.resolution),
        opening: Opening::Hours(Hours::new(&it.timezone, &it.hours, closed)?),
        paused: it.paused.unwrap_or(false),
    };
    Ok(Event::Store(store, it.version))
}

fn offer_key(store: &str, product: &str) -> Result<OfferKey, Invalid> {
    Ok(OfferKey { store: StoreId::new(store)?, product: ProductId::new(product)? })
}

fn offer(it: &wire::Offer, params: &Params) -> Result<Event, Invalid> {
    let mut tiers = Vec::with_capacity(it.tiers.len().min(limits::MAX_TIERS));
    for (n, tier) in it.tiers.iter().enumerate() {
        let field = format!("tiers[{n}].min_buyers");
        let min_buyers = within(&field, tier.min_buyers, 1, limits::MAX_GROUP as i64)? as u32;
        let price = Money::new(&format!("tiers[{n}].price"), tier.price)?;
        tiers.push(Tier { min_buyers, price });
    }
    let most_lead = limits::MAX_LEAD_MINUTES as i64;
    let lead =
        it.lead_minutes.map(|lead| within("lead_minutes", lead, 0, most_lead)).transpose()?;
    let most = limits::MAX_GROUP as i64;
    let offer = Offer {
        key: offer_key(&it.store, &it.product)?,
        list_price: Money::new("list_price", it.list_price)?,
        tiers: Tiers::new(tiers)?,
        max_group: within("max_group", it.max_group.unwrap_or(most), 1, most)? as u32,
        visit_value: Money::new("visit_value", it.visit_value.unwrap_or(0))?,
        slot_values: slot_values(it, params)?,
        lead_minutes: lead.map(|lead| lead as u32),
        withdrawn: it.withdrawn.unwrap_or(false),
    };
    let stock = it.stock.map(|units| within("stock", units, 0, limits::MAX_STOCK)).transpose()?;
    Ok(Event::Offer { offer, version: it.version, stock })
}

/// The visit values of single slots, by slot.
fn slot_values(it: &wire::Offer, params: &Params) -> Result<Box<[(Slot, Money)]>, Invalid> {
    let Some(values) = &it.slot_values else { return Ok(Box::default()) };
    if values.len() > limits::MAX_SLOT_VALUES {
        let reason = format!("an offer has at most {} slot values", limits::MAX_SLOT_VALUES);
        return Err(Invalid::new("slot_values", values.len(), reason));
    }
    let mut slots = Vec::with_capacity(values.len());
    for (from, &value) in values {
        let field = format!("slot_values.{from}");
        let instant = Instant::read(&field, from)?;
        Time::from_nanos(&field, instant.nanos)?;
        let length = params.slot.as_ms() as i128 * 1_000_000;
        if instant.nanos.rem_euclid(length) != 0 {
            return Err(Invalid::new(&field, from, "not the start of a slot"));
        }
        let slot = Slot(instant.nanos.div_euclid(length) as i32);
        slots.push((slot, Money::new(&field, value)?));
    }
    slots.sort_unstable();
    if let Some(pair) = slots.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(Invalid::new("slot_values", pair[0].0.0, "a slot is named twice"));
    }
    Ok(slots.into_boxed_slice())
}

fn stock(it: &wire::Stock) -> Result<Event, Invalid> {
    let offer = offer_key(&it.store, &it.product)?;
    let event = |it: &wire::Stock| match &it.event {
        Some(event) => EventId::new(event),
        None => Err(Invalid::new("event", "absent", "a relative change names its event")),
    };
    let most = limits::MAX_STOCK;
    let change = match (it.units, it.sold, it.added) {
        (Some(units), None, None) => StockChange::Absolute(within("units", units, 0, most)?),
        (None, Some(sold), None) => {
            StockChange::Relative(-within("sold", sold, 0, most)?, event(it)?)
        }
        (None, None, Some(added)) => {
            StockChange::Relative(within("added", added, 0, most)?, event(it)?)
        }
        _ => return Err(Invalid::new("units", "", "exactly one of units, sold and added")),
    };
    Ok(Event::Stock { offer, version: it.version, change })
}

fn reply(it: &wire::Reply) -> Result<Event, Invalid> {
    StoreId::new(&it.window).map_err(|invalid| invalid.within("window"))?;
    let answer = match it.answer.as_str() {
        "accept" => Answer::Accept,
        "decline" => Answer::Decline,
        other => return Err(Invalid::new("answer", other, "an answer is accept or decline")),
    };
    Ok(Event::Reply {
        window: it.window.clone(),
        intent: IntentId::new(&it.intent).map_err(|invalid| invalid.within("intent"))?,
        event: EventId::new(&it.event)?,
        revision: it.revision,
        answer,
    })
}

fn arrival(it: &wire::Arrival) -> Result<Event, Invalid> {
    StoreId::new(&it.window).map_err(|invalid| invalid.within("window"))?;
    let attendance = match it.outcome.as_str() {
        "bought" => Attendance::Bought,
        "absent" => Attendance::Absent,
        other => return Err(Invalid::new("outcome", other, "an outcome is bought or absent")),
    };
    Ok(Event::Arrival {
        window: it.window.clone(),
        intent: IntentId::new(&it.intent).map_err(|invalid| invalid.within("intent"))?,
        event: EventId::new(&it.event)?,
        attendance,
    })
}
