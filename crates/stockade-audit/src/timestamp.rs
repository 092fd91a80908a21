//! RFC 3339 timestamps.

use std::{cell::Cell, io::Write};

use stockade_core::clock::Timestamp;

use crate::line::three_digits;

/// The length of `2026-01-31T12:00:00`.
const SECONDS: usize = 19;

thread_local! {
    /// The last formatted second and its text, since many records share a second.
    static LAST: Cell<(u64, [u8; SECONDS])> = const { Cell::new((0, *b"1970-01-01T00:00:00")) };
}

/// Appends `2026-01-31T12:00:00.000000Z`.
pub(crate) fn push_rfc3339(out: &mut Vec<u8>, at: Timestamp) {
    let second = at.as_secs();
    let known = LAST.try_with(Cell::get).ok();
    let text = match known {
        Some((last, text)) if last == second => text,
        _ => {
            let text = calendar(second);
            // A thread that is ending has nothing to remember.
            let _ = LAST.try_with(|last| last.set((second, text)));
            text
        }
    };
    out.extend_from_slice(&text);
    let micros = (at.as_nanos() % 1_000_000_000 / 1_000) as u32;
    let [a, b, c] = three_digits(micros / 1_000);
    let [d, e, f] = three_digits(micros % 1_000);
    out.extend_from_slice(&[b'.', a, b, c, d, e, f, b'Z']);
}

fn calendar(second: u64) -> [u8; SECONDS] {
    let second = i64::try_from(second).unwrap_or(i64::MAX);
    let at = jiff::Timestamp::from_second(second).unwrap_or(jiff::Timestamp::MAX);
    let mut text = [0; SECONDS + 1];
    write!(&mut text[..], "{at:.0}").expect("a year has four digits until 9999");
    let [seconds @ .., _utc] = text;
    seconds
}

/// Returns `20260131T120000Z`, for file names.
pub(crate) fn compact(at: Timestamp) -> String {
    let text = calendar(at.as_secs());
    let digits = text.iter().filter(|byte| !matches!(byte, b'-' | b':'));
    let mut text: String = digits.map(|byte| char::from(*byte)).collect();
    text.push('Z');
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn formats_rfc_3339() {
        let start = Timestamp::from_secs(1_769_860_799);
        for (after, expected) in [
            (Duration::ZERO, "2026-01-31T11:59:59.000000Z"),
            (
                Duration::from_nanos(1_234_567),
                "2026-01-31T11:59:59.001234Z",
            ),
            (
                Duration::from_nanos(999_999_999),
                "2026-01-31T11:59:59.999999Z",
            ),
            (Duration::from_secs(1), "2026-01-31T12:00:00.000000Z"),
            (Duration::MAX, "2554-07-21T23:34:33.709551Z"),
        ] {
            let mut out = Vec::new();
            push_rfc3339(&mut out, start + after);
            assert_eq!(out, expected.as_bytes());
        }
        assert_eq!(compact(start), "20260131T115959Z");
    }
}
