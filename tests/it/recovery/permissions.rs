//! What an engine, and the tools beside it, may no longer do.

use super::town::{CITY, Town, kept, published, signal};
use crate::support::iceshop;
use connectors::testing::NatsServer;
use std::process::Stdio;

/// A server in which the engine has a user of its own, and what it may not publish.
fn users(denied: &str) -> String {
    users_with(&format!(
        "{{ user: engine, password: x, permissions: {{ publish: {{ deny: [{denied}] }} }} }}"
    ))
}

/// One with that user beside the one who may do all.
fn users_with(other: &str) -> String {
    format!("authorization {{ users: [ {{ user: admin, password: x }}, {other} ] }}")
}

/// A town on such a server, in which both may do all.
fn town_of_users() -> Town {
    let mut town = Town::empty();
    town.server = NatsServer::start_with(&users("\"nothing\""));
    town.user = Some("admin");
    town.succeed(&["nats", "init"]);
    town.succeed(&["publish", town.events().to_str().unwrap()]);
    town
}

#[test]
fn a_permission_that_is_withdrawn_ends_the_run_with_the_servers_words() {
    let mut town = town_of_users();
    let run = |town: &mut Town| {
        town.user = Some("engine");
        let engine = town.start();
        town.user = Some("admin");
        engine
    };
    let mut engine = run(&mut town);
    published(&town, 30);
    kept(&town);
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

/// Whoever may not even come again waits for nothing.
#[test]
fn a_user_who_is_removed_ends_what_runs_with_the_servers_words() {
    let mut town = town_of_users();
    town.user = Some("engine");
    let mut engine = town.start();
    let url = town.server.url();
    let reach = [&["--nats", &url, "--city", CITY][..], &town.login()].concat();
    let events = town.events();
    let slowly = ["publish", events.to_str().unwrap(), "--rate", "20"];
    let others: Vec<_> = [&["tap", "--all", "--json"][..], &slowly]
        .into_iter()
        .map(|args| {
            let args = [args, &reach].concat();
            iceshop(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    town.user = Some("admin");
    published(&town, 30);
    town.server.reconfigure(&users_with(""));
    let status = engine.wait().unwrap();
    assert_eq!(status.code(), Some(3), "{}", town.said());
    assert!(town.said().contains("nats denies"), "{}", town.said());
    for other in others {
        let output = other.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{said}");
    }
}
