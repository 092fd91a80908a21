//! The keys that seal a log.

use std::{env, path::PathBuf};

use clap::Args;
use stockade_audit::ChainKey;
use zeroize::Zeroizing;

use crate::{CliError, output::plural, secret};

/// The environment variable with the key, if no file is given.
const KEY_VARIABLE: &str = "STOCKADE_AUDIT_KEY";

/// The id of the key if the configuration sets none.
const DEFAULT_ID: &str = "1";

/// A secret and its source.
type Secret = (String, Zeroizing<Vec<u8>>);

/// The keys to verify with.
#[derive(Args, Clone, Debug)]
pub(super) struct KeyArgs {
    /// The key that seals the log (`audit.key_file` of the configuration); repeat it if the
    /// key was changed [default: the key in STOCKADE_AUDIT_KEY]
    #[arg(
        long = "key-file",
        value_name = "FILE",
        env = "STOCKADE_AUDIT__KEY_FILE",
        hide_env_values = true
    )]
    files: Vec<PathBuf>,
    /// The id of the key (`audit.key_id` of the configuration), once for each --key-file, in
    /// the same order [default: 1]
    #[arg(
        long = "key-id",
        value_name = "ID",
        env = "STOCKADE_AUDIT__KEY_ID",
        hide_env_values = true
    )]
    ids: Vec<String>,
}

impl KeyArgs {
    pub(super) fn read(&self) -> Result<Vec<ChainKey>, CliError> {
        let secrets = self.secrets()?;
        let default = [DEFAULT_ID.to_owned()];
        let ids = match (self.ids.len(), secrets.len()) {
            (0, 1) => &default[..],
            (ids, secrets) if ids == secrets => &self.ids,
            (ids, secrets) => {
                let keys = plural(secrets as u64, "key");
                let ids = plural(ids as u64, "key id");
                return Err(CliError::usage(format_args!("{keys} but {ids} given"))
                    .with_help("add a --key-id for each --key-file, in the same order"));
            }
        };
        ids.iter()
            .zip(secrets)
            .map(|(id, (place, secret))| {
                // Servers also ignore the line feed at the end of a key file.
                ChainKey::new(id, secret.trim_ascii_end())
                    .map_err(|error| CliError::usage(format_args!("{place}: {error}")))
            })
            .collect()
    }

    fn secrets(&self) -> Result<Vec<Secret>, CliError> {
        if !self.files.is_empty() {
            let read = |path: &PathBuf| Ok((path.display().to_string(), secret::read_file(path)?));
            return self.files.iter().map(read).collect();
        }
        match env::var(KEY_VARIABLE) {
            Ok(text) if !text.is_empty() => Ok(vec![(
                KEY_VARIABLE.to_owned(),
                Zeroizing::new(text.into_bytes()),
            )]),
            Err(env::VarError::NotUnicode(_)) => {
                Err(CliError::usage(format_args!("{KEY_VARIABLE} is not UTF-8"))
                    .with_help("write the key to a file, and name it with --key-file"))
            }
            Ok(_) | Err(env::VarError::NotPresent) => Err(CliError::usage(
                "no key is given, so the log cannot be verified",
            )
            .with_help(format_args!(
                "name the key file with --key-file, or set {KEY_VARIABLE}"
            ))),
        }
    }
}
