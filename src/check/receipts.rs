//! Receipts against records: exactly one for each, with an outcome that the log implies.
//!
//! Receipts may come in any order; those read ahead of their record are held.

use super::outcome::Outcomes;
use super::report::{Case, Violation};
use anyhow::Result;
use connectors::codec::json;
use connectors::file::Lines;
use connectors::inbound::Inbound;
use connectors::wire::{self, Receipt, VERSION};
use std::cell::Cell;
use std::collections::BTreeMap;

/// What a receipt says of its record.
#[derive(Debug)]
pub(super) struct Subject {
    /// The record's line.
    pub(super) sequence: u64,
    /// Its kind, and the id of what it is about, where they can be told.
    pub(super) kind: Option<String>,
    pub(super) id: Option<String>,
}

impl Subject {
    /// Of that record, decoded or not.
    pub(super) fn of(inbound: &Inbound) -> Self {
        let (kind, id) = match &inbound.record {
            Err(refused) => (refused.kind.clone(), refused.id.clone()),
            Ok(record) => {
                let (kind, id) = told(record);
                (Some(kind.to_string()), id)
            }
        };
        Self { sequence: inbound.sequence, kind, id }
    }
}

/// A record's kind and the id of what it is about: an offer's and its stock's are those of store
/// and product, as in a window's id.
fn told(record: &wire::Record) -> (&'static str, Option<String>) {
    let joined = |store: &str, product: &str| Some(format!("{store}_{product}"));
    match record {
        wire::Record::Intent(it) => ("intent", Some(it.id.clone())),
        wire::Record::Store(it) => ("store", Some(it.id.clone())),
        wire::Record::Offer(it) => ("offer", joined(&it.store, &it.product)),
        wire::Record::Stock(it) => ("stock", joined(&it.store, &it.product)),
        wire::Record::Reply(it) => ("reply", Some(it.window.clone())),
        wire::Record::Arrival(it) => ("arrival", Some(it.window.clone())),
        wire::Record::Clock(_) => ("clock", None),
    }
}

/// A reader of receipts.
pub(super) struct Receipts {
    lines: Lines,
    /// Receipts of records that have not been judged yet, by sequence.
    ahead: BTreeMap<u64, Receipt>,
    /// How many were held against their records.
    pub(super) count: u64,
}

impl Receipts {
    /// Reads from those lines.
    pub(super) fn new(lines: Lines) -> Self {
        Self { lines, ahead: BTreeMap::new(), count: 0 }
    }

    /// Holds the receipt of that record against the outcomes that are right.
    ///
    /// # Errors
    /// There is none, or it says something else.
    pub(super) fn expect(
        &mut self,
        subject: &Subject,
        outcomes: Outcomes,
        rules: &Cell<u64>,
    ) -> Result<()> {
        let sequence = subject.sequence;
        let case = Case { line: sequence, subject: "record", rules };
        let receipt = self.find(sequence)?;
        let rule = "exactly one receipt for each record";
        case.holds(rule, "sequence", receipt.is_some(), "a receipt", "none")?;
        let Some(receipt) = receipt else { return Ok(()) };
        self.count += 1;
        case.equal("protocol version", "v", VERSION, receipt.v)?;
        let right = outcomes.allow(&receipt.outcome);
        case.holds("the outcome", "outcome", right, outcomes, &receipt.outcome)?;
        let rule = "what the record is, where it can be told";
        for (name, is, told) in
            [("kind", &subject.kind, &receipt.kind), ("id", &subject.id, &receipt.id)]
        {
            let text = |of: &Option<String>| of.clone().unwrap_or_else(|| "nothing".into());
            case.holds(rule, name, is == told, text(is), text(told))?;
        }
        if receipt.outcome == "invalid" {
            let rule = "an invalid record is told its field, value and reason";
            for (name, text) in
                [("field", &receipt.field), ("value", &receipt.value), ("reason", &receipt.reason)]
            {
                case.holds(rule, name, text.is_some(), "something", "nothing")?;
            }
        }
        Ok(())
    }

    /// Fails if a receipt is left over.
    ///
    /// # Errors
    /// A second receipt of a record, or one of no record.
    pub(super) fn finish(mut self) -> Result<u64> {
        while self.read()? {}
        match self.ahead.keys().next() {
            None => Ok(self.count),
            Some(&sequence) => Err(surplus(sequence).into()),
        }
    }

    fn find(&mut self, sequence: u64) -> Result<Option<Receipt>> {
        loop {
            if let Some(receipt) = self.ahead.remove(&sequence) {
                return Ok(Some(receipt));
            }
            if !self.read()? {
                return Ok(None);
            }
        }
    }

    /// Reads one more receipt; `false` at the end.
    fn read(&mut self) -> Result<bool> {
        let Some(line) = self.lines.next_line()? else { return Ok(false) };
        let receipt = json::read_receipt(line.bytes).map_err(|error| Violation {
            line: line.number,
            subject: "receipt".into(),
            rule: "protocol",
            field: "message".into(),
            expected: "a receipt".into(),
            actual: error.to_string(),
        })?;
        let sequence = receipt.sequence;
        match self.ahead.insert(sequence, receipt) {
            None => Ok(true),
            Some(_) => Err(surplus(sequence).into()),
        }
    }
}

fn surplus(sequence: u64) -> Violation {
    Violation {
        line: sequence,
        subject: "record".into(),
        rule: "exactly one receipt for each record",
        field: "sequence".into(),
        expected: "one receipt of a record".into(),
        actual: "one more".into(),
    }
}
