//! `[alerts]`: messages about conditions that need a person, without a monitoring system.

use std::{
    fs,
    net::IpAddr,
    num::{NonZeroU8, NonZeroU32},
    path::{Path, PathBuf},
};

use http::Uri;
use serde::Deserialize;
use stockade::{ConfigError, SecretUrl};

mod condition;
mod secret;

pub use condition::{AlertCondition, AlertSeverity};
pub use secret::WebhookSecret;

use crate::nonzero;

/// `[alerts]`: the conditions that are reported, and to whom.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct AlertsConfig {
    /// The URL to which alerts are posted: `https://…`, or `http://…` on this machine. It is
    /// never shown, because it may contain a secret.
    pub webhook: Option<SecretUrl>,
    /// A file with the secret that signs the messages of the webhook: `whsec_` and base64, as
    /// Standard Webhooks defines it. Required with `webhook`.
    pub webhook_secret_file: Option<PathBuf>,
    /// PEM: certificates of the authority of the webhook, in addition to the public ones.
    pub webhook_ca_file: Option<PathBuf>,
    /// A program and its arguments, run for each alert without a shell. It reads the alert as
    /// JSON from standard input.
    pub command: Vec<String>,
    /// The timeout for one attempt to deliver an alert.
    pub timeout_secs: NonZeroU32,
    /// How long the delivery of an alert is retried.
    pub give_up_hours: NonZeroU32,
    /// The same condition of the same subject is reported at most once in this time.
    pub repeat_every_secs: NonZeroU32,
    /// More refused credentials and failed logins than this within a minute are reported.
    pub auth_failures_per_minute: NonZeroU32,
    /// More requests than this that are refused with 429 within a minute are reported; off by
    /// default.
    pub rate_limited_per_minute: Option<NonZeroU32>,
    /// A budget of the administration of which this share is used is reported.
    pub budget_percent: NonZeroU8,
    /// The conditions that are not reported.
    pub ignore: Vec<AlertCondition>,
    /// The name of this server in alerts; the name of the host by default.
    pub instance: Option<String>,
    /// The file with the position in the records and the alerts that are not delivered yet. Each
    /// process needs its own.
    pub state_file: PathBuf,
}

impl Default for AlertsConfig {
    fn default() -> Self {
        Self {
            webhook: None,
            webhook_secret_file: None,
            webhook_ca_file: None,
            command: Vec::new(),
            timeout_secs: nonzero!(10),
            give_up_hours: nonzero!(24),
            repeat_every_secs: nonzero!(3_600),
            auth_failures_per_minute: nonzero!(10),
            rate_limited_per_minute: None,
            budget_percent: nonzero!(80),
            ignore: Vec::new(),
            instance: None,
            state_file: PathBuf::from("alerts.json"),
        }
    }
}

impl AlertsConfig {
    /// Resolves relative paths against this folder, including that of the command.
    pub(crate) fn resolve_paths(&mut self, folder: &Path) {
        let files = [&mut self.webhook_secret_file, &mut self.webhook_ca_file];
        let files = files.into_iter().flatten();
        for file in files.chain([&mut self.state_file]) {
            *file = folder.join(&*file);
        }
        if let Some(program) = self.command.first_mut() {
            *program = folder.join(&*program).to_string_lossy().into_owned();
        }
    }

    /// The URL of the webhook.
    ///
    /// # Errors
    /// When it is malformed, or neither HTTPS nor on this machine. The error does not contain it.
    pub fn webhook_url(&self) -> Result<Option<Uri>, ConfigError> {
        const SETTING: &str = "alerts.webhook";

        let Some(url) = &self.webhook else {
            return Ok(None);
        };
        let fault = |text: &str| {
            ConfigError::setting(SETTING, text)
                .help("use a URL such as https://alerts.example.com/stockade")
        };
        let url: Uri = url
            .expose()
            .parse()
            .map_err(|_| fault("the URL is malformed"))?;
        let Some(authority) = url.authority().filter(|known| !known.host().is_empty()) else {
            return Err(fault("the URL has no host"));
        };
        if authority.as_str().contains('@') {
            return Err(fault("the URL contains a user name or password"));
        }
        match url.scheme_str() {
            Some("https") => Ok(Some(url)),
            Some("http") if is_loopback(authority.host()) => Ok(Some(url)),
            Some("http") => Err(fault("alerts would travel unencrypted: HTTPS is required")),
            _ => Err(fault("the URL is neither http:// nor https://")),
        }
    }

    /// The secret that signs messages of the webhook.
    ///
    /// # Errors
    /// When the file cannot be read or has another format, and when there is a webhook without it.
    pub fn webhook_secret(&self) -> Result<Option<WebhookSecret>, ConfigError> {
        match (&self.webhook_secret_file, &self.webhook) {
            (Some(file), _) => WebhookSecret::read(file).map(Some),
            (None, None) => Ok(None),
            (None, Some(_)) => Err(secret::missing()),
        }
    }

    /// Checks what prevents a start: the URL, the secret, and the files.
    pub fn validate(&self) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        errors.extend(self.webhook_url().err());
        errors.extend(self.webhook_secret().err());
        if let Some(file) = &self.webhook_ca_file
            && let Err(error) = fs::File::open(file)
        {
            let text = format!("cannot read {}: {error}", file.display());
            errors.push(ConfigError::setting("alerts.webhook_ca_file", text));
        }
        if let Some(program) = self.command.first() {
            errors.extend(check_program(Path::new(program)));
        }
        errors
    }

    /// The settings that make the section useless.
    pub(crate) fn warnings(&self) -> Vec<ConfigError> {
        let mut warnings = Vec::new();
        if self.webhook.is_none() && self.command.is_empty() {
            let error = ConfigError::setting("alerts", "alerts have no destination");
            warnings.push(error.help("set alerts.webhook or alerts.command, or remove [alerts]"));
        }
        if AlertCondition::ALL
            .iter()
            .all(|condition| self.ignore.contains(condition))
        {
            let error = ConfigError::setting("alerts.ignore", "every condition is ignored");
            warnings.push(error.help("remove a condition from the list"));
        }
        warnings
    }
}

fn is_loopback(host: &str) -> bool {
    match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(ip) => ip.is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

fn check_program(path: &Path) -> Option<ConfigError> {
    let shown = path.display();
    let fault = |text| ConfigError::setting("alerts.command", text);
    match path.metadata() {
        Err(error) => Some(
            fault(format!("cannot run {shown}: {error}"))
                .help("write the path of the program: a list, without a shell"),
        ),
        Ok(found) if !found.is_file() || !is_executable(&found) => {
            Some(fault(format!("{shown} is no executable file")).help(format!("chmod 755 {shown}")))
        }
        Ok(_) => None,
    }
}

#[cfg(unix)]
fn is_executable(found: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;

    found.permissions().mode() & 0o111 != 0
}

#[cfg(not(unix))]
fn is_executable(_found: &fs::Metadata) -> bool {
    true
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use stockade::{Environment, Format};

    use super::*;
    use crate::ServerFile;

    const SERVER: &str = "[model]\nsource = \"owner/name\"\n[auth]\nkeys_file = \"keys.yaml\"\n";
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n";

    fn load(folder: &Path, alerts: &str) -> Result<ServerFile, ConfigError> {
        let text = format!("{SERVER}[alerts]\n{alerts}");
        ServerFile::parse_in(folder, &text, Format::Toml, &Environment::default())
    }

    fn errors(folder: &Path, alerts: &str) -> Vec<String> {
        let file = load(folder, alerts).unwrap();
        let errors = file.validate().into_iter().map(|error| error.to_string());
        errors.collect()
    }

    #[test]
    fn accepts_https_everywhere_and_http_on_this_machine() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("key"), SECRET).unwrap();
        for (url, problem) in [
            ("https://alerts.example.com/a?token=hidden", None),
            ("http://127.0.0.1:9/hidden", None),
            ("http://[::1]:9/hidden", None),
            ("http://localhost/hidden", None),
            ("http://10.0.0.1/hidden", Some("HTTPS is required")),
            ("http://example.com/hidden", Some("HTTPS is required")),
            ("ftp://example.com/hidden", Some("neither http:// nor")),
            ("https://a:hidden@example.com/", Some("user name")),
            ("/hidden", Some("no host")),
            ("https://exa mple/hidden", Some("malformed")),
        ] {
            let lines = format!("webhook = '{url}'\nwebhook_secret_file = 'key'\n");
            let errors = errors(folder.path(), &lines);
            match problem {
                None => assert_eq!(errors, [""; 0], "{url}"),
                Some(problem) => {
                    assert_eq!(errors.len(), 1, "{errors:?}");
                    assert!(errors[0].contains(problem), "{errors:?}");
                    assert!(
                        errors[0].starts_with("line 6: alerts.webhook: "),
                        "{errors:?}"
                    );
                    assert!(!errors[0].contains("hidden"), "{errors:?}");
                }
            }
        }
    }

    #[test]
    fn reports_a_secret_that_is_missing_or_has_another_format() {
        let folder = tempfile::tempdir().unwrap();
        let webhook = "webhook = 'https://example.com/'\n";
        for (text, problem) in [
            (None, "the webhook has no secret"),
            (
                Some("hidden-secret-of-the-tests"),
                "is not whsec_ and base64",
            ),
            (Some("whsec_hidden!"), "is not whsec_ and base64"),
            (Some("whsec_aGlkZGVu"), "6 bytes, but 24 to 64"),
        ] {
            let lines = match text {
                None => webhook.to_owned(),
                Some(text) => {
                    fs::write(folder.path().join("key"), text).unwrap();
                    format!("{webhook}webhook_secret_file = 'key'\n")
                }
            };
            let errors = errors(folder.path(), &lines);
            assert_eq!(errors.len(), 1, "{errors:?}");
            assert!(errors[0].contains(problem), "{errors:?}");
            assert!(
                errors[0].contains("alerts.webhook_secret_file"),
                "{errors:?}"
            );
            assert!(errors[0].contains("/dev/urandom"), "{errors:?}");
            assert!(!errors[0].contains("hidden") && !errors[0].contains("aGlk"));
        }
    }

    #[test]
    fn reports_a_command_that_cannot_run() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("text"), "").unwrap();
        for (command, problem) in [("none", "cannot run"), ("text", "no executable file")] {
            let errors = errors(folder.path(), &format!("command = ['./{command}']\n"));
            assert!(errors[0].contains(problem), "{errors:?}");
            assert!(errors[0].contains("alerts.command"), "{errors:?}");
        }
        assert_eq!(errors(folder.path(), "command = ['/bin/sh']\n"), [""; 0]);
    }

    #[test]
    fn warns_about_a_section_without_effect() {
        let folder = tempfile::tempdir().unwrap();
        let file = load(folder.path(), "").unwrap();
        let warnings = file.warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert_eq!(warnings[0].reason, "alerts have no destination");
    }

    #[test]
    fn names_the_conditions_in_the_error_of_an_unknown_one() {
        let folder = tempfile::tempdir().unwrap();
        let error = load(folder.path(), "ignore = ['StockadeDown']\n").unwrap_err();
        let error = error.to_string();
        assert!(error.contains("line 6"), "{error}");
        assert!(
            error.contains("StockadeDown") && error.contains("StockadeBans"),
            "{error}"
        );
        let known = "ignore = ['StockadeBans']\n";
        let file = load(folder.path(), known).unwrap();
        assert_eq!(file.alerts.unwrap().ignore, [AlertCondition::Bans]);
    }
}
