//! What is taken away from a city while nobody looks, and what has only one owner.

use super::consumer_state;
use super::town::{CITY, Town, kept, published, signal};
use crate::support::iceshop;
use connectors::subject::Subjects;
use std::process::Stdio;
use std::time::Duration;

/// Receipts are not less than decisions: what was published and is gone is said, and comes back.
#[test]
fn receipts_that_are_gone_are_told_and_come_back() {
    let town = Town::build();
    town.finish();
    town.delete(Subjects::receipt_stream);
    town.succeed(&["nats", "init"]);
    let (code, said) = town.fail(&[]);
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("ICESHOP_TEST_TOWN_RECEIPT ends at 0, but must reach"), "{said}");
    assert!(said.contains("start with an empty folder of snapshots"), "{said}");
    std::fs::remove_dir_all(town.snapshots()).unwrap();
    town.finish();
    town.is_whole();
}

/// What is no receipt does not belong there, whenever it came.
#[test]
fn a_receipt_that_no_engine_wrote_is_told() {
    let town = Town::build();
    town.at_broker(async |connection, _| {
        let subject = format!("iceshop.{CITY}.receipt.applied");
        let sent = connection.jetstream().publish(subject, "stray".into()).await;
        sent.unwrap().await.unwrap();
    });
    let (code, said) = town.fail(&[]);
    assert_eq!(code, Some(5), "{said}");
    assert!(
        said.contains("holds a message without an id at 1") && said.contains("delete"),
        "{said}"
    );
    town.ask(Subjects::receipt_stream, async |stream| {
        assert!(stream.delete_message(1).await.unwrap());
    });
    town.finish();
    assert_eq!(town.messages(Subjects::receipt_stream), town.messages(Subjects::in_stream));
}

/// Receipts that were purged a moment ago cannot be published again yet: their server remembers them.
#[test]
fn receipts_that_are_purged_come_back_when_the_server_has_forgotten_them() {
    let town = Town::build();
    town.finish();
    town.ask(Subjects::receipt_stream, async |stream| stream.purge().await.unwrap());
    std::fs::remove_dir_all(town.snapshots()).unwrap();
    let (code, said) = town.fail(&[]);
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("the server remembers that it had it, as message 1"), "{said}");
    assert!(said.contains("once its duplicate window is over"), "{said}");
    assert!(said.contains("start with an empty folder of snapshots"), "{said}");
    town.delete(Subjects::receipt_stream);
    town.succeed(&["nats", "init"]);
    // A snapshot of records that have no receipt yet may have been kept, and knows where the stream ended.
    std::fs::remove_dir_all(town.snapshots()).unwrap();
    town.finish();
    town.is_whole();
}

/// What is no decision is told at once, though nothing is left to decide; and what takes the place of a
/// decision cannot be mended by deleting it.
#[test]
fn a_decision_that_no_engine_wrote_is_told() {
    let town = Town::build();
    town.finish();
    town.at_broker(async |connection, _| {
        let subject = format!("iceshop.{CITY}.out.window.x.y.z");
        let sent = connection.jetstream().publish(subject, "stray".into()).await;
        sent.unwrap().await.unwrap();
    });
    let (code, said) = town.fail(&[]);
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("holds a message without an id at"), "{said}");
    assert!(said.contains("start with an empty folder of snapshots"), "{said}");
    town.ask(Subjects::out_stream, async |stream| {
        let first = stream.cached_info().state.first_sequence;
        assert!(stream.delete_message(first + 1).await.unwrap());
        assert!(stream.delete_message(stream.cached_info().state.last_sequence).await.unwrap());
    });
    let (code, said) = town.fail(&[]);
    assert_eq!(code, Some(5), "it may have been a decision: {said}");
    assert!(said.contains("lacks 2 of the ") && said.contains("nobody can tell"), "{said}");
    town.delete(Subjects::out_stream);
    town.succeed(&["nats", "init"]);
    std::fs::remove_dir_all(town.snapshots()).unwrap();
    town.finish();
    town.is_whole();
}

/// Decisions that were purged are not published again, and whoever runs the engine is told.
#[test]
fn decisions_that_are_purged_are_told() {
    let town = Town::build();
    town.finish();
    town.ask(Subjects::out_stream, async |stream| stream.purge().await.unwrap());
    let said = town.finish();
    assert!(!said.contains("no longer has"), "a snapshot knows what was decided: {said}");
    assert!(said.contains("ICESHOP_TEST_TOWN_OUT lacks "), "{said}");
    std::fs::remove_dir_all(town.snapshots()).unwrap();
    let said = town.finish();
    let gone = format!("no longer has decisions 1 to {}", town.expected.lines().count());
    assert!(said.contains(&gone), "{said}");
    assert_eq!(town.messages(Subjects::out_stream), 0);
}

/// A server that takes connections and says nothing: the engine has not begun, and ends when it is told.
#[test]
fn an_engine_that_has_not_begun_ends_when_it_is_told() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("nats://{}", silent.local_addr().unwrap());
    for name in ["-TERM", "-INT"] {
        let mut engine = iceshop(&["run", "--nats", &url, "--city", CITY])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let _connected = silent.accept().unwrap();
        signal(&engine, name);
        assert_eq!(engine.wait().unwrap().code(), Some(0), "{name}");
    }
}

#[test]
fn a_durable_consumer_that_is_deleted_is_made_again() {
    let town = Town::build();
    let mut engine = town.start_with(&["--durable", "engine"]);
    published(&town, 30);
    kept(&town);
    town.ask(Subjects::in_stream, async |stream| {
        // The server may be at writing the files that it deletes, and says so: the consumer is gone.
        if let Err(error) = stream.delete_consumer("engine").await {
            assert!(error.to_string().contains("directory not empty"), "{error:?}");
        }
    });
    published(&town, town.expected.lines().count() as u64);
    signal(&engine, "-TERM");
    assert!(engine.wait().unwrap().success(), "{}", town.said());
    let (code, said) = town.fail(&["--durable", "engine"]);
    assert_eq!(code, Some(0), "{said}");
    town.ask(Subjects::in_stream, async |stream| {
        let consumer = stream.consumer_info("engine").await.unwrap();
        assert!(consumer.ack_floor.stream_sequence >= town.records, "{consumer:?}");
    });
    town.is_whole();
}

/// A server that is still at deleting a consumer may take the files away of one that was made since.
#[test]
fn a_durable_consumer_whose_files_are_gone_is_made_again() {
    let town = Town::build();
    let (code, said) = town.fail(&["--durable", "engine"]);
    assert_eq!(code, Some(0), "{said}");
    let state = consumer_state(town.server.store());
    std::fs::remove_dir_all(state.parent().unwrap()).unwrap();
    let (code, said) = town.fail(&["--durable", "engine"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(consumer_state(town.server.store()).exists());
    town.is_whole();
}

#[test]
fn a_folder_of_snapshots_is_one_engines() {
    let town = Town::build();
    let mut engine = town.start();
    kept(&town);
    let (code, said) = town.fail(&[]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("another engine keeps its own in"), "{said}");
    engine.kill().unwrap();
    engine.wait().unwrap();
    town.finish();
    town.is_whole();
}

/// The log itself is gone: the run ends, and so does every start until it is there again.
#[test]
fn an_input_stream_that_is_deleted_ends_the_run_aloud() {
    let town = Town::build();
    let mut engine = town.start();
    published(&town, town.expected.lines().count() as u64);
    town.delete(Subjects::in_stream);
    let status = engine.wait().unwrap();
    assert_eq!(status.code(), Some(3), "{}", town.said());
    assert!(town.said().contains("ICESHOP_TEST_TOWN_IN does not exist"), "{}", town.said());
    let (code, said) = town.fail(&[]);
    assert!(code == Some(3) && said.contains("stream is absent"), "{said}");
}

/// The server is back with what it had a while ago, and the records came again before the engine did.
#[test]
fn an_input_stream_that_has_gone_back_and_was_filled_anew_is_told() {
    let mut town = Town::empty();
    town.succeed(&["nats", "init"]);
    let text = std::fs::read_to_string(town.events()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let (before, after) = lines.split_at(lines.len() / 2);
    let last = &lines[lines.len() - 1..];
    let publish = |town: &Town, lines: &[&str]| {
        let part = town.folder.path().join("part.jsonl");
        std::fs::write(&part, lines.join("\n")).unwrap();
        town.succeed(&["publish", part.to_str().unwrap()]);
    };
    publish(&town, before);
    // A server that is killed may lose what it has only just acknowledged.
    std::thread::sleep(Duration::from_secs(1));
    town.server.kill();
    let backup = town.server.backup();
    town.server.resume();
    publish(&town, after);
    town.finish();
    town.server.kill();
    town.server.bring_back(&backup);
    town.server.resume();
    // As long as it was, the engine's clock record included.
    publish(&town, &[after, last].concat());
    let (code, said) = town.fail(&[]);
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("ICESHOP_TEST_TOWN_IN has gone back and was filled anew"), "{said}");
    assert!(said.contains("--on-stream-regress rebuild"), "{said}");
    let (code, said) = town.fail(&["--on-stream-regress", "rebuild"]);
    assert!(code == Some(0) && said.contains("are forgotten"), "{said}");
    // It has a record more, which decides nothing.
    assert_eq!(town.messages(Subjects::out_stream), town.expected.lines().count() as u64);
    town.has_all_receipts();
}

/// The end of the log is deleted, read or not: it is the log as it is then that is decided, and ends.
#[test]
fn an_input_stream_without_its_last_messages_is_decided_to_its_end() {
    for (with_snapshots, read) in [(true, false), (false, false), (true, true)] {
        let town = Town::build();
        if read {
            town.finish();
        }
        town.ask(Subjects::in_stream, async |stream| {
            let last = stream.cached_info().state.last_sequence;
            for sequence in [last - 1, last] {
                assert!(stream.delete_message(sequence).await.unwrap());
            }
        });
        let said = town.finish();
        assert_eq!(said.contains("2 missing in the stream"), !read, "{said}");
        // With one clock record: the end of the last tick.
        let left = town.records - 1;
        let receipts = if read { left + 2 } else { left };
        assert_eq!(town.messages(Subjects::in_stream), left, "{said}");
        assert_eq!(town.receipts().len() as u64, receipts);
        if !with_snapshots {
            std::fs::remove_dir_all(town.snapshots()).unwrap();
        }
        // Nothing more to do, whatever it knows of before.
        town.finish();
        assert_eq!(town.messages(Subjects::in_stream), left, "it has its clock record");
        assert_eq!(town.receipts().len() as u64, receipts);
    }
}

/// A receipt of somebody else for a record that gets none: it is compared all the same.
#[test]
fn a_forged_receipt_is_told_where_none_would_be_published() {
    let town = Town::build();
    let forge = |about: u64| {
        town.at_broker(async |connection, _| {
            let mut headers = connectors::testing::HeaderMap::new();
            headers.insert("Nats-Msg-Id", about.to_string());
            let body = format!(r#"{{"v":1,"sequence":{about},"outcome":"invalid"}}"#);
            let subject = format!("iceshop.{CITY}.receipt.invalid");
            let jetstream = connection.jetstream();
            let sent = jetstream.publish_with_headers(subject, headers, body.into()).await;
            sent.unwrap().await.unwrap().sequence
        })
    };
    let plain = || {
        let snapshots = town.snapshots();
        let url = town.server.url();
        let args = ["run", "--nats", &url, "--city", CITY, "--stop-when-idle", "1"];
        let output = crate::support::output(
            &[&args[..], &["--snapshots", snapshots.to_str().unwrap()]].concat(),
        );
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let place = forge(5);
    let (code, said) = plain();
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("somebody else"), "{said}");
    town.ask(Subjects::receipt_stream, async |stream| {
        assert!(stream.delete_message(place).await.unwrap());
    });
    let (code, said) = plain();
    assert_eq!(code, Some(0), "{said}");
    // Of one that was done with before: it is told.
    let place = forge(6);
    let (code, said) = plain();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!("the first one at {place}: if no engine")), "{said}");
    town.finish();
}

/// A log that is closed for ever takes no clock record: its last tick stays open, and a run that is to
/// stop when idle does so all the same.
#[test]
fn an_input_stream_that_is_sealed_is_decided_but_for_its_last_tick() {
    let town = Town::build();
    town.change(Subjects::in_stream, |config| config.sealed = true);
    let said = town.finish();
    assert!(said.contains("the last tick is not over"), "{said}");
    assert_eq!(said.matches("takes no clock record").count(), 1, "{said}");
    assert_eq!(town.messages(Subjects::in_stream), town.records);
}
