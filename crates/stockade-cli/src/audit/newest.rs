//! A log's lines, from the last to the first.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
};

use super::lines::LONGEST;

const BLOCK: u64 = 64 * 1_024;

/// Reads the lines of a file backwards, so that the end of a large one is found at once.
pub(super) struct Backwards<'f> {
    file: &'f File,
    /// Where `rest` begins in the file.
    start: u64,
    /// What was read and not given yet; never much more than a block and a line.
    rest: Vec<u8>,
    /// The line that is being read is too long, and its end was dropped.
    is_long: bool,
    /// Nothing was given yet.
    is_fresh: bool,
    is_done: bool,
}

/// A line, and where it begins in its file.
pub(super) struct Placed {
    pub(super) line: Vec<u8>,
    pub(super) at: u64,
    /// It does not end in a line feed: it is not whole, or the writer was interrupted.
    pub(super) is_torn: bool,
}

impl<'f> Backwards<'f> {
    /// Begins at the end of a file that is so long.
    pub(super) fn new(file: &'f File, length: u64) -> Self {
        Self {
            file,
            start: length,
            rest: Vec::new(),
            is_long: false,
            is_fresh: true,
            is_done: false,
        }
    }

    /// The line before those that were given; the first one is what stands after the last
    /// line feed, and empty in a log that is whole. Of a line that is too long nothing is
    /// given but its place.
    pub(super) fn next(&mut self) -> io::Result<Option<Placed>> {
        while !self.is_done {
            if let Some(at) = self.rest.iter().rposition(|byte| *byte == b'\n') {
                let line = self.rest.split_off(at + 1);
                self.rest.truncate(at);
                return Ok(Some(self.place(line, self.start + at as u64 + 1)));
            }
            if self.start == 0 {
                self.is_done = true;
                let line = std::mem::take(&mut self.rest);
                return Ok(Some(self.place(line, 0)));
            }
            if self.rest.len() > LONGEST {
                self.is_long = true;
                self.rest.clear();
            }
            self.read_block()?;
        }
        Ok(None)
    }

    fn place(&mut self, line: Vec<u8>, at: u64) -> Placed {
        let is_long = std::mem::take(&mut self.is_long) || line.len() > LONGEST;
        Placed {
            line: if is_long { Vec::new() } else { line },
            at,
            is_torn: std::mem::take(&mut self.is_fresh),
        }
    }

    fn read_block(&mut self) -> io::Result<()> {
        let length = BLOCK.min(self.start);
        self.start -= length;
        let mut block = vec![0; length as usize];
        let mut file = self.file;
        file.seek(SeekFrom::Start(self.start))?;
        file.read_exact(&mut block)?;
        block.append(&mut self.rest);
        self.rest = block;
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
        let mut lines = Backwards::new(&file, text.len() as u64);
        let mut all = Vec::new();
        while let Some(placed) = lines.next().unwrap() {
            all.push((placed.at, placed.line, placed.is_torn));
        }
        all
    }

    // D07
    #[test]
    fn a_line_without_an_end_takes_no_memory() {
        let long = vec![b'x'; LONGEST * 5];
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
