//! Decisions for people: one line each.

use connectors::wire::Decision;

/// `11:40:00Z locked   s9  latte  14:00-14:20  14 buyers at 49.90 (list 79.90) ...`: when it was
/// decided in UTC, and the slot by the store's clock.
pub fn line(decision: &Decision) -> String {
    let clock = |time: &str| time.get(11..16).unwrap_or(time).to_string();
    let money = |minor: i64| format!("{}.{:02}", minor / 100, (minor % 100).abs());
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
        "{head}  {} buyers at {} (list {}{next})  value {}  gap {:.1} %",
        decision.group.buyers,
        money(decision.price.unit),
        money(decision.price.list),
        money(decision.value),
        decision.market.gap_ppm as f64 / 10_000.0
    )
}
