//! Records to events: parse, reject aloud.

use connectors::codec::{json, shorten};
use connectors::inbound::Stamp;
use connectors::wire;
use dataflows::market::{
    Answer, Attendance, BuyerId, Cell, Event, EventId, Intent, IntentId, Invalid, Money, Offer,
    OfferKey, Opening, Params, Position, ProductId, Promise, Put, Slot, SlotSet, StockChange,
    Store, StoreId, Tier, Tiers, Time, hours::Hours, limits,
};
use jiff::Timestamp;
use std::collections::BTreeMap;

const NANOS_A_DAY: i128 = 86_400_000_000_000;

/// What a record without a time of its own means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dating {
    /// Every record says when it happened: one that does not is invalid. (Files.)
    Required,
    /// A record that does not say happened at the newest time seen. (Recorded streams.)
    Newest,
}

/// Turns records into events; knows the newest time seen.
#[derive(Debug, Clone)]
pub struct Translator {
    params: Params,
    dating: Dating,
    newest: Option<Time>,
}

impl Translator {
    /// A translator that has seen nothing yet.
    pub fn new(params: Params, dating: Dating) -> Self {
        Self::at(params, dating, None)
    }

    /// A translator that has seen that time.
    pub fn at(params: Params, dating: Dating, newest: Option<Time>) -> Self {
        Self { params, dating, newest }
    }

    /// The newest time seen on a good record.
    pub fn newest(&self) -> Option<Time> {
        self.newest
    }

    /// Time has come to a record.
    pub fn pass(&mut self, time: Time) {
        self.newest = self.newest.max(Some(time));
    }

    /// The event of a record and its time, which never runs back: an older one counts as the
    /// newest seen. It moves nothing yet: see [`Translator::pass`].
    ///
    /// # Errors
    /// The first field that cannot be, with its value as JSON.
    pub fn event(&self, at: &Stamp, record: &wire::Record) -> Result<(Time, Event), Invalid> {
        let time = self.time(at)?;
        let now = self.newest.map_or(time, |newest| newest.max(time));
        // What is measured is measured from the tick: in it, the order of records decides nothing.
        let tick = self.params.start(self.params.tick(now));
        let event = match record {
            wire::Record::Intent(intent) => self.intent(tick, intent),
            wire::Record::Store(store) => self.store(store),
            wire::Record::Offer(offer) => self.offer(offer),
            wire::Record::Stock(update) => stock(update),
            wire::Record::Reply(reply) => self::reply(reply),
            wire::Record::Arrival(arrival) => self::arrival(arrival),
            wire::Record::Clock(_) => Ok(Event::Clock),
        };
        let event = event.map_err(|refused| as_given(record, refused))?;
        Ok((now, event))
    }

    /// When the record happened.
    fn time(&self, at: &Stamp) -> Result<Time, Invalid> {
        let (time, shown) = match at {
            Stamp::Text(text) => {
                let time = nanos("at", text).and_then(|nanos| Time::from_nanos("at", nanos));
                (time, serde_json::to_string(text).expect("a text is JSON"))
            }
            Stamp::Nanos(nanos) => (Time::from_nanos("at", *nanos), nanos.to_string()),
            Stamp::Absent if self.dating == Dating::Newest && self.newest.is_some() => {
                return Ok(self.newest.unwrap_or_default());
            }
            Stamp::Absent => {
                return Err(Invalid::new("at", "absent", "a record says when it happened"));
            }
        };
        let time = time.map_err(|refused| Invalid::new("at", &shown, refused.reason))?;
        // From tick to tick: two records of one tick may both, or neither.
        let jump = self.params.jump_days as i64 * 86_400_000;
        let start = |time: Time| self.params.start(self.params.tick(time));
        let farthest = self.newest.map(|newest| self.params.tick(start(newest).plus_ms(jump)));
        if farthest.is_some_and(|farthest| self.params.tick(time) > farthest) {
            let reason = format!("more than {} days after the newest", self.params.jump_days);
            return Err(Invalid::new("at", shown, reason));
        }
        Ok(time)
    }

    fn place(&self, lat: f64, lng: f64) -> Result<(Position, Cell), Invalid> {
        let place = Position::new(lat, lng)?;
        Ok((place, place.cell(self.params.resolution)))
    }

    fn intent(&self, now: Time, intent: &wire::Intent) -> Result<Event, Invalid> {
        let id = IntentId::new(&intent.id)?;
        let version = intent.version;
        if intent.cancel == Some(true) {
            return Ok(Event::Intent { id, version, put: Put::Cancel });
        }
        fn needed<'a, T>(field: &str, value: &'a Option<T>) -> Result<&'a T, Invalid> {
            let reason = "needed to put an intent";
            value.as_ref().ok_or_else(|| Invalid::new(field, "absent", reason))
        }
        let buyer = BuyerId::new(needed("buyer", &intent.buyer)?)?;
        let product = ProductId::new(needed("product", &intent.product)?)?;
        let (lat, lng) = (*needed("lat", &intent.lat)?, *needed("lng", &intent.lng)?);
        let (place, cell) = self.place(lat, lng)?;
        let slots = self.slots(now, needed("available", &intent.available)?)?;
        let budget = Money::new("budget", *needed("budget", &intent.budget)?)?;
        let quantity = intent.quantity.unwrap_or(1);
        let quantity = within("quantity", quantity, 1, limits::MAX_QUANTITY as i64)? as u32;
        let reach_m = intent.reach_m.unwrap_or(1_000);
        let reach_m = within("reach_m", reach_m, 0, limits::MAX_REACH_M as i64)? as u32;
        let expires = match &intent.expires {
            Some(text) => Some(Time::from_nanos("expires", nanos("expires", text)?)?),
            None => None,
        };
        let promise = Promise::default();
        let intent = Box::new(Intent {
            id: id.clone(),
            product,
            place,
            cell,
            slots,
            budget,
            quantity,
            reach_m,
            promise,
        });
        Ok(Event::Intent { id, version, put: Put::Intent { intent, buyer, expires } })
    }

    /// Availability as whole slots (R1), as of a tick that starts at `now`.
    fn slots(&self, now: Time, available: &[[String; 2]]) -> Result<SlotSet, Invalid> {
        if available.is_empty() || available.len() > limits::MAX_INTERVALS {
            let reason = format!("a buyer is free in 1 to {} intervals", limits::MAX_INTERVALS);
            return Err(Invalid::new("available", available.len(), reason));
        }
        let now = now.0 as i128 * 1_000_000;
        let latest = now + self.params.horizon_days as i128 * NANOS_A_DAY;
        let mut ranges = Vec::with_capacity(available.len());
        for (n, [from, until]) in available.iter().enumerate() {
            let (first, second) = (format!("available[{n}][0]"), format!("available[{n}][1]"));
            let (start, end) = (nanos(&first, from)?, nanos(&second, until)?);
            Time::from_nanos(&first, start)?;
            Time::from_nanos(&second, end)?;
            if start >= end {
                return Err(Invalid::new(&second, until, format!("not after {from}")));
            }
            if end > latest {
                let days = self.params.horizon_days;
                return Err(Invalid::new(&second, until, format!("more than {days} days ahead")));
            }
            ranges.push(self.params.slot.inside(start, end));
        }
        Ok(SlotSet::new(ranges))
    }

    fn store(&self, store: &wire::Store) -> Result<Event, Invalid> {
        let id = StoreId::new(&store.id).map_err(|refused| refused.within("id"))?;
        let length = store.name.chars().count();
        if length == 0 || length > limits::MAX_NAME_CHARS || store.name.contains(char::is_control) {
            let reason = format!("a name is 1 to {} printable characters", limits::MAX_NAME_CHARS);
            return Err(Invalid::new("name", &store.name, reason));
        }
        let (place, cell) = self.place(store.lat, store.lng)?;
        let closed = store.closed_dates.as_deref().unwrap_or_default();
        let hours = Hours::new(&store.timezone, &store.hours, closed)?;
        let opening = Opening::Hours(hours);
        let paused = store.paused.unwrap_or(false);
        let name = store.name.clone();
        Ok(Event::Store(Store { id, name, place, cell, opening, paused }, store.version))
    }

    fn offer(&self, offer: &wire::Offer) -> Result<Event, Invalid> {
        let key = OfferKey {
            store: StoreId::new(&offer.store)?,
            product: ProductId::new(&offer.product)?,
        };
        let list_price = Money::new("list_price", offer.list_price)?;
        let mut tiers = Vec::with_capacity(offer.tiers.len());
        for (n, tier) in offer.tiers.iter().enumerate() {
            let field = format!("tiers[{n}].min_buyers");
            let most = limits::MAX_GROUP as i64;
            tiers.push(Tier {
                min_buyers: within(&field, tier.min_buyers, 1, most)? as u32,
                price: Money::new(&format!("tiers[{n}].price"), tier.price)?,
            });
        }
        let tiers = Tiers::new(tiers)?;
        let most = limits::MAX_GROUP as i64;
        let max_group = within("max_group", offer.max_group.unwrap_or(most), 1, most)? as u32;
        let visit_value = Money::new("visit_value", offer.visit_value.unwrap_or(0))?;
        let lead_minutes = match offer.lead_minutes {
            Some(lead) => {
                Some(within("lead_minutes", lead, 0, limits::MAX_LEAD_MINUTES as i64)? as u32)
            }
            None => None,
        };
        let stock = match offer.stock {
            Some(stock) => Some(within("stock", stock, 0, limits::MAX_STOCK)?),
            None => None,
        };
        let event = Offer {
            key,
            list_price,
            tiers,
            max_group,
            visit_value,
            slot_values: self.slot_values(offer)?,
            lead_minutes,
            withdrawn: offer.withdrawn.unwrap_or(false),
        };
        Ok(Event::Offer { offer: event, version: offer.version, stock })
    }

    /// Visit values by slot; each is named by its slot's start.
    fn slot_values(&self, offer: &wire::Offer) -> Result<Box<[(Slot, Money)]>, Invalid> {
        let Some(values) = &offer.slot_values else { return Ok(Box::default()) };
        if values.len() > limits::MAX_SLOT_VALUES {
            let reason = format!("at most {} slots have values", limits::MAX_SLOT_VALUES);
            return Err(Invalid::new("slot_values", values.len(), reason));
        }
        let mut slots = BTreeMap::new();
        for (start, value) in values {
            // What is wrong is a name: the value shown is the object that has it.
            let refused = |reason: &str| {
                Invalid::new("slot_values", start, format!("{}: {reason}", shorten(start)))
            };
            let time = nanos("slot_values", start).map_err(|invalid| refused(&invalid.reason))?;
            Time::from_nanos("slot_values", time).map_err(|invalid| refused(&invalid.reason))?;
            let slot = self.params.slot.inside(time, time).0;
            if self.params.slot.start(slot).0 as i128 * 1_000_000 != time {
                return Err(refused("not the start of a slot"));
            }
            let value = Money::new(&format!("slot_values.{}", shorten(start)), *value)?;
            if slots.insert(slot, value).is_some() {
                return Err(refused("a second value for its slot"));
            }
        }
        Ok(slots.into_iter().collect())
    }
}

/// The refusal with the field's value as the record's own JSON has it: whoever refused it had it
/// in another form, or only a part.
fn as_given(record: &wire::Record, refused: Invalid) -> Invalid {
    let value = json::value_of(record, &refused.field).unwrap_or(refused.value);
    Invalid { value, ..refused }
}

fn stock(update: &wire::Stock) -> Result<Event, Invalid> {
    let offer =
        OfferKey { store: StoreId::new(&update.store)?, product: ProductId::new(&update.product)? };
    let units = |field: &str, units: i64| within(field, units, 0, limits::MAX_STOCK);
    let event = || match &update.event {
        Some(event) => EventId::new(event).map_err(|refused| refused.within("event")),
        None => Err(Invalid::new("event", "absent", "a relative change names its event")),
    };
    let change = match (update.units, update.sold, update.added) {
        (Some(n), None, None) => StockChange::Absolute(units("units", n)?),
        (None, Some(n), None) => StockChange::Relative(-units("sold", n)?, event()?),
        (None, None, Some(n)) => StockChange::Relative(units("added", n)?, event()?),
        (None, None, None) => {
            return Err(Invalid::new("units", "absent", "one of units, sold and added is needed"));
        }
        (units, ..) => {
            let second = if units.is_some() && update.sold.is_some() { "sold" } else { "added" };
            return Err(Invalid::new(second, "", "only one of units, sold and added"));
        }
    };
    Ok(Event::Stock { offer, version: update.version, change })
}

fn reply(reply: &wire::Reply) -> Result<Event, Invalid> {
    let answer = match reply.answer.as_str() {
        "accept" => Answer::Accept,
        "decline" => Answer::Decline,
        other => return Err(Invalid::new("answer", other, "accept or decline")),
    };
    Ok(Event::Reply {
        window: window(&reply.window)?,
        intent: IntentId::new(&reply.intent).map_err(|refused| refused.within("intent"))?,
        event: EventId::new(&reply.event)?,
        revision: reply.revision,
        answer,
    })
}

fn arrival(arrival: &wire::Arrival) -> Result<Event, Invalid> {
    let attendance = match arrival.outcome.as_str() {
        "bought" => Attendance::Bought,
        "absent" => Attendance::Absent,
        other => return Err(Invalid::new("outcome", other, "bought or absent")),
    };
    Ok(Event::Arrival {
        window: window(&arrival.window)?,
        intent: IntentId::new(&arrival.intent).map_err(|refused| refused.within("intent"))?,
        event: EventId::new(&arrival.event)?,
        attendance,
    })
}

/// A window's id has the form of any other.
fn window(text: &str) -> Result<String, Invalid> {
    EventId::new(text).map(|_| text.to_string()).map_err(|refused| refused.within("window"))
}

fn within(field: &str, value: i64, least: i64, most: i64) -> Result<i64, Invalid> {
    if (least..=most).contains(&value) {
        Ok(value)
    } else {
        Err(Invalid::new(field, value, format!("must be {least} to {most}")))
    }
}

/// Whether the text has RFC 3339's form: the parser takes more than that.
fn is_rfc3339(text: &str) -> bool {
    let b = text.as_bytes();
    let digits = |range: std::ops::Range<usize>| {
        b.get(range).is_some_and(|part| part.iter().all(u8::is_ascii_digit))
    };
    let date = digits(0..4) && b.get(4) == Some(&b'-') && digits(5..7) && b.get(7) == Some(&b'-');
    let time = matches!(b.get(10), Some(b'T' | b't')) && digits(11..13) && digits(14..16);
    let colons = b.get(13) == Some(&b':') && b.get(16) == Some(&b':') && digits(17..19);
    if !(date && digits(8..10) && time && colons) {
        return false;
    }
    let mut rest = &b[19..];
    if let [b'.', fraction @ ..] = rest {
        let length = fraction.iter().take_while(|c| c.is_ascii_digit()).count();
        if length == 0 {
            return false;
        }
        rest = &fraction[length..];
    }
    match rest {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => [h1, h2, m1, m2].iter().all(|c| c.is_ascii_digit()),
        _ => false,
    }
}

/// Nanoseconds since 1970 of an RFC 3339 time with offset.
fn nanos(field: &str, text: &str) -> Result<i128, Invalid> {
    match text.parse::<Timestamp>() {
        Ok(time) if is_rfc3339(text) => Ok(time.as_nanosecond()),
        _ => Err(Invalid::new(field, text, "not an RFC 3339 time with offset")),
    }
}
