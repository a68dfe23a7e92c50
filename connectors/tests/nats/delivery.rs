//! Decisions, whatever happens to the server.

use std::time::Duration;

use connectors::nats::*;

use crate::support::{
    PATIENCE, assert_out, city, city_with, decision, publish, put_and_taken, sink,
};

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

/// Nor are decisions waited for that are purged while they are made once more.
#[tokio::test]
async fn what_is_purged_meanwhile_is_not_compared() {
    for kept in [0, 1_000] {
        let city = city().await;
        publish(&city, &"junk\n".repeat(9_100), &PublishSettings::default()).await;
        let mut first = sink(&city, 0).await.unwrap();
        for n in 1..=9_000 {
            first.decision(&decision(n)).await.unwrap();
        }
        first.flush().await.unwrap();
        let mut again = sink(&city, 0).await.unwrap();
        for n in 1..=10 {
            again.decision(&decision(n)).await.unwrap();
        }
        let out = city.connection.jetstream().get_stream(city.subjects.out_stream()).await.unwrap();
        out.purge().keep(kept).await.unwrap();
        let rest = async {
            for n in 11..=9_100 {
                again.decision(&decision(n)).await.unwrap();
            }
            again.flush().await.unwrap();
        };
        tokio::time::timeout(PATIENCE, rest).await.unwrap();
        let stream = city.connection.jetstream().get_stream(city.subjects.out_stream()).await;
        let state = stream.unwrap().cached_info().state.clone();
        assert_eq!((state.messages, state.last_sequence), (kept + 100, 9_100));
    }
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
