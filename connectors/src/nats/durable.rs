//! How far an engine is, where the broker's own tools show it.
//!
//! The engine reads by sequence and acknowledges nothing ([`InputSource`](super::InputSource)). For
//! those who want to see its lag in the broker there is a durable consumer beside it, with
//! `AckPolicy::All`: whatever a kept snapshot reflects is acknowledged, so what is left (`nats consumer
//! info`, `jsz`) is what a restart would have to decide again. It is handed headers alone, and decides
//! nothing: without it, or behind it, the engine goes on just the same.

use std::time::Duration;

use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use futures_util::StreamExt;

use super::{Connection, NatsError};
use crate::subject::Subjects;

/// The most messages asked for at a time.
const AT_ONCE: u64 = 4_096;
/// After so long the broker hands out again what was not acknowledged.
const ACK_WAIT: Duration = Duration::from_secs(30);

/// A durable consumer of a city's input stream.
pub struct Durable {
    connection: Connection,
    stream: String,
    name: String,
    consumer: PullConsumer,
    /// The last sequence that was handed out.
    seen: u64,
}

impl Durable {
    /// The consumer of that name, which is made if it is missing.
    ///
    /// # Errors
    /// The stream is missing, or a consumer of that name is another one.
    pub async fn open(
        connection: &Connection,
        subjects: &Subjects,
        name: &str,
    ) -> Result<Durable, NatsError> {
        let (stream, name) = (subjects.in_stream(), name.to_owned());
        let consumer = consumer(connection, &stream, &name).await?;
        let seen = consumer.cached_info().delivered.stream_sequence;
        Ok(Durable { connection: connection.clone(), stream, name, consumer, seen })
    }

    /// Acknowledges every message up to that sequence; a consumer that is gone is made again. May be
    /// dropped: the next call goes on.
    ///
    /// # Errors
    /// The broker does not answer.
    pub async fn acknowledge(&mut self, sequence: u64) -> Result<(), NatsError> {
        // It is made if it is missing, and told as it is if not.
        self.consumer = consumer(&self.connection, &self.stream, &self.name).await?;
        self.seen = self.consumer.cached_info().delivered.stream_sequence;
        loop {
            let wanted = sequence.saturating_sub(self.seen).clamp(1, AT_ONCE);
            let fetched = self.fetch(wanted as usize).await?;
            let ended = fetched.is_empty();
            self.seen = fetched.iter().map(|(at, _)| *at).fold(self.seen, u64::max);
            let reflected = fetched.into_iter().filter(|(at, _)| *at <= sequence);
            // At once: what is handed out and not acknowledged in time comes again first.
            if let Some((_, message)) = reflected.max_by_key(|(at, _)| *at) {
                let acknowledged = message.double_ack().await;
                acknowledged.map_err(|error| self.failed(error.as_ref()))?;
            }
            if ended || self.seen >= sequence {
                return Ok(());
            }
        }
    }

    /// Some of the next messages, with their sequences; none if there are no more.
    async fn fetch(&self, most: usize) -> Result<Vec<(u64, Message)>, NatsError> {
        let batch = self.consumer.fetch().max_messages(most).messages().await;
        let mut batch = batch.map_err(|error| self.failed(&error))?;
        let mut fetched = Vec::new();
        while let Some(message) = batch.next().await {
            let message = message.map_err(|error| self.failed(error.as_ref()))?;
            let at = message.info().map_err(|error| self.failed(error.as_ref()))?.stream_sequence;
            fetched.push((at, message));
        }
        Ok(fetched)
    }

    fn failed(&self, error: &dyn std::error::Error) -> NatsError {
        self.connection.request_failed("acknowledge what is kept", &self.stream, error)
    }
}

/// The durable consumer of that name, which is made if it is missing.
async fn consumer(
    connection: &Connection,
    stream: &str,
    name: &str,
) -> Result<PullConsumer, NatsError> {
    let config = pull::Config {
        durable_name: Some(name.to_owned()),
        description: Some("Iceshop: acknowledged as far as snapshots are kept".into()),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::All,
        ack_wait: ACK_WAIT,
        max_ack_pending: -1,
        headers_only: true,
        ..pull::Config::default()
    };
    let made = connection.jetstream().create_consumer_on_stream(config, stream).await;
    made.map_err(|error| connection.request_failed("make the durable consumer", stream, &error))
}
