//! What it costs a grouping of a part that one buyer leaves a window.

use super::plan::{FREE, Plan};
use crate::solver::plan::NO_LOSS;
use smallvec::SmallVec;

/// What a window's group is without those who cannot pay a tier's price; nobody can pay none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rest {
    tier: Option<usize>,
    /// How many can.
    stay: usize,
    /// What they are worth at that price.
    value: i64,
    /// How many of the others are promised the window.
    held: u32,
}

impl Plan<'_> {
    /// What the objective loses if the intent leaves its window alone; `None` if a promise to
    /// another member would break.
    ///
    /// **Cost** constant, but for the first of a group whose price rises: that group for each tier.
    pub(crate) fn loss(&mut self, i: u32) -> Option<i64> {
        let w = self.home[i as usize];
        if w == FREE {
            return Some(0);
        }
        let turn = self.turn[w as usize];
        let known = self.losses[i as usize];
        if known.0 == turn {
            return (known.1 != NO_LOSS).then_some(known.1);
        }
        let loss = self.loss_from(w, i);
        // One in eight: it takes longer than all else.
        let is_passed = !(turn.wrapping_add(i)).is_multiple_of(8);
        debug_assert!(is_passed || loss == self.loss_by_leaving(w, i), "intent {i} of window {w}");
        self.losses[i as usize] = (turn, loss.unwrap_or(NO_LOSS));
        loss
    }

    fn loss_from(&mut self, w: u32, i: u32) -> Option<i64> {
        let (price, spare) = self.pays[w as usize];
        let own = *self.cand(self.seat[i as usize]);
        if spare > 0 {
            return Some(own.at(price));
        }
        // The price rises; whoever cannot pay it leaves, which may raise it further.
        let mut count = self.members[w as usize].len() - 1;
        loop {
            let reached = self.reached(w, count);
            let rest = self.rest(w, reached);
            let price = reached.map(|tier| self.price(w, tier)).filter(|price| own.pays(*price));
            let staying = rest.stay - price.is_some() as usize;
            if reached.is_none() || staying == count || self.reached(w, staying) == reached {
                let held = rest.held > (price.is_none() && own.bound_here) as u32;
                let left = rest.value - price.map_or(0, |price| own.at(price));
                return (!held).then_some(self.worth[w as usize] - left);
            }
            count = staying;
        }
    }

    /// The same, by taking the intent out and back.
    fn loss_by_leaving(&mut self, w: u32, i: u32) -> Option<i64> {
        let (mark, before) = (self.mark(), self.total.value);
        let members = self.members[w as usize].iter().copied();
        let rest = members.filter(|&n| self.cand(n).intent != i).collect();
        self.set(w, rest);
        let is_held = self.settle(w, &mut Vec::new()).is_ok();
        let loss = before - self.total.value;
        self.undo(mark);
        is_held.then_some(loss)
    }

    fn rest(&mut self, w: u32, tier: Option<usize>) -> Rest {
        let turn = self.turn[w as usize];
        let known = &mut self.rests[w as usize];
        if known.0 != turn {
            *known = (turn, SmallVec::new());
        }
        if let Some(known) = known.1.iter().find(|known| known.tier == tier) {
            return *known;
        }
        let price = tier.map(|tier| self.price(w, tier));
        let mut rest = Rest { tier, stay: 0, value: 0, held: 0 };
        for c in self.members[w as usize].iter().map(|&n| self.cand(n)) {
            match price.filter(|price| c.pays(*price)) {
                Some(price) => {
                    rest.stay += 1;
                    rest.value += c.at(price);
                }
                None => rest.held += c.bound_here as u32,
            }
        }
        self.rests[w as usize].1.push(rest);
        rest
    }
}
