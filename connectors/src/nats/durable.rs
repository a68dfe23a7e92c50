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
use async_nats::jetstream::stream::{ConsumerError, ConsumerErrorKind};
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
        let (connection, stream) = (connection.clone(), subjects.in_stream());
        let durable = Durable { connection, stream, name: name.to_owned() };
        durable.consumer().await?;
        Ok(durable)
    }

    /// Acknowledges every message up to that sequence; a consumer that is gone is made again. May be
    /// dropped: the next call goes on.
    ///
    /// # Errors
    /// The broker does not answer.
    pub async fn acknowledge(&self, sequence: u64) -> Result<(), NatsError> {
        let consumer = self.consumer().await?;
        // The last sequence that was handed out.
        let mut seen = consumer.cached_info().delivered.stream_sequence;
        loop {
            let wanted = sequence.saturating_sub(seen).clamp(1, AT_ONCE);
            let fetched = self.fetch(&consumer, wanted as usize).await?;
            let ended = fetched.is_empty();
            seen = fetched.iter().map(|(at, _)| *at).fold(seen, u64::max);
            let reflected = fetched.into_iter().filter(|(at, _)| *at <= sequence);
            // At once: what is handed out and not acknowledged in time comes again first.
            if let Some((_, message)) = reflected.max_by_key(|(at, _)| *at) {
                let acknowledged = message.double_ack().await;
                acknowledged.map_err(|error| self.failed(error.as_ref()))?;
            }
            if ended || seen >= sequence {
                return Ok(());
            }
        }
    }

    /// Some of the next messages, with their sequences; none if there are no more.
    async fn fetch(
        &self,
        consumer: &PullConsumer,
        most: usize,
    ) -> Result<Vec<(u64, Message)>, NatsError> {
        let batch = consumer.fetch().max_messages(most).messages().await;
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

    /// The consumer as it is, which is made if it is missing.
    ///
    /// A server that was still at deleting one may have taken the files of the next one, and then fails at
    /// whatever is asked of that: it is ours by what it is for, so it is deleted and made anew.
    async fn consumer(&self) -> Result<PullConsumer, NatsError> {
        let (jetstream, stream) = (self.connection.jetstream(), self.stream.as_str());
        let make = || jetstream.create_consumer_on_stream(self.config(), stream);
        let mut made = make().await;
        if let Err(error) = &made
            && is_internal(error)
            && self.is_own().await
        {
            tracing::warn!(%error, consumer = self.name, "the durable consumer is made anew");
            // What comes of that shows when it is made.
            let _ = jetstream.delete_consumer_from_stream(&self.name, stream).await;
            made = make().await;
        }
        made.map_err(|error| {
            self.connection.request_failed("make the durable consumer", &self.stream, &error)
        })
    }

    /// Whether the consumer that is there is one that this engine, or one before it, has made.
    async fn is_own(&self) -> bool {
        let jetstream = self.connection.jetstream();
        let found: Result<PullConsumer, _> =
            jetstream.get_consumer_from_stream(&self.name, &self.stream).await;
        let own = self.config();
        found.is_ok_and(|found| {
            let config = &found.cached_info().config;
            config.description == own.description
                && config.ack_policy == own.ack_policy
                && config.headers_only == own.headers_only
        })
    }

    fn config(&self) -> pull::Config {
        pull::Config {
            durable_name: Some(self.name.clone()),
            description: Some("Iceshop: acknowledged as far as snapshots are kept".into()),
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::All,
            ack_wait: ACK_WAIT,
            max_ack_pending: -1,
            headers_only: true,
            ..pull::Config::default()
        }
    }
}

/// Whether the server says that it could not do what it may do.
fn is_internal(error: &ConsumerError) -> bool {
    matches!(error.kind(), ConsumerErrorKind::JetStream(error) if error.code() == 500)
}
