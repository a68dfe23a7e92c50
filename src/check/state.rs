//! The reference state: what stores, offers, intents and windows are after a tick of the log.
//!
//! Facts are applied as the protocol says; windows are what their last messages say. Nothing here
//! judges a message.

use super::complete::Quiet;
use super::intents::{Accepted, Entry, Version, Wish};
use super::moment::Moment;
use super::outcome::Outcomes;
use super::stock::Stock;
use super::sums::Sums;
use super::table::Windows;
use dataflows::market::hours::Schedule;
use dataflows::market::{
    Event, EventId, Intent, IntentId, Offer, OfferKey, Params, ProductId, Put, Slot, State, Store,
    StoreId, Tick, Time, limits,
};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

/// Milliseconds in a day.
const DAY_MS: i64 = 86_400_000;

/// A store as of now.
pub(super) struct StoreEntry {
    pub(super) store: Rc<Store>,
    version: u64,
    pub(super) schedule: Schedule,
    /// Since when it takes groups.
    pub(super) since: Tick,
    /// When it was put last.
    pub(super) changed: Tick,
}

impl StoreEntry {
    /// Whether it takes a group in that slot.
    pub(super) fn open(&self, slot: Slot, params: &Params) -> bool {
        !self.store.paused && !self.schedule.open_slots(slot, slot.next(), params.slot).is_empty()
    }
}

/// An offer as of now.
pub(super) struct OfferEntry {
    pub(super) offer: Offer,
    version: u64,
    pub(super) stock: Stock,
    /// Since when it is in force.
    pub(super) since: Tick,
    /// When it was put last, and when its lead time changed last.
    pub(super) changed: Tick,
    pub(super) lead_changed: Tick,
    /// When its stock was told or taken last.
    pub(super) stock_changed: Tick,
}

/// Everything that the log has told so far.
pub(super) struct Reference<'a> {
    pub(super) params: &'a Params,
    pub(super) stores: HashMap<StoreId, StoreEntry>,
    pub(super) offers: HashMap<OfferKey, OfferEntry>,
    /// Offers by store and product, joined as in a window's id.
    pub(super) joined: HashMap<String, OfferKey>,
    pub(super) intents: HashMap<IntentId, Entry>,
    /// Intents by product, in the order of their first put; an edited one may occur twice.
    pub(super) by_product: HashMap<ProductId, Vec<IntentId>>,
    pub(super) windows: Windows,
    /// Events of replies and arrivals, by window: whether one certainly counted.
    pub(super) events: HashMap<(String, EventId), bool>,
    /// Stores that were put, or had an offer put, at the tick at hand.
    touched: BTreeSet<StoreId>,
    /// Offers by product.
    pub(super) by_offer: HashMap<ProductId, Vec<OfferKey>>,
    pub(super) quiet: Quiet,
    pub(super) sums: Sums,
    /// Whether more intents were known at once than are remembered when they are gone: any of them
    /// may be forgotten since.
    crowded: bool,
}

impl<'a> Reference<'a> {
    /// Nothing is known.
    pub(super) fn new(params: &'a Params) -> Self {
        Self {
            params,
            stores: HashMap::new(),
            offers: HashMap::new(),
            joined: HashMap::new(),
            intents: HashMap::new(),
            by_product: HashMap::new(),
            windows: Windows::default(),
            events: HashMap::new(),
            touched: BTreeSet::new(),
            by_offer: HashMap::new(),
            quiet: Quiet::default(),
            sums: Sums::default(),
            crowded: false,
        }
    }

    /// The moment of that tick.
    pub(super) fn moment(&self, tick: Tick) -> Moment {
        let now = self.params.start(tick);
        let horizon = now.plus_ms(-(self.params.horizon_days as i64) * DAY_MS);
        let remembered = if self.crowded { tick } else { self.params.tick(horizon) };
        Moment { tick, now, remembered, length: self.params.slot }
    }

    /// When a window of that offer locks.
    pub(super) fn lock_at(&self, offer: &Offer, slot: Slot) -> Time {
        self.params.lock_at(slot, offer.lead_minutes)
    }

    /// Whether the id is that of a window of a known offer.
    pub(super) fn names_window(&self, id: &str) -> bool {
        id.rsplit_once('_').is_some_and(|(joined, _)| self.joined.contains_key(joined))
    }

    /// Applies one fact of that tick, and says which outcomes are right.
    pub(super) fn apply(&mut self, event: Event, tick: Tick) -> Outcomes {
        match event {
            Event::Store(store, version) => self.store(store, version, tick),
            Event::Offer { offer, version, stock } => self.offer(offer, version, stock, tick),
            Event::Stock { offer, version, change } => match self.offers.get_mut(&offer) {
                None => Outcomes::INVALID,
                Some(entry) => {
                    entry.stock_changed = tick;
                    entry.stock.apply(version, &change)
                }
            },
            Event::Intent { id, version, put } => self.intent(id, version, put, tick),
            Event::Reply { window, intent, event, revision, answer } => {
                self.reply(&window, &intent, event, revision, answer, tick)
            }
            Event::Arrival { window, intent, event, .. } => {
                self.arrival(&window, &intent, event, tick)
            }
            Event::Clock => Outcomes::APPLIED,
        }
    }

    fn store(&mut self, store: Store, version: u64, tick: Tick) -> Outcomes {
        let known = self.stores.get(&store.id);
        if let Some(outcome) = older(known.map(|entry| entry.version), version) {
            return outcome;
        }
        let since = match known {
            Some(entry) if !entry.store.paused || entry.changed == tick => entry.since,
            _ => tick,
        };
        let id = store.id.clone();
        let schedule = store.opening.schedule();
        let entry = StoreEntry { store: Rc::new(store), version, schedule, since, changed: tick };
        self.touched.insert(id.clone());
        self.sums.store_put(tick);
        self.stores.insert(id, entry);
        Outcomes::APPLIED
    }

    fn offer(&mut self, offer: Offer, version: u64, stock: Option<i64>, tick: Tick) -> Outcomes {
        if !self.stores.contains_key(&offer.key.store) {
            return Outcomes::INVALID;
        }
        let joined = format!("{}_{}", offer.key.store, offer.key.product);
        match self.joined.get(&joined) {
            Some(key) if *key != offer.key => return Outcomes::INVALID,
            Some(_) => {}
            None => {
                self.joined.insert(joined, offer.key.clone());
                let keys = self.by_offer.entry(offer.key.product.clone()).or_default();
                keys.push(offer.key.clone());
            }
        }
        let known = self.offers.remove(&offer.key);
        if let Some(outcome) = older(known.as_ref().map(|entry| entry.version), version) {
            self.offers.extend(known.map(|entry| (offer.key.clone(), entry)));
            return outcome;
        }
        let lead = |offer: &Offer| offer.lead_minutes.unwrap_or(self.params.lead_minutes);
        let (mut units, since, lead_changed, stock_changed) = match known {
            None => (Stock::default(), tick, tick, tick),
            Some(old) => (
                old.stock,
                // What was withdrawn and put back within a tick was there all the time.
                if old.offer.withdrawn && old.changed < tick { tick } else { old.since },
                if lead(&old.offer) == lead(&offer) { old.lead_changed } else { tick },
                if stock.is_some() { tick } else { old.stock_changed },
            ),
        };
        if let Some(stock) = stock {
            units.put(stock);
        }
        let key = offer.key.clone();
        self.touched.insert(key.store.clone());
        self.sums.lead(&key.product, lead(&offer));
        let changed = tick;
        let entry = OfferEntry {
            offer,
            version,
            stock: units,
            since,
            changed,
            lead_changed,
            stock_changed,
        };
        self.offers.insert(key, entry);
        Outcomes::APPLIED
    }

    fn intent(&mut self, id: IntentId, number: u64, put: Put, tick: Tick) -> Outcomes {
        self.crowded |= self.intents.len() >= limits::MAX_GONE;
        let moment = self.moment(tick);
        let locked = self.windows.holds_locked(&id);
        let wish = match put {
            Put::Cancel => None,
            Put::Intent { intent, buyer, expires } => {
                let product = self.intents.get(&id).and_then(|entry| entry.worlds.last());
                let product = product.and_then(|world| world.wish.as_ref());
                if product.is_none_or(|wish| wish.intent.product != intent.product) {
                    let ids = self.by_product.entry(intent.product.clone()).or_default();
                    ids.push(id.clone());
                }
                let last = intent.slots.end().map(|end| self.params.slot.start(Slot(end.0 - 1)));
                if let Some(expires) = expires.filter(|expires| last.is_some_and(|l| *expires < l))
                {
                    self.sums.lapse(&intent.product, self.params.tick_from(expires));
                }
                Some(Rc::new(Wish { version: number, intent: *intent, buyer, expires }))
            }
        };
        let (windows, stores, params) = (&self.windows, &self.stores, self.params);
        let fits = |pin: &Accepted, wish: &Wish| fits(windows, stores, params, pin, wish);
        let entry = self.intents.entry(id).or_insert_with(|| Entry::new(tick));
        entry.apply(Version { number, wish }, moment, locked, fits)
    }

    /// The tick's facts are applied: what is due for the windows of the stores that they touched
    /// follows from how these are now. What broke and was mended within the tick never broke.
    pub(super) fn settle(&mut self, tick: Tick) {
        for store in std::mem::take(&mut self.touched) {
            for (window, due) in self.dues_at(&store, tick) {
                self.windows.set_due(&window, due);
            }
        }
    }

    /// When the live windows of the store must change at the latest, as it is now: a locked one at
    /// once if its premise is broken, a proposed one as soon as it may be revised, or at its lock.
    fn dues_at(&self, store: &StoreId, tick: Tick) -> Vec<(Rc<str>, Tick)> {
        let (mut dues, params) = (Vec::new(), self.params);
        for window in self.windows.live(store) {
            let offer = OfferKey { store: store.clone(), product: window.key.product.clone() };
            let Some((store, offer)) = self.stores.get(store).zip(self.offers.get(&offer)) else {
                continue;
            };
            let holds = store.open(window.key.slot, params) && !offer.offer.withdrawn;
            let due = if window.state != State::Proposed {
                if holds {
                    continue;
                }
                tick
            } else {
                let lock = params.tick_from(self.lock_at(&offer.offer, window.key.slot));
                let settled = params.start(window.tick).plus_ms(params.settle_ms);
                let gone = if holds { lock } else { params.tick_from(settled) };
                lock.min(gone).max(tick)
            };
            dues.push((window.id.clone(), due));
        }
        dues
    }

    /// Forgets what no message can be about any more.
    ///
    /// **Cost** linear in what is known; called once per hour of the log.
    pub(super) fn forget(&mut self, tick: Tick) {
        let moment = self.moment(tick);
        let long_ago = moment.now.plus_ms(-(2 * self.params.horizon_days as i64) * DAY_MS);
        let long_ago = self.params.tick(long_ago);
        self.intents.retain(|id, entry| {
            let dead = !entry.alive(moment) && !self.windows.holds_locked(id);
            if dead {
                entry.shrink(moment);
            }
            !dead || entry.touched() >= long_ago
        });
        let intents = &self.intents;
        let settling = self.params.tick(moment.now.plus_ms(-self.params.settle_ms));
        self.by_product.retain(|_, ids| {
            let mut seen = HashSet::new();
            ids.retain(|id| {
                let kept = intents
                    .get(id)
                    .is_some_and(|entry| entry.alive(moment) || entry.touched() >= settling);
                kept && seen.insert(id.clone())
            });
            !ids.is_empty()
        });
        self.windows.forget(moment.now);
        self.sums.forget(settling);
    }
}

/// Whether a wish could stay in the window that it accepted, at the price announced there.
pub(super) fn fits(
    windows: &Windows,
    stores: &HashMap<StoreId, StoreEntry>,
    params: &Params,
    pin: &Accepted,
    wish: &Wish,
) -> bool {
    let Some(window) = windows.get(&pin.window) else { return false };
    let Some(store) = stores.get(&window.key.store) else { return false };
    let (intent, price) = (&wish.intent, &window.message.price);
    let distance_m = intent.place.distance_m(store.store.place);
    intent.product == window.key.product
        && intent.slots.contains(window.key.slot)
        && distance_m <= intent.reach_m
        && price.unit <= pin.price
        && gain(intent, i64::MAX, price.unit, price.list, params.travel(distance_m)) >= Some(0)
}

/// R5 without the visit value; `None` where the price is above the budget, or above what was
/// accepted (R8). Acceptance limits the price; what it is worth is measured by the budget.
pub(super) fn gain(
    intent: &Intent,
    accepted: i64,
    price: i64,
    list: i64,
    travel: i64,
) -> Option<i64> {
    let budget = intent.budget.minor();
    (budget.min(accepted) >= price)
        .then(|| intent.quantity as i64 * (budget.min(list) - price) - travel)
}

/// The outcome of a put that is not newer than what is known.
fn older(known: Option<u64>, version: u64) -> Option<Outcomes> {
    match known {
        Some(known) if version < known => Some(Outcomes::SUPERSEDED),
        Some(known) if version == known => Some(Outcomes::DUPLICATE),
        _ => None,
    }
}
