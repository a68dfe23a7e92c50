//! Streams, connections and permissions.

use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use connectors::nats::*;
use connectors::testing::NatsServer;

use crate::support::{PATIENCE, city, subjects};

#[tokio::test]
async fn init_is_idempotent_and_reports_differences() {
    let city = city().await;
    let settings = StreamSettings::default();
    let again = init(&city.connection, &city.subjects, &settings).await.unwrap();
    assert_eq!(again.len(), 4 * 15);
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

/// The most of one subject refused instead of dropped, and streams that are closed for ever: the server
/// makes neither from the beginning.
#[tokio::test]
async fn what_would_refuse_decisions_is_told() {
    let city = city().await;
    let jetstream = city.connection.jetstream();
    let (connection, subjects) = (&city.connection, &city.subjects);
    let change = async |stream: &str, change: fn(&mut Config)| {
        let mut config = jetstream.get_stream(stream).await.unwrap().cached_info().config.clone();
        change(&mut config);
        jetstream.update_stream(config).await.unwrap();
        let rows = check(connection, subjects, &StreamSettings::default()).await.unwrap();
        let told = rows.iter().filter(|row| !row.safe && row.stream == stream);
        told.map(|row| row.field).collect::<Vec<_>>()
    };
    let per_subject = |it: &mut Config| {
        it.discard = DiscardPolicy::New;
        (it.max_messages_per_subject, it.discard_new_per_subject) = (1, true);
    };
    assert_eq!(change(&subjects.out_stream(), per_subject).await, ["discard_new_per_subject"]);
    let seal = |it: &mut Config| it.sealed = true;
    assert_eq!(change(&subjects.receipt_stream(), seal).await, ["sealed"]);
    assert_eq!(change(&subjects.in_stream(), seal).await, [""; 0]);
}

/// What a stream may not be: each alone is told, by stream and field; and what it may well be.
#[tokio::test]
async fn what_would_lose_or_repeat_messages_is_told() {
    let city = city().await;
    let jetstream = city.connection.jetstream();
    let (connection, subjects) = (&city.connection, &city.subjects);
    let unsafe_rows = async || {
        let mut rows = check(connection, subjects, &StreamSettings::default()).await.unwrap();
        rows.retain(|row| !row.safe);
        rows
    };
    assert_eq!(unsafe_rows().await, []);
    let [r#in, out] = [subjects.in_stream(), subjects.out_stream()];
    let [receipt, dlq] = [subjects.receipt_stream(), subjects.dlq_stream()];
    type Change = fn(&mut Config);
    let bad: [(&str, Change, &str); 12] = [
        (&r#in, |it| it.storage = StorageType::Memory, "storage"),
        (&r#in, |it| it.retention = RetentionPolicy::WorkQueue, "retention"),
        (&r#in, |it| it.max_messages_per_subject = 5, "max_msgs_per_subject"),
        (&r#in, |it| (it.max_messages, it.discard) = (99, DiscardPolicy::Old), "max_msgs"),
        (&r#in, |it| (it.max_bytes, it.discard) = (9_999, DiscardPolicy::Old), "max_bytes"),
        (&out, |it| (it.max_bytes, it.discard) = (9_999, DiscardPolicy::New), "max_bytes"),
        (&out, |it| it.duplicate_window = Duration::from_secs(9), "duplicate_window"),
        (&out, |it| it.max_message_size = 1_000, "max_msg_size"),
        (&out, |it| it.no_ack = true, "no_ack"),
        (&out, |it| it.subjects.push("elsewhere".into()), "subjects"),
        (&receipt, |it| it.max_messages_per_subject = 1, "max_msgs_per_subject"),
        (&dlq, |it| it.subjects = vec!["elsewhere".into()], "subjects"),
    ];
    let good: [(&str, Change); 6] = [
        (&r#in, |it| it.max_age = Duration::from_secs(9_999)),
        (&r#in, |it| it.max_messages = 99),
        (&out, |it| it.max_messages_per_subject = 1),
        (&receipt, |it| it.max_messages = 99),
        (&r#in, |it| it.max_message_size = 1_000),
        (&r#in, |it| it.max_consumers = 3),
    ];
    let bad = bad.into_iter().map(|(name, change, field)| (name, change, Some(field)));
    let good = good.into_iter().map(|(name, change)| (name, change, None));
    for (name, change, field) in bad.chain(good) {
        let mut config = jetstream.get_stream(name).await.unwrap().cached_info().config.clone();
        let as_it_was = config.clone();
        change(&mut config);
        jetstream.delete_stream(name).await.unwrap();
        jetstream.create_stream(config).await.unwrap();
        let rows = unsafe_rows().await;
        let told: Vec<_> = rows.iter().map(|row| (row.stream.as_str(), row.field)).collect();
        assert_eq!(told, field.map(|field| (name, field)).into_iter().collect::<Vec<_>>());
        jetstream.delete_stream(name).await.unwrap();
        jetstream.create_stream(as_it_was).await.unwrap();
    }
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
async fn tokens_and_nkeys_let_in() {
    let server = NatsServer::start_with("authorization { token: secret }");
    let settings =
        |login: Login, url: String| ConnectSettings { login, ..ConnectSettings::new(url) };
    connect(&settings(Login::Token("secret".into()), server.url())).await.unwrap();
    // The pair of the NATS documentation: no secret.
    let (public, seed) = (
        "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4",
        "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY",
    );
    let server =
        NatsServer::start_with(&format!("authorization {{ users: [ {{ nkey: {public} }} ] }}"));
    connect(&settings(Login::Nkey(seed.into()), server.url())).await.unwrap();
    let missing = settings(Login::Credentials("no/such.creds".into()), server.url());
    let error = connect(&missing).await.map(|_| ());
    assert!(matches!(error, Err(NatsError::Credentials { .. })), "{error:?}");
}

#[tokio::test]
async fn tls_asks_for_both_certificates() {
    let pem = |name: &str| {
        std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/nats/tls").join(name)
    };
    let server = NatsServer::start_with(&format!(
        "tls {{ cert_file: {:?}, key_file: {:?}, ca_file: {:?}, verify: true }}",
        pem("server.pem"),
        pem("server.key"),
        pem("ca.pem"),
    ));
    let full = ConnectSettings {
        tls_ca: Some(pem("ca.pem")),
        tls_client: Some((pem("client.pem"), pem("client.key"))),
        tls_required: true,
        ..ConnectSettings::new(server.url())
    };
    connect(&full).await.unwrap().readiness().unwrap();
    let without_client = ConnectSettings { tls_client: None, ..full.clone() };
    assert!(connect(&without_client).await.is_err());
    let without_ca = ConnectSettings { tls_ca: None, ..full };
    assert!(connect(&without_ca).await.is_err());
}

/// A server with a city's streams, somebody who may do all, and somebody who may not publish on that
/// subject.
async fn denied(subject: &str) -> (NatsServer, Connection, Connection) {
    let server = NatsServer::start_with(&format!(
        "authorization {{ users: [
            {{ user: admin, password: x }}
            {{ user: other, password: x, permissions: {{ publish: {{ deny: [\"{subject}\"] }} }} }}
        ] }}",
    ));
    let login = async |name: &str| {
        let login = Login::User(name.into(), "x".into());
        let settings = ConnectSettings { login, ..ConnectSettings::new(server.url()) };
        connect(&settings).await.unwrap()
    };
    let (admin, other) = (login("admin").await, login("other").await);
    init(&admin, &subjects(), &StreamSettings::default()).await.unwrap();
    (server, admin, other)
}

/// What may not be asked for does not come: that is no end of the stream.
#[tokio::test]
async fn a_denied_pull_ends_the_reader() {
    let (_server, admin, reader) = denied("$JS.API.CONSUMER.MSG.NEXT.>").await;
    let raw = subjects().raw();
    admin.jetstream().publish(raw, "junk".into()).await.unwrap().await.unwrap();
    let mut source = InputSource::open(&reader, &subjects(), 1, None).await.unwrap();
    let read = source.next_batch(10, PATIENCE, &mut Vec::new()).await;
    assert!(matches!(read, Err(NatsError::Denied { .. })), "{read:?}");
}

#[tokio::test]
async fn a_denied_publish_ends_the_sink_and_readiness() {
    let (_server, _admin, engine) = denied("iceshop.*.receipt.>").await;
    let mut sink = Sink::open(&engine, &subjects(), 0, Noted::default(), FlightSettings::default())
        .await
        .unwrap();
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
