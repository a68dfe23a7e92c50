//! The rules of one group: R1 to R6 and R8 for every member, R4 and R5 for the group, and that a
//! locked group never changes.

use super::intents::{Entry, World};
use super::message::Seen;
use super::report::{Case, Violation};
use super::state::{OfferEntry, Reference, StoreEntry, gain};
use anyhow::Result;
use connectors::wire::{Decision, Group, Member};
use dataflows::market::{IntentId, OfferKey, State, WindowKey};
use std::collections::HashSet;

/// What all members of one group share.
struct Terms<'a> {
    case: &'a Case<'a>,
    seen: &'a Seen,
    reference: &'a Reference<'a>,
    store: &'a StoreEntry,
    offer: &'a OfferEntry,
}

/// Holds what a message says of its group against the log as of its tick.
///
/// # Errors
/// The first rule that does not hold.
pub(super) fn check(case: &Case<'_>, seen: &Seen, reference: &mut Reference<'_>) -> Result<()> {
    match seen.state {
        State::Proposed | State::Locked => {
            let agreed = made(case, seen, reference)?;
            for (id, worlds) in agreed {
                if let Some(entry) = reference.intents.get_mut(&id) {
                    entry.worlds = worlds;
                }
            }
            Ok(())
        }
        State::Active | State::Closed => goes_on(case, seen, reference),
        State::Withdrawn | State::Cancelled => gone(case, seen, reference),
        State::Forming => Ok(()),
    }
}

/// A group that is made now; gives the worlds of its members that agree with it.
fn made(
    case: &Case<'_>,
    seen: &Seen,
    reference: &Reference<'_>,
) -> Result<Vec<(IntentId, Vec<World>)>> {
    let d = &*seen.message;
    let rule = "the seller's mandate";
    let Some((store, offer)) = mandate(&seen.key, reference) else {
        case.holds(rule, "product", false, "a known offer", "none")?;
        return Ok(Vec::new());
    };
    let params = reference.params;
    case.holds(rule, "state", !offer.offer.withdrawn, "an offer in force", "withdrawn")?;
    let open = store.open(seen.key.slot, params);
    case.holds("R1 time", "slot.from", open, "an open store", "closed or paused")?;
    price(case, d, offer)?;
    let mut agreed = Vec::with_capacity(d.members.len());
    let mut ids = HashSet::with_capacity(d.members.len());
    let terms = Terms { case, seen, reference, store, offer };
    for (n, member) in d.members.iter().enumerate() {
        let field = format!("members[{n}].intent");
        let rule = "R7 capacity: an intent once";
        case.holds(rule, &field, ids.insert(&member.intent), "a new intent", &member.intent)?;
        agreed.push(terms.member(n, member)?);
    }
    figures(case, d)?;
    let visit = offer.offer.visit_value_at(seen.key.slot);
    let value: i64 = d.members.iter().map(|m| m.saving - m.travel + visit).sum();
    case.equal("R5 value", "value", value, d.value)?;
    Ok(agreed)
}

/// The store and the offer of a window.
fn mandate<'a>(
    key: &WindowKey,
    reference: &'a Reference<'_>,
) -> Option<(&'a StoreEntry, &'a OfferEntry)> {
    let offer = OfferKey { store: key.store.clone(), product: key.product.clone() };
    Some((reference.stores.get(&key.store)?, reference.offers.get(&offer)?))
}

/// R4, and the greatest group (R7).
fn price(case: &Case<'_>, d: &Decision, offer: &OfferEntry) -> Result<()> {
    let (offer, buyers) = (&offer.offer, d.members.len());
    case.equal("the seller's mandate", "price.list", offer.list_price.minor(), d.price.list)?;
    let reached = offer.tiers.reached(buyers);
    let first = offer.tiers.as_slice()[0].min_buyers;
    let expected = format_args!("at least {first} members").to_string();
    case.holds("R4 tier", "members", reached.is_some(), expected, buyers)?;
    let Some(reached) = reached else { return Ok(()) };
    let tier = offer.tiers.as_slice()[reached];
    case.equal("R4 tier", "price.tier", reached as u32 + 1, d.price.tier)?;
    case.equal("R4 tier", "price.unit", tier.price.minor(), d.price.unit)?;
    let next = offer.tiers.as_slice().get(reached + 1);
    let next = next.map(|tier| (tier.min_buyers as i64, tier.price.minor()));
    let found = d.price.next_tier.map(|tier| (tier.min_buyers, tier.price));
    let (expected, actual) = (format!("{next:?}"), format!("{found:?}"));
    case.equal("R4 tier", "price.next_tier", expected, actual)?;
    let within = buyers <= offer.max_group as usize;
    let expected = format_args!("at most {} members", offer.max_group).to_string();
    Ok(case.holds("R7 capacity: max_group", "members", within, expected, buyers)?)
}

/// The group's figures.
fn figures(case: &Case<'_>, d: &Decision) -> Result<()> {
    let mut distances: Vec<u64> = d.members.iter().map(|member| member.distance_m).collect();
    distances.sort_unstable();
    let buyers = distances.len() as u64;
    let median = distances.get((distances.len().max(1) - 1) / 2).copied().unwrap_or(0);
    let expected = Group {
        buyers,
        units: d.members.iter().map(|member| member.quantity).sum(),
        accepted: d.members.iter().filter(|member| member.accepted).count() as u64,
        average_distance_m: distances.iter().sum::<u64>().checked_div(buyers).unwrap_or(0),
        median_distance_m: median,
    };
    let rule = "the group in numbers";
    let (e, a) = (&expected, &d.group);
    case.equal(rule, "group.buyers", e.buyers, a.buyers)?;
    case.equal(rule, "group.units", e.units, a.units)?;
    case.equal(rule, "group.accepted", e.accepted, a.accepted)?;
    case.equal(rule, "group.average_distance_m", e.average_distance_m, a.average_distance_m)?;
    Ok(case.equal(rule, "group.median_distance_m", e.median_distance_m, a.median_distance_m)?)
}

impl Terms<'_> {
    /// One member against its intent; gives the worlds of the intent that agree.
    fn member(&self, n: usize, member: &Member) -> Result<(IntentId, Vec<World>)> {
        let id = IntentId::new(&member.intent)?;
        let field = |name: &str| format!("members[{n}].{name}");
        let Some(entry) = self.reference.intents.get(&id) else {
            let rule = "a live intent";
            self.case.holds(rule, &field("intent"), false, "a put intent", "none")?;
            return Ok((id, Vec::new()));
        };
        let mut wrong = None;
        let mut agreed = Vec::with_capacity(1);
        for world in &entry.worlds {
            match self.world(member, entry, world, &field) {
                Ok(()) => agreed.push(world.clone()),
                Err(violation) => wrong = Some(violation),
            }
        }
        match wrong {
            Some(violation) if agreed.is_empty() => Err(violation.into()),
            _ => Ok((id, agreed)),
        }
    }

    /// One member against one world of its intent.
    fn world(
        &self,
        member: &Member,
        entry: &Entry,
        world: &World,
        field: &dyn Fn(&str) -> String,
    ) -> Result<(), Violation> {
        let (case, params) = (self.case, self.reference.params);
        let now = params.start(self.seen.tick);
        let id = field("intent");
        let wish = world.wish.as_deref().filter(|wish| !wish.lapsed(now));
        case.holds("a live intent", &id, wish.is_some(), "live", "cancelled or lapsed")?;
        let Some(wish) = wish else { return Ok(()) };
        let (intent, key) = (&wish.intent, &self.seen.key);
        case.equal("the product wanted", &id, &intent.product, &key.product)?;
        let free = intent.slots.contains(key.slot);
        case.holds("R1 time", &id, free, "a buyer free in the slot", "not available")?;
        let window = &self.seen.id;
        let declined = entry.declined.iter().any(|(declined, _)| declined == window);
        case.holds("R8 promises: declined", &id, !declined, "not declined", "declined")?;
        let elsewhere = world.pin.as_ref().filter(|pin| pin.window != *window);
        let actual = elsewhere.map_or("", |pin| &pin.window);
        let rule = "R8 promises: an accepted window is the only one";
        case.holds(rule, &id, elsewhere.is_none(), &self.seen.id, actual)?;
        case.equal("the intent as put", &field("buyer"), wish.buyer.as_str(), &member.buyer)?;
        let quantity = intent.quantity as u64;
        case.equal("the intent as put", &field("quantity"), quantity, member.quantity)?;
        let distance_m = intent.place.distance_m(self.store.store.place);
        let name = field("distance_m");
        case.equal("R2 distance", &name, distance_m as u64, member.distance_m)?;
        let most = format_args!("at most {} m", intent.reach_m).to_string();
        case.holds("R6 reach", &name, distance_m <= intent.reach_m, most, distance_m)?;
        let travel = params.travel(distance_m);
        case.equal("R3 travel", &field("travel"), travel, member.travel)?;
        let pinned = world.pin.is_some();
        case.equal("R8 promises", &field("accepted"), pinned, member.accepted)?;
        let price = self.seen.message.price.unit;
        let accepted = world.pin.as_ref().map_or(i64::MAX, |pin| pin.price);
        let at_most = format_args!("at most {accepted}, as accepted").to_string();
        case.holds("R8 promises: the price", "price.unit", price <= accepted, at_most, price)?;
        let list = self.offer.offer.list_price.minor();
        let shown = gain(intent, accepted, price, list, travel);
        let budget = format_args!("at most the budget {}", intent.budget.minor()).to_string();
        case.holds("R5 value: the budget", "price.unit", shown.is_some(), budget, price)?;
        let saving = shown.unwrap_or(0) + travel;
        case.equal("R5 value", &field("saving"), saving, member.saving)?;
        let gains = shown.unwrap_or(-1) >= 0;
        case.holds("R5 value", &field("saving"), gains, "at least the travel", member.saving)
    }
}

/// An active or closed window: the locked group, exactly.
fn goes_on(case: &Case<'_>, seen: &Seen, reference: &Reference<'_>) -> Result<()> {
    let (Some(prior), d) = (&seen.prior, &seen.message) else { return Ok(()) };
    let locked = &prior.message;
    let rule = "a locked group is final";
    let (expected, actual) = (format!("{:?}", locked.price), format!("{:?}", d.price));
    case.equal(rule, "price", expected, actual)?;
    let (expected, actual) = (format!("{:?}", locked.group), format!("{:?}", d.group));
    case.equal(rule, "group", expected, actual)?;
    case.equal(rule, "value", locked.value, d.value)?;
    case.equal(rule, "members", locked.members.len(), d.members.len())?;
    for (n, (was, is)) in locked.members.iter().zip(&d.members).enumerate() {
        let same = Member { change: is.change.clone(), ..was.clone() } == *is;
        let field = format!("members[{n}]");
        case.holds(rule, &field, same, format_args!("{was:?}"), format_args!("{is:?}"))?;
    }
    let lock_at = super::message::time(case, "lock_at", &locked.lock_at)?;
    let found = super::message::time(case, "lock_at", &d.lock_at)?;
    case.equal(rule, "lock_at", lock_at.0, found.0)?;
    if seen.state == State::Active
        && let Some((store, offer)) = mandate(&seen.key, reference)
    {
        let open = store.open(seen.key.slot, reference.params) && !offer.offer.withdrawn;
        let rule = "a locked window whose store closes or whose offer goes is cancelled";
        case.holds(rule, "state", open, "cancelled", &d.state)?;
    }
    Ok(())
}

/// A withdrawn or cancelled window: nobody is in it, and the reason is true.
fn gone(case: &Case<'_>, seen: &Seen, reference: &Reference<'_>) -> Result<()> {
    let d = &*seen.message;
    let rule = "a window that is gone has no group";
    case.equal(rule, "members", 0, d.members.len())?;
    case.equal(rule, "value", 0, d.value)?;
    figures(case, d)?;
    let Some(prior) = &seen.prior else { return Ok(()) };
    let (expected, actual) = (format!("{:?}", prior.message.price), format!("{:?}", d.price));
    case.equal("the price as announced last", "price", expected, actual)?;
    let expected = why_gone(seen, reference);
    let code = d.reason.code.as_str();
    let (rule, ok) = ("the reason is true", expected.contains(&code));
    Ok(case.holds(rule, "reason.code", ok, expected.join(" or "), code)?)
}

/// Why the window goes, as its offer, its store and its stock are now, and by who left it: the
/// first that is so. More than one, where the stock is not known for sure.
fn why_gone(seen: &Seen, reference: &Reference<'_>) -> Vec<&'static str> {
    let Some((store, offer)) = mandate(&seen.key, reference) else { return Vec::new() };
    if offer.offer.withdrawn {
        return vec!["offer_withdrawn"];
    }
    if !store.open(seen.key.slot, reference.params) {
        return vec!["store_closed"];
    }
    if seen.state == State::Cancelled {
        return Vec::new();
    }
    let moved = seen.message.left.iter().any(|left| left.reason.code == "moved");
    let otherwise = if moved { "moved" } else { "no_group" };
    match (offer.stock.free() <= 0, offer.stock.is_sure()) {
        (true, _) => vec!["stock_gone"],
        (false, true) => vec![otherwise],
        (false, false) => vec!["stock_gone", otherwise],
    }
}
