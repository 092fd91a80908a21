//! A log's lines, from the last to the first.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
};

use super::lines::MAX_LINE_LEN;

const BLOCK_LEN: u64 = 64 * 1_024;

/// Reads the lines of a file backwards, so that the end of a large one is found at once.
pub(super) struct ReverseLines<'f> {
    file: &'f File,
    /// Where `rest` begins in the file.
    start: u64,
    /// What was read and not given yet; never much more than a block and a line.
    pending: Vec<u8>,
    /// The line that is being read is too long, and its end was dropped.
    is_too_long: bool,
    /// Nothing was given yet.
    is_first: bool,
    is_done: bool,
}

/// A line, and where it begins in its file.
pub(super) struct ReverseLine {
    pub(super) line: Vec<u8>,
    pub(super) offset: u64,
    /// It does not end in a line feed: it is not whole, or the writer was interrupted.
    pub(super) is_unterminated: bool,
}

impl<'f> ReverseLines<'f> {
    /// Begins at the end of a file that is so long.
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

    /// The line before those that were given; the first one is what stands after the last
    /// line feed, and empty in a log that is whole. Of a line that is too long nothing is
    /// given but its place.
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
    fn a_line_without_an_end_takes_no_memory() {
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
        fn gives_each_line_once_and_its_place(
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
