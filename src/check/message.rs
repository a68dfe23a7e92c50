//! The decisions file: its messages, parts put together, and what each must say on its face.
//!
//! Here stand the rules that need nothing but the message, the store and the log's sequences.

use super::instant::Instant;
use super::report::{Case, Violation};
use super::state::{Reference, StoreEntry};
use anyhow::Result;
use connectors::codec::json;
use connectors::file::{Lines, TextLine};
use connectors::wire::Decision;
use dataflows::market::{
    Certificate, ProductId, Resolution, Slot, State, StoreId, Tick, Time, WindowKey,
};
use jiff::{Timestamp, tz::TimeZoneDatabase};
use std::cell::Cell;
use std::fmt::Display;
use std::rc::Rc;
use std::sync::LazyLock;

/// The most members in one message.
const MAX_MEMBERS: usize = 512;

/// A decision and the line on which it starts.
pub(super) struct Message {
    pub(super) line: u64,
    pub(super) decision: Decision,
}

/// What a window's message before this one said.
pub(super) struct Prior {
    pub(super) state: State,
    pub(super) tick: Tick,
    pub(super) message: Rc<Decision>,
}

/// A message that says on its face what it must.
pub(super) struct Seen {
    pub(super) line: u64,
    pub(super) id: Rc<str>,
    pub(super) key: WindowKey,
    pub(super) state: State,
    pub(super) tick: Tick,
    pub(super) message: Rc<Decision>,
    /// The message before it about the same window.
    pub(super) prior: Option<Prior>,
}

/// A reader of decisions.
pub(super) struct Messages {
    lines: Lines,
    next: Option<Message>,
    ended: bool,
}

impl Messages {
    /// Reads from those lines.
    pub(super) fn new(lines: Lines) -> Self {
        Self { lines, next: None, ended: false }
    }

    /// When the next decision was made, as it says; `None` at the end.
    pub(super) fn peek(&mut self) -> Result<Option<&Message>> {
        if self.next.is_none() && !self.ended {
            self.next = self.read()?;
            self.ended = self.next.is_none();
        }
        Ok(self.next.as_ref())
    }

    /// The next decision.
    pub(super) fn take(&mut self) -> Result<Option<Message>> {
        self.peek()?;
        Ok(self.next.take())
    }

    fn read(&mut self) -> Result<Option<Message>> {
        let Some(mut whole) = self.line()? else { return Ok(None) };
        let parts = whole.decision.parts.unwrap_or(1);
        let line = whole.line;
        if whole.decision.part.unwrap_or(1) != 1 || parts < 1 {
            return broken(line, "part", "1", format_args!("{:?}", whole.decision.part));
        }
        for part in 2..=parts {
            let Some(mut next) = self.line()? else {
                return broken(line, "parts", format_args!("{parts}"), part - 1);
            };
            let (members, left) = (next.decision.members.split_off(0), next.decision.left);
            next.decision.left = Vec::new();
            let mut face = whole.decision.clone();
            (face.members, face.left, face.part) = (Vec::new(), Vec::new(), Some(part));
            if face != next.decision {
                let expected = format_args!("part {part} like part 1").to_string();
                return broken(next.line, "part", expected, "another message");
            }
            whole.decision.members.extend(members);
            whole.decision.left.extend(left);
        }
        Ok(Some(whole))
    }

    /// The next line; a blank one is no decision.
    fn line(&mut self) -> Result<Option<Message>> {
        let expected = self.lines.number() + 1;
        let found = match self.lines.next_line()? {
            Some(line) if line.number == expected => Some(decision(line)?),
            _ => None,
        };
        if found.is_none() && self.lines.number() >= expected {
            return broken(expected, "message", "a decision", "a blank line");
        }
        Ok(found)
    }
}

/// The decision of a line.
fn decision(line: TextLine<'_>) -> Result<Message> {
    let number = line.number;
    if line.is_too_long() {
        return broken(number, "message", "no longer than a message may be", "longer");
    }
    match json::read_decision(line.bytes) {
        Ok(decision) if decision.members.len() > MAX_MEMBERS => {
            let expected = format_args!("at most {MAX_MEMBERS} in one message").to_string();
            broken(number, "members", expected, decision.members.len())
        }
        Ok(decision) => Ok(Message { line: number, decision }),
        Err(error) => broken(number, "message", "a decision", error),
    }
}

/// A line that is no message.
fn broken<T>(line: u64, field: &str, expected: impl Display, actual: impl Display) -> Result<T> {
    Err(Violation {
        line,
        subject: "message".into(),
        rule: "protocol",
        field: field.into(),
        expected: expected.to_string(),
        actual: actual.to_string(),
    }
    .into())
}

/// The state of that word.
pub(super) fn state_of(word: &str) -> Option<State> {
    [
        State::Forming,
        State::Proposed,
        State::Locked,
        State::Active,
        State::Closed,
        State::Withdrawn,
        State::Cancelled,
    ]
    .into_iter()
    .find(|state| state.word() == word)
}

/// The instant in a field, in milliseconds.
pub(super) fn time(case: &Case<'_>, field: &str, text: &str) -> Result<Time> {
    let read = Instant::time(field, text);
    case.holds("rfc 3339", field, read.is_ok(), "a time with an offset", text)?;
    Ok(read?)
}

/// Names the window, and holds the parts of the message that name it against each other.
///
/// # Errors
/// The first field that does not fit.
pub(super) fn name(case: &Case<'_>, d: &Decision, reference: &Reference<'_>) -> Result<WindowKey> {
    case.equal("protocol version", "v", 1, d.v)?;
    let length = reference.params.slot;
    let from = time(case, "slot.from", &d.slot.from)?;
    let until = time(case, "slot.until", &d.slot.until)?;
    let slot: Slot = length.at(from);
    case.equal("R1 time", "slot.from", length.start(slot).0, from.0)?;
    case.equal("R1 time", "slot.until", length.end(slot).0, until.0)?;
    let expires = time(case, "expires", &d.expires)?;
    case.equal("expiry at the slot's end", "expires", until.0, expires.0)?;
    let store = StoreId::new(&d.store.id)?;
    let product = ProductId::new(&d.product)?;
    let key = WindowKey { slot, store, product };
    case.equal("window id", "window", key.id(length).as_str(), d.window.as_str())?;
    market(case, d)?;
    Ok(key)
}

/// Holds when answers are due: at the lock, since later ones are late.
///
/// # Errors
/// Another time, or none.
pub(super) fn answers(case: &Case<'_>, d: &Decision) -> Result<()> {
    let lock_at = time(case, "lock_at", &d.lock_at)?;
    let reply_by = time(case, "reply_by", &d.reply_by)?;
    Ok(case.equal("answers are due at the lock", "reply_by", lock_at.0, reply_by.0)?)
}

/// Holds that the tick's decisions stand in their order: what sets buyers free before what takes
/// them in, then by slot, store and product.
///
/// # Errors
/// The first that stands too late.
pub(super) fn in_order(seen: &[Seen], rules: &Cell<u64>) -> Result<()> {
    let states = [State::Closed, State::Cancelled, State::Withdrawn, State::Proposed];
    let states = states.into_iter().chain([State::Locked, State::Active]).collect::<Vec<_>>();
    let place = |one: &Seen| states.iter().position(|state| *state == one.state);
    for pair in seen.windows(2) {
        let [before, after] = [&pair[0], &pair[1]];
        let case = Case { line: after.line, subject: &after.id, rules };
        let right = (place(before), &before.key) < (place(after), &after.key);
        let rule = "decisions of one tick are in order of state, slot, store and product";
        let (expected, found) = (format_args!("before {}", before.id).to_string(), "after it");
        case.holds(rule, "window", right, expected, found)?;
    }
    Ok(())
}

fn market(case: &Case<'_>, d: &Decision) -> Result<()> {
    let market = &d.market;
    case.equal("market id", "market.id", d.product.as_str(), market.id.as_str())?;
    let at_least = format_args!("at least {}", market.value).to_string();
    let proven = market.bound >= market.value;
    case.holds("upper bound", "market.bound", proven, at_least, market.bound)?;
    let certificate = Certificate { value: market.value, bound: market.bound };
    case.equal("upper bound", "market.gap_ppm", certificate.gap_ppm(), market.gap_ppm)?;
    Ok(())
}

/// Holds what the message says of its store, in words and in its time zone, against the store.
///
/// # Errors
/// The first field that does not fit.
pub(super) fn place(case: &Case<'_>, d: &Decision, entry: &StoreEntry) -> Result<()> {
    static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);
    let store = &entry.store;
    let (zone, rule) = (store.opening.timezone(), "the store's own time zone");
    case.equal(rule, "slot.timezone", zone, d.slot.timezone.as_str())?;
    let zone = ZONES.get(zone)?;
    for (field, text) in [("slot.from", &d.slot.from), ("slot.until", &d.slot.until)] {
        let instant = Instant::read(field, text)?;
        let offset = zone.to_offset(Timestamp::from_nanosecond(instant.nanos)?).seconds();
        case.equal(rule, field, offset, instant.offset_s)?;
    }
    case.equal("the store as put", "store.name", store.name.as_str(), d.store.name.as_str())?;
    case.equal("the store as put", "store.lat", store.place.lat(), d.store.lat)?;
    case.equal("the store as put", "store.lng", store.place.lng(), d.store.lng)?;
    for (field, resolution, found) in [("zone", 7, &d.zone), ("store.cell", 9, &d.store.cell)] {
        let cell = store.place.cell(Resolution::new(resolution)?).to_string();
        case.equal("H3 cell of the store", field, cell.as_str(), found.as_str())?;
    }
    Ok(())
}
