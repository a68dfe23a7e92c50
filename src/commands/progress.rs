//! Progress on standard error, where that is a terminal: nowhere else is anything shown.

use connectors::file::Progress;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::Duration;

/// How often a bar is drawn.
const EVERY: Duration = Duration::from_millis(200);

/// A bar for the reading of a file, and a spinner for what has no known end; [`ProgressBar::finish_and_clear`]
/// takes it away.
pub(super) fn reading(progress: Option<&Progress>) -> ProgressBar {
    let Some(progress) = progress.cloned() else { return spinner("{spinner} {elapsed}") };
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(progress.bytes());
    bar.set_style(style("{percent:>3} % {wide_bar} {bytes} of {total_bytes}, {eta} to go"));
    let drawn = bar.clone();
    // It ends with the bar, or with the process.
    std::thread::spawn(move || {
        while !drawn.is_finished() {
            drawn.set_position(progress.read_bytes());
            std::thread::sleep(EVERY);
        }
    });
    bar
}

/// A line that shows that something goes on, in that form.
pub(super) fn spinner(form: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    bar.set_style(style(form));
    bar.enable_steady_tick(EVERY);
    bar
}

fn style(form: &str) -> ProgressStyle {
    ProgressStyle::with_template(form).expect("a valid template")
}
