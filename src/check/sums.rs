//! What a market is worth against its windows: whether a window was never told of.
//!
//! Every message shows its market's value: what all groups are worth, announced or not, and what
//! staying adds (R9). After nothing was said of a product for longer than the settle time, every
//! group is the announced one; if then time alone brings messages about (locks, starts and ends),
//! the value they show is exactly that of the windows that are known. Where anything could have
//! changed the groups without a word, nothing is held.

use super::complete::ECHO_TICKS;
use super::message::Seen;
use super::report::Case;
use super::state::Reference;
use anyhow::Result;
use connectors::wire::Decision;
use dataflows::market::{Params, ProductId, Slot, State, Tick, Time};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::rc::Rc;

/// The most different lead times of a product's offers with which anything is held.
const MOST_LEADS: usize = 8;
/// How long ticks are remembered, in milliseconds.
const BEEN_MS: i64 = 2 * 3_600_000;
/// Milliseconds in a minute.
const MINUTE_MS: i64 = 60_000;

/// What markets are worth, and what could change them without a word.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// What every proposed window adds to its market.
    windows: HashMap<Rc<str>, i64>,
    /// The sum of that by product.
    products: HashMap<ProductId, i64>,
    /// Lead times of the product's offers, in minutes, of all that were ever told.
    leads: HashMap<ProductId, BTreeSet<u32>>,
    /// When intents of the product lapse before their last slot starts.
    lapses: HashMap<ProductId, BTreeSet<Tick>>,
    /// Ticks that certainly were, of the last hours.
    been: VecDeque<Tick>,
    /// When a store was put last.
    store_put: Option<Tick>,
}

impl Sums {
    /// A tick certainly was.
    pub(super) fn been(&mut self, tick: Tick, params: &Params) {
        if self.been.back().is_none_or(|last| *last < tick) {
            self.been.push_back(tick);
        }
        let long_ago = params.tick(params.start(tick).plus_ms(-BEEN_MS));
        while self.been.front().is_some_and(|first| *first < long_ago) {
            self.been.pop_front();
        }
    }

    /// A store was put at that tick.
    pub(super) fn store_put(&mut self, tick: Tick) {
        self.store_put = Some(tick);
    }

    /// An offer of the product has that lead time.
    pub(super) fn lead(&mut self, product: &ProductId, lead_minutes: u32) {
        self.leads.entry(product.clone()).or_default().insert(lead_minutes);
    }

    /// An intent of the product lapses then, by its own word.
    pub(super) fn lapse(&mut self, product: &ProductId, tick: Tick) {
        self.lapses.entry(product.clone()).or_default().insert(tick);
    }

    /// Forgets lapses before that tick.
    pub(super) fn forget(&mut self, tick: Tick) {
        for lapses in self.lapses.values_mut() {
            *lapses = lapses.split_off(&tick);
        }
    }

    /// The message is its window's last one.
    fn take(&mut self, seen: &Seen, params: &Params) {
        let sum = self.products.entry(seen.key.product.clone()).or_default();
        *sum -= self.windows.remove(&seen.id).unwrap_or(0);
        if seen.state == State::Proposed {
            let worth = worth(&seen.message, params);
            *sum += worth;
            self.windows.insert(seen.id.clone(), worth);
        }
    }

    /// Whether no group of the product can have changed unannounced between two ticks, the last
    /// included.
    fn still(&self, product: &ProductId, since: Tick, tick: Tick, params: &Params) -> bool {
        let lapses = self.lapses.get(product);
        let lapsed = lapses.is_some_and(|all| all.range(since..=tick).next().is_some());
        let told = self.store_put.is_some_and(|put| put >= since);
        let now = params.start(tick);
        // What ended at the last border came back into the market right after it.
        let border = params.slot.start(params.slot.at(now.plus_ms(-1)));
        let fresh = params.tick_from(border).0 + ECHO_TICKS >= since.0;
        let Some(leads) = self.leads.get(product) else { return false };
        let closed = |lead: &u32| *lead > 0 && self.has_closed(*lead, since, now, params);
        !lapsed && !told && !fresh && leads.len() <= MOST_LEADS && leads.iter().all(closed)
    }

    /// Whether the slots that locked last, at that lead time, were closed before `since`: a market
    /// learns the time in whole minutes, at the ticks that are.
    fn has_closed(&self, lead_minutes: u32, since: Tick, now: Time, params: &Params) -> bool {
        let (lead_ms, tick_ms) = (lead_minutes as i64 * MINUTE_MS, params.tick_ms);
        let slot: Slot = params.slot.at(now.plus_ms(lead_ms - tick_ms));
        let locked = params.slot.start(slot).plus_ms(-lead_ms);
        let first = self.been.partition_point(|tick| params.start(*tick) < locked.plus_ms(tick_ms));
        self.been.get(first).is_some_and(|tick| *tick < since)
    }
}

/// What a window adds to the objective while everybody stays.
fn worth(d: &Decision, params: &Params) -> i64 {
    let bonus = d.price.list * params.stay_bonus_ppm / 1_000_000;
    d.value + bonus * d.members.len() as i64
}

/// Holds what the tick's messages say of their markets against the windows that are known, where
/// that is certain; and takes the messages in.
///
/// # Errors
/// A market that is worth more, or less, than its windows.
pub(super) fn check(seen: &[Seen], reference: &mut Reference<'_>, rules: &Cell<u64>) -> Result<()> {
    let params = reference.params;
    let mut markets: BTreeMap<&ProductId, (bool, i64, &Seen)> = BTreeMap::new();
    for one in seen {
        reference.sums.take(one, params);
        let kept = one.message.left.is_empty()
            && one.message.members.iter().all(|member| member.change == "kept");
        let plain = match one.state {
            State::Active | State::Closed => true,
            State::Locked => kept && one.prior.is_some(),
            _ => false,
        };
        let market = markets.entry(&one.key.product).or_insert((true, 0, one));
        market.0 &= plain;
        if one.state == State::Locked {
            // It leaves the market at the next tick.
            market.1 += worth(&one.message, params);
        }
    }
    for (product, (plain, locking, one)) in markets {
        let since = reference.silence(one.tick);
        let quiet = reference.is_quiet(product, since);
        if plain && quiet && reference.sums.still(product, since, one.tick, params) {
            let known = reference.sums.products.get(product).copied().unwrap_or(0) + locking;
            let case = Case { line: one.line, subject: &one.id, rules };
            let rule = "a market is worth its windows";
            case.equal(rule, "market.value", known, one.message.market.value)?;
        }
    }
    for one in seen {
        reference.stir(&one.key.product, one.tick);
    }
    Ok(())
}
