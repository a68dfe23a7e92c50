//! Where a worker's time goes, by operator: timely's own log, added up in place.
//!
//! The times are timely's; nothing of the engine's reads them, so they decide nothing.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;
use timely::logging::{StartStop, TimelyEvent, TimelyEventBuilder};
use timely::worker::Worker;

/// What one operator has used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Its name.
    pub name: String,
    /// Time inside it, without operators inside it.
    pub own: Duration,
    /// How often it ran.
    pub calls: u64,
}

/// The usage of every operator of one worker.
#[derive(Debug, Clone, Default)]
pub struct Profile(Rc<RefCell<Tally>>);

#[derive(Debug, Default)]
struct Tally {
    operators: BTreeMap<usize, Usage>,
    /// Operators that are running, outermost first: which, since when, and time inside inner ones.
    running: Vec<(usize, Duration, Duration)>,
}

impl Profile {
    /// Begins to add up what this worker does; does nothing for a worker without a clock.
    pub fn watch(&self, worker: &mut Worker) {
        let tally = self.0.clone();
        if let Some(mut register) = worker.log_register() {
            register.insert::<TimelyEventBuilder, _>("timely", move |_, events| {
                let mut tally = tally.borrow_mut();
                for (at, event) in events.iter_mut().flatten() {
                    tally.note(*at, event);
                }
            });
        }
    }

    /// Every operator that has run, the one with the most time of its own first.
    pub fn usage(&self) -> Vec<Usage> {
        let mut all: Vec<Usage> = self.0.borrow().operators.values().cloned().collect();
        all.retain(|usage| usage.calls > 0);
        all.sort_by(|a, b| b.own.cmp(&a.own).then_with(|| a.name.cmp(&b.name)));
        all
    }
}

impl Tally {
    fn note(&mut self, at: Duration, event: &TimelyEvent) {
        match event {
            TimelyEvent::Operates(operates) => {
                self.operators.entry(operates.id).or_default().name = operates.name.clone();
            }
            TimelyEvent::Schedule(schedule) if schedule.start_stop == StartStop::Start => {
                self.running.push((schedule.id, at, Duration::ZERO));
            }
            TimelyEvent::Schedule(_) => {
                let Some((id, since, inner)) = self.running.pop() else { return };
                let whole = at.saturating_sub(since);
                let usage = self.operators.entry(id).or_default();
                usage.own += whole.saturating_sub(inner);
                usage.calls += 1;
                if let Some(outer) = self.running.last_mut() {
                    outer.2 += whole;
                }
            }
            _ => {}
        }
    }
}
