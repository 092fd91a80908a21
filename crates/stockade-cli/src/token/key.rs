//! Reads signing and verifying keys from files.

use std::path::Path;

use stockade_jwt::{Algorithm, KeyError, KeySet, Secret, SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use crate::{CliError, secret};

/// The algorithms to try if none is given; a key matches only a few.
const PRIVATE_KEY_ALGORITHMS: [Algorithm; 4] = [
    Algorithm::EdDsa,
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::Rs256,
];
const PUBLIC_KEY_ALGORITHMS: [Algorithm; 9] = [
    Algorithm::EdDsa,
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
];
const SECRET_ALGORITHMS: [Algorithm; 3] = [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512];

/// Parses a signing key: a private key in PEM, or a secret of at least 32 bytes.
pub(super) fn signing_key(
    bytes: &[u8],
    algorithm: Option<Algorithm>,
) -> Result<SigningKey, KeyError> {
    let Some(pem) = pem(bytes) else {
        return SigningKey::hmac(algorithm.unwrap_or(Algorithm::Hs256), &Secret::new(bytes)?);
    };
    match algorithm {
        Some(algorithm) => SigningKey::pem(algorithm, pem),
        None => PRIVATE_KEY_ALGORITHMS
            .into_iter()
            .find_map(|algorithm| SigningKey::pem(algorithm, pem).ok())
            .map_or_else(|| SigningKey::pem(Algorithm::EdDsa, pem), Ok),
    }
}

/// Reads a public key in PEM or a secret, for each algorithm that matches it.
pub(super) fn verifying_keys(path: &Path, algorithms: &[Algorithm]) -> Result<KeySet, CliError> {
    let bytes = secret::read_file(path)?;
    let (usual, read): (&[Algorithm], _) = match pem(&bytes) {
        Some(_) => (
            &PUBLIC_KEY_ALGORITHMS,
            verifying_pem as fn(&[u8], Algorithm) -> _,
        ),
        None => (&SECRET_ALGORITHMS, verifying_secret as _),
    };
    let algorithms = if algorithms.is_empty() {
        usual
    } else {
        algorithms
    };
    let mut keys = Vec::new();
    let mut failed = None;
    for algorithm in algorithms {
        match read(&bytes, *algorithm) {
            Ok(key) => keys.push(key),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    match failed {
        Some(error) if keys.is_empty() => Err(invalid_key(path, &error)),
        _ => Ok(KeySet::new(keys)),
    }
}

fn verifying_pem(bytes: &[u8], algorithm: Algorithm) -> Result<VerifyingKey, KeyError> {
    VerifyingKey::pem(algorithm, pem(bytes).unwrap_or_default())
}

fn verifying_secret(bytes: &[u8], algorithm: Algorithm) -> Result<VerifyingKey, KeyError> {
    VerifyingKey::hmac(algorithm, &Secret::new(bytes)?)
}

/// Reads a JSON Web Key Set.
pub(super) fn jwks(path: &Path, algorithms: &[Algorithm]) -> Result<KeySet, CliError> {
    let all: Vec<_> = PUBLIC_KEY_ALGORITHMS
        .into_iter()
        .chain(SECRET_ALGORITHMS)
        .collect();
    let algorithms = if algorithms.is_empty() {
        &*all
    } else {
        algorithms
    };
    let bytes = secret::read_file(path)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| CliError::failed(format_args!("{} is not UTF-8", path.display())))?;
    KeySet::from_jwks(text, algorithms).map_err(|error| invalid_key(path, &error))
}

/// Reads a variable from a file of `NAME=value` lines.
///
/// Variables and escapes are not expanded, since a secret may contain `$` or `\`; one pair of
/// quotes around the value is removed.
pub(super) fn read_env_file(path: &Path, name: &str) -> Result<Zeroizing<Vec<u8>>, CliError> {
    let bytes = secret::read_file(path)?;
    let found = bytes.split(|byte| *byte == b'\n').find_map(|line| {
        let line = line.trim_ascii();
        let line = line.strip_prefix(b"export ").unwrap_or(line);
        let value = line.strip_prefix(name.as_bytes())?.trim_ascii_start();
        Some(unquoted(value.strip_prefix(b"=")?.trim_ascii()))
    });
    match found {
        Some(value) => Ok(Zeroizing::new(value.to_vec())),
        None => Err(
            CliError::failed(format_args!("{} has no variable {name}", path.display()))
                .with_help("name the variable with --env-name"),
        ),
    }
}

pub(super) fn invalid_key(path: &Path, error: &KeyError) -> CliError {
    CliError::failed(format_args!("invalid key in {}: {error}", path.display()))
}

fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => inner,
        _ => value,
    }
}

fn pem(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    text.trim_start().starts_with("-----BEGIN ").then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_values_without_expansion() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path();
        let text = "# A=0\nAB=1\nexport A = '$x\\n'\nA=2\nC=\"a b\"\n";
        std::fs::write(path, text).unwrap();
        for (name, value) in [("A", &b"$x\\n"[..]), ("AB", b"1"), ("C", b"a b")] {
            assert_eq!(&**read_env_file(path, name).unwrap(), value, "{name}");
        }
        let error = read_env_file(path, "D").unwrap_err().to_string();
        assert!(
            error.contains("has no variable D") && !error.contains("$x"),
            "{error}"
        );
    }
}
