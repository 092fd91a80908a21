//! Secret files that every user of the machine can read or change.

use std::path::Path;

use stockade::ConfigError;

use crate::ServerFile;

impl ServerFile {
    /// The secret files with too wide permissions, except those that `stockade` itself checks.
    pub(crate) fn open_secrets(&self) -> Vec<ConfigError> {
        let audit = self.fence.audit.as_ref();
        let tokens = self.fence.auth.tokens.as_ref();
        let tokens = tokens.filter(|tokens| tokens.algorithm.starts_with("HS"));
        let oidc = self.admin.as_ref().and_then(|admin| admin.oidc.as_ref());
        let tls = self.server.tls.as_ref();
        let telemetry = self.telemetry.as_ref();
        let alerts = self.alerts.as_ref();
        [
            ("server.tls.key_file", tls.map(|tls| &tls.key_file)),
            (
                "audit.key_file",
                audit.and_then(|audit| audit.key_file.as_ref()),
            ),
            (
                "audit.prompt_key_file",
                audit.and_then(|audit| audit.prompt_key_file.as_ref()),
            ),
            (
                "auth.tokens.key_file",
                tokens.map(|tokens| &tokens.key_file),
            ),
            (
                "admin.oidc.client_secret_file",
                oidc.map(|oidc| &oidc.client_secret_file),
            ),
            (
                "telemetry.headers_file",
                telemetry.and_then(|telemetry| telemetry.headers_file.as_ref()),
            ),
            (
                "alerts.webhook_secret_file",
                alerts.and_then(|alerts| alerts.webhook_secret_file.as_ref()),
            ),
        ]
        .into_iter()
        .filter_map(|(setting, file)| open(setting, file?))
        .collect()
    }
}

/// Group access is allowed, since secrets are often shared with a group.
#[cfg(unix)]
fn open(setting: &str, file: &Path) -> Option<ConfigError> {
    use std::os::unix::fs::PermissionsExt;

    let mode = file.metadata().ok()?.permissions().mode();
    if mode & 0o006 == 0 {
        return None;
    }
    let file = file.display();
    let text = format!("every user of the machine can read or change {file}");
    Some(ConfigError::setting(setting, text).help(format!("chmod 600 {file}")))
}

#[cfg(not(unix))]
fn open(_setting: &str, _file: &Path) -> Option<ConfigError> {
    None
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use stockade::{Environment, Format, Severity};

    use super::*;

    #[test]
    fn reports_the_files_that_every_user_can_read() {
        let folder = tempfile::tempdir().unwrap();
        let text = "
            server.tls = { certificate_file = 'c', key_file = 'a' }
            model.source = 'owner/name'
            audit = { file = 'log', key_file = 'b', prompt_key_file = 'c' }
            auth.keys_file = 'k'
            telemetry.headers_file = 'd'
        ";
        for (name, mode) in [("a", 0o644), ("b", 0o640), ("c", 0o602), ("d", 0o644)] {
            let path = folder.path().join(name);
            fs::write(&path, "secret").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        let environment = Environment::default();
        let file = ServerFile::parse_in(folder.path(), text, Format::Toml, &environment).unwrap();
        let warnings = file.warnings();
        let settings: Vec<_> = warnings.iter().map(|found| &*found.setting).collect();
        assert_eq!(
            settings,
            [
                "server.tls.key_file",
                "audit.prompt_key_file",
                "telemetry.headers_file"
            ]
        );
        assert!(
            warnings
                .iter()
                .all(|found| found.severity == Severity::Warning)
        );
    }
}
