//! One intent as the log tells it: the wishes that it may have at this tick.
//!
//! Where the protocol leaves open what became of a record (a put in the very tick in which its
//! window closes, a version that may have been forgotten), an intent is in more than one *world*.
//! A message that shows the intent keeps the worlds that agree with it; a message that agrees with
//! none is wrong. So nothing legal is rejected, and nothing certain is let go.

use super::moment::Moment;
use super::outcome::Outcomes;
use super::refused::{Place, Refused};
use dataflows::market::{BuyerId, Intent, Slot, SlotLength, Tick, Time};
use std::cmp::Ordering;
use std::rc::Rc;

/// The most worlds of one intent; beyond it the oldest are dropped.
const MAX_WORLDS: usize = 64;

/// A put intent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wish {
    /// The version that put it.
    pub(super) version: u64,
    /// The market's part.
    pub(super) intent: Intent,
    /// Whose it is.
    pub(super) buyer: BuyerId,
    /// When it lapses.
    pub(super) expires: Option<Time>,
}

impl Wish {
    /// Whether it has lapsed by its own word.
    pub(super) fn lapsed(&self, now: Time) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// Whether it has lapsed, by its own word or since its last slot has started.
    pub(super) fn over(&self, now: Time, length: SlotLength) -> bool {
        let last = self.intent.slots.end().map(|end| length.start(Slot(end.0 - 1)));
        self.lapsed(now) || last.is_none_or(|start| start <= now)
    }
}

/// An accepted window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Accepted {
    /// The window's id.
    pub(super) window: Rc<str>,
    /// The unit price accepted.
    pub(super) price: i64,
}

/// What an intent may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct World {
    /// The wish; `None`: the intent has left.
    pub(super) wish: Option<Rc<Wish>>,
    /// The window it accepted.
    pub(super) pin: Option<Accepted>,
}

impl World {
    /// A wish without promises, or none.
    fn of(wish: Option<Rc<Wish>>) -> Self {
        Self { wish, pin: None }
    }

    fn alive(&self, now: Time, length: SlotLength) -> bool {
        self.wish.as_ref().is_some_and(|wish| !wish.over(now, length))
    }

    /// The version of its wish.
    fn version(&self) -> u64 {
        self.wish.as_ref().map_or(0, |wish| wish.version)
    }
}

/// A version of an intent: a wish, or its cancellation.
pub(super) struct Version {
    /// Its number.
    pub(super) number: u64,
    /// The wish; `None`: a cancellation.
    pub(super) wish: Option<Rc<Wish>>,
}

impl Version {
    /// Its place among versions.
    fn place(&self) -> Place {
        Place { number: self.number, cancels: self.wish.is_none() }
    }
}

/// What the log says of one intent.
pub(super) struct Entry {
    /// The greatest version that was certainly applied, and the greatest that may have been.
    certain: u64,
    possible: u64,
    /// Whether it may be that another version than those counts since.
    doubt: bool,
    /// When it was cancelled last, if that was its last word.
    cancelled: Option<Tick>,
    /// What it may be; never empty.
    pub(super) worlds: Vec<World>,
    /// The tick at which it was first heard of.
    pub(super) born: Tick,
    /// The tick since which it lives.
    pub(super) since: Tick,
    /// The ticks of the last put, the last cancellation and the last known lapse.
    pub(super) edited_at: Option<Tick>,
    pub(super) cancelled_at: Option<Tick>,
    pub(super) lapsed_at: Option<Tick>,
    /// Windows declined, and when.
    pub(super) declined: Vec<(Rc<str>, Tick)>,
    /// Windows that may have been declined: nothing is held against them.
    pub(super) declined_perhaps: Vec<(Rc<str>, Tick)>,
    /// What came while its window was locked: it may count if the window ends in that tick.
    late: Option<(Tick, Version)>,
    /// The greatest versions that came while its window was locked.
    refused: Refused,
}

impl Entry {
    /// An intent that nothing is known of.
    pub(super) fn new(tick: Tick) -> Self {
        Self {
            certain: 0,
            possible: 0,
            doubt: false,
            cancelled: None,
            worlds: Vec::new(),
            born: tick,
            since: tick,
            edited_at: None,
            cancelled_at: None,
            lapsed_at: None,
            declined: Vec::new(),
            declined_perhaps: Vec::new(),
            late: None,
            refused: Refused::default(),
        }
    }

    /// Whether it may still be grouped or edited in some world.
    pub(super) fn alive(&self, moment: Moment) -> bool {
        self.worlds.iter().any(|world| world.alive(moment.now, moment.length))
    }

    /// Whether, in every world, it may be grouped or edited.
    pub(super) fn surely_alive(&self, moment: Moment) -> bool {
        !self.worlds.is_empty() && self.worlds.iter().all(|w| w.alive(moment.now, moment.length))
    }

    /// Whether, in every world, that window is the one it accepted.
    pub(super) fn surely_accepted(&self, window: &str) -> bool {
        !self.worlds.is_empty()
            && self.worlds.iter().all(|w| w.pin.as_ref().is_some_and(|pin| &*pin.window == window))
    }

    /// A put or a cancellation; `locked`: it is a member of a locked window; `fits`: whether a wish
    /// could stay in the window that was accepted.
    pub(super) fn apply(
        &mut self,
        version: Version,
        moment: Moment,
        locked: bool,
        fits: impl Fn(&Accepted, &Wish) -> bool,
    ) -> Outcomes {
        let fresh = self.worlds.is_empty();
        if locked {
            let counts = self.worlds.iter().map(World::version);
            let outcomes = self.refused.late(version.place(), counts, moment);
            if outcomes.allow("late") {
                self.late = Some((moment.tick, version));
            }
            return outcomes;
        }
        if self.refused.supersedes(version.place(), moment) {
            return Outcomes::SUPERSEDED;
        }
        if self.refused.may_supersede(version.place()) {
            self.perhaps(version, moment.tick);
            return Outcomes::APPLIED | Outcomes::SUPERSEDED | Outcomes::DUPLICATE;
        }
        match &version.wish {
            Some(_) if fresh || version.number > self.possible => self.put(version, moment, fits),
            Some(_) => self.put_again(version, moment, fits),
            None if self.surely_alive(moment) => self.cancel_live(version.number, moment),
            None => self.cancel(version.number, moment, fresh),
        }
    }

    /// A put with a new version.
    fn put(
        &mut self,
        version: Version,
        moment: Moment,
        fits: impl Fn(&Accepted, &Wish) -> bool,
    ) -> Outcomes {
        let Version { number, wish } = version;
        if !self.alive(moment) {
            // What was declined is remembered with the intent, within the horizon.
            if self.touched() < moment.remembered {
                self.declined.clear();
                self.declined_perhaps.clear();
            }
            self.note_lapse(moment);
            self.since = moment.tick;
        }
        for world in std::mem::take(&mut self.worlds) {
            self.edit(world, &wish, moment, &fits);
        }
        if self.worlds.is_empty() {
            self.add(World::of(wish));
        }
        self.certainly(number, None);
        self.edited_at = Some(moment.tick);
        Outcomes::APPLIED
    }

    /// What becomes of a world by a new wish: what was accepted stays if the wish fits it.
    fn edit(
        &mut self,
        world: World,
        wish: &Option<Rc<Wish>>,
        moment: Moment,
        fits: &impl Fn(&Accepted, &Wish) -> bool,
    ) {
        let alive = world.alive(moment.now, moment.length);
        let pin = world.pin.filter(|_| world.wish.is_some());
        let kept = pin.zip(wish.as_ref()).map(|(pin, wish)| (fits(&pin, wish), pin));
        let firm = alive && kept.as_ref().is_some_and(|kept| kept.0);
        if let Some((_, pin)) = kept {
            self.add(World { wish: wish.clone(), pin: Some(pin) });
        }
        if !firm {
            self.add(World::of(wish.clone()));
        }
    }

    /// A put with a version that may be known.
    fn put_again(
        &mut self,
        version: Version,
        moment: Moment,
        fits: impl Fn(&Accepted, &Wish) -> bool,
    ) -> Outcomes {
        let Version { number, wish } = version;
        // What is gone is remembered within the horizon, and may be forgotten after it.
        if self.cancelled.is_some_and(|tick| tick > moment.remembered) && number <= self.certain {
            return Outcomes::SUPERSEDED;
        }
        if !self.surely_alive(moment) {
            if self.is_known(moment) {
                let older = number < self.certain;
                return if older { Outcomes::SUPERSEDED } else { Outcomes::DUPLICATE };
            }
            self.note_lapse(moment);
            self.add(World::of(wish));
            self.edited_at = Some(moment.tick);
            self.doubt = true;
            return Outcomes::APPLIED | Outcomes::SUPERSEDED | Outcomes::DUPLICATE;
        }
        let mut outcomes = Outcomes::NONE;
        for world in std::mem::take(&mut self.worlds) {
            match number.cmp(&world.version()) {
                Ordering::Greater => {
                    outcomes |= Outcomes::APPLIED;
                    self.edit(world, &wish, moment, &fits);
                    self.edited_at = Some(moment.tick);
                }
                order => {
                    let same = order == Ordering::Equal;
                    outcomes |= if same { Outcomes::DUPLICATE } else { Outcomes::SUPERSEDED };
                    self.add(world);
                }
            }
        }
        outcomes
    }

    /// A cancellation of an intent that lives in every world.
    fn cancel_live(&mut self, number: u64, moment: Moment) -> Outcomes {
        let mut outcomes = Outcomes::NONE;
        for world in std::mem::take(&mut self.worlds) {
            if number < world.version() {
                outcomes |= Outcomes::SUPERSEDED;
                self.add(world);
            } else {
                outcomes |= Outcomes::APPLIED;
                self.add(World::of(None));
                self.cancelled_at = Some(moment.tick);
            }
        }
        if outcomes == Outcomes::APPLIED {
            self.certainly(number, Some(moment.tick));
        }
        outcomes
    }

    /// A cancellation of an intent that may be gone.
    fn cancel(&mut self, number: u64, moment: Moment, fresh: bool) -> Outcomes {
        let any = Outcomes::APPLIED | Outcomes::SUPERSEDED | Outcomes::DUPLICATE;
        let outcomes = match self.cancelled.filter(|tick| *tick > moment.remembered) {
            _ if fresh => Outcomes::APPLIED,
            Some(_) if number < self.certain => return Outcomes::SUPERSEDED,
            Some(_) if number == self.certain => return Outcomes::DUPLICATE,
            None if self.is_known(moment) && number < self.certain => return Outcomes::SUPERSEDED,
            None if self.is_known(moment) => Outcomes::APPLIED,
            Some(_) if number > self.possible => Outcomes::APPLIED,
            _ => any,
        };
        if number < self.possible {
            self.add(World::of(None));
            self.cancelled_at = Some(moment.tick);
            self.doubt = true;
            return any;
        }
        if self.alive(moment) {
            self.cancelled_at = Some(moment.tick);
        } else {
            self.note_lapse(moment);
        }
        self.worlds.clear();
        self.add(World::of(None));
        self.certainly(number, Some(moment.tick));
        outcomes
    }

    /// That version counts now, in every world.
    fn certainly(&mut self, number: u64, cancelled: Option<Tick>) {
        (self.certain, self.possible, self.cancelled) = (number, number, cancelled);
        self.doubt = false;
    }

    /// Whether, dead or alive, it is known by the put that counted last, and by no other version.
    fn is_known(&self, moment: Moment) -> bool {
        let put = self.edited_at.is_some_and(|tick| tick > moment.remembered);
        put && !self.doubt && self.certain == self.possible && self.cancelled.is_none()
    }

    /// The intent's window is closed: it is gone, unless something came in that very tick.
    pub(super) fn end(&mut self, tick: Tick) {
        self.worlds.clear();
        self.add(World::of(None));
        self.lapsed_at = Some(tick);
        self.reopen(tick);
    }

    /// The intent's locked window is cancelled: it is free again.
    pub(super) fn free(&mut self, tick: Tick) {
        for world in &mut self.worlds {
            world.pin = None;
        }
        self.reopen(tick);
    }

    /// What was late in this very tick may have been applied instead.
    fn reopen(&mut self, tick: Tick) {
        if let Some((_, version)) = self.late.take_if(|late| late.0 == tick) {
            self.perhaps(version, tick);
        }
        self.late = None;
    }

    /// A version may have been applied at that tick.
    fn perhaps(&mut self, version: Version, tick: Tick) {
        self.possible = self.possible.max(version.number);
        self.doubt = true;
        self.add(World::of(version.wish));
        self.edited_at = Some(tick);
        self.cancelled_at = Some(tick);
    }

    /// Adds a world, if it is none of those that are there.
    pub(super) fn add(&mut self, world: World) {
        if !self.worlds.contains(&world) {
            self.worlds.push(world);
        }
        if self.worlds.len() > MAX_WORLDS {
            self.worlds.remove(0);
        }
    }

    fn note_lapse(&mut self, moment: Moment) {
        let wishes = self.worlds.iter().filter_map(|world| world.wish.as_ref());
        if wishes.into_iter().any(|wish| wish.over(moment.now, moment.length)) {
            self.lapsed_at = Some(moment.tick);
        }
    }

    /// Keeps nothing of a dead intent but its versions, and when it ended.
    pub(super) fn shrink(&mut self, moment: Moment) {
        self.note_lapse(moment);
        self.worlds.clear();
        self.add(World::of(None));
    }

    /// The last tick at which something was said of it.
    pub(super) fn touched(&self) -> Tick {
        let last = self.edited_at.max(self.cancelled_at).max(self.cancelled).max(self.lapsed_at);
        last.map_or(self.since, |tick| tick.max(self.since))
    }
}
