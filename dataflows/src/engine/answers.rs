//! What buyers answer to windows, and what they did.

use super::book::Book;
use super::life::Life;
use crate::market::{Answer, Attendance, EventId, IntentId, Invalid, Outcome, State, WindowKey};

impl Life {
    /// A buyer's answer.
    pub(super) fn reply(
        &mut self,
        book: &mut Book,
        id: &str,
        intent: &IntentId,
        event: EventId,
        revision: u64,
        answer: Answer,
    ) -> Outcome {
        let Some(key) = self.ids.get(id).cloned() else {
            return Invalid::named("window", id, "unknown window").into();
        };
        let window = self.windows.get_mut(&key).expect("an id has its window");
        if window.said().events.contains(&event) {
            return Outcome::Duplicate;
        }
        match window.state {
            State::Locked | State::Active | State::Closed | State::Cancelled => {
                return Outcome::Late;
            }
            State::Withdrawn | State::Forming => return Outcome::Superseded,
            State::Proposed => {}
        }
        if revision > window.revision {
            return Invalid::new("revision", revision, "no such revision of the window").into();
        }
        let product = book.intent(intent).map(|entry| &entry.intent.product);
        match answer {
            // What is wanted now is another product, or nothing.
            Answer::Accept if product != Some(&key.product) => return Outcome::Superseded,
            Answer::Decline if product.is_none() => {
                return Invalid::named("intent", intent, "no such live intent").into();
            }
            _ => {}
        }
        let announced = window.announced.as_ref().expect("a proposed window is announced");
        match answer {
            Answer::Accept => {
                let price = window.prices.iter().find(|p| p.0 == revision).map(|p| p.1);
                let holds = price.filter(|p| *p >= announced.quote.unit);
                let Some(price) = holds.filter(|_| announced.has(intent)) else {
                    return Outcome::Superseded;
                };
                let said = window.hear();
                said.accepted.insert(intent.clone());
                said.released.remove(intent);
                book.pin(intent, &key, price);
            }
            Answer::Decline => {
                if let Err(refused) = book.decline(intent, &key) {
                    return refused.into();
                }
                let is_seated = announced.has(intent);
                let said = window.hear();
                said.accepted.remove(intent);
                if is_seated {
                    said.declined.insert(intent.clone());
                }
            }
        }
        window.hear().events.insert(event);
        self.pending.insert(WindowKey::clone(&key));
        Outcome::Applied
    }

    /// What a buyer of a locked window did.
    pub(super) fn arrival(
        &mut self,
        id: &str,
        intent: &IntentId,
        event: EventId,
        _attendance: Attendance,
    ) -> Outcome {
        let Some(key) = self.ids.get(id) else {
            return Invalid::named("window", id, "unknown window").into();
        };
        let window = self.windows.get_mut(key).expect("an id has its window");
        if window.said().events.contains(&event) {
            return Outcome::Duplicate;
        }
        if !matches!(window.state, State::Locked | State::Active | State::Closed) {
            return Invalid::named("window", id, "the window is not locked").into();
        }
        let member = window.announced.as_ref().is_some_and(|a| a.has(intent));
        if !member {
            return Invalid::named("intent", intent, "not a member of the window").into();
        }
        window.hear().events.insert(event);
        Outcome::Applied
    }
}
