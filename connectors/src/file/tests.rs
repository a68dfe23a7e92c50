//! Files read back what was written, count every line, and survive any line.

use std::io::{self, Cursor, Write};

use super::*;
use crate::codec::{BEGINNING_BYTES, MAX_BODY_BYTES, MAX_KEPT_BYTES};
use crate::inbound::{Fault, Inbound, Stamp};

const CLOCK: &str = r#"{"at":"2026-11-22T13:40:00Z","kind":"clock"}"#;

fn read_all(bytes: impl Into<Vec<u8>>) -> Vec<Inbound> {
    let mut source = FileSource::new(Cursor::new(bytes.into()), "test").unwrap();
    let mut out = Vec::new();
    while source.read_batch(3, &mut out).unwrap() > 0 {}
    out
}

#[test]
fn every_line_counts_and_blank_ones_are_skipped() {
    let found = read_all(format!("\n{CLOCK}\r\n  \n\n{CLOCK}"));
    let sequences: Vec<u64> = found.iter().map(|it| it.sequence).collect();
    assert_eq!(sequences, [2, 5]);
    assert!(found.iter().all(|it| it.record.is_ok() && it.raw.is_none()));
    assert_eq!(found[0].at, Stamp::Text("2026-11-22T13:40:00Z".into()));
    assert_eq!(read_all("").len(), 0);
}

#[test]
fn a_bad_line_is_one_refusal() {
    let found = read_all(format!("{CLOCK}\n{{\n\"kind\"\n{{\"kind\":\"clock\"}}"));
    let faults: Vec<_> =
        found.iter().map(|it| it.record.as_ref().err().map(|it| it.fault)).collect();
    assert_eq!(faults, [None, Some(Fault::Malformed), Some(Fault::Malformed), None]);
    let letter = found[1].dead_letter().unwrap();
    assert_eq!((letter.reason, letter.sequence, &letter.bytes[..]), ("malformed", 2, &b"{"[..]));
    assert_eq!(found[3].at, Stamp::Absent);
    let found = read_all(r#"{"at":null,"kind":"clock"}"#);
    let refused = found[0].record.as_ref().unwrap_err();
    assert_eq!((refused.field.as_str(), refused.value.as_str()), ("at", "null"));
}

#[test]
fn a_line_may_be_as_long_as_the_limit_and_no_longer() {
    let padded = |length: usize| format!("{CLOCK}{}", " ".repeat(length - CLOCK.len()));
    for (length, end, fits) in [
        (MAX_BODY_BYTES, "\n", true),
        (MAX_BODY_BYTES, "\r\n", true),
        (MAX_BODY_BYTES, "", true),
        (MAX_BODY_BYTES + 1, "\n", false),
        (MAX_BODY_BYTES + 1, "", false),
        (MAX_BODY_BYTES + 2, "\r\n", false),
        (MAX_BODY_BYTES * 3, "\n", false),
        (MAX_KEPT_BYTES, "\r\n", false),
        (MAX_KEPT_BYTES + 1, "\n", false),
        (MAX_KEPT_BYTES + 1, "\r\n", false),
        (MAX_KEPT_BYTES + 2, "", false),
        (MAX_KEPT_BYTES + 3, "\r\n", false),
        (MAX_KEPT_BYTES * 3, "\r\n", false),
        (MAX_KEPT_BYTES * 3, "", false),
    ] {
        let found = read_all(format!("{}{end}", padded(length)));
        assert_eq!(found.len(), 1, "{length} {end:?}");
        assert_eq!(found[0].record.is_ok(), fits, "{length} {end:?}");
        if !fits {
            let refused = found[0].record.as_ref().unwrap_err();
            assert_eq!((refused.fault, refused.field.as_str()), (Fault::TooLong, "record"));
            let reason = format!("the record is longer than 262144 bytes: it has {length}");
            assert_eq!(refused.reason, reason);
            // It is kept byte for byte, up to the limit.
            let kept = if length > MAX_KEPT_BYTES { BEGINNING_BYTES } else { length };
            let letter = found[0].dead_letter().unwrap();
            assert_eq!((letter.bytes.len(), letter.length), (kept, length as u64));
            assert!(padded(length).as_bytes().starts_with(&letter.bytes));
        }
    }
    let found = read_all(format!("{}\n{CLOCK}\n", padded(MAX_BODY_BYTES * 2)));
    assert_eq!((found.len(), found[1].sequence), (2, 2));
}

#[test]
fn a_written_file_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["plain.ndjson", "packed.ndjson.zst"] {
        let path = folder.path().join(name);
        let path = path.to_str().unwrap();
        let mut sink = LineSink::create(path).unwrap();
        for _ in 0..10_000 {
            sink.write_line(CLOCK.as_bytes()).unwrap();
        }
        sink.flush().unwrap();
        sink.finish().unwrap();
        let packed = std::fs::metadata(path).unwrap().len() < 10_000;
        assert_eq!(packed, name.ends_with(".zst"));
        let mut out = Vec::new();
        assert_eq!(FileSource::open(path).unwrap().read_batch(20_000, &mut out).unwrap(), 10_000);
        // The first bytes tell as much as the name.
        assert_eq!(read_all(std::fs::read(path).unwrap()), out);
    }
}

#[test]
fn a_cut_zstd_file_is_an_error() {
    let mut packed = zstd::encode_all(CLOCK.as_bytes(), 0).unwrap();
    packed.truncate(packed.len() - 5);
    let mut source = FileSource::new(Cursor::new(packed), "cut").unwrap();
    let error = source.read_batch(9, &mut Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "cannot read cut after line 0");
    assert!(!error.is_broken_pipe());
}

/// A pipe that nobody reads.
struct Gone;

impl Write for Gone {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_has_gone_is_an_error_value() {
    for name in ["pipe", "pipe.zst"] {
        let mut sink = LineSink::new(Gone, name).unwrap();
        sink.write_line(b"x").unwrap();
        assert!(sink.finish().unwrap_err().is_broken_pipe(), "{name}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = FileSource::open("no/such/file").map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "cannot open no/such/file");
}
