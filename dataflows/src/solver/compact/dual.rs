//! Dual prices of a part: the bound, and the rounds that tighten it.
//!
//! The same relaxation as the market's own ([`crate::solver::price`]), taken further where that is
//! cheap: windows that are of no use are left out, and where the best groups of an offer's windows
//! hold more buyers than its stock can serve, or more than their slots' candidates together, the
//! offer's term is the best that they can do jointly.

use super::cuts::Cut;
use super::{Cand, Compact};
use crate::market::limits::MAX_TIERS;
use crate::solver::price::SCALE;
use serde::{Deserialize, Serialize};

/// What a window may be, in a branch of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Domain {
    /// Whether it may stay closed.
    pub may_close: bool,
    /// Whether it may open.
    pub may_open: bool,
    /// The least and the most buyers if it opens.
    pub least: u32,
    pub most: u32,
}

impl Domain {
    pub(crate) const FREE: Self =
        Self { may_close: true, may_open: true, least: 0, most: u32::MAX };
}

/// A branch: what windows may be, and who must or must not be where.
#[derive(Debug, Clone)]
pub(crate) struct Branch {
    pub windows: Vec<Domain>,
    /// By candidate: 0 free, 1 must be in its window, -1 must not.
    pub cands: Vec<i8>,
}

/// Prices.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Prices {
    /// Of intents.
    pub u: Vec<i64>,
    /// Of a unit of each offer's stock; then of each cut.
    pub v: Vec<i64>,
}

/// A group that a window asks for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pick {
    pub worth: i64,
    pub tier: usize,
    pub size: usize,
}

/// Who would be in a window's group at one tier if size did not matter.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    worth: i64,
    /// How many are worth something, or must be in it.
    positive: u32,
    /// How many can pay the tier.
    paying: u32,
    /// How many must be in it.
    forced: u32,
    /// The greatest worth of one who is worth nothing, if anyone is and nobody must be in it.
    next: Option<i64>,
}

/// What the windows ask for at some prices, and scratch space.
#[derive(Debug, Default)]
pub(crate) struct Demand {
    /// By intent: how many windows ask for it.
    pub wanted: Vec<i32>,
    /// By offer: how many units its windows ask for; then by cut: how many of its groups.
    pub units: Vec<i64>,
    /// Groups of which at most one can be.
    pub cuts: Vec<Cut>,
    /// By window and tier: what its group pays for the cuts that it is in.
    pub tolls: Vec<i64>,
    /// By candidate: whether its window asks for it.
    pub chosen: Vec<bool>,
    /// By window: its tier, and how many it asks for.
    pub tier: Vec<(u8, u32)>,
    /// By window: its worth if it opens, if it can.
    pub open_worth: Vec<i64>,
    /// By offer: by how much its windows' worths exceed what they can do jointly.
    pub excess: Vec<i64>,
    /// Whether windows compete for more buyers than there are, too, and not only for stock.
    pub thorough: bool,
    /// Steps so far: one for a candidate at a tier, or a sum of a table.
    pub work: u64,
    /// Whether all windows compete for the buyers of the whole part, too.
    pub together: bool,
    pub order: Vec<(i64, u32)>,
    /// By window: the group that it asks for.
    pub picks: Vec<Pick>,
    pub curve: Vec<i64>,
    /// By offer, what its windows can do with so many buyers.
    pub tables: Vec<Table>,
}

/// What windows can do jointly.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// By count: the most that no more buyers than that are worth.
    pub worth: Vec<i64>,
    /// By window and count: the size of the window's group then.
    pub from: Vec<u32>,
    /// Scratch space.
    pub next: Vec<i64>,
}

impl Demand {
    /// What a group pays for the cuts that it is in.
    #[inline]
    pub(crate) fn toll(&self, w: u32, tier: usize) -> i64 {
        self.tolls.get(w as usize * MAX_TIERS + tier).copied().unwrap_or(0)
    }
}

/// No group can be.
pub(crate) const NONE: i64 = i64::MIN / 4;

impl Compact {
    /// The bound at those prices, scaled; [`None`] if the branch holds nothing.
    pub(crate) fn bound_at(
        &self,
        prices: &Prices,
        branch: Option<&Branch>,
        demand: &mut Demand,
    ) -> Option<i128> {
        self.reset(demand);
        self.levy(prices, demand);
        // Those who are elsewhere are paid for there.
        let here = prices.u.iter().zip(&self.away).filter(|(_, away)| !**away);
        let mut total: i128 = here.map(|(u, _)| *u as i128).sum();
        total += prices.v[self.offers.len()..].iter().map(|v| *v as i128).sum::<i128>();
        for (n, offer) in self.offers.iter().enumerate() {
            let v = prices.v[n];
            total += v as i128 * offer.stock as i128;
            total += self.offer_term(n, prices, branch, demand)?;
        }
        if demand.together {
            total -= self.together(prices, branch, demand)?;
        }
        for w in 0..self.windows.len() {
            if demand.picks[w].size > 0 {
                self.ask(w as u32, demand.picks[w], prices, branch, demand);
            }
        }
        for (cut, asked) in demand.cuts.iter().zip(&mut demand.units[self.offers.len()..]) {
            let picked = |group: &&(u32, u8)| {
                let pick = demand.picks[group.0 as usize];
                pick.size > 0 && pick.tier == group.1 as usize
            };
            *asked = cut.groups.iter().filter(picked).count() as i64;
        }
        Some(total)
    }

    /// Sums up what each group pays for the cuts that it is in.
    fn levy(&self, prices: &Prices, demand: &mut Demand) {
        demand.tolls.clear();
        if demand.cuts.is_empty() {
            return;
        }
        demand.tolls.resize(self.windows.len() * MAX_TIERS, 0);
        for (cut, &price) in demand.cuts.iter().zip(&prices.v[self.offers.len()..]) {
            if price > 0 {
                for &(w, tier) in &cut.groups {
                    demand.tolls[w as usize * MAX_TIERS + tier as usize] += price;
                }
            }
        }
    }

    fn reset(&self, demand: &mut Demand) {
        demand.wanted.clear();
        demand.wanted.resize(self.intents.len(), 0);
        demand.units.clear();
        demand.units.resize(self.offers.len() + demand.cuts.len(), 0);
        demand.chosen.clear();
        demand.chosen.resize(self.cands.len(), false);
        demand.tier.clear();
        demand.tier.resize(self.windows.len(), (0, 0));
        demand.open_worth.clear();
        demand.open_worth.resize(self.windows.len(), NONE);
        demand.picks.clear();
        demand.picks.resize(self.windows.len(), Pick::default());
        demand.excess.clear();
        demand.excess.resize(self.offers.len(), 0);
    }

    /// What one offer's windows add over the prices; notes the groups that they ask for.
    fn offer_term(
        &self,
        n: usize,
        prices: &Prices,
        branch: Option<&Branch>,
        demand: &mut Demand,
    ) -> Option<i128> {
        let offer = &self.offers[n];
        let (mut sum, mut buyers) = (0i128, 0);
        for &w in &offer.windows {
            let domain = branch.map_or(Domain::FREE, |b| b.windows[w as usize]);
            let pick = if domain.may_open {
                self.best_pick(w, prices, branch, domain, demand)
            } else {
                Pick { worth: NONE, ..Pick::default() }
            };
            demand.open_worth[w as usize] = pick.worth;
            let opens = pick.worth > 0 || (!domain.may_close && pick.worth > NONE);
            if !opens && !domain.may_close {
                return None;
            }
            if opens {
                sum += pick.worth as i128;
                buyers += pick.size;
                demand.picks[w as usize] = pick;
            }
        }
        // What windows can do jointly is added up in 64 bits; their sum alone may be more.
        let adds_up = sum < (i64::MAX / 4) as i128;
        if buyers > offer.most && adds_up && (offer.scarce || demand.thorough) {
            let joint = self.joint(n, prices, branch, demand)?;
            demand.excess[n] = sum as i64 - joint;
            return Some(joint as i128);
        }
        Some(sum)
    }

    /// Lists who can pay the tier, at reduced worth; how many of them must be in the group, first
    /// in the list. `None` if one who must cannot pay.
    pub(crate) fn list(
        &self,
        w: u32,
        price: i64,
        v: i64,
        u: &[i64],
        branch: Option<&Branch>,
        order: &mut Vec<(i64, u32)>,
    ) -> Option<usize> {
        let (first, cands) = (self.windows[w as usize].first, self.cands_of(w));
        let must = |n: u32| branch.map_or(0, |b| b.cands[n as usize]);
        order.clear();
        order.resize(cands.len(), (0, 0));
        let (mut count, mut some_must, mut lost) = (0, false, false);
        // Without branches, as in `sum_up_all`.
        for (n, c) in (first..).zip(cands) {
            let (must, pays) = (must(n), c.pays(price));
            some_must |= must > 0;
            lost |= (must > 0) & !pays;
            let worth = c.at(price) * SCALE - u[c.intent as usize] - v * c.quantity as i64;
            order[count] = (worth, n);
            count += (pays & (must >= 0)) as usize;
        }
        order.truncate(count);
        let mut forced = 0;
        for at in 0..if some_must { count } else { 0 } {
            if must(order[at].1) > 0 {
                order.swap(forced, at);
                forced += 1;
            }
        }
        (!lost).then_some(forced)
    }

    /// The best group of a window at reduced worths.
    ///
    /// A tier that can be reached by those alone who are worth something leaves nothing to
    /// shallower ones: there nobody is worth more, and no more may come.
    pub(crate) fn best_pick(
        &self,
        w: u32,
        prices: &Prices,
        branch: Option<&Branch>,
        domain: Domain,
        demand: &mut Demand,
    ) -> Pick {
        let window = &self.windows[w as usize];
        let offer = &self.offers[window.offer as usize];
        let v = prices.v[window.offer as usize];
        let mut best = Pick { worth: NONE, ..Pick::default() };
        let mut order = std::mem::take(&mut demand.order);
        for (tier, step) in offer.tiers.iter().enumerate().rev() {
            let price = step.price.minor();
            let toll = demand.toll(w, tier);
            demand.work += (window.end - window.first) as u64;
            let Sum { worth, positive, paying, forced, next } =
                self.sum_up(w, price, v, &prices.u, branch);
            let least = step.min_buyers.max(domain.least).max(forced) as usize;
            let most = window.caps[tier].min(domain.most).min(paying) as usize;
            // No group is worth more than all who are worth something.
            if least > most || paying == 0 || worth - toll <= best.worth {
                continue;
            }
            if let Some(next) = next
                && least > positive as usize
                && domain == Domain::FREE
            {
                // Nor is a group worth more than if everyone whom it lacks were worth that. Where
                // that is nothing the window stays closed, and how little it is worth is all one.
                let lacks = least as i64 - positive as i64;
                let most = worth.saturating_add(next.saturating_mul(lacks)) - toll;
                if most <= 0 {
                    best.worth = best.worth.max(most);
                    continue;
                }
            }
            let (mut worth, mut size) = (worth, positive as usize);
            if size < least || size > most {
                let listed = self.list(w, price, v, &prices.u, branch, &mut order);
                let forced = listed.expect("who must be in it can pay");
                size = size.clamp(least, most);
                demand.work += 2 * order.len() as u64;
                worth = sum_of_best(&mut order, forced, size);
            }
            if worth - toll > best.worth {
                best = Pick { worth: worth - toll, tier, size };
            }
            if positive as usize >= least && (0..tier).all(|t| demand.toll(w, t) >= toll) {
                break;
            }
        }
        demand.order = order;
        best
    }

    /// The reduced worths of all who would be in a group at that price without limits.
    fn sum_up(&self, w: u32, price: i64, v: i64, u: &[i64], branch: Option<&Branch>) -> Sum {
        let first = self.windows[w as usize].first as usize;
        let unit = price * SCALE + v;
        let cands = self.cands_of(w);
        let Some(branch) = branch else { return sum_up_all(cands, price, unit, u) };
        let (mut sum, mut lost) = (Sum::default(), false);
        for (c, &must) in cands.iter().zip(&branch.cands[first..]) {
            let (must, may, pays) = (must > 0, must >= 0, c.pays(price));
            let worth = c.base * SCALE - u[c.intent as usize] - c.quantity as i64 * unit;
            let wanted = may & pays & (must | (worth > 0));
            lost |= must & !pays;
            sum.paying += (may & pays) as u32;
            sum.forced += must as u32;
            sum.positive += wanted as u32;
            sum.worth += if wanted { worth } else { 0 };
        }
        // Who must be in it cannot pay: no group at this tier.
        if lost { Sum::default() } else { sum }
    }

    /// Notes that the window asks for its best group of that size at that tier.
    fn ask(
        &self,
        w: u32,
        pick: Pick,
        prices: &Prices,
        branch: Option<&Branch>,
        demand: &mut Demand,
    ) {
        let window = &self.windows[w as usize];
        let offer = window.offer as usize;
        let price = self.offers[offer].tiers[pick.tier].price.minor();
        let mut order = std::mem::take(&mut demand.order);
        let forced = self.list(w, price, prices.v[offer], &prices.u, branch, &mut order);
        let forced = forced.expect("it was listed before");
        if pick.size < order.len() {
            sum_of_best(&mut order, forced, pick.size);
        }
        for &(_, n) in &order[..pick.size] {
            let c = &self.cands[n as usize];
            demand.wanted[c.intent as usize] += 1;
            demand.units[offer] += c.quantity as i64;
            demand.chosen[n as usize] = true;
        }
        demand.tier[w as usize] = (pick.tier as u8, pick.size as u32);
        demand.order = order;
    }
}

/// The same where nobody must or must not be in it: most of the time of a round of prices is here.
#[inline(never)]
fn sum_up_all(cands: &[Cand], price: i64, unit: i64, u: &[i64]) -> Sum {
    let (mut worth, mut positive, mut paying, mut next) = (0u128, 0, 0, i64::MIN);
    for c in cands {
        let own = c.base * SCALE - u[c.intent as usize] - c.quantity as i64 * unit;
        let pays = c.pays(price);
        let own = if pays { own } else { i64::MIN };
        paying += pays as u32;
        positive += (own > 0) as u32;
        worth += own.max(0) as u128;
        next = next.max(if own > 0 { i64::MIN } else { own });
    }
    let worth = worth.min(i64::MAX as u128) as i64;
    let next = (next > i64::MIN).then_some(next);
    Sum { worth, positive, paying, forced: 0, next }
}

/// Brings the best `size` of the list to its front, the forced ones among them; their sum.
pub(crate) fn sum_of_best(order: &mut [(i64, u32)], forced: usize, size: usize) -> i64 {
    let free = &mut order[forced..];
    let of = size - forced;
    if of > 0 && of < free.len() {
        // The greater worth first, then the lesser number: as one number, which compares without a branch.
        let rank = |at: &(i64, u32)| (at.0 as i128) << 32 | (u32::MAX - at.1) as i128;
        free.select_nth_unstable_by(of - 1, |a, b| rank(b).cmp(&rank(a)));
    }
    order[..size].iter().map(|entry| entry.0).sum()
}
