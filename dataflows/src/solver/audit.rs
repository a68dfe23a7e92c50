//! The market's own books, added up anew: every number that is kept instead of computed.
//!
//! For tests and debug builds. Feasibility is not its business; see [`super::feasible`].

use super::hot::Home;
use super::market::Market;
use super::plan::{NO_LOSS, UNKNOWN};

impl Market {
    /// A window's term is its best group's worth, or more while it is loose; what is kept of its
    /// tiers says no less than is true.
    fn audit_term(&self, o: u32, slot: crate::market::Slot) -> Result<(), String> {
        let window = self.offer(o).window(slot).expect("just listed");
        let term = self.term(o, slot);
        let at = || format!("window {} at {}", slot.0, self.store(o));
        if window.term < term || (!window.loose && window.term != term) {
            return Err(format!("{}: term {}, found {term}", at(), window.term));
        }
        if window.loose && window.term > 0 && !self.loose.contains(&(slot, o)) {
            return Err(format!("{}: loose, and not listed", at()));
        }
        if window.cover.is_some() || window.sums.is_empty() {
            return Ok(());
        }
        for (tier, (kept, found)) in window.sums.iter().zip(self.sums_of(o, slot)).enumerate() {
            let sizes = self.offer(o).sizes(tier);
            let counts = (kept.sum, kept.positive, kept.paying);
            if counts != (found.sum, found.positive, found.paying)
                || kept.bound(sizes) < found.bound(sizes)
            {
                return Err(format!("{}: kept {kept:?}, found {found:?}", at()));
            }
        }
        Ok(())
    }

    /// Recomputes every kept sum, counter and mirror.
    ///
    /// **Cost** the terms of all windows.
    ///
    /// # Errors
    /// The first that differs from what is kept.
    pub(crate) fn audit(&self) -> Result<(), String> {
        let mut value = 0;
        let mut dual: i128 =
            self.intents.in_order().iter().map(|&i| self.hot[i as usize].price as i128).sum();
        for (store, &o) in &self.by_store {
            let offer = self.offer(o);
            let same = |what: &str, kept: i64, found: i64| {
                let text = || format!("{what} at {store}: kept {kept}, found {found}");
                if kept == found { Ok(()) } else { Err(text()) }
            };
            let units = |list: &[super::candidate::Candidate]| -> i64 {
                list.iter().map(|c| c.quantity() as i64).sum()
            };
            same("demand", offer.demand, units(&offer.candidates))?;
            same("used", offer.used, offer.windows.iter().map(|w| units(&w.members)).sum())?;
            for c in &offer.candidates {
                let mirrored = self.node(c.intent).edges.contains(&o);
                same("edges", mirrored as i64, 1)?;
            }
            for window in &offer.windows {
                let slot = window.slot;
                let allowed = offer
                    .candidates
                    .iter()
                    .filter(|c| self.node(c.intent).intent.allows(store, slot));
                same("eligible", window.eligible as i64, allowed.count() as i64)?;
                same("value", window.value, self.value_of(o, slot, &window.members))?;
                for c in &window.members {
                    let home = self.hot[c.intent as usize].home == Home::In(o, slot);
                    same("home", home as i64, 1)?;
                    let kept = self.losses.borrow().get(c.intent as usize).copied();
                    let known = kept.filter(|kept| *kept != UNKNOWN);
                    let loss = self.loss(c.intent).unwrap_or(NO_LOSS);
                    same("loss", known.unwrap_or(loss), loss)?;
                }
                self.audit_term(o, slot)?;
                if let Some(cover) = window.cover {
                    same("cover", self.covers(o, slot, cover) as i64, 1)?;
                }
                value += window.value;
                dual += window.term as i128;
            }
            dual += offer.placed.stock.max(0) as i128 * offer.price as i128;
        }
        let homes = |home: &Home| matches!(home, Home::In(..));
        let seated = self.hot.iter().filter(|hot| homes(&hot.home)).count();
        let members =
            self.by_store.values().flat_map(|&o| &self.offer(o).windows).map(|w| w.members.len());
        if seated != members.sum::<usize>() {
            return Err(format!("{seated} intents have a home, but are not in it"));
        }
        if value != self.value || dual != self.dual {
            return Err(format!(
                "kept value {} and dual {}, found {value} and {dual}",
                self.value, self.dual
            ));
        }
        self.audit_proofs()
    }

    /// What is proven beyond the prices is what was noted of parts, and the bound is one.
    fn audit_proofs(&self) -> Result<(), String> {
        let noted: i128 = self.proofs.values().map(|proof| proof.less).sum();
        let mut offers = self.by_store.values().filter_map(|&o| self.offer(o).proof);
        let parts = offers.all(|first| self.proofs.contains_key(&first));
        if noted != self.proven || !parts {
            return Err(format!("proven {}, noted {noted} of parts", self.proven));
        }
        if self.bound() < self.value {
            return Err(format!("bound {} below the value {}", self.bound(), self.value));
        }
        Ok(())
    }
}
