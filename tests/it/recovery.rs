//! The binary, killed: what is in the streams afterwards is what an engine that was never stopped
//! puts there, byte for byte.

mod cluster;
mod killed;
mod permissions;
mod publishers;
mod taken_away;
mod town;

use crate::proxy::Proxy;
use crate::support::{iceshop, succeed};
use connectors::nats::{ConnectSettings, connect};
use connectors::subject::Subjects;
use connectors::testing::{Config, NatsServer, Stream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use town::{CITY, Town, kept, published, signal};

#[test]
fn a_run_that_is_told_to_stop_keeps_a_snapshot_and_goes_on_after_it() {
    for name in ["-TERM", "-INT"] {
        let town = Town::build();
        let mut engine = town.start();
        published(&town, 50);
        let asked = Instant::now();
        signal(&engine, name);
        let status = engine.wait().unwrap();
        assert!(status.success() && asked.elapsed() < Duration::from_secs(20), "{}", town.said());
        assert!(std::fs::read_dir(town.snapshots()).unwrap().count() > 0);
        assert!(town.finish().contains("going on after it"));
        town.is_whole();
    }
}

/// However much it has read: its last batch is left where its tick ends, and the next run goes on
/// there.
#[test]
fn a_run_that_is_far_behind_stops_within_its_batch() {
    let town = Town::build();
    let all = town.expected.lines().count() as u64;
    // Each run gets a little farther, until one is amid the log.
    let mut wait = Duration::from_millis(200);
    while town.messages(Subjects::out_stream) == 0 {
        let mut engine = town.start_with(&["--batch", "1000000", "--snapshot-every", "3600"]);
        std::thread::sleep(wait);
        wait += Duration::from_millis(100);
        let asked = Instant::now();
        signal(&engine, "-TERM");
        let status = engine.wait().unwrap();
        assert!(status.success() && asked.elapsed() < Duration::from_secs(5), "{}", town.said());
    }
    assert!(town.said().contains("1 kept"), "{}", town.said());
    assert!(town.messages(Subjects::out_stream) < all, "it stopped amid its batch");
    assert!(town.finish().contains("going on after it"));
    town.is_whole();
}

#[test]
fn a_damaged_snapshot_is_named_and_the_run_goes_on_without_it() {
    let town = Town::build();
    town.finish();
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(town.snapshots()).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    for file in &files {
        let bytes = std::fs::read(file).unwrap();
        std::fs::write(file, &bytes[..bytes.len() - 9]).unwrap();
    }
    let said = town.finish();
    for file in &files {
        assert!(said.contains(&format!("{} is not used", file.display())), "{said}");
    }
    assert!(!said.contains("going on after it"));
    town.is_whole();
}

#[test]
fn a_stream_made_anew_is_refused_unless_the_snapshots_may_go() {
    let mut town = Town::build();
    town.finish();
    // Another server, whose streams begin anew.
    town.server = NatsServer::start();
    town.succeed(&["nats", "init"]);
    town.succeed(&["publish", town.events().to_str().unwrap()]);
    let (code, said) = town.fail(&[]);
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("was made at") && said.contains("--on-stream-regress rebuild"), "{said}");
    let (code, said) = town.fail(&["--on-stream-regress", "rebuild"]);
    assert!(code == Some(0) && said.contains("are forgotten"), "{said}");
    town.is_whole();
}

/// The run does not go on in a log that is another one, nor does the next; what is to be done is
/// said each time, and doing it leads to streams that are whole.
#[test]
fn an_input_stream_made_anew_while_the_engine_runs_ends_the_run() {
    let town = Town::build();
    let mut engine = town.start();
    published(&town, town.expected.lines().count() as u64);
    town.delete(Subjects::in_stream);
    town.succeed(&["nats", "init"]);
    town.succeed(&["publish", town.events().to_str().unwrap()]);
    let status = engine.wait().unwrap();
    let said = town.said();
    assert_eq!(status.code(), Some(5), "{said}");
    assert!(said.contains("ICESHOP_TEST_TOWN_IN was deleted and made anew at"), "{said}");
    for more in [&[][..], &["--on-stream-regress", "rebuild"]] {
        let (code, said) = town.fail(more);
        assert_eq!(code, Some(5), "{said}");
        let rest = "delete ICESHOP_TEST_TOWN_OUT, ICESHOP_TEST_TOWN_RECEIPT, ICESHOP_TEST_TOWN_DLQ";
        assert!(
            said.contains("another input stream brought forth") && said.contains(rest),
            "{said}"
        );
    }
    for stream in [Subjects::out_stream, Subjects::receipt_stream, Subjects::dlq_stream] {
        town.delete(stream);
    }
    town.succeed(&["nats", "init"]);
    let (code, said) = town.fail(&[]);
    assert!(code == Some(5) && said.contains("--on-stream-regress rebuild"), "{said}");
    let (code, said) = town.fail(&["--on-stream-regress", "rebuild"]);
    assert!(code == Some(0) && said.contains("are forgotten"), "{said}");
    town.finish();
    town.is_whole();
}

/// Streams that held nothing when the input stream was made anew are not another one's.
#[test]
fn an_input_stream_made_anew_before_anything_was_decided_is_decided() {
    let town = Town::build();
    town.delete(Subjects::in_stream);
    town.succeed(&["nats", "init"]);
    town.succeed(&["publish", town.events().to_str().unwrap()]);
    town.finish();
    assert!(town.finish().contains("going on after it"));
    town.is_whole();
}

/// An engine that has nothing to do waits for its server as a busy one does.
#[test]
fn a_server_that_goes_while_nothing_comes_is_waited_for() {
    let mut town = Town::build();
    let mut engine = town.start();
    published(&town, town.expected.lines().count() as u64);
    town.server.kill();
    std::thread::sleep(Duration::from_millis(2_500));
    assert!(engine.try_wait().unwrap().is_none(), "{}", town.said());
    town.server.resume();
    std::thread::sleep(Duration::from_millis(2_500));
    assert!(engine.try_wait().unwrap().is_none(), "{}", town.said());
    signal(&engine, "-TERM");
    assert!(engine.wait().unwrap().success(), "{}", town.said());
    town.finish();
    town.is_whole();
}

/// There is nothing to rebuild from: the snapshots stay, whatever is asked for.
#[test]
fn a_stream_that_has_lost_its_beginning_costs_no_snapshots() {
    let town = Town::build();
    town.finish();
    let count = || std::fs::read_dir(town.snapshots()).unwrap().count();
    let kept = count();
    town.ask(Subjects::in_stream, async |stream| {
        stream.purge().await.unwrap();
    });
    town.succeed(&["publish", town.events().to_str().unwrap()]);
    let newest = format!("snapshot-{:020}.bin", town.records + 1);
    // An older one is of what is gone.
    std::fs::remove_file(town.snapshots().join(newest)).unwrap();
    for more in [&[][..], &["--on-stream-regress", "rebuild"]] {
        let (code, said) = town.fail(more);
        assert_eq!((code, count()), (Some(5), kept - 1), "{said}");
        assert!(said.contains("begins at") && said.contains("restore the stream"), "{said}");
    }
    let nowhere = town.folder.path().join("none");
    let (code, said) = town.fail(&["--snapshots", nowhere.to_str().unwrap()]);
    assert!(code == Some(5) && said.contains("restore the stream from a backup"), "{said}");
}

#[test]
fn snapshots_of_other_parameters_are_refused() {
    let town = Town::build();
    town.finish();
    let (code, said) = town.fail(&["--lead-minutes", "17", "--slot-minutes", "30"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("--lead-minutes was") && said.contains("and is 17"), "{said}");
    assert!(said.contains("--slot-minutes was"), "{said}");
    // The index's resolution decides nothing.
    let (code, said) = town.fail(&["--h3-resolution", "7"]);
    assert!(code == Some(0) && said.contains("going on after it"), "{said}");
    // Without snapshots the decisions tell.
    let nowhere = town.folder.path().join("none");
    let (code, said) =
        town.fail(&["--snapshots", nowhere.to_str().unwrap(), "--lead-minutes", "17"]);
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("start with the parameters and the version that made"), "{said}");
    town.is_whole();
}

#[test]
fn a_disk_that_is_full_costs_the_snapshot_and_not_the_run() {
    let town = Town::build();
    // A folder in which nothing can be made: its name for what is unfinished is taken by a folder.
    let blocked = town.snapshots().join("snapshot.tmp");
    std::fs::create_dir_all(blocked.join(Path::new("in-the-way"))).unwrap();
    let said = town.finish();
    assert!(said.contains("cannot be kept") && said.contains(" 0 kept"), "{said}");
    town.is_whole();
}

/// The first snapshot goes to a device that is always full; those after it have room.
#[test]
fn a_disk_without_space_is_named_and_the_next_snapshot_is_kept() {
    let town = Town::build();
    std::fs::create_dir_all(town.snapshots()).unwrap();
    std::os::unix::fs::symlink("/dev/full", town.snapshots().join("snapshot.tmp")).unwrap();
    let said = town.finish();
    assert_eq!(said.matches("cannot be kept: No space left on device").count(), 1, "{said}");
    assert!(town.finish().contains("going on after it"));
    town.is_whole();
}

#[test]
fn a_network_that_is_cut_both_ways_loses_nothing() {
    let town = Town::build();
    let proxy = Proxy::to(&town.server.url());
    let mut engine = town.start_at(&proxy.url());
    for least in [30, 90] {
        published(&town, least);
        proxy.cut();
        std::thread::sleep(Duration::from_millis(1_500));
        proxy.mend();
    }
    published(&town, town.expected.lines().count() as u64);
    signal(&engine, "-TERM");
    let status = engine.wait().unwrap();
    assert!(status.success(), "{}", town.said());
    town.finish();
    town.is_whole();
}

/// The next run reads nothing: where the log ends it knows from the snapshot alone.
#[test]
fn an_engine_that_is_killed_at_the_end_of_the_log_ends_its_last_tick_once() {
    let town = Town::build();
    // The clock record comes after the kill, for all of the snapshot's time: there is no room for it.
    town.limit_records(town.records as i64);
    let mut engine = town.start();
    let last = format!("{:020}", town.records);
    let asked = Instant::now();
    let kept = || {
        let files = std::fs::read_dir(town.snapshots()).into_iter().flatten().flatten();
        files.map(|file| file.file_name().into_string().unwrap()).any(|name| name.contains(&last))
    };
    while !kept() {
        assert!(asked.elapsed() < Duration::from_secs(60), "{}", town.said());
        std::thread::sleep(Duration::from_millis(5));
    }
    engine.kill().unwrap();
    engine.wait().unwrap();
    town.limit_records(-1);
    for _ in 0..2 {
        town.finish();
        town.is_whole();
    }
    assert_eq!(town.messages(Subjects::in_stream), town.records + 1, "one clock record");
}

#[test]
fn a_decision_stream_that_is_deleted_ends_the_run_aloud() {
    let town = Town::build();
    // All of the log is read when the stream goes: nothing but the writer hears of it.
    let mut engine = town.start_with(&["--batch", "250"]);
    published(&town, 30);
    kept(&town);
    town.delete(Subjects::out_stream);
    let status = engine.wait().unwrap();
    let said = town.said();
    assert!(
        !status.success() && said.contains("ICESHOP_TEST_TOWN_OUT does not exist"),
        "{status}: {said}"
    );
    // What was published is gone, and how it comes back is said.
    town.succeed(&["nats", "init"]);
    let (code, said) = town.fail(&[]);
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("start with an empty folder of snapshots"), "{said}");
    std::fs::remove_dir_all(town.snapshots()).unwrap();
    town.finish();
    town.is_whole();
}

#[test]
fn a_durable_consumer_shows_how_far_snapshots_are() {
    let town = Town::build();
    let args = town.engine();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    succeed(&[&args[..], &["--durable", "engine", "--stop-when-idle", "1"]].concat());
    let newest = std::fs::read_dir(town.snapshots()).unwrap().map(|file| {
        let name = file.unwrap().file_name().into_string().unwrap();
        name["snapshot-".len()..name.len() - ".bin".len()].parse::<u64>().unwrap()
    });
    let kept = newest.max().unwrap();
    let shown = town.ask(Subjects::in_stream, async |stream| {
        let info = stream.consumer_info("engine").await.unwrap();
        (info.ack_floor.stream_sequence, info.num_pending, info.num_ack_pending)
    });
    let left = town.messages(Subjects::in_stream) - kept;
    assert_eq!(shown, (kept, left, 0), "after the snapshot of {kept}");
    town.is_whole();
}

/// The server comes up again with what it knew of the consumer a while ago.
#[test]
fn a_server_whose_consumer_state_is_behind_changes_nothing() {
    let mut town = Town::build();
    let durable = ["--durable", "engine", "--snapshot-every", "0.05"];
    let mut engine = town.start_with(&durable);
    published(&town, 30);
    signal(&engine, "-TERM");
    assert!(engine.wait().unwrap().success(), "{}", town.said());
    let shown = async |stream: Stream| {
        stream.consumer_info("engine").await.unwrap().ack_floor.stream_sequence
    };
    let early = town.ask(Subjects::in_stream, shown);
    let state = consumer_state(town.server.store());
    town.server.kill();
    let then = std::fs::read(&state).unwrap();
    town.server.resume();
    town.fail(&durable);
    let late = town.ask(Subjects::in_stream, shown);
    town.server.kill();
    std::fs::write(&state, then).unwrap();
    town.server.resume();
    let behind = town.ask(Subjects::in_stream, shown);
    assert!(behind <= early && early < late, "{behind}, {early}, {late}");
    // With nothing new there is no new snapshot, and nothing to show.
    let clock = town.folder.path().join("clock.jsonl");
    let last = std::fs::read_to_string(town.events()).unwrap();
    let last: serde_json::Value = serde_json::from_str(last.lines().last().unwrap()).unwrap();
    std::fs::write(&clock, format!("{{\"at\":{},\"kind\":\"clock\"}}\n", last["at"])).unwrap();
    town.succeed(&["publish", clock.to_str().unwrap()]);
    let (code, said) = town.fail(&durable);
    assert!(code == Some(0) && said.contains("going on after it"), "{said}");
    assert!(town.ask(Subjects::in_stream, shown) > late, "it is shown once more");
    town.goes_on_with(&town.inputs());
    town.has_all_decisions();
}

/// Where a server keeps what it knows of the consumer `engine`.
fn consumer_state(store: &Path) -> PathBuf {
    let mut folders = vec![store.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.ends_with("engine/o.dat") {
                return path;
            }
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    panic!("no state of the consumer in {store:?}");
}

/// One consumer takes a decision and never says so, one reads a line and no more, one subscribes and
/// reads nothing: the engine is done as soon as without them, and others get everything.
#[test]
fn consumers_that_are_slow_or_dead_hold_nobody_up() {
    let town = Town::build();
    let lines = town.expected.lines().count() as u64;
    let mut tap =
        iceshop(&["tap", "--all", "--json", "--nats", &town.server.url(), "--city", CITY])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let idle = runtime.block_on(async {
        let connection = connect(&ConnectSettings::new(town.server.url())).await.unwrap();
        let subscriber = connection.client().subscribe("iceshop.>").await.unwrap();
        connection.client().flush().await.unwrap();
        (connection, subscriber)
    });
    // Nothing drives that runtime any more: its connection is dead, and open.
    town.ask(Subjects::out_stream, async |stream| {
        let config =
            Config { durable_name: Some("worker".into()), max_ack_pending: 1, ..Config::default() };
        let consumer = stream.create_consumer(config).await.unwrap();
        consumer.fetch().max_messages(1).messages().await.unwrap();
    });
    town.finish();
    town.is_whole();
    let left = town.ask(Subjects::out_stream, async |stream| {
        stream.consumer_info("worker").await.unwrap().num_pending
    });
    assert!(left > lines / 2, "{left} of {lines} are left for the worker");
    assert!(tap.try_wait().unwrap().is_none(), "it still waits for its reader");
    tap.kill().unwrap();
    tap.wait().unwrap();
    drop(idle);
}

#[test]
fn a_second_signal_ends_a_run_that_cannot_publish_and_loses_nothing() {
    let mut town = Town::build();
    let mut engine = town.start();
    published(&town, 30);
    town.server.kill();
    // What was on its way when the server died is more than an engine without one takes.
    std::thread::sleep(Duration::from_millis(1_500));
    signal(&engine, "-TERM");
    std::thread::sleep(Duration::from_millis(500));
    assert!(engine.try_wait().unwrap().is_none(), "it waits for its server: {}", town.said());
    let asked = Instant::now();
    signal(&engine, "-TERM");
    let status = engine.wait().unwrap();
    assert_eq!(status.code(), Some(130), "{}", town.said());
    assert!(asked.elapsed() < Duration::from_secs(5));
    town.server.resume();
    town.finish();
    town.is_whole();
}
