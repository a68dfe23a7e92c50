//! Decisions for people, one line each, and numbers for people, each kind in one way everywhere.

use connectors::wire::Decision;
use std::time::Duration;

/// `11:40:00Z locked   s9  latte  14:00-14:20  14 buyers at 49.90 (list 79.90) ...`: when it was
/// decided in UTC, and the slot by the store's clock.
pub fn line(decision: &Decision) -> String {
    let clock = |time: &str| time.get(11..16).unwrap_or(time).to_string();
    let slot = format!("{}-{}", clock(&decision.slot.from), clock(&decision.slot.until));
    let at = decision.decided_at.get(11..19).unwrap_or(&decision.decided_at);
    let head = format!(
        "{at}Z {:<9} {:<12} {:<12} {slot}",
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
