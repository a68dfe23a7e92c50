//! The binary, killed: what is in the streams afterwards is what an engine that was never stopped
//! puts there, byte for byte.

use crate::proxy::Proxy;
use crate::support::{Dice, Seed, iceshop, output, succeed};
use connectors::nats::{ConnectSettings, connect};
use connectors::subject::Subjects;
use connectors::testing::{NatsServer, Stream};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const CITY: &str = "test-town";

/// A server with a city's streams, the city's records in them, and what an engine that is not
/// stopped decides on them.
struct Town {
    server: NatsServer,
    folder: tempfile::TempDir,
    records: u64,
    expected: String,
}

impl Town {
    fn build(seed: u64) -> Self {
        Self::of(seed, 700)
    }

    fn of(seed: u64, intents: u64) -> Self {
        let town = Self::empty(seed, intents);
        town.succeed(&["nats", "init"]);
        town.succeed(&["publish", town.events().to_str().unwrap()]);
        town
    }

    /// The same, before it has streams.
    fn empty(seed: u64, intents: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let events = folder.path().join("events.jsonl");
        let path = events.to_str().unwrap();
        let (seed, intents) = (seed.to_string(), intents.to_string());
        let size = ["--intents", &intents, "--stores", "60", "--products", "4", "--hours", "3"];
        succeed(&[&["generate", "--seed", &seed, "--output", path], &size[..]].concat());
        let expected = succeed(&["run", "--input", path]);
        let records = std::fs::read_to_string(path).unwrap().lines().count() as u64;
        Self { server: NatsServer::start(), folder, records, expected }
    }

    fn events(&self) -> PathBuf {
        self.folder.path().join("events.jsonl")
    }

    fn snapshots(&self) -> PathBuf {
        self.folder.path().join("snapshots")
    }

    #[track_caller]
    fn succeed(&self, args: &[&str]) -> String {
        succeed(&[args, &["--nats", &self.server.url(), "--city", CITY]].concat())
    }

    /// What an engine is asked for: small batches and many snapshots, so that it dies between them.
    fn engine(&self) -> Vec<String> {
        self.engine_at(&self.server.url())
    }

    fn engine_at(&self, url: &str) -> Vec<String> {
        let snapshots = self.snapshots();
        let args = ["run", "--nats", url, "--city", CITY, "--batch", "20", "--all-receipts"];
        let keep = ["--snapshot-every", "0.05", "--snapshots", snapshots.to_str().unwrap()];
        args.iter().chain(&keep).map(|arg| (*arg).to_string()).collect()
    }

    fn start(&self) -> Child {
        self.start_at(&self.server.url())
    }

    fn start_at(&self, url: &str) -> Child {
        let args = self.engine_at(url);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let log = std::fs::File::create(self.folder.path().join("engine.log")).unwrap();
        iceshop(&args).stdout(Stdio::null()).stderr(log).spawn().unwrap()
    }

    /// What the last engine said.
    fn said(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("engine.log")).unwrap()
    }

    /// Runs an engine to the end of the input.
    #[track_caller]
    fn finish(&self) -> String {
        let args = self.engine();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let output = output(&[&args[..], &["--stop-when-idle", "1"]].concat());
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{}: {errors}", output.status);
        errors
    }

    /// Messages in a stream.
    fn messages(&self, stream: impl Fn(&Subjects) -> String) -> u64 {
        self.ask(stream, async |stream| stream.cached_info().state.messages)
    }

    /// Asks the broker about a stream.
    fn ask<T>(
        &self,
        stream: impl Fn(&Subjects) -> String,
        question: impl AsyncFnOnce(Stream) -> T,
    ) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let connection = connect(&ConnectSettings::new(self.server.url())).await.unwrap();
            let stream = stream(&Subjects::new(CITY.parse().unwrap()));
            question(connection.jetstream().get_stream(stream).await.unwrap()).await
        })
    }

    /// The streams hold the decisions and receipts of an engine that was never stopped.
    #[track_caller]
    fn is_whole(&self) {
        let lines = self.expected.lines().count() as u64;
        assert_eq!(self.messages(Subjects::out_stream), lines);
        let tapped = self.succeed(&["tap", "--all", "--json", "--count", &lines.to_string()]);
        assert!(tapped == self.expected, "the decisions differ from the file's");
        // A receipt for every record; the clock that ends the last tick is in a tick without end.
        let mut receipts = self.receipts();
        receipts.sort_unstable();
        assert_eq!(receipts, (1..=self.records).collect::<Vec<_>>());
    }

    /// The sequences that the receipts are about, in the order of their stream.
    fn receipts(&self) -> Vec<u64> {
        self.ask(Subjects::receipt_stream, async |stream| {
            let mut all = Vec::new();
            for sequence in 1..=stream.cached_info().state.last_sequence {
                let message = stream.get_raw_message(sequence).await.unwrap();
                let receipt: Value = serde_json::from_slice(&message.payload).unwrap();
                all.push(receipt["sequence"].as_u64().unwrap());
            }
            all
        })
    }

    /// Takes the clock record away that an engine may have put behind the log: as if it had been
    /// killed before.
    fn forget_clock(&self) {
        self.ask(Subjects::in_stream, async |stream| {
            for sequence in self.records + 1..=stream.cached_info().state.last_sequence {
                stream.delete_message(sequence).await.unwrap();
            }
        });
    }
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let kill = std::process::Command::new("kill").args([name, &pid]).status().unwrap();
    assert!(kill.success(), "kill {name} {pid}");
}

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
    let mut town = Town::of(5, 90 * engines);
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
        let town = Town::build(6);
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
    let town = Town::build(7);
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
    let mut town = Town::build(8);
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
    let town = Town::build(9);
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
    let town = Town::build(10);
    // A folder in which nothing can be made: its name for what is unfinished is taken by a folder.
    let blocked = town.snapshots().join("snapshot.tmp");
    std::fs::create_dir_all(blocked.join(Path::new("in-the-way"))).unwrap();
    let said = town.finish();
    assert!(said.contains("cannot be kept"), "{said}");
    town.is_whole();
}

/// Waits until the engine has published so many decisions.
#[track_caller]
fn published(town: &Town, least: u64) {
    let asked = Instant::now();
    while town.messages(Subjects::out_stream) < least {
        assert!(asked.elapsed() < Duration::from_secs(60), "{}", town.said());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_network_that_is_cut_both_ways_loses_nothing() {
    let town = Town::build(11);
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
    let town = Town::build(14);
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
    let town = Town::build(12);
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

#[test]
fn a_second_signal_ends_a_run_that_cannot_publish_and_loses_nothing() {
    let mut town = Town::build(13);
    let mut engine = town.start();
    published(&town, 30);
    town.server.kill();
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
