//! Rules and where they are for.

use super::rule::Rule;

/// These rules, below this pointer.
pub(super) fn at<const N: usize>(
    pointer: &str,
    rules: [(&'static str, Rule); N],
) -> Vec<(String, Rule)> {
    let below = |(place, rule): (&str, Rule)| ([pointer, place].concat(), rule);
    rules.into_iter().map(below).collect()
}
