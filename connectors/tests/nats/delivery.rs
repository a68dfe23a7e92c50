//! Decisions, receipts and dead letters, whatever happens to the server.

use std::time::Duration;

use bytes::Bytes;
use connectors::inbound::DeadLetter;
use connectors::nats::*;
use connectors::wire::Receipt;

use crate::support::{
    City, PATIENCE, assert_out, city, city_with, decision, publish, wait_for_server,
};

/// How many records a city has of which something is said.
const RECORDS: usize = 1_000;

async fn sink(city: &City, decided: u64) -> Result<Sink, NatsError> {
    sink_after(city, decided, Noted::default()).await
}

/// An engine has said what it said of records: they are there before the first one begins.
async fn sink_after(city: &City, decided: u64, noted: Noted) -> Result<Sink, NatsError> {
    let input = StreamState::of(&city.connection, &city.subjects.in_stream()).await.unwrap();
    if input.last == 0 {
        publish(city, &"junk\n".repeat(RECORDS), &PublishSettings::default()).await;
    }
    let settings = FlightSettings::default();
    Sink::open(&city.connection, &city.subjects, decided, noted, settings).await
}

#[tokio::test]
async fn decisions_arrive_in_order_with_their_headers() {
    let city = city().await;
    let mut sink = sink(&city, 0).await.unwrap();
    for n in 1..=5_000 {
        sink.decision(&decision(n)).await.unwrap();
    }
    sink.flush().await.unwrap();
    assert_eq!(sink.published(), 5_000);
    assert_out(&city, 5_000).await;
    let out = city.connection.jetstream().get_stream(city.subjects.out_stream()).await.unwrap();
    let found = out.get_raw_message(7).await.unwrap();
    assert_eq!(
        found.subject.as_str(),
        "iceshop.test-city.out.window.871ec9024ffffff.latte.s1_latte_7"
    );
    for (name, value) in [
        ("Nats-Msg-Id", "s1_latte_7:1"),
        ("Nats-Expected-Stream", "ICESHOP_TEST_CITY_OUT"),
        ("Nats-Expected-Last-Sequence", "6"),
        ("Content-Type", "application/json"),
        ("Iceshop-In-Seq", "7"),
        ("Iceshop-Expires", "2026-11-22T14:20:00Z"),
        ("ce-specversion", "1.0"),
        ("ce-id", "s1_latte_7:1"),
        ("ce-source", "/iceshop/test-city"),
        ("ce-type", "shop.ice.window.proposed.v1"),
        ("ce-time", "2026-11-22T13:40:00Z"),
    ] {
        assert_eq!(found.headers.get(name).map(|it| it.as_str()), Some(value), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decisions_survive_restarts_of_the_server() {
    // A window so short that the broker forgets the ids before it is back.
    let settings =
        StreamSettings { duplicate_window: Duration::from_millis(100), ..Default::default() };
    let mut city = city_with(&settings).await;
    let mut sink = sink(&city, 0).await.unwrap();
    for n in 1..=12_000 {
        sink.decision(&decision(n)).await.unwrap();
        // With up to a thousand decisions under way.
        if n % 2_000 == 1_500 {
            city.server.kill();
            city.server.resume();
        }
    }
    tokio::time::timeout(PATIENCE, sink.flush()).await.unwrap().unwrap();
    assert_out(&city, 12_000).await;
}

#[tokio::test]
async fn a_replay_publishes_nothing_twice() {
    let city = city().await;
    let mut first = sink(&city, 0).await.unwrap();
    for n in 1..=100 {
        first.decision(&decision(n)).await.unwrap();
    }
    first.flush().await.unwrap();
    let mut second = sink(&city, 40).await.unwrap();
    for n in 41..=120 {
        second.decision(&decision(n)).await.unwrap();
    }
    second.flush().await.unwrap();
    assert_eq!((second.decided(), second.published()), (120, 120));
    assert_out(&city, 120).await;
    let error = sink(&city, 121).await.map(|_| ()).unwrap_err();
    assert!(matches!(error, NatsError::StreamShort { wanted: 121, last: 120, .. }), "{error}");
}

#[tokio::test]
async fn another_history_or_another_writer_is_found_out() {
    let city = city().await;
    let mut first = sink(&city, 0).await.unwrap();
    first.decision(&decision(1)).await.unwrap();
    first.flush().await.unwrap();
    let mut second = sink(&city, 0).await.unwrap();
    let error = second.decision(&decision(2)).await.unwrap_err();
    assert!(matches!(error, NatsError::Foreign { sequence: 1, .. }), "{error}");
    let foreign = city.subjects.decision(&decision(9));
    let sent = city.connection.jetstream().publish(foreign, "{}".into()).await;
    sent.unwrap().await.unwrap();
    first.decision(&decision(2)).await.unwrap();
    let error = first.flush().await.unwrap_err();
    assert!(matches!(error, NatsError::Foreign { sequence: 2, .. }), "{error}");
}

/// The broker refuses the decision whose place it has, and takes the one after it.
#[tokio::test]
async fn another_writer_in_the_place_of_one_of_several_is_found_out() {
    let city = city().await;
    let mut sink = sink(&city, 0).await.unwrap();
    let foreign = city.subjects.decision(&decision(9));
    let sent = city.connection.jetstream().publish(foreign, "{}".into()).await;
    sent.unwrap().await.unwrap();
    let mut error = None;
    for n in 1..=3 {
        error = error.or(sink.decision(&decision(n)).await.err());
    }
    let error = error.or(sink.flush().await.err()).expect("decision 1 is not there");
    assert!(matches!(error, NatsError::Foreign { sequence: 1, .. }), "{error}");
    // Nor are those behind it.
    let out = city.connection.jetstream().get_stream(city.subjects.out_stream()).await.unwrap();
    assert_eq!(out.cached_info().state.last_sequence, 1);
}

/// Puts a message of somebody else into a stream, and takes it out again.
async fn put_and_taken(city: &City, stream: String, subject: String) {
    let jetstream = city.connection.jetstream();
    let sent = jetstream.publish(subject, "{}".into()).await.unwrap().await.unwrap();
    let stream = jetstream.get_stream(stream).await.unwrap();
    assert!(stream.delete_message(sent.sequence).await.unwrap());
}

/// An empty place at the end of OUT is no decision that arrived.
#[tokio::test]
async fn a_place_that_somebody_took_and_left_is_no_decision() {
    let city = city().await;
    let (out, foreign) = (city.subjects.out_stream(), city.subjects.decision(&decision(9)));
    let mut first = sink(&city, 0).await.unwrap();
    first.decision(&decision(1)).await.unwrap();
    first.flush().await.unwrap();
    put_and_taken(&city, out.clone(), foreign.clone()).await;
    let mut errors = Vec::new();
    for n in 2..=4 {
        errors.extend(first.decision(&decision(n)).await.err());
    }
    errors.extend(first.flush().await.err());
    let error = errors.first().expect("decision 2 is nowhere");
    assert!(matches!(error, NatsError::Emptied { sequence: 2, .. }), "{error}");
    // Nor does a start take it for one, or what comes behind.
    for decided in [0, 1] {
        let error = sink(&city, decided).await.map(|_| ()).unwrap_err();
        assert!(matches!(error, NatsError::Emptied { sequence: 2, .. }), "{error}");
    }
    assert_out(&city, 1).await;
}

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
        assert_eq!(sink.noted(), Noted { receipts: 0, letters: 1 });
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
    assert_eq!(noted, Noted { receipts: 100, letters: 0 });
    // Killed again when it had come half-way: what it had not come to is still looked up.
    let mut again = sink_after(&city, 0, noted).await.unwrap();
    for sequence in 101..=200 {
        again.receipt(&receipt(sequence)).await.unwrap();
    }
    again.flush().await.unwrap();
    assert_eq!(again.noted(), noted);
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

/// What OUT holds is compared, message by message, with what is decided once more.
#[tokio::test]
async fn decisions_that_are_made_again_must_be_the_same() {
    let city = city().await;
    let push = async |decided: u64, numbers: std::ops::RangeInclusive<u64>, change: Option<u64>| {
        let mut sink = sink(&city, decided).await?;
        for n in numbers {
            let mut decision = decision(n);
            if change == Some(n) {
                decision.value += 1;
            }
            sink.decision(&decision).await?;
        }
        sink.flush().await
    };
    push(0, 1..=100, None).await.unwrap();
    let out = city.connection.jetstream().get_stream(city.subjects.out_stream()).await.unwrap();
    for gone in [1, 40, 41, 100] {
        out.delete_message(gone).await.unwrap();
    }
    // The last one may have been somebody else's, unless a snapshot knows it.
    let error = push(99, 100..=120, None).await.unwrap_err();
    assert!(matches!(error, NatsError::Emptied { sequence: 100, .. }), "{error}");
    push(100, 101..=120, None).await.unwrap();
    push(0, 1..=120, None).await.unwrap();
    push(50, 51..=130, None).await.unwrap();
    let error = push(50, 51..=130, Some(60)).await.unwrap_err();
    assert!(matches!(&error, NatsError::Differs { sequence: 60, id, .. } if id == "s1_latte_60:1"));
    // What was deleted cannot be compared; what is not made again is not.
    push(0, 1..=130, Some(40)).await.unwrap();
    push(70, 71..=130, Some(60)).await.unwrap();
    // One is left out: the next has its place.
    let error = push(50, 52..=131, None).await.unwrap_err();
    assert!(matches!(error, NatsError::Foreign { sequence: 51, .. }), "{error}");
    let info = city.connection.jetstream().get_stream(city.subjects.out_stream()).await.unwrap();
    assert_eq!(info.cached_info().state.last_sequence, 130, "nothing came in between");
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
