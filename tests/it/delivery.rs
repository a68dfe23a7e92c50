//! The binary on a real nats-server: what goes in comes out, once, as from a file.

mod past;

use crate::support::{iceshop, output, succeed};
use connectors::nats::{ConnectSettings, connect};
use connectors::subject::Subjects;
use connectors::testing::NatsServer;
use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

const CITY: &str = "test-town";

/// Runs a command on the city's streams.
#[track_caller]
fn on(server: &NatsServer, args: &[&str]) -> String {
    succeed(&[args, &["--nats", &server.url(), "--city", CITY]].concat())
}

fn generate(folder: &Path) -> String {
    let path = folder.join("events.jsonl").to_str().unwrap().to_string();
    let size = ["--intents", "600", "--stores", "60", "--products", "4", "--hours", "2"];
    succeed(&[&["generate", "--output", &path], &size[..]].concat());
    path
}

/// How many messages the streams OUT, receipts and dead letters hold.
fn messages(server: &NatsServer) -> [u64; 3] {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let connection = connect(&ConnectSettings::new(server.url())).await.unwrap();
        let subjects = Subjects::new(CITY.parse().unwrap());
        let mut counts = [0; 3];
        let streams = [subjects.out_stream(), subjects.receipt_stream(), subjects.dlq_stream()];
        for (count, stream) in counts.iter_mut().zip(streams) {
            let stream = connection.jetstream().get_stream(stream).await.unwrap();
            *count = stream.cached_info().state.messages;
        }
        counts
    })
}

#[test]
fn a_city_through_nats_is_the_city_from_its_file() {
    let server = NatsServer::start();
    let folder = tempfile::tempdir().unwrap();
    let events = generate(folder.path());
    let expected = succeed(&["run", "--input", &events]);
    let lines = expected.lines().count() as u64;
    assert!(lines > 100);

    let rows = on(&server, &["nats", "init"]);
    assert!(rows.lines().all(|row| row.starts_with("ok ")), "{rows}");
    assert_eq!(on(&server, &["nats", "check"]), rows);
    on(&server, &["publish", &events]);
    let summary = on(&server, &["run", "--stop-when-idle", "1", "--summary", "-"]);
    every_record_is_accounted_for(
        &summary,
        std::fs::read_to_string(&events).unwrap().lines().count(),
    );
    assert_eq!(messages(&server)[0], lines);
    let tapped = on(&server, &["tap", "--all", "--json", "--count", &lines.to_string()]);
    assert!(tapped == expected, "the decisions differ from the file's");

    // Another engine decides the same once more, and adds nothing.
    let before = messages(&server);
    on(&server, &["run", "--stop-when-idle", "1", "--workers", "2"]);
    assert_eq!(messages(&server)[0], before[0]);
    let tapped = on(&server, &["tap", "--all", "--json", "--idle", "1"]);
    assert!(tapped == expected);
}

/// A clock record of the file's own does not end its last tick, whether others are in that or not.
#[test]
fn a_file_that_ends_with_a_clock_is_decided_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let events = generate(folder.path());
    let records = std::fs::read_to_string(&events).unwrap();
    let last: Value = serde_json::from_str(records.lines().last().unwrap()).unwrap();
    let last = last["at"].as_str().unwrap();
    for at in [last, "2026-06-12T14:00:00Z"] {
        assert!(last <= at);
        std::fs::write(&events, format!("{records}{{\"at\":\"{at}\",\"kind\":\"clock\"}}\n"))
            .unwrap();
        let expected = succeed(&["run", "--input", &events]);
        let server = NatsServer::start();
        on(&server, &["nats", "init"]);
        on(&server, &["publish", &events]);
        let summary = on(&server, &["run", "--stop-when-idle", "1", "--summary", "-"]);
        every_record_is_accounted_for(&summary, records.lines().count() + 1);
        assert!(on(&server, &["tap", "--all", "--json", "--idle", "1"]) == expected);
    }
}

/// A publisher that tells the time does not pause: the engine puts no clock record between its own.
#[test]
fn a_file_that_tells_the_time_slowly_is_decided_as_any_other() {
    let server = NatsServer::start();
    let folder = tempfile::tempdir().unwrap();
    let events = generate(folder.path());
    let records = std::fs::read_to_string(&events).unwrap();
    let (before, after) = records.split_at(records.len() / 2);
    let (before, rest) = before.rsplit_once('\n').unwrap();
    let last: Value = serde_json::from_str(before.lines().last().unwrap()).unwrap();
    let clock = format!("{{\"at\":{},\"kind\":\"clock\"}}\n", last["at"]);
    let (before, after) = (format!("{before}\n"), format!("{rest}{after}"));
    std::fs::write(&events, format!("{before}{}{after}", clock.repeat(4))).unwrap();
    let expected = succeed(&["run", "--input", &events]);
    on(&server, &["nats", "init"]);
    let reach = ["--nats", &server.url(), "--city", CITY];
    let mut engine =
        iceshop(&[&["run"][..], &reach].concat()).stderr(Stdio::null()).spawn().unwrap();
    let mut publisher = iceshop(&[&["publish", "-", "--exclusive"][..], &reach].concat())
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut pipe = publisher.stdin.take().unwrap();
    pipe.write_all(before.as_bytes()).unwrap();
    for _ in 0..4 {
        std::thread::sleep(Duration::from_millis(1_200));
        pipe.write_all(clock.as_bytes()).unwrap();
    }
    pipe.write_all(after.as_bytes()).unwrap();
    drop(pipe);
    assert_eq!(publisher.wait().unwrap().code(), Some(0), "nobody else writes");
    engine.kill().unwrap();
    engine.wait().unwrap();
    on(&server, &["run", "--stop-when-idle", "1"]);
    assert!(on(&server, &["tap", "--all", "--json", "--idle", "1"]) == expected);
}

/// The clock that ended the last tick among them, though its own tick does not end.
fn every_record_is_accounted_for(summary: &str, records: usize) {
    let summary: Value = serde_json::from_str(summary).unwrap();
    let receipts = summary["receipts"].as_object().unwrap().values();
    assert_eq!(receipts.map(|n| n.as_u64().unwrap()).sum::<u64>(), records as u64 + 1);
    assert_eq!((&summary["records"], &summary["waiting"]), (&(records + 1).into(), &0.into()));
}

/// An engine that waits for the first record adds none of its own: a recorded file comes after it as
/// it comes before it.
#[test]
fn an_engine_that_is_there_first_decides_a_recorded_file_as_any_other() {
    let server = NatsServer::start();
    let folder = tempfile::tempdir().unwrap();
    let events = generate(folder.path());
    // Its first lines are no records: neither of them tells that the others carry their times.
    let records = std::fs::read_to_string(&events).unwrap();
    std::fs::write(&events, format!("nonsense {{{{\n7\n{records}")).unwrap();
    let expected = succeed(&["run", "--input", &events]);
    on(&server, &["nats", "init"]);
    on(&server, &["run", "--stop-when-idle", "2"]);
    let args = ["publish", &events, "--nats", &server.url(), "--city", CITY];
    let published = output(&args);
    assert!(
        published.status.success() && !String::from_utf8_lossy(&published.stderr).contains("live")
    );
    on(&server, &["run", "--stop-when-idle", "1"]);
    assert!(on(&server, &["tap", "--all", "--json", "--idle", "1"]) == expected);
    assert_eq!(messages(&server)[2], 2, "dead letters");
    // Where a stream's first record has no time, those of a file do not count, and that is said.
    let empty = NatsServer::start();
    on(&empty, &["nats", "init"]);
    let clock = folder.path().join("clock.jsonl");
    std::fs::write(&clock, "{\"kind\":\"clock\"}\n").unwrap();
    on(&empty, &["publish", clock.to_str().unwrap()]);
    let said = output(&["publish", &events, "--nats", &empty.url(), "--city", CITY]).stderr;
    assert!(String::from_utf8_lossy(&said).contains("is a live one"));
}

#[test]
fn what_is_not_applied_has_its_receipt_and_what_is_no_record_its_letter() {
    let server = NatsServer::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let intent = |id: &str, budget: i64| {
        format!(
            r#"{{"at":"2026-06-12T08:00:00Z","kind":"intent","id":"{id}","version":1,"buyer":"b",
            "product":"latte","lat":41.0,"lng":29.0,"budget":{budget},
            "available":[["2026-06-12T09:00:00Z","2026-06-12T10:00:00Z"]]}}"#
        )
        .replace('\n', "")
    };
    let lines =
        [intent("i1", 100), intent("i1", 100), intent("i2", -1), "{nonsense".into(), "7".into()];
    std::fs::write(&path, lines.join("\n")).unwrap();
    let path = path.to_str().unwrap();
    on(&server, &["nats", "init"]);
    on(&server, &["publish", path]);
    on(&server, &["run", "--stop-when-idle", "1"]);
    // A duplicate, a debt, and two that are no records.
    assert_eq!(messages(&server), [0, 4, 2]);
}

#[test]
fn a_server_that_is_not_there_is_exit_code_4() {
    let folder = tempfile::tempdir().unwrap();
    let events = generate(folder.path());
    let nowhere = ["--nats", "nats://127.0.0.1:1", "--city", CITY];
    for args in [&["run"][..], &["tap"], &["publish", &events], &["nats", "init"]] {
        let output = output(&[args, &nowhere[..]].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{args:?}: {errors}");
        assert!(errors.contains("127.0.0.1:1"), "{errors}");
    }
    // Streams that nobody has made are the configuration's fault.
    let server = NatsServer::start();
    let args = ["run", "--nats", &server.url(), "--city", CITY];
    assert_eq!(output(&args).status.code(), Some(3));
}

#[test]
fn dead_letters_are_listed_shown_and_sent_again() {
    let server = NatsServer::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let good = r#"{"at":"2026-06-12T08:00:00Z","kind":"clock"}"#;
    std::fs::write(&path, format!("{good}\n{{nonsense\n7\n")).unwrap();
    on(&server, &["nats", "init"]);
    on(&server, &["publish", path.to_str().unwrap()]);
    on(&server, &["run", "--stop-when-idle", "1"]);
    let listed = on(&server, &["dlq", "ls"]);
    assert_eq!(listed.lines().count(), 2, "{listed}");
    assert!(listed.contains("malformed") && listed.contains("{nonsense"), "{listed}");
    assert_eq!(on(&server, &["dlq", "ls", "--from", "2"]).lines().count(), 1);
    assert_eq!(on(&server, &["dlq", "show", "1"]), "{nonsense");
    // Sent again as it was it is a letter once more; mended it is a record.
    on(&server, &["dlq", "replay", "1"]);
    let mended = folder.path().join("mended.json");
    std::fs::write(&mended, r#"{"kind":"clock"}"#).unwrap();
    on(&server, &["dlq", "replay", "2", "--with", mended.to_str().unwrap()]);
    let summary = on(&server, &["run", "--stop-when-idle", "1", "--summary", "-"]);
    let summary: Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(summary["receipts"]["invalid"], 3, "{summary}");
    assert_eq!(messages(&server)[2], 3);
    let args = ["dlq", "show", "9", "--nats", &server.url(), "--city", CITY];
    let missing = output(&args);
    assert_eq!(missing.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("no dead letter 9"));
}

#[test]
fn streams_that_would_lose_or_repeat_messages_are_refused() {
    let server = NatsServer::start();
    let short = output(&[
        "nats",
        "init",
        "--duplicate-window-s",
        "5",
        "--nats",
        &server.url(),
        "--city",
        CITY,
    ]);
    assert!(short.status.success());
    let refused = output(&["run", "--nats", &server.url(), "--city", CITY]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains("duplicate_window is 5s, 120s is needed"), "{said}");
}

/// A file whose first record has no time makes a live stream: whoever published it hears of that, and
/// the engine says what else the streams do not take.
#[test]
fn what_the_first_record_makes_of_a_stream_is_told() {
    let server = NatsServer::start();
    on(&server, &["nats", "init"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("day.jsonl");
    let undated = r#"{"kind":"clock"}"#;
    let dated = r#"{"kind":"clock","at":"2026-05-01T12:00:00Z"}"#;
    std::fs::write(&file, format!("{undated}\n{dated}\n{dated}\n")).unwrap();
    let publish = || {
        let file = file.to_str().unwrap();
        let published = output(&["publish", file, "--nats", &server.url(), "--city", CITY]);
        assert!(published.status.success());
        String::from_utf8_lossy(&published.stderr).into_owned()
    };
    let said = publish();
    assert!(said.contains("the first record of") && said.contains("2 later messages"), "{said}");
    let said = publish();
    assert!(said.contains("is a live one (its first record carries no time)"), "{said}");
}
