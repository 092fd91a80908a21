#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod audit;
#[cfg(feature = "backup")]
mod backup;
mod bans;
mod check;
mod cli;
mod error;
mod escape;
mod generate;
mod keys;
mod output;
mod prompt;
#[cfg(feature = "backup")]
mod restore;
mod secret;
mod time;
mod token;

pub use cli::{Cli, Outcome, command, run};
pub use error::{CliError, CliErrorKind};
