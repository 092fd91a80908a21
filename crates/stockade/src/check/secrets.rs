//! Weak secrets of keys and tokens.

use stockade_key_auth::KeyRecord;

use super::{DeploymentFacts, Findings};
use crate::{Config, Remedy};

/// Secrets from examples, which attackers try first.
pub(super) const DEFAULT_SECRETS: &[&str] = &[
    "changeme",
    "change-me",
    "secret",
    "password",
    "admin",
    "test",
    "example",
    "default",
    "your-secret-key",
    "supersecret",
    "stockade",
    "dev",
];
/// The minimum length of a secret for HS256 (RFC 7518, section 3.2).
const MIN_SECRET_BYTES: usize = 32;
/// The minimum cost of bcrypt; lower costs take less than ten milliseconds.
const MIN_BCRYPT_COST: u32 = 10;
/// The maximum number of keys that are named; the others are counted.
const MAX_NAMED_KEYS: usize = 5;
/// An example of an expiry.
const AN_EXPIRY: &str = "2030-01-31T00:00:00Z";

pub(super) fn keys(config: &Config, facts: &DeploymentFacts, findings: &mut Findings<'_>) {
    let file = config.auth.keys_file.as_deref();
    let file = file.map(|file| file.display().to_string());
    // `stockade keys` takes a file with --store and a database from STOCKADE_KEYS.
    let store = file.as_ref().map(|file| format!(" --store {file}"));
    let store = store.unwrap_or_default();
    let setting = match file {
        Some(_) => "auth.keys_file",
        None => "auth.keys_database",
    };
    let readable = || {
        let file = file.as_deref().unwrap_or("keys.yaml");
        Remedy::text(format!("chmod 600 {file}")).run(format!("chmod 600 {file}"))
    };
    if let Some(mode) = facts.key_file_mode {
        if mode & 0o006 != 0 {
            findings.error(
                "auth.keys_file",
                "every user of the machine can read the hashes of the keys",
                readable(),
            );
        } else if mode & 0o060 != 0 {
            findings.warning(
                "auth.keys_file",
                "the group of the file can read the hashes of the keys",
                readable(),
            );
        }
    }
    let alive = || facts.keys.iter().filter(|key| key.revoked.is_none());
    // A certificate expires by itself.
    let is_secret = |key: &&KeyRecord| key.hash.as_certificate().is_none();
    let eternal = alive()
        .filter(|key| key.expires.is_none())
        .filter(is_secret);
    let eternal: Vec<_> = eternal.collect();
    if !eternal.is_empty() {
        let expire =
            |key: &&KeyRecord| format!("stockade keys rotate {}{store} --expires 90d", key.id);
        let example = eternal.first().map(expire).unwrap_or_default();
        let remedy = match &file {
            Some(file) => {
                let remedy = Remedy::text(format!(
                    "add expires_at: \"{AN_EXPIRY}\" to each of them in {file}, or rotate them: \
                     {example}"
                ));
                eternal.iter().fold(remedy, |remedy, key| {
                    remedy.set_key(&key.id.to_string(), "expires_at", AN_EXPIRY)
                })
            }
            None => eternal
                .iter()
                .fold(Remedy::text(example), |remedy, key| remedy.run(expire(key))),
        };
        findings.warning(
            setting,
            format!(
                "{}, so a leaked key stays valid",
                named(&eternal, "never expires", "never expire")
            ),
            remedy,
        );
    }
    let weak: Vec<_> = alive().filter(|key| is_weak(key)).collect();
    if !weak.is_empty() {
        let rotate = |key: &&KeyRecord| format!("stockade keys rotate {}{store}", key.id);
        let text = format!(
            "rotate them; generated keys need no slow hash: {}",
            weak.first().map(rotate).unwrap_or_default()
        );
        let remedy = Remedy::text(text);
        findings.error(
            setting,
            named(
                &weak,
                "has a bcrypt hash with too low a cost",
                "have a bcrypt hash with too low a cost",
            ),
            weak.iter()
                .fold(remedy, |remedy, key| remedy.run(rotate(key))),
        );
    }
}

fn is_weak(key: &KeyRecord) -> bool {
    let text = key.hash.to_string();
    let cost = text
        .strip_prefix("$2")
        .and_then(|rest| rest.get(2..4)?.parse::<u32>().ok());
    cost.is_some_and(|cost| cost < MIN_BCRYPT_COST)
}

/// `the key a never expires`, `the keys a, b and 3 more never expire`
fn named(keys: &[&KeyRecord], one: &str, several: &str) -> String {
    if let [key] = keys {
        return format!("the key {} {one}", key.id);
    }
    let names: Vec<_> = keys
        .iter()
        .take(MAX_NAMED_KEYS)
        .map(|key| key.id.to_string())
        .collect();
    let more = match keys.len().saturating_sub(MAX_NAMED_KEYS) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("the keys {}{more} {several}", names.join(", "))
}

pub(super) fn tokens(config: &Config, facts: &DeploymentFacts, findings: &mut Findings<'_>) {
    let Some(secret) = &facts.token_secret else {
        return;
    };
    let secret = secret.trim_ascii();
    let is_default = DEFAULT_SECRETS
        .iter()
        .any(|known| secret.eq_ignore_ascii_case(known.as_bytes()));
    if is_default || secret.len() < MIN_SECRET_BYTES {
        let tokens = config.auth.tokens.as_ref();
        let file = tokens.map_or("token.key".to_owned(), |tokens| {
            tokens.key_file.display().to_string()
        });
        let make = format!("(umask 077; head -c 32 /dev/urandom | base64 > {file})");
        findings.error(
            "auth.tokens.key_file",
            "the secret can be guessed, which allows clients to forge tokens",
            Remedy::text(format!("write 32 random bytes to {file}: {make}")).run(make),
        );
    }
}
