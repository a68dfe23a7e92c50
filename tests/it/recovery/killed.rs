//! Engines and servers that are killed while records come, and a clock that jumps.

use super::town::{Log, Town, published, signal};
use crate::support::{Dice, Seed, iceshop};
use connectors::subject::Subjects;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

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
    let mut town = Town::without_streams(&Log::of(5, 90 * engines).soiled(dice));
    town.succeed(&["nats", "init"]);
    // Records come all the while.
    let mut publisher = town.publish(300);
    let (mut resumed, mut killed, mut downs) = (0, 0, 2);
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
            // At once, after a while, and after so long that clients have given a request up.
            downs += 1;
            let down = [10_000, 2_000, dice.roll(0, 1_000) as u64][downs % 3];
            std::thread::sleep(Duration::from_millis(down));
            town.server.resume();
        }
    }
    let _ = engine.kill();
    engine.wait().unwrap();
    assert!(killed * 2 > engines, "{killed} of {engines} engines lived when they were killed");
    assert!(resumed > 0, "some went on from snapshots");
    assert!(publisher.wait().unwrap().success(), "the publisher has outlived it all");
    town.finish();
    town.has_all_receipts();
    let told = town.told();
    assert!(told.iter().all(|stream| !stream.is_empty()), "of each kind there are some");
    // The same stream, decided by an engine that nobody kills.
    for stream in [Subjects::out_stream, Subjects::receipt_stream, Subjects::dlq_stream] {
        town.delete(stream);
    }
    std::fs::remove_dir_all(town.snapshots()).unwrap();
    town.succeed(&["nats", "init"]);
    assert!(!town.finish().contains("going on after it"));
    assert!(town.told() == told, "what was told differs");
}

/// The clock of the engine's machine goes an hour ahead, and two hours back: time is the log's.
#[test]
fn a_clock_that_jumps_changes_nothing() {
    let town = Town::build();
    let clock = town.folder.path().join("clock");
    let set = |offset: &str| std::fs::write(&clock, format!("{offset}\n")).unwrap();
    let now = || {
        let date = faked(Command::new("date"), &clock).arg("+%s").output().unwrap();
        String::from_utf8(date.stdout).unwrap().trim().parse::<i64>().unwrap()
    };
    set("+0");
    let real = now();
    let engine = town.engine();
    let engine: Vec<&str> = engine.iter().map(String::as_str).collect();
    let mut engine = faked(iceshop(&engine), &clock).stderr(Stdio::null()).spawn().unwrap();
    let jumps = [("+3600", 3_600), ("-3600", -3_600), ("+86400", 86_400)];
    for (done, (offset, seconds)) in (1..).zip(jumps) {
        published(&town, 100 * done);
        set(offset);
        let jumped = now() - real;
        assert!((seconds - 5..seconds + 60).contains(&jumped), "{offset}: {jumped} s");
    }
    published(&town, 400);
    signal(&engine, "-TERM");
    assert!(engine.wait().unwrap().success());
    town.finish();
    town.is_whole();
}

/// A program whose clock is as far from the true one as the file says.
fn faked(mut program: Command, clock: &Path) -> Command {
    let folders = std::fs::read_dir("/usr/lib").unwrap().map(|folder| folder.unwrap().path());
    let mut found = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1"));
    let library = found.find(|library| library.exists());
    program.env("LD_PRELOAD", library.expect("libfaketime: scripts/install-test-deps.sh"));
    program.env("FAKETIME_TIMESTAMP_FILE", clock).env("FAKETIME_NO_CACHE", "1");
    program.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").stdout(Stdio::piped());
    program
}
