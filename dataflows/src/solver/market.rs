//! One market's compact state: who could go where.
//!
//! Offers and intents of one product, a candidate for every pair within reach at a price that the
//! buyer can ever accept, and a window for every slot in which an offer has a candidate. H3 cells
//! are the index by which a change finds what it touches; they decide nothing.
//!
//! **Invariant** `candidates` and `edges` are each other's mirror; both are in the order of ids, so
//! that no decision depends on the history of indices.

use super::candidate::Candidate;
use super::effort::Effort;
use super::hot::Hot;
use super::intents::{IntentNode, Intents};
use super::part::Proof;
use super::sums::TierSum;
use super::upkeep::Agenda;
use crate::market::{Cell, IdOrder, IntentId, Money, Offer, Opening, Params, Position, Slot};
use crate::market::{SlotSet, StoreId, Tier, Time};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How many slots of opening hours are worked out at a time.
const OPEN_SLOTS_AHEAD: i32 = 72;

/// What taking in a candidate costs beside looking at a rival, as a profile of a million intents has it.
const ALONE: u128 = 4_096;

/// An offer joined with its store and what is left of its stock: all that a market knows of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PlacedOffer {
    /// The offer.
    pub offer: Arc<Offer>,
    /// Where its store is.
    pub place: Position,
    /// The cell of that.
    pub cell: Cell,
    /// When its store is open.
    pub opening: Opening,
    /// Units left over by locked windows.
    pub stock: i64,
    /// Slots with a locked window, sorted.
    pub locked: Box<[Slot]>,
}

/// A slot of an offer in which it has a candidate.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct WindowNode {
    pub slot: Slot,
    /// How many candidates are free and allowed in this slot.
    pub eligible: u32,
    /// What one visitor is worth to the seller.
    pub visit_value: i64,
    /// The group, in the order of ids; empty: closed.
    pub members: Vec<Candidate>,
    /// The tier that the group reaches.
    pub tier: u32,
    /// The group's part of the objective.
    pub value: i64,
    /// What the window adds to the bound, scaled: its best group's worth or, while `loose`, more.
    pub term: i64,
    /// What its tiers are worth; nothing while it is covered.
    pub sums: Vec<TierSum>,
    /// Whether the term may be more than it need be.
    pub loose: bool,
    /// A slot of the same offer that can hold whatever this one can, at no less worth: while it
    /// does, this window adds nothing to the bound.
    pub cover: Option<Slot>,
}

/// An offer, its candidates and its windows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct OfferNode {
    pub placed: PlacedOffer,
    /// How its store's id begins.
    pub order: IdOrder,
    /// Its lead time, where it says: every minute asks for it.
    pub lead_minutes: Option<u32>,
    pub stay_bonus: i64,
    /// In the order of intent ids.
    pub candidates: Vec<Candidate>,
    /// In the order of slots.
    pub windows: Vec<WindowNode>,
    /// Units in live windows.
    pub used: i64,
    /// Units over all candidates: stock beyond it never binds.
    pub demand: i64,
    /// Dual price of a unit of stock, scaled.
    pub price: i64,
    /// What was proven of the part that it belongs to: the part's first offer.
    pub proof: Option<u32>,
    /// The first slot that is not yet closed to groupings.
    pub(crate) first_open: Slot,
    /// Opening slots worked out so far, from `first_open` on, up to `open_until`.
    pub(crate) open: SlotSet,
    pub(crate) open_until: Slot,
}

impl OfferNode {
    pub(crate) fn tiers(&self) -> &[Tier] {
        self.placed.offer.tiers.as_slice()
    }

    pub(crate) fn max_group(&self) -> usize {
        self.placed.offer.max_group as usize
    }

    pub(crate) fn list_price(&self) -> Money {
        self.placed.offer.list_price
    }

    /// Where the window of that slot is.
    pub(crate) fn place_of(&self, slot: Slot) -> Option<usize> {
        self.windows.binary_search_by_key(&slot, |w| w.slot).ok()
    }

    pub(crate) fn window(&self, slot: Slot) -> Option<&WindowNode> {
        self.place_of(slot).map(|n| &self.windows[n])
    }

    pub(crate) fn window_mut(&mut self, slot: Slot) -> Option<&mut WindowNode> {
        self.place_of(slot).map(|n| &mut self.windows[n])
    }

    /// Price of the deepest tier that the greatest group can reach.
    pub(crate) fn deepest_price(&self) -> Option<Money> {
        let reached = self.placed.offer.tiers.reached(self.max_group())?;
        Some(self.tiers()[reached].price)
    }
}

/// One market: the offers and intents of one product, their grouping and its prices.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Market {
    pub(crate) params: Params,
    pub(crate) offers: Vec<Option<OfferNode>>,
    /// Where each of those is, or was, side by side.
    pub(crate) places: Vec<Position>,
    pub(crate) intents: Intents,
    pub(crate) hot: Vec<Hot>,
    pub(crate) by_store: BTreeMap<StoreId, u32>,
    /// Who accepted which window.
    pub(crate) pins: BTreeMap<(Slot, StoreId), BTreeSet<IntentId>>,
    /// Intents without a price: they came or changed since prices were last set.
    pub(crate) fresh: BTreeSet<u32>,
    pub(crate) free_offers: Vec<u32>,
    pub(crate) free_intents: Vec<u32>,
    pub(crate) offer_cells: BTreeSet<(Cell, u32)>,
    pub(crate) intent_cells: BTreeSet<(Cell, u32)>,
    /// The longest reach of any intent so far.
    pub(crate) longest_reach_m: u32,
    /// Windows that lock at this instant or before take no more part.
    pub(crate) closed_at: Time,
    /// No window locks before this instant but those.
    pub(crate) closes_next: Time,
    /// Offers whose candidates or windows have changed: a greedy may do better now.
    pub(crate) touched: BTreeSet<u32>,
    /// Windows whose group must be looked at again: it may break a rule, or hold more.
    pub(crate) dirty: BTreeSet<(Slot, u32)>,
    /// Intents that lost their window: they look for another.
    pub(crate) awake: BTreeSet<u32>,
    /// Offers whose windows may open now, since units or buyers have come free.
    pub(crate) roomy: BTreeSet<u32>,
    /// Windows whose terms must be computed again.
    pub(crate) stale: BTreeSet<(Slot, u32)>,
    /// Windows whose terms may be more than they need be.
    pub(crate) loose: BTreeSet<(Slot, u32)>,
    /// Windows whose group may differ from the one last emitted.
    pub(crate) changed: BTreeSet<(Slot, u32)>,
    /// Windows of offers that were taken out, likewise.
    pub(crate) gone: BTreeSet<(Slot, StoreId)>,
    /// What taking each intent from its window would cost, as far as that is known.
    #[serde(skip)]
    pub(crate) losses: RefCell<Vec<i64>>,
    /// The objective.
    pub(crate) value: i64,
    /// The bound: sums of prices, stock at its prices, and windows' terms; scaled.
    pub(crate) dual: i128,
    /// What was proven of parts beyond that, by their first offers.
    pub(crate) proofs: BTreeMap<u32, Proof>,
    /// By how much the bound is less for it; scaled.
    pub(crate) proven: i128,
    /// Offers that have changed since their part was last solved.
    pub(crate) unsolved: BTreeSet<u32>,
    /// What is to be solved again, in order.
    pub(crate) agenda: Agenda,
    /// Updates since parts were last solved again; each pays for some of that.
    pub(crate) updates: u64,
    /// Steps that are paid for and not used.
    pub(crate) credit: u64,
    /// What has been done in the background.
    pub(crate) effort: Effort,
}

impl Market {
    /// An empty market.
    pub fn new(params: Params) -> Self {
        Self {
            params,
            offers: Vec::new(),
            places: Vec::new(),
            intents: Intents::default(),
            hot: Vec::new(),
            by_store: BTreeMap::new(),
            pins: BTreeMap::new(),
            fresh: BTreeSet::new(),
            gone: BTreeSet::new(),
            free_offers: Vec::new(),
            free_intents: Vec::new(),
            offer_cells: BTreeSet::new(),
            intent_cells: BTreeSet::new(),
            longest_reach_m: 0,
            closed_at: Time(i64::MIN / 4),
            closes_next: Time(i64::MAX),
            touched: BTreeSet::new(),
            dirty: BTreeSet::new(),
            awake: BTreeSet::new(),
            roomy: BTreeSet::new(),
            stale: BTreeSet::new(),
            loose: BTreeSet::new(),
            losses: RefCell::new(Vec::new()),
            changed: BTreeSet::new(),
            value: 0,
            dual: 0,
            proofs: BTreeMap::new(),
            proven: 0,
            unsolved: BTreeSet::new(),
            agenda: Agenda::default(),
            updates: 0,
            credit: 0,
            effort: Effort::default(),
        }
    }

    /// Whether the market holds neither offers nor intents.
    pub fn is_empty(&self) -> bool {
        self.intents.count() == 0 && self.by_store.is_empty()
    }

    /// How many intents it holds.
    pub fn intents_len(&self) -> usize {
        self.intents.count()
    }

    /// About what its updates cost, beside that of other markets: who comes to an offer is weighed
    /// against all who could come there.
    ///
    /// **Cost** O(offers).
    pub(crate) fn load(&self) -> u128 {
        let rivals = |o: &u32| self.offer(*o).candidates.len() as u128;
        self.by_store.values().map(rivals).map(|rivals| rivals * (rivals + ALONE)).sum()
    }

    pub(crate) fn offer(&self, o: u32) -> &OfferNode {
        self.offers[o as usize].as_ref().expect("an index in use")
    }

    pub(crate) fn offer_mut(&mut self, o: u32) -> &mut OfferNode {
        self.offers[o as usize].as_mut().expect("an index in use")
    }

    pub(crate) fn node(&self, i: u32) -> &IntentNode {
        self.intents[i as usize].as_ref().expect("an index in use")
    }

    /// Every (intent, store, slot) that could be: for tests, against a computation from scratch.
    pub fn candidates(&self) -> BTreeSet<(IntentId, StoreId, Slot)> {
        let mut all = BTreeSet::new();
        for (store, &o) in &self.by_store {
            let offer = self.offer(o);
            for window in &offer.windows {
                for c in &offer.candidates {
                    if self.eligible(o, c.intent, window.slot) {
                        all.insert((
                            self.node(c.intent).intent.id.clone(),
                            store.clone(),
                            window.slot,
                        ));
                    }
                }
            }
        }
        all
    }

    /// Whether the intent's availability and answers allow the offer's window in `slot`. The
    /// caller knows that the two are a candidate pair and that the window exists.
    #[inline]
    pub(crate) fn eligible(&self, o: u32, i: u32, slot: Slot) -> bool {
        self.hot[i as usize].allows(slot).unwrap_or_else(|| {
            self.node(i).intent.allows(&self.offer(o).placed.offer.key.store, slot)
        })
    }

    /// The bonus for staying, where the window is the announced one (R9).
    #[inline]
    pub(crate) fn bonus(&self, o: u32, i: u32, slot: Slot) -> i64 {
        if self.hot[i as usize].stays != slot {
            return 0;
        }
        let (offer, stays_at) = (self.offer(o), self.hot[i as usize].stays_at);
        if stays_at != offer.order {
            return 0;
        }
        let store = &offer.placed.offer.key.store;
        let announced = || self.node(i).intent.promise.announced.as_ref();
        let stays = stays_at.is_whole() || announced().is_some_and(|window| window.0 == *store);
        if stays { offer.stay_bonus } else { 0 }
    }

    /// The slots of the pair (offer, intent): available, open, not closed, not locked.
    pub(crate) fn slots_of_pair(&mut self, o: u32, i: u32) -> Vec<Slot> {
        let slots = self.node(i).intent.slots.clone();
        self.look_ahead(o, slots.end().unwrap_or_default());
        let offer = self.offer(o);
        let both = slots.intersect(&offer.open);
        let node = self.node(i);
        let store = &offer.placed.offer.key.store;
        both.iter()
            .filter(|slot| *slot >= offer.first_open && !offer.placed.locked.contains(slot))
            .filter(|slot| node.intent.allows(store, *slot))
            .collect()
    }

    /// Works out the offer's opening hours up to `until`.
    fn look_ahead(&mut self, o: u32, until: Slot) {
        let length = self.params.slot;
        let offer = self.offer_mut(o);
        if offer.open_until < until {
            let until = Slot(until.0.max(offer.first_open.0) + OPEN_SLOTS_AHEAD);
            let schedule = offer.placed.opening.schedule();
            offer.open = schedule.open_slots(offer.first_open, until, length);
            offer.open_until = until;
        }
    }

    pub(crate) fn first_open(&self, lead_minutes: Option<u32>) -> Slot {
        self.first_open_at(lead_minutes, self.closed_at)
    }

    /// The first slot that is not locked at that instant, of an offer with that lead time.
    pub(crate) fn first_open_at(&self, lead_minutes: Option<u32>, at: Time) -> Slot {
        let lead = lead_minutes.unwrap_or(self.params.lead_minutes) as i64 * 60_000;
        let closed = at.plus_ms(lead);
        if closed.0 <= i32::MIN as i64 * self.params.slot.as_ms() {
            return Slot(i32::MIN / 4);
        }
        self.params.slot.at(closed).next()
    }
}

impl WindowNode {
    pub(crate) fn closed(slot: Slot, visit_value: i64) -> Self {
        let (members, sums) = (Vec::new(), Vec::new());
        Self {
            slot,
            eligible: 0,
            visit_value,
            members,
            tier: 0,
            value: 0,
            term: 0,
            sums,
            loose: false,
            cover: None,
        }
    }
}
