//! What must be noticed if it ever happened: each fault is injected into a market that holds, and
//! the audit, the rules or the assertions of debug builds have to catch it.

use super::*;
use crate::solver::hot::Home;
use crate::solver::{Due, SCALE};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Small markets with groups in two windows at least, solved and right.
fn markets() -> impl Iterator<Item = Market> {
    (0..200u64).filter_map(|seed| {
        let dice = &mut Dice(seed);
        let mut market = Market::new(params(8, dice));
        for n in 0..3 {
            market.put_offer(offer(dice, n));
        }
        for n in 0..9 {
            Change::Put(Box::new(intent(dice, n))).apply(&mut market);
        }
        market.solve(Budget { price_rounds: 10, search_steps: 10, nodes: 0, from_scratch: true });
        market.inspect().unwrap();
        (market.grouping().len() >= 2).then_some(market)
    })
}

/// Injects the fault into every market in which that is possible.
#[track_caller]
fn injected(name: &str, fault: impl Fn(&mut Market) -> bool, found: impl Fn(&Market) -> bool) {
    let mut times = 0;
    for mut market in markets() {
        if fault(&mut market) {
            times += 1;
            assert!(found(&market), "{name} passes");
        }
    }
    assert!(times > 0, "{name} was never possible");
}

/// Whether assertions stop the next solve, the next tick, and the upkeep after it, each by itself;
/// debug builds have them.
fn stops(market: &Market) -> bool {
    let forms: [fn(&mut Market); 3] = [
        |market| market.solve(Budget::NONE),
        Market::refresh,
        |market| _ = market.keep_up(small::upkeep(false), Due::ALL),
    ];
    let stopped = |form: fn(&mut Market)| {
        let mut copy = market.clone();
        catch_unwind(AssertUnwindSafe(|| form(&mut copy))).is_err()
    };
    !cfg!(debug_assertions) || forms.into_iter().all(stopped)
}

fn audited(market: &Market) -> bool {
    market.audit().is_err() && inspected(market)
}

fn inspected(market: &Market) -> bool {
    market.inspect().is_err() && stops(market)
}

#[test]
fn a_bound_below_the_value_is_noticed() {
    injected(
        "a wrong sum",
        |m| {
            m.dual = m.proven + (m.value - 1) as i128 * SCALE as i128;
            true
        },
        audited,
    );
    injected(
        "a proof of too much",
        |m| {
            m.proven = m.dual - (m.value - 1) as i128 * SCALE as i128;
            true
        },
        audited,
    );
}

#[test]
fn a_bound_that_nothing_proves_is_noticed() {
    injected(
        "a sum one too low",
        |m| {
            m.dual -= 1;
            true
        },
        audited,
    );
    injected(
        "a proof that is none",
        |m| {
            m.proven += 1;
            true
        },
        audited,
    );
    let priced = |m: &mut Market| m.hot.iter().position(|hot| hot.price > 0);
    injected(
        "a price one too low",
        |m| priced(m).map(|n| m.hot[n].price -= 1).is_some(),
        inspected,
    );
    injected(
        "a term one too low, and the sum with it",
        |m| {
            let mut terms = m.offers.iter_mut().flatten().flat_map(|o| &mut o.windows);
            let Some(window) = terms.find(|w| w.term > 0 && w.cover.is_none()) else {
                return false;
            };
            window.term -= 1;
            m.dual -= 1;
            true
        },
        inspected,
    );
    injected(
        "a window that covers another, but cannot",
        |m| {
            let mut all = m.offers.iter_mut().flatten().filter(|o| o.windows.len() > 1);
            let Some(offer) = all.find(|o| o.windows[0].term > 0 && o.windows[1].cover.is_none())
            else {
                return false;
            };
            offer.windows[0].cover = Some(offer.windows[1].slot);
            let (o, slot, cover) = (
                m.by_store[&offer.placed.offer.key.store],
                offer.windows[0].slot,
                offer.windows[1].slot,
            );
            m.dual -= std::mem::take(&mut m.offer_mut(o).windows[0].term) as i128;
            !m.covers(o, slot, cover)
        },
        inspected,
    );
}

#[test]
fn an_oversold_offer_is_noticed() {
    let sold = |m: &mut Market| {
        m.offers.iter_mut().flatten().find(|o| o.used > 0).map(|o| o.placed.stock = o.used - 1)
    };
    let says = |m: &Market| {
        let told =
            |v: super::super::feasible::Violation| v.rule == "R7" && v.what.contains("stock");
        m.verify().is_err_and(told)
            && inspected(m)
            && m.grouping().iter().any(|w| m.verify_window(w).is_err_and(|v| v.rule == "R7"))
    };
    injected("less stock than is sold", |m| sold(m).is_some(), says);
    injected(
        "a unit that is not counted",
        |m| m.offers.iter_mut().flatten().find(|o| o.used > 0).map(|o| o.used -= 1).is_some(),
        audited,
    );
}

/// Seats somebody who is elsewhere in a window that could hold the buyer too; which window.
fn seat_twice(m: &mut Market) -> bool {
    for (o, n) in
        m.by_store.values().flat_map(|&o| (0..m.offer(o).windows.len()).map(move |n| (o, n)))
    {
        let (offer, window) = (m.offer(o), &m.offer(o).windows[n]);
        if window.members.is_empty() {
            continue;
        }
        let another = offer.candidates.iter().find(|c| {
            let home = m.hot[c.intent as usize].home;
            matches!(home, Home::In(..))
                && home != Home::In(o, window.slot)
                && m.eligible(o, c.intent, window.slot)
        });
        let Some(&c) = another else { continue };
        let mut copy = m.clone();
        let tier = offer.placed.offer.tiers.reached(window.members.len() + 1);
        let window = &mut copy.offer_mut(o).windows[n];
        window.members.push(c);
        window.tier = tier.expect("more than enough") as u32;
        let told = |v: super::super::feasible::Violation| v.what.contains("two windows");
        if copy.verify().is_err_and(told) {
            *m = copy;
            return true;
        }
    }
    false
}

#[test]
fn a_buyer_in_two_windows_is_noticed() {
    injected("a second seat", seat_twice, |m| {
        let told =
            |v: super::super::feasible::Violation| v.rule == "R7" && v.what.contains("two windows");
        audited(m) && m.grouping().iter().any(|w| m.verify_window(w).is_err_and(told))
    });
    injected(
        "a home that is none",
        |m| {
            m.hot
                .iter_mut()
                .find(|hot| hot.home != Home::Free)
                .map(|hot| hot.home = Home::Free)
                .is_some()
        },
        audited,
    );
}

#[test]
fn a_wrong_value_is_noticed() {
    injected(
        "a value one too high",
        |m| {
            m.value += 1;
            true
        },
        audited,
    );
    injected(
        "a price that nobody earned",
        |m| {
            let mut windows = m.offers.iter_mut().flatten().flat_map(|o| {
                let tiers = o.placed.offer.tiers.as_slice().len() as u32;
                o.windows.iter_mut().map(move |w| (tiers, w))
            });
            let deeper = windows.find(|(tiers, w)| !w.members.is_empty() && w.tier + 1 < *tiers);
            deeper.map(|(_, w)| w.tier += 1).is_some()
        },
        |m| m.verify().is_err() && inspected(m),
    );
}
