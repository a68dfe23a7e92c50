//! The way out: what the engine brings forth into the city's streams, its snapshots into their folder.

use super::Shared;
use crate::run::pipeline::Produce;
use crate::run::saving::Saving;
use crate::run::snapshot::{Folder, Position};
use connectors::nats::{Durable, NatsError, Sink};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long the broker may take to be shown what is kept.
const SHOW_WAIT: Duration = Duration::from_secs(4);

/// What goes from the engine to the writer.
pub(super) enum Outgoing {
    Produce(Produce),
    /// The state after all that went before.
    Snapshot(Box<(Position, Saving)>),
}

/// Publishes what the engine brings forth, and keeps its snapshots; returns when all of it is
/// acknowledged, or cannot be. A snapshot that was begun is kept all the same: what it reflects is
/// acknowledged.
pub(super) async fn write(
    mut sink: Sink,
    mut outgoing: Receiver<Outgoing>,
    all_receipts: bool,
    mut kept: Kept,
) -> Result<(), NatsError> {
    let written = write_all(&mut sink, &mut outgoing, all_receipts, &mut kept).await;
    kept.end().await;
    written
}

async fn write_all(
    sink: &mut Sink,
    outgoing: &mut Receiver<Outgoing>,
    all_receipts: bool,
    kept: &mut Kept,
) -> Result<(), NatsError> {
    while let Some(out) = outgoing.recv().await {
        match out {
            Outgoing::Produce(produce) => publish(sink, &produce, all_receipts).await?,
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
    sink.flush().await
}

async fn publish(sink: &mut Sink, produce: &Produce, all_receipts: bool) -> Result<(), NatsError> {
    for decision in &produce.decisions {
        sink.decision(decision).await?;
    }
    // Before receipts: those tell of which records there is none.
    for letter in &produce.dead_letters {
        sink.dead_letter(letter).await?;
    }
    for receipt in &produce.receipts {
        if all_receipts || receipt.outcome != "applied" {
            sink.receipt(receipt).await?;
        } else {
            sink.unpublished(receipt)?;
        }
    }
    Ok(())
}

/// Where snapshots are kept, beside what is published meanwhile.
pub(super) struct Kept {
    folder: Option<Folder>,
    durable: Option<Arc<Durable>>,
    shared: Arc<Shared>,
    keeping: Option<JoinHandle<()>>,
}

impl Kept {
    /// In that folder; `durable` shows how far they are.
    pub(super) fn at(
        folder: Option<Folder>,
        durable: Option<Durable>,
        shared: Arc<Shared>,
    ) -> Self {
        Self { folder, durable: durable.map(Arc::new), shared, keeping: None }
    }

    /// Begins to keep a snapshot, after the one before it.
    async fn keep(&mut self, position: Position, saving: Saving) {
        self.end().await;
        let Some(folder) = self.folder.clone() else { return };
        let (durable, shared) = (self.durable.clone(), self.shared.clone());
        self.keeping = Some(tokio::spawn(async move {
            let (began, sequence) = (Instant::now(), position.sequence);
            let kept = keep(folder, position, saving).await;
            shared.took_us.store(began.elapsed().as_micros() as u64, Ordering::Release);
            shared.kept.fetch_add(u64::from(kept), Ordering::AcqRel);
            shared.keeping.store(false, Ordering::Release);
            if let Some(durable) = durable.filter(|_| kept) {
                show(&durable, sequence).await;
            }
        }));
    }

    /// Returns when the last one is kept.
    async fn end(&mut self) {
        if let Some(keeping) = self.keeping.take() {
            keeping.await.expect("keeping a snapshot does not panic");
        }
    }
}

/// Keeps a snapshot; whether it is kept. One that cannot be is no reason to stop: the one before it
/// still is.
async fn keep(folder: Folder, position: Position, saving: Saving) -> bool {
    let sequence = position.sequence;
    let written = tokio::task::spawn_blocking(move || folder.write(&position, saving)).await;
    match written.expect("writing a file does not panic") {
        Ok(bytes) => {
            tracing::info!(sequence, bytes, "kept a snapshot");
            true
        }
        Err(error) => {
            not_kept(sequence, &error);
            false
        }
    }
}

/// Shows in the broker what is kept. What cannot be shown in time the next snapshot shows.
async fn show(durable: &Durable, sequence: u64) {
    match timeout(SHOW_WAIT, durable.acknowledge(sequence)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(sequence, %error, "not shown in the broker"),
        Err(_) => tracing::warn!(sequence, "not all shown in the broker yet"),
    }
}

pub(super) fn not_kept(sequence: u64, error: &std::io::Error) {
    eprintln!("snapshot   of message {sequence} cannot be kept: {error}");
}
