//! What the tests share: a city with its streams, and messages.

use std::io::Cursor;
use std::time::Duration;

use connectors::file::Lines;
use connectors::inbound::Inbound;
use connectors::nats::*;
use connectors::subject::Subjects;
use connectors::testing::NatsServer;
use connectors::wire::*;

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A server with a city's streams.
pub(crate) struct City {
    pub(crate) server: NatsServer,
    pub(crate) connection: Connection,
    pub(crate) subjects: Subjects,
}

pub(crate) fn subjects() -> Subjects {
    Subjects::new("test-city".parse().unwrap())
}

pub(crate) async fn city() -> City {
    city_with(&StreamSettings::default()).await
}

pub(crate) async fn city_with(settings: &StreamSettings) -> City {
    let server = NatsServer::start();
    let connection = connect(&ConnectSettings::new(server.url())).await.unwrap();
    let rows = init(&connection, &subjects(), settings).await.unwrap();
    assert!(rows.iter().all(|row| row.good), "{rows:?}");
    City { server, connection, subjects: subjects() }
}

/// Publishes a text as a file.
pub(crate) async fn publish(city: &City, text: &str, settings: &PublishSettings) -> Published {
    let lines = Lines::new(Cursor::new(text.to_owned()), "test").unwrap();
    let (connection, subjects) = (&city.connection, &city.subjects);
    publish_file(connection, subjects, lines, settings, |_| {}, std::future::pending())
        .await
        .unwrap()
}

/// Reads until `count` records are there.
pub(crate) async fn read(source: &mut InputSource, count: usize) -> Vec<Inbound> {
    let mut out = Vec::new();
    let since = std::time::Instant::now();
    while out.len() < count {
        assert!(since.elapsed() < PATIENCE, "only {} of {count} records came", out.len());
        source.next_batch(1_000, Duration::from_millis(200), &mut out).await.unwrap();
    }
    out
}

/// Decision number `n`: a window of its own.
pub(crate) fn decision(n: u64) -> Decision {
    let text = |it: &str| it.to_owned();
    let window = format!("s1_latte_{n}");
    Decision {
        v: 1,
        window,
        revision: 1,
        state: text("proposed"),
        previous: text("forming"),
        reason: Reason { code: text("formed") },
        zone: text("871ec9024ffffff"),
        input_sequence: n,
        decided_at: text("2026-11-22T13:40:00Z"),
        slot: SlotTimes { from: text("a"), until: text("b"), timezone: text("UTC") },
        lock_at: text("c"),
        reply_by: text("d"),
        expires: text("2026-11-22T14:20:00Z"),
        store: StoreView {
            id: text("s1"),
            name: text("Café"),
            lat: 41.0,
            lng: 29.0,
            cell: text("891ec902467ffff"),
        },
        product: text("latte"),
        price: Price { unit: 1, list: 2, tier: 1, next_tier: None },
        group: Group {
            buyers: 1,
            units: 1,
            accepted: 0,
            average_distance_m: 1,
            median_distance_m: 1,
        },
        members: Vec::new(),
        left: Vec::new(),
        value: 1,
        market: Market { id: text("latte"), value: 1, bound: 1, gap_ppm: 0 },
        part: None,
        parts: None,
    }
}

/// Checks that OUT holds exactly the decisions 1 to `count`, in order.
pub(crate) async fn assert_out(city: &City, count: u64) {
    let mut tap = Tap::open(&city.connection, &city.subjects, Start::First).await.unwrap();
    for n in 1..=count {
        let found = tap.next(PATIENCE).await.unwrap().expect("OUT ends early");
        assert_eq!((found.sequence, found.decision), (n, decision(n)));
    }
    assert!(tap.is_caught_up());
}

/// Returns when the server answers again.
pub(crate) async fn wait_for_server(city: &City) {
    let since = std::time::Instant::now();
    let short = Duration::from_millis(200);
    loop {
        // A request that is lost with the old connection would wait for its own, longer, timeout.
        let asked = city.connection.jetstream().get_stream(city.subjects.in_stream());
        if let Ok(Ok(_)) = tokio::time::timeout(short, asked).await {
            return;
        }
        assert!(since.elapsed() < PATIENCE, "the server does not come back");
    }
}

/// How many records a city has of which something is said.
const RECORDS: usize = 1_000;

pub(crate) async fn sink(city: &City, decided: u64) -> Result<Sink, NatsError> {
    sink_after(city, decided, Noted::default()).await
}

/// An engine has said what it said of records: they are there before the first one begins.
pub(crate) async fn sink_after(city: &City, decided: u64, noted: Noted) -> Result<Sink, NatsError> {
    let input = StreamState::of(&city.connection, &city.subjects.in_stream()).await.unwrap();
    if input.last == 0 {
        publish(city, &"junk\n".repeat(RECORDS), &PublishSettings::default()).await;
    }
    let settings = FlightSettings::default();
    Sink::open(&city.connection, &city.subjects, decided, noted, settings).await
}

/// Puts a message of somebody else into a stream, and takes it out again.
pub(crate) async fn put_and_taken(city: &City, stream: String, subject: String) {
    let jetstream = city.connection.jetstream();
    let sent = jetstream.publish(subject, "{}".into()).await.unwrap().await.unwrap();
    let stream = jetstream.get_stream(stream).await.unwrap();
    assert!(stream.delete_message(sent.sequence).await.unwrap());
}
