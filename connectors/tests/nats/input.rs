//! From a file through the input stream to the source.

use std::io::Cursor;
use std::time::Duration;

use connectors::file::FileSource;
use connectors::inbound::{Fault, Inbound, Stamp};
use connectors::nats::*;
use futures_util::StreamExt;

use crate::support::{City, PATIENCE, city, publish, read, wait_for_server};

/// `count` good lines and some others.
fn text(count: usize) -> String {
    let mut text = String::new();
    for n in 1..=count {
        let second = n % 60;
        text += &format!(
            "{{\"at\":\"2026-11-22T13:40:{second:02}Z\",\"kind\":\"intent\",\"id\":\"i{n}\",\
             \"version\":1,\"product\":\"latte\"}}\n"
        );
    }
    text += "{\"at\":\"x\\ny\",\"kind\":\"clock\"}\nnonsense\n{\"kind\":\"store\"}\n";
    // One that is too long for a record, and one that is too long for a message.
    text += &"x".repeat(300_000);
    text += "\n";
    text += &"y".repeat(1_100_000);
    text += "\n{\"kind\":\"intent\",\"id\":\"i.1\",\"version\":1,\"product\":\"la.tte\"}\n";
    text
}

fn from_file(text: &str) -> Vec<Inbound> {
    let mut out = Vec::new();
    let mut source = FileSource::new(Cursor::new(text.to_owned()), "test").unwrap();
    while source.read_batch(1_000, &mut out).unwrap() > 0 {}
    out
}

async fn open(city: &City, sequence: u64) -> InputSource {
    InputSource::open(&city.connection, &city.subjects, sequence, None).await.unwrap()
}

#[tokio::test]
async fn what_is_published_comes_out_as_from_the_file() {
    let city = city().await;
    let text = text(2_000);
    let published = publish(&city, &text, &PublishSettings::default()).await;
    assert_eq!((published.records, published.messages, published.raw), (2_006, 2_006, 4));
    let mut source = open(&city, 1).await;
    assert_eq!(source.recorded(), Some(true));
    let found = read(&mut source, 2_006).await;
    for (found, mut expected) in found.into_iter().zip(from_file(&text)) {
        if expected.sequence == 2_001 {
            // A header has no line ends; both texts are no time.
            expected.at = Stamp::Text("x?y".into());
        }
        if let Some(raw) = &mut expected.raw {
            raw.subject = Some("iceshop.test-city.in.raw".into());
        }
        assert_eq!(found, expected);
    }
    let mut rest = Vec::new();
    let progress = source.next_batch(9, Duration::ZERO, &mut rest).await.unwrap();
    assert_eq!(progress, Progress { last_sequence: 2_006, caught_up: true });
    assert!(rest.is_empty());
    assert_eq!(read(&mut open(&city, 2_000).await, 6).await[0].sequence, 2_000);
}

#[tokio::test]
async fn batches_carry_the_same_records() {
    let city = city().await;
    let text = text(1_000);
    let settings = PublishSettings { batch: 100, ..PublishSettings::default() };
    let published = publish(&city, &text, &settings).await;
    assert_eq!((published.records, published.messages), (1_006, 14));
    let found = read(&mut open(&city, 1).await, 1_006).await;
    for (at, (found, expected)) in found.iter().zip(from_file(&text)).enumerate() {
        assert_eq!(found.record, expected.record);
        if expected.at != Stamp::Absent {
            assert_eq!(found.at, expected.at);
        }
        if at < 1_000 {
            let place = (at as u64 / 100 + 1, Some(at as u32 % 100));
            assert_eq!((found.sequence, found.index), place);
        }
    }
}

#[tokio::test]
async fn a_wrong_count_is_refused_whole() {
    let city = city().await;
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Iceshop-Count", "3");
    let jetstream = city.connection.jetstream();
    let body = "{\"kind\":\"clock\"}\n{\"kind\":\"clock\"}";
    let subject = city.subjects.batch();
    let sent = jetstream.publish_with_headers(subject.clone(), headers, body.into()).await;
    sent.unwrap().await.unwrap();
    let mut source = open(&city, 1).await;
    let found = read(&mut source, 1).await;
    assert_eq!(source.recorded(), None, "it is no record, and tells nothing of the others");
    let refused = found[0].record.as_ref().unwrap_err();
    assert_eq!((refused.fault, refused.field.as_str()), (Fault::Batch, "Iceshop-Count"));
    assert!(matches!(found[0].at, Stamp::Nanos(nanos) if nanos > 1_700_000_000_000_000_000));
    let raw = found[0].raw.as_ref().unwrap();
    assert_eq!((&raw.bytes[..], raw.subject.clone()), (body.as_bytes(), Some(subject)));
}

#[tokio::test]
async fn the_source_survives_a_server_and_a_consumer_that_go() {
    let mut city = city().await;
    let settings = PublishSettings { exclusive: true, ..PublishSettings::default() };
    let mut source = open(&city, 1).await;
    let mut sequences: Vec<u64> = Vec::new();
    for round in 0..5 {
        publish(&city, &text(494), &settings).await;
        let found = read(&mut source, 500).await;
        sequences.extend(found.iter().map(|it| it.sequence));
        match round {
            0 | 3 => {
                city.server.kill();
                city.server.resume();
                wait_for_server(&city).await;
            }
            _ => delete_consumers(&city).await,
        }
    }
    assert_eq!(sequences, (1..=2_500).collect::<Vec<_>>());
    assert_eq!(source.holes(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_lost_with_a_connection_are_fetched_again() {
    let city = city().await;
    let settings = PublishSettings { exclusive: true, ..PublishSettings::default() };
    publish(&city, &text(29_994), &settings).await;
    // The source's own connection: the other one is not cut.
    let connection = connect(&ConnectSettings::new(city.server.url())).await.unwrap();
    let mut source = InputSource::open(&connection, &city.subjects, 1, None).await.unwrap();
    let mut sequences: Vec<u64> = Vec::new();
    while sequences.len() < 30_000 {
        let found = read(&mut source, 1).await;
        if sequences.len() / 3_000 < (sequences.len() + found.len()) / 3_000 {
            connection.client().force_reconnect().await.unwrap();
        }
        sequences.extend(found.iter().map(|it| it.sequence));
    }
    assert_eq!(sequences, (1..=30_000).collect::<Vec<_>>());
    assert_eq!(source.holes(), 0);
}

/// Two at once, and a third that puts the first one's file once more: each message is there once, and
/// each publisher's are in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishers_that_meet_put_each_message_once() {
    let city = city().await;
    let named = |prefix: &str, rate| PublishSettings {
        message_ids: Some(prefix.into()),
        rate_per_s: rate,
        ..PublishSettings::default()
    };
    let text = text(1_994);
    let (fast, slow) = (named("fast", Some(1_500)), named("slow", Some(700)));
    tokio::join!(publish(&city, &text, &fast), publish(&city, &text, &slow));
    let again = publish(&city, &text, &fast).await;
    assert_eq!((again.messages, again.had_before), (2_000, 2_000));
    let stream = city.connection.jetstream().get_stream(city.subjects.in_stream()).await.unwrap();
    let mut ids: Vec<(String, u64)> = Vec::new();
    for sequence in 1..=stream.cached_info().state.last_sequence {
        let message = stream.get_raw_message(sequence).await.unwrap();
        let id = message.headers.get("Nats-Msg-Id").unwrap().to_string();
        let [prefix, number, _] = id.split(':').collect::<Vec<_>>().try_into().unwrap();
        ids.push((prefix.into(), number.parse().unwrap()));
    }
    let turns = ids.windows(2).filter(|two| two[0].0 != two[1].0).count();
    assert!(turns > 10, "they met {turns} times");
    // By publisher; the order of each one's own stays.
    ids.sort_by(|a, b| a.0.cmp(&b.0));
    let all = |prefix: &str| (1..=2_000).map(|n| (prefix.to_string(), n)).collect::<Vec<_>>();
    assert!(ids == [all("fast"), all("slow")].concat());
}

/// Deletes every consumer of the input stream.
async fn delete_consumers(city: &City) {
    let stream = city.connection.jetstream().get_stream(city.subjects.in_stream()).await.unwrap();
    let names: Vec<_> = stream.consumer_names().collect().await;
    assert!(!names.is_empty());
    for name in names {
        stream.delete_consumer(&name.unwrap()).await.unwrap();
    }
}

#[tokio::test]
async fn a_purged_or_new_stream_is_a_typed_error() {
    let city = city().await;
    publish(&city, &text(9), &PublishSettings::default()).await;
    let open = |sequence| InputSource::open(&city.connection, &city.subjects, sequence, None);
    let error = open(17).await.map(|_| ()).unwrap_err();
    assert!(matches!(error, NatsError::StreamShort { wanted: 16, last: 15, .. }), "{error}");
    let stream = city.connection.jetstream().get_stream(city.subjects.in_stream()).await.unwrap();
    stream.purge().sequence(5).await.unwrap();
    let error = open(4).await.map(|_| ()).unwrap_err();
    assert!(matches!(error, NatsError::StreamCut { wanted: 4, first: 5, .. }), "{error}");
    assert_eq!(read(&mut open(5).await.unwrap(), 1).await[0].sequence, 5);
    let _: u64 = stream.purge().await.unwrap().purged;
    let error = open(15).await.map(|_| ()).unwrap_err();
    assert!(matches!(error, NatsError::StreamCut { wanted: 15, first: 16, .. }), "{error}");
}

/// Made anew while it is read: neither what is in it now is handed on, nor what will be.
#[tokio::test]
async fn a_stream_that_is_made_anew_meanwhile_is_a_typed_error() {
    for more in [0, 20] {
        let city = city().await;
        publish(&city, &text(9), &PublishSettings::default()).await;
        let mut source = open(&city, 1).await;
        read(&mut source, 15).await;
        city.connection.jetstream().delete_stream(city.subjects.in_stream()).await.unwrap();
        init(&city.connection, &city.subjects, &StreamSettings::default()).await.unwrap();
        publish(&city, &text(9 + more), &PublishSettings::default()).await;
        let since = std::time::Instant::now();
        let mut out = Vec::new();
        let error = loop {
            assert!(since.elapsed() < PATIENCE);
            match source.next_batch(100, Duration::from_millis(200), &mut out).await {
                Ok(_) => assert!(out.is_empty(), "{out:?}"),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, NatsError::Replaced { wanted: 16, .. }), "{error}");
    }
}

/// Its server comes back with what it had a while ago, and others publish before anybody has looked.
#[tokio::test]
async fn a_stream_that_has_gone_back_and_was_filled_anew_is_a_typed_error() {
    let mut city = city().await;
    publish(&city, &text(9), &PublishSettings::default()).await;
    city.server.kill();
    let backup = city.server.backup();
    city.server.resume();
    wait_for_server(&city).await;
    publish(&city, &text(9), &PublishSettings::default()).await;
    let mut source = open(&city, 1).await;
    read(&mut source, 30).await;
    city.server.kill();
    city.server.bring_back(&backup);
    city.server.resume();
    wait_for_server(&city).await;
    publish(&city, &text(20), &PublishSettings::default()).await;
    let mut out = Vec::new();
    let error = loop {
        match source.next_batch(100, Duration::from_millis(100), &mut out).await {
            Ok(_) => assert!(out.is_empty(), "what takes the place of others: {out:?}"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, NatsError::Refilled { sequence: 30, .. }), "{error}");
}

#[tokio::test]
async fn deleted_messages_are_holes() {
    let city = city().await;
    publish(&city, &text(9), &PublishSettings::default()).await;
    let stream = city.connection.jetstream().get_stream(city.subjects.in_stream()).await.unwrap();
    let gone = [5, 6, 8, 15];
    for sequence in gone {
        stream.delete_message(sequence).await.unwrap();
    }
    let mut source = open(&city, 1).await;
    let mut found = read(&mut source, 11).await;
    publish(&city, &text(1), &PublishSettings::default()).await;
    found.extend(read(&mut source, 1).await);
    let sequences: Vec<u64> = found.iter().map(|it| it.sequence).take(12).collect();
    assert_eq!(sequences, (1..=16).filter(|it| !gone.contains(it)).collect::<Vec<_>>());
    assert_eq!(source.holes(), 4);
}

/// What the broker still had when it was asked last is not waited for when it is gone.
#[tokio::test]
async fn what_is_deleted_before_it_is_handed_out_is_not_waited_for() {
    let city = city().await;
    let records = "junk\n".repeat(9_000);
    publish(&city, &records, &PublishSettings::default()).await;
    let stream = city.connection.jetstream().get_stream(city.subjects.in_stream()).await.unwrap();
    let mut source = open(&city, 1).await;
    let first = read(&mut source, 10).await.len();
    stream.delete_message(9_000).await.unwrap();
    stream.delete_message(8_998).await.unwrap();
    read(&mut source, 8_998 - first).await;
    let since = std::time::Instant::now();
    let at_end = Progress { last_sequence: 9_000, caught_up: true };
    while next_or_ask(&mut source).await.unwrap() != at_end {
        assert!(since.elapsed() < PATIENCE);
    }
    assert_eq!(source.holes(), 2);
    // Nor is all of it, if it is purged: that is an error.
    publish(&city, &records, &PublishSettings::default()).await;
    read(&mut source, 10).await;
    stream.purge().await.unwrap();
    let error = loop {
        match next_or_ask(&mut source).await {
            Ok(now) => assert!(since.elapsed() < 2 * PATIENCE, "{now:?}"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, NatsError::StreamCut { first: 18_001, .. }), "{error}");
}

/// Reads on; at the end of what there is, whoever knows that there was more asks. A purge can make the last
/// message that is under way say that none is behind it.
async fn next_or_ask(source: &mut InputSource) -> Result<Progress, NatsError> {
    let now = source.next_batch(1_000, Duration::from_millis(100), &mut Vec::new()).await?;
    if now.caught_up {
        source.look_again();
    }
    Ok(now)
}

#[tokio::test]
async fn a_clock_is_appended_only_to_a_quiet_stream() {
    let city = city().await;
    let clock = Clock::new(&city.connection, &city.subjects);
    assert!(clock.tick(0).await.unwrap());
    assert!(!clock.tick(0).await.unwrap());
    assert!(clock.tick(1).await.unwrap());
    assert!(!clock.at("2026-11-22T13:40:00Z", 1).await.unwrap());
    assert!(clock.at("2026-11-22T13:40:00Z", 2).await.unwrap());
    let mut source = open(&city, 1).await;
    assert_eq!(source.recorded(), Some(false));
    assert_eq!(read(&mut source, 3).await[2].record.as_ref().unwrap().kind(), "clock");
}

#[tokio::test]
async fn a_file_survives_a_restart_of_the_server() {
    let mut city = city().await;
    let text = text(20_000);
    let settings = PublishSettings { exclusive: true, ..PublishSettings::default() };
    let lines = connectors::file::Lines::new(Cursor::new(text.clone()), "test").unwrap();
    let (connection, subjects) = (city.connection.clone(), city.subjects.clone());
    let (half, at_half) = tokio::sync::oneshot::channel();
    let mut half = Some(half);
    let publishing = tokio::spawn(async move {
        let progress = |published: &Published| {
            if let Some(half) = half.take_if(|_| published.records > 10_000) {
                half.send(()).unwrap();
            }
        };
        publish_file(&connection, &subjects, lines, &settings, progress, std::future::pending())
            .await
    });
    at_half.await.unwrap();
    city.server.kill();
    city.server.resume();
    let published = tokio::time::timeout(PATIENCE, publishing).await.unwrap().unwrap().unwrap();
    assert_eq!(published.records, 20_006);
    let found = read(&mut open(&city, 1).await, 20_006).await;
    for (found, expected) in found.iter().zip(from_file(&text)) {
        assert_eq!((found.sequence, &found.record), (expected.sequence, &expected.record));
    }
}

#[tokio::test]
async fn a_durable_consumer_is_acknowledged_as_far_as_is_said() {
    let city = city().await;
    let text: String = (0..10_000).map(|n| format!("{n}\n")).collect();
    publish(&city, &text, &PublishSettings::default()).await;
    let floor = async || {
        let stream = city.connection.jetstream().get_stream(city.subjects.in_stream()).await;
        let info = stream.unwrap().consumer_info("engine").await.unwrap();
        (info.ack_floor.stream_sequence, info.num_pending + info.num_ack_pending as u64)
    };
    for wanted in [1, 6_000, 6_000, 9_999, 10_000, 10_000] {
        // Each time as after a restart.
        let durable = Durable::open(&city.connection, &city.subjects, "engine").await.unwrap();
        tokio::time::timeout(PATIENCE, durable.acknowledge(wanted)).await.unwrap().unwrap();
        assert_eq!(floor().await, (wanted, 10_000 - wanted));
    }
    // More than there are is no reason to wait.
    let durable = Durable::open(&city.connection, &city.subjects, "engine").await.unwrap();
    tokio::time::timeout(PATIENCE, durable.acknowledge(20_000)).await.unwrap().unwrap();
    assert_eq!(floor().await, (10_000, 0));
}
