//! Decodes UTF-8 that is split at any byte.

/// Holds back the bytes of an incomplete character.
#[derive(Debug, Default)]
pub(super) struct Utf8Decoder {
    pending: Vec<u8>,
}

impl Utf8Decoder {
    /// Adds bytes, and returns the characters that they complete. Invalid bytes become `�`.
    pub(super) fn push(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let mut text = String::new();
        let mut rest = self.pending.as_slice();
        loop {
            match str::from_utf8(rest) {
                Ok(valid) => {
                    text.push_str(valid);
                    rest = &[];
                    break;
                }
                Err(error) => {
                    let (valid, after) = rest.split_at(error.valid_up_to());
                    text.push_str(&String::from_utf8_lossy(valid));
                    rest = after;
                    let Some(invalid) = error.error_len() else {
                        break;
                    };
                    text.push(char::REPLACEMENT_CHARACTER);
                    rest = &rest[invalid..];
                }
            }
        }
        self.pending = rest.to_vec();
        text
    }

    /// The number of bytes that are held back.
    pub(super) fn held(&self) -> usize {
        self.pending.len()
    }

    /// Discards the bytes of an incomplete character.
    pub(super) fn clear(&mut self) {
        self.pending.clear();
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};

    use super::*;

    #[test]
    fn holds_back_an_incomplete_character() {
        let mut decoder = Utf8Decoder::default();
        assert_eq!(decoder.push("aé".as_bytes()), "aé");
        assert_eq!(decoder.push(b"x\xe8\xaa"), "x");
        assert_eq!(decoder.push(b"\x9ey"), "語y");
        assert_eq!(decoder.push(b"\xe8"), "");
        decoder.clear();
        assert_eq!(decoder.push(b"z"), "z");
    }

    #[test]
    fn equals_a_lossy_conversion_of_the_whole() {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        for _ in 0..2_000 {
            let bytes: Vec<u8> = (0..random.random_range(0..12))
                .map(|_| {
                    [b'a', 0xc3, 0xa9, 0xe8, 0xaa, 0x9e, 0xf0, 0xff][random.random_range(0..8)]
                })
                .collect();
            let mut decoder = Utf8Decoder::default();
            let mut text: String = bytes.chunks(2).map(|chunk| decoder.push(chunk)).collect();
            text.push_str(&String::from_utf8_lossy(&decoder.pending));
            assert_eq!(text, String::from_utf8_lossy(&bytes));
        }
    }
}
