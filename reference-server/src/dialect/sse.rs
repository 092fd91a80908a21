//! Reads server-sent events (WHATWG HTML, 9.2) whose data matter and whose names do not.

/// The maximum size of an event, in bytes.
const MAX_EVENT: usize = 1 << 20;

/// An incremental reader of events. It keeps at most one incomplete event.
#[derive(Debug, Default)]
pub(super) struct EventReader {
    /// The bytes of an incomplete line.
    line: Vec<u8>,
    /// The data of the incomplete event.
    data: Vec<u8>,
    has_data: bool,
    /// Whether the last byte was a carriage return, which a line feed may follow.
    after_return: bool,
}

/// An event exceeds 1 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EventTooLarge;

impl EventReader {
    /// Reads more bytes, and calls `found` with the data of each complete event.
    ///
    /// # Errors
    /// Returns the first error of `found`, or an error if an event is too large.
    pub(super) fn push<E>(
        &mut self,
        mut bytes: &[u8],
        mut found: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E>
    where
        E: From<EventTooLarge>,
    {
        while let Some(first) = bytes.first() {
            if std::mem::take(&mut self.after_return) && *first == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
                self.add_to_line(bytes)?;
                return Ok(());
            };
            self.add_to_line(&bytes[..end])?;
            self.after_return = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            self.end_line(&mut found)?;
        }
        Ok(())
    }

    fn add_to_line(&mut self, bytes: &[u8]) -> Result<(), EventTooLarge> {
        if self.line.len() + self.data.len() + bytes.len() > MAX_EVENT {
            return Err(EventTooLarge);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line<E>(&mut self, found: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        if self.line.is_empty() {
            if std::mem::take(&mut self.has_data) {
                let result = found(&self.data);
                self.data.clear();
                return result;
            }
            return Ok(());
        }
        // Comments and other fields are skipped.
        if let Some(value) = self.line.strip_prefix(b"data:") {
            if std::mem::replace(&mut self.has_data, true) {
                self.data.push(b'\n');
            }
            let value = value.strip_prefix(b" ").unwrap_or(value);
            self.data.extend_from_slice(value);
        }
        self.line.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&[u8]]) -> Result<Vec<String>, EventTooLarge> {
        let mut reader = EventReader::default();
        let mut events = Vec::new();
        for piece in pieces {
            reader.push(piece, |data| {
                events.push(String::from_utf8_lossy(data).into_owned());
                Ok(())
            })?;
        }
        Ok(events)
    }

    #[test]
    fn reads_the_data_of_events_at_any_split() {
        let text =
            b": hi\n\nevent: a\ndata: one\ndata:two\n\r\n\rdata: three\r\n\r\nid: 1\n\ndata: cut";
        for at in 0..text.len() {
            let (left, right) = text.split_at(at);
            assert_eq!(read(&[left, right]).unwrap(), ["one\ntwo", "three"], "{at}");
        }
    }

    #[test]
    fn bounds_an_event() {
        let line = [b"data: ".as_slice(), &vec![b'a'; 1 << 19], b"\n"].concat();
        assert_eq!(read(&[&line, b"\n", &line, b"\n"]).unwrap().len(), 2);
        assert_eq!(read(&[&line, &line]), Err(EventTooLarge));
    }
}
