//! Branch and bound: what is small enough is closed.
//!
//! A branch says of each window whether it is open and how large its group is, and of some
//! candidates whether they are in it; its bound is that of the dual prices under these
//! restrictions. The branch with the greatest bound is split first, where its prices hesitate most;
//! branches that cannot beat the incumbent are dropped. What is left when the counted nodes are
//! used up bounds the optimum.

use super::Compact;
use super::plan::Plan;
use super::dual::{Branch, Demand, Domain, Frequency, NONE, Pace, Prices};
use crate::solver::price::SCALE;
use std::collections::BinaryHeap;

/// Rounds of prices at the nodes below the root.
const PACE: Pace = Pace { rounds: 40, patience: 4, halvings: 5 };

/// A branch that waits to be split.
#[derive(Debug)]
struct Node {
    bound: i128,
    number: u32,
    branch: Branch,
    prices: Prices,
    seen: Frequency,
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
enum Split {
    /// Whether the window opens.
    Window(u32),
    /// Whether its group is below this size.
    Size(u32, u32),
    /// Whether the candidate is in its window.
    Cand(u32),
    /// There is nothing to split by.
    Nothing,
}

/// The tree.
struct Tree<'a> {
    part: &'a Compact,
    /// The best grouping so far.
    plan: Plan<'a>,
    /// What groupings are tried in.
    trial: Plan<'a>,
    /// Bounds below this, scaled, hold nothing better than the incumbent.
    enough: i128,
    floor: i128,
    nodes: BinaryHeap<Node>,
    made: u32,
    /// The greatest bound of branches that can neither be split nor dropped.
    stuck: i128,
    demand: Demand,
}

impl Compact {
    /// Improves `plan` as far as branches show the way, and returns a bound, scaled, of all
    /// groupings; at most `nodes` branches are looked at.
    pub(crate) fn close<'a>(&'a self, plan: &mut Plan<'a>, prices: &Prices, nodes: u32) -> i128 {
        let mut tree = Tree {
            part: self,
            plan: plan.clone(),
            trial: plan.clone(),
            enough: 0,
            floor: 0,
            nodes: BinaryHeap::new(),
            made: 0,
            stuck: i128::MIN,
            demand: Demand::default(),
        };
        tree.aim();
        let branch = Branch {
            windows: vec![Domain::FREE; self.windows.len()],
            cands: vec![0; self.cands.len()],
        };
        tree.grow(branch, prices);
        while tree.made < nodes {
            let Some(node) = tree.nodes.pop() else { break };
            tree.split(node);
        }
        plan.better_of(&tree.plan);
        let open = tree.nodes.iter().map(|node| node.bound).max();
        open.unwrap_or(i128::MIN).max(tree.stuck).max(tree.floor)
    }
}

impl Tree<'_> {
    /// What is looked for is better than the best so far.
    fn aim(&mut self) {
        self.floor = self.plan.total().value as i128 * SCALE as i128;
        self.enough = self.floor + SCALE as i128;
    }

    /// Takes the grouping that the prices ask for.
    fn follow(&mut self) {
        self.trial.follow(&self.demand);
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
        let bound = self.part.tighten(
            &mut prices,
            Some(&branch),
            PACE,
            reach,
            &mut self.demand,
            Some(&mut seen),
        );
        let Some(bound) = bound.filter(|bound| *bound >= self.enough) else { return };
        if !self.fix(&mut branch, &prices, bound) {
            return;
        }
        let number = self.made;
        self.nodes.push(Node { bound, number, branch, prices, seen });
    }

    /// Settles windows that must be open, or closed, in everything better than the incumbent;
    /// false if that leaves nothing.
    fn fix(&mut self, branch: &mut Branch, prices: &Prices, bound: i128) -> bool {
        let Some(bound_now) = self.part.bound_at(prices, Some(branch), &mut self.demand) else {
            return false;
        };
        debug_assert_eq!(bound_now, bound);
        self.follow();
        if bound < self.enough {
            return false;
        }
        let slack = bound - self.enough;
        for (w, window) in self.part.windows.iter().enumerate() {
            let domain = &mut branch.windows[w];
            if !self.demand.simple[window.offer as usize] || !domain.may_open || !domain.may_close {
                continue;
            }
            let worth = self.demand.open_worth[w];
            if worth <= NONE || worth as i128 + slack < 0 {
                domain.may_open = false;
            } else if worth as i128 > slack {
                domain.may_close = false;
            }
        }
        true
    }

    fn split(&mut self, node: Node) {
        let Node { bound, branch, prices, seen, .. } = node;
        if bound < self.enough {
            return;
        }
        match self.choose(&branch, &prices, &seen) {
            Split::Window(w) => {
                let mut closed = branch.clone();
                closed.windows[w as usize].may_open = false;
                self.grow(closed, &prices);
                let mut open = branch;
                open.windows[w as usize].may_close = false;
                self.grow(open, &prices);
            }
            Split::Size(w, size) => {
                let mut small = branch.clone();
                small.windows[w as usize].most = size - 1;
                self.grow(small, &prices);
                let mut large = branch;
                large.windows[w as usize].least = size;
                self.grow(large, &prices);
            }
            Split::Cand(n) => {
                let i = self.part.cands[n as usize].intent;
                let mut out = branch.clone();
                out.cands[n as usize] = -1;
                self.grow(out, &prices);
                let mut inside = branch;
                for &(w, m) in &self.part.places[i as usize] {
                    inside.cands[m as usize] = if m == n { 1 } else { -1 };
                    if m == n {
                        inside.windows[w as usize].may_close = false;
                    }
                }
                self.grow(inside, &prices);
            }
            // Everything is settled, and what it holds has been tried; but who accepted a window
            // was not moved for that.
            Split::Nothing if self.part.cands.iter().any(|c| c.bound_here) => {
                self.stuck = self.stuck.max(bound);
            }
            Split::Nothing => {}
        }
    }

    /// Where the prices of a branch hesitate most.
    fn choose(&mut self, branch: &Branch, prices: &Prices, seen: &Frequency) -> Split {
        let part = self.part;
        let undecided = |w: usize| branch.windows[w].may_open && branch.windows[w].may_close;
        let doubt = |times: u32| times.min(seen.rounds - times);
        let most = (0..part.windows.len())
            .filter(|&w| undecided(w))
            .map(|w| (doubt(seen.windows[w]), w))
            .max_by_key(|&(doubt, w)| (doubt, std::cmp::Reverse(w)));
        if let Some((doubt, w)) = most
            && doubt * 20 > seen.rounds
        {
            return Split::Window(w as u32);
        }
        part.bound_at(prices, Some(branch), &mut self.demand).expect("it has a bound");
        let free = |n: u32| branch.cands[n as usize] == 0;
        // A candidate about whom the rounds disagree, in a window that is open.
        let mut best: Option<(u32, u32)> = None;
        for (w, window) in part.windows.iter().enumerate() {
            if !branch.windows[w].may_open {
                continue;
            }
            for n in (window.first..window.end).filter(|&n| free(n)) {
                let doubt = doubt(seen.cands[n as usize]);
                if best.is_none_or(|b| doubt > b.0) {
                    best = Some((doubt, n));
                }
            }
        }
        let sized = self.split_size(branch);
        match (best, most, sized) {
            (_, _, Some(split)) => split,
            (Some((doubt, n)), _, _) if doubt > 0 => Split::Cand(n),
            (_, Some((_, w)), _) => Split::Window(w as u32),
            (Some((_, n)), _, _) => Split::Cand(n),
            _ => Split::Nothing,
        }
    }

    /// A window that is open, at a tier that is open.
    fn split_size(&self, branch: &Branch) -> Option<Split> {
        for (w, window) in self.part.windows.iter().enumerate() {
            let domain = branch.windows[w];
            if domain.may_close || !domain.may_open {
                continue;
            }
            let tiers = &self.part.offers[window.offer as usize].tiers;
            let (tier, _) = self.demand.tier[w];
            let (tier, least) = (tier as usize, domain.least);
            // Settle that the tier that it asks for is reached, and the next one is not.
            let steps = [tiers.get(tier), tiers.get(tier + 1)];
            for step in steps.into_iter().flatten() {
                if step.min_buyers > least.max(tiers[0].min_buyers)
                    && step.min_buyers <= domain.most
                    && step.min_buyers <= window.end - window.first
                {
                    return Some(Split::Size(w as u32, step.min_buyers));
                }
            }
        }
        None
    }
}
