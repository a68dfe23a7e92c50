//! Cuts: groups that cannot all be, because there are too few buyers for them.
//!
//! Prices of intents alone let halves of many windows open. Two groups at tiers of `k` and `k'`
//! buyers rival if fewer than `k + k'` intents could be in one of them, or, of one offer, if its
//! stock serves fewer: of groups that all rival each other, one can be. Such a cut has a price,
//! which each of its groups pays.

use super::Compact;
use std::cmp::Reverse;

/// Groups, by window and tier, of which at most one can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cut {
    pub groups: Vec<(u32, u8)>,
    /// The root of how many buyers the least of its groups has: what it is worth next to them.
    pub span: i64,
}

/// A group that could be.
#[derive(Debug)]
struct Spot {
    window: u32,
    tier: u8,
    least: usize,
    /// Who could be in it: a bit for each intent.
    payers: Vec<u64>,
}

/// Which groups rival.
#[derive(Debug)]
pub(crate) struct Rivals {
    spots: Vec<Spot>,
    /// By spot: a bit for each of its rivals.
    against: Vec<Vec<u64>>,
    cuts: Vec<Cut>,
}

/// What a cut has to be exceeded by, in percent, to be of use; and how many are taken at once.
const EXCEEDED: u64 = 5;
const AT_ONCE: usize = 24;
/// The most groups that are compared.
const MOST_SPOTS: usize = 1_200;

impl Rivals {
    /// Of the part; `None` if it is too great, or nothing in it rivals.
    ///
    /// **Cost** groups squared, times intents / 64.
    pub(crate) fn of(part: &Compact) -> Option<Self> {
        let spots = spots(part);
        if spots.len() > MOST_SPOTS {
            return None;
        }
        let words = spots.len().div_ceil(64);
        let mut against = vec![vec![0u64; words]; spots.len()];
        let mut any = false;
        let mut union = Vec::new();
        for a in 0..spots.len() {
            for b in a + 1..spots.len() {
                let rival = rival(part, &spots[a], &spots[b], &mut union);
                if rival {
                    any |= spots[a].window != spots[b].window;
                    against[a][b / 64] |= 1 << (b % 64);
                    against[b][a / 64] |= 1 << (a % 64);
                }
            }
        }
        any.then_some(Self { spots, against, cuts: Vec::new() })
    }

    pub(crate) fn cuts(&self) -> &[Cut] {
        &self.cuts
    }

    /// Adds the cuts that are exceeded most where groups were asked for so often in so many
    /// rounds; how many they are.
    pub(crate) fn add(&mut self, asked: &dyn Fn(u32, u8) -> u32, rounds: u32) -> usize {
        let share: Vec<u32> = self.spots.iter().map(|spot| asked(spot.window, spot.tier)).collect();
        let mut order: Vec<u32> = (0..self.spots.len() as u32).collect();
        order.sort_by_key(|&n| (Reverse(share[n as usize]), n));
        let mut found: Vec<(Reverse<u64>, Vec<u32>)> = Vec::new();
        for &first in order.iter().filter(|&&n| share[n as usize] > 0) {
            for near in [false, true] {
                let clique = self.clique(first, &order, &share, near);
                let total: u64 = clique.iter().map(|&n| share[n as usize] as u64).sum();
                if total * 100 > rounds as u64 * (100 + EXCEEDED) {
                    found.push((Reverse(total), clique));
                }
            }
        }
        found.sort();
        found.dedup();
        let before = self.cuts.len();
        for (_, clique) in found {
            let spots = clique.iter().map(|&n| &self.spots[n as usize]);
            let least = spots.clone().map(|spot| spot.least).min().unwrap_or(1);
            let groups = spots.map(|spot| (spot.window, spot.tier)).collect();
            let cut = Cut { groups, span: (least as i64).isqrt().max(1) };
            if !self.cuts.contains(&cut) {
                self.cuts.push(cut);
            }
            if self.cuts.len() - before >= AT_ONCE {
                break;
            }
        }
        self.cuts.len() - before
    }

    /// Spots that all rival each other, `first` among them: those asked for most, or those next to
    /// it, come first.
    fn clique(&self, first: u32, order: &[u32], share: &[u32], near: bool) -> Vec<u32> {
        let mut room = self.against[first as usize].clone();
        let mut clique = vec![first];
        let mut others: Vec<u32> = order.to_vec();
        if near {
            others.sort_by_key(|&n| (share[n as usize] == 0, n.abs_diff(first), n));
        }
        for n in others {
            if room[n as usize / 64] >> (n % 64) & 1 == 1 {
                clique.push(n);
                for (room, rivals) in room.iter_mut().zip(&self.against[n as usize]) {
                    *room &= rivals;
                }
            }
        }
        clique.sort_unstable();
        clique
    }
}

fn spots(part: &Compact) -> Vec<Spot> {
    let words = part.intents.len().div_ceil(64);
    let mut spots = Vec::new();
    for (offer, n) in part.offers.iter().zip(0..) {
        debug_assert!(offer.windows.iter().all(|&w| part.windows[w as usize].offer == n));
        for &w in &offer.windows {
            for (tier, step) in offer.tiers.iter().enumerate() {
                let least = step.min_buyers as usize;
                let mut payers = vec![0u64; words];
                for c in part.cands_of(w).iter().filter(|c| c.pays(step.price.minor())) {
                    payers[c.intent as usize / 64] |= 1 << (c.intent % 64);
                }
                if part.windows[w as usize].caps[tier] as usize >= least {
                    spots.push(Spot { window: w, tier: tier as u8, least, payers });
                }
            }
        }
    }
    spots
}

/// Whether both groups cannot be.
fn rival(part: &Compact, a: &Spot, b: &Spot, union: &mut Vec<u64>) -> bool {
    if a.window == b.window {
        return true;
    }
    let needed = a.least + b.least;
    union.clear();
    union.extend(a.payers.iter().zip(&b.payers).map(|(a, b)| a | b));
    let count: u32 = union.iter().map(|word| word.count_ones()).sum();
    if (count as usize) < needed {
        return true;
    }
    let offer = part.windows[a.window as usize].offer;
    if offer != part.windows[b.window as usize].offer {
        return false;
    }
    let offer = &part.offers[offer as usize];
    if offer.most < needed {
        return true;
    }
    // Of those who could be in either, the stock may serve too few.
    let mut quantities = [0u32; 64];
    for w in [a.window, b.window] {
        for c in part.cands_of(w) {
            let (word, bit) = (c.intent as usize / 64, 1 << (c.intent % 64));
            if union[word] & bit != 0 {
                union[word] &= !bit;
                quantities[(c.quantity as usize).min(63)] += 1;
            }
        }
    }
    let (mut served, mut left) = (0, offer.stock);
    for (quantity, &count) in (0i64..).zip(&quantities).skip(1) {
        let more = (left / quantity).clamp(0, count as i64);
        served += more as usize;
        left -= more * quantity;
    }
    served < needed
}
