//! The scenario keeps what `City::records` says, and stays the same.

use super::*;
use connectors::codec::json;
use connectors::wire::Record;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

fn line(dated: &Dated) -> Vec<u8> {
    let mut line = Vec::new();
    json::write_record(&mut line, Some(&dated.at.to_string()), &dated.record);
    line.push(b'\n');
    line
}

fn digest(city: &City, lines: usize) -> String {
    let mut digest = Sha256::new();
    city.records().take(lines).for_each(|dated| digest.update(line(&dated)));
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_id(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    (1..=64).contains(&text.len()) && text.bytes().all(good)
}

fn small() -> City {
    City { intents: 6_000, stores: 150, hours: 9, ..City::default() }
}

#[test]
fn the_default_city_stays_the_same() {
    let expected = "a56ef8fb68634605cb0e656d091194b695fb146a268ca91e1c72f3ccb7b7ec0d";
    assert_eq!(digest(&City::default(), 10_000), expected);
    assert_ne!(digest(&City { seed: 8, ..City::default() }, 10_000), expected);
}

#[test]
fn records_are_ordered_and_refer_to_what_is_there() {
    let city = small();
    let mut last = city.start;
    let end = city.start.as_second() + i64::from(city.hours) * 3_600;
    let mut stores = BTreeMap::new();
    let mut offers: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut stocks: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut live: BTreeMap<String, (u64, i64)> = BTreeMap::new();
    let (mut puts, mut edits, mut cancels) = (0, 0, 0);
    for Dated { at, record } in city.records() {
        assert!(at >= last && at.as_second() < end, "{at} after {last}");
        last = at;
        match record {
            Record::Store(store) => {
                assert!(is_id(&store.id) && store.lat.abs() < 90.0 && store.lng.abs() < 180.0);
                assert!(stores.insert(store.id, store.version).is_none());
            }
            Record::Offer(offer) => {
                assert!(stores.contains_key(&offer.store) && is_id(&offer.product));
                let rising = offer
                    .tiers
                    .is_sorted_by(|a, b| a.min_buyers < b.min_buyers && a.price > b.price);
                assert!(rising && !offer.tiers.is_empty(), "{offer:?}");
                assert!(offer.tiers[0].price < offer.list_price, "{offer:?}");
                let before = offers.insert((offer.store, offer.product), offer.version);
                assert_eq!(before.unwrap_or(0) + 1, offer.version);
            }
            Record::Stock(stock) => {
                let key = (stock.store, stock.product);
                assert!(offers.contains_key(&key));
                let kinds = [stock.units, stock.sold, stock.added];
                assert_eq!(kinds.iter().flatten().count(), 1);
                assert_eq!(stock.units.is_none(), stock.event.is_some());
                assert_eq!(stocks.insert(key, stock.version).unwrap_or(0) + 1, stock.version);
            }
            Record::Intent(intent) => {
                assert!(is_id(&intent.id));
                if intent.version == 1 {
                    puts += 1;
                } else {
                    let (version, from) = live.remove(&intent.id).expect("it lives");
                    assert!(
                        intent.version == version + 1 && at.as_second() <= from,
                        "{intent:?} at {at}"
                    );
                }
                if intent.cancel == Some(true) {
                    cancels += 1;
                    continue;
                }
                edits += usize::from(intent.version > 1);
                let available = intent.available.unwrap();
                let times =
                    available.iter().flatten().map(|time| time.parse::<Timestamp>().unwrap());
                let times: Vec<Timestamp> = times.collect();
                assert!(times.is_sorted_by(|a, b| a < b) && times[0] >= at, "{times:?}");
                assert!(is_id(&intent.buyer.unwrap()) && intent.budget.unwrap() > 0);
                let entry = (intent.version, times[0].as_second());
                assert!(live.insert(intent.id, entry).is_none());
            }
            other => panic!("not expected: {other:?}"),
        }
    }
    assert_eq!((puts, stores.len()), (6_000, 150));
    assert!((250..450).contains(&cancels) && (100..200).contains(&edits), "{cancels} {edits}");
    assert_eq!(stocks.values().sum::<u64>(), 720);
}

#[test]
fn the_smallest_and_the_oddest_city() {
    let tiny = City { intents: 0, stores: 1, products: 1, hours: 1, ..City::default() };
    assert!(tiny.records().count() >= 2);
    let nowhere = City {
        intents: 50,
        stores: 0,
        products: 0,
        hours: 0,
        start: Timestamp::MAX,
        centre: (90.0, 180.0),
        timezone: "Nowhere".to_string(),
        ..City::default()
    };
    nowhere.records().for_each(drop);
    let many = City { products: 300, stores: 20, intents: 500, ..City::default() };
    assert!(many.records().all(|dated| line(&dated).len() < 2_000));
}

#[test]
fn a_burst_wants_one_product() {
    let most_wanted = |burst: bool| {
        let city = City { burst, hours: 1, ..small() };
        let mut minutes: BTreeMap<(i64, String), u64> = BTreeMap::new();
        for Dated { at, record } in city.records() {
            if let Record::Intent(wire::Intent { product: Some(product), version: 1, .. }) = record
            {
                *minutes.entry((at.as_second() / 60, product)).or_default() += 1;
            }
        }
        minutes.into_values().max().unwrap_or_default()
    };
    assert!(most_wanted(true) > most_wanted(false));
}

#[test]
fn a_crowd_is_there_within_a_minute_and_a_rush_wants_the_same_at_noon() {
    let city = City { crowd: 700, rush: 90, stay: Stay::SHORT, intents: 300, hours: 2, ..small() };
    let opened = city.opened();
    let (mut crowd, mut rush, mut later) = (0, 0, 0);
    let mut last = city.start;
    for Dated { at, record } in city.records() {
        assert!(at >= last, "{at} after {last}");
        last = at;
        let Record::Intent(wire::Intent { version: 1, product, available, cancel: None, .. }) =
            record
        else {
            continue;
        };
        let available = available.expect("a put says when");
        let until: Timestamp = available.last().expect("some time")[1].parse().expect("a time");
        assert!(until > at, "{until} at {at}");
        if at < opened {
            crowd += 1;
            assert!(until.as_second() > at.as_second() + 2_400, "{until} at {at}");
        } else if at < opened + SignedDuration::from_mins(1) {
            rush += 1;
            assert_eq!(product.as_deref(), Some("latte"));
            assert_eq!(available, [["2026-06-12T09:00:00Z", "2026-06-12T10:00:00Z"]]);
        } else {
            later += 1;
        }
    }
    assert_eq!((crowd, rush, later), (700, 90, 300));
}
