//! Reads a log forwards.

use std::io::{self, BufRead};

/// The maximum length of a record, in bytes. Longer lines are invalid.
pub const MAX_LINE_LEN: usize = 64 * 1_024;

/// Reads lines with at most one in memory. Reading can continue after the end of the file: an
/// incomplete line is completed then.
#[derive(Debug)]
pub struct LineReader<R> {
    from: R,
    line: Vec<u8>,
    /// Bytes read so far, and those up to the end of the last line that was returned.
    read: u64,
    returned: u64,
    /// The line was returned; the next call starts a new one.
    is_returned: bool,
    /// A part of the line was discarded.
    is_too_long: bool,
}

impl<R> LineReader<R>
where
    R: BufRead,
{
    /// Creates a reader that starts with the next byte of `from`.
    pub fn new(from: R) -> Self {
        Self {
            from,
            line: Vec::new(),
            read: 0,
            returned: 0,
            is_returned: false,
            is_too_long: false,
        }
    }

    /// The next complete line without its line feed; `None` at the end of the file. A line that
    /// is too long is returned as an empty line, which is invalid as well.
    ///
    /// # Errors
    /// Fails if reading fails.
    pub fn next_line(&mut self) -> io::Result<Option<&[u8]>> {
        if std::mem::take(&mut self.is_returned) {
            self.line.clear();
            self.is_too_long = false;
        }
        loop {
            let room = (MAX_LINE_LEN - self.line.len()) as u64;
            let mut from = io::Read::take(&mut self.from, room);
            let read = from.read_until(b'\n', &mut self.line)?;
            self.read += read as u64;
            if read > 0 && self.line.ends_with(b"\n") {
                self.is_returned = true;
                self.returned = self.read;
                let end = self.line.len() - 1;
                return Ok(Some(if self.is_too_long {
                    b""
                } else {
                    &self.line[..end]
                }));
            }
            if self.line.len() == MAX_LINE_LEN {
                self.is_too_long = true;
                self.line.clear();
            } else if read == 0 {
                return Ok(None);
            }
        }
    }

    /// The incomplete last line.
    pub fn partial(&self) -> Option<&[u8]> {
        let is_partial = !self.is_returned && (self.is_too_long || !self.line.is_empty());
        is_partial.then_some(if self.is_too_long { b"" } else { &self.line })
    }

    /// The bytes up to the end of the last line that was returned.
    pub(super) fn returned(&self) -> u64 {
        self.returned
    }

    pub(super) fn get_ref(&self) -> &R {
        &self.from
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn all(text: &[u8]) -> (Vec<Vec<u8>>, Option<Vec<u8>>) {
        let mut lines = LineReader::new(text);
        let mut whole = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            whole.push(line.to_vec());
        }
        (whole, lines.partial().map(<[u8]>::to_vec))
    }

    #[test]
    fn separates_complete_lines_from_the_incomplete_one() {
        for (text, whole, partial) in [
            (&b""[..], &[][..], None),
            (b"a\n", &[&b"a"[..]][..], None),
            (b"a\n\nb", &[b"a", b""], Some(&b"b"[..])),
            (b"\xff\n", &[b"\xff"], None),
        ] {
            let (lines, rest) = all(text);
            assert_eq!(lines, whole, "{text:?}");
            assert_eq!(rest.as_deref(), partial, "{text:?}");
        }
    }

    // D07
    #[test]
    fn bounds_the_memory_for_a_line() {
        let long = vec![b'x'; MAX_LINE_LEN * 3 + 5];
        let (lines, partial) = all(&[b"a\n", &long[..], b"\nb\n", &long[..]].concat());
        assert_eq!(lines, [&b"a"[..], b"", b"b"]);
        assert_eq!(partial.as_deref(), Some(&b""[..]));
    }

    #[test]
    fn completes_an_incomplete_line() {
        let mut log = tempfile::NamedTempFile::new().unwrap();
        log.write_all(b"one\ntw").unwrap();
        let mut lines = LineReader::new(io::BufReader::new(log.reopen().unwrap()));
        assert_eq!(lines.next_line().unwrap(), Some(&b"one"[..]));
        assert_eq!(lines.next_line().unwrap(), None);
        assert_eq!(lines.returned(), 4);
        assert_eq!(lines.partial(), Some(&b"tw"[..]));
        log.write_all(b"o\n").unwrap();
        assert_eq!(lines.next_line().unwrap(), Some(&b"two"[..]));
        assert_eq!(lines.partial(), None);
    }
}
