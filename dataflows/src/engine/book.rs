//! The book: what is live, by id and version; the only maker of retractions.
//!
//! Differential believes its caller: a retraction of what was never inserted would insert it with
//! a negative count. So every difference that enters the dataflow is made here, from a record that
//! the book holds.

mod promises;

mod windows;

mod gone;

mod heard;

mod entries;

use super::ledger::Ledger;
use crate::flow::{Changes, Clock, Site};
use crate::lists::make_room;
use crate::market::{
    BuyerId, Intent, IntentId, Invalid, Offer, OfferKey, Outcome, Params, ProductId, Put, Slot,
    StockChange, Store, StoreId, Tick, Time, WindowKey,
};
use entries::Entries;
use gone::Gone;
use heard::{Heard, Version};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A store as it is known.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct StoreEntry {
    version: u64,
    store: Arc<Store>,
}

/// An offer as it is known.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct OfferEntry {
    version: u64,
    offer: Arc<Offer>,
    ledger: Ledger,
    /// Units in locked windows.
    locked: i64,
    /// The multiplicity of its key in the stock collection.
    counted: i64,
}

/// Windows that a buyer declined; mostly there are none.
type Declined = Option<Box<BTreeSet<WindowKey>>>;

/// An intent as it is known.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct IntentEntry {
    heard: Heard,
    /// Whose it is.
    pub buyer: BuyerId,
    /// The market's part, which it shares with its market.
    pub intent: Arc<Intent>,
    /// Windows that the buyer declined, of whatever product was wanted then.
    declined: Declined,
    /// The tick at which it leaves by itself.
    leaves_at: Tick,
    /// The window that holds it, once locked.
    pub locked_in: Option<Arc<WindowKey>>,
}

/// Why an intent is no longer in the book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Removal {
    /// The buyer took it back.
    Cancelled,
    /// It lapsed.
    Expired,
}

/// The book.
#[derive(Debug, Serialize, Deserialize)]
pub struct Book {
    params: Params,
    stores: BTreeMap<StoreId, StoreEntry>,
    offers: Entries<OfferEntry>,
    intents: Entries<IntentEntry>,
    /// Intents that are gone, and may not come again with the same version or an older one.
    gone: Gone,
    /// Slots that locked windows take, and their units.
    held: BTreeMap<WindowKey, i64>,
    leaving: BTreeMap<Tick, Vec<IntentId>>,
    live: usize,
    /// How far the dataflow's time has come.
    clock: Option<Clock>,
    changes: Changes,
    /// Intents that were removed at this tick, and why.
    removed: Vec<(IntentId, Removal)>,
    /// Intents that were put anew at this tick.
    edited: Vec<IntentId>,
    /// Stores and offers that were put at this tick.
    touched: BTreeSet<StoreId>,
    /// The window in which a member was announced last.
    #[serde(skip)]
    told: Option<Arc<(StoreId, Slot)>>,
}

impl Book {
    /// An empty book.
    pub fn new(params: Params) -> Self {
        Self {
            params,
            stores: BTreeMap::new(),
            offers: Entries::default(),
            intents: Entries::default(),
            gone: Gone::default(),
            held: BTreeMap::new(),
            leaving: BTreeMap::new(),
            live: 0,
            clock: None,
            changes: Changes::default(),
            removed: Vec::new(),
            edited: Vec::new(),
            touched: BTreeSet::new(),
            told: None,
        }
    }

    /// Intents in the market: not locked, not gone.
    pub fn live_intents(&self) -> usize {
        self.live
    }

    /// The store, if it is known.
    pub fn store(&self, id: &StoreId) -> Option<&Arc<Store>> {
        self.stores.get(id).map(|entry| &entry.store)
    }

    /// The offer, if it is known.
    pub fn offer(&self, key: &OfferKey) -> Option<&Arc<Offer>> {
        self.offers.get(key).map(|entry| &entry.offer)
    }

    /// Units of the offer outside locked windows.
    pub fn units(&self, key: &OfferKey) -> i64 {
        self.offers.get(key).map_or(0, |entry| entry.ledger.units())
    }

    /// The intent, if it is in the book.
    pub fn intent(&self, id: &IntentId) -> Option<&IntentEntry> {
        self.intents.get(id)
    }

    /// The changes since the last call, for the dataflow.
    pub fn take_changes(&mut self) -> Changes {
        std::mem::take(&mut self.changes)
    }

    /// The intents removed since the last call.
    pub fn take_removed(&mut self) -> Vec<(IntentId, Removal)> {
        std::mem::take(&mut self.removed)
    }

    /// The intents put anew since the last call.
    pub fn take_edited(&mut self) -> Vec<IntentId> {
        std::mem::take(&mut self.edited)
    }

    /// The stores that were put, or had an offer put, since the last call.
    pub fn take_touched(&mut self) -> BTreeSet<StoreId> {
        std::mem::take(&mut self.touched)
    }

    /// Whether a store can honour a window in that slot.
    pub fn is_open(&self, store: &StoreId, slot: Slot) -> bool {
        self.store(store).is_some_and(|store| {
            let schedule = store.opening.schedule();
            !store.paused && schedule.open_slots(slot, slot.next(), self.params.slot).contains(slot)
        })
    }

    /// Puts a store.
    pub fn put_store(&mut self, store: Store, version: u64) -> Outcome {
        let old = self.stores.get(&store.id);
        if let Some(stale) = stale(old.map(|entry| entry.version), version) {
            return stale;
        }
        if let Some(entry) = old
            && !entry.store.paused
        {
            self.changes.stores.push(((store.id.clone(), site(&entry.store)), -1));
        }
        if !store.paused {
            self.changes.stores.push(((store.id.clone(), site(&store)), 1));
        }
        self.touched.insert(store.id.clone());
        self.stores.insert(store.id.clone(), StoreEntry { version, store: Arc::new(store) });
        Outcome::Applied
    }

    /// Puts an offer, and with it, if it says so, its stock.
    pub fn put_offer(&mut self, offer: Offer, version: u64, stock: Option<i64>) -> Outcome {
        let key = offer.key.clone();
        if !self.stores.contains_key(&key.store) {
            return Invalid::named("store", &key.store, "unknown store").into();
        }
        let old = self.offers.get(&key);
        if old.is_none()
            && let Some(other) = self.named(&format!("{}_{}", key.store, key.product))
        {
            let (store, product) = (&other.store, &other.product);
            let reason = format!("its windows' ids would be those of ({store}, {product})");
            return Invalid::named("product", &key.product, reason).into();
        }
        if let Some(stale) = stale(old.map(|entry| entry.version), version) {
            return stale;
        }
        if let Some(entry) = old
            && !entry.offer.withdrawn
        {
            self.changes.offers.push((entry.offer.clone(), -1));
        }
        let offer = Arc::new(offer);
        if !offer.withdrawn {
            self.changes.offers.push((offer.clone(), 1));
        }
        self.touched.insert(key.store.clone());
        match self.offers.get_mut(&key) {
            Some(entry) => (entry.version, entry.offer) = (version, offer),
            None => {
                let ledger = Ledger::default();
                self.offers.insert(OfferEntry { version, offer, ledger, locked: 0, counted: 0 });
            }
        }
        if let (Some(units), Some(entry)) = (stock, self.offers.get_mut(&key)) {
            entry.ledger.reset(units);
        }
        self.recount(&key);
        Outcome::Applied
    }

    /// Takes in a stock update.
    pub fn stock(&mut self, key: &OfferKey, version: u64, change: &StockChange) -> Outcome {
        let Some(entry) = self.offers.get_mut(key) else {
            let field = if self.stores.contains_key(&key.store) { "product" } else { "store" };
            let value = if field == "store" { key.store.as_str() } else { key.product.as_str() };
            return Invalid::named(field, value, "no such offer").into();
        };
        let outcome = entry.ledger.update(version, change);
        if outcome == Outcome::Applied {
            self.recount(key);
        }
        outcome
    }

    /// Makes the stock collection say what the ledger and the locks say.
    fn recount(&mut self, key: &OfferKey) {
        let Some(entry) = self.offers.get_mut(key) else { return };
        let counted = entry.ledger.units() + entry.locked;
        let diff = counted - std::mem::replace(&mut entry.counted, counted);
        if diff != 0 {
            self.changes.stock.push((key.clone(), diff as isize));
        }
    }

    /// Puts an intent or takes it away.
    pub fn intent_event(&mut self, tick: Tick, id: IntentId, number: u64, put: Put) -> Outcome {
        let version = Version { number, cancels: put == Put::Cancel };
        let known = self.intents.get_mut(&id);
        let heard =
            known.as_ref().map(|entry| entry.heard.clone()).or_else(|| self.gone.heard(&id));
        if let Some(stale) = heard.and_then(|heard| heard.judge(version)) {
            return stale;
        }
        if let Some(entry) = known.filter(|entry| entry.locked_in.is_some()) {
            entry.heard.refuse(version);
            return Outcome::Late;
        }
        match put {
            Put::Cancel => {
                let declined = self.take_out(&id, Removal::Cancelled);
                self.bury(tick, id, Heard::new(version), declined);
            }
            Put::Intent { intent, buyer, expires } => {
                self.put_intent(tick, Heard::new(version), *intent, buyer, expires)
            }
        }
        Outcome::Applied
    }

    /// Takes a live intent out, if it is in; returns what its buyer had declined.
    fn take_out(&mut self, id: &IntentId, why: Removal) -> Declined {
        let entry = self.intents.remove(id)?;
        self.live -= 1;
        self.changes.intents.push((entry.intent, -1));
        self.removed.push((id.clone(), why));
        entry.declined
    }

    /// Takes out an intent whose time is over. Its version stays known, so that an older one does not
    /// come back to life, and so do the windows that its buyer declined (R8).
    fn lapse(&mut self, tick: Tick, id: &IntentId) -> Option<Arc<Intent>> {
        let entry = self.intents.remove(id)?;
        self.removed.push((id.clone(), Removal::Expired));
        self.bury(tick, id.clone(), entry.heard, entry.declined);
        Some(entry.intent)
    }

    /// Remembers the versions of an intent that is gone, for one horizon: whatever was put before it
    /// has no slot later than that.
    fn bury(&mut self, tick: Tick, id: IntentId, heard: Heard, declined: Declined) {
        let days = self.params.horizon_days as i64 * 86_400_000;
        let until = self.params.tick_from(self.params.start(tick).plus_ms(days));
        self.gone.bury(id, heard, until, declined);
    }

    fn put_intent(
        &mut self,
        tick: Tick,
        heard: Heard,
        mut intent: Intent,
        buyer: BuyerId,
        expires: Option<Time>,
    ) {
        let last = intent.slots.end().map(|end| self.params.slot.start(Slot(end.0 - 1)));
        let leaves = match (last, expires) {
            (Some(last), Some(expires)) => last.min(expires),
            (Some(last), None) => last,
            (None, _) => self.params.start(tick),
        };
        let leaves_at = self.params.tick_from(leaves);
        if leaves_at <= tick {
            // Over before it began: it is in no market, and known only by its version.
            let declined = self.take_out(&intent.id, Removal::Expired);
            self.bury(tick, intent.id, heard, declined);
            return;
        }
        let old = self.intents.remove(&intent.id);
        if let Some(old) = &old {
            self.live -= 1;
            self.changes.intents.push((old.intent.clone(), -1));
            if old.intent.product == intent.product {
                intent.promise = old.intent.promise.clone();
            }
        }
        let mut declined = old.and_then(|old| old.declined);
        if let Some(mut before) = self.gone.raise(&intent.id) {
            declined.get_or_insert_default().append(&mut before);
        }
        intent.promise.declined = windows_of(declined.as_deref(), &intent.product);
        self.edited.push(intent.id.clone());
        let leaving = self.leaving.entry(leaves_at).or_default();
        make_room(leaving);
        leaving.push(intent.id.clone());
        let intent = Arc::new(intent);
        self.changes.intents.push((intent.clone(), 1));
        self.live += 1;
        let locked_in = None;
        self.intents.insert(IntentEntry { heard, buyer, intent, declined, leaves_at, locked_in });
    }

    /// The next tick at which an intent leaves by itself.
    pub fn next_due(&self) -> Option<Tick> {
        self.leaving.keys().next().copied()
    }

    /// Whether it could be the id of a window of an offer that is known.
    pub fn names_window(&self, id: &str) -> bool {
        id.rsplit_once('_').is_some_and(|(offer, _)| self.named(offer).is_some())
    }

    /// The offer whose windows' ids begin like this: there is one at most.
    ///
    /// **Cost** O(log offers) for each underscore.
    fn named(&self, name: &str) -> Option<&OfferKey> {
        let offer = |(at, _)| {
            let (store, product) = (StoreId::new(&name[..at]), ProductId::new(&name[at + 1..]));
            let key = OfferKey { store: store.ok()?, product: product.ok()? };
            self.offers.get(&key).map(|known| &known.offer.key)
        };
        name.match_indices('_').find_map(offer)
    }

    /// Time has come to `tick`: it moves on in the dataflow.
    pub fn tell(&mut self, tick: Tick) {
        let before = self.params.start(tick).plus_ms(-self.params.tick_ms);
        if self.clock.is_none_or(|clock| before > clock.at) {
            let crowded = self.params.is_crowded(self.changes.intents.len() as u64);
            let now = Clock { at: before, live: self.live as u64, crowded };
            let was = self.clock.replace(now);
            self.changes.clock.extend(was.map(|clock| (clock, -1)));
            self.changes.clock.push((now, 1));
        }
    }

    /// Time has come to `tick`: lapsed intents leave.
    pub fn pass(&mut self, tick: Tick) {
        while let Some(entry) = self.leaving.first_entry() {
            if *entry.key() > tick {
                break;
            }
            let due = *entry.key();
            for id in entry.remove() {
                let leaves = self
                    .intents
                    .get(&id)
                    .is_some_and(|i| i.leaves_at == due && i.locked_in.is_none());
                if leaves && let Some(intent) = self.lapse(tick, &id) {
                    self.live -= 1;
                    self.changes.intents.push((intent, -1));
                }
            }
        }
        self.gone.pass(tick);
    }
}

/// What a version says against the one that is known: `None` if it is newer.
fn stale(known: Option<u64>, version: u64) -> Option<Outcome> {
    match known {
        Some(known) if version == known => Some(Outcome::Duplicate),
        Some(known) if version < known => Some(Outcome::Superseded),
        _ => None,
    }
}

/// The declined windows of that product, sorted.
fn windows_of(
    declined: Option<&BTreeSet<WindowKey>>,
    product: &ProductId,
) -> Box<[(StoreId, Slot)]> {
    let of_product = declined.into_iter().flatten().filter(|window| window.product == *product);
    let mut windows: Vec<_> = of_product.map(|w| (w.store.clone(), w.slot)).collect();
    windows.sort();
    windows.into_boxed_slice()
}

fn site(store: &Store) -> Site {
    Site { place: store.place, cell: store.cell, opening: store.opening.clone() }
}
