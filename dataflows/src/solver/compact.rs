//! A part of a market in flat arrays, to be solved from scratch.
//!
//! Where no other offer can serve the intents of a part's offers, the part is closed: it is solved
//! and proven alone. Else it is a region: only searched, at the market's prices, and intents that
//! are in a window elsewhere stay there.
//! Windows that cannot raise the optimum are left out: a slot whose candidates all could be in
//! another slot of the same offer, at no less worth, where the greatest group holds everybody, is
//! never needed.
//!
//! [`dual`] proves a bound (`joint` where buyers or stock run out), [`rounds`] tighten it, `stronger`
//! and its `cuts` make it less, [`plan`] holds a grouping, `moves` change it, [`search`] improves it,
//! `merge` and `graft` take over what another one does better, and
//! [`exact`] closes what is small enough by branch and bound, which `barred` and `alike` keep
//! narrow; [`solve`] runs them, slice by slice as [`turn`] has it.

pub(crate) mod dual;

mod joint;

mod slots;

mod cuts;

mod alike;

mod barred;

pub(crate) mod rounds;

pub(crate) mod plan;

mod change;

mod loss;

mod moves;

mod chain;

mod merge;

mod graft;

pub(crate) mod search;

pub(crate) mod exact;

pub(crate) mod solve;

mod stronger;

pub(crate) mod turn;

use super::candidate::Candidate;
use super::hot::Home;
use super::market::Market;
use crate::market::{IdOrder, Slot, Tier};
use serde::{Deserialize, Serialize};
use slots::{Slots, Useful};

/// An offer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Offer {
    /// Its index in the market.
    pub o: u32,
    pub stock: i64,
    /// The most buyers of a group: by the offer, and by what the stock can serve.
    pub cap: usize,
    /// The most buyers of all its windows: what the stock can serve.
    pub most: usize,
    /// Whether that is fewer than its candidates.
    pub scarce: bool,
    /// Whether the part has all its candidates: each can be served as things are.
    pub whole: bool,
    /// The tiers that a group can reach.
    pub tiers: Vec<Tier>,
    /// Its windows, in the order of slots.
    pub windows: Vec<u32>,
}

/// A window that may be of use.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Window {
    pub offer: u32,
    pub slot: Slot,
    /// Its candidates' places in [`Compact::cands`].
    pub first: u32,
    pub end: u32,
    /// The most buyers of a group at each tier.
    pub caps: Vec<u32>,
    /// Slots of the same offer that this one stands for, this one among them, in order.
    pub stands_for: Vec<Slot>,
    /// Those of them that it covers: it can hold whatever they can.
    pub covers: Vec<Slot>,
}

/// A candidate of a window.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Cand {
    pub intent: u32,
    pub limit: i32,
    /// Worth at price 0: gain, visit value and bonus.
    pub base: i64,
    pub distance_m: u32,
    /// No more than [`crate::market::limits::MAX_QUANTITY`].
    pub quantity: u16,
    /// Whether the buyer accepted this window (R8).
    pub bound_here: bool,
}

impl Cand {
    #[inline]
    pub(crate) fn at(&self, price: i64) -> i64 {
        self.base - self.quantity as i64 * price
    }

    #[inline]
    pub(crate) fn pays(&self, price: i64) -> bool {
        price <= self.limit as i64
    }
}

/// The part.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Compact {
    /// In the order of stores.
    pub offers: Vec<Offer>,
    /// Intents' indices in the market, in the order of ids.
    pub intents: Vec<u32>,
    /// In the order of (slot, store).
    pub windows: Vec<Window>,
    /// By window, in the order of intents.
    pub cands: Vec<Cand>,
    /// Of every intent: the windows that it could be in, and its candidate there.
    pub places: Vec<Vec<(u32, u32)>>,
    /// By intent: whether an offer elsewhere can serve it too.
    pub shared: Vec<bool>,
    /// By intent: whether it is in a window of such an offer, and stays there.
    pub away: Vec<bool>,
}

impl Compact {
    /// The part of the market that consists of those offers, in the order of stores.
    ///
    /// **Cost** (candidate, slot) pairs of the part, times slots where sets of candidates overlap.
    pub(crate) fn of(market: &Market, offers: &[u32]) -> Self {
        let mut compact = Self::without_places(market, offers);
        let mut places = vec![0; compact.intents.len()];
        compact.cands.iter().for_each(|c| places[c.intent as usize] += 1);
        compact.places = places.into_iter().map(Vec::with_capacity).collect();
        for (w, window) in (0..).zip(&compact.windows) {
            for n in window.first..window.end {
                compact.places[compact.cands[n as usize].intent as usize].push((w, n));
            }
        }
        compact
    }

    /// The same without its intents' places, which rounds of prices do not read.
    pub(crate) fn without_places(market: &Market, offers: &[u32]) -> Self {
        let mut compact = Self::default();
        let ids = by_id(market, market.intents_near(offers));
        let mut numbers = vec![u32::MAX; market.intents.len()];
        ids.iter().zip(0..).for_each(|(&i, number)| numbers[i as usize] = number);
        compact.intents = ids;
        compact.look_outside(market, offers);
        let mut windows: Vec<(Window, Vec<Cand>)> = Vec::new();
        for &o in offers {
            compact.add_offer(market, o, &numbers, &mut windows);
        }
        // Numbered by slot; their candidates lie offer by offer, as rounds of prices read them.
        let mut numbered: Vec<u32> = (0..windows.len() as u32).collect();
        numbered.sort_by_key(|&at| (windows[at as usize].0.slot, windows[at as usize].0.offer));
        compact.cands.reserve_exact(windows.iter().map(|(_, cands)| cands.len()).sum());
        for (window, cands) in &mut windows {
            window.first = compact.cands.len() as u32;
            compact.cands.append(cands);
            window.end = compact.cands.len() as u32;
        }
        for (w, at) in (0..).zip(numbered) {
            let window = std::mem::take(&mut windows[at as usize].0);
            compact.offers[window.offer as usize].windows.push(w);
            compact.windows.push(window);
        }
        compact
    }

    /// Notes who could be served elsewhere, and who is.
    fn look_outside(&mut self, market: &Market, offers: &[u32]) {
        let mut inside = vec![false; market.offers.len()];
        offers.iter().for_each(|&o| inside[o as usize] = true);
        let outside = |o: &u32| !inside[*o as usize];
        for &i in &self.intents {
            let shared = market.node(i).edges.iter().any(outside);
            let home = market.hot[i as usize].home;
            self.shared.push(shared);
            self.away.push(shared && matches!(home, Home::In(o, _) if outside(&o)));
        }
    }

    /// Whether no other offer can serve the part's intents.
    pub(crate) fn is_closed(&self) -> bool {
        !self.shared.contains(&true)
    }

    fn add_offer(
        &mut self,
        market: &Market,
        o: u32,
        numbers: &[u32],
        windows: &mut Vec<(Window, Vec<Cand>)>,
    ) {
        let offer = market.offer(o);
        let stock = offer.placed.stock.max(0);
        // Who can pay the deepest tier that stock and group size allow; twice, as fewer buyers
        // may make fewer tiers.
        let mut cap = offer.max_group();
        let mut most = 0;
        let mut tiers: &[Tier] = &[];
        let mut able: Vec<bool> = Vec::new();
        for _ in 0..2 {
            tiers = offer.tiers();
            tiers = &tiers[..tiers.iter().take_while(|t| t.min_buyers as usize <= cap).count()];
            let Some(deepest) = tiers.last() else { return };
            let price = deepest.price.minor();
            able = offer
                .candidates
                .iter()
                .map(|c| c.quantity() as i64 <= stock && market.pays(c, price))
                .collect();
            let of = offer.candidates.iter().zip(&able).filter(|(_, able)| **able);
            most = most_buyers(of.map(|(c, _)| c.quantity() as i64), stock);
            cap = cap.min(most);
        }
        let reached = tiers.iter().take_while(|t| t.min_buyers as usize <= cap).count();
        let tiers = &tiers[..reached];
        if tiers.is_empty() {
            return;
        }
        let number = self.offers.len() as u32;
        let number_of = |c: &Candidate| numbers[c.intent as usize];
        let listed: Vec<(&Candidate, u32)> = {
            let able = offer.candidates.iter().zip(&able).filter(|(_, able)| **able);
            able.map(|(c, _)| (c, number_of(c))).collect()
        };
        let slots = Slots::of(market, o, &listed);
        for kept in slots.useful(tiers[0].min_buyers as usize, offer.max_group()) {
            let cands = slots.candidates(&kept, market, &listed);
            let caps = caps(&cands, tiers, cap, stock);
            let Useful { slot, stands_for, covers, .. } = kept;
            let (first, end) = (0, 0);
            windows.push((
                Window { offer: number, slot, first, end, caps, stands_for, covers },
                cands,
            ));
        }
        let windows = Vec::new();
        let (scarce, whole) = (most < listed.len(), listed.len() == offer.candidates.len());
        let tiers = tiers.to_vec();
        self.offers.push(Offer { o, stock, cap, most, scarce, whole, tiers, windows });
    }

    /// How many (candidate, tier) pairs there are: what a round of prices costs.
    pub(crate) fn pairs(&self) -> usize {
        let of =
            |w: &Window| (w.end - w.first) as usize * self.offers[w.offer as usize].tiers.len();
        self.windows.iter().map(of).sum()
    }

    /// What every objective is a multiple of.
    pub(crate) fn grain(&self) -> i64 {
        let mut grain = 0;
        for (w, window) in self.windows.iter().enumerate() {
            for c in self.cands_of(w as u32) {
                grain = gcd(grain, c.base);
                for tier in &self.offers[window.offer as usize].tiers {
                    grain = gcd(grain, c.quantity as i64 * tier.price.minor());
                }
                if grain == 1 {
                    return 1;
                }
            }
        }
        grain.max(1)
    }

    pub(crate) fn cands_of(&self, w: u32) -> &[Cand] {
        let window = &self.windows[w as usize];
        &self.cands[window.first as usize..window.end as usize]
    }

    pub(crate) fn offer_of(&self, w: u32) -> &Offer {
        &self.offers[self.windows[w as usize].offer as usize]
    }
}

/// The intents in the order of their ids, whose first bytes mostly tell.
fn by_id(market: &Market, intents: Vec<u32>) -> Vec<u32> {
    let id = |i: u32| &market.node(i).intent.id;
    let order = |i: u32| market.hot[i as usize].order;
    let mut keyed: Vec<(IdOrder, u32)> = intents.into_iter().map(|i| (order(i), i)).collect();
    keyed.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| id(a.1).cmp(id(b.1))));
    keyed.into_iter().map(|(_, i)| i).collect()
}

fn gcd(mut a: i64, mut b: i64) -> i64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.abs()
}

/// How many buyers of these quantities the stock can serve at once.
fn most_buyers(quantities: impl Iterator<Item = i64> + Clone, mut stock: i64) -> usize {
    // Mostly there is stock for all: nothing to sort.
    let (count, units) = quantities.clone().fold((0, 0), |(n, units), q| (n + 1, units + q));
    if units <= stock {
        return count;
    }
    let mut quantities: Vec<i64> = quantities.collect();
    quantities.sort_unstable();
    let fits = |q: &&i64| {
        stock -= **q;
        stock >= 0
    };
    quantities.iter().take_while(fits).count()
}

fn caps(cands: &[Cand], tiers: &[Tier], cap: usize, stock: i64) -> Vec<u32> {
    let of = |tier: &Tier| {
        let paying = cands.iter().filter(|c| c.pays(tier.price.minor()));
        cap.min(most_buyers(paying.map(|c| c.quantity as i64), stock)) as u32
    };
    tiers.iter().map(of).collect()
}
