//! One engine in several processes: the same decisions; all end when one is lost, and go on together.

use super::town::{Town, kept, published, signal};
use crate::support::{iceshop, output, succeed};
use connectors::subject::Subjects;
use connectors::testing::free_port;
use std::path::PathBuf;
use std::process::{Child, Output, Stdio};
use tempfile::TempDir;

/// A file of hosts, and where processes say what they say.
struct Hosts(TempDir);

impl Hosts {
    fn of(processes: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lines: String =
            (0..processes).map(|_| format!("127.0.0.1:{}\n", free_port())).collect();
        std::fs::write(folder.path().join("hosts"), format!("# a cluster\n{lines}")).unwrap();
        Self(folder)
    }

    fn file(&self) -> String {
        self.0.path().join("hosts").to_str().unwrap().into()
    }

    fn log(&self, process: usize) -> PathBuf {
        self.0.path().join(format!("process-{process}.log"))
    }

    /// Starts a process that keeps markets for the engine.
    fn member(&self, process: usize, workers: usize) -> Child {
        let log = std::fs::File::create(self.log(process)).unwrap();
        let [process, workers] = [process, workers].map(|number| number.to_string());
        let args = ["run", "--hosts", &self.file(), "--process", &process, "--workers", &workers];
        iceshop(&args).stdout(Stdio::null()).stderr(log).spawn().unwrap()
    }

    /// What a process that was lost to another one says, and its end.
    #[track_caller]
    fn lost(&self, process: usize, mut child: Child) {
        let status = child.wait().unwrap();
        let said = std::fs::read_to_string(self.log(process)).unwrap();
        assert_eq!(status.code(), Some(4), "{said}");
        assert!(said.contains("another process is gone"), "{said}");
    }
}

fn run(hosts: &Hosts, workers: usize, more: &[&str]) -> Output {
    let workers = workers.to_string();
    let args = ["run", "--hosts", &hosts.file(), "--workers", &workers];
    output(&[&args[..], more].concat())
}

#[test]
fn several_processes_decide_what_one_does() {
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("events.jsonl");
    let path = events.to_str().unwrap();
    let size = ["--intents", "700", "--stores", "60", "--products", "9", "--hours", "1"];
    succeed(&[&["generate", "--seed", "3", "--output", path], &size[..]].concat());
    let alone = succeed(&["run", "--input", path]);
    for (processes, workers) in [(2, 1), (3, 2)] {
        let hosts = Hosts::of(processes);
        let members: Vec<Child> = (1..processes).map(|p| hosts.member(p, workers)).collect();
        let summary = folder.path().join("summary.json");
        let figures = ["--input", path, "--summary", summary.to_str().unwrap()];
        let output = run(&hosts, workers, &figures);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert!(output.stdout == alone.as_bytes(), "{processes} processes of {workers}: {said}");
        for mut member in members {
            assert!(member.wait().unwrap().success());
        }
        // Figures are those of all processes: every product has its market somewhere.
        let summary = std::fs::read_to_string(summary).unwrap();
        let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
        assert_eq!(summary["markets"].as_object().unwrap().len(), 9, "{summary}");
    }
}

#[test]
fn processes_that_do_not_fit_together_say_so() {
    let hosts = Hosts::of(2);
    let mut member = hosts.member(1, 2);
    let engine = run(&hosts, 1, &["--input", "/dev/null"]);
    let said = String::from_utf8_lossy(&engine.stderr).into_owned();
    assert_eq!(engine.status.code(), Some(3), "{said}");
    let their = std::fs::read_to_string(hosts.log(1));
    assert_eq!(member.wait().unwrap().code(), Some(3), "{their:?}");
    for said in [said, std::fs::read_to_string(hosts.log(1)).unwrap()] {
        assert!(said.contains("2 processes of 1 workers"), "{said}");
        assert!(said.contains("2 processes of 2 workers"), "{said}");
    }
    let few = Hosts::of(1);
    let told = [
        (run(&few, 1, &[]), "has 1 addresses"),
        (run(&few, 1, &["--process", "1"]), "has 1 addresses"),
        (run(&hosts, 1, &["--process", "2"]), "--process 2: "),
        (output(&["run", "--process", "1"]), "--hosts"),
    ];
    for (ended, expected) in told {
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(!ended.status.success() && said.contains(expected), "{said}");
    }
}

/// A member is killed, then the engine: each time the other one ends, and both go on together after
/// the newest snapshot. At last one process alone goes on from what two have kept.
#[test]
fn a_process_that_is_lost_ends_all_and_nothing_is_lost_with_it() {
    let town = Town::build();
    for killed in ["member", "engine", "nobody"] {
        let hosts = Hosts::of(2);
        let mut member = hosts.member(1, 1);
        let before = town.messages(Subjects::out_stream);
        let mut engine = town.start_with(&["--hosts", &hosts.file()]);
        published(&town, before + 20);
        kept(&town);
        match killed {
            "member" => {
                member.kill().unwrap();
                member.wait().unwrap();
                let (status, said) = (engine.wait().unwrap(), town.said());
                assert_eq!(status.code(), Some(4), "{said}");
                assert!(said.contains("another process is gone"), "{said}");
            }
            "engine" => {
                engine.kill().unwrap();
                engine.wait().unwrap();
                hosts.lost(1, member);
            }
            _ => {
                signal(&engine, "-TERM");
                let status = engine.wait().unwrap();
                assert!(status.success(), "{}", town.said());
                assert!(member.wait().unwrap().success());
            }
        }
    }
    assert!(town.finish().contains("going on after it"));
    town.is_whole();
}
