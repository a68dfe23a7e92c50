//! What ordinary software keeps of the stream: stores, offers, who waits; and what it has decided.

use dataflows::market::{
    Event, Intent, IntentId, Offer, OfferKey, Params, Position, ProductId, Put, Slot, StockChange,
    Store, StoreId, Time,
};
use std::collections::BTreeMap;

/// A live wish.
pub(crate) struct Wish {
    pub(crate) intent: Intent,
    expires: Option<Time>,
}

/// An offer and what is left of it.
pub(crate) struct Shelf {
    pub(crate) offer: Offer,
    pub(crate) stock: i64,
    /// Slots with a locked window, sorted.
    pub(crate) locked: Vec<Slot>,
}

/// What an event was about.
pub(crate) enum Change {
    /// An intent came or changed.
    Put(ProductId, IntentId),
    /// An intent is no more.
    Gone(IntentId),
    /// An offer, its stock or its store changed.
    Shelf(ProductId, StoreId),
    Nothing,
}

/// A group that buys together.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) store: StoreId,
    pub(crate) slot: Slot,
    pub(crate) members: Vec<IntentId>,
}

/// The market, without any index but those of its keys.
pub(crate) struct Town {
    pub(crate) params: Params,
    pub(crate) stores: BTreeMap<StoreId, Store>,
    pub(crate) shelves: BTreeMap<ProductId, BTreeMap<StoreId, Shelf>>,
    pub(crate) wishes: BTreeMap<ProductId, BTreeMap<IntentId, Wish>>,
    products: BTreeMap<IntentId, ProductId>,
    /// Value and buyers of all locked windows.
    pub(crate) locked: (i64, u64),
}

impl Town {
    pub(crate) fn new(params: Params) -> Self {
        let (stores, shelves) = (BTreeMap::new(), BTreeMap::new());
        let (wishes, products) = (BTreeMap::new(), BTreeMap::new());
        Self { params, stores, shelves, wishes, products, locked: (0, 0) }
    }

    /// Takes an event in. (Versions rise in the streams of this bench.)
    pub(crate) fn take(&mut self, event: Event) -> Change {
        match event {
            Event::Store(store, _) => {
                self.stores.insert(store.id.clone(), store);
                Change::Nothing
            }
            Event::Offer { offer, stock, .. } => {
                let OfferKey { store, product } = offer.key.clone();
                let shelves = self.shelves.entry(product.clone()).or_default();
                let before = shelves.remove(&store);
                let (left, locked) = before.map_or((0, Vec::new()), |it| (it.stock, it.locked));
                let stock = stock.unwrap_or(left);
                shelves.insert(store.clone(), Shelf { offer, stock, locked });
                Change::Shelf(product, store)
            }
            Event::Stock { offer: OfferKey { store, product }, change, .. } => {
                let shelf = self.shelves.get_mut(&product).and_then(|all| all.get_mut(&store));
                let Some(shelf) = shelf else { return Change::Nothing };
                shelf.stock = match change {
                    StockChange::Absolute(units) => units,
                    StockChange::Relative(units, _) => shelf.stock + units,
                };
                Change::Shelf(product, store)
            }
            Event::Intent { id, put: Put::Intent { intent, expires, .. }, .. } => {
                let product = intent.product.clone();
                self.remove(&id);
                self.products.insert(id.clone(), product.clone());
                let wishes = self.wishes.entry(product.clone()).or_default();
                wishes.insert(id.clone(), Wish { intent: *intent, expires });
                Change::Put(product, id)
            }
            Event::Intent { id, put: Put::Cancel, .. } => {
                self.remove(&id).map_or(Change::Nothing, |_| Change::Gone(id))
            }
            // Nobody answers in this bench.
            Event::Reply { .. } | Event::Arrival { .. } | Event::Clock => Change::Nothing,
        }
    }

    pub(crate) fn remove(&mut self, id: &IntentId) -> Option<ProductId> {
        let product = self.products.remove(id)?;
        self.wishes.get_mut(&product)?.remove(id);
        Some(product)
    }

    /// Those whose time is over by then: they go.
    pub(crate) fn expire(&mut self, now: Time) -> Vec<IntentId> {
        let mut over = Vec::new();
        for wishes in self.wishes.values() {
            for (id, wish) in wishes {
                let end = wish.intent.slots.end().map(|end| self.params.slot.start(end));
                let lapsed = wish.expires.is_some_and(|at| at <= now);
                if lapsed || end.is_none_or(|end| end <= now) {
                    over.push(id.clone());
                }
            }
        }
        over.iter().for_each(|id| drop(self.remove(id)));
        over
    }

    /// Whether groups may still visit there then.
    pub(crate) fn is_open(&self, shelf: &Shelf, slot: Slot, now: Time) -> bool {
        let Some(store) = self.stores.get(&shelf.offer.key.store) else { return false };
        !store.paused
            && !shelf.offer.withdrawn
            && self.params.lock_at(slot, shelf.offer.lead_minutes) > now
            && shelf.locked.binary_search(&slot).is_err()
            && store
                .opening
                .schedule()
                .open_slots(slot, slot.next(), self.params.slot)
                .contains(slot)
    }

    pub(crate) fn place(&self, store: &StoreId) -> Option<Position> {
        self.stores.get(store).map(|store| store.place)
    }

    /// What a window of those members is worth, and whether all of them accept its price (R2-R7).
    pub(crate) fn value(&self, product: &ProductId, group: &Group) -> Option<i64> {
        let shelf = self.shelves.get(product)?.get(&group.store)?;
        let wishes = self.wishes.get(product)?;
        let tier = shelf.offer.tiers.reached(group.members.len())?;
        let price = shelf.offer.tiers.as_slice()[tier].price;
        if group.members.len() > shelf.offer.max_group as usize {
            return None;
        }
        let (visit, mut value, mut units) = (shelf.offer.visit_value_at(group.slot), 0, 0);
        let place = self.place(&group.store)?;
        for id in &group.members {
            let intent = &wishes.get(id)?.intent;
            let distance_m = intent.place.distance_m(place);
            let travel = self.params.travel(distance_m);
            value += intent.gain(shelf.offer.list_price, price, distance_m, travel)? + visit;
            units += i64::from(intent.quantity);
        }
        (units <= shelf.stock).then_some(value)
    }

    /// Locks a window, if it may still be: its buyers are served and its units sold. Who has gone
    /// meanwhile is left out, and whoever does not accept what the others then pay.
    pub(crate) fn lock(&mut self, product: &ProductId, mut group: Group) {
        let Some(wishes) = self.wishes.get(product) else { return };
        group.members.retain(|id| wishes.contains_key(id));
        let Some(value) = self.value(product, &group) else { return };
        self.locked = (self.locked.0 + value, self.locked.1 + group.members.len() as u64);
        let wishes = &self.wishes[product];
        let units: u32 = group.members.iter().map(|id| wishes[id].intent.quantity).sum();
        let shelf = self.shelves.get_mut(product).and_then(|all| all.get_mut(&group.store));
        let shelf = shelf.expect("a window's offer");
        shelf.stock -= i64::from(units);
        let at = shelf.locked.partition_point(|slot| *slot < group.slot);
        shelf.locked.insert(at, group.slot);
        group.members.iter().for_each(|id| drop(self.remove(id)));
    }
}
