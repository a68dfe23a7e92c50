//! Where a run on NATS begins: at its newest good snapshot, or at the first record.

use super::pace::Pace;
use super::snapshot::{Folder, Position, Snapshot};
use crate::failure::{Failure, Kind, OrFail};
use connectors::nats::{Connection, NatsError, Noted, Row, StreamSettings, StreamState, Untold};
use connectors::subject::Subjects;
use dataflows::market::Params;
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

/// What to do when the input stream is not the one that a snapshot was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum OnRegress {
    /// Refuse, and say what to do.
    Fail,
    /// Forget all snapshots, and begin at the first record of the stream as it is.
    Rebuild,
}

/// How a run keeps snapshots.
#[derive(Debug, Clone)]
pub struct Snapshots {
    /// Where.
    pub folder: Folder,
    /// How often, and how much of the time they may take.
    pub pace: Pace,
    /// What to do when the stream is another one.
    pub on_regress: OnRegress,
    /// The durable consumer that is acknowledged as far as they are kept, if there is to be one.
    pub durable: Option<String>,
    /// The folder, locked for as long as this engine lives.
    _alone: Arc<File>,
}

/// Where a run begins.
pub(super) struct Beginning {
    /// What comes before its first record.
    pub position: Position,
    /// The state after that; none: nothing has been.
    pub snapshot: Option<Snapshot>,
}

/// Refuses streams that would lose or repeat messages, and streams of decisions, receipts or dead
/// letters that hold what another input stream brought forth.
///
/// Returns those three as they are.
///
/// # Errors
/// A stream is missing or unsafe, or NATS does not answer.
pub(super) async fn refuse_unsafe(
    connection: &Connection,
    subjects: &Subjects,
) -> Result<Vec<StreamState>, Failure> {
    let rows = connectors::nats::check(connection, subjects, &StreamSettings::default()).await?;
    let all: Vec<String> = rows.iter().filter(|row| !row.safe).map(Row::to_string).collect();
    if !all.is_empty() {
        let error = format!(
            "{} (iceshop nats check shows all fields, iceshop nats init makes what is missing, and nats \
             stream edit changes what is there)",
            all.join("; ")
        );
        return Err(Failure::new(Kind::Config, anyhow::anyhow!(error)));
    }
    note_limits(&rows, subjects);
    let input = StreamState::of(connection, &subjects.in_stream()).await?;
    let mut states = Vec::new();
    for other in outputs(subjects) {
        let state = StreamState::of(connection, &other).await?;
        if state.had_before(&input) {
            let StreamState { stream, made, .. } = &state;
            let error = format!(
                "stream {stream} was made at {made}, before {} (at {}), and holds what another \
                 input stream brought forth; {}",
                input.stream,
                input.made,
                another_log(subjects)
            );
            return Err(Failure::new(Kind::Data, anyhow::anyhow!(error)));
        }
        states.push(state);
    }
    Ok(states)
}

/// Says on standard error what streams drop or refuse: that is for whoever made them to know.
pub(crate) fn note_limits(rows: &[Row], subjects: &Subjects) {
    let input = subjects.in_stream();
    for Row { stream, field, actual, .. } in rows.iter().filter(|row| !row.good) {
        let what = match *field {
            "max_age" => "what is older goes",
            "max_msg_size" => "what is longer is refused",
            "max_consumers" => "no more read at a time",
            "max_msgs" | "max_bytes" if *stream == input => "what is beyond it is refused",
            "max_msgs" | "max_bytes" | "max_msgs_per_subject" => "what is beyond it goes",
            _ => continue,
        };
        eprintln!("note       stream {stream} has a limit, and {what}: {field} is {actual}");
    }
}

/// Says on standard error what the streams that the engine writes no longer have, and will not get
/// again: whoever took it out knows whether consumers still need it.
pub(super) fn note_gone(outputs: &[StreamState], subjects: &Subjects, decided: u64) {
    for StreamState { stream, first, last, messages, .. } in outputs {
        let lacks = last - messages;
        if lacks > 0 {
            eprintln!(
                "note       stream {stream} lacks {lacks} of the {last} messages that it has had: they do not \
                 come again where a snapshot knows of them"
            );
        }
        let from = decided + 1;
        if *stream == subjects.out_stream() && *first > from {
            let gone = match first - 1 {
                to if to > from => format!("s {from} to {to}"),
                _ => format!(" {from}"),
            };
            eprintln!(
                "note       stream {stream} no longer has decision{gone}: made once more, they are neither \
                 compared nor published, and consumers that do not know them do not know their windows"
            );
        }
    }
}

/// Says on standard error what the streams of receipts and dead letters got since the snapshot about
/// records that were done with then.
pub(super) fn note_untold(untold: &[Untold]) {
    for Untold { stream, messages, first } in untold {
        eprintln!(
            "note       stream {stream} holds {messages} messages about records that had theirs before the snapshot, \
             the first one at {first}: if no engine without this snapshot told them, somebody else wrote there"
        );
    }
}

/// The streams that hold what the input stream brings forth.
fn outputs(subjects: &Subjects) -> [String; 3] {
    [subjects.out_stream(), subjects.receipt_stream(), subjects.dlq_stream()]
}

/// What to do when the input stream is another one than what was decided on.
fn another_log(subjects: &Subjects) -> String {
    format!(
        "to decide this log, delete {} (nats stream rm NAME), make them anew with iceshop nats init, start \
         with --on-stream-regress rebuild or an empty folder of snapshots, and tell consumers that \
         what they know is void; or use another city",
        outputs(subjects).join(", ")
    )
}

/// Where the run begins: after the newest snapshot that can be read, if there is any. What cannot be
/// read is named on standard error.
///
/// # Errors
/// The snapshot is of another city, of other parameters, or of a stream that is not there any more.
pub(super) async fn begin(
    connection: &Connection,
    subjects: &Subjects,
    params: &Params,
    snapshots: Option<&mut Snapshots>,
) -> Result<Beginning, Failure> {
    let stream = StreamState::of(connection, &subjects.in_stream()).await?;
    let position = Position {
        city: subjects.city().to_string(),
        stream_made: stream.made.clone(),
        recorded: None,
        sequence: 0,
        came_ns: None,
        decided: 0,
        noted: Noted::default(),
        ended: false,
    };
    let nothing = Beginning { position, snapshot: None };
    let Some(snapshots) = snapshots else { return Ok(nothing) };
    let damaged = |path: &Path, error: anyhow::Error| {
        eprintln!("snapshot   {} is not used: {error:#}", path.display());
    };
    let newest = snapshots.folder.newest(damaged);
    let newest = newest.or_fail(Kind::Data, || "cannot read the folder of snapshots".into())?;
    let Some(snapshot) = newest else { return Ok(nothing) };
    fits(&snapshot, subjects, params)?;
    if let Some(regress) = regress(connection, &snapshot.position, &stream).await? {
        return match snapshots.on_regress {
            _ if stream.first > 1 => {
                let error = anyhow::anyhow!("{regress}; {BEGINNING_LOST}");
                Err(Failure::new(Kind::Data, error))
            }
            OnRegress::Fail => {
                // Outputs that are older than a stream made anew are refused before.
                let anew = snapshot.position.stream_made != stream.made;
                let advice = if anew {
                    "if that is meant to be, start with --on-stream-regress rebuild, which forgets the \
                     snapshots and begins at the stream's first record"
                } else {
                    &another_log(subjects)
                };
                let error = anyhow::anyhow!("{regress}; {advice}");
                Err(Failure::new(Kind::Data, error))
            }
            OnRegress::Rebuild => {
                eprintln!("snapshots  are forgotten: {regress}");
                let cleared = snapshots.folder.clear();
                cleared.or_fail(Kind::Data, || "cannot remove the snapshots".into())?;
                Ok(nothing)
            }
        };
    }
    let Position { sequence, decided, .. } = snapshot.position;
    eprintln!("snapshot   of message {sequence}, with {decided} decisions: going on after it");
    Ok(Beginning { position: snapshot.position.clone(), snapshot: Some(snapshot) })
}

/// What to do when a log has lost its first records.
const BEGINNING_LOST: &str = "the log cannot be decided from its first record on: restore the stream from \
    a backup, or give --snapshots a folder with one that the stream still has what follows, or begin \
    anew: delete the city's four streams and make them with iceshop nats init";

/// What a run could not do on NATS, and what can be done about it.
pub(super) fn advised(error: NatsError, subjects: &Subjects) -> Failure {
    let (input, out) = (subjects.in_stream(), subjects.out_stream());
    let advice = match &error {
        NatsError::Replaced { stream, .. } | NatsError::Refilled { stream, .. }
            if *stream == input =>
        {
            &another_log(subjects)
        }
        NatsError::Ahead { .. } => &another_log(subjects),
        NatsError::NoStream { stream } if *stream == out => {
            "then start with an empty folder of snapshots: all decisions \
             are made and published again"
        }
        NatsError::StreamCut { stream, .. } if *stream == input => BEGINNING_LOST,
        NatsError::StreamShort { stream, .. } if *stream != input => {
            "what was published there is gone: start with an empty folder of snapshots, and all of it is \
             made and published again (decisions that OUT holds are compared, not repeated)"
        }
        NatsError::Emptied { stream, .. } if *stream == out => {
            "nobody can tell whether a decision was there that consumers know: delete the stream, make it \
             anew with iceshop nats init, and start with an empty folder of snapshots: all decisions are \
             made and published again"
        }
        NatsError::Foreign { stream, .. } | NatsError::Differs { stream, .. } if *stream == out => {
            "the log decides something else now: start with the parameters and the version that made \
             those decisions; if records were deleted from the input stream since, with a snapshot from \
             before. If two engines of the city were running, end one and start the other again: nothing is \
             lost. If anybody else wrote there, the place is lost: end the other writer, delete the \
             stream (to delete the message leaves a decision out), make it anew with iceshop nats init, \
             and start with an empty folder of snapshots"
        }
        NatsError::Differs { .. } => {
            "it was told by another version, or by somebody else, or records were deleted from the input \
             stream since (then a snapshot from before helps): delete that stream, make it anew with \
             iceshop nats init, and start with an empty folder of snapshots, which tells all of it again"
        }
        NatsError::Remembered { .. } => {
            "what comes again is taken once its duplicate window is over (iceshop nats check shows it): start \
             again then, or delete that stream, make it anew with iceshop nats init, and start with an empty \
             folder of snapshots (one may have been kept before this was found); if somebody else wrote one \
             of that id, end the other writer and delete it first"
        }
        NatsError::Request { reason, .. } if reason.contains("can not be updated") => {
            "a consumer of that name is another one: give --durable another name, or delete it (nats \
             consumer rm)"
        }
        NatsError::Foreign { .. } => {
            "only the city's one engine may write there: delete that message (where it has a record's id, that \
             is taken again once the stream's duplicate window is over: iceshop nats check shows it)"
        }
        _ => return error.into(),
    };
    let Failure { kind, error } = error.into();
    Failure::new(kind, anyhow::anyhow!("{error:#}; {advice}"))
}

/// Whether the snapshot is of this city, and decided by these parameters.
///
/// # Errors
/// It is not: the message names in what.
pub fn fits(snapshot: &Snapshot, subjects: &Subjects, params: &Params) -> Result<(), Failure> {
    let (made_of, city) = (&snapshot.position.city, subjects.city());
    if *made_of != city.to_string() {
        let error = format!("--snapshots: they are of city {made_of}, not of {city}");
        return Err(Failure::new(Kind::Config, anyhow::anyhow!(error)));
    }
    let of = |params: &Params| serde_json::to_value(params).expect("parameters are JSON");
    let (then, now) = (of(&snapshot.saved.params), of(params));
    // The index's resolution decides nothing: the snapshot's goes on.
    let fields = then.as_object().into_iter().flatten().filter(|(name, _)| *name != "resolution");
    let other = fields.filter(|(name, value)| now.get(name) != Some(value));
    let other: Vec<String> = other
        .map(|(name, then)| format!("{} was {then} and is {}", flag(name), now[name.as_str()]))
        .collect();
    if other.is_empty() {
        return Ok(());
    }
    let error = format!(
        "--snapshots: they were made by other parameters ({}): start with those, or with an empty \
         folder",
        other.join(", ")
    );
    Err(Failure::new(Kind::Config, anyhow::anyhow!(error)))
}

/// The flag of a parameter.
fn flag(field: &str) -> String {
    match field {
        "slot" => "--slot-minutes".into(),
        _ => format!("--{}", field.replace('_', "-")),
    }
}

/// In what the stream is not the one that the snapshot was made of, or no longer has what comes
/// after it.
///
/// # Errors
/// NATS does not answer.
pub async fn regress(
    connection: &Connection,
    position: &Position,
    stream: &StreamState,
) -> Result<Option<String>, Failure> {
    let StreamState { stream: name, made, first, last, .. } = stream;
    let sequence = position.sequence;
    if position.stream_made != *made {
        let then = &position.stream_made;
        return Ok(Some(format!("stream {name} was made at {made}, the snapshot's at {then}")));
    }
    if *last < sequence {
        return Ok(Some(format!("stream {name} ends at {last}, the snapshot is of {sequence}")));
    }
    if *first > sequence + 1 {
        let next = sequence + 1;
        return Ok(Some(format!("stream {name} begins at {first}, but {next} is needed")));
    }
    if let Some(then) = position.came_ns
        && let Some(now) = stream.came_ns(connection, sequence).await?
        && now != then
    {
        return Ok(Some(format!(
            "stream {name} has gone back and was filled anew: its message {sequence} is not the one that \
             the snapshot is of"
        )));
    }
    Ok(None)
}

impl Snapshots {
    /// Snapshots in that folder, which is made if it is missing.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn at(
        path: &Path,
        keep: usize,
        pace: Pace,
        on_regress: OnRegress,
        durable: Option<String>,
    ) -> Result<Self, Failure> {
        let folder = Folder::open(path, keep);
        let folder = folder.or_fail(Kind::Data, || format!("cannot make {}", path.display()))?;
        let alone = folder.lock().map_err(|error| match error.kind() {
            ErrorKind::WouldBlock => {
                let error = "--snapshots: another engine keeps its own in";
                let error = format!("{error} {}: each has a folder of its own", path.display());
                Failure::new(Kind::Config, anyhow::anyhow!(error))
            }
            _ => Failure::new(Kind::Data, error),
        });
        let alone = Arc::new(alone?);
        Ok(Self { folder, pace, on_regress, durable, _alone: alone })
    }
}
