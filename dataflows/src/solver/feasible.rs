//! What a feasible grouping is (R1-R9), said once, from the records themselves.
//!
//! Nothing here reads a number that the solver keeps: distances, slots, prices and sums are worked
//! out again from offers and intents. Every grouping that leaves a market is held against it.

use super::{GroupedWindow, PlacedOffer};
use crate::market::{Intent, IntentId, Params, StoreId};
use std::collections::{BTreeMap, BTreeSet};

/// A rule that a grouping breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rule}: store {store}, slot {slot}: {what}")]
pub struct Violation {
    /// The rule's number in the problem's definition.
    pub rule: &'static str,
    /// The window's store.
    pub store: StoreId,
    /// The window's slot.
    pub slot: i32,
    /// What is wrong.
    pub what: String,
}

/// The value of a feasible window: (R5 with visit values, R5 and R9).
///
/// # Errors
/// The first rule that the window alone breaks.
pub fn check_window<'a>(
    params: &Params,
    placed: &PlacedOffer,
    window: &GroupedWindow,
    intent_of: impl Fn(&IntentId) -> Option<&'a Intent>,
) -> Result<(i64, i64), Violation> {
    let broken = |rule: &'static str, what: String| Violation {
        rule,
        store: window.key.store.clone(),
        slot: window.key.slot.0,
        what,
    };
    let (key, offer) = (&window.key, &placed.offer);
    let reached = offer.tiers.reached(window.members.len());
    let Some(tier) = reached else {
        return Err(broken("R4", format!("{} buyers reach no tier", window.members.len())));
    };
    let price = offer.tiers.as_slice()[tier].price;
    if window.price != price {
        return Err(broken("R4", format!("price {}, earned {price}", window.price)));
    }
    if window.members.len() > offer.max_group as usize {
        return Err(broken("R7", format!("{} buyers", window.members.len())));
    }
    let open = placed.opening.schedule().open_slots(key.slot, key.slot.next(), params.slot);
    if !open.contains(key.slot) {
        return Err(broken("R1", "the store is closed".into()));
    }
    if placed.locked.contains(&key.slot) {
        return Err(broken("R7", "a second window for the same slot".into()));
    }
    let (mut value, mut objective) = (0, 0);
    for (id, distance_m) in &window.members {
        let intent = intent_of(id).ok_or_else(|| broken("R7", format!("no intent {id}")))?;
        if !intent.allows(&key.store, key.slot) {
            return Err(broken("R1", format!("intent {id} is not free, or answered otherwise")));
        }
        let metres = intent.place.distance_m(placed.place);
        let gain = intent.gain(offer.list_price, price, metres, params.travel(metres));
        let Some(gain) = gain.filter(|_| metres == *distance_m && intent.product == key.product)
        else {
            return Err(broken("R5", format!("intent {id} cannot take {price} at {metres} m")));
        };
        let gain = gain + offer.visit_value_at(key.slot);
        let announced = intent.promise.announced.as_deref();
        let stays = announced.is_some_and(|window| (&window.0, window.1) == (&key.store, key.slot));
        value += gain;
        objective += gain + if stays { params.stay_bonus(offer.list_price) } else { 0 };
    }
    Ok((value, objective))
}

/// Holds a market's whole grouping against the rules; returns its objective.
///
/// # Errors
/// The first rule that it breaks.
pub fn check_grouping<'a>(
    params: &Params,
    windows: &[GroupedWindow],
    offer_of: impl Fn(&StoreId) -> Option<&'a PlacedOffer>,
    intent_of: impl Fn(&IntentId) -> Option<&'a Intent>,
) -> Result<i64, Violation> {
    let mut placed: BTreeSet<&IntentId> = BTreeSet::new();
    let mut keys = BTreeSet::new();
    let mut units: BTreeMap<&StoreId, i64> = BTreeMap::new();
    let mut objective = 0;
    for window in windows {
        let broken = |what: String| Violation {
            rule: "R7",
            store: window.key.store.clone(),
            slot: window.key.slot.0,
            what,
        };
        let offer = offer_of(&window.key.store).ok_or_else(|| broken("no such offer".into()))?;
        objective += check_window(params, offer, window, &intent_of)?.1;
        if !keys.insert(&window.key) {
            return Err(broken("a second window for the same slot".into()));
        }
        for (id, _) in &window.members {
            if !placed.insert(id) {
                return Err(broken(format!("intent {id} is in two windows")));
            }
            let quantity = intent_of(id).map_or(0, |i| i.quantity as i64);
            *units.entry(&window.key.store).or_default() += quantity;
        }
        let used = units[&window.key.store];
        if used > offer.stock {
            return Err(broken(format!("{used} units, stock {}", offer.stock)));
        }
    }
    Ok(objective)
}
