//! A progress bar for reading a log.

use std::io::{self, BufRead, BufReader, IsTerminal, Read};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use stockade_audit::LogFile;

/// Smaller logs are read too fast for a progress bar.
const MIN_LEN: u64 = 8 << 20;

/// A progress bar on standard error; hidden unless that is a terminal and the log is large.
pub(super) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn over(files: &[LogFile]) -> Self {
        let bytes = files.iter().map(|file| file.length).sum();
        if bytes < MIN_LEN || !io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template(
            "{wide_bar} {bytes} of {total_bytes}, {binary_bytes_per_sec}, {eta} left",
        );
        Self(match style {
            Ok(style) => bar.with_style(style),
            // Unreachable: the template is a constant.
            Err(_) => bar,
        })
    }

    /// Reads a file up to the length that it had when it was opened.
    pub(super) fn read<'f>(&self, file: &'f LogFile) -> impl BufRead + use<'f> {
        let file = (&file.file).take(file.length);
        BufReader::with_capacity(1 << 16, self.0.wrap_read(file))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
