//! Ten thousand bad and stale lines in a good stream: the decisions stay, and every line has its
//! receipt.

use crate::support::{
    Dice, Seed, decision_lines, iceshop, inbounds, receipt_lines, record_lines, run, small_city,
    succeed, violation,
};
use connectors::codec::shorten;
use connectors::wire::Receipt;
use dataflows::market::{Params, limits};
use iceshop::run::pipeline::Produce;
use iceshop::scenario::City;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::io::Write;
use std::process::Stdio;

const BAD_LINES: usize = 10_000;

/// What must become of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is one of the good stream's own.
    Good,
    /// It is refused, with field and value; the field where one was damaged.
    Invalid(Option<&'static str>),
    /// It is understood, and changes nothing.
    Stale,
}

/// The lines of a good stream.
fn good_lines(city: &City) -> Vec<Vec<u8>> {
    let records: Vec<_> = city.records().map(|d| (d.at.to_string(), d.record)).collect();
    let text = record_lines(&records);
    text.split(|byte| *byte == b'\n').filter(|l| !l.is_empty()).map(<[u8]>::to_vec).collect()
}

/// The decisions, whatever input they have seen.
fn decided(mut produce: Produce) -> Vec<u8> {
    for decision in &mut produce.decisions {
        decision.input_sequence = 0;
    }
    decision_lines(&produce.decisions)
}

#[test]
fn bad_lines_change_nothing_and_have_their_receipts() {
    let seed = 5;
    let _seed = Seed(seed);
    let dice = &mut Dice::new(seed);
    let good = good_lines(&small_city(700));
    let (mut lines, mut fates) = (Vec::new(), Vec::new());
    for (n, line) in good.iter().enumerate() {
        lines.push(line.clone());
        fates.push(Fate::Good);
        let until = BAD_LINES * (n + 1) / good.len();
        while fates.len() - (n + 1) < until {
            let known = &good[dice.roll(0, n as i64) as usize];
            let (line, fate) = bad(dice, known);
            lines.push(line);
            fates.push(fate);
        }
    }
    assert_eq!(lines.len(), good.len() + BAD_LINES);
    let params = Params::default();
    let usual = decided(run(&params, 1, 1_000, &inbounds(&good)));
    let fuzzed = run(&params, 1, 1_000, &inbounds(&lines));
    let mut receipts = vec![None; lines.len()];
    for receipt in &fuzzed.receipts {
        let n = receipt.sequence as usize - 1;
        assert_eq!(receipts[n].replace(receipt), None, "one receipt a line");
    }
    for (n, fate) in fates.iter().enumerate() {
        let receipt = receipts[n].unwrap_or_else(|| panic!("line {} has no receipt", n + 1));
        let line = String::from_utf8_lossy(&lines[n][..lines[n].len().min(500)]);
        let invalid = receipt.outcome == "invalid";
        assert_eq!(invalid, matches!(fate, Fate::Invalid(_)), "{receipt:?}\n{line}");
        let named = receipt.field.is_some() && receipt.value.is_some() && receipt.reason.is_some();
        assert_eq!(invalid, named, "{receipt:?}\n{line}");
        if let Fate::Invalid(damaged) = *fate {
            told_as_it_is(receipt, damaged, &lines[n]);
        }
    }
    // The checker knows every refusal in the same words.
    let mut events = lines.join(&b'\n');
    events.push(b'\n');
    let (decisions, receipts) =
        (decision_lines(&fuzzed.decisions), receipt_lines(&fuzzed.receipts));
    assert_eq!(violation(&params, events, decisions, receipts), None);
    assert!(decided(fuzzed) == usual, "the decisions have changed");
}

/// The receipt names the field that was damaged, its value as the line has it, and a reason in
/// plain words.
fn told_as_it_is(receipt: &Receipt, damaged: Option<&str>, line: &[u8]) {
    let told = |part: &Option<String>| part.clone().unwrap();
    let (field, value, reason) =
        (told(&receipt.field), told(&receipt.value), told(&receipt.reason));
    let context = format!("{receipt:?}\n{}", String::from_utf8_lossy(&line[..line.len().min(500)]));
    assert!(!field.is_empty() && !value.is_empty(), "{context}");
    for word in ["expected", "invalid type", "invalid value", "line 1"] {
        assert!(!reason.contains(word), "{context}");
    }
    let Some(damaged) = damaged else { return };
    let within = field.strip_prefix(damaged).map(|rest| rest.chars().next());
    let parsed = serde_json::from_slice::<Value>(line);
    let stock = ["units", "sold", "added"];
    if within.is_none() && stock.contains(&damaged) {
        // Two of the three are one too many, whichever was put there.
        assert!(stock.contains(&field.as_str()), "{context}");
    } else {
        assert!(matches!(within, Some(None | Some('.' | '['))), "{damaged}: {context}");
    }
    if let Ok(parsed) = parsed {
        let path = format!("/{}", field.replace(['.', '['], "/").replace(']', ""));
        let typed = parsed.pointer(&path).map_or("absent".into(), Value::to_string);
        assert_eq!(value, shorten(&typed), "{context}");
    } else {
        assert_ne!(value, "absent", "{context}");
    }
}

/// A line that is no good, or no news, made of one that came before.
fn bad(dice: &mut Dice, known: &[u8]) -> (Vec<u8>, Fate) {
    let text = std::str::from_utf8(known).unwrap();
    let mut value: Value = serde_json::from_slice(known).unwrap();
    let invalid = |field, line: Vec<u8>| (line, Fate::Invalid(field));
    match dice.roll(0, 14) {
        0 => invalid(None, known[..dice.roll(1, known.len() as i64 - 1) as usize].to_vec()),
        1 => invalid(
            Some("at"),
            text.replacen(':', &format!(":{}", dice.pick(&["NaN,", "-", "'", "{"])), 1).into(),
        ),
        2 => {
            let mut line = known.to_vec();
            let at = dice.roll(1, line.len() as i64 - 1) as usize;
            line.insert(at, *dice.pick(&[0xff, 0xc0, 0x80, 0xfe]));
            invalid(None, line)
        }
        3 => {
            let depth = dice.roll(200, 5_000) as usize;
            let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            let key = "\"version\":";
            invalid(
                Some("version"),
                text.replacen(key, &format!("{key}{nested},\"more\":"), 1).into(),
            )
        }
        4 => {
            // The first key again.
            let at = value["at"].as_str().unwrap();
            invalid(Some("at"), text.replacen('{', &format!("{{\"at\":\"{at}\","), 1).into())
        }
        5 => {
            let kind = *dice.pick(&["intents", "", "Intent", "window", "iceshop"]);
            value["kind"] = kind.into();
            invalid(Some("kind"), value.to_string().into())
        }
        6 => {
            value["v"] = dice.pick(&[json!(0), json!(2), json!("1"), json!(-1)]).clone();
            invalid(Some("v"), value.to_string().into())
        }
        7 => {
            let times = [
                json!("1726-06-12T08:00:00Z"),
                json!("2326-06-12T08:00:00Z"),
                json!(7),
                json!("2099-12-31T23:59:59Z"),
                json!("2026-06-12"),
                json!("yesterday"),
                json!("2026-06-12T08:00:00"),
                json!(null),
                json!("2026-13-12T08:00:00Z"),
            ];
            value["at"] = dice.pick(&times).clone();
            invalid(Some("at"), value.to_string().into())
        }
        // A few are very long.
        8 if dice.chance(3) => {
            value["id"] = "x".repeat(1 << 20).into();
            invalid(Some("id"), value.to_string().into())
        }
        9 => (known.to_vec(), Fate::Stale),
        10 => older(dice, value),
        11 => {
            let unknown = unknown(dice, &value);
            let field = if unknown.get("window").is_some() { "window" } else { "store" };
            invalid(Some(field), unknown.to_string().into())
        }
        _ => {
            let (field, wrong) = wrong(dice, &value);
            value[field] = wrong;
            invalid(Some(field), value.to_string().into())
        }
    }
}

/// A record that refers to nothing known, mostly from a time that has not come.
fn unknown(dice: &mut Dice, value: &Value) -> Value {
    let at: Timestamp = value["at"].as_str().unwrap().parse().unwrap();
    let ahead = *dice.pick(&[0, 1, 40, 3_000, 40_000, 1_000_000]);
    let at = at + SignedDuration::from_secs(dice.roll(0, ahead));
    let (at, event) = (at.to_string(), format!("f{}", dice.roll(0, 1 << 30)));
    let window = *dice.pick(&["nowhere_nothing_7", "s1_p1_1", "x"]);
    match dice.roll(0, 3) {
        0 => json!({"at": at, "kind": "offer", "store": "nowhere", "product": "nothing",
            "version": 1, "list_price": 100, "tiers": [{"min_buyers": 1, "price": 50}]}),
        1 => json!({"at": at, "kind": "stock", "store": "nowhere", "product": "nothing",
            "version": 1, "units": 5}),
        2 => json!({"at": at, "kind": "reply", "window": window, "revision": 1, "intent": "i1",
            "answer": "accept", "event": event}),
        _ => json!({"at": at, "kind": "arrival", "window": window, "intent": "i1",
            "outcome": "bought", "event": event}),
    }
}

/// A lower version, or the same one, with another content.
fn older(dice: &mut Dice, mut value: Value) -> (Vec<u8>, Fate) {
    let version = value["version"].as_u64().unwrap();
    // Of a relative stock change only its event tells that it is known.
    if value["kind"] != "stock" {
        value["version"] = dice.roll(0, version as i64).into();
        for money in ["budget", "list_price"] {
            if value.get(money).is_some() {
                value[money] = 999_999.into();
            }
        }
    }
    (value.to_string().into(), Fate::Stale)
}

/// A field of the record, and what it cannot hold.
fn wrong(dice: &mut Dice, value: &Value) -> (&'static str, Value) {
    let cancels = value.get("cancel").is_some();
    let any = match value["kind"].as_str().unwrap() {
        "intent" if cancels => wrong_cancellation(),
        "intent" => wrong_intent(),
        "store" => wrong_store(),
        "offer" => wrong_offer(),
        _ => wrong_stock(),
    };
    dice.pick(&any).clone()
}

fn wrong_cancellation() -> Vec<(&'static str, Value)> {
    vec![
        ("id", json!("a.b")),
        ("id", json!("")),
        ("id", json!(7)),
        ("version", json!("1")),
        ("version", json!(-1)),
        ("cancel", json!("yes")),
    ]
}

fn wrong_intent() -> Vec<(&'static str, Value)> {
    vec![
        ("id", json!("a.b")),
        ("id", json!("*")),
        ("id", json!("x".repeat(65))),
        ("version", json!(1.5)),
        ("buyer", json!(">")),
        ("buyer", json!(null)),
        ("product", json!("la te")),
        ("lat", json!(90.1)),
        ("lat", json!("41")),
        ("lng", json!(-181)),
        ("lng", json!(null)),
        ("budget", json!(-1)),
        ("budget", json!(1_000_000_001)),
        ("budget", json!("100")),
        ("quantity", json!(0)),
        ("quantity", json!(1_001)),
        ("reach_m", json!(-1)),
        ("reach_m", json!(1e9)),
        ("available", json!([])),
        ("available", json!([["2026-06-12T13:00:00Z"]])),
        ("available", json!([["2026-06-12T13:00:00Z", "2026-06-12T12:00:00Z"]])),
        ("available", json!([["2026-06-12T13:00:00Z", "2026-06-12T13:00:00Z"]])),
        ("available", json!([["2026-06-12T13:00:00Z", "2026-09-12T13:00:00Z"]])),
        ("available", json!([["1926-06-12T13:00:00Z", "2026-06-12T13:00:00Z"]])),
        ("expires", json!("never")),
        ("expires", json!("1826-06-12T13:00:00Z")),
    ]
}

fn wrong_store() -> Vec<(&'static str, Value)> {
    vec![
        ("id", json!("s 1")),
        ("name", json!("")),
        ("name", json!("x".repeat(257))),
        ("lat", json!(-90.5)),
        ("lng", json!(180.01)),
        ("timezone", json!("Mars/Olympus")),
        ("hours", json!("sometimes")),
        ("hours", json!("PH off")),
        ("paused", json!(1)),
        ("closed_dates", json!(["31.12.2026"])),
        ("version", json!(true)),
    ]
}

fn wrong_offer() -> Vec<(&'static str, Value)> {
    let tier = |least: i64, price: i64| json!({"min_buyers": least, "price": price});
    vec![
        ("store", json!("nowhere")),
        ("store", json!("a.b")),
        ("product", json!("")),
        ("list_price", json!(-5)),
        ("list_price", json!(null)),
        ("tiers", json!([])),
        ("tiers", json!([tier(0, 5)])),
        ("tiers", json!([tier(2, -5)])),
        ("tiers", json!([tier(3, 5), tier(2, 4)])),
        ("tiers", json!([tier(2, 5), tier(3, 5)])),
        ("tiers", json!([{"min_buyers": 2}])),
        ("tiers", json!(vec![tier(2, 5); 17])),
        ("stock", json!(-1)),
        ("max_group", json!(0)),
        ("visit_value", json!(-1)),
        ("lead_minutes", json!(-1)),
        ("slot_values", json!({"noon": 5})),
        ("slot_values", json!({"2026-06-12T13:01:00Z": 5})),
        ("withdrawn", json!("no")),
    ]
}

fn wrong_stock() -> Vec<(&'static str, Value)> {
    vec![
        ("store", json!("nowhere")),
        ("product", json!("nothing")),
        ("product", json!("a.b")),
        ("version", json!(null)),
        ("sold", json!(-1)),
        ("added", json!("many")),
        ("units", json!(-1)),
        ("units", json!(2_000_000_000)),
    ]
}

/// Records that refer to nothing known, without a good one between them, are held up to a limit, and
/// refused beyond it: in a tick to come, and in the newest one.
#[test]
fn what_refers_to_nothing_known_takes_no_more_memory_than_its_limit() {
    let lines = 3 * limits::MAX_WAITING;
    for when in ["08:00:00", "08:00:01"] {
        let folder = tempfile::tempdir().unwrap();
        let [input, receipts, summary] = ["in", "receipts", "summary"]
            .map(|name| folder.path().join(name).to_str().unwrap().to_string());
        let mut text = String::from("{\"at\":\"2026-06-12T08:00:00Z\",\"kind\":\"clock\"}\n");
        for n in 0..lines {
            text += &format!(
                "{{\"at\":\"2026-06-12T{when}Z\",\"kind\":\"stock\",\"store\":\"ghost{n}\",\
                 \"product\":\"tea\",\"version\":1,\"units\":3}}\n"
            );
        }
        std::fs::write(&input, text).unwrap();
        let out = folder.path().join("out");
        let out = out.to_str().unwrap();
        let files = ["--output", out, "--receipts", &receipts, "--summary", &summary];
        succeed(&[&["run", "-i", &input][..], &files].concat());
        let summary: Value = serde_json::from_slice(&std::fs::read(summary).unwrap()).unwrap();
        assert_eq!(summary["receipts"], json!({"applied": 1, "invalid": lines}));
        assert!(summary["peak_rss_kib"].as_u64().unwrap() < 120 * 1_024, "{summary}");
        let told = std::fs::read_to_string(&receipts).unwrap();
        let refused = told.matches("unknown, and 100000 records").count();
        assert_eq!(refused, lines - limits::MAX_WAITING);
        let checked = ["check", "--events", &input, "--decisions", out, "--receipts", &receipts];
        assert!(succeed(&checked).contains("holds      everything"));
    }
}

/// A line of a hundred megabytes is refused without being held.
#[test]
fn a_line_over_the_limit_is_not_held() {
    let folder = tempfile::tempdir().unwrap();
    let summary = folder.path().join("summary.json");
    let dead = folder.path().join("dead");
    let (summary, dead) = (summary.to_str().unwrap(), dead.to_str().unwrap());
    let mut child = iceshop(&["run", "-i", "-", "--summary", summary, "--dead-letters", dead])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    for _ in 0..100 {
        input.write_all(&vec![b'x'; 1 << 20]).unwrap();
    }
    input.write_all(b"\n{\"at\":\"2026-06-12T08:00:00Z\",\"kind\":\"clock\"}\n").unwrap();
    drop(input);
    assert!(child.wait().unwrap().success());
    let summary: Value = serde_json::from_slice(&std::fs::read(summary).unwrap()).unwrap();
    assert_eq!(summary["records"], 2);
    assert_eq!(summary["receipts"], json!({"applied": 1, "invalid": 1}));
    assert!(summary["peak_rss_kib"].as_u64().unwrap() < 64 * 1_024, "{summary}");
    assert!(std::fs::metadata(dead).unwrap().len() < 8 * 1_024);
}
