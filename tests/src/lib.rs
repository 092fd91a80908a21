//! Nothing to use: the tests are in `it/`. The README's example is compiled from here.

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
