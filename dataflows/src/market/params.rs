//! What an engine is told once: the parameters that decisions depend on.

use super::{Invalid, Resolution, SlotLength, Tick, Time, limits};
use serde::{Deserialize, Serialize};

/// About how many steps of upkeep are as much work as all that is tried for a change of an intent.
const STEPS_A_CHANGE: u64 = 1_500;

/// The parameters of an engine. Two engines with equal parameters and equal logs decide equally.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Params {
    /// How long a slot is.
    pub slot: SlotLength,
    /// What a kilometre costs a buyer, in minor units, 0 to 1,000,000 (R3).
    pub travel_cost_per_km: i64,
    /// How long a tick of logical time is, in milliseconds, 1 to 60,000.
    pub tick_ms: i64,
    /// How long before its slot a window locks, in minutes, where its offer does not say.
    pub lead_minutes: u32,
    /// How long a window must hold before it is proposed, and the least time between two of its
    /// revisions, in milliseconds.
    pub settle_ms: i64,
    /// The bonus for staying in an announced window, in millionths of the list price (R9).
    pub stay_bonus_ppm: i64,
    /// The H3 resolution that intents and stores are bucketed by; it changes no decision.
    pub resolution: Resolution,
    /// How far ahead of the start of its record's tick an interval may reach, in days.
    pub horizon_days: u32,
    /// How far one record may move time forward, in days, from the start of a tick to a tick.
    pub jump_days: u32,
    /// How many steps of upkeep (candidates looked at) all markets together may take in a millisecond of
    /// logical time; 0: none.
    pub upkeep_steps: u64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            slot: SlotLength::default(),
            travel_cost_per_km: 20,
            tick_ms: 250,
            lead_minutes: 20,
            settle_ms: 2_000,
            stay_bonus_ppm: 10_000,
            resolution: Resolution::default(),
            horizon_days: 14,
            jump_days: 31,
            upkeep_steps: 15_000,
        }
    }
}

impl Params {
    /// The same parameters, if every one of them is in its range.
    ///
    /// # Errors
    /// The first that is not, by name.
    pub fn checked(self) -> Result<Self, Invalid> {
        let check = |field: &str, value: i64, least: i64, most: i64| {
            if (least..=most).contains(&value) {
                Ok(())
            } else {
                Err(Invalid::new(field, value, format!("must be {least} to {most}")))
            }
        };
        check("travel_cost_per_km", self.travel_cost_per_km, 0, 1_000_000)?;
        check("tick_ms", self.tick_ms, 1, 60_000)?;
        check("lead_minutes", self.lead_minutes as i64, 0, limits::MAX_LEAD_MINUTES as i64)?;
        check("settle_ms", self.settle_ms, 0, 3_600_000)?;
        check("stay_bonus_ppm", self.stay_bonus_ppm, 0, 1_000_000)?;
        check("horizon_days", self.horizon_days as i64, 1, 60)?;
        check("jump_days", self.jump_days as i64, 1, 3_660)?;
        let upkeep_steps = i64::try_from(self.upkeep_steps).unwrap_or(i64::MAX);
        check("upkeep_steps", upkeep_steps, 0, limits::MAX_UPKEEP_STEPS as i64)?;
        Ok(self)
    }

    /// The tick that holds the instant.
    pub fn tick(&self, time: Time) -> Tick {
        Tick(time.0.div_euclid(self.tick_ms).max(0) as u64)
    }

    /// When the tick starts: the instant that its decisions are dated.
    pub fn start(&self, tick: Tick) -> Time {
        Time(tick.0 as i64 * self.tick_ms)
    }

    /// The first tick that starts at the instant or later.
    pub fn tick_from(&self, time: Time) -> Tick {
        Tick(-((-time.0).div_euclid(self.tick_ms)) as u64)
    }

    /// Whether so many differences of intents (one for who comes or leaves, two for who is edited, answered
    /// for or announced) are more in one tick than can all be tried for: their trials would take more steps
    /// than upkeep may take in a tick's time, and are left to that.
    pub fn is_crowded(&self, changes: u64) -> bool {
        let paid_for = self.upkeep_steps.saturating_mul(self.tick_ms.unsigned_abs());
        paid_for > 0 && changes.saturating_mul(STEPS_A_CHANGE) > paid_for
    }

    /// R3: what the way costs a buyer, once per intent.
    pub fn travel(&self, distance_m: u32) -> i64 {
        self.travel_cost_per_km * distance_m as i64 / 1000
    }

    /// When a window in this slot locks, given its offer's own lead time.
    pub fn lock_at(&self, slot: super::Slot, lead_minutes: Option<u32>) -> Time {
        let lead = lead_minutes.unwrap_or(self.lead_minutes);
        self.slot.start(slot).plus_ms(-(lead as i64) * 60_000)
    }

    /// R9: the bonus for staying, given the offer's list price.
    pub fn stay_bonus(&self, list_price: super::Money) -> i64 {
        list_price.minor() * self.stay_bonus_ppm / 1_000_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_crowded_if_upkeep_in_its_time_would_not_pay_for_its_changes() {
        let params = Params { tick_ms: 10, ..Params::default() };
        assert!(!params.is_crowded(100) && params.is_crowded(101));
        let slower = Params { tick_ms: 250, ..Params::default() };
        assert!(!slower.is_crowded(2_500) && slower.is_crowded(2_501));
        let never = Params { upkeep_steps: 0, ..Params::default() };
        assert!(!never.is_crowded(u64::MAX), "nothing would ever try what is left out");
    }
}
