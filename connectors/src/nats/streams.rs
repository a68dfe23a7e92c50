//! A city's four streams: making them, and comparing them with what was asked for.
//!
//! A server silently drops what it does not know, so the echo counts, field by field. Nothing that
//! exists is changed: a difference is reported, and a person decides.
//!
//! Discard policies: IN refuses what is new when it is full, so that a publisher hears of it and
//! no unread input is lost. OUT, receipts and dead letters drop the oldest: the engine must go on,
//! and a window's newest message is the one that counts.

use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::CreateStreamErrorKind;
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};

use super::{Connection, NatsError};
use crate::subject::Subjects;

/// What can be chosen about a city's streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSettings {
    /// How long the broker knows a message by its id; 2 minutes.
    pub duplicate_window: Duration,
    /// How long each stream keeps a message; none: for ever.
    pub in_max_age: Option<Duration>,
    /// The same for decisions.
    pub out_max_age: Option<Duration>,
    /// The same for receipts and dead letters.
    pub receipt_max_age: Option<Duration>,
    /// How much IN may hold; none: whatever the server allows.
    pub in_max_bytes: Option<i64>,
    /// The same for each of the other streams.
    pub out_max_bytes: Option<i64>,
    /// Copies in a cluster: 1, 3 or 5.
    pub replicas: usize,
}

impl Default for StreamSettings {
    fn default() -> StreamSettings {
        StreamSettings {
            duplicate_window: Duration::from_secs(120),
            in_max_age: None,
            out_max_age: None,
            receipt_max_age: None,
            in_max_bytes: None,
            out_max_bytes: None,
            replicas: 1,
        }
    }
}

/// One field of one stream, as asked for and as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The stream.
    pub stream: String,
    /// The field, as the server names it.
    pub field: &'static str,
    /// What was asked for.
    pub expected: String,
    /// What the server says.
    pub actual: String,
    /// Whether that will do; a longer duplicate window does.
    pub good: bool,
    /// Whether the engine can do with it: nothing is lost or repeated that it needs, and what it says
    /// is taken. Limits of age are whoever made the stream's choice; so are those of size, unless what
    /// they would drop is a record that nobody has read, or what they would refuse is a decision.
    pub safe: bool,
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Row { stream, field, expected, actual, .. } = self;
        write!(f, "stream {stream}: {field} is {actual}, {expected} is needed")
    }
}

/// Makes the streams that are missing, and compares all of them with the settings.
///
/// # Errors
/// The server refuses to make one, or does not answer.
pub async fn init(
    connection: &Connection,
    subjects: &Subjects,
    settings: &StreamSettings,
) -> Result<Vec<Row>, NatsError> {
    for config in configs(subjects, settings) {
        let stream = config.name.clone();
        let Err(error) = connection.jetstream().create_stream(config).await else { continue };
        match error.kind() {
            // It exists, with another configuration: `check` says in what.
            CreateStreamErrorKind::JetStream(cause)
                if cause.error_code() == ErrorCode::STREAM_NAME_EXIST => {}
            _ => return Err(connection.request_failed("make it", &stream, &error)),
        }
    }
    check(connection, subjects, settings).await
}

/// Compares the streams with the settings; a missing one is a single row `stream`.
///
/// # Errors
/// The server does not answer.
pub async fn check(
    connection: &Connection,
    subjects: &Subjects,
    settings: &StreamSettings,
) -> Result<Vec<Row>, NatsError> {
    check_those(connection, subjects, configs(subjects, settings)).await
}

/// The same of the input stream alone: whoever publishes may not be allowed to ask about others.
///
/// # Errors
/// The server does not answer.
pub async fn check_input(
    connection: &Connection,
    subjects: &Subjects,
    settings: &StreamSettings,
) -> Result<Vec<Row>, NatsError> {
    let input = subjects.in_stream();
    let configs = configs(subjects, settings).into_iter().filter(|config| config.name == input);
    check_those(connection, subjects, configs).await
}

async fn check_those(
    connection: &Connection,
    subjects: &Subjects,
    configs: impl IntoIterator<Item = Config>,
) -> Result<Vec<Row>, NatsError> {
    let mut rows = Vec::new();
    for expected in configs {
        match connection.stream_info(&expected.name).await {
            Ok(info) => compare(subjects, &expected, &info.config, &mut rows),
            Err(NatsError::NoStream { stream }) => rows.push(Row {
                stream,
                field: "stream",
                expected: "present".into(),
                actual: "absent".into(),
                good: false,
                safe: false,
            }),
            Err(error) => return Err(error),
        }
    }
    Ok(rows)
}

/// The configurations of a city's streams.
fn configs(subjects: &Subjects, settings: &StreamSettings) -> [Config; 4] {
    let config = |name, filter, age: Option<Duration>, bytes: Option<i64>, discard| Config {
        name,
        subjects: vec![filter],
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        discard,
        duplicate_window: settings.duplicate_window.min(age.unwrap_or(Duration::MAX)),
        max_age: age.unwrap_or_default(),
        max_bytes: bytes.unwrap_or(-1),
        max_messages: -1,
        max_messages_per_subject: -1,
        max_message_size: -1,
        max_consumers: -1,
        num_replicas: settings.replicas,
        ..Config::default()
    };
    let (new, old) = (DiscardPolicy::New, DiscardPolicy::Old);
    let StreamSettings { in_max_age, out_max_age, receipt_max_age, .. } = *settings;
    let StreamSettings { in_max_bytes, out_max_bytes, .. } = *settings;
    [
        config(subjects.in_stream(), subjects.in_filter(), in_max_age, in_max_bytes, new),
        config(subjects.out_stream(), subjects.out_filter(), out_max_age, out_max_bytes, old),
        config(subjects.dlq_stream(), subjects.dlq_filter(), receipt_max_age, out_max_bytes, old),
        config(
            subjects.receipt_stream(),
            subjects.receipt_filter(),
            receipt_max_age,
            out_max_bytes,
            old,
        ),
    ]
}

/// Appends one row per field.
fn compare(subjects: &Subjects, expected: &Config, actual: &Config, rows: &mut Vec<Row>) {
    let mut row = |field, expected_text: String, actual_text: String, good: bool| {
        let stream = expected.name.clone();
        let safe = good || !matters(subjects, field, expected, actual);
        rows.push(Row { stream, field, expected: expected_text, actual: actual_text, good, safe });
    };
    macro_rules! same {
        ($($name:literal $field:ident),*) => {
            $(row(
                $name,
                format!("{:?}", expected.$field),
                format!("{:?}", actual.$field),
                expected.$field == actual.$field,
            );)*
        };
    }
    same!(
        "subjects" subjects, "retention" retention, "storage" storage, "discard" discard,
        "max_age" max_age, "max_bytes" max_bytes, "max_msgs" max_messages,
        "max_msgs_per_subject" max_messages_per_subject, "max_msg_size" max_message_size,
        "max_consumers" max_consumers, "num_replicas" num_replicas, "no_ack" no_ack,
        "discard_new_per_subject" discard_new_per_subject, "sealed" sealed
    );
    row(
        "duplicate_window",
        format!("{:?}", expected.duplicate_window),
        format!("{:?}", actual.duplicate_window),
        actual.duplicate_window >= expected.duplicate_window,
    );
}

/// Whether the engine cannot do with another value of that field than was asked for.
fn matters(subjects: &Subjects, field: &str, expected: &Config, actual: &Config) -> bool {
    match field {
        "retention"
        | "duplicate_window"
        | "storage"
        | "no_ack"
        | "subjects"
        | "discard_new_per_subject" => true,
        // A log that is complete can be decided all the same.
        "sealed" => expected.name != subjects.in_stream(),
        // A window's last decision is the one that counts; of records and receipts every one.
        "max_msgs_per_subject" => expected.name != subjects.out_stream(),
        "max_msgs" | "max_bytes" => expected.discard != actual.discard,
        "max_msg_size" => expected.name != subjects.in_stream(),
        _ => false,
    }
}
