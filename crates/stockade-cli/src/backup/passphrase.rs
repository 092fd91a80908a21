//! Passphrases of backups.

use std::path::Path;

use age::secrecy::SecretString;
use zeroize::Zeroizing;

use crate::{CliError, output, prompt, secret};

/// Shorter ones can be guessed from a stolen backup.
const MIN_LEN: usize = 12;

/// Reads a new passphrase from a file, or prompts for it twice.
pub(super) fn create(file: Option<&Path>) -> Result<SecretString, CliError> {
    let passphrase = match file {
        Some(file) => from_file(file)?,
        None => {
            let first = prompt::secret("Passphrase of the backup")?;
            if prompt::secret("Repeat the passphrase")? != first {
                return Err(CliError::usage("the passphrases differ").with_help("try again"));
            }
            first
        }
    };
    if passphrase.chars().count() < MIN_LEN {
        return Err(CliError::usage(format_args!(
            "the passphrase has less than {MIN_LEN} characters"
        ))
        .with_help(
            "use a random one: (umask 077; head -c 32 /dev/urandom | base64 > passphrase.txt)",
        ));
    }
    Ok(SecretString::from(passphrase.as_str()))
}

/// Reads the passphrase of a backup from a file, or prompts for it.
pub(crate) fn read(file: Option<&Path>) -> Result<SecretString, CliError> {
    let passphrase = match file {
        Some(file) => from_file(file)?,
        None if output::is_interactive() => prompt::secret("Passphrase of the backup")?,
        None => {
            return Err(CliError::usage("the backup is encrypted with a passphrase")
                .with_help("name a file with it with --passphrase-file"));
        }
    };
    Ok(SecretString::from(passphrase.as_str()))
}

fn from_file(file: &Path) -> Result<Zeroizing<String>, CliError> {
    let bytes = secret::read_file(file)?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(CliError::usage(format_args!(
            "{} is not UTF-8",
            file.display()
        ))),
    }
}
