//! Receipts against records: exactly one for each, with an outcome that the log implies.
//!
//! Receipts may come in any order; those read ahead of their record are held.

use super::outcome::Outcomes;
use super::report::{Case, Violation};
use anyhow::Result;
use connectors::codec::json;
use connectors::file::Lines;
use connectors::inbound::{Inbound, Refused};
use connectors::wire::{self, Receipt, VERSION};
use dataflows::market::Invalid;
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
    /// Why it is refused, if that shows on its face.
    refusal: Option<Invalid>,
    /// The record, if it may be refused for what it refers to.
    record: Option<Box<wire::Record>>,
}

impl Subject {
    /// Of that record, decoded or not; `refusal` is what translation says against it.
    pub(super) fn of(inbound: &Inbound, refusal: Option<Invalid>) -> Self {
        let (kind, id) = match &inbound.record {
            Err(refused) => (refused.kind.clone(), refused.id.clone()),
            Ok(record) => {
                let (kind, id) = told(record);
                (Some(kind.to_string()), id)
            }
        };
        let refusal = match &inbound.record {
            Err(Refused { field, value, reason, .. }) => Some(Invalid::new(field, value, reason)),
            Ok(_) => refusal,
        };
        let refers = |record: &&wire::Record| !refers_to(record).is_empty();
        let record = inbound.record.as_ref().ok().filter(refers).cloned().map(Box::new);
        Self { sequence: inbound.sequence, kind, id, refusal, record }
    }

    /// Holds what an `invalid` receipt says of the record.
    fn hold_refusal(&self, receipt: &Receipt, case: &Case<'_>) -> Result<()> {
        let text = |of: &Option<String>| of.clone().unwrap_or_else(|| "nothing".into());
        let told = [text(&receipt.field), text(&receipt.value), text(&receipt.reason)];
        let rule = "an invalid record is told its field, value and reason";
        if let Some(Invalid { field, value, reason }) = &self.refusal {
            for ((name, right), told) in
                ["field", "value", "reason"].into_iter().zip([field, value, reason]).zip(&told)
            {
                case.equal(rule, name, right, told)?;
            }
            return Ok(());
        }
        let Some(record) = &self.record else { return Ok(()) };
        let [field, value, reason] = &told;
        let fields = refers_to(record);
        let named = fields.iter().any(|(name, _)| name == field);
        let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
        case.holds(rule, "field", named, names.join(" or "), field)?;
        let right = json::value_of(record, field).unwrap_or_default();
        case.equal(rule, "value", &right, value)?;
        let fits = |(name, begins): &&(&str, &str)| name == field && reason.starts_with(begins);
        let right = fields.iter().any(|one| fits(&one));
        Ok(case.holds(rule, "reason", right, "one of those for the field", reason)?)
    }
}

/// What a record may be refused for that only the state can tell: a field, and how the reason begins.
fn refers_to(record: &wire::Record) -> &'static [(&'static str, &'static str)] {
    match record {
        wire::Record::Offer(_) => &[
            ("store", "unknown store"),
            ("store", "unknown, and "),
            ("product", "its windows' ids would be those of "),
        ],
        wire::Record::Stock(_) => &[
            ("store", "no such offer"),
            ("store", "unknown, and "),
            ("product", "no such offer"),
            ("product", "unknown, and "),
        ],
        wire::Record::Reply(_) => &[
            ("window", "unknown window"),
            ("window", "unknown, and "),
            ("revision", "no such revision of the window"),
            ("intent", "no such live intent"),
            ("answer", "an intent declines at most "),
        ],
        wire::Record::Arrival(_) => &[
            ("window", "unknown window"),
            ("window", "unknown, and "),
            ("window", "the window is not locked"),
            ("intent", "not a member of the window"),
        ],
        wire::Record::Intent(_) | wire::Record::Store(_) | wire::Record::Clock(_) => &[],
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

    /// Holds the receipt of that record against the outcomes that are right; returns the one told.
    ///
    /// # Errors
    /// There is none, or it says something else.
    pub(super) fn expect(
        &mut self,
        subject: &Subject,
        outcomes: Outcomes,
        rules: &Cell<u64>,
    ) -> Result<Outcomes> {
        let sequence = subject.sequence;
        let case = Case { line: sequence, subject: "record", rules };
        let receipt = self.find(sequence)?;
        let rule = "exactly one receipt for each record";
        case.holds(rule, "sequence", receipt.is_some(), "a receipt", "none")?;
        let Some(receipt) = receipt else { return Ok(Outcomes::NONE) };
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
            subject.hold_refusal(&receipt, &case)?;
        }
        Ok(Outcomes::of(&receipt.outcome))
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
