//! What goes on right now, in a line.

use super::summary::Figures;
use crate::readable::{count, money, percent, span};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Where the live line is shown: one line of a terminal, cut to its width, or a line now and then.
pub struct Live {
    bar: Option<ProgressBar>,
    shown: Instant,
    every: Duration,
}

impl Live {
    /// A live line on standard error.
    pub fn on_stderr() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self { bar: None, shown: Instant::now(), every: Duration::from_secs(10) };
        }
        let bar = ProgressBar::new_spinner();
        bar.set_style(ProgressStyle::with_template("{wide_msg}").expect("a valid template"));
        Self { bar: Some(bar), shown: Instant::now(), every: Duration::from_secs(1) }
    }

    /// Whether it is time for another one.
    pub fn is_due(&self) -> bool {
        self.shown.elapsed() >= self.every
    }

    /// Shows the line.
    pub fn show(&mut self, line: String) {
        self.shown = Instant::now();
        match &self.bar {
            Some(bar) => bar.set_message(line),
            None => eprintln!("{line}"),
        }
    }

    /// Takes the line away.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The live line: what goes on right now.
pub fn live_line(figures: &Figures, started: Instant) -> String {
    let now = &figures.engine_now;
    let windows = &now.windows;
    let newest = figures.newest.map(crate::translate::outbound::utc).unwrap_or_default();
    // Whole seconds: a clock whose digits come and go is hard to read.
    let clock = newest.get(..19).map(|clock| format!("{clock}Z")).unwrap_or_default();
    let rate = figures.records as f64 / started.elapsed().as_secs_f64().max(1e-6);
    let tick = |share: f64| span(figures.ticks.quantile(share));
    format!(
        "{clock}  {} live intents  windows {} forming {} proposed {} locked {} active {} closed  \
         {} buyers grouped  value {}  gap {}  {} updates/s  tick p50 {} p99 {}",
        count(now.live_intents as u64),
        count(windows.forming as u64),
        count(windows.proposed as u64),
        count(windows.locked as u64),
        count(windows.active as u64),
        count(windows.closed),
        count(now.grouped_buyers as u64),
        money(now.market.value),
        percent(now.market.gap_ppm()),
        count(rate as u64),
        tick(0.5),
        tick(0.99),
    )
}
