//! Decisions and outcomes to messages.

use connectors::wire;
use dataflows::market::{Decision, Outcome, Resolution, SlotLength, Time};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;

/// The most members in one message; a larger group is announced in numbered parts.
pub const MEMBERS_A_PART: usize = 512;

/// Turns decisions into messages; keeps the time zones that it has needed.
#[derive(Debug, Clone)]
pub struct Announcer {
    length: SlotLength,
    zone: Resolution,
    cell: Resolution,
    zones: BTreeMap<String, TimeZone>,
}

impl Announcer {
    /// An announcer for slots of that length.
    pub fn new(length: SlotLength) -> Self {
        let resolution = |r| Resolution::new(r).expect("at most 15");
        Self { length, zone: resolution(7), cell: resolution(9), zones: BTreeMap::new() }
    }

    /// The messages of a decision: one, or as many parts as its group needs.
    pub fn messages(&mut self, decision: &Decision) -> Vec<wire::Decision> {
        let mut whole = self.message(decision);
        if whole.members.len() <= MEMBERS_A_PART {
            return vec![whole];
        }
        let members = std::mem::take(&mut whole.members);
        let parts = members.len().div_ceil(MEMBERS_A_PART) as u32;
        members
            .chunks(MEMBERS_A_PART)
            .zip(1..)
            .map(|(members, part)| wire::Decision {
                members: members.to_vec(),
                left: if part == 1 { whole.left.clone() } else { Vec::new() },
                part: Some(part),
                parts: Some(parts),
                ..whole.clone()
            })
            .collect()
    }

    fn message(&mut self, decision: &Decision) -> wire::Decision {
        let store = &decision.store;
        let timezone = store.opening.timezone().to_string();
        let quote = &decision.quote;
        let next_tier = quote.next_tier.map(|tier| wire::Tier {
            min_buyers: tier.min_buyers as i64,
            price: tier.price.minor(),
        });
        let slot = decision.window.slot;
        let (start, end) = (self.length.start(slot), self.length.end(slot));
        wire::Decision {
            v: wire::VERSION,
            window: decision.window.id(self.length),
            revision: decision.revision,
            state: decision.state.word().into(),
            previous: decision.previous.word().into(),
            reason: reason(decision.reason.code()),
            zone: store.place.cell(self.zone).to_string(),
            input_sequence: decision.input_sequence,
            decided_at: utc(decision.decided_at),
            slot: wire::SlotTimes {
                from: self.local(start, &timezone),
                until: self.local(end, &timezone),
                timezone,
            },
            lock_at: utc(decision.lock_at),
            reply_by: utc(decision.lock_at),
            expires: utc(end),
            store: wire::StoreView {
                id: store.id.to_string(),
                name: store.name.clone(),
                lat: store.place.lat(),
                lng: store.place.lng(),
                cell: store.place.cell(self.cell).to_string(),
            },
            product: decision.window.product.to_string(),
            price: wire::Price {
                unit: quote.unit.minor(),
                list: quote.list.minor(),
                tier: quote.tier,
                next_tier,
            },
            group: group(decision),
            members: decision.members.iter().map(member).collect(),
            left: decision.left.iter().map(|left| self.left(left)).collect(),
            value: decision.value,
            market: wire::Market {
                id: decision.window.product.to_string(),
                value: decision.market.value,
                bound: decision.market.bound,
                gap_ppm: decision.market.gap_ppm(),
            },
            part: None,
            parts: None,
        }
    }

    fn left(&self, left: &dataflows::market::Left) -> wire::Left {
        wire::Left {
            intent: left.intent.to_string(),
            buyer: left.buyer.to_string(),
            reason: reason(left.departure.code()),
            next: left.next.as_ref().map(|window| window.id(self.length)),
        }
    }

    /// The instant as a clock in that zone shows it.
    fn local(&mut self, time: Time, zone: &str) -> String {
        let zone = self.zones.entry(zone.to_string()).or_insert_with(|| {
            // A store's zone was checked when the store came in.
            TimeZone::get(zone).unwrap_or(TimeZone::UTC)
        });
        let time = timestamp(time);
        let offset = zone.to_offset(time);
        time.display_with_offset(offset).to_string()
    }
}

/// The receipt of a record.
pub fn receipt(sequence: u64, index: Option<u32>, outcome: Outcome) -> wire::Receipt {
    let word = outcome.word().to_string();
    let (field, value, reason) = match outcome {
        Outcome::Invalid { field, value, reason } => (Some(field), Some(value), Some(reason)),
        _ => (None, None, None),
    };
    wire::Receipt {
        v: wire::VERSION,
        sequence,
        index,
        outcome: word,
        kind: None,
        id: None,
        field,
        value,
        reason,
    }
}

fn reason(code: &str) -> wire::Reason {
    wire::Reason { code: code.into() }
}

fn group(decision: &Decision) -> wire::Group {
    let mut metres: Vec<u64> = decision.members.iter().map(|m| m.distance_m as u64).collect();
    metres.sort_unstable();
    let buyers = metres.len() as u64;
    wire::Group {
        buyers,
        units: decision.members.iter().map(|m| m.quantity as u64).sum(),
        accepted: decision.members.iter().filter(|m| m.accepted).count() as u64,
        average_distance_m: metres.iter().sum::<u64>().checked_div(buyers).unwrap_or(0),
        median_distance_m: metres.get(metres.len().saturating_sub(1) / 2).copied().unwrap_or(0),
    }
}

fn member(member: &dataflows::market::Member) -> wire::Member {
    wire::Member {
        intent: member.intent.to_string(),
        buyer: member.buyer.to_string(),
        quantity: member.quantity as u64,
        distance_m: member.distance_m as u64,
        saving: member.saving,
        travel: member.travel,
        accepted: member.accepted,
        change: member.change.word().into(),
    }
}

fn timestamp(time: Time) -> Timestamp {
    Timestamp::from_millisecond(time.0).expect("between 2000 and 2100")
}

/// RFC 3339 in UTC.
pub fn utc(time: Time) -> String {
    timestamp(time).to_string()
}
