//! Faults that nobody may make, injected into a run's decisions: `iceshop check` names the rule and
//! the line, and exits with 1.
//!
//! Two stores stand side by side, and a group of two fits each of their windows: whoever is written
//! into another's window makes every figure of it right, and only the rule itself is broken.

use crate::support::{output, succeed};
use serde_json::{Value, json};
use std::path::PathBuf;
use tempfile::TempDir;

const PLACE: (f64, f64) = (41.0082, 28.9784);

/// A log and what the engine decided from it.
struct Ran {
    folder: TempDir,
    decisions: Vec<Value>,
}

fn at(clock: &str) -> String {
    format!("2026-07-29T{clock}Z")
}

fn store(id: &str) -> Value {
    json!({"at": at("10:00:00"), "kind": "store", "id": id, "version": 1, "name": id,
        "lat": PLACE.0, "lng": PLACE.1, "timezone": "Europe/Istanbul", "hours": "Mo-Su 09:00-20:00"})
}

/// Room for three, stock for two.
fn offer(store: &str) -> Value {
    json!({"at": at("10:00:00"), "kind": "offer", "store": store, "product": "coffee",
        "version": 1, "list_price": 1000, "stock": 2, "max_group": 3,
        "tiers": [{"min_buyers": 2, "price": 800}]})
}

fn intent(n: usize) -> Value {
    json!({"at": at("10:00:01"), "kind": "intent", "id": format!("i{n}"), "version": 1,
        "buyer": format!("b{n}"), "product": "coffee", "lat": PLACE.0, "lng": PLACE.1,
        "available": [[at("11:00:00"), at("11:20:00")]], "budget": 950, "quantity": 1,
        "reach_m": 500})
}

impl Ran {
    /// Five buyers, of whom each store serves two.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut events = vec![store("s1"), store("s2"), offer("s1"), offer("s2")];
        events.extend((1..=5).map(intent));
        events.push(json!({"at": at("12:00:00"), "kind": "clock"}));
        let text: String = events.iter().map(|event| format!("{event}\n")).collect();
        std::fs::write(folder.path().join("events.jsonl"), text).unwrap();
        let path = folder.path().join("events.jsonl");
        let told = succeed(&["run", "--input", path.to_str().unwrap()]);
        let decisions = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let ran = Self { folder, decisions };
        assert_eq!(ran.check(&ran.decisions).0, Some(0));
        ran
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn check(&self, decisions: &[Value]) -> (Option<i32>, String) {
        let text: String = decisions.iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(self.path("decisions.jsonl"), text).unwrap();
        let [events, decisions] =
            ["events.jsonl", "decisions.jsonl"].map(|n| self.path(n).to_str().unwrap().to_string());
        let output = output(&["check", "--events", &events, "--decisions", &decisions]);
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }

    /// The first decision about that store.
    fn first_of(&self, store: &str) -> usize {
        let of = |decision: &Value| decision["store"]["id"] == store;
        self.decisions.iter().position(of).expect("a group at each store")
    }

    /// Expects the check of these decisions to name the rule, and that line of them.
    #[track_caller]
    fn caught(&self, decisions: &[Value], rule: &str, line: usize) {
        let (code, report) = self.check(decisions);
        assert_eq!(code, Some(1), "{report}");
        assert!(report.contains(rule), "{report}");
        assert!(report.contains(&format!("line {}: ", line + 1)), "{report}");
    }
}

#[test]
fn a_buyer_in_two_windows_is_caught() {
    let ran = Ran::new();
    let (one, other) = (ran.first_of("s1"), ran.first_of("s2"));
    let (one, other) = (one.min(other), one.max(other));
    let mut wrong = ran.decisions.clone();
    let twice = wrong[one]["members"][1].clone();
    let members = wrong[other]["members"].as_array_mut().unwrap();
    members[1] = twice;
    members.sort_by_key(|member| member["intent"].to_string());
    ran.caught(&wrong, "R7 capacity: an intent in one window", other);
}

#[test]
fn an_oversold_offer_is_caught() {
    let ran = Ran::new();
    let line = ran.first_of("s1");
    let mut wrong = ran.decisions.clone();
    let grouped = |id: &str| {
        let members = ran.decisions.iter().flat_map(|d| d["members"].as_array().unwrap());
        members.map(|member| &member["intent"]).any(|intent| intent == id)
    };
    let left = (1..=5).find(|n| !grouped(&format!("i{n}"))).expect("stock for four of five");
    let decision = &mut wrong[line];
    let mut third = decision["members"][0].clone();
    third["intent"] = json!(format!("i{left}"));
    third["buyer"] = json!(format!("b{left}"));
    let each = decision["value"].as_i64().unwrap() / 2;
    let members = decision["members"].as_array_mut().unwrap();
    members.push(third);
    members.sort_by_key(|member| member["intent"].to_string());
    decision["group"]["buyers"] = json!(3);
    decision["group"]["units"] = json!(3);
    decision["value"] = json!(3 * each);
    ran.caught(&wrong, "R7 capacity: stock", line);
}

#[test]
fn a_bound_below_the_value_is_caught() {
    let ran = Ran::new();
    let line = ran.first_of("s2");
    let mut wrong = ran.decisions.clone();
    let value = wrong[line]["market"]["value"].as_i64().unwrap();
    assert!(value > 0);
    wrong[line]["market"]["bound"] = json!(value - 1);
    wrong[line]["market"]["gap_ppm"] = json!(0);
    ran.caught(&wrong, "upper bound", line);
}
