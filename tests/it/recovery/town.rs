//! A town on a real nats-server, and what is in its streams when everything has gone well.

use crate::support::{Dice, iceshop, output, succeed};
use connectors::nats::{AT_HEADER, ConnectSettings, Connection, Login, connect};
use connectors::subject::Subjects;
use connectors::testing::{NatsServer, Stream, StreamConfig};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

pub(super) const CITY: &str = "test-town";

/// A server with a city's streams, the city's records in them, and what an engine that is not
/// stopped decides on them.
pub(super) struct Town {
    pub(super) server: NatsServer,
    pub(super) folder: tempfile::TempDir,
    pub(super) records: u64,
    pub(super) expected: String,
    /// As whom its programs log in, if they have to.
    pub(super) user: Option<&'static str>,
}

/// A log, and what an engine that is not stopped decides on it.
pub(super) struct Log {
    events: String,
    pub(super) expected: String,
}

impl Log {
    pub(super) fn of(seed: u64, intents: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let events = folder.path().join("events.jsonl");
        let path = events.to_str().unwrap();
        let (seed, intents) = (seed.to_string(), intents.to_string());
        let size = ["--intents", &intents, "--stores", "60", "--products", "4", "--hours", "3"];
        succeed(&[&["generate", "--seed", &seed, "--output", path], &size[..]].concat());
        let expected = succeed(&["run", "--input", path]);
        Self { events: std::fs::read_to_string(path).unwrap(), expected }
    }

    /// With lines between that are no good records, or were there before.
    pub(super) fn soiled(mut self, dice: &mut Dice) -> Self {
        let mut lines: Vec<String> = Vec::new();
        for line in self.events.lines() {
            lines.push(line.into());
            let before = dice.pick(&lines).clone();
            match dice.roll(0, 39) {
                0 => lines.push(before),
                1 => lines.push(line[..line.len() / 2].into()),
                2 => lines.push(line.replacen("\"version\":", "\"version\":-", 1)),
                3 => lines.push(line.replacen("\"at\":\"2", "\"at\":\"x", 1)),
                _ => {}
            }
        }
        self.events = lines.join("\n");
        self
    }
}

/// The log of all towns but one.
static LOG: LazyLock<Log> = LazyLock::new(|| Log::of(6, 700));

impl Town {
    pub(super) fn build() -> Self {
        Self::of(&LOG)
    }

    pub(super) fn of(log: &Log) -> Self {
        let town = Self::without_streams(log);
        town.succeed(&["nats", "init"]);
        town.succeed(&["publish", town.events().to_str().unwrap()]);
        town
    }

    /// Before it has streams.
    pub(super) fn empty() -> Self {
        Self::without_streams(&LOG)
    }

    pub(super) fn without_streams(log: &Log) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("events.jsonl"), &log.events).unwrap();
        let (records, expected) = (log.events.lines().count() as u64, log.expected.clone());
        Self { server: NatsServer::start(), folder, records, expected, user: None }
    }

    pub(super) fn events(&self) -> PathBuf {
        self.folder.path().join("events.jsonl")
    }

    pub(super) fn snapshots(&self) -> PathBuf {
        self.folder.path().join("snapshots")
    }

    #[track_caller]
    pub(super) fn succeed(&self, args: &[&str]) -> String {
        succeed(&[args, &["--nats", &self.server.url(), "--city", CITY], &self.login()].concat())
    }

    /// How its programs log in.
    pub(super) fn login(&self) -> Vec<&'static str> {
        self.user.map_or(Vec::new(), |user| vec!["--nats-user", user, "--nats-password", "x"])
    }

    /// What an engine is asked for: small batches and many snapshots, so that it dies between them.
    pub(super) fn engine(&self) -> Vec<String> {
        self.engine_at(&self.server.url())
    }

    pub(super) fn engine_at(&self, url: &str) -> Vec<String> {
        let snapshots = self.snapshots();
        let args = ["run", "--nats", url, "--city", CITY, "--batch", "20", "--all-receipts"];
        let keep = [
            "--snapshot-every",
            "0.05",
            "--snapshot-share",
            "100",
            "--snapshots",
            snapshots.to_str().unwrap(),
        ];
        args.iter().chain(&keep).chain(&self.login()).map(|arg| (*arg).to_string()).collect()
    }

    pub(super) fn start(&self) -> Child {
        self.start_at(&self.server.url())
    }

    pub(super) fn start_at(&self, url: &str) -> Child {
        self.start_as(&self.engine_at(url), &[])
    }

    /// With these flags, too, or instead.
    pub(super) fn start_with(&self, more: &[&str]) -> Child {
        self.start_as(&self.engine(), more)
    }

    fn start_as(&self, args: &[String], more: &[&str]) -> Child {
        let args = instead(args, more);
        let log = std::fs::File::create(self.folder.path().join("engine.log")).unwrap();
        iceshop(&args).stdout(Stdio::null()).stderr(log).spawn().unwrap()
    }

    /// Publishes the records, so many a second.
    pub(super) fn publish(&self, rate: u32) -> Child {
        let (url, rate, events) = (self.server.url(), rate.to_string(), self.events());
        let args = ["publish", events.to_str().unwrap(), "--rate", &rate];
        let args = [&args[..], &["--nats", &url, "--city", CITY], &self.login()].concat();
        iceshop(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// All that an engine told, with subjects and ids: decisions in the order of their stream, receipts and
    /// dead letters in any.
    pub(super) fn told(&self) -> [Vec<(String, String, Vec<u8>)>; 3] {
        let streams = [Subjects::out_stream, Subjects::receipt_stream, Subjects::dlq_stream];
        let mut told = streams.map(|stream| self.ask(stream, async |stream| all_of(&stream).await));
        told[1..].iter_mut().for_each(|messages| messages.sort_unstable());
        told
    }

    /// What the last engine said.
    pub(super) fn said(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("engine.log")).unwrap()
    }

    /// Runs an engine to the end of the input.
    #[track_caller]
    pub(super) fn finish(&self) -> String {
        let args = self.engine();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let output = output(&[&args[..], &["--stop-when-idle", "1"]].concat());
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{}: {errors}", output.status);
        errors
    }

    /// Runs an engine that does not end well: its exit code, and what it says.
    pub(super) fn fail(&self, more: &[&str]) -> (Option<i32>, String) {
        let args = self.engine();
        let output = output(&[&instead(&args, more)[..], &["--stop-when-idle", "1"]].concat());
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Deletes a stream.
    pub(super) fn delete(&self, stream: impl Fn(&Subjects) -> String) {
        self.at_broker(async |connection, subjects| {
            connection.jetstream().delete_stream(stream(subjects)).await.unwrap();
        });
    }

    /// Changes how a stream is configured.
    pub(super) fn change(
        &self,
        stream: impl Fn(&Subjects) -> String,
        change: impl FnOnce(&mut StreamConfig),
    ) {
        self.at_broker(async |connection, subjects| {
            let jetstream = connection.jetstream();
            let found = jetstream.get_stream(stream(subjects)).await.unwrap();
            let mut config = found.cached_info().config.clone();
            change(&mut config);
            jetstream.update_stream(config).await.unwrap();
        });
    }

    /// So many records are the most that the input stream takes; -1: any number.
    pub(super) fn limit_records(&self, most: i64) {
        self.change(Subjects::in_stream, |config| config.max_messages = most);
    }

    /// Messages in a stream.
    pub(super) fn messages(&self, stream: impl Fn(&Subjects) -> String) -> u64 {
        self.ask(stream, async |stream| stream.cached_info().state.messages)
    }

    /// Asks the broker about a stream.
    pub(super) fn ask<T>(
        &self,
        stream: impl Fn(&Subjects) -> String,
        question: impl AsyncFnOnce(Stream) -> T,
    ) -> T {
        self.at_broker(async |connection, subjects| {
            question(connection.jetstream().get_stream(stream(subjects)).await.unwrap()).await
        })
    }

    /// Does something at the broker.
    pub(super) fn at_broker<T>(&self, act: impl AsyncFnOnce(&Connection, &Subjects) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let settings = ConnectSettings {
            login: self.user.map_or(Login::None, |user| Login::User(user.into(), "x".into())),
            ..ConnectSettings::new(self.server.url())
        };
        runtime.block_on(async {
            let connection = connect(&settings).await.unwrap();
            act(&connection, &Subjects::new(CITY.parse().unwrap())).await
        })
    }

    /// What an engine that is not stopped decides on an input stream's records.
    pub(super) fn decided(&self, records: &[String]) -> String {
        // A file's end ends the last tick as the engine's clock record does.
        let (last, records) = records.split_last().unwrap();
        assert!(is_clock(last), "{last}");
        let path = self.folder.path().join("longer.jsonl");
        std::fs::write(&path, records.join("\n")).unwrap();
        succeed(&["run", "--input", path.to_str().unwrap()])
    }

    /// From now on what is expected is what is decided on these records: what was expected before, and what
    /// comes after it.
    #[track_caller]
    pub(super) fn goes_on_with(&mut self, records: &[String]) {
        let expected = self.decided(records);
        assert!(expected.starts_with(&self.expected), "what was decided is decided otherwise");
        self.expected = expected;
    }

    /// The streams hold the decisions and receipts of an engine that was never stopped.
    #[track_caller]
    pub(super) fn is_whole(&self) {
        self.has_all_decisions();
        self.has_all_receipts();
    }

    /// The stream holds the decisions that are expected, and no others.
    #[track_caller]
    pub(super) fn has_all_decisions(&self) {
        let lines = self.expected.lines().count() as u64;
        assert_eq!(self.messages(Subjects::out_stream), lines);
        let tapped = self.succeed(&["tap", "--all", "--json", "--count", &lines.to_string()]);
        assert!(tapped == self.expected, "the decisions differ from the file's");
    }

    /// A receipt for every record, the clock that ends the last tick among them.
    #[track_caller]
    pub(super) fn has_all_receipts(&self) {
        let mut receipts = self.receipts();
        receipts.sort_unstable();
        assert_eq!(receipts, (1..=self.messages(Subjects::in_stream)).collect::<Vec<_>>());
    }

    /// The sequences that the receipts are about, in the order of their stream.
    pub(super) fn receipts(&self) -> Vec<u64> {
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

    /// All input messages as records of a file, in the order of the stream.
    pub(super) fn inputs(&self) -> Vec<String> {
        self.ask(Subjects::in_stream, async |stream| {
            let mut all = Vec::new();
            for sequence in 1..=stream.cached_info().state.last_sequence {
                let message = stream.get_raw_message(sequence).await.unwrap();
                let body = String::from_utf8(message.payload.to_vec()).unwrap();
                // An engine's own clock has its time in a header.
                let at = message.headers.get(AT_HEADER).filter(|_| !body.contains("\"at\""));
                let at = at.map(|at| body.replacen('{', &format!("{{\"at\":\"{at}\","), 1));
                all.push(at.unwrap_or(body));
            }
            all
        })
    }

    /// Clock records in the input stream.
    pub(super) fn clocks(&self) -> usize {
        self.inputs().iter().filter(|body| is_clock(body)).count()
    }
}

/// The messages of a stream: subject, id and body.
async fn all_of(stream: &Stream) -> Vec<(String, String, Vec<u8>)> {
    let mut all = Vec::new();
    for sequence in 1..=stream.cached_info().state.last_sequence {
        let message = stream.get_raw_message(sequence).await.unwrap();
        let id = message.headers.get("Nats-Msg-Id").map(|id| id.to_string());
        all.push((message.subject.to_string(), id.unwrap_or_default(), message.payload.to_vec()));
    }
    all
}

/// An engine's arguments with others beside those, or in their place: a flag is given once.
fn instead<'a>(args: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
    let mut all: Vec<&str> = args.iter().map(String::as_str).collect();
    for flag in more.iter().filter(|arg| arg.starts_with("--")) {
        if let Some(at) = all.iter().position(|arg| arg == flag) {
            all.drain(at..at + 2);
        }
    }
    all.extend(more);
    all
}

/// Whether a record is a clock.
pub(super) fn is_clock(body: &str) -> bool {
    body.contains(r#""kind":"clock""#)
}

pub(super) fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let kill = std::process::Command::new("kill").args([name, &pid]).status().unwrap();
    assert!(kill.success(), "kill {name} {pid}");
}

/// Waits until the engine has published so many decisions.
#[track_caller]
pub(super) fn published(town: &Town, least: u64) {
    let asked = Instant::now();
    while town.messages(Subjects::out_stream) < least {
        assert!(asked.elapsed() < Duration::from_secs(60), "{}", town.said());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until the engine has kept a snapshot.
#[track_caller]
pub(super) fn kept(town: &Town) {
    let asked = Instant::now();
    let any = || {
        let files = std::fs::read_dir(town.snapshots()).into_iter().flatten().flatten();
        files.map(|file| file.file_name()).any(|name| name.to_string_lossy().ends_with(".bin"))
    };
    while !any() {
        assert!(asked.elapsed() < Duration::from_secs(60), "{}", town.said());
        std::thread::sleep(Duration::from_millis(5));
    }
}
