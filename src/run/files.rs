//! Runs without a server: a file of records, or the embedded city on an accelerated clock.
//!
//! A thread of its own reads and decodes; the engine works in the caller's; at most
//! [`BATCHES_AHEAD`] batches wait between them.

use super::live::{Live, live_line};
use super::pipeline::{Pipeline, Produce};
use super::summary::Summary;
use crate::failure::{Failure, Kind, OrFail};
use crate::readable;
use crate::scenario::City;
use connectors::codec::json;
use connectors::file::{FileError, FileSource, LineSink};
use connectors::inbound::{Inbound, Stamp};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// How many batches of input may wait for the engine.
const BATCHES_AHEAD: usize = 4;
/// How finely the accelerated clock is cut, in wall time.
const SLICE: Duration = Duration::from_millis(20);

/// Where a run's output goes.
pub struct Output {
    decisions: LineSink,
    /// Whether decisions are written for people.
    readable: bool,
    receipts: Option<LineSink>,
    dead_letters: Option<LineSink>,
    buffer: Vec<u8>,
}

/// What a decision looks like on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One JSON object a line.
    Json,
    /// A line for people.
    Readable,
}

impl Output {
    /// Opens the files; `-` is standard output.
    ///
    /// # Errors
    /// The first that cannot be made.
    pub fn create(
        decisions: &str,
        form: Form,
        receipts: Option<&str>,
        dead_letters: Option<&str>,
    ) -> Result<Self, Failure> {
        let create = |path: &str| {
            LineSink::create(path).or_fail(Kind::Data, || format!("cannot write {path}"))
        };
        Ok(Self {
            decisions: create(decisions)?,
            readable: form == Form::Readable,
            receipts: receipts.map(create).transpose()?,
            dead_letters: dead_letters.map(create).transpose()?,
            buffer: Vec::new(),
        })
    }

    fn write(&mut self, produce: &Produce) -> Result<(), FileError> {
        for decision in &produce.decisions {
            self.buffer.clear();
            if self.readable {
                self.buffer.extend_from_slice(readable::line(decision).as_bytes());
            } else {
                json::write_decision(&mut self.buffer, decision);
            }
            self.decisions.write_line(&self.buffer)?;
        }
        if let Some(receipts) = &mut self.receipts {
            for receipt in &produce.receipts {
                self.buffer.clear();
                json::write_receipt(&mut self.buffer, receipt);
                receipts.write_line(&self.buffer)?;
            }
        }
        if let Some(dead_letters) = &mut self.dead_letters {
            for letter in &produce.dead_letters {
                dead_letters.write_line(&letter.bytes)?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), FileError> {
        self.decisions.flush()
    }

    fn finish(self) -> Result<(), FileError> {
        self.decisions.finish()?;
        self.receipts.map_or(Ok(()), LineSink::finish)?;
        self.dead_letters.map_or(Ok(()), LineSink::finish)
    }
}

/// Runs everything that `source` sends through the engine; the run's summary.
fn drive(
    mut pipeline: Pipeline,
    batches: Receiver<Result<Vec<Inbound>, FileError>>,
    mut output: Output,
    started: Instant,
) -> Result<Summary, Failure> {
    let mut live = Live::on_stderr();
    let wrote = |output: &mut Output, produce: &Produce| match output.write(produce) {
        Err(error) if error.is_broken_pipe() => Err(Failure::new(Kind::ReaderGone, error)),
        written => written.or_fail(Kind::Data, || "cannot write the output".into()),
    };
    for batch in batches {
        let batch = batch.or_fail(Kind::Data, || "cannot read the input".into())?;
        let produce = pipeline.take(batch);
        wrote(&mut output, &produce)?;
        if live.is_due() {
            // A sink that fails says so again when it is written to.
            let _ = output.flush();
            live.show(live_line(&pipeline.figures(), started));
        }
    }
    let produce = pipeline.finish();
    wrote(&mut output, &produce)?;
    live.clear();
    match output.finish() {
        Err(error) if error.is_broken_pipe() => return Err(Failure::new(Kind::ReaderGone, error)),
        finished => finished.or_fail(Kind::Data, || "cannot write the output".into())?,
    }
    Ok(Summary::of(&pipeline.figures(), started))
}

/// Runs a file of records to its end.
///
/// # Errors
/// The input cannot be read, or the output not written.
pub fn run_file(
    pipeline: Pipeline,
    input: &str,
    batch: usize,
    output: Output,
) -> Result<Summary, Failure> {
    let started = Instant::now();
    let source = FileSource::open(input).or_fail(Kind::Data, || format!("cannot read {input}"))?;
    let (send, batches) = sync_channel(BATCHES_AHEAD);
    std::thread::spawn(move || read(source, batch, &send));
    drive(pipeline, batches, output, started)
}

/// Reads batches until the file ends or nobody takes them.
fn read(mut source: FileSource, batch: usize, send: &SyncSender<Result<Vec<Inbound>, FileError>>) {
    loop {
        let mut inbound = Vec::with_capacity(batch);
        let read = source.read_batch(batch, &mut inbound);
        let last = !matches!(read, Ok(n) if n > 0);
        if let Err(error) = read {
            // Whoever is gone needs no error.
            let _ = send.send(Err(error));
        } else if !last && send.send(Ok(inbound)).is_err() {
            return;
        }
        if last {
            return;
        }
    }
}

/// Runs the embedded city, `speed` times as fast as its clock.
///
/// # Errors
/// The output cannot be written.
pub fn run_city(
    pipeline: Pipeline,
    city: City,
    speed: f64,
    record: Option<&str>,
    output: Output,
) -> Result<Summary, Failure> {
    let started = Instant::now();
    let log = record
        .map(|path| LineSink::create(path).or_fail(Kind::Data, || format!("cannot write {path}")))
        .transpose()?;
    let (send, batches) = sync_channel(BATCHES_AHEAD);
    let pace = std::thread::spawn(move || pace(&city, speed, log, &send, started));
    let summary = drive(pipeline, batches, output, started)?;
    match pace.join() {
        Ok(recorded) => recorded.or_fail(Kind::Data, || "cannot record the city".into())?,
        Err(panic) => std::panic::resume_unwind(panic),
    }
    Ok(summary)
}

/// Sends the city's records when their time has come on the accelerated clock.
fn pace(
    city: &City,
    speed: f64,
    mut log: Option<LineSink>,
    send: &SyncSender<Result<Vec<Inbound>, FileError>>,
    started: Instant,
) -> Result<(), FileError> {
    let mut line = Vec::new();
    let mut batch = Vec::new();
    for (dated, sequence) in city.records().zip(1..) {
        let after = dated.at.duration_since(city.start).as_secs_f64().max(0.0) / speed;
        let due = started + Duration::from_secs_f64(after);
        if due > Instant::now() + SLICE {
            let full = std::mem::take(&mut batch);
            if !full.is_empty() && send.send(Ok(full)).is_err() {
                break;
            }
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        let at = dated.at.to_string();
        if let Some(log) = &mut log {
            line.clear();
            json::write_record(&mut line, Some(&at), &dated.record);
            log.write_line(&line)?;
        }
        batch.push(Inbound {
            sequence,
            index: None,
            at: Stamp::Text(at),
            record: Ok(dated.record),
            raw: None,
        });
        if batch.len() >= 1_000 && send.send(Ok(std::mem::take(&mut batch))).is_err() {
            break;
        }
    }
    // Whoever is gone needs no rest.
    let _ = send.send(Ok(batch));
    log.map_or(Ok(()), LineSink::finish)
}
