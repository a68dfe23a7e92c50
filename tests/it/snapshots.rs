//! A run that is stopped anywhere and restored from a snapshot decides what one decides that never
//! was, byte for byte; and a damaged snapshot is told from a good one.

use crate::support::{
    Dice, city_log, decision_lines, extend, for_each_seed, receipt_lines, run, small_city,
};
use connectors::inbound::Inbound;
use connectors::nats::Noted;
use dataflows::flow::Standings;
use dataflows::market::Params;
use dataflows::saved::{InMemory, STATE_VERSION};
use iceshop::run::forked::Forked;
use iceshop::run::pipeline::{Pipeline, Produce};
use iceshop::run::saving::Saved;
use iceshop::run::snapshot::{Folder, Position, Snapshot};
use iceshop::scenario::City;
use iceshop::translate::Dating;
use sha2::{Digest, Sha256};
use std::fs;

fn bytes(produce: &Produce) -> (Vec<u8>, Vec<u8>) {
    (decision_lines(&produce.decisions), receipt_lines(&produce.receipts))
}

/// Its state, by way of memory.
fn saved(pipeline: &mut Pipeline) -> Saved {
    pipeline.save(&InMemory).unwrap().read().unwrap()
}

fn snapshot(pipeline: &mut Pipeline, sequence: u64, decided: u64) -> Snapshot {
    let position = Position {
        city: "test".into(),
        stream_made: "2026-06-12T00:00:00Z".into(),
        recorded: Some(true),
        sequence,
        came_ns: None,
        decided,
        noted: Noted::default(),
        ended: false,
    };
    Snapshot { position, saved: saved(pipeline) }
}

/// The log in batches of any size; after some of them the run dies and is restored from a file, on
/// another number of workers. Everything that was brought forth, and how often it died.
fn stopped(log: &[Inbound], dice: &mut Dice) -> (Produce, u64) {
    let folder = tempfile::tempdir().unwrap();
    let mut keep = Folder::open(folder.path(), 2).unwrap();
    let mut pipeline = Pipeline::new(Params::default(), 1, Dating::Required, Standings::default());
    let (mut all, mut deaths, mut next) = (Produce::default(), 0, 0);
    while next < log.len() {
        let until = (next + dice.roll(1, 900) as usize).min(log.len());
        let dies = dice.chance(60);
        // Told to stop, it leaves ticks of its last batch to the next one.
        let mut ticks = if dies { dice.roll(0, 60) } else { i64::MAX };
        let go_on = || {
            ticks -= 1;
            ticks >= 0
        };
        extend(&mut all, pipeline.take_while(log[next..until].to_vec(), go_on));
        next = until;
        if dies {
            deaths += 1;
            let sequence = log[until - 1].sequence;
            let made = snapshot(&mut pipeline, sequence, all.decisions.len() as u64);
            keep.write(&made.position, pipeline.save(&InMemory).unwrap()).unwrap();
            drop(pipeline);
            let found = keep.newest(|path, error| panic!("{path:?}: {error}")).unwrap().unwrap();
            assert!(found == made, "what is read is what was written");
            let workers = dice.roll(1, 3) as usize;
            pipeline =
                Pipeline::restore(&found.saved, workers, Dating::Required, Standings::default())
                    .unwrap();
            // Restored is as saved: nothing was lost, and nothing came.
            assert!(saved(&mut pipeline) == found.saved, "after {sequence} on {workers} workers");
        }
    }
    extend(&mut all, pipeline.finish());
    (all, deaths)
}

#[test]
fn a_run_that_is_stopped_anywhere_decides_the_same() {
    let mut deaths = 0;
    for_each_seed(3, |seed| {
        let dice = &mut Dice::new(seed);
        let log = city_log(&City { seed, ..small_city(700) });
        let whole = run(&Params::default(), 1, 1_000, &log);
        assert!(whole.decisions.iter().any(|d| d.state == "closed"), "windows live");
        let (pieces, died) = stopped(&log, dice);
        deaths += died;
        assert!(bytes(&pieces) == bytes(&whole), "a restored run decides something else");
    });
    assert!(deaths > 2, "runs were stopped");
}

#[test]
fn a_batch_is_left_between_ticks_and_the_next_call_ends_it() {
    let log = city_log(&small_city(150));
    let whole = run(&Params::default(), 1, log.len(), &log);
    let mut pipeline = Pipeline::new(Params::default(), 1, Dating::Required, Standings::default());
    let mut ticks = 60;
    let go_on = || {
        ticks -= 1;
        ticks >= 0
    };
    let mut all = pipeline.take_while(log.clone(), go_on);
    let figures = pipeline.figures();
    assert!(figures.engine_now.ticks > 0 && figures.waiting > 50, "{} wait", figures.waiting);
    let early = all.decisions.len();
    extend(&mut all, pipeline.take(Vec::new()));
    assert!(all.decisions.len() > early, "it goes on without another record");
    extend(&mut all, pipeline.finish());
    assert!(bytes(&all) == bytes(&whole));
}

#[test]
fn from_every_snapshot_any_workers_and_batches_make_the_same_digest() {
    let log = city_log(&small_city(150));
    let (mut snapshots, mut early, mut read) = (Vec::new(), Vec::new(), 0);
    let mut pipeline = Pipeline::new(Params::default(), 1, Dating::Required, Standings::default());
    for part in log.chunks(log.len() / 6 + 1) {
        early.extend(decision_lines(&pipeline.take(part.to_vec()).decisions));
        read += part.len();
        snapshots.push((read, early.clone(), saved(&mut pipeline)));
    }
    early.extend(decision_lines(&pipeline.finish().decisions));
    let whole = Sha256::digest(&early);
    let amid = |before: &[u8]| !before.is_empty() && before.len() < early.len();
    assert!(snapshots.iter().any(|(_, before, _)| amid(before)), "decided before and after");
    for (read, before, saved) in snapshots {
        for (workers, batch) in [1, 2, 4].into_iter().flat_map(|w| [1, 37, 1_000].map(|b| (w, b))) {
            let mut all = before.clone();
            let mut pipeline =
                Pipeline::restore(&saved, workers, Dating::Required, Standings::default()).unwrap();
            for part in log[read..].chunks(batch) {
                all.extend(decision_lines(&pipeline.take(part.to_vec()).decisions));
            }
            all.extend(decision_lines(&pipeline.finish().decisions));
            let digest = Sha256::digest(&all);
            assert!(digest == whole, "after {read} on {workers} workers, batches of {batch}");
        }
    }
}

#[test]
fn a_damaged_snapshot_is_refused_and_the_one_before_it_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let mut keep = Folder::open(folder.path(), 3).unwrap();
    let log = city_log(&small_city(100));
    let mut pipeline = Pipeline::new(Params::default(), 1, Dating::Required, Standings::default());
    for part in log.chunks(log.len() / 5 + 1) {
        pipeline.take(part.to_vec());
        let made = snapshot(&mut pipeline, part.last().unwrap().sequence, 0);
        keep.write(&made.position, pipeline.save(&InMemory).unwrap()).unwrap();
    }
    let files = keep.list().unwrap();
    assert_eq!(files.len(), 3, "as many are kept as asked for");
    let (newest, before) = (&files[0].1, files[1].0);
    let good = fs::read(newest).unwrap();
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 4;
    let mut older = good.clone();
    older[8] += 1;
    let other_version = format!("of version {}, this program's", STATE_VERSION + 1);
    let cases: [(&[u8], &str); 5] = [
        (&good[..good.len() / 2], "bytes of state instead of"),
        (&good[..20], "ends before its header"),
        (&flipped, "checksum"),
        (&older, &other_version),
        (b"something else entirely, which is long enough to be a header", "no snapshot"),
    ];
    for (damaged, reason) in cases {
        fs::write(newest, damaged).unwrap();
        let mut told = Vec::new();
        let found = keep.newest(|path, error| told.push((path.to_path_buf(), error.to_string())));
        assert_eq!(found.unwrap().unwrap().position.sequence, before);
        assert_eq!(told.len(), 1);
        assert!(told[0].0 == *newest && told[0].1.contains(reason), "{told:?}");
    }
    fs::write(newest, &good).unwrap();
    let found = keep.newest(|path, error| panic!("{path:?}: {error}")).unwrap();
    assert_eq!(found.unwrap().position.sequence, files[0].0);
}

/// What cannot be read does not push out what can, and goes when as many newer ones are kept as
/// asked for.
#[test]
fn damaged_snapshots_do_not_count_as_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut keep = Folder::open(folder.path(), 2).unwrap();
    let log = city_log(&small_city(60));
    let mut pipeline = Pipeline::new(Params::default(), 1, Dating::Required, Standings::default());
    pipeline.take(log);
    let mut write = |keep: &Folder, sequence: u64| {
        let made = snapshot(&mut pipeline, sequence, 0);
        keep.write(&made.position, pipeline.save(&InMemory).unwrap()).unwrap();
    };
    let sequences = |keep: &Folder| -> Vec<u64> {
        keep.list().unwrap().into_iter().map(|(sequence, _)| sequence).collect()
    };
    let damage = |sequence: u64, how: fn(&mut Vec<u8>)| {
        let path = folder.path().join(format!("snapshot-{sequence:020}.bin"));
        let mut bytes = fs::read(&path).unwrap();
        how(&mut bytes);
        fs::write(path, bytes).unwrap();
    };
    // Those of another version and what is cut off are told by their first bytes.
    (10..=40).step_by(10).for_each(|sequence| write(&keep, sequence));
    assert_eq!(sequences(&keep), [40, 30]);
    damage(30, |bytes| bytes[8] += 1);
    write(&keep, 50);
    damage(50, |bytes| bytes.truncate(99));
    write(&keep, 60);
    assert_eq!(sequences(&keep), [60, 50, 40], "60 and 40 are good");
    write(&keep, 70);
    assert_eq!(sequences(&keep), [70, 60]);
    // Of changed bytes nobody knows before they are read.
    for sequence in [60, 70] {
        damage(sequence, |bytes| *bytes.last_mut().unwrap() ^= 1);
    }
    let mut told = 0;
    assert!(keep.newest(|_, _| told += 1).unwrap().is_none());
    assert_eq!(told, 2);
    write(&keep, 65);
    assert_eq!(sequences(&keep), [70, 65, 60]);
    // Written once more it is good.
    write(&keep, 70);
    assert_eq!(sequences(&keep), [70, 65]);
}

/// What a forked copy holds is what was there when it was made, whatever the engine has done
/// meanwhile, in its own thread and in others.
#[test]
fn a_copy_of_the_process_holds_what_the_engine_held() {
    let log = city_log(&small_city(150));
    let (half, rest) = log.split_at(log.len() / 2);
    for workers in [1, 3] {
        let mut pipeline =
            Pipeline::new(Params::default(), workers, Dating::Required, Standings::default());
        pipeline.take(half.to_vec());
        let now = saved(&mut pipeline);
        let copy = pipeline.save(&Forked).unwrap();
        pipeline.take(rest.to_vec());
        assert!(saved(&mut pipeline) != now, "it has gone on");
        assert!(copy.read().unwrap() == now, "on {workers} workers");
    }
}
