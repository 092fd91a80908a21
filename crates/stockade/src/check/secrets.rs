//! Keys, tokens, and what can be guessed of them.

use stockade_key_auth::KeyRecord;

use super::{Findings, Surroundings};

/// Secrets that stand in examples, and so in the lists of those who guess.
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
/// The fewest bytes of a secret for HS256 (RFC 7518, section 3.2).
const SECRET_BYTES: usize = 32;
/// bcrypt below this costs less than ten milliseconds.
const BCRYPT_COST: u32 = 10;
/// So many keys are named; the others are counted.
const NAMED: usize = 5;

pub(super) fn keys(surroundings: &Surroundings, findings: &mut Findings) {
    if let Some(mode) = surroundings.key_file_mode {
        if mode & 0o006 != 0 {
            findings.error(
                "auth.keys_file",
                "every user of the machine can read the hashes of the keys",
                "chmod 600 the file",
            );
        } else if mode & 0o060 != 0 {
            findings.warning(
                "auth.keys_file",
                "a whole group can read the hashes of the keys",
                "chmod 600 the file",
            );
        }
    }
    let alive = || surroundings.keys.iter().filter(|key| key.revoked.is_none());
    let eternal: Vec<_> = alive().filter(|key| key.expires.is_none()).collect();
    if !eternal.is_empty() {
        findings.warning(
            "auth.keys_file",
            format!(
                "{} never expire, so one that leaks works for ever",
                named(&eternal)
            ),
            "rotate them with `stockade keys rotate`, or set `expires`",
        );
    }
    let weak: Vec<_> = alive().filter(|key| is_weak(key)).collect();
    if !weak.is_empty() {
        findings.error(
            "auth.keys_file",
            format!(
                "{} have a bcrypt hash that is cheap to guess at",
                named(&weak)
            ),
            "rotate them with `stockade keys rotate`: generated keys need no slow hash",
        );
    }
}

fn is_weak(key: &KeyRecord) -> bool {
    let text = key.hash.to_string();
    let cost = text
        .strip_prefix("$2")
        .and_then(|rest| rest.get(2..4)?.parse::<u32>().ok());
    cost.is_some_and(|cost| cost < BCRYPT_COST)
}

/// `the keys a, b and 3 more`
fn named(keys: &[&KeyRecord]) -> String {
    let names: Vec<_> = keys
        .iter()
        .take(NAMED)
        .map(|key| key.id.to_string())
        .collect();
    let more = match keys.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("the keys {}{more}", names.join(", "))
}

pub(super) fn tokens(surroundings: &Surroundings, findings: &mut Findings) {
    let Some(secret) = &surroundings.token_secret else {
        return;
    };
    let secret = secret.trim_ascii();
    let is_default = DEFAULT_SECRETS
        .iter()
        .any(|known| secret.eq_ignore_ascii_case(known.as_bytes()));
    if is_default || secret.len() < SECRET_BYTES {
        findings.error(
            "auth.tokens.key_file",
            "the secret can be guessed, and with it everybody can make tokens",
            "put 32 random bytes there: openssl rand -base64 32",
        );
    }
}
