//! One market as a mixed-integer program, solved by HiGHS.
//!
//! `x[i, w, t]`: intent i is in window w at tier t; `y[w, t]`: window w is open at tier t.
//!
//! ```text
//! max  sum x * (gain at the tier's price + visit value)
//! s.t. sum over w, t of x[i, w, t] <= 1                     every intent
//!      min_t * y[w, t] <= sum over i of x[i, w, t] <= max_group * y[w, t]
//!      sum over t of y[w, t] <= 1                           every window
//!      sum over its windows of quantity * x <= stock        every offer
//! ```

use super::town::{Group, Town};
use dataflows::market::{IntentId, ProductId, Slot, StoreId};
use dataflows::solver::Market;
use highs::{Col, HighsModelStatus, RowProblem, Sense};
use std::collections::{BTreeMap, BTreeSet};

type Terms = Vec<(Col, f64)>;

/// The best grouping found within so many seconds, and whether it is proven to be the best.
pub(crate) fn solve(
    town: &Town,
    product: &ProductId,
    market: &Market,
    seconds: f64,
) -> (Vec<Group>, bool) {
    let mut windows: BTreeMap<(StoreId, Slot), BTreeSet<IntentId>> = BTreeMap::new();
    for (id, store, slot) in market.candidates() {
        windows.entry((store, slot)).or_default().insert(id);
    }
    let mut problem = RowProblem::default();
    let mut chosen: Vec<(Col, usize, IntentId)> = Vec::new();
    let (mut once, mut sold): (BTreeMap<IntentId, Terms>, BTreeMap<StoreId, Terms>) =
        (BTreeMap::new(), BTreeMap::new());
    let keys: Vec<(StoreId, Slot)> = windows.keys().cloned().collect();
    for (n, ((store, slot), ids)) in windows.into_iter().enumerate() {
        let shelf = &town.shelves[product][&store];
        let place = town.place(&store).expect("a candidate's store");
        let (visit, most) = (shelf.offer.visit_value_at(slot), f64::from(shelf.offer.max_group));
        let mut open: Terms = Vec::new();
        for tier in shelf.offer.tiers.as_slice() {
            let mut who: Terms = Vec::new();
            for id in &ids {
                let intent = &town.wishes[product][id].intent;
                let distance_m = intent.place.distance_m(place);
                let travel = town.params.travel(distance_m);
                let list = shelf.offer.list_price;
                let Some(gain) = intent.gain(list, tier.price, distance_m, travel) else {
                    continue;
                };
                let column = problem.add_integer_column((gain + visit) as f64, 0..=1);
                who.push((column, 1.0));
                once.entry(id.clone()).or_default().push((column, 1.0));
                let units = f64::from(intent.quantity);
                sold.entry(store.clone()).or_default().push((column, units));
                chosen.push((column, n, id.clone()));
            }
            if who.len() < tier.min_buyers as usize {
                who.iter().for_each(|(column, _)| problem_off(&mut problem, *column));
                continue;
            }
            let y = problem.add_integer_column(0.0, 0..=1);
            open.push((y, 1.0));
            let least = who.iter().copied().chain([(y, -f64::from(tier.min_buyers))]);
            problem.add_row(0.0.., least.collect::<Terms>());
            let enough = who.iter().copied().chain([(y, -most)]);
            problem.add_row(..=0.0, enough.collect::<Terms>());
        }
        problem.add_row(..=1.0, open);
    }
    once.into_values().for_each(|terms| problem.add_row(..=1.0, terms));
    for (store, terms) in sold {
        problem.add_row(..=town.shelves[product][&store].stock.max(0) as f64, terms);
    }
    let mut model = problem.optimise(Sense::Maximise);
    model.make_quiet();
    model.set_option("time_limit", seconds);
    model.set_option("threads", 1);
    let solved = model.solve();
    let proven = solved.status() == HighsModelStatus::Optimal;
    let solution = solved.get_solution();
    let columns = solution.columns();
    let mut groups: BTreeMap<usize, Vec<IntentId>> = BTreeMap::new();
    for (column, n, id) in chosen {
        // Without any grouping in time, there are no columns.
        if columns.get(column.index()).is_some_and(|x| *x > 0.5) {
            groups.entry(n).or_default().push(id);
        }
    }
    let group = |(n, members): (usize, Vec<IntentId>)| {
        let (store, slot) = keys[n].clone();
        Group { store, slot, members }
    };
    (groups.into_iter().map(group).collect(), proven)
}

/// Nobody can be there.
fn problem_off(problem: &mut RowProblem, column: Col) {
    problem.add_row(..=0.0, [(column, 1.0)]);
}
