//! Iceshop's boundary: public messages, and the sources and sinks that carry them.
//!
//! A publisher or a worker depends on this crate alone. It knows no market and no dataflow.
//!
//! | module | what |
//! |---|---|
//! | [`wire`] | the public messages |
//! | [`codec`] | JSON and bincode, single records and batch bodies |
//! | [`inbound`] | what a source hands on: a record or a refusal, with its sequence and time |
//! | [`subject`] | NATS subjects and stream names of a city |
//! | [`mod@file`] | NDJSON files, plain or zstd, standard input and output |
//! | [`nats`] | NATS JetStream: input, decisions, receipts, dead letters, streams |
//! | [`memory`] | a source and a sink for tests and for an embedded run |

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod wire;

pub mod codec;
pub mod file;
pub mod inbound;
pub mod memory;
pub mod nats;
pub mod subject;

#[cfg(feature = "testing")]
pub mod testing;
