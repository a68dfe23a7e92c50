//! Workers in several processes, by timely's own cluster mode.
//!
//! ```text
//! process 0: engine, book, all inputs          processes 1 ..: members
//!   workers 0 .. W-1   <-- records, frontier -->   workers W ..: their products' markets
//!   worker 0           <-------- letters ------>   each of them
//! ```
//! Every record goes to the worker of its product's hash, and what that decides comes back to the first
//! one. A member's inputs are closed from the beginning, so time is what the first process says. What
//! is asked between ticks, and markets that were saved, go as letters through a dataflow of their own.
//!
//! Markets stay with the worker of their hash, and all processes live and die together: timely knows of
//! no process that comes back.

use super::markets::Shards;
use super::placement::home;

use super::station::{Shape, Station};
use super::{DemandKey, Place, Standing, Standings, Stopwatch, T};
use crate::market::{Params, ProductId};
use crate::saved::{self, SavedMarkets, Unreadable};
use differential_dataflow::input::InputSession;
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use timely::WorkerConfig;
use timely::communication::{AllocatorBuilder, WorkerGuards};
use timely::dataflow::operators::{Exchange, Inspect};
use timely::execute::execute_from;
use timely::worker::Worker;

/// A process's place in a cluster, connected with all the others.
pub struct Cluster {
    /// What the workers of this process speak through.
    pub builders: Vec<AllocatorBuilder>,
    /// Ends the connections in good order when it is dropped.
    pub guard: Box<dyn Any + Send>,
    /// Workers of each process.
    pub workers: usize,
    /// Which process this is, from 0.
    pub process: usize,
    /// How many there are.
    pub processes: usize,
}

/// What goes between the first worker and a member's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Letter {
    /// The parameters of all decisions, and whether a plain greedy runs beside the markets.
    Begin(Params, bool),
    /// Markets to begin with, as of that tick.
    Restore(T, Vec<(ProductId, Vec<u8>)>),
    /// Whether they could be read.
    Restored(Result<(), Unreadable>),
    /// Asks for all markets.
    Save,
    /// A worker's markets.
    Saved(Vec<(ProductId, Vec<u8>)>),
    /// Asks for live intents per (product, cell, slot).
    Demand,
    /// A worker's part of that.
    Demanded(BTreeMap<DemandKey, i64>),
    /// Asks how the markets stand.
    Stand,
    /// How those of a worker's process stand.
    Stood(BTreeMap<ProductId, Standing>),
}

/// A letter on its way: to whom, and what it says.
type Sealed = (u64, Vec<u8>);

/// A worker's letter box.
pub(super) struct Post {
    out: InputSession<T, Sealed, isize>,
    came: Rc<RefCell<VecDeque<Vec<u8>>>>,
}

impl Post {
    /// Builds the dataflow of letters, which every worker of a cluster has before any other.
    pub(super) fn open(worker: &mut Worker) -> Self {
        let came: Rc<RefCell<VecDeque<Vec<u8>>>> = Rc::default();
        let held = came.clone();
        let out = worker.dataflow_named::<T, _, _>("letters", |scope| {
            let mut out = InputSession::new();
            out.to_collection(scope)
                .inner
                .exchange(|((to, _), _, _): &(Sealed, T, isize)| *to)
                .inspect(move |((_, letter), _, _)| held.borrow_mut().push_back(letter.clone()));
            out
        });
        Self { out, came }
    }

    /// Sends a letter to a worker.
    pub(super) fn send(&mut self, to: usize, letter: &Letter) {
        let letter = bincode::serialize(letter).expect("a letter is bytes");
        self.out.update((to as u64, letter), 1);
        // An exchange keeps what is not a whole buffer until time has come on.
        let next = self.out.time() + 1;
        self.out.advance_to(next);
        self.out.flush();
    }

    /// The next letter that has come.
    fn next(&self) -> Option<Letter> {
        let letter = self.came.borrow_mut().pop_front()?;
        Some(bincode::deserialize(&letter).expect("all processes are of one version"))
    }

    /// Waits for the next letter.
    pub(super) fn wait(&self, worker: &mut Worker) -> Letter {
        loop {
            if let Some(letter) = self.next() {
                return letter;
            }
            worker.step_or_park(None);
        }
    }
}

/// The markets that begin with a worker.
pub(super) fn at_home(
    markets: &SavedMarkets,
    (worker, peers): (usize, usize),
) -> Vec<(ProductId, Vec<u8>)> {
    let here = markets.iter().filter(|(product, _)| home(product, peers) == worker);
    here.map(|(product, bytes)| (product.clone(), bytes.to_vec())).collect()
}

/// A member: its workers keep their products' markets until the first process has ended; the stopwatch
/// tells how long they take.
///
/// # Errors
/// The workers cannot be started.
///
/// **Contract** a panic ends the process: one that has lost another panics in a thread of timely's.
pub fn attend(cluster: Cluster, stopwatch: Stopwatch) -> Result<(), String> {
    let guards = start(cluster, move |worker| {
        let mut post = Post::open(worker);
        let Letter::Begin(params, greedy) = post.wait(worker) else {
            unreachable!("nothing is asked before the beginning")
        };
        let standings = Standings::new(greedy).timed(stopwatch);
        let place = Place { shards: Shards::new(standings.clone()), ..Place::default() };
        let mut station = Station::build(worker, &params, Shape::Incremental, &place);
        station.follow();
        while !station.is_over() {
            worker.step_or_park(None);
            station.let_go();
            place.shards.rest_after(|tick| !station.behind(tick));
            while let Some(letter) = post.next() {
                let answer = answer(worker, &mut station, (&place, &standings), letter);
                post.send(0, &answer);
            }
        }
    })?;
    guards.join().into_iter().collect()
}

/// Starts a process's workers.
pub(super) fn start(
    cluster: Cluster,
    live: impl Fn(&mut Worker) + Send + Sync + 'static,
) -> Result<WorkerGuards<()>, String> {
    execute_from(cluster.builders, cluster.guard, WorkerConfig::default(), live)
}

/// What a member's worker answers.
fn answer(
    worker: &Worker,
    station: &mut Station,
    (place, standings): (&Place, &Standings),
    letter: Letter,
) -> Letter {
    match letter {
        Letter::Restore(done, markets) => {
            let markets = markets.into_iter().map(|(product, bytes)| (product, bytes.into()));
            let (markets, at): (SavedMarkets, _) =
                (markets.collect(), (worker.index(), worker.peers()));
            Letter::Restored(place.shards.restore(at, done, &markets))
        }
        Letter::Save => Letter::Saved(bytes_of(&place.shards)),
        Letter::Demand => Letter::Demanded(station.demand()),
        Letter::Stand => {
            standings.begin_anew();
            place.shards.renew();
            Letter::Stood(standings.read())
        }
        other => unreachable!("{other:?} is not asked of a member"),
    }
}

/// A worker's markets as bytes.
fn bytes_of(shards: &Shards) -> Vec<(ProductId, Vec<u8>)> {
    let mut all = Vec::new();
    shards.hold().each(|product, shard| all.push((product.clone(), saved::bytes(shard))));
    all
}

/// What the first process keeps of its cluster.
pub(super) struct Members {
    /// Workers in other processes.
    pub(super) count: usize,
    /// The threads of this process; joined, so that the others hear of a good end.
    guards: Option<WorkerGuards<()>>,
}

impl Members {
    pub(super) fn new(count: usize, guards: WorkerGuards<()>) -> Self {
        Self { count, guards: Some(guards) }
    }

    /// Waits for the workers of this process, which are about to end.
    pub(super) fn part(&mut self) {
        if let Some(guards) = self.guards.take() {
            drop(guards.join());
        }
    }
}
