//! The way out: what the engine brings forth into the city's streams, its snapshots into their folder.

use super::Shared;
use crate::failure::Failure;
use crate::run::pipeline::Produce;
use crate::run::saving::Saving;
use crate::run::snapshot::{Folder, Position};
use connectors::nats::{Durable, Sink};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;

/// What goes from the engine to the writer.
pub(super) enum Outgoing {
    Produce(Produce),
    /// The state after all that went before.
    Snapshot(Box<(Position, Saving)>),
}

/// Publishes what the engine brings forth, and keeps its snapshots; returns when all of it is
/// acknowledged.
pub(super) async fn write(
    mut sink: Sink,
    mut outgoing: Receiver<Outgoing>,
    all_receipts: bool,
    mut kept: Kept,
) -> Result<(), Failure> {
    while let Some(out) = outgoing.recv().await {
        match out {
            Outgoing::Produce(produce) => publish(&mut sink, &produce, all_receipts).await?,
            Outgoing::Snapshot(snapshot) => {
                sink.flush().await?;
                let (mut position, saving) = *snapshot;
                position.noted = sink.noted();
                kept.keep(position, saving).await;
            }
        }
        if outgoing.is_empty() {
            sink.flush().await?;
        }
    }
    sink.flush().await?;
    kept.end().await;
    Ok(())
}

async fn publish(sink: &mut Sink, produce: &Produce, all_receipts: bool) -> Result<(), Failure> {
    for decision in &produce.decisions {
        sink.decision(decision).await?;
    }
    for receipt in &produce.receipts {
        if all_receipts || receipt.outcome != "applied" {
            sink.receipt(receipt).await?;
        }
    }
    for letter in &produce.dead_letters {
        sink.dead_letter(letter).await?;
    }
    Ok(())
}

/// Where snapshots are kept, beside what is published meanwhile.
pub(super) struct Kept {
    folder: Option<Folder>,
    /// Taken by the task that keeps one, and given back.
    durable: Option<Durable>,
    shared: Arc<Shared>,
    keeping: Option<JoinHandle<Option<Durable>>>,
}

impl Kept {
    /// In that folder; `durable` shows how far they are.
    pub(super) fn at(
        folder: Option<Folder>,
        durable: Option<Durable>,
        shared: Arc<Shared>,
    ) -> Self {
        Self { folder, durable, shared, keeping: None }
    }

    /// Begins to keep a snapshot, after the one before it.
    async fn keep(&mut self, position: Position, saving: Saving) {
        self.end().await;
        let Some(folder) = self.folder.clone() else { return };
        let (durable, shared) = (self.durable.take(), self.shared.clone());
        self.keeping = Some(tokio::spawn(async move {
            let began = Instant::now();
            let durable = keep(folder, durable, position, saving).await;
            shared.took_us.store(began.elapsed().as_micros() as u64, Ordering::Release);
            shared.keeping.store(false, Ordering::Release);
            durable
        }));
    }

    /// Returns when the last one is kept.
    async fn end(&mut self) {
        if let Some(keeping) = self.keeping.take() {
            self.durable = keeping.await.expect("keeping a snapshot does not panic");
        }
    }
}

/// Keeps a snapshot, and shows it in the broker. One that cannot be kept is no reason to stop: the
/// one before it still is. What cannot be shown the next one shows.
async fn keep(
    folder: Folder,
    mut durable: Option<Durable>,
    position: Position,
    saving: Saving,
) -> Option<Durable> {
    let sequence = position.sequence;
    let written = tokio::task::spawn_blocking(move || folder.write(&position, saving)).await;
    match written.expect("writing a file does not panic") {
        Ok(bytes) => {
            tracing::info!(sequence, bytes, "kept a snapshot");
            if let Some(durable) = &mut durable
                && let Err(error) = durable.acknowledge(sequence).await
            {
                tracing::warn!(sequence, %error, "not shown in the broker");
            }
        }
        Err(error) => not_kept(sequence, &error),
    }
    durable
}

pub(super) fn not_kept(sequence: u64, error: &std::io::Error) {
    eprintln!("snapshot   of message {sequence} cannot be kept: {error}");
}
