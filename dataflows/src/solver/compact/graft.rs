//! Pieces of one grouping, grafted onto another.
//!
//! Two searches of a great part end with groupings that differ nearly everywhere, and what differs hangs
//! together: hardly any region is left that one could take over from the other as it is
//! ([`super::merge`]). Yet one does better here, and the other there. So a few windows that are neighbours
//! are made as the other grouping has them, whoever that sets free looks for another window, what that
//! disturbs is improved, and if all of it gains, it stays.
//!
//! The other grouping need not be good for that: one that greedily follows what the windows ask for at
//! some prices is a tenth below the incumbent, and yet its pieces gain more, for the same work, than
//! search does where a market has changed a little everywhere.

use super::dual::Demand;
use super::plan::{FREE, Plan};
use super::search::Dice;
use super::solve::{GRAFTED, Solve};
use super::turn::Turn;
use crate::solver::effort::SEARCH_WEIGHT;
use crate::solver::{Budget, Phase};

/// The most windows of a piece.
const PIECE: usize = 6;
/// How often windows that a piece has disturbed are gone through, in a part that is kept up and from scratch:
/// there more of it gains nothing, and here more than as much further search does.
const PASSES: (usize, usize) = (3, 1);

/// A round of grafts has a try for so many intents, so many at least, and at most: these take a hundredth
/// of a second or two.
const TRIES: (u32, u32, u32) = (3, 10, 400);
/// How far prices are off in a round, in percent.
const OFF_BY: usize = 15;
/// No part has more than a round for so many of the budget's steps of search, and from scratch for so many:
/// where nothing is searched there is none.
const STEPS_A_ROUND: (u32, u32) = (6, 300);

/// Another grouping.
struct Other<'a> {
    members: &'a [Vec<u32>],
    /// How often what a piece of it disturbs is gone through.
    passes: usize,
    /// By intent: its window there.
    home: Vec<u32>,
}

impl Plan<'_> {
    /// Tries pieces of another grouping of the part, so many, which look at so many candidates at most, and of
    /// which each goes so often through what it disturbs; the objective and its ties never get worse.
    ///
    /// **Cost** of a try: the candidates of a piece's windows, and of those that it disturbs.
    pub(crate) fn graft(
        &mut self,
        members: &[Vec<u32>],
        (tries, work, passes): (u32, u64, usize),
        dice: &mut Dice,
    ) {
        let mut home = vec![FREE; self.part.intents.len()];
        for (group, w) in members.iter().zip(0..) {
            group.iter().for_each(|&n| home[self.cand(n).intent as usize] = w);
        }
        let other = Other { members, passes, home };
        self.keep();
        let most = self.work.saturating_add(work);
        let mut differ = self.differing(&other);
        for _ in 0..tries {
            if differ.is_empty() || self.work > most {
                break;
            }
            let before = self.total;
            let first = differ[dice.below(differ.len())];
            let piece = self.piece(first, &other, 1 + dice.below(PIECE));
            if self.make_alike(&piece, &other) && self.total > before {
                debug_assert!(self.is_paid_for(0), "a group reaches no tier, or cannot pay");
                self.note_differing(&other, &mut differ);
                self.keep();
            } else {
                self.roll_back(0);
            }
        }
    }

    fn differs(&self, w: u32, other: &Other<'_>) -> bool {
        self.members[w as usize] != other.members[w as usize]
    }

    fn differing(&self, other: &Other<'_>) -> Vec<u32> {
        (0..other.members.len() as u32).filter(|&w| self.differs(w, other)).collect()
    }

    /// Keeps that list true after changes.
    fn note_differing(&self, other: &Other<'_>, differ: &mut Vec<u32>) {
        for w in self.changed(0) {
            match (differ.binary_search(&w), self.differs(w, other)) {
                (Ok(at), false) => drop(differ.remove(at)),
                (Err(at), true) => differ.insert(at, w),
                _ => {}
            }
        }
        debug_assert_eq!(*differ, self.differing(other));
    }

    /// Up to so many windows that differ: this one, those that its buyers of either grouping are in in the
    /// other, and so on.
    fn piece(&self, first: u32, other: &Other<'_>, most: usize) -> Vec<u32> {
        let mut piece = vec![first];
        let mut next = 0;
        while next < piece.len() {
            let w = piece[next] as usize;
            next += 1;
            let intent = |n: &u32| self.cand(*n).intent as usize;
            let here = other.members[w].iter().map(|n| self.home[intent(n)]);
            let there = self.members[w].iter().map(|n| other.home[intent(n)]);
            for near in here.chain(there) {
                if piece.len() == most {
                    return piece;
                }
                if near != FREE && !piece.contains(&near) && self.differs(near, other) {
                    piece.push(near);
                }
            }
        }
        piece
    }

    /// Gives those windows the groups that they have in the other grouping, as far as stock allows, and
    /// groups anew whom that sets free; false if a promise is in the way.
    fn make_alike(&mut self, piece: &[u32], other: &Other<'_>) -> bool {
        let mut freed = Vec::new();
        if piece.iter().any(|&w| self.is_held(w)) {
            return false;
        }
        for &w in piece {
            if self.is_open(w) {
                self.close(w, &mut freed);
            }
        }
        for &w in piece {
            let group = &other.members[w as usize];
            let units: i64 = group.iter().map(|&n| self.cand(n).quantity as i64).sum();
            let fits = !group.is_empty() && units <= self.room(w);
            if fits && self.open(w, group.clone(), &mut freed).is_err() {
                return false;
            }
        }
        freed.retain(|&i| self.home[i as usize] == FREE);
        freed.sort_unstable();
        freed.dedup();
        for i in freed {
            // A try frees dozens: these are most of what it looks at.
            self.work += self.part.places[i as usize].len() as u64;
            self.fill(i);
        }
        let disturbed = self.changed(0).collect();
        self.improve(disturbed, other.passes);
        true
    }
}

/// How often what a piece disturbs is gone through, with that budget.
pub(super) fn passes_of(budget: Budget) -> usize {
    if budget.from_scratch { PASSES.1 } else { PASSES.0 }
}

impl Solve<'_> {
    /// Rounds of grafts, as far as its turn and its allowance go; whether none is left.
    pub(super) fn graft_on(&mut self, seed: u64, turn: &mut Turn) -> bool {
        let is_great = self.part.intents.len() > GRAFTED;
        let of = if self.budget.from_scratch { STEPS_A_ROUND.1 } else { STEPS_A_ROUND.0 };
        let most = if is_great { self.budget.search_steps / of } else { 0 };
        while turn.done.grafted < turn.rounds.min(most) && !self.is_proven() && self.left(1) > 0 {
            self.graft_round(turn.done.grafted, seed);
            turn.done.grafted += 1;
            if self.has_had(turn) {
                return false;
            }
        }
        true
    }

    /// A round: a grouping is made of what the windows ask for, in the first at the prices, in others at some
    /// nearby, so that each proposes something else; its pieces are tried on the incumbent.
    ///
    /// **Cost** a bound, a greedy over all windows, and a try for every few intents; it is not divided.
    pub(crate) fn graft_round(&mut self, n: u32, seed: u64) {
        let dice = &mut Dice(seed ^ (n as u64 + 1) << 32);
        let demand = self.demand_nearby(if n == 0 { 0 } else { OFF_BY }, dice);
        let (begun, mut asked) = (self.plan.work, self.plan.clone());
        asked.follow(&demand);
        self.plan.work = asked.work;
        let work = (self.left(u64::MAX) / SEARCH_WEIGHT).saturating_sub(asked.work - begun);
        let tries = (self.part.intents.len() as u32 / TRIES.0).clamp(TRIES.1, TRIES.2);
        let passes = passes_of(self.budget);
        self.plan.graft(&asked.members, (tries, work, passes), dice);
        self.effort.spend(Phase::Search, (self.plan.work - begun) * SEARCH_WEIGHT);
    }

    /// What the windows ask for if each buyer's price is higher or lower by chance, by so many percent at most.
    fn demand_nearby(&mut self, most: usize, dice: &mut Dice) -> Demand {
        let mut prices = self.prices.clone();
        for u in &mut prices.u {
            let percent = 100 - most + dice.below(2 * most + 1);
            *u = (*u as i128 * percent as i128 / 100) as i64;
        }
        let mut demand = Demand::default();
        self.part.bound_at(&prices, None, &mut demand).expect("nothing is forced");
        self.effort.spend(Phase::Search, demand.work);
        demand
    }
}
