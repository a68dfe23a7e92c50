//! A whole run simulated: its log, its engine, its sink and its disk in one thread, seeded.
//!
//! The log is reordered, repeated and damaged, and has holes; in every other one the broker's clock
//! dates it, which jumps by an hour now and then. The source hands messages out again, or loses them on
//! the way. The engine dies between any two steps, and at any point of writing a snapshot. The sink
//! refuses messages, for now or for good, takes them and forgets to say so, or takes none for long. The
//! disk is full, loses what was not synchronised, tears snapshots and flips bits of them. After every
//! step the sink holds the beginning of what a run that never dies decides, and at the end all of it,
//! with one outcome for every record. `ICESHOP_SEED=n` replays one simulation, `ICESHOP_CASES=n` makes
//! that many.

use crate::support::{
    Dice, city_log, decision_lines, for_each_seed, inbounds, receipt_lines, record_lines, run,
};
use connectors::inbound::{Inbound, Stamp};
use connectors::nats::{Came, Noted, Order};
use connectors::wire::Record;
use dataflows::flow::Standings;
use dataflows::market::Params;
use dataflows::saved::InMemory;
use iceshop::run::pipeline::{Pipeline, Produce};
use iceshop::run::saving::Saving;
use iceshop::run::snapshot::{Folder, Position, Snapshot};
use iceshop::scenario::City;
use iceshop::translate::Dating;
use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io::{self, Cursor, Read};
use tempfile::TempDir;

/// What the engine hands to the sink, in this order.
enum Message {
    /// A decision, its number and its line.
    Decision(u64, Vec<u8>),
    /// A record's receipt.
    Receipt((u64, Option<u32>), Vec<u8>),
    /// The state after all that went before.
    Snapshot(Box<(Position, Params, Vec<u8>)>),
}

/// The engine's process: all of it is lost when it dies.
struct Process {
    pipeline: Pipeline,
    position: Position,
    queue: VecDeque<Message>,
    order: Order,
    /// What its consumer hands out next: a place in the log.
    consumer: usize,
}

impl Process {
    /// Starts, after the newest good snapshot if there is one.
    fn start(disk: &mut Folder, world: &World, workers: usize) -> Self {
        let found = disk.newest(|_, _| {}).unwrap();
        let standings = Standings::default();
        let (pipeline, position) = match found {
            Some(Snapshot { position, saved }) => {
                let restored = Pipeline::restore(&saved, workers, Dating::Required, standings);
                (restored.unwrap(), position)
            }
            None => {
                let pipeline =
                    Pipeline::new(Params::default(), workers, Dating::Required, standings);
                let position = Position {
                    city: "simulated".into(),
                    stream_made: "at the beginning".into(),
                    recorded: Some(true),
                    sequence: 0,
                    came_ns: None,
                    decided: 0,
                    noted: Noted::default(),
                    ended: false,
                };
                (pipeline, position)
            }
        };
        let published = world.published.len() as u64;
        assert!(position.decided <= published, "a snapshot is not ahead of its decisions");
        let (queue, order) = (VecDeque::new(), Order::from(position.sequence + 1));
        Self { pipeline, position, queue, order, consumer: world.place(order) }
    }

    /// What the broker hands out, up to `most` messages: some of it again, some of it is lost on the
    /// way, and now and then there is a new consumer.
    fn read(&mut self, world: &World, most: usize, dice: &mut Dice) -> Vec<Inbound> {
        let mut batch = Vec::new();
        for _ in 0..most {
            match dice.roll(0, 99) {
                0..=3 => self.consumer = self.consumer.saturating_sub(dice.roll(1, 9) as usize),
                4..=6 => self.consumer += dice.roll(1, 9) as usize,
                7..=8 => self.ask_anew(world),
                _ => {}
            }
            let Some(message) = world.log.get(self.consumer) else {
                // The end, or what is missing before it; a reader notices by the heartbeats.
                self.ask_anew(world);
                break;
            };
            self.consumer += 1;
            match self.order.came(message.sequence) {
                Came::Next => batch.push(message.clone()),
                Came::Again => {}
                Came::Gap => self.ask_anew(world),
            }
        }
        batch
    }

    fn ask_anew(&mut self, world: &World) {
        self.consumer = world.place(self.order);
        let still_there = world.log.get(self.consumer).filter(|_| self.order.torn());
        self.order.renew(still_there.map_or(self.order.next(), |message| message.sequence));
    }

    fn take(&mut self, batch: &[Inbound]) {
        let produce = self.pipeline.take(batch.to_vec());
        self.position.sequence = batch.last().map_or(self.position.sequence, |last| last.sequence);
        self.hand_on(produce);
    }

    fn hand_on(&mut self, produce: Produce) {
        for decision in produce.decisions {
            self.position.decided += 1;
            let line = decision_lines(&[decision]);
            self.queue.push_back(Message::Decision(self.position.decided, line));
        }
        for receipt in produce.receipts {
            let place = (receipt.sequence, receipt.index);
            self.queue.push_back(Message::Receipt(place, receipt_lines(&[receipt])));
        }
    }

    fn snapshot(&mut self) {
        let (position, saving) = (self.position.clone(), self.pipeline.save(&InMemory).unwrap());
        let (params, mut state) = (saving.params, Vec::new());
        let mut copy = saving.state;
        copy.read_to_end(&mut state).unwrap();
        self.queue.push_back(Message::Snapshot(Box::new((position, params, state))));
    }
}

/// How many messages may wait for the sink before the engine reads no more.
const MOST_WAITING: usize = 400;

/// What became of a message.
enum Fate {
    /// Taken, and said so.
    Done,
    /// Not taken, or taken and not said so: it is handed over again.
    Open,
    /// Refused for good, or the engine died of it.
    Fatal,
}

/// What is there when the engine is not.
struct World {
    /// The messages that the input stream still has.
    log: Vec<Inbound>,
    /// The decisions of a run that never dies.
    expected: Vec<Vec<u8>>,
    published: Vec<Vec<u8>>,
    receipts: BTreeMap<(u64, Option<u32>), Vec<u8>>,
    /// How many messages the sink will not answer from now on.
    stalled: i64,
}

impl World {
    /// Where in the log a new consumer begins.
    fn place(&self, order: Order) -> usize {
        self.log.partition_point(|inbound| inbound.sequence < order.next())
    }

    /// Takes the first message, unless something is in the way.
    fn deliver(&mut self, message: &Message, disk: &Folder, dice: &mut Dice) -> Fate {
        if self.stalled > 0 {
            self.stalled -= 1;
            return Fate::Open;
        }
        match dice.roll(0, 9_999) {
            0..=9 => self.stalled = dice.roll(10, 2_000),
            10..=19 => return Fate::Fatal,
            20..=999 => return Fate::Open,
            _ => {}
        }
        match message {
            Message::Decision(number, line) => {
                let n = *number as usize - 1;
                assert!(n <= self.published.len(), "no gap before decision {number}");
                if n == self.published.len() {
                    assert!(self.expected.get(n) == Some(line), "decision {number} differs");
                    self.published.push(line.clone());
                } else {
                    assert!(self.published[n] == *line, "decision {number} is told in two ways");
                }
            }
            Message::Receipt(place, line) => {
                let before = self.receipts.insert(*place, line.clone());
                assert!(before.is_none_or(|before| before == *line), "{place:?} has two outcomes");
            }
            Message::Snapshot(snapshot) => {
                let (position, params, state) = &**snapshot;
                let saving = |state| Saving { params: params.clone(), state: Box::new(state) };
                return write(disk, position, &saving, state, dice);
            }
        }
        // Taken; that may be forgotten.
        if dice.chance(5) { Fate::Open } else { Fate::Done }
    }
}

/// Writes a snapshot, well or not: the disk is full half-way, the engine dies before the file has its
/// name, or after that and what the file holds was lost, or is damaged later.
fn write(
    disk: &Folder,
    position: &Position,
    saving: &dyn Fn(Box<dyn Read + Send>) -> Saving,
    state: &[u8],
    dice: &mut Dice,
) -> Fate {
    let held = |folder: &Folder| -> Vec<_> {
        let list = folder.list().unwrap().into_iter();
        list.map(|(_, path)| (fs::read(&path).unwrap(), path)).collect()
    };
    match dice.roll(0, 99) {
        0..=9 => {
            let before = held(disk);
            let part = Cursor::new(state[..dice.roll(0, state.len() as i64) as usize].to_vec());
            let full = part.chain(Full);
            assert!(disk.write(position, saving(Box::new(full))).is_err());
            assert!(held(disk) == before, "a disk that is full costs no other snapshot");
            Fate::Done
        }
        10..=19 => {
            let elsewhere = in_memory();
            let scratch = Folder::open(elsewhere.path(), 1).unwrap();
            scratch.write(position, saving(Box::new(Cursor::new(state.to_vec())))).unwrap();
            let whole = &scratch.list().unwrap()[0].1;
            let mut bytes = fs::read(whole).unwrap();
            if dice.chance(50) {
                bytes.truncate(dice.roll(0, bytes.len() as i64) as usize);
            }
            // The name it has while it is written, or the one it gets.
            let named = dice.chance(50);
            let name = if named { whole.file_name().unwrap() } else { "snapshot.tmp".as_ref() };
            fs::write(disk.path().join(name), bytes).unwrap();
            Fate::Fatal
        }
        luck => {
            disk.write(position, saving(Box::new(Cursor::new(state.to_vec())))).unwrap();
            if luck < 40 {
                spoil(disk, dice);
            }
            if dice.chance(5) { Fate::Open } else { Fate::Done }
        }
    }
}

/// A disk without space.
struct Full;

impl Read for Full {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }
}

/// The newest snapshot is torn, or has a bit flipped.
fn spoil(disk: &Folder, dice: &mut Dice) {
    let newest = &disk.list().unwrap()[0].1;
    let mut bytes = fs::read(newest).unwrap();
    if bytes.is_empty() {
        return;
    }
    let at = dice.roll(0, bytes.len() as i64 - 1) as usize;
    if dice.chance(50) {
        bytes.truncate(at);
    } else {
        bytes[at] ^= 1 << dice.roll(0, 7);
    }
    fs::write(newest, bytes).unwrap();
}

/// A small city's log with records that come twice, late, or damaged.
fn log(seed: u64, dice: &mut Dice) -> Vec<Inbound> {
    let city = City { seed, intents: 40, stores: 10, products: 2, hours: 1, ..City::default() };
    let mut records: Vec<(String, Record)> = city_log(&city)
        .into_iter()
        .map(|inbound| match (inbound.at, inbound.record) {
            (Stamp::Text(at), Ok(record)) => (at, record),
            _ => panic!("a city's records are good and dated"),
        })
        .collect();
    for _ in 0..records.len() / 10 {
        let (from, to) =
            (dice.roll(0, records.len() as i64 - 1), dice.roll(0, records.len() as i64 - 1));
        let moved = records[from as usize].clone();
        records.insert(to as usize, moved);
    }
    let text = record_lines(&records);
    let mut lines: Vec<Vec<u8>> =
        text.split(|byte| *byte == b'\n').filter(|l| !l.is_empty()).map(<[u8]>::to_vec).collect();
    for line in &mut lines {
        if dice.chance(3) {
            let at = dice.roll(0, line.len() as i64 - 1) as usize;
            line[at] = dice.roll(33, 126) as u8;
        }
    }
    inbounds(&lines)
}

/// The log as a broker keeps it whose clock runs from record to record, and jumps by an hour now and
/// then, there or back.
fn dated_by_the_broker(log: &mut [Inbound], dice: &mut Dice) {
    let mut clock = City::default().start.as_nanosecond();
    for inbound in log {
        clock += i128::from(dice.roll(0, 30_000)) * 1_000_000;
        if dice.chance(1) {
            clock += if dice.chance(50) { 1 } else { -1 } * 3_600_000_000_000;
        }
        inbound.at = Stamp::Nanos(clock);
    }
}

/// A folder whose files are in memory, where there is such a place: the disk is simulated, too.
fn in_memory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Lives through one simulation; how often the engine died, and how often it had a snapshot.
fn simulate(seed: u64) -> (u64, u64) {
    let dice = &mut Dice::new(seed);
    let mut log = log(seed, dice);
    if seed % 2 == 1 {
        dated_by_the_broker(&mut log, dice);
    }
    // Messages that were deleted are missing for everyone.
    log.retain(|_| !dice.chance(1));
    let whole = run(&Params::default(), 1, 1_000, &log);
    let expected = whole.decisions.iter().map(|d| decision_lines(std::slice::from_ref(d)));
    let expected = expected.collect();
    let (published, receipts) = (Vec::new(), BTreeMap::new());
    let mut world = World { log, expected, published, receipts, stalled: 0 };
    let folder = in_memory();
    let mut disk = Folder::open(folder.path(), dice.roll(1, 3) as usize).unwrap();
    let mut process = Process::start(&mut disk, &world, 1);
    let (mut deaths, mut restored, mut closed, mut dead) = (0, 0, false, false);
    loop {
        match dice.roll(0, 99) {
            0..=34
                if world.place(process.order) < world.log.len()
                    && process.queue.len() < MOST_WAITING =>
            {
                let batch = process.read(&world, dice.roll(1, 20) as usize, dice);
                process.take(&batch);
            }
            35..=46 if !closed => process.snapshot(),
            47..=54 => dead = true,
            _ => {
                for _ in 0..dice.roll(1, 60) {
                    let Some(message) = process.queue.front() else { break };
                    match world.deliver(message, &disk, dice) {
                        Fate::Done => drop(process.queue.pop_front()),
                        Fate::Open => {}
                        Fate::Fatal => dead = true,
                    }
                    if dead {
                        break;
                    }
                }
            }
        }
        if std::mem::take(&mut dead) {
            deaths += 1;
            closed = false;
            process = Process::start(&mut disk, &world, dice.roll(1, 2) as usize);
            restored += (process.position.sequence > 0) as u64;
        }
        if world.place(process.order) == world.log.len() && !closed {
            closed = true;
            let produce = process.pipeline.finish();
            process.hand_on(produce);
        }
        if closed && process.queue.is_empty() {
            break;
        }
    }
    assert!(world.published == world.expected, "all is published");
    let outcomes = receipt_lines(&whole.receipts);
    let mut outcomes: Vec<&[u8]> = outcomes.split_inclusive(|byte| *byte == b'\n').collect();
    let mut told: Vec<&[u8]> = world.receipts.values().map(Vec::as_slice).collect();
    outcomes.sort_unstable();
    told.sort_unstable();
    let said = |all: &[&[u8]]| String::from_utf8_lossy(&all.concat()).into_owned();
    let lacks = |a: &[&[u8]], b: &[&[u8]]| -> Vec<String> {
        a.iter().filter(|line| !b.contains(line)).map(|line| said(&[line])).collect()
    };
    assert!(
        told == outcomes,
        "{:?} instead of {:?}",
        lacks(&told, &outcomes),
        lacks(&outcomes, &told)
    );
    assert_eq!(told.len(), world.log.len(), "every record has its one outcome");
    (deaths, restored)
}

#[test]
fn whatever_dies_nothing_is_lost_and_nothing_is_told_twice() {
    let (mut runs, mut deaths, mut restored) = (0, 0, 0);
    for_each_seed(2_000, |seed| {
        let (died, with_a_snapshot) = simulate(seed);
        runs += 1;
        deaths += died;
        restored += with_a_snapshot;
    });
    println!("{deaths} deaths, {restored} times restored from a snapshot");
    // One that is played again need not.
    assert!(restored > 0 || runs < 20, "some simulations get so far");
}
