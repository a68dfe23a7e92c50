//! Receipts and dead letters, whatever happens to the server.

use std::time::Duration;

use bytes::Bytes;
use connectors::inbound::DeadLetter;
use connectors::nats::*;
use connectors::wire::Receipt;

use crate::support::{
    PATIENCE, city, city_with, decision, publish, put_and_taken, sink, sink_after, wait_for_server,
};

/// Nobody counts receipts by their places: they take the next one.
#[tokio::test]
async fn receipts_and_letters_go_behind_a_place_that_is_lost() {
    let city = city().await;
    let mut sink = sink(&city, 0).await.unwrap();
    let stream = city.subjects.receipt_stream();
    let foreign = city.subjects.receipt("late");
    for sequence in 1..=30 {
        if sequence % 10 == 5 {
            sink.flush().await.unwrap();
            put_and_taken(&city, stream.clone(), foreign.clone()).await;
            put_and_taken(&city, stream.clone(), foreign.clone()).await;
        }
        sink.receipt(&receipt(sequence)).await.unwrap();
    }
    sink.flush().await.unwrap();
    let stream = city.connection.jetstream().get_stream(stream).await.unwrap();
    let state = &stream.cached_info().state;
    assert_eq!((state.messages, state.last_sequence), (30, 36));
    assert_eq!(sink.noted().receipts, 36);
    for (sequence, place) in [(1, 1), (4, 4), (5, 7), (14, 16), (15, 19), (25, 31), (30, 36)] {
        let found = stream.get_raw_message(place).await.unwrap();
        let id = found.headers.get("Nats-Msg-Id").unwrap();
        assert_eq!(id.as_str(), sequence.to_string());
    }
}

/// The input stream has lost its end, and what was said of that stands: whatever comes in its place is
/// something else.
#[tokio::test]
async fn what_is_said_of_records_that_are_gone_is_told() {
    for outputs in ["receipts", "letters", "decisions"] {
        for refilled in [false, true] {
            let mut city = city().await;
            publish(&city, &"junk\n".repeat(10), &PublishSettings::default()).await;
            tokio::time::sleep(Duration::from_millis(500)).await;
            city.server.kill();
            let backup = city.server.backup();
            city.server.resume();
            wait_for_server(&city).await;
            publish(&city, &"junk\n".repeat(10), &PublishSettings::default()).await;
            let mut first = sink(&city, 0).await.unwrap();
            match outputs {
                "receipts" => first.receipt(&receipt(15)).await.unwrap(),
                "letters" => first.dead_letter(&letter(15)).await.unwrap(),
                _ => first.decision(&decision(15)).await.unwrap(),
            }
            first.flush().await.unwrap();
            // So long as it is there, all is well.
            sink(&city, 0).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            city.server.kill();
            city.server.bring_back_one(&backup, &city.subjects.in_stream());
            city.server.resume();
            wait_for_server(&city).await;
            if refilled {
                publish(&city, &"other\n".repeat(10), &PublishSettings::default()).await;
            }
            let error = sink(&city, 0).await.map(|_| ()).unwrap_err();
            assert!(matches!(error, NatsError::Ahead { sequence: 15, .. }), "{outputs}: {error}");
        }
    }
}

/// A receipt that is made again is compared with the one that is there.
#[tokio::test]
async fn a_receipt_that_says_something_else_is_told() {
    let city = city().await;
    let mut first = sink(&city, 0).await.unwrap();
    first.receipt(&receipt(1)).await.unwrap();
    first.receipt(&receipt(2)).await.unwrap();
    first.flush().await.unwrap();
    let mut again = sink(&city, 0).await.unwrap();
    again.receipt(&receipt(1)).await.unwrap();
    let other = Receipt { outcome: "invalid".into(), ..receipt(2) };
    let error = again.receipt(&other).await.unwrap_err();
    assert!(matches!(error, NatsError::Differs { sequence: 2, .. }), "{error}");
}

/// A message of somebody else hides none of the engine's by having its id.
#[tokio::test]
async fn what_is_no_receipt_is_none_whatever_its_id() {
    let city = city().await;
    let mut first = sink(&city, 0).await.unwrap();
    first.receipt(&receipt(1)).await.unwrap();
    first.flush().await.unwrap();
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Nats-Msg-Id", "2");
    let subject = city.subjects.receipt("late");
    let jetstream = city.connection.jetstream();
    let sent = jetstream.publish_with_headers(subject, headers, "{}".into()).await.unwrap();
    assert_eq!(sent.await.unwrap().sequence, 2);
    // Its server takes the engine's for the same one.
    let pushed = first.receipt(&receipt(2)).await;
    let error = match pushed {
        Ok(()) => first.flush().await.unwrap_err(),
        Err(error) => error,
    };
    assert!(matches!(error, NatsError::Foreign { sequence: 2, .. }), "{error}");
    let error = sink(&city, 0).await.map(|_| ()).unwrap_err();
    assert!(matches!(error, NatsError::Foreign { sequence: 2, .. }), "{error}");
}

#[tokio::test]
async fn dead_letters_keep_every_byte() {
    let city = city().await;
    let bytes = Bytes::from((0..=255).collect::<Vec<u8>>());
    let letter = DeadLetter {
        reason: "malformed",
        sequence: 7,
        index: Some(2),
        subject: Some("iceshop.test-city.in.raw".into()),
        bytes: bytes.clone(),
        length: 256,
    };
    for _ in 0..2 {
        let mut sink = sink(&city, 0).await.unwrap();
        sink.dead_letter(&letter).await.unwrap();
        sink.flush().await.unwrap();
        assert_eq!(sink.noted(), Noted { receipts: 0, letters: 1, complete: true });
    }
    let dlq = city.connection.jetstream().get_stream(city.subjects.dlq_stream()).await.unwrap();
    assert_eq!(dlq.cached_info().state.messages, 1);
    let found = dlq.get_raw_message(1).await.unwrap();
    assert_eq!(found.subject.as_str(), "iceshop.test-city.dlq.malformed");
    assert_eq!(found.payload, bytes);
    for (name, value) in [
        ("Nats-Msg-Id", "7:2"),
        ("Iceshop-Reason", "malformed"),
        ("Iceshop-Stream", "ICESHOP_TEST_CITY_IN"),
        ("Iceshop-Sequence", "7"),
        ("Iceshop-Subject", "iceshop.test-city.in.raw"),
    ] {
        assert_eq!(found.headers.get(name).map(|it| it.as_str()), Some(value), "{name}");
    }
}

fn letter(sequence: u64) -> DeadLetter {
    DeadLetter {
        reason: "malformed",
        sequence,
        index: None,
        subject: Some("iceshop.test-city.in.raw".into()),
        bytes: Bytes::from_static(b"junk"),
        length: 4,
    }
}

fn receipt(sequence: u64) -> Receipt {
    Receipt {
        v: 1,
        sequence,
        index: None,
        outcome: "late".into(),
        kind: Some("intent".into()),
        id: None,
        field: None,
        value: None,
        reason: None,
    }
}

/// The engine is killed and decides part of its log again when the broker has forgotten the ids.
#[tokio::test]
async fn receipts_are_not_repeated_after_the_duplicate_window() {
    let settings =
        StreamSettings { duplicate_window: Duration::from_millis(100), ..Default::default() };
    let city = city_with(&settings).await;
    let mut first = sink(&city, 0).await.unwrap();
    let mut noted = Noted::default();
    for sequence in 1..=300 {
        first.receipt(&receipt(sequence)).await.unwrap();
        if sequence == 100 {
            first.flush().await.unwrap();
            noted = first.noted();
        }
    }
    first.flush().await.unwrap();
    assert_eq!(noted, Noted { receipts: 100, letters: 0, complete: true });
    // Killed again when it had come half-way: what it had not come to is still looked up.
    let mut again = sink_after(&city, 0, noted).await.unwrap();
    for sequence in 101..=200 {
        again.receipt(&receipt(sequence)).await.unwrap();
    }
    again.flush().await.unwrap();
    assert_eq!(again.noted(), Noted { complete: false, ..noted });
    for (noted, from, last) in [(noted, 101, 400), (Noted::default(), 1, 450)] {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let mut again = sink_after(&city, 0, noted).await.unwrap();
        for sequence in from..=last {
            again.receipt(&receipt(sequence)).await.unwrap();
        }
        again.flush().await.unwrap();
        assert_eq!(again.noted().receipts, last);
    }
    let stream = city.subjects.receipt_stream();
    let stream = city.connection.jetstream().get_stream(stream).await.unwrap();
    assert_eq!(stream.cached_info().state.messages, 450);
    for sequence in [1, 100, 101, 300, 301, 400, 401, 450] {
        let found = stream.get_raw_message(sequence).await.unwrap();
        let id = found.headers.get("Nats-Msg-Id").unwrap();
        assert_eq!(id.as_str(), sequence.to_string());
    }
}

/// What was said of an input stream that is gone hides nothing of the one made after it.
#[tokio::test]
async fn receipts_of_another_input_stream_are_not_taken_for_ours() {
    let settings =
        StreamSettings { duplicate_window: Duration::from_millis(100), ..Default::default() };
    let city = city_with(&settings).await;
    for expected in [50, 80, 80] {
        // The third time the stream is the same, and the engine decides it again.
        let count = if expected == 50 { 50 } else { 30 };
        let mut sink = sink(&city, 0).await.unwrap();
        for sequence in 1..=count {
            sink.receipt(&receipt(sequence)).await.unwrap();
        }
        sink.flush().await.unwrap();
        assert_eq!(sink.noted().receipts, expected);
        tokio::time::sleep(Duration::from_millis(300)).await;
        if expected == 50 {
            city.connection.jetstream().delete_stream(city.subjects.in_stream()).await.unwrap();
            init(&city.connection, &city.subjects, &settings).await.unwrap();
        }
    }
    let stream = city.subjects.receipt_stream();
    let stream = city.connection.jetstream().get_stream(stream).await.unwrap();
    assert_eq!(stream.cached_info().state.messages, 80);
}

#[tokio::test]
async fn receipts_survive_a_restart_of_the_server() {
    let mut city = city().await;
    let mut sink = sink(&city, 0).await.unwrap();
    for sequence in 1..=3_000 {
        sink.receipt(&receipt(sequence)).await.unwrap();
        if sequence == 1_500 {
            city.server.kill();
            city.server.resume();
        }
    }
    tokio::time::timeout(PATIENCE, sink.flush()).await.unwrap().unwrap();
    let stream = city.subjects.receipt_stream();
    let stream = city.connection.jetstream().get_stream(stream).await.unwrap();
    assert_eq!(stream.cached_info().state.messages, 3_000);
    let found = stream.get_raw_message(1).await.unwrap();
    assert_eq!(found.subject.as_str(), "iceshop.test-city.receipt.late");
    assert_eq!(&found.payload[..], br#"{"v":1,"sequence":1,"outcome":"late","kind":"intent"}"#);
}

#[tokio::test]
async fn a_dead_letter_at_the_servers_limit_is_cut() {
    let city = city().await;
    let mut sink = sink(&city, 0).await.unwrap();
    let letter = DeadLetter {
        reason: "too_long",
        sequence: 1,
        index: None,
        subject: None,
        bytes: Bytes::from(vec![b'x'; city.connection.client().max_payload()]),
        length: 5_000_000,
    };
    sink.dead_letter(&letter).await.unwrap();
    sink.flush().await.unwrap();
    let dlq = city.connection.jetstream().get_stream(city.subjects.dlq_stream()).await.unwrap();
    let found = dlq.get_raw_message(1).await.unwrap();
    assert_eq!(found.headers.get(TRUNCATED_HEADER).map(|it| it.as_str()), Some("5000000"));
    assert!(found.payload.len() > 1_000_000 && letter.bytes.starts_with(&found.payload));
}

/// A whole receipt of somebody else does not stand for want of one of the engine's: what is not published
/// is compared, too.
#[tokio::test]
async fn a_receipt_that_is_not_published_is_compared() {
    let city = city().await;
    let mut first = sink(&city, 0).await.unwrap();
    let applied = |sequence| Receipt { outcome: "applied".into(), ..receipt(sequence) };
    first.receipt(&applied(1)).await.unwrap();
    first.receipt(&receipt(2)).await.unwrap();
    first.flush().await.unwrap();
    let mut again = sink(&city, 0).await.unwrap();
    again.unpublished(&applied(1)).unwrap();
    let error = again.unpublished(&applied(2)).unwrap_err();
    assert!(matches!(error, NatsError::Differs { sequence: 2, .. }), "{error}");
    again.unpublished(&applied(3)).unwrap();
    again.flush().await.unwrap();
    assert_eq!(again.noted(), Noted { receipts: 2, letters: 0, complete: true });
}

/// Nor does a dead letter of a record that is none.
#[tokio::test]
async fn a_dead_letter_of_a_good_record_is_told() {
    let city = city().await;
    let mut first = sink(&city, 0).await.unwrap();
    first.dead_letter(&letter(1)).await.unwrap();
    first.dead_letter(&letter(2)).await.unwrap();
    first.flush().await.unwrap();
    for published in [true, false] {
        let mut again = sink(&city, 0).await.unwrap();
        again.dead_letter(&letter(1)).await.unwrap();
        again.receipt(&receipt(1)).await.unwrap();
        let error = match published {
            true => again.receipt(&receipt(2)).await.unwrap_err(),
            false => again.unpublished(&receipt(2)).unwrap_err(),
        };
        assert!(matches!(error, NatsError::Foreign { sequence: 2, .. }), "{error}");
    }
}

/// What came behind a snapshot about records that were done with then is told, and hinders nothing.
#[tokio::test]
async fn notes_about_what_was_done_with_are_told() {
    let city = city().await;
    let mut first = sink(&city, 0).await.unwrap();
    for sequence in 1..=3 {
        first.receipt(&receipt(sequence)).await.unwrap();
    }
    first.dead_letter(&letter(3)).await.unwrap();
    first.flush().await.unwrap();
    let noted = first.noted();
    assert_eq!(noted, Noted { receipts: 3, letters: 1, complete: true });
    for sequence in 4..=7 {
        first.receipt(&receipt(sequence)).await.unwrap();
    }
    first.dead_letter(&letter(2)).await.unwrap();
    first.flush().await.unwrap();
    let mut again = sink_after(&city, 0, noted).await.unwrap();
    assert!(!again.noted().complete);
    // A snapshot after record 6, which waits for its receipt, as does the fourth.
    let untold = again.untold(6, &[(4, None), (6, None)].into());
    let found: Vec<_> =
        untold.iter().map(|it| (it.stream.as_str(), it.messages, it.first)).collect();
    assert_eq!(found, [("ICESHOP_TEST_CITY_RECEIPT", 1, 5), ("ICESHOP_TEST_CITY_DLQ", 1, 2)]);
    for sequence in [4, 6, 7] {
        again.receipt(&receipt(sequence)).await.unwrap();
    }
    again.flush().await.unwrap();
    assert_eq!(again.noted(), Noted { receipts: 7, letters: 2, complete: true });
}
