//! Random access to the bytes of an image, also through base64.

use base64_simd::{AsOut, Base64, STANDARD, STANDARD_NO_PAD};

use super::error::ImageErrorKind;
use crate::work_budget::WorkBudget;

/// Bytes decoded at a time: large enough for fast linear walks, small enough for cheap jumps.
/// A multiple of 3.
const WINDOW: usize = 192;

/// Bytes searched at a time.
const BLOCK: usize = 192;

/// Bytes searched one by one in one step of the budget.
const NARROW: usize = 16;

/// A position in the bytes of an image.
///
/// Base64 is decoded in windows and only where it is read: four characters are three bytes, so
/// jumping over a chunk of pixels is free.
///
/// When the budget runs out, the image appears truncated; the caller checks the budget before
/// it uses the result.
pub(super) struct Reader<'a> {
    source: Source<'a>,
    budget: &'a WorkBudget,
    length: usize,
    position: usize,
    /// The decoded window: `filled` bytes from `start`.
    window: [u8; WINDOW],
    start: usize,
    filled: usize,
}

#[derive(Clone, Copy)]
enum Source<'a> {
    Bytes(&'a [u8]),
    /// Valid base64.
    Base64(&'a [u8]),
}

/// The error when the budget runs out.
const SPENT: Result<(), ImageErrorKind> = Err(ImageErrorKind::Malformed);

impl<'a> Reader<'a> {
    pub(super) fn bytes(bytes: &'a [u8], budget: &'a WorkBudget) -> Self {
        Self::new(Source::Bytes(bytes), bytes.len(), budget)
    }

    /// Reads through base64 after checking all of it: the alphabet, the padding (optional
    /// unless `padded`), and that unused bits are 0.
    pub(super) fn base64(
        text: &'a [u8],
        padded: bool,
        budget: &'a WorkBudget,
    ) -> Result<Self, ImageErrorKind> {
        budget.spend_bytes(text.len()).or(SPENT)?;
        let encoding = if padded { &STANDARD } else { encoding(text) };
        encoding.check(text).map_err(|_| ImageErrorKind::Base64)?;
        let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
        let length = (text.len() - padding) * 3 / 4;
        Ok(Self::new(Source::Base64(text), length, budget))
    }

    fn new(source: Source<'a>, length: usize, budget: &'a WorkBudget) -> Self {
        Self {
            source,
            budget,
            length,
            position: 0,
            window: [0; WINDOW],
            start: 0,
            filled: 0,
        }
    }

    pub(super) fn length(&self) -> usize {
        self.length
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.position == self.length
    }

    pub(super) fn rewind(&mut self) {
        self.position = 0;
    }

    pub(super) fn skip(&mut self, bytes: usize) -> Result<(), ImageErrorKind> {
        if bytes > self.length - self.position {
            return Err(ImageErrorKind::Malformed);
        }
        self.position += bytes;
        Ok(())
    }

    /// Skips forward to this position.
    pub(super) fn skip_to(&mut self, position: usize) -> Result<(), ImageErrorKind> {
        let bytes = position.checked_sub(self.position);
        self.skip(bytes.ok_or(ImageErrorKind::Malformed)?)
    }

    pub(super) fn take<const N: usize>(&mut self) -> Result<[u8; N], ImageErrorKind> {
        self.budget.spend(1).or(SPENT)?;
        if let Some(taken) = self.view().first_chunk().copied() {
            self.position += N;
            return Ok(taken);
        }
        let mut taken = [0; N];
        for byte in &mut taken {
            *byte = *self.view().first().ok_or(ImageErrorKind::Malformed)?;
            self.position += 1;
        }
        Ok(taken)
    }

    /// Skips past the next matching byte and returns it.
    pub(super) fn find(&mut self, mut is_it: impl FnMut(u8) -> bool) -> Result<u8, ImageErrorKind> {
        loop {
            self.budget.spend(BLOCK / NARROW).or(SPENT)?;
            let view = self.view();
            let view = &view[..view.len().min(BLOCK)];
            if view.is_empty() {
                return Err(ImageErrorKind::Malformed);
            }
            match view.iter().position(|byte| is_it(*byte)) {
                Some(index) => {
                    let found = view[index];
                    self.position += index + 1;
                    return Ok(found);
                }
                None => self.position += view.len(),
            }
        }
    }

    /// Returns bytes from the position on; empty only at the end.
    fn view(&mut self) -> &[u8] {
        let position = self.position;
        match self.source {
            Source::Bytes(bytes) => &bytes[position..],
            Source::Base64(text) => {
                if position.wrapping_sub(self.start) >= self.filled {
                    self.start = position / 3 * 3;
                    self.filled = decode_window(text, self.start, &mut self.window);
                }
                &self.window[position - self.start..self.filled]
            }
        }
    }
}

/// The only encoding that a text of this length can have.
fn encoding(text: &[u8]) -> &'static Base64 {
    if text.len().is_multiple_of(4) {
        &STANDARD
    } else {
        &STANDARD_NO_PAD
    }
}

/// Decodes checked base64.
pub(super) fn decode(text: &[u8]) -> Vec<u8> {
    let decoded = encoding(text).decode_to_vec(text);
    decoded.expect("checked base64")
}

/// Decodes from this byte, a multiple of 3; returns the number of bytes.
fn decode_window(text: &[u8], start: usize, window: &mut [u8; WINDOW]) -> usize {
    let from = start / 3 * 4;
    let to = text.len().min(from + WINDOW / 3 * 4);
    let text = &text[from..to];
    let decoded = encoding(text).decode(text, window.as_mut_slice().as_out());
    decoded.expect("checked base64, cut between quads").len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_through_base64() {
        let budget = WorkBudget::unlimited();
        let bytes: Vec<u8> = (0..=255).cycle().take(1_000).collect();
        for length in [0, 1, 2, 3, 190, 191, 192, 193, 1_000] {
            let text = STANDARD.encode_to_string(&bytes[..length]);
            let unpadded = text.trim_end_matches('=');
            for (text, padded) in [(&*text, true), (&*text, false), (unpadded, false)] {
                assert_eq!(decode(text.as_bytes()), bytes[..length]);
                let mut reader = Reader::base64(text.as_bytes(), padded, &budget).expect("base64");
                assert_eq!(reader.length(), length);
                for byte in &bytes[..length] {
                    assert_eq!(reader.take(), Ok([*byte]));
                }
                assert_eq!(reader.take::<1>(), Err(ImageErrorKind::Malformed));
                assert!(reader.is_at_end());
            }
        }
    }

    #[test]
    fn jumps_to_any_position() {
        let budget = WorkBudget::unlimited();
        let bytes: Vec<u8> = (0..=255).cycle().take(1_000).collect();
        let text = STANDARD.encode_to_string(&bytes);
        for jump in 0..=996 {
            let mut reader = Reader::base64(text.as_bytes(), true, &budget).expect("base64");
            reader.skip(jump).expect("inside");
            assert_eq!(reader.take::<4>().expect("inside"), bytes[jump..jump + 4]);
        }
        let mut reader = Reader::base64(text.as_bytes(), true, &budget).expect("base64");
        assert_eq!(reader.skip(1_001), Err(ImageErrorKind::Malformed));
        assert_eq!(reader.find(|byte| byte == 255), Ok(255));
        assert_eq!(reader.position(), 256);
    }

    // I04
    #[test]
    fn refuses_non_canonical_base64() {
        let budget = WorkBudget::unlimited();
        for text in [
            "AAA", "AA", "A===", "====", "AAAA=", "AAA=AAAA", "AA=A", "AAB=", "AB==", "AA-_",
            "AAA\n", " AAA", "AAA\0", "AA%3D", "AAAA\n", "AAAAé",
        ] {
            let error = Reader::base64(text.as_bytes(), true, &budget).err();
            assert_eq!(error, Some(ImageErrorKind::Base64), "{text:?}");
        }
    }

    // FH10: ambiguous or invalid text is refused without padding as well.
    #[test]
    fn accepts_missing_padding_only() {
        let budget = WorkBudget::unlimited();
        for (text, length) in [("AAA", 2), ("AA", 1), ("AAAAAA", 4), ("AAAA", 3)] {
            let reader = Reader::base64(text.as_bytes(), false, &budget);
            assert_eq!(reader.expect(text).length(), length);
        }
        for text in [
            "A", "AAAAA", "A===", "====", "AAAA=", "AAA=AAAA", "AA=A", "AA=", "AAB", "AB", "AA-",
            "AA\n", "AAA\n", " AA", "AA%3D",
        ] {
            let error = Reader::base64(text.as_bytes(), false, &budget).err();
            assert_eq!(error, Some(ImageErrorKind::Base64), "{text:?}");
        }
    }
}
