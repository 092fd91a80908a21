//! Runs of characters that stand for themselves.

use crate::work_budget::{BudgetExhausted, WorkBudget};

/// A run without quotes, backslashes and control characters.
pub(super) struct Plain {
    pub(super) length: usize,
    pub(super) ascii: bool,
}

/// Returns the run before the first quote, backslash, control character or the end.
pub(super) fn skip_plain(rest: &[u8], budget: &WorkBudget) -> Result<Plain, BudgetExhausted> {
    // Fits the L1 cache for both passes.
    const BLOCK: usize = 8 << 10;
    let (mut length, byte) = skip_words(rest);
    if matches!(byte, b'"' | b'\\') {
        let ascii = true;
        return Ok(Plain { length, ascii });
    }
    let mut ascii = true;
    for block in rest[length..].chunks(BLOCK) {
        budget.spend_bytes(block.len())?;
        let end = memchr::memchr2(b'"', b'\\', block);
        let plain = &block[..end.unwrap_or(block.len())];
        // Once not ASCII, the check for ASCII is skipped.
        if !(ascii && is_printable(plain)) {
            ascii = ascii && plain.is_ascii();
            let least = plain.iter().fold(u8::MAX, |least, byte| least.min(*byte));
            if least < b' ' {
                let control = plain.iter().position(|byte| *byte < b' ');
                length += control.expect("the minimum is a control character");
                break;
            }
        }
        length += plain.len();
        if end.is_some() {
            break;
        }
    }
    Ok(Plain { length, ascii })
}

/// Whether all bytes are ASCII and none is a control character of JSON (DEL is not).
///
/// Without an early exit the compiler vectorises the loop. Flipping the high bit maps
/// non-ASCII bytes and control characters below the space.
fn is_printable(bytes: &[u8]) -> bool {
    const BIT: u8 = 0x80;
    let lower = |lowest: u8, byte: &u8| lowest.min(byte ^ BIT);
    // Four vectors at a time.
    let (blocks, rest) = bytes.as_chunks::<64>();
    let mut lanes = [u8::MAX; 64];
    for block in blocks {
        for (lane, byte) in lanes.iter_mut().zip(block) {
            *lane = lower(*lane, byte);
        }
    }
    let lowest = lanes.into_iter().fold(u8::MAX, u8::min);
    rest.iter().fold(lowest, lower) >= b' ' ^ BIT
}

/// Returns the number of leading plain ASCII characters and the byte after them, or 0 if
/// unknown. It reads eight bytes at a time and at most four words: names are short, and so are
/// runs between the escapes of a hostile text.
#[inline(always)]
pub(super) fn skip_words(rest: &[u8]) -> (usize, u8) {
    const FAR: usize = 4 * WORD;
    const WORD: usize = size_of::<u64>();
    let mut length = 0;
    while length < FAR
        && let Some(word) = rest.get(length..length + WORD)
    {
        let word = u64::from_le_bytes(word.try_into().expect("the slice has eight bytes"));
        let ends = ends(word);
        if ends != 0 {
            let bits = ends.trailing_zeros() / 8 * 8;
            return (length + bits as usize / 8, (word >> bits) as u8);
        }
        length += WORD;
    }
    (length, 0)
}

/// Sets the high bit of each byte that is a quote, a backslash, a control character or not
/// ASCII; exact up to the first of them.
#[inline(always)]
fn ends(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xFF;
    const HIGH: u64 = ONES << 7;
    // Sets the high bit of bytes below the limit. A borrow may falsify the bytes above.
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit);
    // Flipping this bit maps the quote to 0x20 and keeps smaller bytes below 0x21, so one
    // comparison finds quotes and control characters.
    const QUOTE: u64 = ONES * (0x20 ^ b'"' as u64);
    const BACKSLASH: u64 = ONES * b'\\' as u64;
    (below(word ^ QUOTE, 0x21) | below(word ^ BACKSLASH, 1) | word) & HIGH
}
