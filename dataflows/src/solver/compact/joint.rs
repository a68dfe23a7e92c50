//! Windows together, where they ask for more buyers than there are: an offer's windows compete for
//! the buyers that its stock can serve, and all windows for the buyers of the part.

use super::Compact;
use super::dual::{Branch, Demand, Domain, NONE, Pick, Prices, Table, sum_of_best};

impl Compact {
    /// The bound at those prices with every joint limit, scaled.
    pub(crate) fn joint_bound_at(&self, prices: &Prices, demand: &mut Demand) -> i128 {
        demand.thorough = true;
        let bound = self.bound_at(prices, None, demand);
        demand.thorough = false;
        bound.expect("nothing is forced")
    }

    /// The best that the offer's windows can do with no more buyers in all than the stock can
    /// serve; the groups are noted. `None` if they cannot.
    ///
    /// **Cost** windows * the most buyers * the most of a group.
    pub(crate) fn joint(
        &self,
        n: usize,
        prices: &Prices,
        branch: Option<&Branch>,
        demand: &mut Demand,
    ) -> Option<i64> {
        let mut tables = std::mem::take(&mut demand.tables);
        tables.resize_with(self.offers.len(), Table::default);
        let most = self.offers[n].most;
        self.tabulate(n, most, prices, branch, demand, &mut tables[n]);
        let best = tables[n].worth[most];
        if best > NONE {
            self.settle_on(n, most, prices, branch, demand, &tables[n]);
        }
        demand.tables = tables;
        (best > NONE).then_some(best)
    }

    /// By how much less all windows can do with no more buyers than the part has than the offers
    /// can, each for itself; the groups are noted. `None` if they cannot.
    ///
    /// **Cost** that of every offer's windows jointly, and offers * the most buyers squared.
    pub(crate) fn together(
        &self,
        prices: &Prices,
        branch: Option<&Branch>,
        demand: &mut Demand,
    ) -> Option<i128> {
        let all = self.places.iter().filter(|places| !places.is_empty()).count();
        if demand.picks.iter().map(|pick| pick.size).sum::<usize>() <= all {
            return Some(0);
        }
        let alone = (0..self.windows.len()).map(|w| {
            let closed = branch.is_none_or(|b| b.windows[w].may_close);
            let worth = demand.open_worth[w];
            if closed { worth.max(0) as i128 } else { worth as i128 }
        });
        let alone: i128 = alone.sum();
        let apart = alone - demand.excess.iter().map(|excess| *excess as i128).sum::<i128>();
        let mut tables = std::mem::take(&mut demand.tables);
        tables.resize_with(self.offers.len(), Table::default);
        let mut worth = vec![0; all + 1];
        let mut next = vec![NONE; all + 1];
        let mut from: Vec<u32> = Vec::new();
        for (n, offer) in self.offers.iter().enumerate() {
            let most = offer.most.min(all);
            self.tabulate(n, most, prices, branch, demand, &mut tables[n]);
            let start = from.len();
            from.resize(start + all + 1, 0);
            next.fill(NONE);
            let mut least = NONE;
            for (m, &with) in tables[n].worth.iter().enumerate() {
                if with > least {
                    least = with;
                    demand.work += (all + 1 - m) as u64 / 4;
                    add(&worth, with, m, &mut next, &mut from[start..]);
                }
            }
            std::mem::swap(&mut worth, &mut next);
        }
        let best = worth[all];
        if best > NONE {
            let mut left = all;
            for n in (0..self.offers.len()).rev() {
                let m = from[n * (all + 1) + left] as usize;
                self.settle_on(n, m, prices, branch, demand, &tables[n]);
                left -= m;
            }
            demand.excess.fill((alone - best as i128).min(i64::MAX as i128) as i64);
        }
        demand.tables = tables;
        (best > NONE).then_some(apart - best as i128)
    }

    /// By count up to `most`: what the offer's windows can do with so many buyers.
    fn tabulate(
        &self,
        n: usize,
        most: usize,
        prices: &Prices,
        branch: Option<&Branch>,
        demand: &mut Demand,
        table: &mut Table,
    ) {
        let width = most + 1;
        let mut curve = std::mem::take(&mut demand.curve);
        let Table { worth, from, next } = table;
        worth.clear();
        worth.resize(width, 0);
        next.resize(width, NONE);
        from.clear();
        for &w in &self.offers[n].windows {
            let domain = branch.map_or(Domain::FREE, |b| b.windows[w as usize]);
            let start = from.len();
            from.resize(start + width, 0);
            if !domain.may_open || (domain.may_close && demand.open_worth[w as usize] <= 0) {
                continue;
            }
            let sizes = self.curve(w, prices, branch, domain, demand, &mut curve);
            // A larger group at no more worth is of no use.
            let mut least = if domain.may_close { 0 } else { NONE };
            if domain.may_close {
                next.copy_from_slice(worth);
            } else {
                next.fill(NONE);
            }
            for (m, &with) in curve.iter().enumerate().take(sizes.1.min(most) + 1).skip(sizes.0) {
                if with > least {
                    least = with;
                    demand.work += (width - m) as u64 / 4;
                    add(worth, least, m, next, &mut from[start..]);
                }
            }
            std::mem::swap(worth, next);
        }
        demand.curve = curve;
    }

    /// Notes the offer's groups when its windows have `left` buyers in all.
    fn settle_on(
        &self,
        n: usize,
        mut left: usize,
        prices: &Prices,
        branch: Option<&Branch>,
        demand: &mut Demand,
        table: &Table,
    ) {
        let width = table.worth.len();
        for (k, &w) in self.offers[n].windows.iter().enumerate().rev() {
            let m = table.from[k * width + left] as usize;
            demand.picks[w as usize] = if m > 0 {
                let domain = branch.map_or(Domain::FREE, |b| b.windows[w as usize]);
                self.pick_of_size(w, prices, branch, domain, m, demand)
            } else {
                Pick::default()
            };
            left -= m;
        }
    }

    /// By size: the worth of the window's best group of it; the least and the greatest size.
    fn curve(
        &self,
        w: u32,
        prices: &Prices,
        branch: Option<&Branch>,
        domain: Domain,
        demand: &mut Demand,
        curve: &mut Vec<i64>,
    ) -> (usize, usize) {
        let window = &self.windows[w as usize];
        let offer = &self.offers[window.offer as usize];
        curve.clear();
        curve.resize(offer.most.max(offer.cap) + 1, NONE);
        let mut sizes = (usize::MAX, 0);
        if !domain.may_open {
            return sizes;
        }
        let v = prices.v[window.offer as usize];
        let mut order = std::mem::take(&mut demand.order);
        for (tier, step) in offer.tiers.iter().enumerate() {
            let price = step.price.minor();
            let Some(forced) = self.list(w, price, v, &prices.u, branch, &mut order) else {
                continue;
            };
            let least = (step.min_buyers.max(domain.least) as usize).max(forced).max(1);
            let mut most = (window.caps[tier].min(domain.most) as usize).min(order.len());
            if let Some(next) = offer.tiers.get(tier + 1)
                && (next.min_buyers as usize) > least
                && demand.toll(w, tier + 1) <= demand.toll(w, tier)
            {
                // Larger groups reach the next tier, where nobody is worth less.
                most = most.min(next.min_buyers as usize - 1);
            }
            if least > most {
                continue;
            }
            // Who is worth nothing is of use only as far as the least size needs them.
            let positive = forced + order[forced..].iter().filter(|e| e.0 > 0).count();
            let most = positive.clamp(least, most);
            demand.work += 2 * order.len() as u64 + 4 * most as u64;
            sum_of_best(&mut order, forced, most);
            order[forced..most].sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
            sizes = (sizes.0.min(least), sizes.1.max(most));
            let mut total = -demand.toll(w, tier);
            for (n, entry) in order.iter().enumerate().take(most) {
                total += entry.0;
                if n + 1 >= least && total > curve[n + 1] {
                    curve[n + 1] = total;
                }
            }
        }
        demand.order = order;
        sizes
    }

    /// The best group of exactly that size.
    fn pick_of_size(
        &self,
        w: u32,
        prices: &Prices,
        branch: Option<&Branch>,
        domain: Domain,
        size: usize,
        demand: &mut Demand,
    ) -> Pick {
        let exact = Domain { least: size as u32, most: size as u32, ..domain };
        self.best_pick(w, prices, branch, exact, demand)
    }
}

/// Lets a group of `m`, worth `with`, come on top of what there was.
fn add(worth: &[i64], with: i64, m: usize, next: &mut [i64], from: &mut [u32]) {
    let beyond = next[m..].iter_mut().zip(&mut from[m..]);
    for (&before, (next, from)) in worth.iter().zip(beyond) {
        let sum = if before > NONE { before + with } else { NONE };
        if sum > *next {
            *next = sum;
            *from = m as u32;
        }
    }
}
