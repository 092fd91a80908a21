#![doc = include_str!("../README.md")]

mod ask;
mod audit;
mod bans;
mod check;
mod cli;
mod failure;
mod generate;
mod keys;
mod moment;
mod output;
mod secret;
mod token;
mod visible;

pub use cli::{Cli, Outcome, command, run};
pub use failure::{Failure, FailureKind};
