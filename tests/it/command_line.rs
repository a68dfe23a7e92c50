//! The binary as a person or a script uses it: flags, files, figures, exit codes.

use crate::support::{iceshop, output, succeed};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tempfile::TempDir;

/// Each market's figures add up to those of all.
fn markets_add_up(summary: &Value) {
    let (all, each) = (&summary["solver"], summary["markets"].as_object().unwrap());
    assert!(!each.is_empty());
    for field in [
        "/value",
        "/bound",
        "/solved",
        "/shed",
        "/steps/prices",
        "/steps/search",
        "/steps/branches",
    ] {
        let of = |market: &Value| market.pointer(field).unwrap().as_i64().unwrap();
        assert_eq!(of(all), each.values().map(of).sum::<i64>(), "{field}");
        assert!(of(all) > 0 || field == "/shed", "{field}");
    }
    for field in ["value", "bound"] {
        let total = summary[&format!("market_{field}")].as_i64().unwrap();
        assert_eq!(all[field], total, "{field}");
    }
    for (product, market) in each {
        let [value, bound] = ["value", "bound"].map(|field| market[field].as_i64().unwrap());
        assert!(0 <= value && value <= bound, "{product}: {market}");
        assert!(market["gap_ppm"].as_u64() <= Some(1_000_000), "{product}: {market}");
    }
    let cpu = &all["cpu_ms"];
    let taken = ["updates", "prices", "search", "branches"].map(|of| cpu[of].as_u64().unwrap());
    let engine = summary["engine_cpu_ms"].as_u64().unwrap();
    assert!((1..=engine + 1).contains(&taken.iter().sum()), "{cpu} of {engine} ms");
}

/// A city that a debug build runs in seconds.
const CITY: [&str; 8] = ["--intents", "1200", "--stores", "60", "--products", "6", "--hours", "2"];

/// The embedded city's run, both sides of it kept.
struct Ran {
    folder: TempDir,
}

impl Ran {
    fn new() -> Self {
        let ran = Self { folder: tempfile::tempdir().unwrap() };
        let path = |name: &str| ran.path(name).to_str().unwrap().to_string();
        let (events, decisions) = (path("events.jsonl"), path("decisions.jsonl"));
        let (receipts, summary) = (path("receipts.jsonl"), path("summary.json"));
        let mut args = vec!["run", "--speed", "1000000", "--record", &events];
        args.extend(["--output", &decisions, "--receipts", &receipts, "--summary", &summary]);
        args.extend(CITY);
        assert_eq!(succeed(&args), "");
        ran
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn check(&self, decisions: &str) -> (Option<i32>, String) {
        let [events, decisions, receipts] = ["events.jsonl", decisions, "receipts.jsonl"]
            .map(|name| self.path(name).to_str().unwrap().to_string());
        let args = ["check", "--events", &events, "--decisions", &decisions];
        let output = output(&[&args[..], &["--receipts", &receipts]].concat());
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }
}

#[test]
fn the_embedded_city_is_recorded_checked_and_summed_up() {
    let ran = Ran::new();
    let (code, report) = ran.check("decisions.jsonl");
    assert_eq!(code, Some(0), "{report}");
    assert!(report.contains("holds      everything"), "{report}");

    let decisions = ran.read("decisions.jsonl");
    let (events, receipts) = (ran.read("events.jsonl"), ran.read("receipts.jsonl"));
    let summary: Value = serde_json::from_str(&ran.read("summary.json")).unwrap();
    assert_eq!(summary["records"], events.lines().count());
    assert_eq!(summary["waiting"], 0);
    let count = |text: &str, field: &str, word: &str| {
        let parsed = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        parsed.filter(|value| value[field] == word).count()
    };
    for (state, number) in summary["decisions"].as_object().unwrap() {
        assert_eq!(*number, count(&decisions, "state", state), "{state}");
    }
    for (outcome, number) in summary["receipts"].as_object().unwrap() {
        assert_eq!(*number, count(&receipts, "outcome", outcome), "{outcome}");
    }
    assert_eq!(receipts.lines().count(), events.lines().count());
    let locked = decisions.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let locked: Vec<Value> = locked.filter(|decision| decision["state"] == "locked").collect();
    let sum = |field: &dyn Fn(&Value) -> i64| locked.iter().map(field).sum::<i64>();
    assert_eq!(summary["locked_value"], sum(&|d| d["value"].as_i64().unwrap()));
    assert_eq!(summary["locked_buyers"], sum(&|d| d["group"]["buyers"].as_i64().unwrap()));
    assert!(!locked.is_empty());
    markets_add_up(&summary);

    tampered(&ran, &decisions);
    generated(&ran, &events);
    again(&ran, &decisions);
}

/// One changed number is found, on its line.
fn tampered(ran: &Ran, decisions: &str) {
    let mut lines: Vec<Value> =
        decisions.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let n = lines.iter().position(|decision| decision["state"] == "locked").unwrap();
    let saving = lines[n]["members"][0]["saving"].as_i64().unwrap();
    lines[n]["members"][0]["saving"] = (saving + 1).into();
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(ran.path("tampered.jsonl"), text).unwrap();
    let (code, report) = ran.check("tampered.jsonl");
    assert_eq!(code, Some(1), "{report}");
    assert!(report.contains(&format!("line {}: ", n + 1)), "{report}");
}

/// `generate` writes what `run --record` keeps.
fn generated(ran: &Ran, events: &str) {
    let path = ran.path("generated.jsonl");
    succeed(&[&["generate", "--output", path.to_str().unwrap()], &CITY[..]].concat());
    assert!(std::fs::read_to_string(path).unwrap() == events);
}

/// The recorded file gives the same decisions, also through standard input and several workers.
fn again(ran: &Ran, decisions: &str) {
    let events = ran.path("events.jsonl");
    let told = succeed(&["run", "--input", events.to_str().unwrap(), "--workers", "2"]);
    assert!(told == decisions);
    let mut command = iceshop(&["run", "--input", "-", "--batch", "5", "--h3-resolution", "7"]);
    command.stdin(std::fs::File::open(&events).unwrap());
    let output = command.output().unwrap();
    assert!(output.status.success() && output.stdout == decisions.as_bytes());
}

#[test]
fn every_command_explains_itself() {
    for command in ["run", "check", "generate", "publish", "tap", "nats", "solve"] {
        let help = succeed(&[command, "--help"]);
        assert!(help.contains(&format!("Usage: iceshop {command}")), "{help}");
        assert_eq!(succeed(&["help", command]), help);
    }
    for action in ["init", "check"] {
        assert!(succeed(&["nats", action, "--help"]).contains("--duplicate-window-s"));
    }
    assert!(succeed(&["--help"]).contains("Exit codes"));
    assert!(succeed(&["--version"]).starts_with("iceshop "));
}

#[track_caller]
pub(crate) fn fails(args: &[&str], code: i32, with: &str) {
    let output = output(args);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {errors}");
    assert!(errors.contains(with), "{args:?}: {with:?} is not in {errors:?}");
    assert!(output.stdout.is_empty());
}

#[test]
fn what_goes_wrong_has_its_exit_code() {
    fails(&[], 2, "Usage");
    fails(&["dance"], 2, "dance");
    fails(&["run", "--workers", "0"], 2, "--workers");
    fails(&["run", "--speed", "nan"], 2, "--speed");
    fails(&["run", "--input", "a", "--record", "b"], 2, "--record");
    fails(&["--log", "iceshop=loud", "run", "--input", "a"], 2, "log");
    fails(&["tap", "--city", "x"], 2, "--nats");
    fails(&["tap", "--nats", "nats://127.0.0.1:1", "--city", "No!"], 2, "--city");
    fails(&["run", "--slot-minutes", "7"], 3, "slot_minutes: 7: ");
    fails(&["run", "--tick-ms", "0"], 3, "tick_ms: 0: ");
    fails(&["run", "--input", "/nowhere/a.jsonl"], 5, "/nowhere/a.jsonl");
    fails(&["run", "--output", "/nowhere/a.jsonl"], 5, "/nowhere/a.jsonl");
    fails(&["check", "--events", "/nowhere/a", "--decisions", "b"], 5, "/nowhere/a");
    fails(&["generate", "--output", "/nowhere/a"], 5, "/nowhere/a");
    fails(&["solve", "/nowhere/market.json"], 5, "/nowhere/market.json");
    fails(&["publish", "/nowhere/a", "--nats", "nats://127.0.0.1:1", "--city", "x"], 5, "/nowhere");
}

#[test]
fn flags_that_do_not_go_together_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let (a, b, link) = (path("a"), path("b"), path("link"));
    fails(&["run", "--city", "x"], 2, "--nats URL");
    fails(&["run", "--input", &a, "--city", "x"], 2, "--nats URL");
    fails(&["run", "--stop-when-idle", "1"], 2, "--nats");
    fails(&["run", "--stop-when-idle=-1", "--nats", "x"], 2, "--stop-when-idle");
    for flag in ["--seed", "--intents", "--stores", "--products", "--hours", "--speed"] {
        fails(&["run", "--input", &a, flag, "7"], 2, flag);
        fails(&["run", "--nats", "nats://127.0.0.1:1", flag, "7"], 2, flag);
    }
    let age = "--in-max-age-h=9999999999999999999";
    fails(&["nats", "init", "--nats", "x", "--city", "x", age], 2, "--in-max-age-h");
    fails(&["run", "--input", &a, "--no-burst"], 2, "--no-burst");
    fails(&["run", "--input", &a, "--centre", "41,29"], 2, "--centre");
    fails(&["run", "--nats", "nats://127.0.0.1:1", "--output", &a], 2, "--output");

    std::fs::write(&a, "kept").unwrap();
    std::os::unix::fs::symlink(&a, &link).unwrap();
    let hard = path("hard");
    std::fs::hard_link(&a, &hard).unwrap();
    let dotted = path("./b");
    for (first, one, second, other) in [
        ("--input", &a, "--output", &a),
        ("--input", &a, "--summary", &link),
        ("--input", &a, "--output", &hard),
        ("--input", &hard, "--receipts", &link),
        ("--output", &b, "--receipts", &dotted),
        ("--receipts", &b, "--dead-letters", &b),
        ("--record", &b, "--summary", &b),
        ("--output", &"-".to_string(), "--receipts", &"-".to_string()),
    ] {
        let both = format!("{first} and {second} are both ");
        fails(&["run", first, one, second, other], 2, &both);
        fails(&["run", second, other, first, one], 2, &both);
    }
    fails(&["solve", &a, "--out", &b, "--certificate", &b], 2, "--out and --certificate are both");
    assert_eq!(std::fs::read_to_string(&a).unwrap(), "kept");
    assert!(!Path::new(&b).exists());
    // What holds nothing may be written twice.
    std::fs::write(&a, "").unwrap();
    let nothing = "/dev/null";
    succeed(&["run", "--input", &a, "--output", nothing, "--receipts", nothing]);
    let summary = succeed(&["run", "--input", &a, "--output", nothing, "--summary", "-"]);
    assert_eq!(serde_json::from_str::<Value>(&summary).unwrap()["records"], 0);
}

fn solve(folder: &Path, market: &Value, more: &[&str]) -> Value {
    let path = folder.join("market.json");
    std::fs::write(&path, market.to_string()).unwrap();
    let line = succeed(&[&["solve", path.to_str().unwrap()], more].concat());
    assert_eq!(line.lines().count(), 1);
    serde_json::from_str(&line).unwrap()
}

#[test]
fn a_tiny_market_is_solved_with_its_proof() {
    let folder = tempfile::tempdir().unwrap();
    let buyer = |id: i64, budget: i64| {
        serde_json::json!({"id": id, "product": "latte", "lat": 48.85, "lng": 2.35,
            "budget": budget, "quantity": 1, "reach_m": 100, "from": 0, "to": 1})
    };
    let market = serde_json::json!({
        "params": {"travel_cost_per_km": 0, "slot_minutes": 20},
        "stores": [{"id": "s", "lat": 48.85, "lng": 2.35}],
        "offers": [{"store": "s", "product": "latte", "stock": 2, "list_price": 100,
            "tiers": [{"min_buyers": 1, "price": 90}, {"min_buyers": 2, "price": 60}]}],
        "intents": [buyer(1, 100), buyer(2, 80), buyer(3, 95)],
    });
    // Two units: the two who gain most at 60 are worth 40 and 35.
    let [grouping, certificate] =
        ["grouping.json", "certificate.json"].map(|name| folder.path().join(name));
    let flags =
        ["--out", grouping.to_str().unwrap(), "--certificate", certificate.to_str().unwrap()];
    let solved = solve(folder.path(), &market, &flags);
    assert_eq!((&solved["value"], &solved["bound"]), (&75.into(), &75.into()));
    assert_eq!((&solved["gap_ppm"], &solved["windows"]), (&0.into(), &1.into()));
    assert_eq!(solved["buyers"], 2);
    let read =
        |path: &Path| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    let expected = serde_json::json!({"windows": [
        {"store": "s", "product": "latte", "slot": 0, "price": 60, "buyers": [1, 3]}]});
    assert_eq!(read(&grouping), expected);
    assert_eq!(solved["bound"], 75, "{solved}");
    bound_is_proven(&read(&certificate), 75);
    assert_eq!(solve(folder.path(), &market, &["--greedy"])["value"], 75);
    solves_between_pipes(&market, &expected);
    solves_no_half_instance(&market);
}

/// `-` is standard input and output: the grouping alone is written there.
fn solves_between_pipes(market: &Value, grouping: &Value) {
    let mut child = iceshop(&["solve", "-", "--out", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(market.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap(), *grouping);
    assert_eq!(serde_json::from_slice::<Value>(&output.stderr).unwrap()["value"], 75);
    fails(
        &["solve", "-", "--out", "-", "--certificate", "-"],
        2,
        "--out and --certificate are both",
    );
}

/// What is missing is named by its path, and has no value; what is out of range is named with its value.
fn solves_no_half_instance(market: &Value) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("market.json");
    for (of, missing, expected) in [
        ("", "params", "params: absent: needed"),
        ("/params", "travel_cost_per_km", "params.travel_cost_per_km: absent: needed"),
        ("/intents/1", "budget", "intents[1].budget: absent: needed"),
    ] {
        let mut market = market.clone();
        market.pointer_mut(of).unwrap().as_object_mut().unwrap().remove(missing);
        std::fs::write(&path, market.to_string()).unwrap();
        fails(&["solve", path.to_str().unwrap()], 5, expected);
    }
    for (end, at, expected) in [
        ("from", -1_000_000_000, "intents[1].from: -1000000000: slots are"),
        ("to", 1_000_000_000, "intents[1].to: 1000000000: slots are"),
        ("to", 50_000_000, "intents[1].to: 50000000 slots: at most"),
    ] {
        let mut market = market.clone();
        market["intents"][1][end] = at.into();
        std::fs::write(&path, market.to_string()).unwrap();
        fails(&["solve", path.to_str().unwrap()], 5, expected);
    }
}

/// The bound that the prices prove, worked out by hand: gains at 90 are 10, -, 5; at 60 40, 20, 35.
fn bound_is_proven(certificate: &Value, bound: i64) {
    let scale = certificate["scale"].as_i64().unwrap();
    let price = |list: &str, id: &Value, at: usize| {
        let list = certificate[list].as_array().unwrap();
        let found = list.iter().find(|entry| entry[0] == *id);
        found.map_or(0, |entry| entry[at].as_i64().unwrap())
    };
    let unit = price("offers", &"s".into(), 2);
    let own: Vec<i64> = (1..=3).map(|id| price("intents", &id.into(), 1)).collect();
    assert!(unit >= 0 && own.iter().all(|price| *price >= 0));
    let mut best = 0;
    for group in 1..8u32 {
        let gains = if group.count_ones() == 1 { [10, -1_000_000, 5] } else { [40, 20, 35] };
        let members = (0..3).filter(|n| group >> n & 1 == 1);
        let value: i64 = members.map(|n: usize| gains[n] * scale - own[n] - unit).sum();
        best = best.max(value);
    }
    // Branches may have proven more than prices can say.
    assert!((own.iter().sum::<i64>() + 2 * unit + best).div_euclid(scale) >= bound);
}

#[test]
fn a_reader_who_leaves_early_is_no_failure() {
    for command in ["generate", "run"] {
        let mut args = vec![command];
        args.extend(CITY);
        if command == "run" {
            args.extend(["--speed", "1000000"]);
        }
        let mut child =
            iceshop(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with('{'), "{line}");
        let status = child.wait().unwrap();
        let mut errors = String::new();
        child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert_eq!(status.code(), Some(0), "{command}: {errors}");
    }
}

#[test]
fn the_first_decision_that_differs_is_named_with_its_inputs() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let (events, left, right) = (path("events"), path("left"), path("right"));
    succeed(&[
        "generate",
        "--intents",
        "300",
        "--stores",
        "40",
        "--products",
        "3",
        "--hours",
        "2",
        "--output",
        &events,
    ]);
    succeed(&["run", "--input", &events, "--output", &left]);
    std::fs::copy(&left, &right).unwrap();
    let same = succeed(&["diff", &left, &right]);
    let mut lines: Vec<String> =
        std::fs::read_to_string(&left).unwrap().lines().map(String::from).collect();
    assert_eq!(same, format!("{} decisions, all the same\n", lines.len()));

    // A changed field, a missing line, a line too many.
    let first: serde_json::Value = serde_json::from_str(&lines[6]).unwrap();
    let (window, revision) = (first["window"].as_str().unwrap(), &first["revision"]);
    let changed = lines[6].replacen("\"buyers\":", "\"buyers\":9", 1);
    let original = std::mem::replace(&mut lines[6], changed);
    std::fs::write(&right, lines.join("\n")).unwrap();
    let differ = output(&["diff", &left, &right, "--events", &events]);
    let said = String::from_utf8_lossy(&differ.stdout);
    assert_eq!(differ.status.code(), Some(1), "{said}");
    assert!(said.starts_with("line 7\n"), "{said}");
    assert!(said.contains(&format!("{window} revision {revision}")), "{said}");
    assert!(said.contains("  group.buyers: "), "{said}");
    lines[6] = original;
    // Whichever differs, the record that it reflects is shown, for those of one tick, too.
    for n in 0..20 {
        let line = lines[n].clone();
        let decision: Value = serde_json::from_str(&line).unwrap();
        lines[n] = line.replacen("\"buyers\":", "\"buyers\":9", 1);
        std::fs::write(&right, lines.join("\n")).unwrap();
        lines[n] = line;
        let differ = output(&["diff", &left, &right, "--events", &events]);
        let said = String::from_utf8_lossy(&differ.stdout);
        let led = format!("  record {}: {{\"at\"", decision["input_sequence"]);
        assert!(said.contains(&led), "{led} in {said}");
    }
    for (shorter, longer) in [(&left, &right), (&right, &left)] {
        std::fs::write(longer, lines.join("\n")).unwrap();
        std::fs::write(shorter, lines[..9].join("\n")).unwrap();
        let differ = output(&["diff", &left, &right]);
        let said = String::from_utf8_lossy(&differ.stdout);
        assert!(said.starts_with("line 10\n") && said.contains("ends here"), "{said}");
    }
}

/// Where NATS is may stand in the environment; a run on files asks for none.
#[test]
fn files_count_for_more_than_an_environment_with_nats() {
    let nats = "nats://127.0.0.1:1";
    let run = |args: &[&str]| iceshop(args).env("ICESHOP_NATS", nats).output().unwrap();
    let from_file = run(&["run", "--input", "/nowhere"]);
    let said = String::from_utf8_lossy(&from_file.stderr).into_owned();
    assert!(from_file.status.code() == Some(5) && said.contains("/nowhere"), "{said}");
    let both = run(&["run", "--input", "/nowhere", "--nats", nats]);
    assert_eq!(both.status.code(), Some(2));
    let alone = run(&["run", "--city", "demo"]);
    assert_eq!(alone.status.code(), Some(4), "{}", String::from_utf8_lossy(&alone.stderr));
}
