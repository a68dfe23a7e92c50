//! Every limit of the market's values, named, with what it protects.
//!
//! Together they make overflow impossible: one intent's value is at most
//! `MAX_MONEY * MAX_QUANTITY + 2 * MAX_MONEY`, about 10^12; prices of the bound are scaled by 256
//! and a window sums at most `MAX_GROUP` of them, about 2.6 * 10^18, which an `i64` holds.
//! Sums over a whole market are `i128`.

/// The greatest amount of money in one field, in minor units.
pub const MAX_MONEY: i64 = 1_000_000_000;
/// The greatest quantity one intent may ask for, in units.
pub const MAX_QUANTITY: u32 = 1_000;
/// The greatest stock of one offer, in units.
pub const MAX_STOCK: i64 = 1_000_000_000;
/// The greatest group of one window, in buyers; an offer without `max_group` has this one.
pub const MAX_GROUP: u32 = 10_000;
/// The longest reach, in metres.
pub const MAX_REACH_M: u32 = 100_000;
/// The most discount tiers of one offer.
pub const MAX_TIERS: usize = 16;
/// The most intervals in one intent's availability.
pub const MAX_INTERVALS: usize = 64;
/// The most per-slot visit values of one offer.
pub const MAX_SLOT_VALUES: usize = 1_024;
/// The most closed dates of one store.
pub const MAX_CLOSED_DATES: usize = 1_024;
/// The longest opening-hours expression, in bytes.
pub const MAX_HOURS_BYTES: usize = 2_048;
/// The longest store name, in characters.
pub const MAX_NAME_CHARS: usize = 256;
/// The longest id, in characters.
pub const MAX_ID_CHARS: usize = 64;
/// How much of a refused value is shown, in characters.
pub const SHOWN_CHARS: usize = 80;
/// The longest lead time, in minutes.
pub const MAX_LEAD_MINUTES: u32 = 7 * 24 * 60;
/// The most steps of upkeep in a millisecond.
pub const MAX_UPKEEP_STEPS: u64 = 1_000_000_000;
/// The most buyers of one window that declined it and are remembered; the next one is `invalid`.
pub const MAX_DECLINED: usize = 64;
/// The most relative stock changes remembered per offer, to know a repeated one again; beyond it
/// the oldest versions count as settled and a repeat of one of those is `superseded`.
pub const MAX_STOCK_EVENTS: usize = 4_096;
/// The most intents that are gone (cancelled, lapsed, served) and whose versions are remembered;
/// beyond it the one that would be forgotten first is forgotten now, and whatever version of it
/// comes next counts as new.
pub const MAX_GONE: usize = 1_000_000;
/// The most records that are held because they refer to something that is not known yet: those that
/// wait for time to come to them, and those of the newest tick, in which it may still become known.
/// One more is `invalid` at once, and its receipt says so: only then does the order within a tick
/// count.
pub const MAX_WAITING: usize = 100_000;
/// The earliest instant that a record may name: 2000-01-01T00:00:00Z, in seconds since 1970.
pub const MIN_TIME_S: i64 = 946_684_800;
/// The first instant too late for a record to name: 2100-01-01T00:00:00Z, in seconds since 1970.
pub const MAX_TIME_S: i64 = 4_102_444_800;
