//! The binary, killed: what is in the streams afterwards is what an engine that was never stopped
//! puts there, byte for byte.

mod town;

use crate::proxy::Proxy;
use crate::support::{Dice, Seed, output, succeed};
use connectors::nats::{ConnectSettings, connect};
use connectors::subject::Subjects;
use connectors::testing::NatsServer;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use town::{CITY, Log, Town, published, signal};

/// How often the engine is killed, and the server; `ICESHOP_KILLS` and `ICESHOP_SERVER_KILLS` say
/// otherwise.
fn kills() -> (u64, u64) {
    let read = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    (read("ICESHOP_KILLS").unwrap_or(8), read("ICESHOP_SERVER_KILLS").unwrap_or(2))
}

#[test]
fn an_engine_and_a_server_that_are_killed_lose_nothing_and_say_nothing_twice() {
    let _seed = Seed(5);
    let dice = &mut Dice::new(5);
    let (engines, servers) = kills();
    let mut town = Town::of(&Log::of(5, 90 * engines));
    let (mut resumed, mut killed) = (0, 0);
    let mut deaths: Vec<bool> = (0..engines + servers).map(|n| n < engines).collect();
    dice.shuffle(&mut deaths);
    let mut engine = town.start();
    for of_engine in deaths {
        std::thread::sleep(Duration::from_millis(dice.roll(60, 700) as u64));
        if of_engine {
            killed += engine.try_wait().unwrap().is_none() as u64;
            // Killed, as by kill -9.
            let _ = engine.kill();
            engine.wait().unwrap();
            resumed += town.said().contains("going on after it") as u64;
            engine = town.start();
        } else {
            town.server.kill();
            std::thread::sleep(Duration::from_millis(dice.roll(0, 2_000) as u64));
            town.server.resume();
        }
    }
    let _ = engine.kill();
    engine.wait().unwrap();
    assert!(killed * 2 > engines, "{killed} of {engines} engines lived when they were killed");
    assert!(resumed > 0, "some went on from snapshots");
    town.finish();
    town.is_whole();
}

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
    let args = town.engine();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let refused = output(&[&args[..], &["--stop-when-idle", "1"]].concat());
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(5), "{said}");
    assert!(said.contains("was made at") && said.contains("--on-stream-regress rebuild"), "{said}");
    let rebuild = ["--stop-when-idle", "1", "--on-stream-regress", "rebuild"];
    let rebuilt = output(&[&args[..], &rebuild].concat());
    let said = String::from_utf8_lossy(&rebuilt.stderr);
    assert!(rebuilt.status.success() && said.contains("are forgotten"), "{said}");
    town.is_whole();
}

#[test]
fn snapshots_of_other_parameters_are_refused() {
    let town = Town::build();
    town.finish();
    let args = town.engine();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let refused = output(&[&args[..], &["--lead-minutes", "17"]].concat());
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains("lead_minutes was") && said.contains("and is 17"), "{said}");
}

#[test]
fn a_disk_that_is_full_costs_the_snapshot_and_not_the_run() {
    let town = Town::build();
    // A folder in which nothing can be made: its name for what is unfinished is taken by a folder.
    let blocked = town.snapshots().join("snapshot.tmp");
    std::fs::create_dir_all(blocked.join(Path::new("in-the-way"))).unwrap();
    let said = town.finish();
    assert!(said.contains("cannot be kept"), "{said}");
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
    town.forget_clock();
    for _ in 0..2 {
        town.finish();
        town.is_whole();
    }
    assert_eq!(town.messages(Subjects::in_stream), town.records + 1, "one clock record");
}

#[test]
fn a_decision_stream_that_is_deleted_ends_the_run_aloud() {
    let town = Town::build();
    let mut engine = town.start();
    published(&town, 30);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let connection = connect(&ConnectSettings::new(town.server.url())).await.unwrap();
        let stream = Subjects::new(CITY.parse().unwrap()).out_stream();
        connection.jetstream().delete_stream(stream).await.unwrap();
    });
    let status = engine.wait().unwrap();
    let said = town.said();
    assert!(
        !status.success() && said.contains("ICESHOP_TEST_TOWN_OUT does not exist"),
        "{status}: {said}"
    );
}

/// A server in which the engine has a user of its own, and what it may not publish.
fn users(denied: &str) -> String {
    format!(
        "authorization {{ users: [
            {{ user: admin, password: x }}
            {{ user: engine, password: x, permissions: {{ publish: {{ deny: [{denied}] }} }} }}
        ] }}"
    )
}

#[test]
fn a_permission_that_is_withdrawn_ends_the_run_with_the_servers_words() {
    let mut town = Town::empty();
    town.server = NatsServer::start_with(&users("\"nothing\""));
    town.user = Some("admin");
    town.succeed(&["nats", "init"]);
    town.succeed(&["publish", town.events().to_str().unwrap()]);
    let run = |town: &mut Town| {
        town.user = Some("engine");
        let engine = town.start();
        town.user = Some("admin");
        engine
    };
    let mut engine = run(&mut town);
    published(&town, 30);
    town.server.reconfigure(&users("\"iceshop.*.out.>\""));
    let status = engine.wait().unwrap();
    let said = town.said();
    assert_eq!(status.code(), Some(3), "{said}");
    assert!(said.contains("nats denies") && said.contains("iceshop.test-town.out."), "{said}");
    // Allowed again, it goes on where it was.
    town.server.reconfigure(&users("\"nothing\""));
    let mut engine = run(&mut town);
    published(&town, town.expected.lines().count() as u64);
    signal(&engine, "-TERM");
    assert!(engine.wait().unwrap().success(), "{}", town.said());
    assert!(town.said().contains("going on after it"), "{}", town.said());
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
