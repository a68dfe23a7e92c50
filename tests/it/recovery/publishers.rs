//! Publishers in trouble: what they put into the input stream is there once and in order, or they say so.

use super::town::{CITY, Town, is_clock, signal};
use crate::proxy::Proxy;
use crate::support::{iceshop, output};
use connectors::subject::Subjects;
use serde_json::Value;
use std::io::Write;
use std::process::{Child, Stdio};
use std::time::Duration;

/// A publisher of the town's records, at a server.
fn publisher(town: &Town, url: &str, more: &[&str]) -> Child {
    let events = town.events();
    let args = ["publish", events.to_str().unwrap(), "--nats", url, "--city", CITY];
    iceshop(&[&args[..], more].concat()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Its exit code, and what it said.
fn ended(publisher: Child) -> (Option<i32>, String) {
    let output = publisher.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Waits until so many records are in the input stream.
fn received(town: &Town, least: u64) {
    while town.messages(Subjects::in_stream) < least {
        std::thread::sleep(Duration::from_millis(20));
    }
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
    let publisher = publisher(&town, &proxy.url(), &[&["--rate", "300"], more].concat());
    received(&town, town.records / 2);
    proxy.cut();
    std::thread::sleep(Duration::from_millis(1_500));
    proxy.mend();
    assert_eq!(ended(publisher).0, Some(0));
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
    let publisher = publisher(&town, &town.server.url(), &["--rate", "500"]);
    for part in 1..4 {
        received(&town, town.records * part / 4);
        town.server.kill();
        town.server.resume();
    }
    assert_eq!(ended(publisher).0, Some(0));
    assert_eq!(town.messages(Subjects::in_stream), town.records);
    town.finish();
    town.is_whole();
}

#[test]
fn a_publisher_whose_stream_goes_ends_aloud() {
    let town = Town::empty();
    town.succeed(&["nats", "init"]);
    town.delete(Subjects::in_stream);
    let url = town.server.url();
    assert_eq!(ended(publisher(&town, &url, &[])).0, Some(3));
    town.succeed(&["nats", "init"]);
    let publisher = publisher(&town, &url, &["--rate", "20"]);
    received(&town, 5);
    town.delete(Subjects::in_stream);
    let (code, said) = ended(publisher);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("ICESHOP_TEST_TOWN_IN does not exist"), "{said}");
}

/// What was put into the stream that was there before is gone: half of the file is no success.
#[test]
fn a_publisher_whose_stream_is_made_anew_ends_aloud() {
    let town = Town::empty();
    town.succeed(&["nats", "init"]);
    let publisher = publisher(&town, &town.server.url(), &["--rate", "400"]);
    received(&town, town.records / 3);
    town.delete(Subjects::in_stream);
    town.succeed(&["nats", "init"]);
    let (code, said) = ended(publisher);
    assert_eq!(code, Some(5), "{said}");
    assert!(
        said.contains("deleted and made anew") && said.contains("and publish the file again"),
        "{said}"
    );
}

/// A stream that takes no more is told, and takes the rest when it may.
#[test]
fn a_publisher_into_a_full_stream_ends_aloud() {
    let town = Town::empty();
    town.succeed(&["nats", "init"]);
    town.limit_records(100);
    let url = town.server.url();
    let (code, said) = ended(publisher(&town, &url, &["--message-ids", "day"]));
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("ICESHOP_TEST_TOWN_IN is full: maximum messages exceeded"), "{said}");
    assert!(said.contains("raise its limit"), "{said}");
    assert_eq!(town.messages(Subjects::in_stream), 100);
    town.limit_records(-1);
    let (code, said) = ended(publisher(&town, &url, &["--message-ids", "day"]));
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("100 of which the stream had already"), "{said}");
    town.finish();
    town.is_whole();
}

/// A prefix of message ids names a file's messages by their content, too: what was there already is told,
/// and what was not is there afterwards.
#[test]
fn a_prefix_that_was_used_before_hides_nothing() {
    let town = Town::empty();
    town.succeed(&["nats", "init"]);
    let (events, url) = (town.events(), town.server.url());
    let put = |file: &str, more: &[&str]| {
        let args = ["publish", file, "--nats", &url, "--city", CITY, "--message-ids", "day"];
        let put = output(&[&args[..], more].concat());
        assert!(put.status.success());
        String::from_utf8(put.stderr).unwrap()
    };
    let events = events.to_str().unwrap();
    assert!(!put(events, &[]).contains("already"));
    assert!(put(events, &[]).contains(", all of which the stream had already;"));
    assert_eq!(town.messages(Subjects::in_stream), town.records);
    // In other messages, and another file: neither is taken for what is there.
    put(events, &["--batch", "100"]);
    let batches = town.records.div_ceil(100);
    assert_eq!(town.messages(Subjects::in_stream), town.records + batches);
    let text = std::fs::read_to_string(town.events()).unwrap();
    let other = town.events().with_file_name("other.jsonl");
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    std::fs::write(&other, [lines[0], lines[2], lines[1]].concat()).unwrap();
    let said = put(other.to_str().unwrap(), &[]);
    assert!(said.contains("in 3 messages, 1 of which the stream had already;"), "{said}");
    assert_eq!(town.messages(Subjects::in_stream), town.records + batches + 2);
}

/// Whoever wants the stream alone is told that he is not.
#[test]
fn an_exclusive_publisher_that_is_not_alone_says_so() {
    let town = Town::empty();
    town.succeed(&["nats", "init"]);
    let exclusive = publisher(&town, &town.server.url(), &["--rate", "400", "--exclusive"]);
    received(&town, 20);
    town.at_broker(async |connection, _| {
        let subject = format!("iceshop.{CITY}.in.clock");
        let sent = connection.jetstream().publish(subject, r#"{"kind":"clock"}"#.into()).await;
        sent.unwrap().await.unwrap();
    });
    let (code, said) = ended(exclusive);
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("somebody else writes there"), "{said}");
}

/// A publisher that sends the same hour twice: what is decided is what is without the second time, and each
/// record has its receipt.
#[test]
fn the_same_hour_twice_is_decided_once() {
    let mut town = Town::build();
    town.finish();
    let first = town.inputs();
    town.succeed(&["publish", town.events().to_str().unwrap()]);
    town.finish();
    let both = town.inputs();
    let (before, again) = both.split_at(first.len());
    assert!(before == first && again.len() as u64 >= town.records);
    // What is behind them are the engine's clocks: the ticks that those end may bring upkeep.
    let clocks = &again[town.records as usize..];
    assert!(clocks.iter().all(|body| is_clock(body)), "{clocks:?}");
    let once = town.decided(&[before, clocks].concat());
    town.goes_on_with(&both);
    assert!(but_for_sequences(&town.expected) == but_for_sequences(&once));
    town.is_whole();
}

/// Decisions without the sequence of the record that they came after.
fn but_for_sequences(lines: &str) -> Vec<Value> {
    let parsed = lines.lines().map(|line| serde_json::from_str(line).unwrap());
    parsed
        .map(|mut decision: Value| {
            assert!(decision.as_object_mut().unwrap().remove("input_sequence").is_some());
            decision
        })
        .collect()
}

/// Told to stop, a publisher says how much is in the stream, and that it is not all.
#[test]
fn a_publisher_that_is_told_to_stop_says_how_far_it_is() {
    let town = Town::empty();
    town.succeed(&["nats", "init"]);
    let publisher = publisher(&town, &town.server.url(), &["--rate", "100"]);
    received(&town, 20);
    signal(&publisher, "-TERM");
    let (code, said) = ended(publisher);
    assert_eq!(code, Some(130), "{said}");
    let there = town.messages(Subjects::in_stream);
    assert!(there < town.records, "{said}");
    assert!(said.contains(&format!("told to stop: published {there} records")), "{said}");
}

/// Though the server does not answer any more, and then it says of how many it does not know.
#[test]
fn a_publisher_that_is_told_to_stop_does_not_wait_for_its_server() {
    let mut town = Town::empty();
    town.succeed(&["nats", "init"]);
    let publisher = publisher(&town, &town.server.url(), &["--rate", "200"]);
    received(&town, 20);
    town.server.kill();
    std::thread::sleep(Duration::from_secs(1));
    signal(&publisher, "-TERM");
    let (code, said) = ended(publisher);
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("told to stop: published ") && said.contains("nobody knows"), "{said}");
}

/// What comes through a pipe is sent when it comes.
#[test]
fn a_publisher_does_not_wait_for_the_end_of_its_pipe() {
    let town = Town::empty();
    town.succeed(&["nats", "init"]);
    let url = town.server.url();
    let args = ["publish", "-", "--nats", &url, "--city", CITY];
    let mut publisher = iceshop(&args).stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut pipe = publisher.stdin.take().unwrap();
    let text = std::fs::read_to_string(town.events()).unwrap();
    for (n, line) in (1..=3).zip(text.split_inclusive('\n')) {
        pipe.write_all(line.as_bytes()).unwrap();
        received(&town, n);
    }
    drop(pipe);
    assert!(publisher.wait().unwrap().success());
}
