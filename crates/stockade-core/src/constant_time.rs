//! Comparing what an attacker must not learn.

/// Whether two digests are the same, looking at all bytes whatever they are, so that the
/// time tells nothing of them.
#[inline]
pub fn constant_time_eq(ours: &[u8; 32], theirs: &[u8; 32]) -> bool {
    let words = |bytes: &[u8; 32]| -> [u64; 4] {
        std::array::from_fn(|at| {
            let word = bytes[at * 8..][..8].try_into();
            u64::from_ne_bytes(word.expect("eight bytes are a word"))
        })
    };
    let (ours, theirs) = (words(ours), words(theirs));
    let difference = (0..4).fold(0, |sum, at| sum | ours[at] ^ theirs[at]);
    // Keeps the compiler from leaving the fold early.
    std::hint::black_box(difference) == 0
}
