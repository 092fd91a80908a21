//! `stockade token revoke`.

use std::{
    env,
    error::Error as _,
    path::{Path, PathBuf},
};

use clap::Args;
use stockade_admin::RevokedTokens;
use stockade_core::clock::{Clock, SystemClock, Timestamp};
use stockade_jwt::{RevocationFile, RevocationFileErrorKind, RevocationStore as _};

use crate::{
    CliError, Outcome, output,
    time::{Expiry, Rfc3339},
};

/// The token to revoke, and the file or the database of revoked tokens.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
A server applies changes of the file within two seconds, if its configuration names it:

  [auth.tokens]
  revoked_file = \"revoked.txt\"

All servers with the same database of an administration apply a change within a second:

  [admin]
  database = \"postgres://stockade@db/stockade\"
  revoke_tokens = true

Examples:
  stockade token revoke u3kF0cQm2VYtQk6r0w --file revoked.txt --until 2026-01-31T18:00:00Z
  stockade token revoke u3kF0cQm2VYtQk6r0w --file revoked.txt --until 15m
  STOCKADE_ADMIN__DATABASE=sqlite:admin.db stockade token revoke u3kF0cQm2VYtQk6r0w --until 15m")]
pub(crate) struct RevokeArgs {
    /// The token's id (`jti`), as shown by `stockade token issue` and `stockade token inspect`
    // One in 64 ids begins with `-`.
    #[arg(allow_hyphen_values = true)]
    id: String,
    /// The file of revoked tokens; created if it does not exist
    #[arg(long, value_name = "FILE", conflicts_with = "database")]
    file: Option<PathBuf>,
    /// The database of an administration, `sqlite:PATH` or `postgres://USER@HOST/DATABASE`
    /// [env: STOCKADE_ADMIN__DATABASE]
    ///
    /// Pass a password in the variable, PGPASSWORD or ~/.pgpass: every process on the machine can
    /// read the command line.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
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
    pub(crate) async fn run(self) -> Result<Outcome, CliError> {
        let now = SystemClock::new().now();
        let until = self
            .until
            .resolve(now)
            .map_err(|problem| CliError::usage(format_args!("--until: {problem}")))?;
        let database = || self.database.or_else(|| env::var(DATABASE).ok());
        match (self.file, database) {
            (Some(file), _) => revoke_in_file(&file, &self.id, until, now)?,
            (None, database) => match database() {
                Some(url) => revoke_in_database(&url, &self.id, until, now).await?,
                None => {
                    return Err(CliError::usage("there is no list of revoked tokens")
                        .with_help("set --file or --database"));
                }
            },
        }
        match until {
            Some(until) => output::note(format_args!("Revoked until {}.", Rfc3339(until))),
            None => output::note(
                "Permanently revoked. With --until, the entry is removed after the token expires.",
            ),
        }
        Ok(Outcome::Success)
    }
}

/// The variable that also sets the database of a server.
const DATABASE: &str = "STOCKADE_ADMIN__DATABASE";

fn revoke_in_file(
    file: &Path,
    id: &str,
    until: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), CliError> {
    RevocationFile::append(file, id, until, now).map_err(|error| match error.kind() {
        RevocationFileErrorKind::Id => CliError::usage(error),
        _ => CliError::failed(error),
    })?;
    // The file may have had invalid lines before, which a server would report.
    if let Err(error) = RevocationFile::open(file, now) {
        output::warn(error);
    }
    Ok(())
}

async fn revoke_in_database(
    url: &str,
    id: &str,
    until: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), CliError> {
    let tokens = RevokedTokens::open(url).await.map_err(|error| {
        let source = error.source().map(|source| format!(": {source}"));
        CliError::failed(format_args!("{error}{}", source.unwrap_or_default()))
    })?;
    let until = until.unwrap_or(Timestamp::from_nanos(u64::MAX));
    tokens
        .revoke(id, until, now)
        .await
        .map_err(CliError::failed)
}
