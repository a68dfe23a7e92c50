//! Source to engine to sink.
//!
//! | part | what it does |
//! |---|---|
//! | [`pipeline`] | one batch of input through translation, engine and announcement |
//! | [`files`] | a file, or the embedded city on an accelerated clock |
//! | [`nats`] | JetStream: tokio tasks around the engine's thread, bounded channels between them |
//! | [`resume`] | where a run on NATS begins: after its newest good snapshot |
//! | [`saving`], [`forked`] | a pipeline's state on its way out of it, while it goes on |
//! | [`snapshot`], [`pace`] | a run's whole state in a file, and back; how often |
//! | [`live`] | what goes on right now, in a line |
//! | [`summary`] | what a run did, in figures; [`markets`]: each market's |

pub mod files;

pub mod nats;

pub mod resume;

pub mod saving;

pub mod forked;

pub mod snapshot;

pub mod pace;

pub mod pipeline;

pub mod live;

pub mod summary;

pub mod markets;

pub mod course;

use std::panic::PanicHookInfo;

/// Ends the process with status 101 when any thread panics, after its message.
///
/// A panicking worker thread would leave the others waiting for it for ever.
pub fn end_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
        report(info);
        std::process::exit(101);
    }));
}
