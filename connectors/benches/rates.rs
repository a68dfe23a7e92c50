//! How many records and decisions a second pass the boundary: file, publisher, source, sink.
//!
//! `cargo bench -p connectors --bench rates [records]`; a small number runs as a smoke test. Each
//! part's result is checked, so that nothing is optimised away.

use std::io::Cursor;
use std::time::{Duration, Instant};

use connectors::codec::json;
use connectors::file::{FileSource, Lines};
use connectors::nats::*;
use connectors::subject::Subjects;
use connectors::testing::NatsServer;
use connectors::wire::{Decision, Intent, Record};

/// Records of a full run.
const FULL: usize = 200_000;

/// Records of a smoke run, which is what `cargo test` and a bare `cargo bench` ask for.
const SMOKE: usize = 2_000;

fn main() {
    let number = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let full = std::env::args().any(|argument| argument == "full");
    let count = number.unwrap_or(if full { FULL } else { SMOKE });
    let text = records(count);
    println!("{count} records of {} bytes", text.len() / count);
    from_file(&text, count);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
    runtime.block_on(through_nats(&text, count)).expect("the broker takes everything");
}

/// Prints a rate.
fn report(what: &str, count: usize, since: Instant) {
    let seconds = since.elapsed().as_secs_f64();
    println!("{what:<24} {:>10.0} per second", count as f64 / seconds);
}

/// A file of intents.
fn records(count: usize) -> String {
    let mut out = Vec::new();
    for n in 0..count {
        let place = (n % 1_000) as f64 / 10_000.0;
        let intent = Intent {
            id: format!("i{n}"),
            version: 1,
            buyer: Some(format!("b{n}")),
            product: Some("latte".into()),
            lat: Some(41.0 + place),
            lng: Some(28.9 + place),
            available: Some(vec![[
                "2026-11-22T14:00:00+03:00".into(),
                "2026-11-22T16:00:00+03:00".into(),
            ]]),
            budget: Some(8_000),
            ..Intent::default()
        };
        json::write_record(&mut out, Some("2026-11-22T13:40:00Z"), &Record::Intent(intent));
        out.push(b'\n');
    }
    String::from_utf8(out).expect("json is text")
}

fn from_file(text: &str, count: usize) {
    let reader = Cursor::new(text.to_owned());
    let since = Instant::now();
    let mut source = FileSource::new(reader, "bench").expect("memory can be read");
    let (mut batch, mut good) = (Vec::new(), 0);
    while source.read_batch(1_024, &mut batch).expect("memory can be read") > 0 {
        good += batch.drain(..).filter(|it| it.record.is_ok()).count();
    }
    report("file source", count, since);
    assert_eq!(good, count);
}

async fn through_nats(text: &str, count: usize) -> Result<(), NatsError> {
    let server = NatsServer::start();
    let connection = connect(&ConnectSettings::new(server.url())).await?;
    for (city, batch) in [("single", 1), ("batch", 100)] {
        let subjects = Subjects::new(city.parse().expect("a city's name"));
        init(&connection, &subjects, &StreamSettings::default()).await?;
        let lines = Lines::new(Cursor::new(text.to_owned()), "bench")?;
        let settings = PublishSettings { batch, ..PublishSettings::default() };
        let since = Instant::now();
        publish_file(&connection, &subjects, lines, &settings, |_| {}, std::future::pending())
            .await?;
        report(&format!("publisher, batch {batch}"), count, since);
        let since = Instant::now();
        let mut source = InputSource::open(&connection, &subjects, 1, None).await?;
        let (mut out, mut found) = (Vec::new(), 0);
        while found < count {
            source.next_batch(1_024, Duration::from_secs(1), &mut out).await?;
            found += out.drain(..).filter(|it| it.record.is_ok()).count();
        }
        report(&format!("nats source, batch {batch}"), count, since);
    }
    let subjects = Subjects::new("single".parse().expect("a city's name"));
    let mut sink =
        Sink::open(&connection, &subjects, 0, Noted::default(), FlightSettings::default()).await?;
    let mut decision = json::read_decision(DECISION.as_bytes()).expect("a decision");
    let since = Instant::now();
    for n in 0..count as u64 {
        decision = Decision { revision: n + 1, ..decision };
        sink.decision(&decision).await?;
    }
    sink.flush().await?;
    report("sink, decisions", count, since);
    assert_eq!(sink.published(), count as u64);
    let since = Instant::now();
    let mut tap = Tap::open(&connection, &subjects, Start::First).await?;
    for n in 0..count as u64 {
        let found = tap.next(Duration::from_secs(10)).await?.expect("every decision is there");
        assert_eq!(found.decision.revision, n + 1);
    }
    report("tap, decisions", count, since);
    Ok(())
}

/// A decision of the usual size.
const DECISION: &str = r#"{"v":1,"window":"s9_latte_29731620","revision":3,"state":"locked",
"previous":"proposed","reason":{"code":"lead_time"},"zone":"871ec9024ffffff",
"input_sequence":182736451,"decided_at":"2026-11-22T13:40:00Z",
"slot":{"from":"2026-11-22T14:00:00+03:00","until":"2026-11-22T14:20:00+03:00",
"timezone":"Europe/Istanbul"},"lock_at":"2026-11-22T13:40:00+03:00",
"reply_by":"2026-11-22T13:40:00+03:00","expires":"2026-11-22T14:20:00+03:00",
"store":{"id":"s9","name":"Moda","lat":41.00823,"lng":28.97835,"cell":"891ec902467ffff"},
"product":"latte","price":{"unit":4990,"list":7990,"tier":2,
"next_tier":{"min_buyers":20,"price":4490}},
"group":{"buyers":2,"units":3,"accepted":1,"average_distance_m":350,"median_distance_m":310},
"members":[{"intent":"i1","buyer":"b1","quantity":1,"distance_m":640,"saving":3000,"travel":192,
"accepted":true,"change":"kept"},{"intent":"i2","buyer":"b2","quantity":2,"distance_m":64,
"saving":6000,"travel":19,"accepted":false,"change":"joined"}],
"left":[{"intent":"i7","buyer":"b7","reason":{"code":"cancelled"},"next":null}],
"value":42000,"market":{"id":"latte","value":912000,"bound":915100,"gap_ppm":3387}}"#;
