//! Where a run on NATS begins: at its newest good snapshot, or at the first record.

use super::pace::Pace;
use super::snapshot::{Folder, Position, Snapshot};
use crate::failure::{Failure, Kind, OrFail};
use connectors::nats::{Connection, Noted, Row, StreamSettings, StreamState};
use connectors::subject::Subjects;
use dataflows::market::Params;
use std::path::Path;

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
}

/// Where a run begins.
pub(super) struct Beginning {
    /// What comes before its first record.
    pub position: Position,
    /// The state after that; none: nothing has been.
    pub snapshot: Option<Snapshot>,
}

/// What a run cannot do without, of what `iceshop nats check` compares: a stream that drops what was
/// read or has too short a memory of ids would lose or repeat messages.
const NEEDED: [&str; 2] = ["retention", "duplicate_window"];

/// Refuses streams that would lose or repeat messages.
///
/// # Errors
/// A stream is missing or unsafe, or NATS does not answer.
pub(super) async fn refuse_unsafe(
    connection: &Connection,
    subjects: &Subjects,
) -> Result<(), Failure> {
    let rows = connectors::nats::check(connection, subjects, &StreamSettings::default()).await?;
    match rows.iter().find(|row| !row.good && NEEDED.contains(&row.field)) {
        None => Ok(()),
        Some(Row { stream, field, expected, actual, .. }) => {
            let error = format!(
                "stream {stream}: {field} is {actual}, {expected} is needed (iceshop nats \
                 check shows all)"
            );
            Err(Failure::new(Kind::Config, anyhow::anyhow!(error)))
        }
    }
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
    snapshots: Option<&Snapshots>,
) -> Result<Beginning, Failure> {
    let stream = StreamState::of_input(connection, subjects).await?;
    let position = Position {
        city: subjects.city().to_string(),
        stream_made: stream.made.clone(),
        recorded: None,
        sequence: 0,
        decided: 0,
        noted: Noted::default(),
        clocked: false,
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
    if let Some(regress) = regress(&snapshot.position, &stream) {
        return match snapshots.on_regress {
            OnRegress::Fail => {
                let advice = "if that is meant to be, start with --on-stream-regress rebuild, \
                              which forgets the snapshots and begins at the stream's first record";
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
    let fields = then.as_object().into_iter().flatten();
    let other = fields.filter(|(name, value)| now.get(name) != Some(value));
    let other: Vec<String> = other
        .map(|(name, then)| format!("{name} was {then} and is {}", now[name.as_str()]))
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

/// In what the stream is not the one that the snapshot was made of, or no longer has what comes
/// after it.
pub fn regress(position: &Position, stream: &StreamState) -> Option<String> {
    let StreamState { stream: name, made, first, last } = stream;
    let sequence = position.sequence;
    if position.stream_made != *made {
        let then = &position.stream_made;
        return Some(format!("stream {name} was made at {made}, the snapshot's at {then}"));
    }
    if *last < sequence {
        return Some(format!("stream {name} ends at {last}, the snapshot is of {sequence}"));
    }
    if *first > sequence + 1 {
        let next = sequence + 1;
        return Some(format!("stream {name} begins at {first}, but {next} is needed"));
    }
    None
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
        Ok(Self { folder, pace, on_regress, durable })
    }
}
