//! A per-thread cache of redacted texts: most requests use few models.

use std::cell::RefCell;

/// The number of slots, of one text each.
const SLOTS: usize = 64;

/// The maximum length of a cached text, in bytes.
const LONGEST: usize = 256;

/// A text, and its output for a limit.
struct Slot {
    text: String,
    limit: usize,
    written: Vec<u8>,
}

thread_local! {
    static RECENT: RefCell<[Slot; SLOTS]> = const {
        RefCell::new(
            [const {
                Slot {
                    text: String::new(),
                    limit: 0,
                    written: Vec::new(),
                }
            }; SLOTS],
        )
    };
}

/// Appends the output of `write` for the text, from the cache if possible.
///
/// The cache keeps the text itself, so paths and headers, which may contain a secret, are
/// not cached. Entries are compared by all bytes. A client that sends a new text each time
/// causes cache misses but no additional memory.
pub(crate) fn push(
    out: &mut Vec<u8>,
    text: &str,
    limit: usize,
    write: impl Fn(&mut Vec<u8>, &str, usize),
) {
    let Some(at) = slot(text) else {
        return write(out, text, limit);
    };
    let start = out.len();
    let known = RECENT.try_with(|recent| {
        // A thread writes one line at a time, so this never panics.
        let mut recent = recent.borrow_mut();
        let slot = &mut recent[at];
        if slot.text != text || slot.limit != limit {
            write(out, text, limit);
            slot.text.clear();
            slot.text.push_str(text);
            slot.limit = limit;
            slot.written.clear();
            slot.written.extend_from_slice(&out[start..]);
        } else {
            out.extend_from_slice(&slot.written);
        }
    });
    if known.is_err() {
        // The thread is being destroyed.
        write(out, text, limit);
    }
}

/// Returns the slot of a text by its last bytes and length; `None` for texts that are too
/// short or too long.
fn slot(text: &str) -> Option<usize> {
    if text.len() > LONGEST {
        return None;
    }
    let end = u64::from_le_bytes(*text.as_bytes().last_chunk()?);
    let mixed = (end ^ text.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Some((mixed >> 58) as usize % SLOTS)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn caches_a_text_and_compares_it_completely() {
        let times = Cell::new(0);
        let written = |text: &str, limit| {
            let mut out = b"before".to_vec();
            push(&mut out, text, limit, |out, text, limit| {
                times.set(times.get() + 1);
                out.extend_from_slice(format!("<{text}>{limit}").as_bytes());
            });
            String::from_utf8(out).unwrap()
        };
        // The same slot, by their ends and lengths.
        for text in ["/a/completions", "/b/completions", "/b/completions"] {
            assert_eq!(written(text, 9), format!("before<{text}>9"));
        }
        assert_eq!(times.get(), 2);
        assert_eq!(written("/b/completions", 8), "before</b/completions>8");
        assert_eq!(times.get(), 3, "another limit");
        for _ in 0..2 {
            written("/short", 9);
            written(&"/long".repeat(100), 9);
        }
        assert_eq!(times.get(), 7, "neither is kept");
    }
}
