//! A worker of the first process: it is told what to do, and answers.

use super::cluster::{self, Letter, Post};
use super::station::Station;
use super::{Changes, DemandKey, Output};
use crate::market::{Params, Tick};
use crate::saved::{SavedMarkets, Unreadable};
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex};
use timely::worker::Worker;

/// What a worker of this process is told to do.
#[derive(Clone)]
pub(super) enum Command {
    Step(Tick, Arc<Mutex<Option<Changes>>>),
    Restore(Tick, Arc<SavedMarkets>),
    Demand,
    /// Of the first worker: to ask those of other processes.
    Ask(Letter),
}

/// What it says.
pub(super) enum Answer {
    Restored(Result<(), Unreadable>),
    Decided(Vec<(Output, isize)>),
    Demand(BTreeMap<DemandKey, i64>),
    /// What a worker of another process said.
    Heard(Letter),
    Panicked(String),
}

/// A worker's letter box; the first worker tells those of other processes what to decide by.
pub(super) fn open_post(
    worker: &mut Worker,
    workers: usize,
    params: &Params,
    greedy: bool,
) -> Post {
    let mut post = Post::open(worker);
    if worker.index() == 0 {
        let begin = Letter::Begin(params.clone(), greedy);
        (workers..worker.peers()).for_each(|member| post.send(member, &begin));
    }
    post
}

/// A worker of this process.
pub(super) struct Serving {
    pub station: Station,
    /// To and from other processes, if there are any.
    pub post: Option<Post>,
    /// How many workers this process has.
    pub workers: usize,
}

impl Serving {
    /// One worker's life: a command at a time, until nobody sends any more.
    pub(super) fn serve(
        mut self,
        worker: &mut Worker,
        commands: Receiver<Command>,
        answer: &Sender<Answer>,
    ) {
        let (first, place) = (worker.index() == 0, (worker.index(), worker.peers()));
        while let Ok(command) = commands.recv() {
            match command {
                Command::Step(tick, changes) => {
                    if first
                        && let Some(changes) = changes.lock().expect("only this one locks").take()
                    {
                        self.station.feed(tick, changes);
                    }
                    self.station.close(tick);
                    while self.station.behind(tick) {
                        worker.step_or_park(None);
                    }
                    if first {
                        let _ = answer.send(Answer::Decided(self.station.take()));
                    }
                    self.station.shards().rest();
                }
                Command::Restore(done, markets) => {
                    let restored = self.station.shards().restore(place, done.0, &markets);
                    let _ = answer.send(Answer::Restored(restored));
                    self.pass_on(worker, answer, |member| {
                        let home = (member, place.1);
                        Letter::Restore(done.0, cluster::at_home(&markets, home))
                    });
                }
                Command::Demand => {
                    let _ = answer.send(Answer::Demand(self.station.demand()));
                    self.pass_on(worker, answer, |_| Letter::Demand);
                }
                Command::Ask(letter) => self.pass_on(worker, answer, |_| letter.clone()),
            }
        }
    }

    /// The first worker asks all of other processes, and tells what they say.
    fn pass_on(
        &mut self,
        worker: &mut Worker,
        answer: &Sender<Answer>,
        letter: impl Fn(usize) -> Letter,
    ) {
        let Some(post) = self.post.as_mut().filter(|_| worker.index() == 0) else { return };
        let members = self.workers..worker.peers();
        members.clone().for_each(|member| post.send(member, &letter(member)));
        for _ in members {
            let _ = answer.send(Answer::Heard(post.wait(worker)));
        }
    }
}
