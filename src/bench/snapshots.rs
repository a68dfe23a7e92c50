//! Snapshots while a bench goes on, and a restart from the first of them.

use super::open_loop::Rig;
use crate::failure::{Failure, Kind, OrFail};
use crate::readable::{count, span};
use crate::run::forked::Forked;
use crate::run::pace::Pace;
use crate::run::pipeline::Pipeline;
use crate::run::saving::Saving;
use crate::run::snapshot::{self, Folder, Position};
use crate::translate::Dating;
use connectors::nats::Noted;
use dataflows::flow::Standings;
use serde::Serialize;
use std::io;
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How snapshots are kept on the bench: those of a run, and one of what was loaded.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Where.
    pub folder: PathBuf,
    /// How often, and how much of the time they may take.
    pub pace: Pace,
}

/// What they took.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Figures {
    /// Kept while records were offered.
    pub kept: u64,
    /// Bytes of the last one.
    pub bytes: u64,
    /// The longest that the engine stood still for one, in milliseconds.
    pub pause_max_ms: f64,
    /// The longest that one was written and synchronised, beside the engine, in seconds.
    pub written_max_s: f64,
}

/// How a run that was killed after the offered records came back.
#[derive(Debug, Clone, Serialize)]
pub struct Restart {
    /// Reading the snapshot of what was loaded, in seconds.
    pub read_s: f64,
    /// Making an engine of it.
    pub restored_s: f64,
    /// Records after it.
    pub records: u64,
    /// Deciding those.
    pub caught_up_s: f64,
    /// Whether the decisions were those of the run, byte for byte.
    pub same: bool,
}

/// Keeps snapshots.
pub(super) struct Keeper {
    folder: Folder,
    pace: Pace,
    /// How long the last one took to be written.
    took: Duration,
    last: Instant,
    writing: Option<JoinHandle<io::Result<Written>>>,
    figures: Figures,
}

struct Written {
    bytes: u64,
    took: Duration,
}

/// Folders in the one that was asked for: of what was loaded, which stays, and of what came later.
const LOADED: &str = "bench-loaded";
const LATER: &str = "bench";

impl Keeper {
    /// Keeps one of what is loaded, and begins to count time.
    ///
    /// # Errors
    /// It cannot be kept.
    pub(super) fn begin(asked: &Asked, rig: &mut Rig) -> Result<Self, Failure> {
        let fail = || format!("cannot keep snapshots in {}", asked.folder.display());
        let loaded = Folder::open(&asked.folder.join(LOADED), 1).or_fail(Kind::Data, fail)?;
        loaded.clear().or_fail(Kind::Data, fail)?;
        let folder = Folder::open(&asked.folder.join(LATER), 1).or_fail(Kind::Data, fail)?;
        folder.clear().or_fail(Kind::Data, fail)?;
        let (last, took, figures) = (Instant::now(), Duration::ZERO, Figures::default());
        let mut keeper = Self { folder, pace: asked.pace, took, last, writing: None, figures };
        keeper.keep(loaded, rig).and_then(|()| keeper.end()).or_fail(Kind::Data, fail)?;
        Ok(keeper)
    }

    /// Makes one if it is time for it and the one before it is written.
    ///
    /// # Errors
    /// It cannot be kept.
    pub(super) fn pass(&mut self, rig: &mut Rig) -> io::Result<()> {
        if self.writing.as_ref().is_some_and(|writing| !writing.is_finished()) {
            return Ok(());
        }
        self.end()?;
        if self.last.elapsed() < self.pace.due(self.took) {
            return Ok(());
        }
        self.figures.kept += 1;
        self.keep(self.folder.clone(), rig)
    }

    fn keep(&mut self, folder: Folder, rig: &mut Rig) -> io::Result<()> {
        rig.pipeline.engine().end_rest();
        self.last = Instant::now();
        let saving: Saving = rig.pipeline.save(&Forked)?;
        let paused = self.last.elapsed().as_secs_f64() * 1e3;
        self.figures.pause_max_ms = self.figures.pause_max_ms.max(paused);
        let position = Position {
            city: "bench".into(),
            stream_made: String::new(),
            recorded: Some(true),
            sequence: rig.sequence(),
            came_ns: None,
            decided: 0,
            noted: Noted::default(),
            ended: false,
        };
        self.writing = Some(std::thread::spawn(move || {
            let began = Instant::now();
            let bytes = folder.write(&position, saving)?;
            Ok(Written { bytes, took: began.elapsed() })
        }));
        Ok(())
    }

    /// Waits for the one that is being written.
    ///
    /// # Errors
    /// It could not be.
    pub(super) fn end(&mut self) -> io::Result<()> {
        if let Some(writing) = self.writing.take() {
            let Written { bytes, took } = writing.join().expect("a panic has ended the process")?;
            self.took = took;
            self.figures.bytes = bytes;
            self.figures.written_max_s = self.figures.written_max_s.max(took.as_secs_f64());
        }
        Ok(())
    }

    /// What they have taken so far.
    pub(super) fn figures(&self) -> &Figures {
        &self.figures
    }
}

impl Figures {
    /// For people, one line.
    pub fn text(&self) -> String {
        format!(
            "snapshots {} of {} bytes: the engine stood still for {} at most; written in {} at most",
            count(self.kept),
            count(self.bytes),
            span(Duration::from_secs_f64(self.pause_max_ms / 1e3)),
            span(Duration::from_secs_f64(self.written_max_s)),
        )
    }
}

/// Restores what was loaded, and takes in what was offered after it; `offered` is the digest of what
/// that brought forth.
///
/// # Errors
/// The snapshot cannot be read.
pub(super) fn restart(
    asked: &Asked,
    workers: usize,
    lines: &[Vec<u8>],
    offered: &str,
) -> Result<Restart, Failure> {
    let fail = || format!("cannot restart from {}", asked.folder.display());
    let folder = Folder::open(&asked.folder.join(LOADED), 1).or_fail(Kind::Data, fail)?;
    let began = Instant::now();
    let all = folder.list().or_fail(Kind::Data, fail)?;
    let found = snapshot::read(&all[0].1).map_err(|error| Failure::new(Kind::Data, error))?;
    let read_s = began.elapsed().as_secs_f64();
    let began = Instant::now();
    let (dating, standings) = (Dating::Required, Standings::default());
    let pipeline = Pipeline::restore(&found.saved, workers, dating, standings);
    let pipeline = pipeline.or_fail(Kind::Data, fail)?;
    let sequence = found.position.sequence;
    drop(found);
    let mut rig = Rig::after(pipeline, sequence);
    let restored_s = began.elapsed().as_secs_f64();
    let began = Instant::now();
    lines.chunks(super::open_loop::BATCH).for_each(|lines| rig.take(lines));
    let caught_up_s = began.elapsed().as_secs_f64();
    let same = rig.sink.digest() == offered;
    Ok(Restart { read_s, restored_s, records: lines.len() as u64, caught_up_s, same })
}

impl Restart {
    /// For people, one line.
    pub fn text(&self) -> String {
        let [read, restored, caught_up] = [self.read_s, self.restored_s, self.caught_up_s]
            .map(|s| span(Duration::from_secs_f64(s)));
        format!(
            "restart   read in {read}, restored in {restored}, {} records after it decided in {caught_up}: {}",
            count(self.records),
            if self.same { "the same decisions" } else { "OTHER DECISIONS" },
        )
    }
}
