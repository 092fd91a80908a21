//! How far it is, for somebody who waits. Nothing where standard error is no terminal.

use indicatif::{ProgressBar, ProgressStyle};
use stockade_benches::Plan;

/// Shows a part of the run that measures to a plan.
pub(crate) fn progress(part: &'static str, plan: Plan) -> impl FnMut() {
    bar(part, plan.rounds * plan.slices)
}

/// Shows a part of the run that has so many steps.
pub(crate) fn bar(part: &'static str, steps: usize) -> impl FnMut() {
    let style = ProgressStyle::with_template("{msg:10} {wide_bar} {eta:>4} left")
        .expect("this is a template");
    let bar = ProgressBar::new(steps as u64)
        .with_style(style)
        .with_message(part);
    bar.tick();
    move || {
        bar.inc(1);
        if bar.position() == steps as u64 {
            bar.finish_and_clear();
        }
    }
}
