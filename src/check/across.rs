//! The rules across the messages of one tick: one window per buyer, stock, settling, markets.

use super::message::Seen;
use super::report::{Case, Report, Violation};
use super::state::{OfferEntry, Reference};
use super::table::is_live;
use anyhow::Result;
use connectors::wire::Market;
use dataflows::market::{IntentId, OfferKey, State, Tick};
use std::cell::Cell;
use std::collections::{HashMap, HashSet};

/// The messages of one tick under examination.
pub(super) struct Across<'a> {
    pub(super) seen: &'a [Seen],
    pub(super) rules: &'a Cell<u64>,
}

impl Across<'_> {
    fn case<'s>(&'s self, seen: &'s Seen) -> Case<'s> {
        Case { line: seen.line, subject: &seen.id, rules: self.rules }
    }

    /// Holds the tick's messages against each other, and takes what they change.
    ///
    /// # Errors
    /// The first rule that does not hold.
    pub(super) fn check(&self, reference: &mut Reference<'_>, report: &mut Report) -> Result<()> {
        self.settle(reference)?;
        self.memberships(reference)?;
        self.next(reference)?;
        self.stock(reference)?;
        self.markets()?;
        for seen in self.seen {
            end(seen, reference);
            if seen.state == State::Locked {
                report.value_locked += seen.message.value as i128;
                report.buyers_locked += seen.message.group.buyers;
                report.units_locked += seen.message.group.units;
            }
        }
        Ok(())
    }

    /// R7: after the tick, nobody is in two live windows.
    fn memberships(&self, reference: &mut Reference<'_>) -> Result<()> {
        for seen in self.seen {
            let before = seen.prior.iter().flat_map(|prior| &prior.message.members);
            for member in before.chain(&seen.message.members) {
                reference.windows.leave(&IntentId::new(&member.intent)?, &seen.id);
            }
        }
        for seen in self.seen {
            let last = reference.windows.get(&seen.id).is_some_and(|w| w.line == seen.line);
            if !last || !is_live(seen.state) {
                continue;
            }
            for (n, member) in seen.message.members.iter().enumerate() {
                let id = IntentId::new(&member.intent)?;
                let other = reference.windows.of_member(&id);
                self.case(seen).holds(
                    "R7 capacity: an intent in one window",
                    &format!("members[{n}].intent"),
                    other.is_none(),
                    format_args!("{id} here alone"),
                    format_args!("{id} in {} too", other.map_or("", |other| other)),
                )?;
                reference.windows.join(id, seen.id.clone());
            }
        }
        Ok(())
    }

    /// `next` of one who left is the window that shows the intent now, if one does.
    fn next(&self, reference: &Reference<'_>) -> Result<()> {
        for seen in self.seen {
            for (n, left) in seen.message.left.iter().enumerate() {
                let now = reference.windows.of_member(&IntentId::new(&left.intent)?);
                let (Some(now), field) = (now, format!("left[{n}].next")) else { continue };
                let moved = matches!(left.reason.code.as_str(), "moved" | "dropped");
                let right = match &left.next {
                    Some(next) => **next == **now,
                    None => !moved,
                };
                let rule = "next is the window where the buyer is now";
                let found = left.next.as_deref().unwrap_or("null");
                self.case(seen).holds(rule, &field, right, now, found)?;
            }
        }
        Ok(())
    }

    /// R7: the units of what is proposed and locked at this tick are within the stock that earlier
    /// locks have left. (Older proposals may be stale: they are held against it when they lock.)
    fn stock(&self, reference: &mut Reference<'_>) -> Result<()> {
        let mut units: HashMap<OfferKey, i64> = HashMap::new();
        for seen in self.seen {
            if !matches!(seen.state, State::Proposed | State::Locked) {
                continue;
            }
            let Some(offer) = offer_of(seen, reference) else { continue };
            let sum = units.entry(offer.offer.key.clone()).or_default();
            *sum += seen.message.group.units as i64;
            let free = offer.stock.free();
            let at_most = format_args!("at most {free} over the offer's windows").to_string();
            let rule = "R7 capacity: stock";
            self.case(seen).holds(rule, "group.units", *sum <= free, at_most, *sum)?;
        }
        for seen in self.seen.iter().filter(|seen| seen.state == State::Locked) {
            if let Some(offer) = offer_of(seen, reference) {
                offer.stock.take(seen.message.group.units as i64);
                offer.stock_changed = seen.tick;
            }
        }
        Ok(())
    }

    /// All messages of one tick about one market say the same of it, and its value holds at least
    /// what its windows that are proposed or locked at this tick are worth.
    fn markets(&self) -> Result<()> {
        let mut markets: HashMap<&str, (i64, &Market)> = HashMap::new();
        for seen in self.seen {
            let (d, case) = (&*seen.message, self.case(seen));
            let (sum, first) = markets.entry(d.product.as_str()).or_insert((0, &d.market));
            let rule = "one market, one certificate a tick";
            case.equal(rule, "market.value", first.value, d.market.value)?;
            case.equal(rule, "market.bound", first.bound, d.market.bound)?;
            if matches!(seen.state, State::Proposed | State::Locked) {
                *sum += d.value;
            }
            let at_least = format_args!("at least {sum}, its windows' values").to_string();
            let (rule, field) = ("the market's objective", "market.value");
            case.holds(rule, field, *sum <= d.market.value, at_least, d.market.value)?;
        }
        Ok(())
    }

    /// The settle time: before a first proposal, and between two revisions that nothing forces.
    fn settle(&self, reference: &Reference<'_>) -> Result<()> {
        let forced = self.forced();
        let params = reference.params;
        for (n, seen) in self.seen.iter().enumerate() {
            if seen.state != State::Proposed {
                continue;
            }
            let now = params.start(seen.tick);
            let latest = now.plus_ms(-params.settle_ms);
            let revised = seen.prior.as_ref().filter(|prior| prior.state == State::Proposed);
            let since = seen.prior.as_ref().map(|prior| params.start(prior.tick));
            let ok = (revised.is_some() && forced[n]) || since.is_none_or(|since| since <= latest);
            let expected = format_args!("{} ms after the message before", params.settle_ms);
            let (rule, expected) = ("settle", expected.to_string());
            self.case(seen).holds(rule, "decided_at", ok, expected, now.0)?;
            if revised.is_none() {
                self.held(seen, params.tick(latest), reference)?;
            }
        }
        Ok(())
    }

    /// A proposal's window can only have held since that tick if its offer, its store and enough
    /// buyers were there: what is certain is checked.
    fn held(&self, seen: &Seen, tick: Tick, reference: &Reference<'_>) -> Result<()> {
        let key = OfferKey { store: seen.key.store.clone(), product: seen.key.product.clone() };
        let (Some(store), Some(offer)) =
            (reference.stores.get(&key.store), reference.offers.get(&key))
        else {
            return Ok(());
        };
        let case = self.case(seen);
        let rule = "settle: a first proposal has held";
        let expected = format_args!("at tick {} or before", tick.0).to_string();
        for (field, since) in [("store.id", store.since), ("product", offer.since)] {
            case.holds(rule, field, since <= tick, &expected, since.0)?;
        }
        if offer.changed > tick || store.changed > tick {
            return Ok(());
        }
        let needed = offer.offer.tiers.as_slice()[0].min_buyers as usize;
        let there = |id: &str| {
            let entry = IntentId::new(id).ok().and_then(|id| reference.intents.get(&id));
            entry.is_some_and(|entry| entry.since <= tick)
        };
        let known = seen.message.members.iter().filter(|member| there(&member.intent)).count();
        let enough = known >= needed || could_hold(seen, tick, needed, reference);
        let expected = format_args!("{needed} buyers at tick {}", tick.0).to_string();
        Ok(case.holds(rule, "members", enough, expected, known)?)
    }

    /// Which messages a lock, a withdrawal or a cancellation of the same tick may have forced: they
    /// hang together with it by buyers who came and left.
    fn forced(&self) -> Vec<bool> {
        let mut forced: Vec<bool> = self.seen.iter().map(|s| s.state != State::Proposed).collect();
        if !forced.contains(&false) || !forced.contains(&true) {
            return forced;
        }
        let mut by_intent: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut intents_of: Vec<Vec<&str>> = Vec::with_capacity(self.seen.len());
        for (n, seen) in self.seen.iter().enumerate() {
            let joined = seen.message.members.iter().filter(|member| member.change == "joined");
            let left = seen.message.left.iter().map(|left| left.intent.as_str());
            let moving: Vec<&str> = joined.map(|m| m.intent.as_str()).chain(left).collect();
            for intent in &moving {
                by_intent.entry(intent).or_default().push(n);
            }
            intents_of.push(moving);
        }
        let mut open: Vec<usize> = (0..forced.len()).filter(|&n| forced[n]).collect();
        while let Some(n) = open.pop() {
            for other in intents_of[n].iter().filter_map(|id| by_intent.remove(id)).flatten() {
                if !forced[other] {
                    forced[other] = true;
                    open.push(other);
                }
            }
        }
        forced
    }
}

fn offer_of<'r>(seen: &Seen, reference: &'r mut Reference<'_>) -> Option<&'r mut OfferEntry> {
    let key = OfferKey { store: seen.key.store.clone(), product: seen.key.product.clone() };
    reference.offers.get_mut(&key)
}

/// Whether so many intents of the product may have been grouped there at that tick.
fn could_hold(seen: &Seen, tick: Tick, needed: usize, reference: &Reference<'_>) -> bool {
    let Some(store) = reference.stores.get(&seen.key.store) else { return false };
    let moment = reference.moment(tick);
    let ids = reference.by_product.get(&seen.key.product).map_or(&[][..], Vec::as_slice);
    let mut found = HashSet::new();
    for id in ids {
        let Some(entry) = reference.intents.get(id) else { continue };
        let touched = entry.touched() > tick;
        let there = entry.born <= tick;
        let fits = entry.worlds.iter().filter_map(|world| world.wish.as_ref()).any(|wish| {
            let distance_m = wish.intent.place.distance_m(store.store.place);
            wish.intent.slots.contains(seen.key.slot)
                && distance_m <= wish.intent.reach_m
                && !wish.lapsed(moment.now)
        });
        if there && (fits || touched) {
            found.insert(id);
        }
        if found.len() >= needed {
            return true;
        }
    }
    false
}

/// What the message means for the intents of its window.
fn end(seen: &Seen, reference: &mut Reference<'_>) {
    let ids = match seen.state {
        State::Closed => seen.message.members.iter().map(|m| &m.intent).collect::<Vec<_>>(),
        State::Cancelled => seen.message.left.iter().map(|left| &left.intent).collect(),
        _ => return,
    };
    for id in ids {
        let entry = IntentId::new(id).ok().and_then(|id| reference.intents.get_mut(&id));
        if let Some(entry) = entry {
            match seen.state {
                State::Closed => entry.end(seen.tick),
                _ => entry.free(seen.tick),
            }
        }
    }
}

/// Fails if a window's change was due at that tick or before, and did not come.
///
/// # Errors
/// What is missing, after that line.
pub(super) fn overdue(
    reference: &Reference<'_>,
    tick: Tick,
    line: u64,
) -> std::result::Result<(), Violation> {
    let Some((due, window)) = reference.windows.overdue(tick) else { return Ok(()) };
    Err(Violation {
        line,
        subject: window.id.to_string(),
        rule: "nothing that is due is missing",
        field: "state".into(),
        expected: format!(
            "a change from {} (line {}) at tick {}",
            window.state.word(),
            window.line,
            due.0
        ),
        actual: "none".into(),
    })
}

/// Buyers who left lose their promise, and a cancelled window gives its units back, before the
/// tick's groups are held against promises and stock.
pub(super) fn release(seen: &Seen, reference: &mut Reference<'_>) -> Result<()> {
    if seen.state == State::Cancelled
        && let Some(offer) = offer_of(seen, reference)
    {
        let units = seen.prior.as_ref().map_or(0, |prior| prior.message.group.units);
        offer.stock.give_back(units as i64);
        offer.stock_changed = seen.tick;
    }
    for left in &seen.message.left {
        if let Some(entry) = reference.intents.get_mut(&IntentId::new(&left.intent)?) {
            for world in &mut entry.worlds {
                world.pin.take_if(|pin| pin.window == seen.id);
            }
        }
    }
    Ok(())
}
