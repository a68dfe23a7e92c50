//! Candidates that prices rule out: with them no grouping of a branch beats the incumbent.

use super::Compact;
use super::dual::{Branch, Demand, NONE, Prices, sum_of_best};

impl Compact {
    /// Rules out candidates: those with whom in its group the window's term would fall by more than
    /// `slack` below what it is.
    pub(crate) fn rule_out(
        &self,
        w: u32,
        prices: &Prices,
        branch: &mut Branch,
        slack: i128,
        demand: &mut Demand,
    ) {
        let window = &self.windows[w as usize];
        let domain = branch.windows[w as usize];
        let offer = &self.offers[window.offer as usize];
        let v = prices.v[window.offer as usize];
        let open = demand.open_worth[w as usize];
        let term = if domain.may_close { open.max(0) } else { open };
        let count = (window.end - window.first) as usize;
        let mut with = std::mem::take(&mut demand.curve);
        with.clear();
        with.resize(count, NONE);
        let mut order = std::mem::take(&mut demand.order);
        for (tier, step) in offer.tiers.iter().enumerate() {
            let price = step.price.minor();
            let listed = self.list(w, price, v, &prices.u, Some(branch), &mut order);
            let Some(forced) = listed else { continue };
            let least = (step.min_buyers.max(domain.least) as usize).max(forced).max(1);
            let most = (window.caps[tier].min(domain.most) as usize).min(order.len());
            if least > most {
                continue;
            }
            let positive = forced + order[forced..].iter().filter(|e| e.0 > 0).count();
            let size = positive.clamp(least, most);
            let best = sum_of_best(&mut order, forced, size) - demand.toll(w, tier);
            // Another one takes the place of the worst, or comes on top.
            let full = size == most || positive < size;
            let worst = order[forced..size].iter().map(|e| e.0).min();
            for (k, &(worth, n)) in order.iter().enumerate() {
                let kept = k < size;
                let total = match worst {
                    _ if kept => best,
                    Some(worst) if full => best + worth - worst,
                    None if full => continue,
                    _ => best + worth,
                };
                let at = &mut with[(n - window.first) as usize];
                *at = total.max(*at);
            }
        }
        for (k, &with) in with.iter().enumerate() {
            let n = window.first as usize + k;
            if branch.cands[n] == 0 && (term - with) as i128 > slack {
                branch.cands[n] = -1;
            }
        }
        demand.curve = with;
        demand.order = order;
    }
}
