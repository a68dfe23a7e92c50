//! What every picture is made of: labels, rules and curves, as SVG.

use svg::node::element::{Line, Polyline, Text};

/// The colour of what is looked at first.
pub const BLUE: &str = "#2266aa";

/// A text that begins at that place.
pub fn label(x: f64, y: f64, text: String) -> Text {
    Text::new(text).set("x", x).set("y", y).set("font-family", "sans-serif").set("font-size", 12)
}

/// A level line across.
pub fn rule((from, until): (f64, f64), y: f64) -> Line {
    Line::new().set("x1", from).set("x2", until).set("y1", y).set("y2", y).set("stroke", "#ddd")
}

/// A line through the points.
pub fn curve(points: impl Iterator<Item = (f64, f64)>) -> Polyline {
    let points: Vec<String> = points.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    Polyline::new().set("points", points.join(" ")).set("fill", "none").set("stroke", BLUE)
}
