//! Both codecs against themselves for arbitrary messages.

mod refusals;

use bytes::Bytes;
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;

use super::*;
use crate::inbound::Fault;
use crate::wire::*;

fn text() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9 _\\-\"\\\\é\u{1f366}\n]{0,12}"
}

fn degrees() -> impl Strategy<Value = f64> {
    prop_oneof![-180.0..180.0f64, proptest::num::f64::NORMAL]
}

fn intent() -> impl Strategy<Value = Record> {
    let put = (text(), any::<u64>(), of(text()), of(text()), of(degrees()), of(degrees()));
    let rest = (
        of(vec([text(), text()], 0..3)),
        of(any::<i64>()),
        of(any::<i64>()),
        of(any::<i64>()),
        of(text()),
        of(any::<bool>()),
    );
    (put, rest).prop_map(|((id, version, buyer, product, lat, lng), rest)| {
        let (available, budget, quantity, reach_m, expires, cancel) = rest;
        Record::Intent(Intent {
            id,
            version,
            buyer,
            product,
            lat,
            lng,
            available,
            budget,
            quantity,
            reach_m,
            expires,
            cancel,
        })
    })
}

fn offer() -> impl Strategy<Value = Record> {
    let tier =
        (any::<i64>(), any::<i64>()).prop_map(|(min_buyers, price)| Tier { min_buyers, price });
    let put = (text(), text(), any::<u64>(), any::<i64>(), vec(tier, 0..4), of(any::<i64>()));
    let rest = (of(any::<i64>()), of(btree_map(text(), any::<i64>(), 0..3)), of(any::<bool>()));
    (put, rest).prop_map(|((store, product, version, list_price, tiers, stock), rest)| {
        let (visit_value, slot_values, withdrawn) = rest;
        Record::Offer(Offer {
            store,
            product,
            version,
            list_price,
            tiers,
            stock,
            max_group: stock,
            visit_value,
            slot_values,
            lead_minutes: visit_value,
            withdrawn,
        })
    })
}

fn record() -> impl Strategy<Value = Record> {
    let texts = (text(), text(), text(), text());
    let other = (texts, any::<u64>(), of(vec(text(), 0..3)), of(any::<i64>()), degrees());
    prop_oneof![
        intent(),
        offer(),
        (other, 0..5u8).prop_map(|(((a, b, c, d), number, list, maybe, place), choice)| {
            match choice {
                0 => Record::Store(Store {
                    id: a,
                    version: number,
                    name: b,
                    lat: place,
                    lng: -place,
                    timezone: c,
                    hours: d,
                    closed_dates: list,
                    paused: maybe.map(|it| it > 0),
                }),
                1 => Record::Stock(Stock {
                    store: a,
                    product: b,
                    version: number,
                    units: maybe,
                    sold: maybe,
                    added: None,
                    event: maybe.map(|_| c),
                }),
                2 => Record::Reply(Reply {
                    window: a,
                    revision: number,
                    intent: b,
                    answer: c,
                    event: d,
                }),
                3 => Record::Arrival(Arrival { window: a, intent: b, outcome: c, event: d }),
                _ => Record::Clock(Clock {}),
            }
        })
    ]
}

fn receipt() -> impl Strategy<Value = Receipt> {
    let words = (of(text()), of(text()), of(text()), of(text()), of(text()));
    (any::<u64>(), of(any::<u32>()), text(), words).prop_map(
        |(sequence, index, outcome, (kind, id, field, value, reason))| Receipt {
            v: 1,
            sequence,
            index,
            outcome,
            kind,
            id,
            field,
            value,
            reason,
        },
    )
}

/// A decision with something in every field.
fn decision(part: Option<u32>, next: Option<String>, lat: f64, words: &str) -> Decision {
    let word = || words.to_owned();
    let reason = Reason { code: word() };
    Decision {
        v: 1,
        window: word(),
        revision: 3,
        state: word(),
        previous: word(),
        reason: reason.clone(),
        zone: word(),
        input_sequence: 7,
        decided_at: word(),
        slot: SlotTimes { from: word(), until: word(), timezone: word() },
        lock_at: word(),
        reply_by: word(),
        expires: word(),
        store: StoreView { id: word(), name: word(), lat, lng: -lat, cell: word() },
        product: word(),
        price: Price {
            unit: 1,
            list: 2,
            tier: 1,
            next_tier: part.map(|it| Tier { min_buyers: it.into(), price: 9 }),
        },
        group: Group {
            buyers: 1,
            units: 2,
            accepted: 0,
            average_distance_m: 3,
            median_distance_m: 4,
        },
        members: vec![Member {
            intent: word(),
            buyer: word(),
            quantity: 1,
            distance_m: 2,
            saving: -3,
            travel: 4,
            accepted: true,
            change: word(),
        }],
        left: vec![Left { intent: word(), buyer: word(), reason, next }],
        value: -1,
        market: Market { id: word(), value: 1, bound: 2, gap_ppm: 3 },
        part,
        parts: part,
    }
}

proptest! {
    #[test]
    fn a_record_survives_json(record in record(), at in of(text())) {
        let mut out = Vec::new();
        json::write_record(&mut out, at.as_deref(), &record);
        prop_assert!(!out.contains(&b'\n'));
        prop_assert_eq!(json::read_record(&out), json::Line { at, record: Ok(record) });
    }

    #[test]
    fn a_record_survives_bincode(record in record()) {
        let mut out = Vec::new();
        binary::write_record(&mut out, &record);
        prop_assert_eq!(&out, &bincode::serialize(&record).unwrap());
        prop_assert_eq!(binary::read_record(&out), Ok(record));
        out.push(0);
        prop_assert_eq!(binary::read_record(&out).unwrap_err().fault, Fault::Malformed);
    }

    #[test]
    fn a_receipt_survives_both(receipt in receipt()) {
        let mut out = Vec::new();
        json::write_receipt(&mut out, &receipt);
        prop_assert_eq!(&json::read_receipt(&out).unwrap(), &receipt);
        out.clear();
        binary::write_receipt(&mut out, &receipt);
        prop_assert_eq!(&binary::read_receipt(&out).unwrap(), &receipt);
    }

    #[test]
    fn a_decision_survives_both(
        part in of(any::<u32>()), next in of(text()), lat in degrees(), words in text(),
    ) {
        let decision = decision(part, next, lat, &words);
        let mut out = Vec::new();
        json::write_decision(&mut out, &decision);
        prop_assert_eq!(&json::read_decision(&out).unwrap(), &decision);
        out.clear();
        binary::write_decision(&mut out, &decision);
        prop_assert_eq!(&binary::read_decision(&out).unwrap(), &decision);
    }

    #[test]
    fn a_batch_survives_both(records in vec(record(), 1..20)) {
        let count = records.len().to_string();
        let mut lines = Vec::new();
        let mut prefixed = Vec::new();
        for record in &records {
            json::write_record(&mut lines, None, record);
            lines.extend_from_slice(b"\n\n");
            batch::write_prefixed(&mut prefixed, record);
        }
        for (format, body) in [(Format::Json, lines), (Format::Bincode, prefixed)] {
            let mut items = Vec::new();
            batch::read_body(format, Some(&count), &Bytes::from(body), &mut items);
            let expected: Vec<_> =
                (0..).zip(&records).map(|(at, it)| (Some(at), Ok(it.clone()))).collect();
            let found: Vec<_> = items.into_iter().map(|item| (item.index, item.record)).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..200), count in of("[0-9a]{0,3}")) {
        let body = Bytes::from(bytes);
        for format in [Format::Json, Format::Bincode] {
            let mut items = Vec::new();
            batch::read_body(format, count.as_deref(), &body, &mut items);
            prop_assert!(!items.is_empty());
        }
    }
}

#[test]
fn unknown_fields_and_version_one_are_read() {
    let line = br#"{"v":1,"kind":"clock","at":"x","later":{"deep":[1,{}]},"n":null}"#;
    let expected = json::Line { at: Some("x".into()), record: Ok(Record::Clock(Clock {})) };
    assert_eq!(json::read_record(line), expected);
}

#[test]
fn absent_fields_are_omitted_at_the_top_only() {
    let mut out = Vec::new();
    let intent = Intent { id: "i1".into(), version: 2, cancel: Some(true), ..Intent::default() };
    json::write_record(&mut out, Some("t"), &Record::Intent(intent));
    let expected = br#"{"at":"t","kind":"intent","id":"i1","version":2,"cancel":true}"#;
    assert_eq!(out, expected, "{}", String::from_utf8_lossy(&out));
    out.clear();
    json::write_decision(&mut out, &decision(None, None, 1.5, "w"));
    let text = String::from_utf8(out).unwrap();
    assert!(text.starts_with(r#"{"v":1,"window":"w","revision":3,"#), "{text}");
    assert!(text.contains(r#""next_tier":null"#) && text.contains(r#""next":null"#), "{text}");
    assert!(!text.contains("\"part"), "{text}");
}
