//! The engine's parameters as flags, shared by every command that decides or checks.
//!
//! Every default is [`Params::default`]'s, so a flag that is not given changes nothing. A log that
//! was decided with other parameters can only be checked with those.

use clap::Args;
use dataflows::market::{Invalid, Params, Resolution, SlotLength};

/// The parameters that decisions depend on.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "Engine parameters (equal parameters and equal logs decide equally)")]
pub struct ParamArgs {
    /// How long a visiting slot is, in minutes; it must divide a day of 1440. Shorter slots fit
    /// buyers more exactly but split them into smaller groups.
    #[arg(long, value_name = "MINUTES", default_value_t = Params::default().slot.as_minutes())]
    pub slot_minutes: u32,
    /// What a kilometre of the way costs a buyer, in minor units of the currency, 0 to 1000000. It
    /// is set against the saving: nobody is sent farther than the discount is worth.
    #[arg(long, value_name = "MINOR", default_value_t = Params::default().travel_cost_per_km)]
    pub travel_cost_per_km: i64,
    /// How long a tick of logical time is, in milliseconds, 1 to 60000. Records of one tick are
    /// taken together, so their order within it decides nothing.
    #[arg(long, value_name = "MS", default_value_t = Params::default().tick_ms)]
    pub tick_ms: i64,
    /// How long before its slot a window locks, in minutes, where the offer does not say: from then
    /// on group and price are final.
    #[arg(long, value_name = "MINUTES", default_value_t = Params::default().lead_minutes)]
    pub lead_minutes: u32,
    /// How long a window must hold before it is announced, and the least time between two of its
    /// revisions, in milliseconds. Longer is calmer, shorter is quicker.
    #[arg(long, value_name = "MS", default_value_t = Params::default().settle_ms)]
    pub settle_ms: i64,
    /// What staying in an announced window is worth, in millionths of the list price: plans change
    /// only for more than that. 0 turns it off.
    #[arg(long, value_name = "PPM", default_value_t = Params::default().stay_bonus_ppm)]
    pub stay_bonus_ppm: i64,
    /// The H3 resolution by which buyers and stores are bucketed, 0 to 15. It changes the speed and
    /// no decision.
    #[arg(long, value_name = "RESOLUTION", default_value_t = default_resolution())]
    pub h3_resolution: u8,
    /// How far ahead of its record an availability may reach, in days; a record that reaches
    /// farther is invalid.
    #[arg(long, value_name = "DAYS", default_value_t = Params::default().horizon_days)]
    pub horizon_days: u32,
    /// How far one record may move time forward, in days; one that would move it farther is
    /// invalid, so that a wrong date does not end every window.
    #[arg(long, value_name = "DAYS", default_value_t = Params::default().jump_days)]
    pub jump_days: u32,
    /// How many steps of background work all markets together may take for a millisecond of logical
    /// time: more of them make better groupings and tighter bounds of the same log, and cost more CPU.
    /// Half a core does about 15000 while it passes; 0 turns that work off.
    #[arg(long, value_name = "STEPS", default_value_t = Params::default().upkeep_steps)]
    pub upkeep_steps: u64,
}

/// The default resolution as the number that it is.
fn default_resolution() -> u8 {
    (0..=15).find(|&n| Resolution::new(n) == Ok(Resolution::default())).unwrap_or(8)
}

impl Default for ParamArgs {
    fn default() -> Self {
        let params = Params::default();
        Self {
            slot_minutes: params.slot.as_minutes(),
            travel_cost_per_km: params.travel_cost_per_km,
            tick_ms: params.tick_ms,
            lead_minutes: params.lead_minutes,
            settle_ms: params.settle_ms,
            stay_bonus_ppm: params.stay_bonus_ppm,
            h3_resolution: default_resolution(),
            horizon_days: params.horizon_days,
            jump_days: params.jump_days,
            upkeep_steps: params.upkeep_steps,
        }
    }
}

impl ParamArgs {
    /// The parameters, if every one of them is in its range.
    ///
    /// # Errors
    /// The first that is not, by name.
    pub fn params(&self) -> Result<Params, Invalid> {
        Params {
            slot: SlotLength::minutes(self.slot_minutes)?,
            travel_cost_per_km: self.travel_cost_per_km,
            tick_ms: self.tick_ms,
            lead_minutes: self.lead_minutes,
            settle_ms: self.settle_ms,
            stay_bonus_ppm: self.stay_bonus_ppm,
            resolution: Resolution::new(self.h3_resolution)?,
            horizon_days: self.horizon_days,
            jump_days: self.jump_days,
            upkeep_steps: self.upkeep_steps,
        }
        .checked()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        params: ParamArgs,
    }

    #[test]
    fn no_flags_are_the_default_parameters() {
        let line = Line::parse_from(["iceshop"]);
        assert_eq!(line.params, ParamArgs::default());
        assert_eq!(line.params.params(), Ok(Params::default()));
    }

    #[test]
    fn a_flag_out_of_range_is_named() {
        let field = |flag: &str, value: &str| {
            let line = Line::parse_from(["iceshop", flag, value]);
            line.params.params().map_err(|invalid| invalid.field)
        };
        for (flag, value, named) in [
            ("--slot-minutes", "7", "slot_minutes"),
            ("--tick-ms", "0", "tick_ms"),
            ("--h3-resolution", "16", "h3_resolution"),
            ("--jump-days", "0", "jump_days"),
            ("--upkeep-steps", "1000000001", "upkeep_steps"),
        ] {
            assert_eq!(field(flag, value), Err(named.to_string()), "{flag} {value}");
        }
        assert!(field("--settle-ms", "0").is_ok());
    }
}
