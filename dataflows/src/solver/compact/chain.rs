//! Chains of exchanges: a window is filled up although hardly anybody is free who could be in it.
//!
//! A buyer leaves another window for it, somebody takes the seat left there, and so on, until a
//! buyer who is free takes the last seat, or a window is reached that can spare one, or is worth so
//! little that the seat is worth more. Where tiers ask for many buyers a market's worth is in how
//! many windows are full, and the last one is often full only so: taking buyers from full windows
//! alone would break those up.

use super::Cand;
use super::plan::{FREE, Plan};
use super::search::Dice;

/// The most windows that a chain passes through.
const LONGEST: usize = 8;
/// How many other windows a step of exchanges tries to fill where buyers have come free.
const CHAINED_NEXT: usize = 8;

/// How a seat in a window came to be left.
#[derive(Debug, Clone, Copy)]
struct Link {
    window: u32,
    /// The link of the window that its buyer went to, and the candidate there.
    via: usize,
    cand: u32,
    /// What the chain has gained so far.
    gain: i64,
}

/// How a chain ends best.
#[derive(Debug, Clone, Copy)]
struct End {
    gain: i64,
    /// The link of the last seat, and the candidate who takes it.
    via: usize,
    cand: u32,
}

impl Plan<'_> {
    /// Fills the window by chains, often in place of another that its buyers are in; then others
    /// that those who have come free could be in.
    pub(crate) fn exchange(&mut self, w: u32, dice: &mut Dice, freed: &mut Vec<u32>) -> bool {
        let near = self.part.cands_of(w);
        let home = self.home[near[dice.below(near.len())].intent as usize];
        let may_close = home != FREE && home != w && !self.is_held(home);
        let closes = may_close && dice.below(2) > 0;
        if closes {
            self.close(home, freed);
        }
        let tier = self.some_tier(w, dice);
        let (mark, before) = (self.mark(), freed.len());
        if !self.fill_by_chains(w, tier, freed) {
            if closes || !may_close {
                return false;
            }
            // Somebody has to make room.
            self.roll_back(mark);
            freed.truncate(before);
            self.close(home, freed);
            if !self.fill_by_chains(w, tier, freed) {
                return false;
            }
        }
        for _ in 0..CHAINED_NEXT {
            freed.retain(|&i| self.home[i as usize] == FREE);
            let Some(&i) = freed.get(dice.below(freed.len())) else { break };
            let places = &self.part.places[i as usize];
            let next = places[dice.below(places.len())].0;
            let (mark, before) = (self.mark(), freed.len());
            let tier = self.some_tier(next, dice);
            if self.is_open(next) || !self.fill_by_chains(next, tier, freed) {
                self.roll_back(mark);
                freed.truncate(before);
            }
        }
        true
    }

    /// A tier of the window: the deepest that it can reach, or any.
    fn some_tier(&self, w: u32, dice: &mut Dice) -> usize {
        let tiers = &self.part.offer_of(w).tiers;
        if dice.below(2) == 0 {
            return dice.below(tiers.len());
        }
        let caps = &self.part.windows[w as usize].caps;
        let reached = tiers.iter().zip(caps).take_while(|(tier, cap)| tier.min_buyers <= **cap);
        reached.count().saturating_sub(1)
    }

    /// Fills the window with as many buyers as the tier asks for, each of whom can pay it, by
    /// chains that leave every other window at its tier, but for slight ones; `freed` gets who had to
    /// leave. False if there are too few.
    ///
    /// **Cost** for every buyer, the candidates of the windows that buyers of it are in.
    fn fill_by_chains(&mut self, w: u32, tier: usize, freed: &mut Vec<u32>) -> bool {
        let least = self.part.offer_of(w).tiers[tier].min_buyers as usize;
        if (self.part.windows[w as usize].caps[tier] as usize) < least {
            return false;
        }
        let price = self.price(w, tier);
        let (stay, leave): (Vec<u32>, Vec<u32>) =
            self.members[w as usize].iter().partition(|&&n| self.cand(n).pays(price));
        if stay.len() >= least || leave.iter().any(|&n| self.cand(n).bound_here) {
            return false;
        }
        if !leave.is_empty() {
            freed.extend(leave.iter().map(|&n| self.cand(n).intent));
            self.set(w, stay);
        }
        while self.members[w as usize].len() < least {
            if !self.extend_by_chain(w, price, freed) {
                return false;
            }
        }
        true
    }

    /// Brings one more buyer to the window, by the shortest chain; of those by the one that gains
    /// most. `freed` gets who has to leave where it ends.
    fn extend_by_chain(&mut self, w: u32, price: i64, freed: &mut Vec<u32>) -> bool {
        let mut links = vec![Link { window: w, via: 0, cand: 0, gain: 0 }];
        self.chains = self.chains.wrapping_add(1);
        let mut best: Option<End> = None;
        let mut from = 0;
        for _ in 0..LONGEST {
            let until = links.len();
            for via in from..until {
                let price = if via == 0 { price } else { self.pays[links[via].window as usize].0 };
                self.follow_link(via, price, &mut links, until, &mut best);
            }
            if best.is_some() {
                break;
            }
            from = until;
        }
        best.is_some_and(|end| self.apply(&links, end, freed))
    }

    /// Looks for who could take the seat that was left at the link's window.
    fn follow_link(
        &mut self,
        via: usize,
        price: i64,
        links: &mut Vec<Link>,
        known: usize,
        best: &mut Option<End>,
    ) {
        let Link { window, gain, .. } = links[via];
        let places = {
            let window = &self.part.windows[window as usize];
            window.first..window.end
        };
        self.work += places.len() as u64;
        for cand in places {
            let c = self.cand(cand);
            let home = self.home[c.intent as usize];
            let away = self.part.away[c.intent as usize];
            if home == window || home == links[0].window || away || !c.pays(price) {
                continue;
            }
            let seat = c.at(price);
            let mut gain = gain + seat;
            let mut last = home == FREE;
            if !last {
                let Some(own) = self.seat_of(c.intent) else { continue };
                let (pays, spare) = self.pays[home as usize];
                let own = self.cand(own).at(pays);
                let spared = if spare > 0 { Some(own) } else { self.slight(home, c, seat) };
                gain -= spared.unwrap_or(own);
                last = spared.is_some();
            }
            if last {
                if best.is_none_or(|b| gain > b.gain) {
                    *best = Some(End { gain, via, cand });
                }
                continue;
            }
            let link = Link { window: home, via, cand, gain };
            let (chain, other) = self.links[home as usize];
            if chain != self.chains {
                self.links[home as usize] = (self.chains, links.len() as u32);
                links.push(link);
            } else if other as usize >= known && links[other as usize].gain < gain {
                links[other as usize] = link;
            }
        }
    }

    /// Moves everybody along the chain; false if stock or a promise does not allow it.
    fn apply(&mut self, links: &[Link], end: End, freed: &mut Vec<u32>) -> bool {
        let last = self.home[self.cand(end.cand).intent as usize];
        let mut moves = vec![(links[end.via].window, end.cand)];
        let mut at = end.via;
        while at > 0 {
            let Link { via, cand, .. } = links[at];
            moves.push((links[via].window, cand));
            at = via;
        }
        for &(to, n) in moves.iter().rev() {
            let i = self.cand(n).intent;
            let home = self.home[i as usize];
            if home != FREE {
                let left = self.members[home as usize].iter().copied();
                let left = left.filter(|&m| self.cand(m).intent != i).collect();
                self.set(home, left);
            }
            self.join(to, n);
        }
        if last != FREE && self.settle(last, freed).is_err() {
            return false;
        }
        moves.iter().all(|&(to, _)| {
            let offer = self.part.windows[to as usize].offer as usize;
            self.used[offer] <= self.part.offers[offer].stock
        })
    }

    /// What the objective loses if the buyer leaves a window that is worth no more than the seat;
    /// `None` if it is worth more, or cannot be left, or a link of the chain may have taken the buyer.
    fn slight(&mut self, home: u32, c: &Cand, seat: i64) -> Option<i64> {
        let linked = self.links[home as usize].0 == self.chains;
        if linked || self.worth[home as usize] > seat { None } else { self.loss(c.intent) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::Slot;
    use crate::solver::compact::Compact;
    use crate::solver::tests::FIRST;
    use crate::solver::tests::cliff::cliff;

    /// The window of a slot.
    fn window(part: &Compact, slot: i32) -> u32 {
        let at = part.windows.iter().position(|w| w.slot == Slot(FIRST + slot));
        at.expect("a window") as u32
    }

    /// Seats those buyers in it: of the market that was made of buyers one, two, and so on.
    fn seat(plan: &mut Plan<'_>, w: u32, buyers: &[u32]) {
        let places = (plan.part.windows[w as usize].first..).zip(plan.part.cands_of(w));
        let seated = places.filter(|(_, c)| buyers.contains(&(c.intent + 1))).map(|(n, _)| n);
        plan.set(w, seated.collect());
        plan.keep();
    }

    #[test]
    fn a_slight_window_is_broken_up_to_fill_a_great_one() {
        // One and two, who are together early, could fill up the later window.
        let market = cliff(&[(1, 0, 2), (2, 0, 2), (3, 1, 2), (4, 1, 2), (5, 0, 1)]);
        let part = Compact::of(&market, &[0]);
        let mut plan = Plan::empty(&part);
        let (early, late) = (window(&part, 0), window(&part, 1));
        seat(&mut plan, early, &[1, 2]);
        assert_eq!(plan.total().value, 20);
        let mut freed = Vec::new();
        assert!(plan.fill_by_chains(late, 1, &mut freed));
        assert_eq!((plan.total().value, plan.members[late as usize].len()), (1_600, 4));
        freed.retain(|&i| plan.home[i as usize] == FREE);
        assert!(!plan.is_open(early) && freed.is_empty());
        plan.roll_back(0);
        assert_eq!(plan.total().value, 20);
    }

    #[test]
    fn no_buyer_is_twice_in_a_chain() {
        // One would have to leave the second window for the third, and for the first, whose buyer
        // three takes that seat: slight as the second is beside the first's seat, it is a link already.
        let market =
            cliff(&[(1, 0, 3), (2, 1, 2), (3, 0, 2), (4, 0, 1), (5, 0, 1), (6, 0, 1), (7, 2, 3)]);
        let part = Compact::of(&market, &[0]);
        let mut plan = Plan::empty(&part);
        let (first, second, third) = (window(&part, 0), window(&part, 1), window(&part, 2));
        seat(&mut plan, first, &[3, 4, 5, 6]);
        seat(&mut plan, second, &[1, 2]);
        assert_eq!(plan.total().value, 1_620);
        assert!(!plan.fill_by_chains(third, 0, &mut Vec::new()));
        plan.roll_back(0);
        assert_eq!(plan.total().value, 1_620);
    }
}
