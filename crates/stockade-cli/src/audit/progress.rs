//! How far long work has come.

use std::io::{self, BufRead, BufReader, IsTerminal, Read};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::log::LogFile;

/// Less than this is read before anybody has seen a bar.
const MIN_LEN: u64 = 8 << 20;

/// A bar on standard error, where that is a terminal and there is much to read.
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
            // Not reached: the template is a constant.
            Err(_) => bar,
        })
    }

    /// Reads a file, as far as it went when it was opened.
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
