//! What a check found: counts of what was looked at, and the first thing that is wrong.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::{self, Display};

/// The first rule that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The line in the decisions file (or, for a receipt, in the events file) that breaks the rule;
    /// for a decision that is missing, the last line before the place where it should be.
    pub line: u64,
    /// The window, or the record, that it is about.
    pub subject: String,
    /// The rule, as `market.md` or the protocol has it.
    pub rule: &'static str,
    /// The field that shows it.
    pub field: String,
    /// What the log implies.
    pub expected: String,
    /// What the message says.
    pub actual: String,
}

impl Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, subject, rule, field, expected, actual } = self;
        write!(f, "line {line}: {subject}: {rule}: {field}: expected {expected}, found {actual}")
    }
}

impl std::error::Error for Violation {}

/// What was checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Records of the log.
    pub records: u64,
    /// Of these, how many the checker's own reading refuses.
    pub refused: u64,
    /// Decisions, parts of one taken together.
    pub decisions: u64,
    /// Decisions by state.
    pub states: BTreeMap<&'static str, u64>,
    /// Members over all decisions.
    pub members: u64,
    /// Members who left, over all decisions.
    pub left: u64,
    /// Single rules that were evaluated.
    pub rules: u64,
    /// Windows that were announced or locked.
    pub windows: u64,
    /// The value of all windows at their lock, in minor units.
    pub value_locked: i128,
    /// Buyers in all windows at their lock.
    pub buyers_locked: u64,
    /// Units in all windows at their lock.
    pub units_locked: u64,
    /// Receipts that were held against their records.
    pub receipts: u64,
    /// The first violation; `None`: everything holds.
    pub violation: Option<Violation>,
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "records    {} ({} refused)", self.records, self.refused)?;
        if self.receipts > 0 {
            writeln!(f, "receipts   {}", self.receipts)?;
        }
        let states: Vec<String> = self.states.iter().map(|(s, n)| format!("{n} {s}")).collect();
        writeln!(f, "decisions  {} ({})", self.decisions, states.join(", "))?;
        writeln!(f, "windows    {}", self.windows)?;
        writeln!(f, "members    {} ({} left)", self.members, self.left)?;
        writeln!(
            f,
            "locked     value {} minor units, {} buyers, {} units",
            self.value_locked, self.buyers_locked, self.units_locked
        )?;
        writeln!(f, "rules      {} evaluated", self.rules)?;
        match &self.violation {
            None => write!(f, "holds      everything"),
            Some(violation) => write!(f, "violated   {violation}"),
        }
    }
}

/// One message under examination: rules are held against it, and counted.
pub(super) struct Case<'a> {
    /// Its line.
    pub(super) line: u64,
    /// The window or record that it is about.
    pub(super) subject: &'a str,
    /// How many rules were evaluated so far.
    pub(super) rules: &'a Cell<u64>,
}

impl Case<'_> {
    /// Holds if `ok`; texts are only written if not.
    pub(super) fn holds(
        &self,
        rule: &'static str,
        field: &str,
        ok: bool,
        expected: impl Display,
        actual: impl Display,
    ) -> Result<(), Violation> {
        self.rules.set(self.rules.get() + 1);
        if ok {
            return Ok(());
        }
        Err(Violation {
            line: self.line,
            subject: self.subject.to_string(),
            rule,
            field: field.to_string(),
            expected: expected.to_string(),
            actual: actual.to_string(),
        })
    }

    /// Holds if the two are equal.
    pub(super) fn equal<T: PartialEq + Display>(
        &self,
        rule: &'static str,
        field: &str,
        expected: T,
        actual: T,
    ) -> Result<(), Violation> {
        let ok = expected == actual;
        self.holds(rule, field, ok, expected, actual)
    }
}
