//! Latencies, throughput and gap of a bench, as one SVG.

use super::open_loop::Offered;
use super::report::Report;
use super::sink::Second;
use crate::drawing::{BLUE, curve, label, rule};
use crate::readable::{count, span};
use svg::Document;
use svg::node::element::Rectangle;

/// The picture's width, the height of each of its panels, and the margin, in pixels.
const WIDTH: f64 = 960.0;
const PANEL: f64 = 220.0;
const MARGIN: f64 = 56.0;
/// A colour for each rate in turn.
const COLOURS: [&str; 5] = [BLUE, "#cc6622", "#228844", "#aa2266", "#666666"];

/// Latency histograms of all rates, and records decided and gap by the second.
pub fn draw(report: &Report) -> String {
    let offered = report.offered();
    let seconds: Vec<Second> = offered.iter().flat_map(|o| o.seconds.iter().copied()).collect();
    let done = seconds.iter().map(|second| second.done as f64).collect::<Vec<_>>();
    let gap = seconds.iter().map(|second| second.gap_ppm as f64 / 1e4).collect::<Vec<_>>();
    let mut picture = Document::new().set("viewBox", (0, 0, WIDTH, 3.0 * PANEL));
    picture = histograms(picture, offered);
    let panels = [("records decided a second", done), ("certified gap of all markets, %", gap)];
    for (n, (name, values)) in panels.into_iter().enumerate() {
        picture = course(picture, (n + 1) as f64 * PANEL, name, &values);
    }
    picture.to_string()
}

/// How many records had which latency; both axes logarithmic.
fn histograms(mut picture: Document, offered: &[Offered]) -> Document {
    let buckets = || offered.iter().flat_map(|o| o.latency.buckets());
    let least = buckets().map(|bucket| bucket.0).fold(1e9, f64::min).max(1.0).log10();
    let most = buckets().map(|bucket| bucket.0).fold(10.0, f64::max).log10().max(least + 0.1);
    let tallest = buckets().map(|bucket| bucket.1).max().unwrap_or(1).max(2) as f64;
    let across =
        |us: f64| MARGIN + (us.max(1.0).log10() - least) / (most - least) * (WIDTH - 2.0 * MARGIN);
    let floor = PANEL - MARGIN / 2.0;
    for (n, one) in offered.iter().enumerate() {
        let colour = COLOURS[n % COLOURS.len()];
        for (us, records) in one.latency.buckets() {
            let share = (records as f64 + 1.0).ln() / (tallest + 1.0).ln();
            let height = share * (PANEL - 1.5 * MARGIN);
            let bar = Rectangle::new()
                .set("x", across(us))
                .set("y", floor - height)
                .set("width", 4)
                .set("height", height)
                .set("fill", colour)
                .set("fill-opacity", 0.5);
            picture = picture.add(bar);
        }
        let name = format!("{} records/s", count(one.rate as u64));
        let x = WIDTH - MARGIN - 120.0;
        picture = picture.add(label(x, 36.0 + 16.0 * n as f64, name).set("fill", colour));
    }
    for exponent in least.ceil() as i32..=most.floor() as i32 {
        let us = 10f64.powi(exponent);
        let text = span(std::time::Duration::from_secs_f64(us / 1e6));
        picture = picture.add(label(across(us) - 14.0, floor + 16.0, text));
    }
    picture.add(label(
        MARGIN,
        20.0,
        "latency of records, from their time to the sink (log, log)".into(),
    ))
}

/// A value by the second.
fn course(mut picture: Document, top: f64, name: &str, values: &[f64]) -> Document {
    let most = values.iter().copied().fold(0.0, f64::max).max(1e-9);
    let steps = (values.len().saturating_sub(1)).max(1) as f64;
    let y = |value: f64| top + PANEL - MARGIN / 2.0 - value / most * (PANEL - 1.5 * MARGIN);
    let x = |n: usize| MARGIN + n as f64 / steps * (WIDTH - 2.0 * MARGIN);
    for level in [0.0, most / 2.0, most] {
        let rule = rule((MARGIN, WIDTH - MARGIN), y(level));
        let text = if most < 100.0 { format!("{level:.1}") } else { count(level as u64) };
        picture = picture.add(rule).add(label(4.0, y(level) + 4.0, text));
    }
    let line = curve(values.iter().enumerate().map(|(n, value)| (x(n), y(*value))));
    let title = format!("{name}, over {} seconds", values.len());
    picture.add(line).add(label(MARGIN, top + 20.0, title))
}
