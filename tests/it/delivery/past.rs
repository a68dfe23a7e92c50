//! A past moment, rebuilt from the log: with the binary, from files, streams and snapshots.

use super::{CITY, generate, on};
use crate::support::{iceshop, output, succeed};
use connectors::nats::{ConnectSettings, connect};
use connectors::subject::Subjects;
use connectors::testing::NatsServer;
use serde_json::Value;
use std::time::{Duration, Instant};

/// What stands after a log's decisions: the last message of every window that is not over.
fn standing(decisions: &str) -> Vec<String> {
    let mut last = std::collections::BTreeMap::new();
    for line in decisions.lines() {
        let decision: Value = serde_json::from_str(line).unwrap();
        last.insert(decision["window"].as_str().unwrap().to_string(), (decision, line.to_string()));
    }
    let stands =
        |d: &Value| ["proposed", "locked", "active"].contains(&d["state"].as_str().unwrap());
    let mut all: Vec<String> =
        last.into_values().filter(|(d, _)| stands(d)).map(|(_, line)| line).collect();
    all.sort();
    all
}

/// The same after those of that time and before.
fn standing_at(decisions: &str, time: &str) -> Vec<String> {
    let time: jiff::Timestamp = time.parse().unwrap();
    let until = decisions.lines().filter(|line| {
        let decision: Value = serde_json::from_str(line).unwrap();
        decision["decided_at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap() <= time
    });
    standing(&until.collect::<Vec<_>>().join("\n"))
}

/// Decisions without the records that brought them.
fn but_sequences(decisions: &str) -> Vec<Value> {
    let without = |line: &str| {
        let mut decision: Value = serde_json::from_str(line).unwrap();
        decision.as_object_mut().unwrap().remove("input_sequence").unwrap();
        decision
    };
    decisions.lines().map(without).collect()
}

#[test]
fn a_past_moment_is_rebuilt_from_the_log() {
    let server = NatsServer::start();
    let folder = tempfile::tempdir().unwrap();
    let events = generate(folder.path());
    let log = std::fs::read_to_string(&events).unwrap();
    let lines: Vec<&str> = log.lines().collect();
    on(&server, &["nats", "init"]);
    let snapshots = folder.path().join("snapshots");
    let snapshots = snapshots.to_str().unwrap();
    let often = ["--snapshot-every", "0.05", "--snapshot-share", "100", "--batch", "50"];
    let keep = [&["run", "--snapshots", snapshots, "--snapshots-kept", "100"], &often[..]].concat();
    // A quarter of the log, until it has a snapshot: so there is one that is early.
    let (quarter, rest) = (folder.path().join("quarter.jsonl"), folder.path().join("rest.jsonl"));
    let (early, late) = lines.split_at(lines.len() / 4);
    std::fs::write(&quarter, early.join("\n")).unwrap();
    std::fs::write(&rest, late.join("\n")).unwrap();
    on(&server, &["publish", quarter.to_str().unwrap()]);
    let nats = ["--nats", &server.url(), "--city", CITY];
    let mut engine = iceshop(&[&keep[..], &nats[..]].concat()).spawn().unwrap();
    let kept = || {
        std::fs::read_dir(snapshots).map_or(0, |all| {
            let name = |file: std::io::Result<std::fs::DirEntry>| file.unwrap().file_name();
            all.map(name).filter(|it| it.to_str().unwrap().ends_with(".bin")).count()
        })
    };
    let asked = Instant::now();
    while kept() == 0 {
        assert!(asked.elapsed() < Duration::from_secs(60) && engine.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(5));
    }
    engine.kill().unwrap();
    engine.wait().unwrap();
    on(&server, &["publish", rest.to_str().unwrap()]);
    on(&server, &[&keep[..], &["--stop-when-idle", "1"]].concat());
    assert!(kept() > 3, "{} snapshots", kept());
    for n in [lines.len() / 3, lines.len() * 2 / 3] {
        let head = folder.path().join("head.jsonl");
        std::fs::write(&head, lines[..n].join("\n")).unwrap();
        let expected = standing(&succeed(&["run", "--input", head.to_str().unwrap()]));
        assert!(expected.len() > 5, "{} windows stand", expected.len());
        let until = n.to_string();
        let sorted = |text: String| {
            let mut lines: Vec<String> = text.lines().map(String::from).collect();
            lines.sort();
            lines
        };
        let file = succeed(&["replay", "--input", &events, "--until", &until, "--json"]);
        assert!(sorted(file) == expected, "until record {n}");
        let stream = on(&server, &["replay", "--until", &until, "--json"]);
        assert!(sorted(stream) == expected, "until message {n}");
        let args = ["replay", "--until", &until, "--json", "--snapshots", snapshots];
        let from = output(&[&args[..], &["--nats", &server.url(), "--city", CITY]].concat());
        let said = String::from_utf8_lossy(&from.stderr);
        assert!(said.contains("going on after it"), "{said}");
        let from = String::from_utf8(from.stdout).unwrap();
        assert!(sorted(from) == expected, "until message {n}, from a snapshot");
        // The time of a record whose next one is of a later tick.
        let at = |n: usize| {
            let record: Value = serde_json::from_str(lines[n]).unwrap();
            record["at"].as_str().unwrap().to_string()
        };
        let tick = |n: usize| at(n).parse::<jiff::Timestamp>().unwrap().as_millisecond() / 250;
        let last = (n..).find(|&n| tick(n) != tick(n - 1)).unwrap();
        let by_time = succeed(&["replay", "--input", &events, "--until", &at(last - 1), "--json"]);
        let until = last.to_string();
        let by_sequence = succeed(&["replay", "--input", &events, "--until", &until, "--json"]);
        assert!(by_time == by_sequence && !by_time.is_empty(), "until {}", at(last - 1));
        // A record that is refused brings no time, whatever it says.
        let reply =
            r#""kind":"reply","window":"nope","revision":1,"intent":"i1","answer":"accept""#;
        let refused = format!(r#"{{"at":{:?},{reply},"event":"e"}}"#, at(lines.len() - 1));
        let mut soiled = lines.clone();
        soiled.insert(n / 2, &refused);
        let path = folder.path().join("soiled.jsonl");
        std::fs::write(&path, soiled.join("\n")).unwrap();
        let path = path.to_str().unwrap();
        let all_the_same =
            succeed(&["replay", "--input", path, "--until", &at(last - 1), "--json"]);
        assert_eq!(but_sequences(&all_the_same), but_sequences(&by_time), "until {}", at(last - 1));
        // Whatever was decided at that time or before stands, and nothing else.
        let decided = succeed(&["run", "--input", &events]);
        let decided = standing_at(&decided, &at(last - 1));
        assert_eq!(sorted(by_time), decided, "until {}", at(last - 1));
    }
    // Decisions of before the snapshot are gone: it does not tell half of them.
    let server_url = server.url();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let connection = connect(&ConnectSettings::new(&server_url)).await.unwrap();
        let out = Subjects::new(CITY.parse().unwrap()).out_stream();
        connection.jetstream().get_stream(out).await.unwrap().purge().keep(20).await.unwrap();
    });
    let args =
        ["replay", "--json", "--snapshots", snapshots, "--nats", &server_url, "--city", CITY];
    let half = output(&args);
    let said = String::from_utf8_lossy(&half.stderr);
    assert!(half.status.code() == Some(5) && said.contains("replay without --snapshots"), "{said}");
    let beyond = output(&["replay", "--input", &events, "--until", "999999"]);
    let said = String::from_utf8_lossy(&beyond.stderr);
    let ends = format!("the log ends with record {}, before record 999999", lines.len());
    assert!(beyond.status.success() && said.contains(&ends), "{said}");
}
