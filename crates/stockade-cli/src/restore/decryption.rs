//! Decrypts backups.

use std::{
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
};

use age::{DecryptError, Decryptor, Identity, IdentityFile, scrypt, stream::StreamReader};
use clap::Args;

use crate::{CliError, backup::passphrase, secret};

/// The maximum work of a passphrase as a power of two: four seconds, and 1 GiB of memory.
const MAX_WORK_FACTOR: u8 = 20;

/// What decrypts the backup.
#[derive(Args, Clone, Debug)]
pub(super) struct DecryptionArgs {
    /// A file with an identity of age, `AGE-SECRET-KEY-1…`; repeatable
    #[arg(long = "identity", value_name = "FILE")]
    identities: Vec<PathBuf>,
    /// A file with the passphrase [default: a prompt]
    #[arg(long, value_name = "FILE", conflicts_with = "identities")]
    passphrase_file: Option<PathBuf>,
}

impl DecryptionArgs {
    /// Opens a backup. What the stream returns is authentic, but a backup is only complete if it
    /// was read to its end.
    pub(super) fn open(&self, path: &Path) -> Result<StreamReader<BufReader<File>>, CliError> {
        let shown = path.display();
        let file = File::open(path)
            .map_err(|error| CliError::failed(format_args!("cannot read {shown}: {error}")))?;
        let decryptor = Decryptor::new_buffered(BufReader::with_capacity(1 << 17, file))
            .map_err(|error| refused(path, &error))?;
        let identities: Vec<Box<dyn Identity>> = match (decryptor.is_scrypt(), &*self.identities) {
            (true, []) => {
                let passphrase = passphrase::read(self.passphrase_file.as_deref())?;
                let mut identity = scrypt::Identity::new(passphrase);
                identity.set_max_work_factor(MAX_WORK_FACTOR);
                vec![Box::new(identity)]
            }
            (true, _) => {
                return Err(CliError::usage(format_args!(
                    "{shown} is encrypted with a passphrase, not for an identity"
                ))
                .with_help("use --passphrase-file instead of --identity"));
            }
            (false, []) => {
                return Err(
                    CliError::usage(format_args!("{shown} is encrypted for an identity"))
                        .with_help("name the file with it with --identity"),
                );
            }
            (false, files) => {
                let mut identities = Vec::new();
                for file in files {
                    identities.extend(read_identities(file)?);
                }
                identities
            }
        };
        let identities = identities.iter().map(|identity| &**identity);
        decryptor
            .decrypt(identities)
            .map_err(|error| refused(path, &error))
    }
}

fn read_identities(path: &Path) -> Result<Vec<Box<dyn Identity>>, CliError> {
    let invalid = |text: &str| {
        CliError::usage(format_args!("{}: {text}", path.display()))
            .with_help("name a file of `age-keygen`; decrypt it first, if it has a passphrase")
    };
    let bytes = secret::read_file(path)?;
    // The error names the line, but does not quote it.
    let file = IdentityFile::from_buffer(&**bytes).map_err(|error| invalid(&error.to_string()))?;
    match file.into_identities() {
        Ok(identities) if identities.is_empty() => Err(invalid("the file has no identity")),
        identities => identities.map_err(|error| invalid(&error.to_string())),
    }
}

fn refused(path: &Path, error: &DecryptError) -> CliError {
    let shown = path.display();
    match error {
        DecryptError::NoMatchingKeys => CliError::failed(format_args!(
            "{shown} is not encrypted for this identity, or its first bytes are damaged"
        ))
        .with_help("name the identity that belongs to a recipient of the backup"),
        DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed => {
            CliError::failed(format_args!(
                "the passphrase or the identity is wrong, or the first bytes of {shown} are damaged"
            ))
            .with_help("try another one, or another copy of the backup")
        }
        DecryptError::ExcessiveWork { .. } => {
            CliError::failed(format_args!("{shown} needs too much work for a passphrase"))
                .with_help("this command does not make such backups: do not trust it")
        }
        DecryptError::Io(error) => CliError::failed(format_args!(
            "cannot read the first bytes of {shown}: {error}"
        ))
        .with_help("use another copy of the backup"),
        _ => CliError::failed(format_args!(
            "{shown} is not a backup, or its first bytes are damaged"
        ))
        .with_help("name a file that `stockade backup` has written"),
    }
}
