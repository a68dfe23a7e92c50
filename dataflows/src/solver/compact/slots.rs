//! Who could be in which slot of an offer, as sets of bits, and which of its slots are of use.

use super::Cand;
use crate::market::Slot;
use crate::solver::candidate::Candidate;
use crate::solver::market::Market;
use std::cmp::Reverse;

/// A slot of an offer.
struct At {
    slot: Slot,
    /// What every visitor is worth more there.
    visit_value: i64,
    /// How many could be there.
    len: usize,
    /// Whose bonus for staying is not 0 there, by their place in the list, in order.
    bonuses: Vec<(u32, i64)>,
    /// Whether one of them accepted a window.
    held: bool,
}

/// The slots of an offer, and who of a list of its candidates could be there.
pub(super) struct Slots {
    at: Vec<At>,
    /// Slot by slot, so many words each; bit by bit, who of the list could be there.
    bits: Vec<u64>,
    words: usize,
}

/// A slot that is of use.
pub(super) struct Useful {
    n: usize,
    pub slot: Slot,
    /// Slots that it stands for, itself among them, in order.
    pub stands_for: Vec<Slot>,
    /// Those of them that it covers: it can hold whatever they can.
    pub covers: Vec<Slot>,
}

impl Slots {
    /// Those of the offer, for a list of its candidates.
    ///
    /// **Cost** the slots between the first and the last of each of them.
    pub(super) fn of(market: &Market, o: u32, listed: &[(&Candidate, u32)]) -> Self {
        let windows = &market.offer(o).windows;
        let words = listed.len().div_ceil(64);
        let mut bits = vec![0u64; words * windows.len()];
        let mut at: Vec<At> = (windows.iter())
            .map(|w| At {
                slot: w.slot,
                visit_value: w.visit_value,
                len: 0,
                bonuses: Vec::new(),
                held: false,
            })
            .collect();
        for (k, (c, _)) in listed.iter().enumerate() {
            let hot = &market.hot[c.intent as usize];
            let held = market.pinned(c.intent);
            let first = at.partition_point(|at| at.slot < hot.from);
            let inside = at[first..].iter_mut().take_while(|at| at.slot < hot.until);
            for (n, at) in inside.enumerate() {
                let here = match hot.allows(at.slot) {
                    Some(here) => here,
                    None => market.eligible(o, c.intent, at.slot),
                };
                if !here {
                    continue;
                }
                bits[(first + n) * words + k / 64] |= 1 << (k % 64);
                at.len += 1;
                at.held |= held;
                if hot.stays == at.slot {
                    let bonus = market.bonus(o, c.intent, at.slot);
                    at.bonuses.extend((bonus != 0).then_some((k as u32, bonus)));
                }
            }
        }
        Self { at, bits, words }
    }

    /// The slots that can raise the optimum, the greatest first.
    ///
    /// What a window `t` can hold, a window `t'` of the same offer can hold as well if every
    /// candidate of `t` is one of `t'`, worth no less there, and the greatest group, of `cap`, holds
    /// all of `t'`: the two groups merge into one that pays no more. Of equal windows that can be
    /// full, as many are of use as their candidates fill. A group has at least `least` members.
    pub(super) fn useful(&self, least: usize, cap: usize) -> Vec<Useful> {
        let mut order: Vec<usize> =
            (0..self.at.len()).filter(|&n| self.at[n].len >= least).collect();
        order.sort_by_key(|&n| (Reverse(self.at[n].len), self.at[n].slot));
        let mut kept: Vec<Useful> = Vec::new();
        for n in order {
            let slot = self.at[n].slot;
            let home = if self.at[n].held { None } else { self.home(&kept, n, (least, cap)) };
            let Some(home) = home else {
                kept.push(Useful { n, slot, stands_for: vec![slot], covers: Vec::new() });
                continue;
            };
            if self.at[kept[home].n].len <= cap {
                kept[home].covers.push(slot);
            }
            kept[home].stands_for.push(slot);
        }
        kept.iter_mut().for_each(|kept| kept.stands_for.sort_unstable());
        kept
    }

    /// Which of those kept makes slot `n` needless.
    fn home(&self, kept: &[Useful], n: usize, (least, cap): (usize, usize)) -> Option<usize> {
        let len = self.at[n].len;
        let mut equal = 0;
        for (home, other) in kept.iter().enumerate() {
            if !self.inside(n, other.n) {
                continue;
            }
            let size = self.at[other.n].len;
            if size <= cap {
                return Some(home);
            }
            // Worth no less there, and here: the same set at the same worth.
            if size == len && self.inside(other.n, n) {
                equal += 1;
                if equal >= len / least {
                    return Some(home);
                }
            }
        }
        None
    }

    fn row(&self, n: usize) -> &[u64] {
        &self.bits[n * self.words..(n + 1) * self.words]
    }

    /// Whoever could be in slot `n`, by their places in the list, in order.
    fn who(&self, n: usize) -> impl Iterator<Item = u32> + '_ {
        self.row(n).iter().enumerate().flat_map(|(word, &bits)| {
            let rest = std::iter::successors(Some(bits), |bits| Some(bits & bits.wrapping_sub(1)));
            rest.take_while(|bits| *bits != 0)
                .map(move |bits| word as u32 * 64 + bits.trailing_zeros())
        })
    }

    /// Whether everyone who could be in slot `a` could be in `b`, and is worth no less there.
    fn inside(&self, a: usize, b: usize) -> bool {
        let mut words = self.row(a).iter().zip(self.row(b));
        if !words.all(|(a, b)| a & !b == 0) {
            return false;
        }
        let (here, there) = (&self.at[a], &self.at[b]);
        if here.bonuses.is_empty() && there.bonuses.is_empty() {
            return there.visit_value >= here.visit_value;
        }
        self.who(a).all(|k| there.extra(k) >= here.extra(k))
    }

    /// The candidates of a slot that is kept.
    pub(super) fn candidates(
        &self,
        kept: &Useful,
        market: &Market,
        listed: &[(&Candidate, u32)],
    ) -> Vec<Cand> {
        let at = &self.at[kept.n];
        let mut all = Vec::with_capacity(at.len);
        all.extend(self.who(kept.n).map(|k| {
            let (c, number) = listed[k as usize];
            Cand {
                intent: number,
                quantity: u16::try_from(c.quantity()).expect("a quantity in its limits"),
                base: c.base() + at.extra(k),
                limit: market.limit_of(c),
                distance_m: c.distance_m(),
                bound_here: at.held && market.pinned(c.intent),
            }
        }));
        all
    }
}

impl At {
    /// What the visitor of that place in the list is worth more in this slot.
    fn extra(&self, k: u32) -> i64 {
        let at = self.bonuses.binary_search_by_key(&k, |bonus| bonus.0);
        self.visit_value + at.map_or(0, |at| self.bonuses[at].1)
    }
}
