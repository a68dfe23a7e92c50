//! Source to engine to sink.
//!
//! | part | what it does |
//! |---|---|
//! | [`pipeline`] | one batch of input through translation, engine and announcement |
//! | [`cluster`] | the processes that share its work find each other |
//! | [`files`] | a file, or the embedded city on an accelerated clock |
//! | [`nats`] | JetStream: tokio tasks around the engine's thread, bounded channels between them |
//! | [`resume`] | where a run on NATS begins: after its newest good snapshot |
//! | [`saving`], [`forked`] | a pipeline's state on its way out of it, while it goes on |
//! | [`snapshot`], [`pace`] | a run's whole state in a file, and back; how often |
//! | [`live`] | what goes on right now, in a line |
//! | [`summary`] | what a run did, in figures; [`markets`]: each market's; [`usage`]: what the process used |

pub mod cluster;

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

pub mod usage;

pub mod course;

use crate::failure::Kind;
use std::panic::PanicHookInfo;

/// Ends the process when any thread panics, after its message: with status 101, or with that of what
/// cannot be reached if another process of its cluster is gone.
///
/// A panicking worker thread would leave the others waiting for it for ever.
pub fn end_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
        if let Some(lost) = info.payload_as_str().and_then(cluster::lost) {
            eprintln!("{lost}");
            std::process::exit(i32::from(Kind::Unreachable.exit_code()));
        }
        report(info);
        std::process::exit(101);
    }));
}
