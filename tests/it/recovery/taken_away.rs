//! What is taken away from a city while nobody looks, and what has only one owner.

use super::town::{CITY, Town, is_clock, kept, published, signal};
use crate::proxy::Proxy;
use crate::support::{iceshop, output};
use connectors::subject::Subjects;
use std::io::Write;
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
    assert_eq!(town.messages(Subjects::receipt_stream), town.records);
}

#[test]
fn a_durable_consumer_that_is_deleted_is_made_again() {
    let town = Town::build();
    let mut engine = town.start_with(&["--durable", "engine"]);
    published(&town, 30);
    kept(&town);
    town.ask(Subjects::in_stream, async |stream| {
        stream.delete_consumer("engine").await.unwrap();
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

/// A publisher sends again what nobody acknowledged: it is in the stream once and in order.
#[test]
fn a_publisher_that_is_cut_off_puts_nothing_twice() {
    cut_off(&["--exclusive"]).is_whole();
    cut_off(&[]).is_whole();
}

/// A town into which a publisher has put all records that was cut off half-way.
fn cut_off(more: &[&str]) -> Town {
    let town = Town::empty();
    town.succeed(&["nats", "init"]);
    let proxy = Proxy::to(&town.server.url());
    let (events, url) = (town.events(), proxy.url());
    let args = ["publish", events.to_str().unwrap(), "--nats", &url, "--city", CITY];
    let mut publisher = iceshop(&[&args[..], &["--rate", "300"], more].concat())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let half = || town.messages(Subjects::in_stream) < town.records / 2;
    while half() {
        std::thread::sleep(Duration::from_millis(20));
    }
    proxy.cut();
    std::thread::sleep(Duration::from_millis(1_500));
    proxy.mend();
    assert!(publisher.wait().unwrap().success());
    assert_eq!(town.messages(Subjects::in_stream), town.records);
    town.finish();
    town
}

/// Whoever pipes records in may pause, and the engine then puts a clock record among them: they stay in
/// their order.
#[test]
fn a_publisher_that_pauses_keeps_its_order_beside_the_engines_clock() {
    let town = Town::empty();
    town.succeed(&["nats", "init"]);
    let mut engine = town.start();
    let url = town.server.url();
    let args = ["publish", "-", "--nats", &url, "--city", CITY];
    let mut publisher = iceshop(&args).stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let text = std::fs::read_to_string(town.events()).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut pipe = publisher.stdin.take().unwrap();
    let (before, after) = lines.split_at(lines.len() / 2);
    pipe.write_all(before.concat().as_bytes()).unwrap();
    pipe.flush().unwrap();
    let clocked = || town.messages(Subjects::out_stream) > 0 && town.clocks() > 0;
    while !clocked() {
        std::thread::sleep(Duration::from_millis(100));
    }
    pipe.write_all(after.concat().as_bytes()).unwrap();
    drop(pipe);
    assert!(publisher.wait().unwrap().success());
    signal(&engine, "-TERM");
    assert!(engine.wait().unwrap().success(), "{}", town.said());
    let held: Vec<String> = town.inputs().into_iter().filter(|body| !is_clock(body)).collect();
    let own: Vec<&str> =
        lines.iter().map(|line| line.trim_end()).filter(|line| !is_clock(line)).collect();
    assert!(held == own, "the file's records, in its order");
}

#[test]
fn a_publisher_keeps_its_order_while_the_server_is_killed() {
    let mut town = Town::empty();
    town.succeed(&["nats", "init"]);
    let (events, url) = (town.events(), town.server.url());
    let args = ["publish", events.to_str().unwrap(), "--nats", &url, "--city", CITY];
    let mut publisher =
        iceshop(&[&args[..], &["--rate", "500"]].concat()).stderr(Stdio::null()).spawn().unwrap();
    for part in 1..4 {
        while town.messages(Subjects::in_stream) < town.records * part / 4 {
            std::thread::sleep(Duration::from_millis(20));
        }
        town.server.kill();
        town.server.resume();
    }
    assert!(publisher.wait().unwrap().success());
    assert_eq!(town.messages(Subjects::in_stream), town.records);
    town.finish();
    town.is_whole();
}

#[test]
fn a_publisher_whose_stream_goes_ends_aloud() {
    let town = Town::empty();
    town.succeed(&["nats", "init"]);
    town.delete(Subjects::in_stream);
    let (events, url) = (town.events(), town.server.url());
    let args = ["publish", events.to_str().unwrap(), "--nats", &url, "--city", CITY];
    let missing = output(&args);
    assert_eq!(missing.status.code(), Some(3));
    town.succeed(&["nats", "init"]);
    let publisher =
        iceshop(&[&args[..], &["--rate", "20"]].concat()).stderr(Stdio::piped()).spawn().unwrap();
    while town.messages(Subjects::in_stream) < 5 {
        std::thread::sleep(Duration::from_millis(20));
    }
    town.delete(Subjects::in_stream);
    let ended = publisher.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(3), "{said}");
    assert!(said.contains("ICESHOP_TEST_TOWN_IN does not exist"), "{said}");
}
