//! Draws a stream: few products, stores, slots and buyers, so that everything collides.

use super::Run;
use super::law::{INTENTS, PRODUCTS, STORES};
use crate::support::Dice;
use connectors::wire::{Arrival, Clock, Intent, Offer, Record, Reply, Stock, Store, Tier};
use dataflows::market::{Params, Resolution, SlotLength, State};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// 2026-06-12T08:00:00Z, the start of a slot.
const START_MS: i64 = 1_781_251_200_000;
const SLOT_MS: i64 = 20 * 60_000;
/// Availability lies in this many slots from the start.
const SLOTS: i64 = 6;

/// So few that hardly any tick has the time to try what may be gained.
pub(super) const IN_HASTE: u64 = 1;

/// One random stream, through the engine up to its end.
pub(super) fn live(seed: u64) -> Run {
    live_with(seed, Params::default().upkeep_steps)
}

/// The same with so many steps of upkeep.
pub(super) fn live_with(seed: u64, upkeep_steps: u64) -> Run {
    let dice = &mut Dice::new(seed);
    let mut stream = Stream { versions: BTreeMap::new(), events: 0, now: START_MS };
    let mut run = Run::new(Params { upkeep_steps, ..params(dice) });
    for n in 0..STORES {
        stream.put(&mut run, |stream| stream.store(dice, n));
        for p in 0..PRODUCTS {
            stream.put(&mut run, |stream| stream.offer(dice, n, p));
        }
    }
    for n in 0..dice.roll(3, INTENTS) {
        stream.put(&mut run, |stream| stream.intent(dice, n));
    }
    for _ in 0..dice.roll(20, 60) {
        stream.now += pause(dice);
        for _ in 0..dice.roll(1, 3) {
            let record = stream.record(dice, &run);
            run.put(&instant(stream.now), record);
        }
    }
    // Minute by minute would take long: what is due happens at its own tick all the same.
    for _ in 0..3 {
        stream.now += dice.roll(1, 4) * SLOT_MS / 2;
        run.put(&instant(stream.now), Record::Clock(Clock {}));
        let record = stream.record(dice, &run);
        run.put(&instant(stream.now), record);
    }
    stream.now += 8 * 3_600_000;
    run.put(&instant(stream.now), Record::Clock(Clock {}));
    run
}

fn params(dice: &mut Dice) -> Params {
    Params {
        slot: SlotLength::minutes(20).unwrap(),
        travel_cost_per_km: *dice.pick(&[0, 3, 10, 25]),
        tick_ms: *dice.pick(&[250, 250, 1_000, 7_000]),
        settle_ms: *dice.pick(&[0, 2_000, 2_000, 30_000]),
        stay_bonus_ppm: *dice.pick(&[0, 10_000, 100_000]),
        lead_minutes: *dice.pick(&[0, 20, 20, 30]),
        resolution: Resolution::new(dice.roll(7, 9) as u8).unwrap(),
        ..Params::default()
    }
}

/// How much time passes before the next records, in milliseconds.
fn pause(dice: &mut Dice) -> i64 {
    match dice.roll(0, 9) {
        0..=2 => dice.roll(0, 200),
        3..=5 => dice.roll(200, 3_000),
        6..=7 => dice.roll(2_000, 60_000),
        8 => dice.roll(1, 10) * 60_000,
        // Exactly onto a border, or one short of it.
        _ => SLOT_MS / 2 - dice.roll(0, 1),
    }
}

fn instant(ms: i64) -> String {
    Timestamp::from_millisecond(ms).unwrap().to_string()
}

/// What the stream has said so far.
struct Stream {
    /// The last version of everything.
    versions: BTreeMap<String, u64>,
    events: u64,
    now: i64,
}

impl Stream {
    fn put(&mut self, run: &mut Run, make: impl FnOnce(&mut Self) -> Record) {
        let record = make(self);
        run.put(&instant(self.now), record);
    }

    /// Mostly the next version; sometimes the last again, or an older one.
    fn version(&mut self, dice: &mut Dice, key: &str) -> u64 {
        let last = self.versions.entry(key.to_string()).or_default();
        match dice.roll(0, 19) {
            0 => (*last).max(1),
            1 => last.saturating_sub(1).max(1),
            _ => {
                *last += 1;
                *last
            }
        }
    }

    /// Mostly a new name; sometimes the last again.
    fn event(&mut self, dice: &mut Dice) -> String {
        self.events += dice.chance(95) as u64;
        format!("e{}", self.events)
    }

    /// Whatever comes next.
    fn record(&mut self, dice: &mut Dice, run: &Run) -> Record {
        let (n, store, product) =
            (dice.roll(0, INTENTS - 1), dice.roll(0, STORES - 1), dice.roll(0, PRODUCTS - 1));
        match dice.roll(0, 99) {
            0..=39 => self.intent(dice, n),
            40..=46 => self.cancel(dice, n),
            47..=52 => self.offer(dice, store, product),
            53..=56 => self.store(dice, store),
            57..=66 => self.stock(dice, store, product),
            67..=91 => self.answer(dice, run),
            _ => Record::Clock(Clock {}),
        }
    }

    fn intent(&mut self, dice: &mut Dice, n: i64) -> Record {
        let id = format!("i{n}");
        let (lat, lng) = place(dice);
        let version = self.version(dice, &id);
        let mut available = Vec::new();
        for _ in 0..if dice.chance(20) { 2 } else { 1 } {
            let from = dice.roll(0, SLOTS - 1);
            let until = dice.roll(from + 1, SLOTS);
            // Sometimes a minute late, which costs the first slot.
            let late = if dice.chance(10) { 60_000 } else { 0 };
            available.push([
                instant(START_MS + from * SLOT_MS + late),
                instant(START_MS + until * SLOT_MS),
            ]);
        }
        let lapses = START_MS + dice.roll(1, SLOTS * 20) * 60_000;
        Record::Intent(Intent {
            id,
            version,
            buyer: Some(format!("b{n}")),
            product: Some(format!("p{}", if dice.chance(75) { 0 } else { 1 })),
            lat: Some(lat),
            lng: Some(lng),
            available: Some(available),
            budget: Some(dice.roll(60, 120)),
            quantity: if dice.chance(60) { None } else { Some(dice.roll(1, 4)) },
            reach_m: Some(dice.roll(500, 3_000)),
            expires: dice.chance(15).then(|| instant(lapses)),
            cancel: None,
        })
    }

    fn cancel(&mut self, dice: &mut Dice, n: i64) -> Record {
        let id = format!("i{n}");
        let version = self.version(dice, &id);
        Record::Intent(Intent { id, version, cancel: Some(true), ..Default::default() })
    }

    fn store(&mut self, dice: &mut Dice, n: i64) -> Record {
        let id = format!("s{n}");
        // A store stays where it is, most of the time.
        let (lat, lng) =
            if dice.chance(10) { place(dice) } else { (48.86, 2.35 + n as f64 / 400.0) };
        let hours = dice.pick(&["24/7", "24/7", "Mo-Su 09:00-20:00", "Mo-Su 10:20-11:20"]);
        Record::Store(Store {
            version: self.version(dice, &id),
            name: format!("store {n}"),
            lat,
            lng,
            timezone: dice.pick(&["UTC", "Europe/Paris"]).to_string(),
            hours: hours.to_string(),
            closed_dates: dice.chance(3).then(|| vec!["2026-06-12".to_string()]),
            paused: dice.chance(12).then_some(true),
            id,
        })
    }

    fn offer(&mut self, dice: &mut Dice, store: i64, product: i64) -> Record {
        let (mut least, mut price, mut tiers) = (0, dice.roll(75, 100), Vec::new());
        for _ in 0..dice.roll(1, 3) {
            least += dice.roll(1, 2);
            tiers.push(Tier { min_buyers: least, price });
            price -= dice.roll(1, 20);
        }
        let worth = |dice: &mut Dice, t: i64| (instant(START_MS + t * SLOT_MS), dice.roll(0, 30));
        let valued: Vec<i64> = (0..SLOTS).filter(|_| dice.chance(15)).collect();
        let (store, product) = (format!("s{store}"), format!("p{product}"));
        Record::Offer(Offer {
            version: self.version(dice, &format!("{store}/{product}")),
            list_price: dice.roll(85, 115),
            tiers,
            stock: dice.chance(85).then(|| units(dice)),
            max_group: dice.chance(40).then(|| dice.roll(1, 5)),
            visit_value: dice.chance(30).then(|| dice.roll(0, 20)),
            slot_values: Some(valued.into_iter().map(|t| worth(dice, t)).collect()),
            lead_minutes: dice.chance(30).then(|| dice.roll(0, 60)),
            withdrawn: dice.chance(7).then_some(true),
            store,
            product,
        })
    }

    fn stock(&mut self, dice: &mut Dice, store: i64, product: i64) -> Record {
        let (store, product) = (format!("s{store}"), format!("p{product}"));
        let version = self.version(dice, &format!("{store}/{product} stock"));
        let mut stock = Stock { store, product, version, ..Default::default() };
        match dice.roll(0, 2) {
            0 => stock.units = Some(units(dice)),
            1 => stock.sold = Some(dice.roll(0, 6)),
            _ => stock.added = Some(dice.roll(0, 6)),
        }
        if stock.units.is_none() {
            stock.event = Some(self.event(dice));
        }
        Record::Stock(stock)
    }

    /// An answer to, or an arrival at, a window that was announced; rarely at none.
    fn answer(&mut self, dice: &mut Dice, run: &Run) -> Record {
        let event = self.event(dice);
        let announced: Vec<_> = run.last.values().collect();
        if announced.is_empty() || dice.chance(3) {
            let window = "s0_p0_1".to_string();
            let (intent, answer) = ("i0".to_string(), "accept".to_string());
            return Record::Reply(Reply { window, revision: 1, intent, answer, event });
        }
        let open: Vec<_> =
            announced.iter().copied().filter(|d| d.state == State::Proposed).collect();
        let of = if open.is_empty() || dice.chance(20) { &announced } else { &open };
        let decision = *dice.pick(of);
        let window = decision.window.id(run.params.slot);
        let members = &decision.members;
        let intent = if members.is_empty() || dice.chance(10) {
            format!("i{}", dice.roll(0, INTENTS - 1))
        } else {
            dice.pick(members).intent.to_string()
        };
        if !matches!(decision.state, State::Proposed) && dice.chance(70) {
            let outcome = dice.pick(&["bought", "absent"]).to_string();
            return Record::Arrival(Arrival { window, intent, outcome, event });
        }
        let answer = if dice.chance(70) { "accept" } else { "decline" }.to_string();
        let revision = if dice.chance(85) {
            decision.revision
        } else {
            dice.roll(0, decision.revision as i64 + 1) as u64
        };
        Record::Reply(Reply { window, revision, intent, answer, event })
    }
}

fn place(dice: &mut Dice) -> (f64, f64) {
    (48.85 + dice.roll(0, 20_000) as f64 / 1e6, 2.35 + dice.roll(0, 20_000) as f64 / 1e6)
}

fn units(dice: &mut Dice) -> i64 {
    match dice.roll(0, 9) {
        0 => 0,
        1..=5 => dice.roll(1, 9),
        _ => 100,
    }
}
