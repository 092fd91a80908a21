//! Reads a log backwards.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
};

use stockade_audit::MAX_LINE_LEN;

const BLOCK_LEN: u64 = 64 * 1_024;

/// Reads the lines of a file backwards: the newest records of a large file at a small cost.
pub(super) struct ReverseLines<'f> {
    file: &'f File,
    /// The offset of `pending` in the file.
    start: u64,
    /// Bytes that were read and not returned yet; at most about a block and a line.
    pending: Vec<u8>,
    /// The current line is too long, and its end was discarded.
    is_too_long: bool,
    /// No line was returned yet.
    is_first: bool,
    is_done: bool,
}

/// A line and its offset in the file.
pub(super) struct ReverseLine {
    pub(super) line: Vec<u8>,
    pub(super) offset: u64,
    /// The line has no line feed: it is incomplete, or its writer was interrupted.
    pub(super) is_unterminated: bool,
}

impl<'f> ReverseLines<'f> {
    /// Starts at the end of a file of this length.
    pub(super) fn new(file: &'f File, length: u64) -> Self {
        Self {
            file,
            start: length,
            pending: Vec::new(),
            is_too_long: false,
            is_first: true,
            is_done: false,
        }
    }

    /// The previous line. The first call returns the text after the last line feed, which is
    /// empty in a complete log. A line that is too long is returned as an empty line.
    pub(super) fn next(&mut self) -> io::Result<Option<ReverseLine>> {
        while !self.is_done {
            if let Some(at) = self.pending.iter().rposition(|byte| *byte == b'\n') {
                let line = self.pending.split_off(at + 1);
                self.pending.truncate(at);
                return Ok(Some(self.line_at(line, self.start + at as u64 + 1)));
            }
            if self.start == 0 {
                self.is_done = true;
                let line = std::mem::take(&mut self.pending);
                return Ok(Some(self.line_at(line, 0)));
            }
            if self.pending.len() > MAX_LINE_LEN {
                self.is_too_long = true;
                self.pending.clear();
            }
            self.read_block()?;
        }
        Ok(None)
    }

    fn line_at(&mut self, line: Vec<u8>, at: u64) -> ReverseLine {
        let is_too_long = std::mem::take(&mut self.is_too_long) || line.len() > MAX_LINE_LEN;
        ReverseLine {
            line: if is_too_long { Vec::new() } else { line },
            offset: at,
            is_unterminated: std::mem::take(&mut self.is_first),
        }
    }

    fn read_block(&mut self) -> io::Result<()> {
        let length = BLOCK_LEN.min(self.start);
        self.start -= length;
        let mut block = vec![0; length as usize];
        let mut file = self.file;
        file.seek(SeekFrom::Start(self.start))?;
        file.read_exact(&mut block)?;
        block.append(&mut self.pending);
        self.pending = block;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn backwards(text: &[u8]) -> Vec<(u64, Vec<u8>, bool)> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text).unwrap();
        let mut lines = ReverseLines::new(&file, text.len() as u64);
        let mut all = Vec::new();
        while let Some(placed) = lines.next().unwrap() {
            all.push((placed.offset, placed.line, placed.is_unterminated));
        }
        all
    }

    // D07
    #[test]
    fn bounds_the_memory_for_a_line() {
        let long = vec![b'x'; MAX_LINE_LEN * 5];
        let text = [b"a\n", &long[..], b"\nb\n"].concat();
        let lines: Vec<_> = backwards(&text)
            .into_iter()
            .map(|(_, line, _)| line)
            .collect();
        assert_eq!(lines, [&b""[..], b"b", b"", b"a"]);
    }

    proptest! {
        #[test]
        fn returns_each_line_once_with_its_offset(
            lengths in prop::collection::vec(prop_oneof![0_usize..9, 40_000_usize..60_000], 0..9),
        ) {
            let lines: Vec<_> = lengths.into_iter().map(|length| "x".repeat(length)).collect();
            let text = lines.join("\n");
            let mut at = text.len() as u64 + 1;
            let all = backwards(text.as_bytes());
            prop_assert_eq!(all.len(), lines.len().max(1));
            for (number, (line, found)) in lines.iter().rev().zip(all).enumerate() {
                at -= line.len() as u64 + 1;
                prop_assert_eq!(found, (at, line.clone().into_bytes(), number == 0));
            }
        }
    }
}
