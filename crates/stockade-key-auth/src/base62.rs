//! Base62: digits, uppercase letters, lowercase letters.

use zeroize::Zeroizing;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Appends `count` uniformly distributed random digits.
pub(crate) fn push_random(text: &mut String, count: usize) -> Result<(), getrandom::Error> {
    let mut missing = count;
    while missing > 0 {
        let mut bytes = Zeroizing::new([0; 64]);
        getrandom::fill(&mut *bytes)?;
        // 248 is the largest multiple of 62 that fits in a byte; larger values would bias the
        // result towards low digits.
        for byte in bytes.iter().filter(|byte| **byte < 248).take(missing) {
            text.push(char::from(DIGITS[usize::from(*byte % 62)]));
            missing -= 1;
        }
    }
    Ok(())
}

/// Appends a number, zero-padded to `digits` digits.
pub(crate) fn push_number(text: &mut String, number: u32, digits: usize) {
    for place in (0..digits as u32).rev() {
        let digit = u64::from(number) / 62u64.pow(place) % 62;
        text.push(char::from(DIGITS[digit as usize]));
    }
}

/// Parses a number; `None` for invalid characters and values over 32 bits.
pub(crate) fn parse_number(text: &[u8]) -> Option<u32> {
    text.iter().try_fold(0u32, |number, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'A'..=b'Z' => byte - b'A' + 10,
            b'a'..=b'z' => byte - b'a' + 36,
            _ => return None,
        };
        number.checked_mul(62)?.checked_add(digit.into())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn round_trips_numbers(number: u32) {
            let mut text = String::new();
            push_number(&mut text, number, 6);
            prop_assert_eq!(text.len(), 6);
            prop_assert_eq!(parse_number(text.as_bytes()), Some(number));
        }
    }

    #[test]
    fn rejects_numbers_over_32_bits() {
        assert_eq!(parse_number(b"zzzzzz"), None);
        assert_eq!(parse_number(b"4gfFC3"), Some(u32::MAX));
        assert_eq!(parse_number(b"4gfFC4"), None);
    }
}
