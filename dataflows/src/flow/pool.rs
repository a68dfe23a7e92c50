//! Workers: one in the caller's thread, several in threads of their own, or in several processes.
//!
//! One worker needs no thread: the caller steps it. Several are timely's own; the first of them
//! takes all changes in and gives all decisions out. What comes out is the same either way.

use super::cluster::{self, Cluster, Letter, Members};
use super::placement::{Balance, Move, Routes, moves};
use super::serving::{Answer, Command, Serving, open_post};
use super::station::{Shape, Station};
use super::{Changes, DemandKey, Holding, Output, Place, Profile, Shards, Standing, Standings};
use crate::market::{Params, ProductId, Tick};
use crate::saved::{SavedMarkets, Unreadable};
use crate::solver::Market;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use timely::WorkerConfig;
use timely::communication::{Allocator, allocator};
use timely::worker::Worker;

/// Who runs a dataflow.
pub enum Crew {
    /// That many workers of this process, at least one.
    Threads(usize),
    /// All workers of a cluster; this is its first process.
    Cluster(Cluster),
}

impl Crew {
    /// In how many processes it is.
    pub fn processes(&self) -> usize {
        match self {
            Crew::Threads(_) => 1,
            Crew::Cluster(cluster) => cluster.processes,
        }
    }
}

impl From<usize> for Crew {
    fn from(workers: usize) -> Self {
        Crew::Threads(workers)
    }
}

/// The dataflow and the workers that run it.
pub struct Flow {
    workers: Workers,
    /// The markets, by worker.
    shards: Vec<Shards>,
    standings: Standings,
    routes: Routes,
    balance: Balance,
    /// Whether loads are to be compared before the next tick.
    uneven: bool,
}

enum Workers {
    Here(Box<(Worker, Station)>),
    Threads {
        commands: Vec<Sender<Command>>,
        answers: Receiver<Answer>,
        /// The workers of other processes, if there are any.
        members: Option<Members>,
    },
}

impl Flow {
    /// Starts the workers.
    pub fn start(params: &Params, crew: impl Into<Crew>) -> Self {
        Self::watched(params, crew, Standings::default())
    }

    /// The same; how the markets stand is noted in `standings`.
    ///
    /// **Panics** if threads do not start.
    pub fn watched(params: &Params, crew: impl Into<Crew>, standings: Standings) -> Self {
        match crew.into() {
            Crew::Threads(0 | 1) => Self::here(params, Shape::Incremental, standings),
            Crew::Threads(workers) => {
                let config = timely::CommunicationConfig::Process(workers);
                let (builders, guard) = config.try_build().expect("threads need nothing");
                let (process, processes) = (0, 1);
                let alone = Cluster { builders, guard, workers, process, processes };
                Self::threads(params, alone, standings)
            }
            Crew::Cluster(cluster) => Self::threads(params, cluster, standings),
        }
    }

    /// One worker in the caller's thread, profiled: `now` is where its log's times begin.
    #[allow(clippy::disallowed_types, reason = "handed on to timely's log; nothing here reads it")]
    pub fn profiled(
        params: &Params,
        now: std::time::Instant,
        standings: Standings,
    ) -> (Self, Profile) {
        let alone = Allocator::Thread(allocator::Thread::default());
        let mut worker = Worker::new(WorkerConfig::default(), alone, Some(now));
        let profile = Profile::default();
        profile.watch(&mut worker);
        (Self::on(worker, params, Shape::Incremental, standings), profile)
    }

    /// The reference, on one worker in the caller's thread: for tests.
    pub fn reference(params: &Params) -> Self {
        Self::here(params, Shape::Reference, Standings::default())
    }

    fn here(params: &Params, shape: Shape, standings: Standings) -> Self {
        let alone = Allocator::Thread(allocator::Thread::default());
        Self::on(Worker::new(WorkerConfig::default(), alone, None), params, shape, standings)
    }

    fn on(mut worker: Worker, params: &Params, shape: Shape, standings: Standings) -> Self {
        let place = Place { shards: Shards::new(standings.clone()), ..Place::default() };
        let station = Station::build(&mut worker, params, shape, &place);
        Self::with(Workers::Here(Box::new((worker, station))), &[place], standings)
    }

    fn with(workers: Workers, places: &[Place], standings: Standings) -> Self {
        let routes = places[0].routes.clone();
        let shards = places.iter().map(|place| place.shards.clone()).collect();
        let (balance, uneven) = (Balance::default(), false);
        Self { workers, shards, standings, routes, balance, uneven }
    }

    fn threads(params: &Params, cluster: Cluster, standings: Standings) -> Self {
        let Cluster { workers, processes, .. } = cluster;
        let elsewhere = workers * (processes - 1);
        let (answer, answers) = channel();
        let (mut commands, mut receivers) = (Vec::new(), Vec::new());
        for _ in 0..workers {
            let (sender, receiver) = channel();
            commands.push(sender);
            receivers.push(Some(receiver));
        }
        let ends = Arc::new(Mutex::new((receivers, answer)));
        let params = params.clone();
        let routes = Routes::default();
        let shards = || Shards::new(standings.clone());
        let place = |_| Place { shards: shards(), routes: routes.clone() };
        let places: Vec<Place> = (0..workers).map(place).collect();
        let (all, greedy) = (places.clone(), standings.greedy());
        let guards = cluster::start(cluster, move |worker| {
            let (receiver, answer) = {
                let mut ends = ends.lock().expect("no worker panics while it takes its end");
                let receiver = ends.0[worker.index()].take().expect("one end a worker");
                (receiver, ends.1.clone())
            };
            // A panicking worker must not leave the others waiting for ever: it says so.
            let run = catch_unwind(AssertUnwindSafe(|| {
                let place = &all[worker.index()];
                let post = (elsewhere > 0).then(|| open_post(worker, workers, &params, greedy));
                let station = Station::build(worker, &params, Shape::Incremental, place);
                Serving { station, post, workers }.serve(worker, receiver, &answer)
            }));
            if let Err(panic) = run {
                let text = panic
                    .downcast_ref::<String>()
                    .cloned()
                    .or_else(|| panic.downcast_ref::<&str>().map(|s| s.to_string()))
                    .unwrap_or_else(|| "a worker panicked".to_string());
                // Nobody left to tell means that the engine is gone already.
                let _ = answer.send(Answer::Panicked(text));
                std::panic::resume_unwind(panic);
            }
        });
        let guards = guards.expect("threads start");
        let members = if elsewhere > 0 {
            Some(Members::new(elsewhere, guards))
        } else {
            // The guards would block when dropped; the workers end when their commands do.
            std::mem::forget(guards);
            None
        };
        Self::with(Workers::Threads { commands, answers, members }, &places, standings)
    }

    /// Takes in the changes of a tick, runs until it is complete, and returns what it changed in
    /// the windows and certificates.
    ///
    /// **Contract** ticks rise.
    /// **Panics** if a worker panicked, with its message.
    pub fn step(&mut self, tick: Tick, changes: Changes) -> Vec<(Output, isize)> {
        if std::mem::take(&mut self.uneven) {
            self.level();
        }
        match &mut self.workers {
            Workers::Here(here) => {
                let (worker, station) = here.as_mut();
                station.feed(tick, changes);
                station.close(tick);
                while station.behind(tick) {
                    worker.step();
                }
                station.take()
            }
            Workers::Threads { commands, answers, members } => {
                let came: i64 = changes.intents.iter().map(|intent| intent.1 as i64).sum();
                let changes = Arc::new(Mutex::new(Some(changes)));
                for command in commands.iter() {
                    // A dead worker has sent its message, which the answer below is.
                    let _ = command.send(Command::Step(tick, changes.clone()));
                }
                let decided = match answers.recv() {
                    Ok(Answer::Decided(decided)) => decided,
                    Ok(Answer::Panicked(message)) => panic!("a worker panicked: {message}"),
                    Ok(_) | Err(_) => panic!("the workers are gone"),
                };
                // Between processes no market moves; and now the workers rest.
                self.uneven = members.is_none() && self.balance.is_due(came);
                decided
            }
        }
    }

    /// Keeps the markets up, as the last tick has it, while nobody waits for anything: between ticks. Workers
    /// in threads of their own do so anyway, and so does the next tick where nobody has.
    pub fn rest(&self) {
        if let Workers::Here(here) = &self.workers {
            here.1.shards().rest();
        }
    }

    /// Waits until the markets of this process are kept up.
    ///
    /// **Panics** if a worker panicked.
    pub fn end_rest(&self) {
        drop(self.hold());
    }

    /// All markets of this process, between ticks, for as long as they are held: the workers wait.
    pub(crate) fn hold(&self) -> Vec<Holding<'_>> {
        self.shards.iter().map(Shards::hold).collect()
    }

    /// Brings back markets that were saved after tick `done`, and what they were made of.
    ///
    /// # Errors
    /// They are not what [`Engine::save`](crate::engine::Engine::save) wrote.
    ///
    /// **Contract** nothing has come in yet.
    /// **Panics** if a worker panicked, with its message.
    pub fn restore(
        &mut self,
        done: Tick,
        markets: SavedMarkets,
        everything: Changes,
    ) -> Result<(), Unreadable> {
        let mut restored = Ok(());
        match &mut self.workers {
            Workers::Here(here) => {
                restored = here.1.shards().restore((0, 1), done.0, &markets);
            }
            Workers::Threads { .. } => {
                let command = Command::Restore(done, Arc::new(markets));
                self.ask(&command, |answer| match answer {
                    Answer::Restored(part) | Answer::Heard(Letter::Restored(part)) => {
                        restored = restored.clone().and(part);
                    }
                    _ => unreachable!("what was asked for is answered"),
                });
            }
        }
        restored?;
        let outputs = self.step(done, everything);
        debug_assert!(outputs.is_empty(), "what is in the markets already changes nothing");
        Ok(())
    }

    /// Asks every worker, wherever it is.
    fn ask(&self, command: &Command, hear: impl FnMut(Answer)) {
        let Workers::Threads { commands, members, .. } = &self.workers else { return };
        for sender in commands {
            let _ = sender.send(command.clone());
        }
        let elsewhere = members.as_ref().map_or(0, |members| members.count);
        self.hear(commands.len() + elsewhere, hear);
    }

    /// Asks every worker of another process.
    fn ask_members(&self, letter: Letter, mut hear: impl FnMut(Letter)) {
        let Workers::Threads { commands, members: Some(members), .. } = &self.workers else {
            return;
        };
        let _ = commands[0].send(Command::Ask(letter));
        self.hear(members.count, |answer| match answer {
            Answer::Heard(letter) => hear(letter),
            _ => unreachable!("what was asked for is answered"),
        });
    }

    fn hear(&self, answers_due: usize, mut hear: impl FnMut(Answer)) {
        let Workers::Threads { answers, .. } = &self.workers else { return };
        for _ in 0..answers_due {
            match answers.recv() {
                Ok(Answer::Panicked(message)) => panic!("a worker panicked: {message}"),
                Ok(answer) => hear(answer),
                Err(_) => panic!("the workers are gone"),
            }
        }
    }

    /// How the markets stand, by product: over time as they were when they were settled, else as they are.
    ///
    /// **Panics** if a worker panicked.
    pub fn standings(&self) -> BTreeMap<ProductId, Standing> {
        self.end_rest();
        self.standings.begin_anew();
        self.shards.iter().for_each(Shards::renew);
        let mut all = self.standings.read();
        self.ask_members(Letter::Stand, |letter| match letter {
            Letter::Stood(part) => all.extend(part),
            _ => unreachable!("what was asked for is answered"),
        });
        all
    }

    /// The markets of other processes, as bytes: this one waits until it has them.
    pub(crate) fn elsewhere(&self) -> Vec<(ProductId, Vec<u8>)> {
        let mut all = Vec::new();
        self.ask_members(Letter::Save, |letter| match letter {
            Letter::Saved(part) => all.extend(part),
            _ => unreachable!("what was asked for is answered"),
        });
        all
    }

    /// Moves markets until the workers have about the same to do, as far as whole markets allow.
    ///
    /// **Contract** between ticks.
    /// **Cost** in proportion to the offers.
    fn level(&self) {
        let mut workers = self.hold();
        let loads = workers.iter().map(|held| held.loads().collect()).collect();
        for Move { product, from, to } in moves(loads) {
            let shard = workers[from].take(&product);
            workers[to].put(product.clone(), shard);
            self.routes.note(&product, to);
        }
    }

    /// How many markets have been moved from the worker of their hash to another one.
    pub fn moved(&self) -> usize {
        self.routes.moved()
    }

    /// Live intents per (product, cell, slot), as of the last tick.
    ///
    /// **Panics** if a worker panicked, with its message.
    pub fn demand(&mut self) -> BTreeMap<DemandKey, i64> {
        let mut sums = BTreeMap::new();
        match &mut self.workers {
            Workers::Here(here) => sums = here.1.demand(),
            Workers::Threads { .. } => self.ask(&Command::Demand, |answer| match answer {
                Answer::Demand(part) | Answer::Heard(Letter::Demanded(part)) => sums.extend(part),
                _ => unreachable!("what was asked for is answered"),
            }),
        }
        sums
    }

    /// Shows every market of this process as it is, between ticks: with one worker, which waits for
    /// [`Flow::rest`], as the last tick has left it.
    pub fn each_market_as_it_is(&self, mut show: impl FnMut(&ProductId, &Market)) {
        self.shards.iter().for_each(|shards| shards.each_as_it_is(&mut show));
    }

    /// Shows every market of this process, kept up, between ticks.
    pub fn each_market(&self, mut show: impl FnMut(&ProductId, &Market)) {
        self.shards.iter().for_each(|shards| shards.each(&mut show));
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        if let Workers::Threads { commands, members: Some(members), .. } = &mut self.workers {
            commands.clear();
            members.part();
        }
    }
}
