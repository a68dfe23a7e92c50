//! Decisions for people, one line each, and numbers for people, each kind in one way everywhere.

use connectors::wire::Decision;
use jiff::Timestamp;
use std::time::Duration;

/// `2026-11-22 13:40:00+03:00 locked   s9  latte  14:00-14:20  14 buyers at 49.90 (list 79.90) ...`:
/// when it was decided and the slot, both by the store's clock; the slot's date where it is another.
pub fn line(decision: &Decision) -> String {
    let (from, until) = (&decision.slot.from, &decision.slot.until);
    let decided = by_the_clock_of(from, &decision.decided_at);
    let [day, slot_day] = [&decided, from].map(|time| time.get(..10).unwrap_or(time));
    let date = if day == slot_day { String::new() } else { format!("{slot_day} ") };
    let clock = |time: &str| time.get(11..16).unwrap_or(time).to_string();
    let slot = format!("{date}{}-{}", clock(from), clock(until));
    let at = decided.replacen('T', " ", 1);
    let head = format!(
        "{at} {:<9} {:<12} {:<12} {slot}",
        decision.state, decision.store.id, decision.product
    );
    let next = match &decision.price.next_tier {
        Some(tier) if decision.state == "proposed" => {
            let missing = tier.min_buyers - decision.group.buyers as i64;
            format!(", {missing} more for {}", money(tier.price))
        }
        _ => String::new(),
    };
    if decision.members.is_empty() {
        return format!("{head}  {} ({} left)", decision.reason.code, decision.left.len());
    }
    format!(
        "{head}  {} buyers at {} (list {}{next})  value {}  gap {}",
        count(decision.group.buyers),
        money(decision.price.unit),
        money(decision.price.list),
        money(decision.value),
        percent(decision.market.gap_ppm)
    )
}

/// The instant with the offset that `local` shows, in whole seconds; as it is if either is no time.
fn by_the_clock_of(local: &str, instant: &str) -> String {
    let read = |text: &str| {
        let pieces = jiff::fmt::temporal::Pieces::parse(text).ok()?;
        pieces.to_numeric_offset()
    };
    match (read(local), instant.parse::<Timestamp>()) {
        (Some(offset), Ok(instant)) => {
            let whole = Timestamp::from_second(instant.as_second()).unwrap_or(instant);
            whole.display_with_offset(offset).to_string()
        }
        _ => instant.to_string(),
    }
}

/// `1,234,567`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1,234.50` of 123450 minor units.
pub fn money(minor: i64) -> String {
    let (sign, minor) = (if minor < 0 { "-" } else { "" }, minor.unsigned_abs());
    format!("{sign}{}.{:02}", count(minor / 100), minor % 100)
}

/// `3.14 %` of 31400 millionths.
pub fn percent(ppm: u64) -> String {
    format!("{:.2} %", ppm as f64 / 10_000.0)
}

/// `0 s`, `360 us`, `4.7 ms` or `149.0 s`.
pub fn span(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    // What would be rounded up to a thousand is shown in the next unit.
    if duration.is_zero() {
        "0 s".into()
    } else if seconds < 999.5e-6 {
        format!("{:.0} us", seconds * 1e6)
    } else if seconds < 0.999_95 {
        format!("{:.1} ms", seconds * 1e3)
    } else {
        format!("{seconds:.1} s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A decision made at that time about that slot.
    fn decided(at: &str, from: &str, until: &str) -> String {
        let decision = serde_json::json!({"v": 1, "window": "w", "revision": 1, "state": "locked",
            "previous": "proposed", "reason": {"code": "lead_time"}, "zone": "z",
            "input_sequence": 1, "decided_at": at,
            "slot": {"from": from, "until": until, "timezone": "t"}, "lock_at": at, "reply_by": at,
            "expires": until,
            "store": {"id": "s9", "name": "S", "lat": 41.0, "lng": 29.0, "cell": "c"},
            "product": "latte",
            "price": {"unit": 4990, "list": 7990, "tier": 1, "next_tier": null},
            "group": {"buyers": 1, "units": 1, "accepted": 0, "average_distance_m": 1,
                "median_distance_m": 1},
            "members": [{"intent": "i1", "buyer": "b1", "quantity": 1, "distance_m": 1,
                "saving": 3000, "travel": 0, "accepted": false, "change": "kept"}],
            "left": [], "value": 3000,
            "market": {"id": "latte", "value": 1, "bound": 1, "gap_ppm": 0}});
        line(&serde_json::from_value(decision).unwrap())
    }

    #[test]
    fn a_decision_is_told_by_the_stores_clock() {
        let from = |day: &str, clock: &str| format!("2026-06-{day}T{clock}:00+03:00");
        let told = decided("2026-06-12T10:20:00.250Z", &from("12", "13:40"), &from("12", "14:00"));
        let head = "2026-06-12 13:20:00+03:00 locked    s9           latte        13:40-14:00  ";
        assert_eq!(told, format!("{head}1 buyers at 49.90 (list 79.90)  value 30.00  gap 0.00 %"));
        let told = decided("2026-06-12T20:50:00Z", &from("13", "00:10"), &from("13", "00:30"));
        assert!(told.starts_with("2026-06-12 23:50:00+03:00"), "{told}");
        assert!(told.contains("latte        2026-06-13 00:10-00:30  "), "{told}");
        let utc = "2026-06-12T13:40:00+00:00";
        assert!(decided("2026-06-12T13:20:00Z", utc, utc).starts_with("2026-06-12 13:20:00+00:00"));
    }

    #[test]
    fn numbers_are_written_in_one_way() {
        for (n, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(n), text);
        }
        for (minor, text) in [(5, "0.05"), (-5, "-0.05"), (-123_450, "-1,234.50")] {
            assert_eq!(money(minor), text);
        }
        assert_eq!(percent(31_400), "3.14 %");
        for (us, text) in [(0, "0 s"), (360, "360 us"), (4_700, "4.7 ms"), (999_970, "1.0 s")] {
            assert_eq!(span(Duration::from_micros(us)), text);
        }
        assert_eq!(span(Duration::from_millis(149_049)), "149.0 s");
    }
}
