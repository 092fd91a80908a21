//! What the files of settings are for.

/// What a file is for, by its setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The server needs it to start.
    Input,
    /// A key or a password, which the server needs to start.
    Secret,
    /// The URL of a database or of Redis, which may have a password: `store.redis_file`.
    Url,
    /// The server or the command creates it, when there is something to write.
    State,
    /// An audit log, with rotated files and a head.
    Log,
}

/// The roles of all settings that name a file.
const ROLES: [(&str, Role); 29] = [
    ("abuse.deny_list", Role::State),
    ("admin.database_file", Role::Url),
    ("admin.oidc.client_secret_file", Role::Secret),
    ("alerts.state_file", Role::State),
    ("alerts.webhook_ca_file", Role::Input),
    // A URL that may contain a secret, but not that of a database.
    ("alerts.webhook_file", Role::Secret),
    ("alerts.webhook_secret_file", Role::Secret),
    ("audit.database_file", Role::Url),
    ("audit.file", Role::Log),
    ("audit.key_file", Role::Secret),
    ("audit.prompt_key_file", Role::Secret),
    ("audit.security_file", Role::Log),
    ("auth.keys_database_file", Role::Url),
    ("auth.keys_file", Role::Input),
    ("auth.pepper_file", Role::Secret),
    // A public key, or the secret of `HS256`.
    ("auth.tokens.key_file", Role::Secret),
    ("auth.tokens.revoked_file", Role::State),
    ("model.upstream[].api_key_file", Role::Secret),
    ("model.upstream[].ca_file", Role::Input),
    ("models[].upstream[].api_key_file", Role::Secret),
    ("models[].upstream[].ca_file", Role::Input),
    ("server.tls.certificate_file", Role::Input),
    ("server.tls.client_ca_file", Role::Input),
    ("server.tls.client_crl_file", Role::Input),
    ("server.tls.key_file", Role::Secret),
    ("server.tls.ocsp_file", Role::Input),
    ("store.redis_file", Role::Url),
    ("telemetry.ca_file", Role::Input),
    ("telemetry.headers_file", Role::Secret),
];

impl Role {
    /// The role of a setting, as `SettingFile::pattern` writes it. A setting that is not known here
    /// names a secret: that is the safe choice, with and without `--without-secrets`.
    pub(super) fn of(pattern: &str) -> Self {
        let found = ROLES.iter().find(|(known, _)| *known == pattern);
        found.map_or(Self::Secret, |(_, role)| *role)
    }

    pub(super) fn is_secret(self) -> bool {
        matches!(self, Self::Secret | Self::Url)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use stockade::{Environment, Format};
    use stockade_server_config::ServerFile;

    use super::*;

    // A setting that is added to the configuration needs a role.
    #[test]
    fn every_setting_that_names_a_file_has_a_role() {
        let settings: BTreeSet<_> = ServerFile::file_settings().into_iter().collect();
        let known: BTreeSet<_> = ROLES
            .iter()
            .map(|(setting, _)| (*setting).to_owned())
            .collect();
        assert_eq!(settings, known);
        assert_eq!(Role::of("auth.new_file"), Role::Secret);
    }

    // A database that is added to the configuration needs an entry in `ServerFile::urls`.
    #[test]
    fn every_url_is_one_of_the_server() {
        let text = "
            model.source = 'owner/name'
            auth.keys_database = 'sqlite:keys.db'
            audit.database = 'sqlite:audit.db'
            store = { redis = 'redis://host', on_failure = 'deny' }
            admin = {}
        ";
        let file = ServerFile::parse(text, Format::Toml, &Environment::default()).unwrap();
        let urls = file.urls().into_iter();
        let urls: BTreeSet<_> = urls.map(|(setting, _)| format!("{setting}_file")).collect();
        let known = ROLES.iter().filter(|(_, role)| *role == Role::Url);
        let known: BTreeSet<_> = known.map(|(setting, _)| (*setting).to_owned()).collect();
        assert_eq!(urls, known);
    }
}
