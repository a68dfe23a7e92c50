//! An offer's windows together, where stock cannot serve all that they ask for.

use super::Compact;
use super::dual::{Branch, Demand, Domain, NONE, Pick, Prices};

impl Compact {
    /// The best that the offer's windows can do with no more buyers in all than the stock can
    /// serve; the groups are left in `picks`.
    ///
    /// **Cost** windows * the most buyers squared.
    pub(crate) fn joint(
        &self,
        n: usize,
        prices: &Prices,
        branch: Option<&Branch>,
        demand: &mut Demand,
        picks: &mut [Pick],
    ) -> Option<i64> {
        let offer = &self.offers[n];
        let most = offer.most;
        let width = most + 1;
        let mut table = std::mem::take(&mut demand.table);
        let mut from = std::mem::take(&mut demand.from);
        let mut curve = std::mem::take(&mut demand.curve);
        table.clear();
        table.resize(width, 0);
        from.clear();
        let mut next = vec![NONE; width];
        for &w in &offer.windows {
            let domain = branch.map_or(Domain::FREE, |b| b.windows[w as usize]);
            let sizes = self.curve(w, prices, branch, domain, demand, &mut curve);
            let start = from.len();
            from.resize(start + width, 0);
            demand.work += (width * (sizes.1 + 1).saturating_sub(sizes.0)) as u64 / 2;
            for c in 0..width {
                let mut best = if domain.may_close { table[c] } else { NONE };
                for m in sizes.0..=sizes.1.min(c) {
                    let worth = curve[m];
                    if worth > NONE && table[c - m] > NONE && table[c - m] + worth > best {
                        best = table[c - m] + worth;
                        from[start + c] = m as u32;
                    }
                }
                next[c] = best;
            }
            std::mem::swap(&mut table, &mut next);
        }
        let best = table[most];
        let mut left = most;
        if best > NONE {
            for (k, &w) in offer.windows.iter().enumerate().rev() {
                let m = from[k * width + left] as usize;
                picks[k] = if m > 0 {
                    let domain = branch.map_or(Domain::FREE, |b| b.windows[w as usize]);
                    self.pick_of_size(w, prices, branch, domain, m, demand)
                } else {
                    Pick::default()
                };
                left -= m;
            }
        }
        demand.table = table;
        demand.from = from;
        demand.curve = curve;
        (best > NONE).then_some(best)
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
        curve.resize(offer.most + 1, NONE);
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
            demand.work += 6 * order.len() as u64;
            order[forced..].sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
            let least = (step.min_buyers.max(domain.least) as usize).max(forced).max(1);
            let most = (window.caps[tier].min(domain.most) as usize).min(order.len());
            sizes = (sizes.0.min(least), sizes.1.max(most));
            let mut total = 0;
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
