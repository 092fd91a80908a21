//! Tables of rules below a pointer.

use super::rule::Rule;

/// Prefixes the pointers of these rules.
pub(super) fn at<const N: usize>(
    pointer: &str,
    rules: [(&'static str, Rule); N],
) -> Vec<(String, Rule)> {
    let below = |(place, rule): (&str, Rule)| ([pointer, place].concat(), rule);
    rules.into_iter().map(below).collect()
}
