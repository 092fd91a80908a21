//! A log's lines, from the first to the last.

use std::io::{self, BufRead};

use stockade_audit::LogLine;

/// A line over this length is none of a log's.
pub(super) const MAX_LINE_LEN: usize = 64 * 1_024;

/// Reads lines one by one, and keeps no more than one in memory. It can be asked again after
/// the end: a line that was not whole then goes on.
pub(super) struct LineReader<R> {
    from: R,
    line: Vec<u8>,
    /// The line was given away; the next one begins.
    is_returned: bool,
    /// A part of the line was dropped.
    is_too_long: bool,
}

impl<R> LineReader<R>
where
    R: BufRead,
{
    pub(super) fn new(from: R) -> Self {
        Self {
            from,
            line: Vec::new(),
            is_returned: false,
            is_too_long: false,
        }
    }

    /// The next whole line, without its line feed; `None` at the end of what there is. What is
    /// left of a line that is too long is no record in any case.
    pub(super) fn next(&mut self) -> io::Result<Option<&[u8]>> {
        if std::mem::take(&mut self.is_returned) {
            self.line.clear();
            self.is_too_long = false;
        }
        loop {
            let room = (MAX_LINE_LEN - self.line.len()) as u64;
            let mut from = io::Read::take(&mut self.from, room);
            let read = from.read_until(b'\n', &mut self.line)?;
            if read > 0 && self.line.ends_with(b"\n") {
                self.is_returned = true;
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

    /// What there is of a line that has no end yet.
    pub(super) fn partial(&self) -> Option<&[u8]> {
        let is_partial = !self.is_returned && (self.is_too_long || !self.line.is_empty());
        is_partial.then_some(if self.is_too_long { b"" } else { &self.line })
    }

    pub(super) fn get_ref(&self) -> &R {
        &self.from
    }
}

/// The record of a line, if it is one.
pub(super) fn parse_record(line: &[u8]) -> Option<LogLine> {
    std::str::from_utf8(line).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn all(text: &[u8]) -> (Vec<Vec<u8>>, Option<Vec<u8>>) {
        let mut lines = LineReader::new(text);
        let mut whole = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            whole.push(line.to_vec());
        }
        (whole, lines.partial().map(<[u8]>::to_vec))
    }

    #[test]
    fn gives_whole_lines_and_keeps_the_torn_one() {
        for (text, whole, torn) in [
            (&b""[..], &[][..], None),
            (b"a\n", &[&b"a"[..]][..], None),
            (b"a\n\nb", &[b"a", b""], Some(&b"b"[..])),
            (b"\xff\n", &[b"\xff"], None),
        ] {
            let (lines, rest) = all(text);
            assert_eq!(lines, whole, "{text:?}");
            assert_eq!(rest.as_deref(), torn, "{text:?}");
        }
    }

    // D07
    #[test]
    fn a_line_without_an_end_takes_no_memory() {
        let long = vec![b'x'; MAX_LINE_LEN * 3 + 5];
        let (lines, torn) = all(&[b"a\n", &long[..], b"\nb\n", &long[..]].concat());
        assert_eq!(lines, [&b"a"[..], b"", b"b"]);
        assert_eq!(torn.as_deref(), Some(&b""[..]));
    }

    #[test]
    fn a_torn_line_goes_on_when_there_is_more() {
        let mut log = tempfile::NamedTempFile::new().unwrap();
        log.write_all(b"one\ntw").unwrap();
        let mut lines = LineReader::new(io::BufReader::new(log.reopen().unwrap()));
        assert_eq!(lines.next().unwrap(), Some(&b"one"[..]));
        assert_eq!(lines.next().unwrap(), None);
        assert_eq!(lines.partial(), Some(&b"tw"[..]));
        log.write_all(b"o\n").unwrap();
        assert_eq!(lines.next().unwrap(), Some(&b"two"[..]));
        assert_eq!(lines.partial(), None);
    }
}
