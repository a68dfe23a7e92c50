//! How the process is told to stop.

use crate::failure::Kind;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;

/// Ends when the process is told to stop, by SIGINT or SIGTERM, from now on; told again, the process
/// ends at once.
pub fn listen() -> JoinHandle<()> {
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    tokio::spawn(async move {
        // Without a handler a signal ends the process, as it would anyway.
        let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
            return std::future::pending().await;
        };
        let told = async |interrupt: &mut Signal, terminate: &mut Signal| {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        told(&mut interrupt, &mut terminate).await;
        tokio::spawn(async move {
            told(&mut interrupt, &mut terminate).await;
            std::process::exit(Kind::Stopped.exit_code().into());
        });
    })
}
