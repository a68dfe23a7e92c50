//! Who came, who stayed and who left between two messages of one window, and why.

use super::intents::Entry;
use super::life::{hashed, window_of};
use super::message::Seen;
use super::report::Case;
use super::state::Reference;
use anyhow::Result;
use connectors::wire::{Left, Member};
use dataflows::market::{IntentId, OfferKey, State, Tick};
use std::collections::HashMap;

/// The reasons for which a buyer who accepted may be released (R8).
const RELEASES: [&str; 4] = ["store_closed", "offer_withdrawn", "stock_gone", "below_tier"];

/// Holds `change` and `left` against the message before.
///
/// # Errors
/// The first rule that does not hold.
pub(super) fn check(case: &Case<'_>, seen: &Seen, reference: &Reference<'_>) -> Result<()> {
    let d = &*seen.message;
    let before = seen.prior.as_ref().map_or(&[][..], |prior| &prior.message.members);
    let unit = seen.prior.as_ref().map_or(d.price.unit, |prior| prior.message.price.unit);
    let mut gone: HashMap<&str, &Member> = before.iter().map(|m| (m.intent.as_str(), m)).collect();
    for (n, member) in d.members.iter().enumerate() {
        let expected = match gone.remove(member.intent.as_str()) {
            None => "joined",
            Some(_) if unit == d.price.unit => "kept",
            Some(_) => "repriced",
        };
        let field = format!("members[{n}].change");
        case.equal("change against the revision before", &field, expected, &member.change)?;
    }
    let rule = "left are the members before who are no more";
    for (n, left) in d.left.iter().enumerate() {
        let field = format!("left[{n}].intent");
        let Some(was) = gone.remove(left.intent.as_str()) else {
            case.holds(rule, &field, false, "a member before and not now", &left.intent)?;
            continue;
        };
        case.equal(rule, &format!("left[{n}].buyer"), &was.buyer, &left.buyer)?;
        reason(case, seen, n, left, reference)?;
    }
    let missing = gone.keys().min().copied().unwrap_or_default();
    Ok(case.holds(rule, "left", gone.is_empty(), missing, "not listed")?)
}

/// Whether the reason of one who left is true in the log.
fn reason(
    case: &Case<'_>,
    seen: &Seen,
    n: usize,
    left: &Left,
    reference: &Reference<'_>,
) -> Result<()> {
    let code = left.reason.code.as_str();
    let field = format!("left[{n}].reason.code");
    let (Some(entry), Some(prior)) =
        (reference.intents.get(&IntentId::new(&left.intent)?), &seen.prior)
    else {
        return Ok(());
    };
    let since = |tick: Option<Tick>| tick.is_some_and(|tick| tick > prior.tick);
    let said = |list: &[(std::rc::Rc<str>, Tick)]| {
        list.iter().any(|(window, tick)| *window == seen.id && *tick > prior.tick)
    };
    let moment = reference.moment(seen.tick);
    let (ok, expected) = match code {
        "cancelled" => (since(entry.cancelled_at), "a cancellation since the revision before"),
        "expired" => {
            let over = |entry: &Entry| {
                let mut wishes = entry.worlds.iter().filter_map(|world| world.wish.as_ref());
                wishes.any(|wish| wish.over(moment.now, moment.length))
            };
            (over(entry) || since(entry.lapsed_at), "an intent that has lapsed")
        }
        "declined" => (
            said(&entry.declined) || said(&entry.declined_perhaps),
            "a decline since the revision before",
        ),
        "edited" => (since(entry.edited_at), "a put since the revision before"),
        "moved" | "dropped" => {
            (!entry.surely_accepted(&seen.id), "a true release of a buyer who accepted")
        }
        code if RELEASES.contains(&code) => {
            let accepted = entry.surely_accepted(&seen.id);
            (!accepted || released(seen, code, reference), "a premise that broke")
        }
        _ => (false, "a reason of the closed list"),
    };
    case.holds("the reason is true", &field, ok, expected, code)?;
    next(case, seen, n, left, reference)
}

/// Whether the premise of an accepted price broke since the revision before.
fn released(seen: &Seen, code: &str, reference: &Reference<'_>) -> bool {
    let Some(prior) = &seen.prior else { return false };
    let key = OfferKey { store: seen.key.store.clone(), product: seen.key.product.clone() };
    let (Some(store), Some(offer)) = (reference.stores.get(&key.store), reference.offers.get(&key))
    else {
        return false;
    };
    let edited = offer.changed > prior.tick;
    match code {
        "store_closed" => {
            store.changed > prior.tick || !store.open(seen.key.slot, reference.params)
        }
        "offer_withdrawn" => edited || offer.offer.withdrawn,
        "stock_gone" => edited || offer.stock_changed > prior.tick,
        _ => {
            let others = seen.message.left.len() > 1;
            let dearer = seen.message.price.unit > prior.message.price.unit;
            // A store that moves may be out of a member's reach.
            let moved = store.changed > prior.tick;
            others || dearer || edited || moved || seen.state == State::Withdrawn
        }
    }
}

/// Whether `next` can be: another window of a known offer, if any.
fn next(
    case: &Case<'_>,
    seen: &Seen,
    n: usize,
    left: &Left,
    reference: &Reference<'_>,
) -> Result<()> {
    let Some(next) = &left.next else { return Ok(()) };
    let (rule, field) = ("next is the window where the buyer is now", format!("left[{n}].next"));
    let dropped = left.reason.code == "dropped";
    case.holds(rule, &field, !dropped, "null for one who was dropped", next)?;
    case.holds(rule, &field, **next != *seen.id, "another window", next)?;
    let exists = hashed(next) || window_of(next, reference).is_some();
    Ok(case.holds(rule, &field, exists, "a window of a known offer", next)?)
}
