//! One window: its group, what was last said of it, and what it waits for.

use crate::market::{
    BuyerId, Change, EventId, IntentId, Member, Money, Params, Quote, Reason, State, Store, Tick,
    Time, WindowKey,
};
use crate::solver::GroupedWindow;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What was last announced of a window.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Announced {
    /// Its group then; mostly it is still the window's.
    pub group: Arc<GroupedWindow>,
    /// What was said of each member, in the group's order.
    pub seats: Box<[Seat]>,
    pub quote: Quote,
    pub value: i64,
    pub store: Arc<Store>,
}

/// What was announced of one member, beyond its id and its distance, which the group has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seat {
    pub buyer: BuyerId,
    /// What the group saves the buyer, before travel.
    pub saving: i64,
    pub quantity: u32,
    pub accepted: bool,
}

impl Announced {
    /// Whether that intent is a member.
    pub(super) fn has(&self, id: &IntentId) -> bool {
        self.group.has(id)
    }

    /// What was announced of that intent, and its distance in metres.
    pub(super) fn seat(&self, id: &IntentId) -> Option<(&Seat, u32)> {
        self.group.position(id).map(|at| (&self.seats[at], self.group.members[at].1))
    }

    /// The members by id.
    pub(super) fn ids(&self) -> impl Iterator<Item = &IntentId> {
        self.group.members.iter().map(|(id, _)| id)
    }

    /// The members by id, and their buyers.
    pub(super) fn buyers(&self) -> impl Iterator<Item = (&IntentId, &BuyerId)> {
        self.ids().zip(self.seats.iter().map(|seat| &seat.buyer))
    }

    /// The members as decisions name them, each as kept.
    pub(super) fn members(&self, params: &Params) -> Vec<Member> {
        let member = |((id, distance_m), seat): (&(IntentId, u32), &Seat)| Member {
            intent: id.clone(),
            buyer: seat.buyer.clone(),
            quantity: seat.quantity,
            distance_m: *distance_m,
            saving: seat.saving,
            travel: params.travel(*distance_m),
            accepted: seat.accepted,
            change: Change::Kept,
        };
        self.group.members.iter().zip(&self.seats).map(member).collect()
    }

    /// Whether both say the same of the same members.
    pub(super) fn says(&self, other: &Self) -> bool {
        self.quote == other.quote
            && self.seats == other.seats
            && self.group.members == other.group.members
    }
}

/// Some members; mostly there are none.
type Edited = Option<Box<BTreeSet<IntentId>>>;

/// What members of a window have said, and what became of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Said {
    /// Members who accepted and are held.
    pub accepted: BTreeSet<IntentId>,
    /// Members whose accepted price could not be held, and why; until announced.
    pub released: BTreeMap<IntentId, Reason>,
    /// Members who declined; until announced.
    pub declined: BTreeSet<IntentId>,
    /// Names of answers and arrivals, to know a repeated one.
    pub events: BTreeSet<EventId>,
}

/// Nobody has said anything.
static NOTHING: Said = Said {
    accepted: BTreeSet::new(),
    released: BTreeMap::new(),
    declined: BTreeSet::new(),
    events: BTreeSet::new(),
};

/// One window.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Window {
    pub key: Arc<WindowKey>,
    pub state: State,
    pub revision: u64,
    /// Its group in the grouping of the last tick.
    pub group: Option<Arc<GroupedWindow>>,
    /// What was last announced, while it is proposed, locked, active or closed.
    pub announced: Option<Arc<Announced>>,
    /// The first tick at which the next revision may go out.
    pub due: Tick,
    /// When it locks, or locked.
    pub lock_at: Time,
    /// The tick at which it does.
    pub locks_at: Tick,
    /// Announced prices by revision.
    pub prices: Vec<(u64, Money)>,
    /// Announced members who were put anew since: what is to be said of them is looked up again.
    pub edited: Edited,
    /// Nothing where nobody has said anything: of a city's windows nearly all.
    said: Option<Box<Said>>,
}

impl Window {
    /// One that is in the grouping for the first time: a revision may go out from `due` on, and it
    /// locks at that time, at that tick.
    pub(super) fn forming(key: &WindowKey, due: Tick, (lock_at, locks_at): (Time, Tick)) -> Self {
        Self {
            key: Arc::new(key.clone()),
            state: State::Forming,
            revision: 0,
            group: None,
            announced: None,
            due,
            lock_at,
            locks_at,
            prices: Vec::new(),
            edited: None,
            said: None,
        }
    }

    /// What its members have said.
    pub(super) fn said(&self) -> &Said {
        self.said.as_deref().unwrap_or(&NOTHING)
    }

    /// The same, to change it, where anything was said.
    pub(super) fn said_mut(&mut self) -> Option<&mut Said> {
        self.said.as_deref_mut()
    }

    /// What was announced is mostly the group that it still has: it is kept once.
    pub(super) fn share(&mut self) {
        let Some((announced, group)) = self.announced.as_mut().zip(self.group.as_ref()) else {
            return;
        };
        if announced.group == *group {
            Arc::make_mut(announced).group = group.clone();
        }
    }

    /// Its members say something.
    pub(super) fn hear(&mut self) -> &mut Said {
        self.said.get_or_insert_default()
    }
}

/// What happens to a window at a tick of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Timer {
    /// A revision may go out.
    Due,
    /// The lead time has come.
    Lock,
    /// The slot starts.
    Start,
    /// The slot ends.
    End,
    /// Nobody asks for it any more.
    Forget,
}

/// Who is a member of `one` and not of `other`.
pub(super) fn only_in<'a>(
    one: Option<&'a GroupedWindow>,
    other: Option<&'a GroupedWindow>,
) -> impl Iterator<Item = &'a IntentId> {
    let members = one.into_iter().flat_map(|group| &group.members).map(|member| &member.0);
    members.filter(move |id| other.is_none_or(|other| !other.has(id)))
}

/// Windows as they are saved: they know their keys.
pub(super) mod by_key {
    use super::{BTreeMap, Window, WindowKey};
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        windows: &BTreeMap<WindowKey, Window>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(windows.values())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<WindowKey, Window>, D::Error> {
        let windows = Vec::<Window>::deserialize(from)?;
        Ok(windows.into_iter().map(|window| (WindowKey::clone(&window.key), window)).collect())
    }
}
