//! Streams, connections and permissions.

use std::time::Duration;

use connectors::nats::*;
use connectors::testing::NatsServer;

use crate::support::{PATIENCE, city, subjects};

#[tokio::test]
async fn init_is_idempotent_and_reports_differences() {
    let city = city().await;
    let settings = StreamSettings::default();
    let again = init(&city.connection, &city.subjects, &settings).await.unwrap();
    assert_eq!(again.len(), 4 * 11);
    assert!(again.iter().all(|row| row.good));
    let other = StreamSettings {
        duplicate_window: Duration::from_secs(600),
        in_max_bytes: Some(1 << 20),
        ..settings
    };
    let rows = init(&city.connection, &city.subjects, &other).await.unwrap();
    let bad: Vec<_> = rows.iter().filter(|row| !row.good).collect();
    assert_eq!(bad.len(), 5, "{bad:?}");
    let bytes = bad.iter().find(|row| row.field == "max_bytes").unwrap();
    assert_eq!(bytes.stream, "ICESHOP_TEST_CITY_IN");
    assert_eq!((bytes.expected.as_str(), bytes.actual.as_str()), ("1048576", "-1"));
}

#[tokio::test]
async fn a_missing_stream_is_a_row_and_an_error() {
    let server = NatsServer::start();
    let connection = connect(&ConnectSettings::new(server.url())).await.unwrap();
    let rows = check(&connection, &subjects(), &StreamSettings::default()).await.unwrap();
    assert!(rows.len() == 4 && rows.iter().all(|row| row.actual == "absent"));
    let error = InputSource::open(&connection, &subjects(), 1, None).await.map(|_| ());
    assert!(matches!(error, Err(NatsError::NoStream { .. })), "{error:?}");
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let error = connect(&ConnectSettings::new("nats://127.0.0.1:1")).await.map(|_| ());
    assert!(matches!(error, Err(NatsError::Unreachable { .. })), "{error:?}");
}

#[tokio::test]
async fn a_wrong_password_is_denied() {
    let server = NatsServer::start_with("authorization { user: ann, password: right }");
    let login = |password: &str| ConnectSettings {
        login: Login::User("ann".into(), password.into()),
        ..ConnectSettings::new(server.url())
    };
    let error = connect(&login("wrong")).await.map(|_| ());
    assert!(matches!(error, Err(NatsError::Denied { .. })), "{error:?}");
    connect(&login("right")).await.unwrap().readiness().unwrap();
}

#[tokio::test]
async fn a_denied_publish_ends_the_sink_and_readiness() {
    let server = NatsServer::start_with(
        "authorization { users: [
            { user: admin, password: x }
            { user: engine, password: x, permissions: {
                publish: { deny: [\"iceshop.*.receipt.>\"] } } }
        ] }",
    );
    let login = |name: &str| ConnectSettings {
        login: Login::User(name.into(), "x".into()),
        ..ConnectSettings::new(server.url())
    };
    let admin = connect(&login("admin")).await.unwrap();
    init(&admin, &subjects(), &StreamSettings::default()).await.unwrap();
    let engine = connect(&login("engine")).await.unwrap();
    let mut sink = Sink::open(&engine, &subjects(), 0, FlightSettings::default()).await.unwrap();
    sink.decision(&crate::support::decision(1)).await.unwrap();
    sink.flush().await.unwrap();
    engine.readiness().unwrap();
    let receipt = connectors::wire::Receipt {
        v: 1,
        sequence: 1,
        index: None,
        outcome: "late".into(),
        kind: None,
        id: None,
        field: None,
        value: None,
        reason: None,
    };
    sink.receipt(&receipt).await.unwrap();
    let flushed = tokio::time::timeout(PATIENCE, sink.flush()).await.unwrap();
    assert!(matches!(flushed, Err(NatsError::Denied { .. })), "{flushed:?}");
    assert!(matches!(engine.readiness(), Err(NatsError::Denied { .. })));
}
