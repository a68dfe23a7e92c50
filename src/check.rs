//! The checker: holds an engine's decisions against the log they were made from.
//!
//! It replays the log into a reference state of its own and holds every decision against
//! `market.md` and the protocol as of the decision's tick: every rule of the group (R1 to R8),
//! every step of a window's life, and what must be there and is not. It shares the market's types
//! with the engine, and nothing else: not the solver, not the dataflow, not the life cycle. (What an
//! invalid record is told is held against the words of decoding and translation; that it is invalid,
//! the checker finds by its own reading.)
//!
//! **Contract** sound both ways: what it reports is a breach of the law, and what it can know of a
//! breach it reports. Where the protocol leaves a record's outcome open, every outcome is allowed
//! (`intents.rs`). It does not judge how good a grouping is, nor whether an upper bound is true;
//! that a window was never told of, it knows where the log leaves no doubt (`complete.rs`,
//! `sums.rs`).
//!
//! **Cost** streams both files; memory is bounded by what is live (stores, offers, live intents,
//! versions of intents within two horizons, windows of the last day).
//!
//! | file | what |
//! |---|---|
//! | `facts.rs`, `instant.rs` | records to facts: what the protocol allows |
//! | `log.rs`, `waiting.rs` | facts tick by tick, in canonical order; what waits for its tick |
//! | `state.rs`, `replies.rs`, `stock.rs`, `intents.rs`, `table.rs`, `moment.rs` | the reference state |
//! | `message.rs`, `life.rs`, `group.rs`, `left.rs` | the rules of one message |
//! | `across.rs` | the rules across a tick's messages, and of what is missing |
//! | `complete.rs`, `sums.rs` | whether somebody was left out, or a window was never told of |
//! | `receipts.rs`, `outcome.rs`, `refused.rs` | the rules of receipts |
//! | `report.rs` | what was checked, and what is wrong |

mod across;
mod complete;
mod facts;
mod group;
mod instant;
mod intents;
mod left;
mod life;
mod log;
mod message;
mod moment;
mod outcome;
mod receipts;
mod refused;
mod replies;
mod report;
mod state;
mod stock;
mod sums;
mod table;
#[cfg(test)]
mod tests;
mod waiting;

use across::Across;
use anyhow::Result;
use connectors::file::{FileSource, Lines};
use dataflows::market::{Invalid, Params, Tick, Time};
use facts::Fact;
use log::Log;
use message::{Message, Messages};
use outcome::Outcomes;
use receipts::{Receipts, Subject};
use report::Case;
use state::Reference;
use std::cell::Cell;

pub use report::{Report, Violation};

/// How often what is dead is forgotten, in milliseconds of the log.
const FORGET_MS: i64 = 3_600_000;

/// Holds the decisions, and the receipts if there are some, against the log.
///
/// # Errors
/// A file cannot be read. A breach of a rule is no error: it stands in the report.
pub fn check(
    params: &Params,
    events: FileSource,
    decisions: Lines,
    receipts: Option<Lines>,
) -> Result<Report> {
    let rules = Cell::new(0);
    let mut check = Check {
        log: Log::new(events, params, receipts.map(Receipts::new), &rules),
        messages: Messages::new(decisions),
        reference: Reference::new(params),
        report: Report::default(),
        rules: &rules,
        facts: Vec::new(),
        before: Tick(0),
        line: 0,
        hour: 0,
    };
    let checked = check.run();
    let mut report = check.report;
    (report.records, report.refused) = check.log.counts();
    report.windows = check.reference.windows.count;
    report.rules = rules.get();
    if let Some(receipts) = check.log.receipts() {
        report.receipts = receipts.count;
    }
    let receipts = check.log.take_receipts();
    match checked.and_then(|()| receipts.map_or(Ok(0), Receipts::finish)) {
        Ok(0) => {}
        Ok(count) => report.receipts = count,
        Err(error) => report.violation = Some(error.downcast::<Violation>()?),
    }
    Ok(report)
}

/// A check under way.
struct Check<'a> {
    log: Log<'a>,
    messages: Messages,
    reference: Reference<'a>,
    report: Report,
    rules: &'a Cell<u64>,
    /// The facts of the tick at hand.
    facts: Vec<Fact>,
    /// The last tick before the one at hand that the engine certainly processed.
    before: Tick,
    /// The last line of the decisions that was read.
    line: u64,
    /// The hour in which what is dead was forgotten last.
    hour: i64,
}

impl Check<'_> {
    fn run(&mut self) -> Result<()> {
        while let Some(message) = self.messages.take()? {
            let tick = self.tick_of(&message)?;
            self.advance(tick)?;
            let mut batch = vec![message];
            while let Some(next) = self.messages.peek()?
                && next.decision.decided_at == batch[0].decision.decided_at
            {
                batch.extend(self.messages.take()?);
            }
            self.decide(tick, batch)?;
        }
        loop {
            while let Some(tick) = self.log.next_tick()? {
                self.advance(tick)?;
            }
            if !self.go_on() {
                break;
            }
        }
        let rest = self.log.take_rest();
        self.apply(self.log.reached(), rest)?;
        across::overdue(&self.reference, self.log.reached(), self.line)?;
        for product in self.reference.spoken_of() {
            self.reference.look(&product, self.log.reached(), self.line)?;
        }
        Ok(())
    }

    /// The tick of a decision, which never falls and starts exactly then.
    fn tick_of(&self, message: &Message) -> Result<Tick> {
        let (d, params) = (&message.decision, self.reference.params);
        let case = Case { line: message.line, subject: &d.window, rules: self.rules };
        let now: Time = message::time(&case, "decided_at", &d.decided_at)?;
        let tick = params.tick(now);
        let (rule, field) = ("decided at the start of a tick", "decided_at");
        case.equal(rule, field, params.start(tick).0, now.0)?;
        let rule = "decisions are in the order of their ticks";
        let expected = format_args!("tick {} or later", self.before.0).to_string();
        case.holds(rule, field, tick >= self.before, expected, tick.0)?;
        Ok(tick)
    }

    /// Applies the log up to and with that tick.
    fn advance(&mut self, tick: Tick) -> Result<()> {
        loop {
            while let Some(next) = self.log.next_tick()?
                && next <= tick
            {
                self.take(next, tick)?;
            }
            // Everything up to where the log stands is over: after its end it may go on.
            if self.log.reached() >= tick || !self.go_on() {
                break;
            }
        }
        if let Some(before) = tick.0.checked_sub(1) {
            across::overdue(&self.reference, Tick(before), self.line)?;
        }
        Ok(())
    }

    /// Applies the log's next tick, on the way to `tick`.
    fn take(&mut self, next: Tick, tick: Tick) -> Result<()> {
        let mut facts = std::mem::take(&mut self.facts);
        self.log.take_tick(&mut facts)?;
        self.look(next, &facts)?;
        let changed = self.apply(next, facts.drain(..))?;
        self.facts = facts;
        // A tick in which nothing was applied and nothing was due has not been.
        if next < tick && changed {
            self.before = next;
        }
        if changed {
            self.reference.sums.been(next, self.reference.params);
        }
        let hour = self.reference.params.start(next).0.div_euclid(FORGET_MS);
        if hour != self.hour {
            self.hour = hour;
            self.reference.forget(next);
        }
        Ok(())
    }

    /// Looks at every product of which the tick's facts speak, as it was before; and notes that they
    /// do.
    fn look(&mut self, tick: Tick, facts: &[Fact]) -> Result<()> {
        for fact in facts {
            for product in self.reference.products(&fact.event) {
                if let Some(before) = tick.0.checked_sub(1) {
                    self.reference.look(&product, Tick(before), self.line)?;
                }
                self.reference.stir(&product, tick);
            }
        }
        Ok(())
    }

    /// After the log's end, moves time to what waited and refers to something known, if any does.
    fn go_on(&mut self) -> bool {
        let reference = &self.reference;
        self.log.go_on(|id| reference.names_window(id))
    }

    /// Applies one tick's facts, and says whether one of them certainly counts; of equal ones,
    /// either may be called a duplicate.
    fn apply(&mut self, tick: Tick, facts: impl IntoIterator<Item = Fact>) -> Result<bool> {
        let mut changed = false;
        let mut equal: Vec<(Option<Box<Subject>>, Outcomes)> = Vec::new();
        let mut facts = facts.into_iter().peekable();
        while let Some(fact) = facts.next() {
            let again = facts.peek().is_some_and(|next| next.event == fact.event);
            let outcomes = self.reference.apply(fact.event, tick);
            changed |= outcomes == Outcomes::APPLIED;
            equal.push((fact.subject, outcomes));
            if again {
                continue;
            }
            let (subjects, mut open): (Vec<_>, Vec<_>) = equal.drain(..).unzip();
            let sure = open.iter().all(|outcomes| outcomes.is_sure());
            for subject in subjects {
                if let Some((receipts, subject)) = self.log.receipts().zip(subject) {
                    let right = open.iter().fold(Outcomes::NONE, |all, one| all | *one);
                    let told = receipts.expect(&subject, right, self.rules)?;
                    // Where none is in doubt, it is known how often each is told.
                    if sure && let Some(at) = open.iter().position(|one| *one == told) {
                        open.swap_remove(at);
                    }
                }
            }
        }
        self.reference.settle(tick);
        Ok(changed)
    }

    /// Holds the decisions of one tick against the state, one by one and together.
    fn decide(&mut self, tick: Tick, batch: Vec<Message>) -> Result<()> {
        let (least, most) = self.log.reflected();
        let mut seen = Vec::with_capacity(batch.len());
        for message in batch {
            let (line, id) = (message.line, message.decision.window.clone());
            self.line = line;
            self.count(&message);
            let case = Case { line, subject: &id, rules: self.rules };
            let found = message.decision.input_sequence;
            let right = (least..=most).contains(&found);
            let expected = format_args!("{least} to {most}").to_string();
            let rule = "every input up to the sequence is reflected";
            case.holds(rule, "input_sequence", right, expected, found)?;
            let known = tick <= self.log.reached();
            let rule = "time does not go on after the log";
            case.holds(rule, "decided_at", known, "a tick of the log", tick.0)?;
            let step = life::step(&case, message, tick, self.before, &mut self.reference);
            let one = step.map_err(|error| named(error, &case))?;
            left::check(&case, &one, &self.reference).map_err(|error| named(error, &case))?;
            seen.push(one);
        }
        for one in &seen {
            across::release(one, &mut self.reference)?;
        }
        for one in &seen {
            let case = Case { line: one.line, subject: &one.id, rules: self.rules };
            let held = group::check(&case, one, &mut self.reference);
            held.map_err(|error| named(error, &case))?;
            message::answers(&case, &one.message)?;
        }
        let across = Across { seen: &seen, rules: self.rules };
        across.check(&mut self.reference, &mut self.report)?;
        message::in_order(&seen, self.rules)?;
        sums::check(&seen, &mut self.reference, self.rules)?;
        self.reference.sums.been(tick, self.reference.params);
        across::overdue(&self.reference, tick, self.line)?;
        self.before = tick;
        Ok(())
    }

    fn count(&mut self, message: &Message) {
        let (d, report) = (&message.decision, &mut self.report);
        report.decisions += 1;
        report.members += d.members.len() as u64;
        report.left += d.left.len() as u64;
        if let Some(state) = message::state_of(&d.state) {
            *report.states.entry(state.word()).or_default() += 1;
        }
    }
}

/// An id or a cell that cannot be is a breach as well.
fn named(error: anyhow::Error, case: &Case<'_>) -> anyhow::Error {
    match error.downcast::<Invalid>() {
        Ok(Invalid { field, value, reason }) => Violation {
            line: case.line,
            subject: case.subject.to_string(),
            rule: "protocol",
            field,
            expected: reason,
            actual: value,
        }
        .into(),
        Err(error) => error,
    }
}
