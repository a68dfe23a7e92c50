//! Pieces of one grouping, grafted onto another.
//!
//! Two searches of a great part end with groupings that differ nearly everywhere, and what differs hangs
//! together: hardly any region is left that one could take over from the other as it is
//! ([`super::merge`]). Yet one does better here, and the other there. So a few windows that are neighbours
//! are made as the other grouping has them, whoever that sets free looks for another window, what that
//! disturbs is improved, and if all of it gains, it stays.

use super::plan::{FREE, Plan};
use super::search::Dice;

/// The most windows of a piece.
const PIECE: usize = 6;
/// How often windows that a piece has disturbed are gone through.
const PASSES: usize = 1;

/// Another grouping.
struct Other<'a> {
    members: &'a [Vec<u32>],
    /// By intent: its window there.
    home: Vec<u32>,
}

impl Plan<'_> {
    /// Tries pieces of another grouping of the part, so many, which look at so many candidates at most; the
    /// objective and its ties never get worse.
    ///
    /// **Cost** of a try: the candidates of a piece's windows, and of those that it disturbs.
    pub(crate) fn graft(
        &mut self,
        members: &[Vec<u32>],
        (tries, work): (u32, u64),
        dice: &mut Dice,
    ) {
        let mut home = vec![FREE; self.part.intents.len()];
        for (group, w) in members.iter().zip(0..) {
            group.iter().for_each(|&n| home[self.cand(n).intent as usize] = w);
        }
        let other = Other { members, home };
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
                self.keep();
                differ = self.differing(&other);
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
            self.fill(i);
        }
        let disturbed = self.changed(0).collect();
        self.improve(disturbed, PASSES);
        true
    }
}
