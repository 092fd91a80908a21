//! Settings that keys require.

use stockade_key_auth::{KeyRequirements, KeySet};

use super::{DeploymentFacts, Findings};
use crate::{Config, Remedy};

/// A missing setting that some keys require.
pub(crate) struct MissingSetting {
    pub(crate) setting: &'static str,
    keys: usize,
    effect: &'static str,
    pub(crate) help: &'static str,
    /// An example value in TOML.
    value: &'static str,
}

impl MissingSetting {
    /// The problem: `2 keys have …`.
    pub(crate) fn reason(&self) -> String {
        let (count, effect) = (self.keys, self.effect);
        match count {
            1 => format!("1 key has {effect}"),
            _ => format!("{count} keys have {effect}"),
        }
    }
}

/// The settings that these keys require and the configuration lacks.
pub(crate) fn missing_settings(
    config: &Config,
    keys: KeyRequirements,
) -> impl Iterator<Item = MissingSetting> {
    let all = [
        (
            config.auth.pepper_file.is_none(),
            MissingSetting {
                setting: "auth.pepper_file",
                keys: keys.pepper,
                effect: "a peppered hash, which cannot be verified without the pepper",
                help: "set auth.pepper_file to the file that --pepper-file named when the key was created",
                value: "\"pepper\"",
            },
        ),
        (
            config.rate_limit.by_key.is_empty(),
            MissingSetting {
                setting: "rate_limit.by_key",
                keys: keys.request_quotas,
                effect: "a separate request quota, which is not enforced",
                help: "set rate_limit.by_key to the default quota of keys: [\"60/minute\", \"10000/day\"]",
                value: "[\"60/minute\", \"10000/day\"]",
            },
        ),
        (
            config.token_budget.by_key.is_empty(),
            MissingSetting {
                setting: "token_budget.by_key",
                keys: keys.token_quotas,
                effect: "a separate token quota, which is not enforced",
                help: "set token_budget.by_key to the default quota of keys: [\"100000/minute\"]",
                value: "[\"100000/minute\"]",
            },
        ),
        (
            config.concurrency.per_key.is_none(),
            MissingSetting {
                setting: "concurrency.per_key",
                keys: keys.concurrency,
                effect: "a separate concurrency limit, which is not enforced",
                help: "set concurrency.per_key to the default limit of keys: 8",
                value: "8",
            },
        ),
    ];
    let missing = all
        .into_iter()
        .filter(|(is_missing, setting)| *is_missing && setting.keys > 0);
    missing.map(|(_, setting)| setting)
}

/// Reports missing settings, certificates without a server that verifies them, and a pepper file that other users can read.
pub(super) fn check(config: &Config, facts: &DeploymentFacts, findings: &mut Findings<'_>) {
    // Loading the keys refuses duplicates.
    if let Ok(keys) = KeySet::new(facts.keys.iter().cloned()) {
        for missing in missing_settings(config, keys.requirements()) {
            let remedy = Remedy::text(missing.help).set(missing.setting, missing.value);
            findings.error(missing.setting, missing.reason(), remedy);
        }
        certificates(keys.requirements().certificates, facts, findings);
    }
    let file = config.auth.pepper_file.as_deref();
    let chmod = file.map(|file| format!("chmod 600 {}", file.display()));
    let chmod = chmod.unwrap_or_default();
    if facts.pepper_file_mode.is_some_and(|mode| mode & 0o077 != 0) {
        findings.error(
            "auth.pepper_file",
            "users other than the owner can read the pepper and use it to guess keys",
            Remedy::text(&chmod).run(&chmod),
        );
    }
}

/// Reports keys whose clients cannot authenticate, because the server asks for no certificate.
fn certificates(count: usize, facts: &DeploymentFacts, findings: &mut Findings<'_>) {
    if count == 0 || facts.client_certificates != Some(false) {
        return;
    }
    let keys = match count {
        1 => "1 key has".to_owned(),
        _ => format!("{count} keys have"),
    };
    findings.error(
        "server.tls.client_ca_file",
        format!("{keys} a client certificate, which the server does not request"),
        Remedy::text(
            "set server.tls.client_ca_file to the authorities of the clients: \"clients.pem\"; \
             behind a proxy that terminates TLS, use keys with a secret",
        ),
    );
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use stockade_key_auth::{KeyHash, KeyRecord, Pepper};

    use super::*;
    use crate::{Environment, Format, Severity};

    // FP06
    #[test]
    fn reports_what_keys_need_and_the_remedy_settles_it() {
        let pepper = Pepper::new([7; 32]).unwrap();
        let hash = KeyHash::peppered(pepper.digest(b"key"));
        let mut key = KeyRecord::new("a".parse().unwrap(), hash);
        key.quotas.requests_per_day = NonZeroU32::new(1);
        key.quotas.tokens_per_minute = NonZeroU32::new(1);
        key.quotas.concurrency = NonZeroU32::new(1);
        let facts = DeploymentFacts {
            keys: vec![key],
            ..DeploymentFacts::default()
        };
        let found = |text: &str| -> Vec<_> {
            let config = Config::parse(text, Format::Toml, &Environment::default()).unwrap();
            let mut findings = Findings::none(&config);
            check(&config, &facts, &mut findings);
            findings
                .found
                .iter()
                .map(|finding| {
                    assert_eq!(finding.severity, Severity::Error);
                    finding.setting.clone()
                })
                .collect()
        };
        assert_eq!(
            found("auth.keys_file = \"keys.yaml\"\n"),
            [
                "auth.pepper_file",
                "rate_limit.by_key",
                "token_budget.by_key",
                "concurrency.per_key",
            ]
        );
        let settled = "auth.pepper_file = \"pepper\"\nrate_limit.by_key = \"60/minute\"\n\
                       token_budget.by_key = \"100000/minute\"\nconcurrency.per_key = 8\n";
        assert_eq!(found(settled), [""; 0]);
    }

    #[test]
    fn reports_certificates_that_no_server_verifies() {
        let config = Config::parse("[auth]\n", Format::Toml, &Environment::default()).unwrap();
        let certificate = |id: &str| {
            let spiffe_id = format!("spiffe://example.org/{id}").parse().unwrap();
            KeyRecord::new(id.parse().unwrap(), KeyHash::certificate(spiffe_id))
        };
        let mut facts = DeploymentFacts {
            keys: vec![certificate("a"), certificate("b")],
            ..DeploymentFacts::default()
        };
        for (verified, count) in [(Some(false), 1), (Some(true), 0), (None, 0)] {
            facts.client_certificates = verified;
            let mut findings = Findings::none(&config);
            check(&config, &facts, &mut findings);
            assert_eq!(findings.found.len(), count, "{verified:?}");
            for finding in findings.found {
                assert_eq!(finding.setting, "server.tls.client_ca_file");
                assert!(
                    finding
                        .reason
                        .starts_with("2 keys have a client certificate")
                );
            }
        }
    }

    // FP06
    #[test]
    fn reports_a_pepper_that_others_can_read() {
        let config = Config::parse("[auth]\n", Format::Toml, &Environment::default()).unwrap();
        for (mode, count) in [(0o600, 0), (0o400, 0), (0o640, 1), (0o604, 1)] {
            let facts = DeploymentFacts {
                pepper_file_mode: Some(mode),
                ..DeploymentFacts::default()
            };
            let mut findings = Findings::none(&config);
            check(&config, &facts, &mut findings);
            assert_eq!(findings.found.len(), count, "{mode:o}");
        }
    }
}
