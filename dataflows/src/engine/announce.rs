//! What is said of a window's group: its members, its price, and who left and why.

use super::book::{Book, Removal};
use super::life::Life;
use super::window::{Announced, Seat, Window};
use crate::market::{
    BuyerId, Decision, Departure, IntentId, Left, Params, Quote, Reason, WindowKey,
};
use crate::solver::GroupedWindow;
use std::sync::Arc;

impl Life {
    /// Who was announced and is not in the group now, and why.
    pub(super) fn left(
        &self,
        book: &Book,
        key: &WindowKey,
        before: Option<&Announced>,
        group: Option<&GroupedWindow>,
    ) -> Vec<Left> {
        let stays = |id: &IntentId| group.is_some_and(|group| group.has(id));
        let gone = before.into_iter().flat_map(Announced::buyers).filter(|member| !stays(member.0));
        gone.map(|member| self.leaves(member, self.departure(book, key, member.0))).collect()
    }

    /// What is said of a member who left: where the buyer is grouped now is next, if that is announced.
    pub(super) fn leaves(&self, (id, buyer): (&IntentId, &BuyerId), departure: Departure) -> Left {
        let next = self.seats.grouped_in(id).cloned();
        Left { intent: id.clone(), buyer: buyer.clone(), departure, next }
    }

    pub(super) fn departure(&self, book: &Book, key: &WindowKey, id: &IntentId) -> Departure {
        let window = &self.windows[key];
        if let Some(removal) = self.removed.get(id)
            && book.intent(id).is_none()
        {
            return match removal {
                Removal::Cancelled => Departure::Cancelled,
                Removal::Expired => Departure::Expired,
            };
        }
        if window.said().declined.contains(id) {
            return Departure::Declined;
        }
        if let Some(reason) = window.said().released.get(id) {
            let premise = self.premise(book, key);
            // Less is left than the announced group needs.
            let seats = window.announced.iter().flat_map(|a| &a.seats);
            let needed: i64 = seats.map(|seat| seat.quantity as i64).sum();
            let gone = (book.units(&key.offer()) < needed).then_some(Reason::StockGone);
            return match premise.or(gone) {
                Some(broken) => Departure::Released(broken),
                None if self.wants_otherwise(book, key, id) => Departure::Edited,
                None => Departure::Released(*reason),
            };
        }
        match (self.seats.grouped_in(id).is_some(), book.intent(id)) {
            (true, _) => Departure::Moved,
            (false, Some(entry)) if !entry.intent.allows(&key.store, key.slot) => Departure::Edited,
            _ => match self.premise(book, key) {
                Some(reason) => Departure::Released(reason),
                None => Departure::Dropped,
            },
        }
    }

    /// Whether the announced member now wants what would be announced otherwise: the buyer's own
    /// change may be what cannot be held.
    fn wants_otherwise(&self, book: &Book, key: &WindowKey, id: &IntentId) -> bool {
        let announced = self.windows[key].announced.as_ref();
        let seat = announced.and_then(|a| a.seat(id).map(|seat| (a, seat)));
        let (Some((announced, (seat, distance_m))), Some(entry)) = (seat, book.intent(id)) else {
            return false;
        };
        let (intent, quote) = (&entry.intent, &announced.quote);
        let saving = intent.budget.min(quote.list).minor() - quote.unit.minor();
        let seen = (seat.quantity, distance_m, seat.saving);
        let now = intent.place.distance_m(announced.store.place);
        seen != (intent.quantity, now, intent.quantity as i64 * saving)
    }

    /// A buyer's next window is said only if it has been announced by now.
    pub(super) fn describe_next(&self, out: &mut [Decision]) {
        for decision in out {
            for left in &mut decision.left {
                let next = left.next.take().filter(|next| {
                    *next != decision.window && self.seats.announced_in(&left.intent) == Some(next)
                });
                left.next = next;
            }
        }
    }
}

/// What is to be said of the window's group.
///
/// Of those who were announced at the same list price, and were not put anew since, nothing is looked up:
/// there are many, and the book is large.
pub(super) fn announced(
    params: &Params,
    book: &Book,
    window: &Window,
    group: &Arc<GroupedWindow>,
) -> Announced {
    let key = &*window.key;
    let offer = book.offer(&key.offer()).expect("a grouped window has its offer");
    let store = book.store(&key.store).expect("an offer has its store").clone();
    let tiers = offer.tiers.as_slice();
    let tier = offer.tiers.reached(group.members.len()).expect("a group reaches a tier");
    let visit_value = offer.visit_value_at(key.slot);
    let quote = Quote {
        unit: group.price,
        list: offer.list_price,
        tier: tier as u32 + 1,
        next_tier: tiers.get(tier + 1).copied(),
        visit_value,
    };
    let before = window.announced.as_deref().filter(|before| before.quote.list == quote.list);
    let mut seats = Vec::with_capacity(group.members.len());
    let mut value = 0;
    for (id, distance_m) in &group.members {
        let looked_up = || {
            let entry = book.intent(id).expect("a grouped intent is in the book");
            let unit = entry.intent.budget.min(offer.list_price).minor();
            let quantity = entry.intent.quantity;
            (entry.buyer.clone(), quantity, quantity as i64 * unit)
        };
        let edited = window.edited.as_ref().is_some_and(|edited| edited.contains(id));
        let known = before.filter(|_| !edited).and_then(|before| {
            let (seat, _) = before.seat(id)?;
            let worth = seat.saving + seat.quantity as i64 * before.quote.unit.minor();
            Some((seat.buyer.clone(), seat.quantity, worth))
        });
        debug_assert!(known.as_ref().is_none_or(|known| *known == looked_up()));
        let (buyer, quantity, worth) = known.unwrap_or_else(looked_up);
        let saving = worth - quantity as i64 * group.price.minor();
        value += saving - params.travel(*distance_m) + visit_value;
        let accepted = window.said().accepted.contains(id);
        seats.push(Seat { buyer, saving, quantity, accepted });
    }
    Announced { group: group.clone(), seats: seats.into(), quote, value, store }
}
