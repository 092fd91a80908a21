//! The keys that a log was sealed with.

use std::{env, path::PathBuf};

use clap::Args;
use stockade_audit::ChainKey;
use zeroize::Zeroizing;

use crate::{CliError, secret};

/// Has the key itself, where no file has it.
const KEY_VARIABLE: &str = "STOCKADE_AUDIT_KEY";

/// The name of a key that the configuration does not name.
const DEFAULT_ID: &str = "1";

/// A secret, and where it comes from.
type Secret = (String, Zeroizing<Vec<u8>>);

/// Which keys.
#[derive(Args, Clone, Debug)]
pub(super) struct KeyArgs {
    /// The key that the log was sealed with, `audit.key_file` of the configuration; repeat it
    /// where the key was changed [default: the key in STOCKADE_AUDIT_KEY]
    #[arg(
        long = "key-file",
        value_name = "FILE",
        env = "STOCKADE_AUDIT__KEY_FILE",
        hide_env_values = true
    )]
    files: Vec<PathBuf>,
    /// The key's name in the records, `audit.key_id`; one for each --key-file, in their order
    /// [default: 1]
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
                return Err(CliError::usage(format_args!(
                    "there are {secrets} keys and {ids} ids"
                ))
                .help("add a --key-id for each --key-file, in the same order"));
            }
        };
        ids.iter()
            .zip(secrets)
            .map(|(id, (place, secret))| {
                // As servers read it: files of random text end in a line feed.
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
                    .help("put the bytes into a file, and name it by --key-file"))
            }
            Ok(_) | Err(env::VarError::NotPresent) => Err(CliError::usage(
                "without its key nothing can be proven of a log",
            )
            .help(format_args!(
                "name it by --key-file, or put it into {KEY_VARIABLE}"
            ))),
        }
    }
}
