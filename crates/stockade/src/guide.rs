#![doc = include_str!("../docs/writing-a-guard.md")]
