//! `iceshop bench`: every figure is there, and what cannot be measured is an error.

use crate::command_line::fails;
use crate::support::{city_log, small_city, succeed};
use connectors::codec::json;
use connectors::inbound::Stamp;
use serde_json::Value;

/// A small city under a load that does not wait: every figure is there, and decisions do not depend
/// on who was in time, or on how many worked.
#[test]
fn a_bench_measures_every_record_and_decides_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("bench.svg");
    let bench = |more: &[&str]| {
        let small = "bench --intents 300 --stores 40 --products 4 --p99-ms 3600000 --json -";
        let small: Vec<&str> = small.split(' ').collect();
        let told = succeed(&[&small[..], more].concat());
        serde_json::from_str::<Value>(&told).unwrap()
    };
    let one = bench(&["--rates", "60,90", "--seconds", "1", "--svg", picture.to_str().unwrap()]);
    let [first, second] = [&one["rates"][0], &one["rates"][1]];
    assert_eq!((&first["records"], &second["records"]), (&60.into(), &90.into()));
    assert!((1..=60).contains(&first["measured"].as_u64().unwrap()), "{first}");
    let order = ["p50_ms", "p99_ms", "p999_ms", "max_ms"].map(|f| second[f].as_f64().unwrap());
    assert!(order[0] > 0.0 && order.is_sorted(), "{order:?}");
    assert!(one["load"]["live_intents"].as_u64().unwrap() > 200, "{one}");
    let (value, all) = (&one["engine"]["market_value"], &one["engine"]["solver"]);
    assert_eq!(&all["value"], value, "markets are told as they are, settled or not");
    let picture = std::fs::read_to_string(picture).unwrap();
    assert!(picture.starts_with("<svg") && picture.contains("90 records/s"), "{picture}");
    // In one go, on two workers.
    let two = bench(&["--rates", "60,90", "--seconds", "1", "--workers", "2"]);
    assert_eq!(one["decisions_sha256"], two["decisions_sha256"]);
    assert_ne!(
        one["decisions_sha256"],
        bench(&["--seconds", "1", "--seed", "8"])["decisions_sha256"]
    );

    fails(&["bench", "--tick-ms", "50"], 2, "--tick-ms 50: the first rate decides the tick");

    let page = succeed(&["bench", "--smoke"]);
    assert!(page.contains("| offered/s | decided/s | p50 ms |"), "{page}");
    assert!(page.contains("The market with the widest gap, p"), "{page}");
}

/// A trace in whose own time a record comes each second, offered at sixty in one.
#[test]
fn a_trace_is_measured_in_its_own_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.jsonl");
    let (path, mut lines) = (path.to_str().unwrap(), Vec::new());
    for inbound in city_log(&small_city(400)) {
        let Stamp::Text(at) = &inbound.at else { panic!("a city's records are dated") };
        json::write_record(&mut lines, Some(at), inbound.record.as_ref().unwrap());
        lines.push(b'\n');
    }
    std::fs::write(path, &lines).unwrap();
    let count = lines.iter().filter(|byte| **byte == b'\n').count();
    let standing = (count - 60).to_string();
    let bench = ["bench", "--trace", path, "--standing", &standing, "--rates", "60", "--seconds"];
    let told = succeed(&[&bench[..], &["1", "--json", "-"]].concat());
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["rates"][0]["records"], 60, "{told}");
    // Sixty records are a quarter of an hour there: a tick is much longer than by the clock.
    let ticks = ["tick_ms", "clock_tick_ms"].map(|field| told["setting"][field].as_i64().unwrap());
    assert!(ticks[0] > 100 * ticks[1], "{ticks:?}");

    let all = count.to_string();
    let none = ["bench", "--trace", path, "--standing", &all];
    fails(&none, 5, "nothing is left to be measured");
    let nowhere = folder.path().join("nowhere/result.json");
    let nowhere = nowhere.to_str().unwrap();
    fails(
        &["bench", "--city", "--json", nowhere],
        5,
        &format!("--json: {nowhere}: cannot be written"),
    );
}
