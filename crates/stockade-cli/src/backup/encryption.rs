//! To whom a backup is encrypted.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
};

use age::{Encryptor, Recipient, scrypt, stream::StreamWriter, x25519};
use clap::Args;

use super::passphrase;
use crate::{CliError, output};

/// The work of a passphrase as a power of two: about a second, and 256 MiB of memory. That of the
/// `age` command.
const WORK_FACTOR: u8 = 18;

/// Who can decrypt the backup.
#[derive(Args, Clone, Debug)]
pub(super) struct EncryptionArgs {
    /// A public key of age, `age1…`, whose identity can decrypt the backup; repeatable. `age-keygen`
    /// makes a pair
    #[arg(long = "recipient", value_name = "RECIPIENT")]
    recipients: Vec<String>,
    /// A file with recipients, one per line
    #[arg(long, value_name = "FILE")]
    recipients_file: Option<PathBuf>,
    /// A file with a passphrase instead of recipients [default: a prompt]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["recipients", "recipients_file"])]
    passphrase_file: Option<PathBuf>,
}

/// Who can decrypt a backup.
pub(super) struct Encryption(Vec<Box<dyn Recipient>>);

impl EncryptionArgs {
    pub(super) fn read(&self) -> Result<Encryption, CliError> {
        let mut recipients: Vec<Box<dyn Recipient>> = Vec::new();
        for text in &self.recipients {
            recipients.push(recipient(text, "--recipient")?);
        }
        if let Some(file) = &self.recipients_file {
            let shown = file.display();
            let text = fs::read_to_string(file)
                .map_err(|error| CliError::failed(format_args!("cannot read {shown}: {error}")))?;
            for (number, line) in (1..).zip(text.lines()) {
                let line = line.trim();
                if !line.is_empty() && !line.starts_with('#') {
                    recipients.push(recipient(line, &format!("{shown}:{number}"))?);
                }
            }
            if recipients.is_empty() {
                return Err(CliError::usage(format_args!("{shown} has no recipient"))
                    .with_help("write one per line: age1…"));
            }
        }
        if recipients.is_empty() {
            if self.passphrase_file.is_none() && !output::is_interactive() {
                return Err(
                    CliError::usage("the backup needs a recipient or a passphrase")
                        .with_help("add --recipient age1…, --recipients-file or --passphrase-file"),
                );
            }
            let passphrase = passphrase::create(self.passphrase_file.as_deref())?;
            let mut recipient = scrypt::Recipient::new(passphrase);
            recipient.set_work_factor(WORK_FACTOR);
            recipients.push(Box::new(recipient));
        }
        Ok(Encryption(recipients))
    }
}

impl Encryption {
    /// Encrypts what is written to the returned stream.
    pub(super) fn wrap<W>(&self, output: W) -> io::Result<StreamWriter<W>>
    where
        W: Write,
    {
        let recipients = self.0.iter().map(|recipient| &**recipient);
        Encryptor::with_recipients(recipients)
            .map_err(io::Error::other)?
            .wrap_output(output)
    }
}

/// Parses a recipient. Errors do not quote it: it may be a secret by mistake.
fn recipient(text: &str, place: &str) -> Result<Box<dyn Recipient>, CliError> {
    match text.parse::<x25519::Recipient>() {
        Ok(recipient) => Ok(Box::new(recipient)),
        Err(_) if text.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") => Err(CliError::usage(
            format_args!("{place} is an identity, which decrypts backups"),
        )
        .with_help("use its public key, `age-keygen -y key.txt`, and consider it leaked")),
        Err(_) => Err(CliError::usage(format_args!(
            "{place} is not a recipient of age with X25519"
        ))
        .with_help("a recipient has 62 characters and starts with age1: `age-keygen -y key.txt`")),
    }
}
