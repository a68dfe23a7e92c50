//! The sequence of one window's messages: revisions, states, reasons and their times.

use super::instant::Instant;
use super::message::{self, Message, Prior, Seen, state_of};
use super::report::Case;
use super::state::Reference;
use super::table::Windows;
use anyhow::Result;
use connectors::wire::Decision;
use dataflows::market::{OfferKey, Slot, State, Tick, Time, WindowKey};
use std::rc::Rc;

/// Which states may follow a state.
fn follows(previous: State, state: State) -> bool {
    use State::{Active, Cancelled, Closed, Forming, Locked, Proposed, Withdrawn};
    match previous {
        Forming | Withdrawn => matches!(state, Proposed | Locked),
        Proposed => matches!(state, Proposed | Locked | Withdrawn),
        Locked => matches!(state, Active | Cancelled),
        Active => matches!(state, Closed | Cancelled),
        Closed | Cancelled => false,
    }
}

/// Which reasons a step may have.
fn reasons(previous: State, state: State) -> &'static [&'static str] {
    match state {
        State::Proposed => match previous {
            State::Proposed => &["revised"],
            _ => &["formed"],
        },
        State::Locked => &["lead_time"],
        State::Active => &["slot_start"],
        State::Closed => &["slot_end"],
        State::Withdrawn => &["no_group", "moved", "store_closed", "offer_withdrawn", "stock_gone"],
        State::Cancelled => &["store_closed", "offer_withdrawn"],
        State::Forming => &[],
    }
}

/// Holds one message against the one before it about its window, and takes it as the last one.
///
/// # Errors
/// The first rule that does not hold.
pub(super) fn step(
    case: &Case<'_>,
    message: Message,
    tick: Tick,
    before: Tick,
    reference: &mut Reference<'_>,
) -> Result<Seen> {
    let d = Rc::new(message.decision);
    let key = message::name(case, &d, reference)?;
    let state = state_of(&d.state).filter(|state| *state != State::Forming);
    case.holds("state", "state", state.is_some(), "a state of a window", &d.state)?;
    let state = state.unwrap_or(State::Forming);
    let known = reference.windows.get(&d.window);
    let prior = known.map(|w| Prior { state: w.state, tick: w.tick, message: w.message.clone() });
    let previous = prior.as_ref().map_or(State::Forming, |prior| prior.state);
    let revision = prior.as_ref().map_or(0, |prior| prior.message.revision) + 1;
    case.equal("revisions only rise, by one", "revision", revision, d.revision)?;
    case.equal("previous state", "previous", previous.word(), d.previous.as_str())?;
    let expected = format_args!("a state that follows {}", previous.word()).to_string();
    case.holds("life of a window", "state", follows(previous, state), expected, &d.state)?;
    let codes = reasons(previous, state);
    let listed = codes.contains(&d.reason.code.as_str());
    case.holds("reason", "reason.code", listed, codes.join(" or "), &d.reason.code)?;
    let id: Rc<str> = Rc::from(d.window.as_str());
    let seen = Seen { line: message.line, id, key, state, tick, message: d, prior };
    times(case, &seen, before, reference)?;
    store(case, &seen, reference)?;
    record(&seen, reference);
    Ok(seen)
}

/// Takes the message as the window's last one, and notes when its next one is due.
fn record(seen: &Seen, reference: &mut Reference<'_>) {
    let (params, id, tick) = (reference.params, &seen.id, seen.tick);
    let slot = seen.key.slot;
    let message = seen.message.clone();
    let window = Windows::made(id.clone(), seen.key.clone(), seen.state, tick, seen.line, message);
    reference.windows.set(window, seen.message.price.unit);
    let after = |time: Time| params.tick_from(time).max(tick.next());
    match seen.state {
        State::Proposed => {
            // What the message says is the offer's lead as of now: `times` has held it.
            let lock_at = Instant::time("lock_at", &seen.message.lock_at).unwrap_or(Time(0));
            reference.windows.set_due(id, after(lock_at));
        }
        State::Locked => reference.windows.set_due(id, after(params.slot.start(slot))),
        State::Active => reference.windows.set_due(id, after(params.slot.end(slot))),
        _ => {
            reference.windows.clear_due(id);
            reference.windows.end(id, params.slot.end(slot));
        }
    }
}

/// The times of the step: locked at the lead, active and closed at the slot's start and end.
/// (That nothing comes later than it is due is seen when time passes.)
fn times(case: &Case<'_>, seen: &Seen, before: Tick, reference: &Reference<'_>) -> Result<()> {
    let params = reference.params;
    let (now, slot, d) = (params.start(seen.tick), seen.key.slot, &seen.message);
    let (start, end) = (params.slot.start(slot), params.slot.end(slot));
    let lock_at = message::time(case, "lock_at", &d.lock_at)?;
    let not_before = |field: &str, time: Time| {
        let expected = format_args!("{} ms or later", time.0).to_string();
        case.holds("life of a window", field, now >= time, expected, now.0)
    };
    match seen.state {
        State::Proposed | State::Locked => {
            let key = OfferKey { store: seen.key.store.clone(), product: seen.key.product.clone() };
            let offer = reference.offers.get(&key);
            case.holds("the seller's mandate", "product", offer.is_some(), "an offer", "none")?;
            let Some(offer) = offer else { return Ok(()) };
            let expected = reference.lock_at(&offer.offer, slot);
            case.equal("lock a lead time before the slot", "lock_at", expected.0, lock_at.0)?;
            if seen.state == State::Proposed {
                let expected = format_args!("before {}", lock_at.0).to_string();
                return Ok(case.holds(
                    "nothing is proposed at its lock or later",
                    "decided_at",
                    now < lock_at,
                    expected,
                    now.0,
                )?);
            }
            not_before("decided_at", lock_at)?;
            let latest = params.tick_from(start);
            let expected = format_args!("tick {} or earlier", latest.0).to_string();
            let (rule, field) = ("a lock comes before its slot", "decided_at");
            case.holds(rule, field, seen.tick <= latest, expected, seen.tick.0)?;
            let announced = seen.prior.as_ref().is_some_and(|p| p.state == State::Proposed);
            let open =
                announced || offer.lead_changed == seen.tick || lock_at > params.start(before);
            let (rule, expected) = ("a slot is closed from its lock on", "open one tick before");
            Ok(case.holds(rule, "decided_at", open, expected, "closed before")?)
        }
        State::Active => Ok(not_before("decided_at", start)?),
        State::Closed => Ok(not_before("decided_at", end)?),
        _ => Ok(()),
    }
}

/// What the message says of its store: as it is for a group that is made now, as it was said
/// before for one that only goes on or goes.
fn store(case: &Case<'_>, seen: &Seen, reference: &Reference<'_>) -> Result<()> {
    let d = &seen.message;
    let repeats = seen.prior.as_ref().is_some_and(|prior| same_face(&prior.message, d));
    if repeats && !matches!(seen.state, State::Proposed | State::Locked) {
        return Ok(());
    }
    let store = reference.stores.get(&seen.key.store);
    case.holds("the seller's mandate", "store.id", store.is_some(), "a store", "none")?;
    store.map_or(Ok(()), |store| message::place(case, d, store))
}

fn same_face(a: &Decision, b: &Decision) -> bool {
    a.store == b.store && a.zone == b.zone && a.slot == b.slot
}

/// Whether the id is one of those that are too long to be written out.
pub(super) fn hashed(id: &str) -> bool {
    id.len() == 34 && id.starts_with("w_")
}

/// The window of that public id, if its store, product and slot can be told and are known.
pub(super) fn window_of(id: &str, reference: &Reference<'_>) -> Option<WindowKey> {
    if let Some(window) = reference.windows.get(id) {
        return Some(window.key.clone());
    }
    let (joined, minutes) = id.rsplit_once('_')?;
    let key = reference.joined.get(joined)?;
    let time = Time(minutes.parse::<i64>().ok()?.checked_mul(60_000)?);
    let slot: Slot = reference.params.slot.at(time);
    let aligned = reference.params.slot.start(slot) == time;
    aligned.then(|| WindowKey { slot, store: key.store.clone(), product: key.product.clone() })
}
