//! A town of one or two stores, and what happens in it, told in lines: `clock what whom name=value ...`.

use crate::support::inbound;
use connectors::wire::{Arrival, Clock, Intent, Offer, Record, Reply, Stock, Store, Tier};
use dataflows::flow::Standings;
use dataflows::market::Params;
use iceshop::run::pipeline::{Pipeline, Produce};
use iceshop::translate::Dating;
use std::collections::BTreeMap;

const DAY: &str = "2026-06-12";

/// What is said of something beyond the usual: `name=value`.
type Words<'a> = BTreeMap<&'a str, &'a str>;

pub(super) struct Town {
    pub(super) pipeline: Pipeline,
    sequence: u64,
    versions: BTreeMap<String, u64>,
    pub(super) told: Produce,
}

impl Town {
    pub(super) fn new() -> Self {
        let pipeline = Pipeline::new(Params::default(), 1, Dating::Required, Standings::default());
        let (versions, told) = (BTreeMap::new(), Produce::default());
        let mut town = Self { pipeline, sequence: 0, versions, told };
        town.happens("08:00:00 store s1");
        town.happens("08:00:00 offer s1");
        town
    }

    fn version(&mut self, key: &str) -> u64 {
        let version = self.versions.entry(key.to_string()).or_default();
        *version += 1;
        *version
    }

    /// `clock what whom name=value ...`
    pub(super) fn happens(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (clock, what, whom) = (words[0], words[1], words.get(2).copied().unwrap_or(""));
        let more: Words = words.iter().skip(3).map(|word| word.split_once('=').unwrap()).collect();
        let record = match what {
            "store" => self.store(whom, &more),
            "offer" => self.offer(whom, &more),
            "stock" => self.stock(whom, &more),
            "intent" => self.intent(whom, &more),
            "cancel" => {
                let version = more.get("version").map(|n| n.parse().unwrap());
                let version = version.unwrap_or_else(|| self.version(whom));
                let (id, cancel) = (whom.to_string(), Some(true));
                Record::Intent(Intent { id, version, cancel, ..Default::default() })
            }
            "accept" | "decline" => self.reply(what, whom, &more),
            "bought" | "absent" => self.arrival(what, whom, &more),
            "clock" => Record::Clock(Clock {}),
            other => panic!("nothing is called {other}"),
        };
        self.sequence += 1;
        let produce = self.pipeline.take(vec![inbound(self.sequence, &time(clock), record)]);
        self.tell(produce);
    }

    fn tell(&mut self, produce: Produce) {
        self.told.decisions.extend(produce.decisions);
        self.told.receipts.extend(produce.receipts);
    }

    fn store(&mut self, id: &str, more: &Words) -> Record {
        // A thousandth of a degree to the north is 111 metres.
        let lat = 48.86 + if id == "s1" { 0.0 } else { 0.001 };
        Record::Store(Store {
            id: id.to_string(),
            version: self.version(id),
            name: id.to_uppercase(),
            lat,
            lng: 2.35,
            timezone: "UTC".to_string(),
            hours: more.get("hours").map_or("24/7".into(), |hours| hours.replace('_', " ")),
            closed_dates: None,
            paused: more.get("paused").map(|paused| *paused == "yes"),
        })
    }

    fn offer(&mut self, store: &str, more: &Words) -> Record {
        let number = |name: &str| more.get(name).map(|n| n.parse::<i64>().unwrap());
        let tier = |min_buyers, price| Tier { min_buyers, price };
        let value = number("nine").map(|value| [(time("09:00:00"), value)].into());
        Record::Offer(Offer {
            store: store.to_string(),
            product: "latte".to_string(),
            version: self.version(&format!("{store} offer")),
            list_price: 1_000,
            tiers: vec![tier(2, 900), tier(3, 800)],
            stock: Some(number("stock").unwrap_or(100)),
            max_group: number("max"),
            visit_value: number("visit"),
            slot_values: value,
            lead_minutes: number("lead"),
            withdrawn: more.get("withdrawn").map(|withdrawn| *withdrawn == "yes"),
        })
    }

    fn stock(&mut self, store: &str, more: &Words) -> Record {
        Record::Stock(Stock {
            store: store.to_string(),
            product: "latte".to_string(),
            version: self.version(&format!("{store} stock")),
            units: Some(more["units"].parse().unwrap()),
            ..Default::default()
        })
    }

    fn intent(&mut self, id: &str, more: &Words) -> Record {
        let from = time(more.get("from").unwrap_or(&"09:00:00"));
        let until = time(more.get("until").unwrap_or(&"09:20:00"));
        let version = more.get("version").map(|n| n.parse().unwrap());
        Record::Intent(Intent {
            id: id.to_string(),
            version: version.unwrap_or_else(|| self.version(id)),
            buyer: Some(id.replace('i', "b")),
            product: Some("latte".to_string()),
            lat: Some(48.8595),
            lng: Some(2.35),
            available: Some(vec![[from, until]]),
            budget: Some(more.get("budget").map_or(950, |n| n.parse().unwrap())),
            expires: more.get("expires").map(|clock| time(clock)),
            ..Default::default()
        })
    }

    fn reply(&mut self, answer: &str, intent: &str, more: &Words) -> Record {
        Record::Reply(Reply {
            window: window(more),
            revision: more.get("revision").map_or(1, |n| n.parse().unwrap()),
            intent: intent.to_string(),
            answer: answer.to_string(),
            event: more.get("event").map_or(format!("e{}", self.sequence), |e| e.to_string()),
        })
    }

    fn arrival(&mut self, outcome: &str, intent: &str, more: &Words) -> Record {
        Record::Arrival(Arrival {
            window: window(more),
            intent: intent.to_string(),
            outcome: outcome.to_string(),
            event: format!("e{}", self.sequence),
        })
    }
}

fn window(more: &Words) -> String {
    // 09:00 in minutes since 1970.
    format!("{}_latte_29687580", more.get("at").unwrap_or(&"s1"))
}

fn time(clock: &str) -> String {
    format!("{DAY}T{clock}Z")
}

/// What the day's script brings forth.
pub(super) fn day(script: &[&str]) -> Produce {
    let mut town = Town::new();
    for line in script {
        town.happens(line);
    }
    let last = town.pipeline.finish();
    town.tell(last);
    town.told
}
