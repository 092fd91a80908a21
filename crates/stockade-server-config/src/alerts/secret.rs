//! The secret of a webhook.

use std::{fmt, fs::File, io::Read, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use stockade::ConfigError;
use zeroize::Zeroizing;

const SETTING: &str = "alerts.webhook_secret_file";
/// Of Standard Webhooks.
const PREFIX: &[u8] = b"whsec_";
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// The maximum size of the file.
const MAX_FILE: u64 = 1_024;

/// The secret that signs the messages of a webhook; never shown, and erased from memory when it
/// is dropped.
#[derive(Clone)]
pub struct WebhookSecret(Zeroizing<Vec<u8>>);

impl WebhookSecret {
    /// Reads a file with `whsec_` and base64.
    pub(super) fn read(file: &Path) -> Result<Self, ConfigError> {
        let mut text = Zeroizing::new(Vec::new());
        let shown = file.display();
        let read = File::open(file).and_then(|from| from.take(MAX_FILE).read_to_end(&mut text));
        read.map_err(|error| fault(format!("cannot read {shown}: {error}")))?;
        let decoded = text.trim_ascii().strip_prefix(PREFIX);
        let decoded = decoded.and_then(|base64| STANDARD.decode(base64).ok());
        let Some(bytes) = decoded.map(Zeroizing::new) else {
            return Err(fault(format!("{shown} is not whsec_ and base64")));
        };
        match BYTES.contains(&bytes.len()) {
            true => Ok(Self(bytes)),
            false => Err(fault(format!(
                "{shown} has {} bytes, but 24 to 64 are required",
                bytes.len()
            ))),
        }
    }

    /// The key of the signature.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

/// The error of a webhook without a secret.
pub(super) fn missing() -> ConfigError {
    fault("the webhook has no secret, so its receiver could not verify alerts".to_owned())
}

fn fault(text: String) -> ConfigError {
    ConfigError::setting(SETTING, text).help(
        "create one: (umask 077; echo \"whsec_$(head -c 32 /dev/urandom | base64)\" > alerts.key)",
    )
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}
