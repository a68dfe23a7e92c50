//! The NATS side against a real nats-server: one binary, a server per test.

#![allow(clippy::unwrap_used)]

mod delivery;
mod input;
mod notes;
mod streams;
mod support;
