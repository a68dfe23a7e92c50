//! Windows that can be exchanged for each other: one of many equal branches is enough.
//!
//! Two windows with the same candidates at the same worth, of one offer or of offers that are
//! alike, may swap their groups, if stock leaves that open: so the larger group may be taken to be
//! in the earlier one. Offers that are alike share their stock here, which holds more than before,
//! never less: what bounds that bounds the part.

use super::dual::Branch;
use super::{Cand, Compact, Offer};

/// Windows by what they can be exchanged for.
#[derive(Debug)]
pub(crate) struct Alike {
    /// By window: those before it, and those after it, that are like it.
    before: Vec<Vec<u32>>,
    after: Vec<Vec<u32>>,
    /// By offer: whether others are like it.
    pub shared: Vec<bool>,
}

impl Alike {
    pub(crate) fn of(part: &Compact) -> Self {
        let mut shared = vec![false; part.offers.len()];
        // Every offer, by the first that is like it.
        let mut kind: Vec<usize> = (0..part.offers.len()).collect();
        for n in 0..part.offers.len() {
            let of = |m: &usize| kind[*m] == *m && like(part, &part.offers[*m], &part.offers[n]);
            if let Some(m) = (0..n).find(of) {
                kind[n] = m;
                (shared[n], shared[m]) = (true, true);
            }
        }
        let windows = part.windows.len();
        let (mut before, mut after) = (vec![Vec::new(); windows], vec![Vec::new(); windows]);
        for b in 0..windows as u32 {
            let offer = kind[part.windows[b as usize].offer as usize];
            for a in 0..b {
                if kind[part.windows[a as usize].offer as usize] == offer
                    && same(part.cands_of(a), part.cands_of(b))
                {
                    before[b as usize].push(a);
                    after[a as usize].push(b);
                }
            }
        }
        Self { before, after, shared }
    }

    /// The window is closed, or smaller than that: so are those after it.
    pub(crate) fn lower(&self, branch: &mut Branch, w: u32) {
        let top = branch.windows[w as usize];
        for &a in &self.after[w as usize] {
            let domain = &mut branch.windows[a as usize];
            domain.may_open &= top.may_open;
            domain.most = domain.most.min(top.most);
        }
    }

    /// The window is open, or no smaller than that: so are those before it.
    pub(crate) fn raise(&self, branch: &mut Branch, w: u32) {
        let low = branch.windows[w as usize];
        for &b in &self.before[w as usize] {
            let domain = &mut branch.windows[b as usize];
            domain.may_close &= low.may_close;
            domain.least = domain.least.max(low.least);
        }
    }

    /// The part as if stock bound no offer that others are like.
    ///
    /// A window's greatest group stays what it was.
    pub(crate) fn unbound(&self, part: &Compact) -> Compact {
        let mut part = part.clone();
        for (offer, _) in part.offers.iter_mut().zip(&self.shared).filter(|pair| *pair.1) {
            let windows = offer.windows.iter().map(|&w| &part.windows[w as usize]);
            let all = windows.flat_map(|w| &part.cands[w.first as usize..w.end as usize]);
            let mut all: Vec<(u32, u32)> = all.map(|c| (c.intent, c.quantity as u32)).collect();
            all.sort_unstable();
            all.dedup();
            offer.stock = all.iter().map(|c| c.1 as i64).sum();
            (offer.most, offer.scarce) = (all.len(), false);
        }
        part
    }
}

/// Whether the offers differ in nothing but where they are.
fn like(part: &Compact, a: &Offer, b: &Offer) -> bool {
    (a.stock, a.cap, &a.tiers, a.windows.len()) == (b.stock, b.cap, &b.tiers, b.windows.len())
        && a.windows.iter().zip(&b.windows).all(|(&a, &b)| {
            part.windows[a as usize].slot == part.windows[b as usize].slot
                && same(part.cands_of(a), part.cands_of(b))
        })
}

fn same(a: &[Cand], b: &[Cand]) -> bool {
    let key = |c: &Cand| (c.intent, c.quantity, c.base, c.limit, c.bound_here);
    a.iter().map(key).eq(b.iter().map(key)) && !a.iter().any(|c| c.bound_here)
}
