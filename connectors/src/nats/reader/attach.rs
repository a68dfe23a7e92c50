//! Consumers of a stream that begin where a reader goes on, and what the stream says of itself.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{Info, RawMessageError, RawMessageErrorKind, Stream};

use super::super::order::Order;
use super::super::{Connection, NatsError, instant, instant_of};
use super::Last;

/// How often the broker says that an idle consumer still lives.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// How long one pull request may stay open.
const PULL_EXPIRES: Duration = Duration::from_secs(30);

/// The most messages that the broker sends without being asked again.
const PULL_MESSAGES: usize = 4_096;

/// When the broker may forget a consumer that nobody pulls from.
const INACTIVE_THRESHOLD: Duration = Duration::from_secs(60);

/// A consumer that was just made.
pub(super) struct Attached {
    pub(super) messages: pull::Stream,
    /// The sequence that it begins at.
    pub(super) first: u64,
    /// Whether it has nothing to hand out.
    pub(super) caught_up: bool,
    /// The connection's count of connects before it was made.
    pub(super) connects: u64,
}

/// Makes a consumer that begins where the order goes on, of the stream that was made then and still has
/// its last message, if it has one in that place.
pub(super) async fn attach(
    connection: Connection,
    stream: String,
    made: i128,
    order: Order,
    last: Option<Last>,
) -> Result<Attached, NatsError> {
    let (connects, wanted) = (connection.connects(), order.next());
    let Info { state, created, .. } = connection.stream_info(&stream).await?;
    if created.unix_timestamp_nanos() != made {
        return Err(NatsError::Replaced { stream, made: instant(created), wanted });
    }
    if state.first_sequence > wanted {
        return Err(NatsError::StreamCut { stream, wanted, first: state.first_sequence });
    }
    if state.last_sequence + 1 < wanted {
        let (wanted, last) = (wanted - 1, state.last_sequence);
        return Err(NatsError::StreamShort { stream, wanted, last });
    }
    if let Some(Last { sequence, at_ns: then }) = last
        && let Some(now) = came_ns(&connection, &stream, sequence).await?
        && now != then
    {
        let [then, now] = [then, now].map(instant_of);
        return Err(NatsError::Refilled { stream, sequence, then, now });
    }
    let first = match order.torn() {
        true => {
            let first = first_from(&connection, &stream, wanted).await?;
            first.map_or(state.last_sequence + 1, |first| first.sequence)
        }
        false => wanted,
    };
    let config = pull::Config {
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: first },
        ack_policy: AckPolicy::None,
        inactive_threshold: INACTIVE_THRESHOLD,
        memory_storage: true,
        num_replicas: 1,
        ..pull::Config::default()
    };
    let made = connection.jetstream().create_consumer_on_stream(config, stream.as_str()).await;
    let consumer =
        made.map_err(|error| connection.request_failed("make a consumer", &stream, &error))?;
    let messages = consumer
        .stream()
        .max_messages_per_batch(PULL_MESSAGES)
        .heartbeat(HEARTBEAT)
        .expires(PULL_EXPIRES)
        .messages()
        .await
        .map_err(|error| connection.request_failed("pull messages", &stream, &error))?;
    Ok(Attached { messages, first, caught_up: consumer.cached_info().num_pending == 0, connects })
}

/// When the broker got that message, in nanoseconds of Unix time; none if the stream does not have it.
pub(in super::super) async fn came_ns(
    connection: &Connection,
    stream: &str,
    sequence: u64,
) -> Result<Option<i128>, NatsError> {
    let found = found(connection, stream, async |held| held.get_raw_message(sequence).await);
    Ok(found.await?.map(|message| message.time.unix_timestamp_nanos()))
}

/// The first message that the stream still has, from `wanted` on; none if there is none.
pub(in super::super) async fn first_from(
    connection: &Connection,
    stream: &str,
    wanted: u64,
) -> Result<Option<StreamMessage>, NatsError> {
    let first = async |held: &Stream<()>| held.get_first_raw_message_by_subject(">", wanted).await;
    found(connection, stream, first).await
}

/// A message of the stream, as its leader has it, if it has it.
async fn found(
    connection: &Connection,
    stream: &str,
    get: impl AsyncFnOnce(&Stream<()>) -> Result<StreamMessage, RawMessageError>,
) -> Result<Option<StreamMessage>, NatsError> {
    let failed =
        |error: &dyn std::error::Error| connection.request_failed("get a message", stream, error);
    let held = connection.jetstream().get_stream_no_info(stream).await.map_err(|e| failed(&e))?;
    match get(&held).await {
        Ok(message) => Ok(Some(message)),
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(failed(&error)),
    }
}
