//! What is solved again between updates, piece by piece.
//!
//! From time to time the offers that have changed since they were solved are put on an agenda: those
//! with windows that lock soon first, then those where most may be gained. Their turn comes in the
//! course of the time until the next agenda, so that no update has to wait for all of them: a part is
//! solved slice by slice. The prices of a greater one are set first, some rounds after each tick, while the
//! market goes on; one that is greater still is not searched as a whole, but in the region around each
//! offer that has changed, where whatever else of the agenda is in it is done with it.

use super::compact::turn::{MOST_ROUNDS, Progress, Turn};
use super::effort::{MOST_SAVED, MS_AN_UPDATE, SEARCH_WEIGHT, THIRDS_A_MINUTE, Trials, quiet};
use super::hot::Home;
use super::market::Market;
use super::price::SCALE;
use super::pricing::Pricing;
use super::{Budget, Phase, SEED, Upkeep};
use crate::market::Time;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// A piece whose gap is no more than this share of its value is left alone: one of which a window
/// locks soon, and any other.
const ENOUGH: (i128, i128) = (400, 100);

/// A part whose gap is more than this share of its value has so many times as many rounds of prices. More
/// of them would be at the cost of search, which gains more where the market changes all the time.
const WIDE: (i128, u32) = (50, 2);

/// What taking a piece out of the market and back takes, in steps for each of its triples.
const STEPS_A_TRIPLE: u64 = 15;
/// A slice of a piece takes no fewer steps of search for each of its triples: it takes it out anew.
const SLICE_A_TRIPLE: u64 = 10;
/// Prices that are set apart take so many times the market's share of the steps of a tick: rounds are
/// many where great parts have them at once, and no tick may have all of them. Where they are urgent
/// and all that is should be done, they take so many times that, and whatever else is due does, too,
/// or a slice.
const A_TICK: (u64, u64) = (8, 32);
/// A region has the steps of search of a part, divided by this: regions overlap.
const REGIONS: u32 = 4;
/// Rounds of grafts of a great part with an urgent window, and of another; in quiet markets so many times
/// as many as they are searched more, up to [`MOST_ROUNDS`]. A region has them divided by this.
const ROUNDS: (u32, u32) = (3, 2);
const ROUNDS_OF_REGIONS: u32 = 2;

/// What tells the chances of one settling from those of the next: any odd number that is no step of them.
const ANOTHER: u64 = 0x2545_f491_4f6c_dd1d;

/// A share of all: in 1/2^20.
pub const WHOLE: u64 = 1 << 20;

/// That share, in 1/[`WHOLE`], of so many.
pub fn share_of(all: u64, share: u64) -> u64 {
    (all as u128 * share as u128 / WHOLE as u128) as u64
}

/// How much of an agenda is due.
#[derive(Debug, Clone, Copy)]
pub struct Due {
    /// Of what is urgent, and of the rest, in 1/[`WHOLE`].
    pub urgent: u64,
    /// Of the rest.
    pub later: u64,
    /// How much of a piece has to be due before it is solved, in 1/[`WHOLE`]: markets that have
    /// different ones are not solved all at once.
    pub before: u64,
    /// The most steps that all that has been solved so far, and the first slice of what comes next, may take
    /// beyond what was saved before.
    pub steps: u64,
    /// The market's share of the steps that all may take in the time since it was last kept up.
    pub passed: u64,
}

impl Due {
    /// All of it.
    pub const ALL: Self =
        Self { urgent: WHOLE, later: WHOLE, before: 0, steps: u64::MAX, passed: u64::MAX };
}

/// A budget with so many times as many rounds of prices.
fn rounds_for(budget: Budget, times: u32) -> Budget {
    Budget { price_rounds: budget.price_rounds * times, ..budget }
}

/// What is to be solved again.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Agenda {
    /// The last one first.
    queue: Vec<Item>,
    /// Offers whose turn has not come, and what each weighs: triples times rounds of prices.
    waiting: BTreeMap<u32, u64>,
    /// The weight of what is urgent, and of the rest; and of all whose turn has come.
    urgent: u64,
    later: u64,
    done: u64,
    /// Steps that it has taken so far, and what earlier ones took beyond the market's share; and what they
    /// left of that.
    steps: u64,
    saved: u64,
    /// How many times as much as usual is searched.
    search: u32,
    /// Prices of a great part that are under way; whether they are urgent.
    pub(crate) pricing: Option<Box<Pricing>>,
    pricing_urgent: bool,
}

/// A piece of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Item {
    /// Whether a window locks soon.
    urgent: bool,
    /// How many times as many rounds of prices it has, for the gap of its part.
    times: u32,
    piece: Piece,
    /// The first of its offers.
    o: u32,
    /// How many slices of it are done.
    slice: u32,
    /// How far it has come.
    done: Progress,
    /// Whether its prices are a piece of their own.
    priced: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Piece {
    /// The prices of a part that is too great for all its rounds at once.
    Prices,
    /// A connected part.
    Part,
    /// What is around an offer of such a part.
    Region,
}

impl Agenda {
    /// Takes an offer off it.
    pub(crate) fn drop(&mut self, o: u32) {
        self.done += self.waiting.remove(&o).unwrap_or(0);
    }

    /// An offer leaves the market.
    pub(crate) fn lose_offer(&mut self, o: u32) {
        self.drop(o);
        if let Some(pricing) = &mut self.pricing {
            pricing.since.offers.insert(o);
        }
    }

    /// An intent leaves the market.
    pub(crate) fn lose_intent(&mut self, i: u32) {
        if let Some(pricing) = &mut self.pricing {
            pricing.since.intents.insert(i);
        }
    }

    /// How many rounds of grafts the piece has had that comes next.
    #[cfg(test)]
    pub(crate) fn grafted(&self) -> u32 {
        self.queue.last().map_or(0, |item| item.done.grafted)
    }

    /// The first whose turn has not come.
    fn next(&mut self) -> Option<Item> {
        while let Some(&item) = self.queue.last() {
            if self.waiting.contains_key(&item.o) {
                return Some(item);
            }
            self.queue.pop();
        }
        None
    }

    /// Whether it is its turn: by what it weighs, and by the time, which has to have paid for its first
    /// slice.
    fn is_due(&self, due: Due, next: Item, slice: u64) -> bool {
        let weight = self.waiting[&next.o];
        if self.steps + weight.min(slice) > due.steps.saturating_add(self.saved) {
            return false;
        }
        let from = self.done + share_of(weight, due.before);
        share_of(self.urgent, due.urgent) + share_of(self.later, due.later) >= from
    }

    /// The item's next slice comes first; what it weighs is done by and by.
    fn go_on(&mut self, next: Item) {
        if let Some(weight) = self.waiting.get_mut(&next.o) {
            let done = *weight / 2;
            *weight -= done;
            self.done += done;
            self.queue.push(next);
        }
    }

    /// A piece's budget: more rounds of prices where its gap is wide, more search in a quiet market.
    fn budget(&self, budget: Budget, times: u32) -> Budget {
        let search_steps = budget.search_steps.saturating_mul(self.search.max(1));
        Budget { search_steps, ..rounds_for(budget, times) }
    }

    /// How many rounds of grafts a piece has.
    fn rounds(&self, item: &Item) -> u32 {
        let usual = if item.urgent { ROUNDS.0 } else { ROUNDS.1 };
        let rounds = usual * self.search.max(1);
        let overlap = if item.piece == Piece::Region { ROUNDS_OF_REGIONS } else { 1 };
        (rounds / overlap).min(MOST_ROUNDS)
    }

    fn list(&mut self, o: u32, urgent: bool, weight: u64) {
        self.waiting.insert(o, weight);
        let sum = if urgent { &mut self.urgent } else { &mut self.later };
        *sum += weight;
    }
}

impl Market {
    /// How many steps of upkeep all markets together may take in a millisecond.
    pub fn upkeep_steps(&self) -> u64 {
        self.params.upkeep_steps
    }

    /// Whether anything on the agenda has not had its turn.
    pub fn has_upkeep(&self) -> bool {
        !self.agenda.waiting.is_empty() || self.has_prices_under_way()
    }

    /// Whether prices of a great part are being set.
    pub fn has_prices_under_way(&self) -> bool {
        self.agenda.pricing.is_some()
    }

    /// Puts what has changed on the agenda; what was on it and did not have its turn is counted as
    /// shed, and comes again.
    ///
    /// **Cost** the candidates of the parts that have changed.
    pub fn plan_upkeep(&mut self, upkeep: Upkeep) {
        let Upkeep { minutes, soon, now, later, region, apart, slice, share } = upkeep;
        let updates = std::mem::take(&mut self.updates);
        let thirds = updates.saturating_mul(3 * MS_AN_UPDATE);
        let thirds = thirds.saturating_add(minutes.saturating_mul(THIRDS_A_MINUTE));
        let paid = thirds.saturating_mul(self.params.upkeep_steps) / 3;
        self.credit = self.credit.saturating_add(paid).min(MOST_SAVED);
        let Agenda { waiting: left, pricing, pricing_urgent, steps, saved, .. } =
            std::mem::take(&mut self.agenda);
        // What was taken beyond the market's share is paid for now, at most a share of it; what is left of
        // that is saved, for a slice that costs more. With more than one all markets could be at it at once.
        let earned = share.saturating_add(saved);
        let saved = earned.saturating_sub(steps).min(slice);
        let steps = steps.saturating_sub(earned).min(share);
        // Prices that are under way go on: where time pays for few steps they take longer than an agenda.
        let search = quiet(self.intents.count() as u64, updates, minutes);
        self.agenda = Agenda { steps, saved, search, pricing, pricing_urgent, ..Agenda::default() };
        self.effort.shed += left.len() as u64;
        self.unsolved.extend(left.into_keys());
        let unsolved = std::mem::take(&mut self.unsolved);
        let mut offers: Vec<u32> = unsolved.iter().copied().collect();
        offers.retain(|&o| self.offers[o as usize].is_some());
        offers.sort_by(|a, b| self.by_stores(*a, *b));
        let mut seen = self.nothing_seen();
        let mut listed: Vec<(i128, Item)> = Vec::new();
        for o in offers {
            if seen.offers[o as usize] {
                continue;
            }
            let part = self.component(o, &mut seen);
            let urgent = part.iter().any(|&o| self.locks_before(o, soon));
            let (budget, enough) = if urgent { (now, ENOUGH.0) } else { (later, ENOUGH.1) };
            let value = self.value_in(&part) as i128 * SCALE as i128;
            let gap = self.dual_of(&part) - value;
            if budget == Budget::NONE || gap < SCALE as i128 + value / enough {
                continue;
            }
            let times = if gap > value / WIDE.0 { WIDE.1 } else { 1 };
            let pairs: u64 = part.iter().map(|&o| self.pairs_of(o)).sum();
            let rounds = rounds_for(budget, times).price_rounds.max(1) as u64;
            let (slice, done) = (0, Progress::default());
            let priced = pairs * rounds > apart || pairs > region;
            let item = |urgent, piece, o| Item { urgent, times, piece, o, slice, done, priced };
            let out = self.agenda.pricing.as_deref();
            if priced && !out.is_some_and(|pricing| pricing.is_of(part[0])) {
                // Known by an offer that waits.
                let first = if pairs <= region { part[0] } else { o };
                listed.push((gap, item(urgent, Piece::Prices, first)));
            }
            if pairs <= region {
                self.agenda.list(part[0], urgent, pairs.max(1) * rounds);
                listed.push((gap, item(urgent, Piece::Part, part[0])));
                continue;
            }
            for &o in part.iter().filter(|o| unsolved.contains(o)) {
                let urgent = urgent && self.locks_before(o, soon);
                listed.push((self.gap_at(o), item(urgent, Piece::Region, o)));
                self.agenda.list(o, urgent, self.pairs_of(o).max(1) * rounds);
            }
        }
        // Pieces that are alike are in the order of stores.
        listed.sort_by_key(|(gap, item)| {
            let whole = item.piece != Piece::Region;
            (Reverse((item.urgent, whole, *gap)), item.piece)
        });
        self.agenda.queue = listed.into_iter().rev().map(|(_, item)| item).collect();
    }

    /// Solves again what is due of the agenda, while the market's credit lasts; whether anything was.
    ///
    /// **Contract** nothing has changed since the last refresh.
    pub fn keep_up(&mut self, upkeep: Upkeep, due: Due) -> bool {
        self.keep_up_watched(upkeep, due, &mut |_| {})
    }

    /// The same; `watch` is told whenever a phase is over.
    pub fn keep_up_watched(
        &mut self,
        upkeep: Upkeep,
        due: Due,
        watch: &mut dyn FnMut(Phase),
    ) -> bool {
        let Upkeep { now, later, region, slice, .. } = upkeep;
        let begun = self.agenda.steps;
        let mut any = self.keep_up_prices(slice, due);
        if any {
            watch(Phase::Prices);
        }
        let most = slice.max(due.passed.saturating_mul(A_TICK.1));
        while let Some(item) = self.agenda.next().filter(|_| self.agenda.pricing.is_none()) {
            if !self.agenda.is_due(due, item, slice) || self.agenda.steps - begun >= most {
                break;
            }
            self.agenda.queue.pop();
            any = true;
            let Item { urgent, piece, o, .. } = item;
            let offers = match piece {
                Piece::Region => self.region(o, region),
                _ => self.component(o, &mut self.nothing_seen()),
            };
            // Many small attempts find less than a long one.
            let pairs: u64 = offers.iter().map(|&o| self.pairs_of(o)).sum();
            let least = if urgent { 1 } else { 2 * later.price_rounds as u64 * pairs };
            if item.slice == 0 && self.credit < least.min(MOST_SAVED) {
                self.effort.shed += 1;
                if piece != Piece::Prices {
                    offers.iter().for_each(|&o| self.agenda.drop(o));
                }
                self.unsolved.extend(offers);
                continue;
            }
            let budget = self.agenda.budget(if urgent { now } else { later }, item.times);
            if piece == Piece::Prices {
                self.agenda.pricing_urgent = urgent;
                self.agenda.steps += pairs * STEPS_A_TRIPLE;
                self.begin_prices(offers, budget, self.credit);
                watch(Phase::Prices);
                break;
            }
            let most = slice.max(due.passed.saturating_mul(A_TICK.0)).max(pairs * SLICE_A_TRIPLE);
            self.work_off(item, (&offers, pairs), (budget, most / SEARCH_WEIGHT), watch);
        }
        self.dirty.clear();
        debug_assert_eq!(self.inspect_small(), Ok(()));
        any
    }

    /// Goes on with prices that are under way, a little after each tick; whether there are any.
    fn keep_up_prices(&mut self, slice: u64, due: Due) -> bool {
        let late = self.agenda.pricing_urgent && due.urgent >= WHOLE;
        let times = if late { A_TICK.1 } else { A_TICK.0 };
        let Some(pricing) = &mut self.agenda.pricing else { return false };
        let most = pricing.earn(due.passed.saturating_mul(times), slice);
        if most == 0 {
            return false;
        }
        self.at_its_cost(|market| (market.go_on_with_prices(most), true))
    }

    /// Does some upkeep, which says how many steps it took: the market pays for them. Nothing that it does
    /// asks for more upkeep.
    fn at_its_cost<T>(&mut self, work: impl FnOnce(&mut Self) -> (u64, T)) -> T {
        let unsolved = std::mem::take(&mut self.unsolved);
        let (used, done) = work(self);
        self.unsolved = unsolved;
        self.credit = self.credit.saturating_sub(used);
        self.agenda.steps += used;
        done
    }

    /// Solves a slice of a piece, whose search looks at so many candidates at most; the next one
    /// comes next.
    fn work_off(
        &mut self,
        item: Item,
        (offers, pairs): (&[u32], u64),
        (budget, most): (Budget, u64),
        watch: &mut dyn FnMut(Phase),
    ) {
        let Item { piece, done, priced, .. } = item;
        let priced = priced && piece == Piece::Part;
        let rounds = self.agenda.rounds(&item);
        let mut turn = Turn { done, rounds, priced, most };
        let budget = match piece {
            Piece::Region => {
                Budget { price_rounds: 0, search_steps: budget.search_steps / REGIONS, ..budget }
            }
            _ => budget,
        };
        // Chance is another each time: a piece that has hardly changed would find what it found before.
        let seed = SEED.wrapping_add(self.effort.solved.wrapping_mul(ANOTHER));
        let seed = seed.wrapping_add(item.slice as u64);
        let ends = self.at_its_cost(|market| {
            let allowance = market.credit;
            market.solve_slice(allowance, offers, budget, (seed, &mut turn), &mut |phase, _, _| {
                watch(phase)
            })
        });
        self.agenda.steps += pairs * STEPS_A_TRIPLE;
        if !ends {
            self.agenda.go_on(Item { done: turn.done, slice: item.slice + 1, ..item });
        } else {
            for &o in offers {
                self.agenda.drop(o);
                if piece == Piece::Part {
                    self.unsolved.remove(&o);
                }
            }
        }
        if !self.awake.is_empty() {
            let list = self.promising(Vec::new(), Trials::ALL);
            self.improve(list, Trials::ALL);
        }
    }

    /// Whether a window of the offer that may open, or is open, locks before `soon`.
    fn locks_before(&self, o: u32, soon: Time) -> bool {
        let offer = self.offer(o);
        let until = self.first_open_at(offer.lead_minutes, soon);
        let least = offer.tiers()[0].min_buyers;
        let mut windows = offer.windows.iter().take_while(|w| w.slot < until);
        windows.any(|w| w.eligible >= least)
    }

    /// The offer's own part of what the bound says above the value, scaled: of buyers who are in no
    /// window it has its share.
    fn gap_at(&self, o: u32) -> i128 {
        let offer = self.offer(o);
        let free = offer.candidates.iter().map(|c| {
            let hot = &self.hot[c.intent as usize];
            match hot.home {
                Home::Free => hot.price.max(0) / self.node(c.intent).edges.len() as i64,
                Home::In(home, _) if home == o => hot.price.max(0),
                Home::In(..) => 0,
            }
        });
        let free: i128 = free.map(i128::from).sum();
        free + self.terms_of(o) - self.value_in(&[o]) as i128 * SCALE as i128
    }
}
