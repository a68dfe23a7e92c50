//! Branch and bound: what is small enough is closed.
//!
//! A branch says of each window whether it is open and how large its group is, and of some
//! candidates whether they are in it; its bound is that of the dual prices under these
//! restrictions. The branch with the greatest bound is split first, where its prices hesitate most;
//! branches that cannot beat the incumbent are dropped. What is left when the counted nodes are
//! used up bounds the optimum.

use super::Compact;
use super::alike::Alike;
use super::dual::{Branch, Demand, Domain, NONE, Prices};
use super::plan::Plan;
use super::rounds::{FULL_LENGTH, Frequency, Pace};
use super::solve::Relaxed;
use crate::solver::price::SCALE;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Rounds of prices at the nodes below the root.
const PACE: Pace = Pace { rounds: 40, patience: 4, work: u64::MAX, length: FULL_LENGTH };

/// Rounds of prices that a split is tried with.
const TRIAL: Pace = Pace { rounds: 8, patience: 2, work: u64::MAX, length: FULL_LENGTH };
/// More rounds where only candidates are open.
const DEEP: Pace = Pace { rounds: 100, patience: 6, work: u64::MAX, length: FULL_LENGTH };
/// The first nodes, and then one in some, also show groupings.
const FOLLOWED: (u32, u32) = (16, 8);
/// How many splits are tried: by windows, by sizes, by candidates.
const SPLITS: (usize, usize, usize) = (4, 3, 3);

/// A branch that waits to be split.
#[derive(Debug)]
struct Node {
    bound: i128,
    number: u32,
    branch: Branch,
    prices: Prices,
    seen: Frequency,
    /// Whether its prices are as good as rounds make them.
    deep: bool,
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Node {}

impl PartialOrd for Node {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Node {
    /// The greatest bound first; of equal ones the latest, which is deeper.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.bound, self.number).cmp(&(other.bound, other.number))
    }
}

/// How a node is split.
#[derive(Debug, Clone, Copy)]
enum Split {
    /// Whether the window opens.
    Window(u32),
    /// Whether its group is below this size.
    Size(u32, u32),
    /// Whether the candidate is in its window.
    Cand(u32),
}

/// The tree.
struct Tree<'t, 'a> {
    /// What bounds the part: itself, or more than it.
    part: &'t Compact,
    alike: Alike,
    /// The best grouping so far.
    plan: Plan<'a>,
    /// What groupings are tried in.
    trial: Plan<'a>,
    /// Bounds below this, scaled, hold nothing better than the incumbent.
    enough: i128,
    floor: i128,
    /// What the objective is a multiple of.
    grain: i64,
    nodes: BinaryHeap<Node>,
    made: u32,
    /// The greatest bound of branches that can neither be split nor dropped.
    stuck: i128,
    demand: Demand,
}

impl Compact {
    /// Improves `plan` as far as branches show the way, and returns a bound, scaled, of all
    /// groupings, and the steps taken; branches are looked at for `work` counted steps.
    pub(crate) fn close<'a>(
        &'a self,
        plan: &mut Plan<'a>,
        relaxed: &Relaxed,
        grain: i64,
        work: u64,
    ) -> (i128, u64) {
        let alike = Alike::of(self);
        let shared = alike.shared.contains(&true).then(|| alike.unbound(self));
        let mut tree = Tree {
            part: shared.as_ref().unwrap_or(self),
            alike,
            plan: plan.clone(),
            trial: plan.clone(),
            enough: 0,
            floor: 0,
            grain,
            nodes: BinaryHeap::new(),
            made: 0,
            stuck: i128::MIN,
            demand: Demand {
                together: relaxed.together,
                cuts: relaxed.cuts.clone(),
                ..Demand::default()
            },
        };
        tree.aim();
        let branch = Branch {
            windows: vec![Domain::FREE; self.windows.len()],
            cands: vec![0; self.cands.len()],
        };
        tree.grow(branch, &relaxed.prices);
        while tree.demand.work < work {
            let Some(node) = tree.nodes.pop() else { break };
            tree.split(node);
        }
        plan.better_of(&tree.plan);
        let open = tree.nodes.iter().map(|node| node.bound).max();
        (open.unwrap_or(i128::MIN).max(tree.stuck).max(tree.floor), tree.demand.work)
    }
}

impl Tree<'_, '_> {
    /// What is looked for is better than the best so far.
    fn aim(&mut self) {
        self.floor = self.plan.total().value as i128 * SCALE as i128;
        self.enough = self.floor + (self.grain * SCALE) as i128;
    }

    /// Takes the grouping that the prices ask for.
    fn follow(&mut self) {
        self.trial.follow(&self.demand);
        self.take_trial();
    }

    fn take_trial(&mut self) {
        if self.trial.total() > self.plan.total() {
            self.plan.better_of(&self.trial);
            self.aim();
        }
    }

    /// Works out a branch's bound, and keeps the branch if it may hold something better.
    fn grow(&mut self, mut branch: Branch, prices: &Prices) {
        self.made += 1;
        let mut prices = prices.clone();
        let mut seen = Frequency::of(self.part);
        let reach = (self.floor, self.enough);
        let part = self.part;
        let bound = part.tighten(
            &mut prices,
            Some(&branch),
            PACE,
            reach,
            &mut self.demand,
            &mut |demand| seen.note(part, demand),
        );
        let Some(bound) = bound.filter(|bound| *bound >= self.enough) else { return };
        if !self.fix(&mut branch, &prices, bound) {
            return;
        }
        let number = self.made;
        self.nodes.push(Node { bound, number, branch, prices, seen, deep: false });
    }

    /// Settles windows that must be open, or closed, in everything better than the incumbent;
    /// false if that leaves nothing.
    fn fix(&mut self, branch: &mut Branch, prices: &Prices, bound: i128) -> bool {
        let Some(bound_now) = self.part.bound_at(prices, Some(branch), &mut self.demand) else {
            return false;
        };
        debug_assert_eq!(bound_now, bound);
        if self.made < FOLLOWED.0 || self.made.is_multiple_of(FOLLOWED.1) {
            self.follow();
        }
        if bound < self.enough {
            return false;
        }
        let slack = bound - self.enough;
        for (w, window) in self.part.windows.iter().enumerate() {
            let domain = &mut branch.windows[w];
            if !domain.may_open || !domain.may_close {
                continue;
            }
            // Prices bound the sum of an offer's windows too, by that much less tightly.
            let slack = slack + self.demand.excess[window.offer as usize] as i128;
            let worth = self.demand.open_worth[w];
            if worth <= NONE || worth as i128 + slack < 0 {
                domain.may_open = false;
            } else if worth as i128 > slack {
                domain.may_close = false;
            }
        }
        for (w, window) in self.part.windows.iter().enumerate() {
            if branch.windows[w].may_open {
                let slack = slack + self.demand.excess[window.offer as usize] as i128;
                self.part.rule_out(w as u32, prices, branch, slack, &mut self.demand);
            }
        }
        true
    }

    fn split(&mut self, node: Node) {
        let Node { mut bound, branch, mut prices, mut seen, deep, .. } = node;
        if bound < self.enough {
            return;
        }
        if !deep && self.is_shaped(&branch, &prices) {
            // Only who is where is open, which prices alone nearly settle.
            let part = self.part;
            let reach = (self.floor, self.enough);
            let more = part.tighten(
                &mut prices,
                Some(&branch),
                DEEP,
                reach,
                &mut self.demand,
                &mut |demand| seen.note(part, demand),
            );
            bound = bound.min(more.unwrap_or(i128::MIN));
            if bound >= self.enough {
                self.made += 1;
                let number = self.made;
                self.nodes.push(Node { bound, number, branch, prices, seen, deep: true });
            }
            return;
        }
        let Some(split) = self.choose(&branch, &prices, &seen, bound) else {
            // Everything is settled: all that the branch holds is this one grouping. Unless it was
            // tried, its bound stands; who accepted a window is not moved for a trial.
            let (part, demand) = (self.part, &mut self.demand);
            part.bound_at(&prices, Some(&branch), demand).expect("it has a bound");
            let held = self.part.cands.iter().any(|c| c.bound_here);
            if held {
                self.stuck = self.stuck.max(bound);
            } else if self.trial.seat_all(&self.demand) == Ok(()) {
                self.take_trial();
            } else if self.alike.shared.contains(&true) {
                // Stock that is not shared may be too little for it.
                self.stuck = self.stuck.max(bound);
            }
            return;
        };
        for child in self.children(&branch, split) {
            self.grow(child, &prices);
        }
    }

    /// Whether every window is settled to be open, at one tier, or closed.
    fn is_shaped(&mut self, branch: &Branch, prices: &Prices) -> bool {
        self.part.bound_at(prices, Some(branch), &mut self.demand).expect("it has a bound");
        branch.windows.iter().all(|domain| !domain.may_open || !domain.may_close)
            && self.split_sizes(branch).next().is_none()
    }

    fn children(&self, branch: &Branch, split: Split) -> [Branch; 2] {
        let (mut one, mut other) = (branch.clone(), branch.clone());
        match split {
            Split::Window(w) => {
                one.windows[w as usize].may_open = false;
                self.alike.lower(&mut one, w);
                other.windows[w as usize].may_close = false;
                self.alike.raise(&mut other, w);
            }
            Split::Size(w, size) => {
                one.windows[w as usize].most = size - 1;
                self.alike.lower(&mut one, w);
                other.windows[w as usize].least = size;
                self.alike.raise(&mut other, w);
            }
            Split::Cand(n) => {
                one.cands[n as usize] = -1;
                let i = self.part.cands[n as usize].intent;
                for &(w, m) in &self.part.places[i as usize] {
                    other.cands[m as usize] = if m == n { 1 } else { -1 };
                    if m == n {
                        other.windows[w as usize].may_close = false;
                    }
                }
            }
        }
        [one, other]
    }

    /// Of the splits at which the prices of a branch hesitate most: the one that promises the
    /// lowest bounds after a few rounds.
    fn choose(
        &mut self,
        branch: &Branch,
        prices: &Prices,
        seen: &Frequency,
        bound: i128,
    ) -> Option<Split> {
        let splits = self.doubtful(branch, prices, seen);
        if splits.len() < 2 {
            return splits.first().copied();
        }
        let mut best: Option<(i128, Split)> = None;
        for split in splits {
            let mut fall = [0; 2];
            for (fall, child) in fall.iter_mut().zip(self.children(branch, split)) {
                let mut prices = prices.clone();
                let reach = (self.floor, self.enough);
                let trial = self.part.tighten(
                    &mut prices,
                    Some(&child),
                    TRIAL,
                    reach,
                    &mut self.demand,
                    &mut |_| {},
                );
                let most = bound - self.enough + 1;
                *fall = trial.map_or(most, |trial| (bound - trial).clamp(0, most)) / 16 + 1;
            }
            let score = fall[0] * fall[1];
            if best.is_none_or(|best| score > best.0) {
                best = Some((score, split));
            }
        }
        best.map(|best| best.1)
    }

    /// Splits of the branch, where its prices hesitate most first.
    fn doubtful(&mut self, branch: &Branch, prices: &Prices, seen: &Frequency) -> Vec<Split> {
        let part = self.part;
        part.bound_at(prices, Some(branch), &mut self.demand).expect("it has a bound");
        let doubt = |times: u32| times.min(seen.rounds - times);
        let mut windows: Vec<(Reverse<u32>, u32)> = (0..part.windows.len() as u32)
            .filter(|&w| {
                branch.windows[w as usize].may_open && branch.windows[w as usize].may_close
            })
            .map(|w| (Reverse(doubt(seen.windows[w as usize])), w))
            .collect();
        windows.sort_unstable();
        let mut splits: Vec<Split> =
            windows.iter().take(SPLITS.0).map(|&(_, w)| Split::Window(w)).collect();
        splits.extend(self.split_sizes(branch).take(SPLITS.1));
        let mut cands: Vec<(Reverse<u32>, u32)> = Vec::new();
        for (w, window) in part.windows.iter().enumerate() {
            if branch.windows[w].may_open {
                let free = (window.first..window.end).filter(|&n| branch.cands[n as usize] == 0);
                cands.extend(free.map(|n| (Reverse(doubt(seen.cands[n as usize])), n)));
            }
        }
        let most = SPLITS.2.min(cands.len());
        if most > 0 {
            cands.select_nth_unstable(most - 1);
            cands.truncate(most);
            cands.sort_unstable();
        }
        splits.extend(cands.iter().map(|&(_, n)| Split::Cand(n)));
        splits
    }

    /// Windows that are open, at a tier that is open: whether the tier that each asks for is
    /// reached, and whether the next one is.
    fn split_sizes<'b>(&'b self, branch: &'b Branch) -> impl Iterator<Item = Split> + 'b {
        let open = self.part.windows.iter().enumerate().filter(|(w, _)| {
            let domain = branch.windows[*w];
            domain.may_open && self.demand.tier[*w].1 > 0
        });
        open.filter(|(w, _)| !branch.windows[*w].may_close).flat_map(|(w, window)| {
            let domain = branch.windows[w];
            let tiers = &self.part.offers[window.offer as usize].tiers;
            let tier = self.demand.tier[w].0 as usize;
            let steps = [tiers.get(tier), tiers.get(tier + 1)];
            let least = domain.least.max(tiers[0].min_buyers);
            let most = domain.most.min(window.end - window.first);
            let open = move |size: &u32| *size > least && *size <= most;
            let sizes = steps.into_iter().flatten().map(|step| step.min_buyers).filter(open);
            sizes.map(move |size| Split::Size(w as u32, size)).collect::<Vec<_>>()
        })
    }
}
