//! `stockade token revoke`.

use std::path::PathBuf;

use clap::Args;
use stockade_core::clock::{Clock, SystemClock};
use stockade_jwt::{RevocationFile, RevocationFileErrorKind};

use crate::{
    CliError, Outcome, output,
    time::{Expiry, Rfc3339},
};

/// The token to revoke, and the file of revoked tokens.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
A server applies changes of the file within two seconds, if its configuration names it:

  [auth.tokens]
  revoked_file = \"revoked.txt\"

Examples:
  stockade token revoke u3kF0cQm2VYtQk6r0w --file revoked.txt --until 2026-01-31T18:00:00Z
  stockade token revoke u3kF0cQm2VYtQk6r0w --file revoked.txt --until 15m")]
pub(crate) struct RevokeArgs {
    /// The token's id (`jti`), as shown by `stockade token issue` and `stockade token inspect`
    // One in 64 ids begins with `-`.
    #[arg(allow_hyphen_values = true)]
    id: String,
    /// The file of revoked tokens; created if it does not exist
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// When the token expires; its line is removed after that [default: never]
    #[arg(
        long,
        value_name = "TIME",
        default_value = "never",
        hide_default_value = true
    )]
    until: Expiry,
}

impl RevokeArgs {
    pub(crate) fn run(self) -> Result<Outcome, CliError> {
        let now = SystemClock::new().now();
        let until = self
            .until
            .resolve(now)
            .map_err(|problem| CliError::usage(format_args!("--until: {problem}")))?;
        RevocationFile::append(&self.file, &self.id, until, now).map_err(|error| {
            match error.kind() {
                RevocationFileErrorKind::Id => CliError::usage(error),
                _ => CliError::failed(error),
            }
        })?;
        match until {
            Some(until) => output::note(format_args!("Revoked until {}.", Rfc3339(until))),
            None => output::note(
                "Permanently revoked. With --until, the line is removed after the token expires.",
            ),
        }
        // The file may have had invalid lines before, which a server would report.
        if let Err(error) = RevocationFile::open(&self.file, now) {
            output::warn(error);
        }
        Ok(Outcome::Success)
    }
}
