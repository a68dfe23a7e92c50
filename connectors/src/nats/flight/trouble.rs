//! What a flight does in trouble: it waits until the broker can take messages again, and publishes
//! whatever is not acknowledged.

use std::time::Duration;

use async_nats::connection::State;
use tokio::time::{Instant, sleep, timeout};

use super::super::NatsError;
use super::{Flight, NOBODY};
use futures_util::StreamExt;

/// How long a flight in trouble waits for acknowledgements that are still on the way.
const SETTLE_WAIT: Duration = Duration::from_millis(100);

/// The waits before publishing again: the first, and what doubling leads to at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// After how many attempts in a row a missing stream counts as deleted, and a full one as full.
const MAX_MISSING: u32 = 20;

/// What the broker says of a stream that refuses what is new.
const FULL: [&str; 2] = ["maximum bytes exceeded", "maximum messages exceeded"];

impl Flight {
    /// Publishes everything again that is not acknowledged, as soon as the broker can take it.
    pub(super) async fn recover(&mut self, mut trouble: String) -> Result<(), NatsError> {
        loop {
            tracing::warn!(trouble, outstanding = self.pending.len(), "publishing again");
            self.collect().await?;
            if let Some(what) = self.connection.denial() {
                return Err(NatsError::Denied { what });
            }
            if trouble == NOBODY && self.attempts >= MAX_MISSING {
                let subject = self.pending[0].message.subject.clone();
                return Err(NatsError::Refused { subject, reason: trouble });
            }
            if FULL.contains(&trouble.as_str()) && self.attempts >= MAX_MISSING {
                let stream = self.order.stream().to_owned();
                return Err(NatsError::Full { stream, reason: trouble });
            }
            if self.settings.patience.is_some_and(|it| self.progressed_at.elapsed() > it) {
                return Err(self.stalled(trouble));
            }
            sleep(BACKOFF.1.min(BACKOFF.0 * 2u32.pow(self.attempts.min(16)))).await;
            self.attempts += 1;
            if self.connection.client().connection_state() != State::Connected {
                trouble = "no connection".into();
                continue;
            }
            match self.reconcile().await {
                Ok(()) => break,
                Err(NatsError::Request { reason, .. }) => trouble = reason,
                Err(NatsError::NoStream { .. }) if self.attempts < MAX_MISSING => {
                    trouble = "the stream is missing".into();
                }
                Err(error) => return Err(error),
            }
        }
        self.epoch += 1;
        self.connects = self.connection.connects();
        for index in 0..self.pending.len() {
            // Those behind a message that is not sent wait for the next attempt with it.
            if !self.pending[index].acknowledged && !self.send(index).await? {
                break;
            }
        }
        self.waiting_since = Instant::now();
        Ok(())
    }

    /// Takes note of acknowledgements that are still on the way; trouble is known already.
    async fn collect(&mut self) -> Result<(), NatsError> {
        while let Ok(Some(ack)) = timeout(SETTLE_WAIT, self.acks.next()).await {
            self.note(&ack)?;
        }
        Ok(())
    }
}
