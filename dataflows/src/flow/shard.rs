//! One product's market in the dataflow: its inputs joined, its outputs as differences, and when it
//! is solved again.
//!
//! Every [`SETTLED_EVERY_MINUTES`] what has changed is put on an agenda, which is worked off in the
//! course of that time: what locks before the next one within [`URGENT_MS`], the rest within
//! [`LATER_MS`]; a market whose gap is wide has its next agenda sooner. Products take turns, by
//! their hash, so that they are not at it all in one tick.

use super::records::{Clock, MarketInput, Output};
use super::standing::{Standings, Times};
use crate::market::{Certificate, Intent, IntentId, Offer, Params, ProductId, Slot, StoreId, Time};
use crate::solver::{Budget, Due, GroupedWindow, Market, PlacedOffer, Upkeep, WHOLE, share_of};
use differential_dataflow::Hashable;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How often what has changed of a market is solved again, in minutes: a minute before full
/// hours and their thirds, when windows lock.
const SETTLED_EVERY_MINUTES: i64 = 4;
/// The budget of that.
const LATER: Budget = Budget { price_rounds: 28, search_steps: 50, nodes: 0, from_scratch: false };
/// The budget of parts of which a window locks before the next time.
const NOW: Budget = Budget { price_rounds: 48, search_steps: 220, nodes: 30, from_scratch: false };
/// The most (candidate, slot, tier) triples that are solved at a time, but for prices.
const REGION: u64 = 400_000;
/// Prices of more triples, times their rounds, are set while the market goes on.
const APART: u64 = 125_000;
/// A market with a gap of more than so many millionths, and nothing left to solve again, does not
/// wait that long, but half as long.
const WIDE_PPM: u64 = 30_000;
/// Steps that are made at a time, about a hundredth of a second of them.
const SLICE: u64 = 500_000;
/// Within how many milliseconds of logical time all markets have made their agendas.
const PLANNED_WITHIN_MS: u64 = 5_000;
/// And have solved what is urgent of them, and the rest.
const URGENT_MS: u64 = 50_000;
const LATER_MS: u64 = 90_000;

/// After how many milliseconds it is looked at again whether any is due, where some was: ticks may be far
/// shorter. And where none was.
const LOOKED_AT_EVERY_MS: i64 = 50;
const IDLE_MS: i64 = 1_000;

/// After a crowded tick upkeep has its usual steps divided by this, and agendas are made within so many times
/// as long: those who wait come first.
const IN_HASTE: u64 = 4;

/// How often a market is compared with a plain greedy, where that is asked for, in minutes.
const COMPARED_EVERY_MINUTES: i64 = 20;

/// Where a product stands among all, in 1/[`WHOLE`]: by its hash, so that it is the same anywhere.
fn turn(product: &ProductId) -> u64 {
    product.hashed() % WHOLE
}

/// How many minutes of logical time the upkeep from that minute on pays for.
fn minutes_paid(minute: i64) -> u64 {
    let whole = (minute + 1).rem_euclid(SETTLED_EVERY_MINUTES) == 0;
    (if whole { SETTLED_EVERY_MINUTES } else { SETTLED_EVERY_MINUTES / 2 }) as u64
}

/// The upkeep from that minute on, of a market with that share of all steps.
pub fn upkeep(minute: i64, share: u64) -> Upkeep {
    Upkeep {
        minutes: minutes_paid(minute),
        // Up to the minute after the next time.
        soon: Time::of_minute(minute + SETTLED_EVERY_MINUTES + 1),
        now: NOW,
        later: LATER,
        region: REGION,
        apart: APART,
        slice: SLICE,
        share,
    }
}

/// Upkeep under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Course {
    /// The time from which on it was to be done.
    since: Time,
    /// Whether its agenda is made.
    planned: bool,
    /// The time up to which it has been worked on.
    until: Time,
    /// It is gone on with from then on.
    next: Time,
}

/// One product's market and what it has emitted.
#[derive(Serialize, Deserialize)]
pub(super) struct Shard {
    pub(super) market: Market,
    /// Of offers that are not there; of the others the market knows.
    stock: BTreeMap<StoreId, i64>,
    locked: BTreeMap<StoreId, BTreeSet<Slot>>,
    emitted: BTreeMap<(Slot, StoreId), Arc<GroupedWindow>>,
    certificate: Certificate,
    /// What is to be solved again, until all of that is.
    course: Option<Course>,
    /// How long its solver has taken in this process.
    #[serde(skip)]
    pub(super) times: Times,
}

impl Shard {
    /// One that is empty, at that time.
    pub(super) fn new(params: &Params, clock: Option<Clock>) -> Self {
        let mut market = Market::new(params.clone());
        if let Some(clock) = clock {
            market.advance(Time::of_minute(clock.at.minute()));
        }
        Self {
            market,
            stock: BTreeMap::new(),
            locked: BTreeMap::new(),
            emitted: BTreeMap::new(),
            certificate: Certificate::default(),
            course: None,
            times: Times::default(),
        }
    }

    /// Whether nothing is left of it.
    pub(super) fn is_empty(&self) -> bool {
        self.market.is_empty()
            && self.stock.is_empty()
            && self.locked.is_empty()
            && self.emitted.is_empty()
    }

    /// Time has come from `before` to `now`, in another minute: windows close, and from time to time
    /// what has changed is to be solved again.
    pub(super) fn pass(&mut self, before: Option<Clock>, now: Clock) {
        let (minute, at) = (before.map(|before| before.at.minute()), now.at);
        self.market.advance(Time::of_minute(at.minute()));
        let begun = |every: i64, minute: i64| (minute + 1).div_euclid(every) * every - 1;
        let begins = |every: i64| {
            let since = begun(every, at.minute());
            (minute.map(|minute| begun(every, minute)) != Some(since)).then_some(since)
        };
        let since = begins(SETTLED_EVERY_MINUTES).or_else(|| {
            let wide = self.certificate.gap_ppm() > WIDE_PPM;
            if wide && self.course.is_none() { begins(SETTLED_EVERY_MINUTES / 2) } else { None }
        });
        if let Some(since) = since {
            let since = Time::of_minute(since);
            self.course = Some(Course { since, planned: false, until: at, next: at });
        }
    }

    /// When its upkeep is to be gone on with, while any is under way.
    pub(super) fn next_upkeep(&self) -> Option<Time> {
        self.course.as_ref().map(|course| course.next)
    }

    /// Solves again what is due now; whether anything was.
    pub(super) fn keep_up(
        &mut self,
        product: &ProductId,
        Clock { at, live, crowded }: Clock,
        standings: &Standings,
    ) -> bool {
        let Some(course) = &mut self.course else { return false };
        let (since, minute) = (course.since, course.since.minute());
        let passed = (at.0 - since.0).max(0) as u64;
        let (own, a_ms) = (self.market.intents_len() as u128, self.market.upkeep_steps());
        let haste = if crowded { IN_HASTE } else { 1 };
        // All markets' steps are shared out by live intents.
        let steps_in = |ms: u64| {
            let steps = a_ms as u128 * ms as u128 * own / (live.max(1) as u128 * haste as u128);
            steps.min(u64::MAX as u128) as u64
        };
        let upkeep = upkeep(minute, steps_in(minutes_paid(minute) * 60_000));
        if a_ms == 0 {
            // Nothing is ever solved again; how the market stands is noted all the same.
            course.planned = true;
        }
        if !course.planned {
            let turn = share_of(PLANNED_WITHIN_MS * haste, turn(product));
            if passed < turn {
                course.next = Time(since.0 + turn as i64);
                return false;
            }
            course.planned = true;
            self.market.plan_upkeep(upkeep);
            // Great parts are taken out in another tick.
            return false;
        }
        let until = |all: u64| passed.min(all) * WHOLE / all;
        let since_then = (at.0 - std::mem::replace(&mut course.until, at).0).max(0) as u64;
        let due = Due {
            urgent: until(URGENT_MS),
            later: until(LATER_MS),
            before: turn(product),
            steps: steps_in(passed),
            passed: steps_in(since_then),
        };
        let (market, laps) = (&mut self.market, standings.laps());
        let any = self.times.of_upkeep(laps, |watch| market.keep_up_watched(upkeep, due, watch));
        course.next = Time(at.0 + LOOKED_AT_EVERY_MS);
        if !any && !self.market.has_prices_under_way() {
            // No tick has to bear at once what time has paid for meanwhile.
            course.next = Time(at.0 + IDLE_MS);
            course.until = Time(course.next.0 - LOOKED_AT_EVERY_MS);
        }
        if !self.market.has_upkeep() {
            let compared = minute.rem_euclid(COMPARED_EVERY_MINUTES) < SETTLED_EVERY_MINUTES;
            standings.note(product, (&self.market, self.times), compared);
            self.course = None;
        }
        any
    }

    /// Takes in one tick's net changes, which come in the order of [`MarketInput`].
    pub(super) fn apply(&mut self, records: Vec<(MarketInput, isize)>) {
        let mut offers: BTreeMap<StoreId, Option<(Arc<Offer>, super::Site)>> = BTreeMap::new();
        let mut touched: BTreeSet<StoreId> = BTreeSet::new();
        let mut stock: BTreeMap<StoreId, i64> = BTreeMap::new();
        let mut intents: BTreeMap<IntentId, Option<Arc<Intent>>> = BTreeMap::new();
        for (record, diff) in records {
            match record {
                MarketInput::Clock(_) => {}
                MarketInput::Offer(offer, site) => {
                    let slot = offers.entry(offer.key.store.clone()).or_default();
                    if diff > 0 {
                        *slot = Some((offer, site));
                    }
                }
                MarketInput::Stock(store, units) => {
                    let left = stock.entry(store).or_default();
                    if diff > 0 {
                        *left = units;
                    }
                }
                MarketInput::Locked(store, slot) => {
                    let slots = self.locked.entry(store.clone()).or_default();
                    if diff > 0 {
                        slots.insert(slot);
                    } else {
                        slots.remove(&slot);
                    }
                    if slots.is_empty() {
                        self.locked.remove(&store);
                    }
                    touched.insert(store);
                }
                MarketInput::Intent(intent) => {
                    let slot = intents.entry(intent.id.clone()).or_default();
                    if diff > 0 {
                        *slot = Some(intent);
                    }
                }
            }
        }
        touched.extend(stock.keys().cloned());
        let told: Vec<StoreId> = offers.keys().chain(stock.keys()).cloned().collect();
        self.stock.append(&mut stock);
        self.apply_offers(offers, touched);
        for store in told {
            if self.stock.get(&store) == Some(&0) {
                self.stock.remove(&store);
            }
        }
        self.apply_intents(intents);
    }

    fn apply_intents(&mut self, mut intents: BTreeMap<IntentId, Option<Arc<Intent>>>) {
        let gone = intents.values().filter(|intent| intent.is_none()).count();
        if self.market.are_many(gone) {
            let leaves = intents.iter().filter(|(_, intent)| intent.is_none());
            self.market.remove_intents(leaves.map(|(id, _)| id));
            intents.retain(|_, intent| intent.is_some());
        }
        for (id, intent) in intents {
            match intent {
                Some(intent) => self.market.put_intent(intent),
                None => self.market.remove_intent(&id),
            }
        }
    }

    fn apply_offers(
        &mut self,
        offers: BTreeMap<StoreId, Option<(Arc<Offer>, super::Site)>>,
        mut touched: BTreeSet<StoreId>,
    ) {
        for (store, offer) in offers {
            touched.remove(&store);
            match offer {
                Some((offer, site)) => {
                    let placed = self.placed(offer, site);
                    self.market.put_offer(placed);
                }
                None => {
                    if let Some(old) = self.market.placed_offer(&store) {
                        self.stock.entry(store.clone()).or_insert(old.stock);
                    }
                    self.market.remove_offer(&store);
                }
            }
        }
        for store in touched {
            if let Some(old) = self.market.placed_offer(&store) {
                let site =
                    super::Site { place: old.place, cell: old.cell, opening: old.opening.clone() };
                let placed = self.placed(old.offer.clone(), site);
                self.market.put_offer(placed);
            }
        }
    }

    /// The offer as the market is to know it; what is known of its stock moves there.
    fn placed(&mut self, offer: Arc<Offer>, site: super::Site) -> PlacedOffer {
        let store = &offer.key.store;
        let before = self.market.placed_offer(store).map_or(0, |old| old.stock);
        PlacedOffer {
            stock: self.stock.remove(store).unwrap_or(before),
            locked: self.locked.get(store).into_iter().flatten().copied().collect(),
            place: site.place,
            cell: site.cell,
            opening: site.opening,
            offer,
        }
    }

    /// Whether there may be a difference to what was emitted.
    pub(super) fn is_unsaid(&self) -> bool {
        self.market.has_changed() || self.market.certificate() != self.certificate
    }

    /// Emits the difference to what was emitted before.
    pub(super) fn emit(&mut self, product: &ProductId, out: &mut Vec<(Output, isize)>) {
        for (slot, store) in self.market.take_changed() {
            let now = self.market.window(&store, slot);
            let key = (slot, store);
            if self.emitted.get(&key).map(|window| &**window) == now.as_ref() {
                continue;
            }
            if let Some(window) = &now
                && let Err(violation) = self.market.verify_window(window)
            {
                panic!("an infeasible window must not leave the market: {violation}");
            }
            let now = now.map(Arc::new);
            let before = match &now {
                Some(window) => self.emitted.insert(key, window.clone()),
                None => self.emitted.remove(&key),
            };
            out.extend(before.map(|window| (Output::Window(window), -1)));
            out.extend(now.map(|window| (Output::Window(window), 1)));
        }
        let certificate = self.market.certificate();
        if certificate != self.certificate {
            let none = Certificate::default();
            let before = std::mem::replace(&mut self.certificate, certificate);
            if before != none {
                out.push((Output::Market(product.clone(), before), -1));
            }
            if certificate != none {
                out.push((Output::Market(product.clone(), certificate), 1));
            }
        }
    }
}
