//! Regions: pieces of a market that are small enough to be solved between two updates.

use super::market::Market;
use std::cmp::Reverse;

impl Market {
    /// The offers around `o`, nearest first: those that can serve most of the intents that `o` can
    /// serve, then most of those that they can, and so on; up to `most` triples, or to the end of the
    /// connected part. In the order of stores.
    ///
    /// **Cost** the region's candidates times the offers in reach of each.
    pub(crate) fn region(&self, o: u32, most: u64) -> Vec<u32> {
        let mut inside = vec![false; self.offers.len()];
        let mut heard = vec![false; self.intents.len()];
        let mut shared = vec![0u32; self.offers.len()];
        let (mut offers, mut newest) = (vec![o], 0);
        let mut pairs = self.pairs_of(o);
        inside[o as usize] = true;
        let mut near: Vec<u32> = Vec::new();
        while newest < offers.len() {
            for &o in &offers[newest..] {
                for c in &self.offer(o).candidates {
                    if !std::mem::replace(&mut heard[c.intent as usize], true) {
                        for &o in &self.node(c.intent).edges {
                            if shared[o as usize] == 0 {
                                near.push(o);
                            }
                            shared[o as usize] += 1;
                        }
                    }
                }
            }
            newest = offers.len();
            near.retain(|&o| !inside[o as usize]);
            let key = |o: &u32| (Reverse(shared[*o as usize]), self.store(*o));
            near.sort_unstable_by(|a, b| key(a).cmp(&key(b)));
            for &o in &near {
                pairs += self.pairs_of(o);
                if pairs > most {
                    break;
                }
                inside[o as usize] = true;
                offers.push(o);
            }
            if pairs > most {
                break;
            }
        }
        offers.sort_by(|a, b| self.by_stores(*a, *b));
        offers
    }

    /// The intents that the offers could serve, by index, each once.
    pub(crate) fn intents_near(&self, offers: &[u32]) -> Vec<u32> {
        let mut seen = vec![false; self.intents.len()];
        let candidates = offers.iter().flat_map(|&o| &self.offer(o).candidates);
        let intents = candidates.map(|c| c.intent);
        intents.filter(|&i| !std::mem::replace(&mut seen[i as usize], true)).collect()
    }

    /// The offer's (candidate, slot, tier) triples.
    pub(crate) fn pairs_of(&self, o: u32) -> u64 {
        let offer = self.offer(o);
        let pairs: u64 = offer.windows.iter().map(|w| w.eligible as u64).sum();
        pairs * offer.tiers().len() as u64
    }
}
