//! Value and bound of all markets over logical time, and a picture of them.

use crate::drawing::{curve, label, rule};
use dataflows::market::{Certificate, Time};
use svg::Document;

/// How far apart kept points are, in milliseconds of logical time.
const APART_MS: i64 = 60_000;
/// The picture's size, its margin, in pixels.
const SIZE: (f64, f64) = (960.0, 320.0);
const MARGIN: f64 = 48.0;

/// The course of a run.
#[derive(Debug, Clone, Default)]
pub struct Course {
    /// Where it is: from then on the markets are worth that.
    now: Option<(Time, Certificate)>,
    /// Sums of value and bound times milliseconds.
    area: (i128, i128),
    /// One point a minute.
    points: Vec<(Time, Certificate)>,
}

impl Course {
    /// From `at` on the markets are worth `market`. Time does not run back.
    pub fn note(&mut self, at: Time, market: Certificate) {
        if let Some((since, held)) = self.now {
            let lasted = (at.0 - since.0) as i128;
            self.area.0 += held.value as i128 * lasted;
            self.area.1 += held.bound as i128 * lasted;
        }
        self.now = Some((at, market));
        if self.points.last().is_none_or(|last| at.0 >= last.0.0 + APART_MS) {
            self.points.push((at, market));
        }
    }

    /// The gap in the mean over time, in millionths.
    pub fn gap_ppm(&self) -> u64 {
        let (value, bound) = self.area;
        if bound > 0 { ((bound - value).max(0) * 1_000_000 / bound) as u64 } else { 0 }
    }

    /// A picture of the gap over time, as SVG.
    pub fn picture(&self) -> String {
        let gap = |market: &Certificate| market.gap_ppm() as f64 / 10_000.0;
        let most = self.points.iter().map(|p| gap(&p.1)).fold(1.0, f64::max);
        let first = self.points.first().map_or(0, |p| p.0.0);
        let span = self.points.last().map_or(1, |p| p.0.0 - first).max(1) as f64;
        let x = |at: Time| MARGIN + (at.0 - first) as f64 / span * (SIZE.0 - 2.0 * MARGIN);
        let y = |gap: f64| SIZE.1 - MARGIN - gap / most * (SIZE.1 - 2.0 * MARGIN);
        let mut picture = Document::new().set("viewBox", (0, 0, SIZE.0, SIZE.1));
        for n in 0..=4 {
            let level = most * n as f64 / 4.0;
            let rule = rule((MARGIN, SIZE.0 - MARGIN), y(level));
            picture = picture.add(rule).add(label(4.0, y(level) + 4.0, format!("{level:.1} %")));
        }
        for (at, _) in self.points.iter().step_by((self.points.len() / 6).max(1)) {
            let clock = crate::translate::outbound::utc(*at);
            let clock = clock.get(11..16).unwrap_or_default().to_string();
            picture = picture.add(label(x(*at) - 14.0, SIZE.1 - MARGIN / 2.0, clock));
        }
        let title = format!(
            "Certified gap of all markets; {:.2} % in the mean over time",
            self.gap_ppm() as f64 / 10_000.0
        );
        let line = curve(self.points.iter().map(|(at, market)| (x(*at), y(gap(market)))));
        picture.add(line).add(label(MARGIN, MARGIN / 2.0, title)).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_weighs_as_long_as_it_lasts() {
        let mut course = Course::default();
        course.note(Time(0), Certificate { value: 50, bound: 100 });
        course.note(Time(300_000), Certificate { value: 100, bound: 100 });
        course.note(Time(900_000), Certificate { value: 0, bound: 0 });
        // A third of the time at 50 %.
        assert_eq!(course.gap_ppm(), 166_666);
        let picture = course.picture();
        assert!(picture.starts_with("<svg") && picture.contains("16.67 % in the mean"));
        assert_eq!(picture.matches(',').count(), 3, "three points");
    }
}
