use std::path::PathBuf;

use rcgen::{
    CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256,
    SignatureAlgorithm,
};
use tempfile::TempDir;

use super::*;
use crate::ClientAuth;

/// A directory with a certificate and its key.
struct Pair {
    folder: TempDir,
    key: KeyPair,
}

impl Pair {
    fn new(algorithm: &'static SignatureAlgorithm) -> Self {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let certificate = CertificateParams::default().self_signed(&key).unwrap();
        let pair = Self {
            folder: tempfile::tempdir().unwrap(),
            key,
        };
        pair.write("c.pem", &certificate.pem());
        pair.write("k.pem", &pair.key.serialize_pem());
        pair
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// The error for these files; `None` if they are valid.
    fn error_of(&self, certificate: &str, key: &str) -> Option<String> {
        let files = TlsConfig::new(self.path(certificate), self.path(key));
        Some(Identity::read(&files).err()?.to_string())
    }

    /// The key in its traditional format, which PKCS#8 wraps.
    fn traditional_format(&self) -> Vec<u8> {
        let der = self.key.serialize_der();
        let (_, all) = value(&der);
        let (version, _) = value(all);
        let (algorithm, _) = value(version);
        let (_, key) = value(algorithm);
        key.to_vec()
    }
}

/// The bytes after a DER value, and its content.
fn value(der: &[u8]) -> (&[u8], &[u8]) {
    let (head, length) = match der[1] {
        short @ ..=0x7f => (2, usize::from(short)),
        long => {
            let width = usize::from(long & 0x7f);
            let bytes = der[2..2 + width].iter();
            (
                2 + width,
                bytes.fold(0, |length, byte| length << 8 | usize::from(*byte)),
            )
        }
    };
    let (value, rest) = der[head..].split_at(length);
    (rest, value)
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};

    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(String::from_utf8_lossy)
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

#[test]
fn accepts_keys_of_each_type_and_format() {
    for (algorithm, older) in [
        (&PKCS_RSA_SHA256, Some("RSA PRIVATE KEY")),
        (&PKCS_ECDSA_P256_SHA256, Some("EC PRIVATE KEY")),
        (&PKCS_ED25519, None),
    ] {
        let pair = Pair::new(algorithm);
        assert_eq!(pair.error_of("c.pem", "k.pem"), None, "{algorithm:?}");
        if let Some(label) = older {
            pair.write("k.pem", &pem(label, &pair.traditional_format()));
            assert_eq!(pair.error_of("c.pem", "k.pem"), None, "{label}");
        }
    }
}

#[test]
fn accepts_both_in_one_file() {
    let pair = Pair::new(&PKCS_ECDSA_P256_SHA256);
    let both = ["k.pem", "c.pem"].map(|name| fs::read_to_string(pair.path(name)).unwrap());
    pair.write("both.pem", &both.concat());
    assert_eq!(pair.error_of("both.pem", "both.pem"), None);
}

#[test]
fn names_the_bad_file_without_quoting_it() {
    let pair = Pair::new(&PKCS_ECDSA_P256_SHA256);
    let other = Pair::new(&PKCS_ECDSA_P256_SHA256);
    let [good, key] = ["c.pem", "k.pem"].map(|name| fs::read_to_string(pair.path(name)).unwrap());
    let secret = key.lines().nth(1).unwrap();
    for (name, text) in [
        ("empty.pem", String::new()),
        ("cut.pem", good[..good.len() / 2].to_owned()),
        ("half-cut.pem", format!("{good}{}", &good[..good.len() / 2])),
        ("no-certificate.pem", pem("CERTIFICATE", b"a")),
        ("no-key.pem", pem("PRIVATE KEY", b"a")),
        ("one-line.pem", key.replace('\n', "")),
        ("encrypted.pem", pem("ENCRYPTED PRIVATE KEY", b"a")),
        (
            "old-encrypted.pem",
            key.replacen('\n', "\nProc-Type: 4,ENCRYPTED\n\n", 1),
        ),
        ("other.pem", other.key.serialize_pem()),
    ] {
        pair.write(name, &text);
    }
    for (certificate, key, named, why) in [
        (
            "none.pem",
            "k.pem",
            "none.pem",
            "certificate_file: cannot read",
        ),
        ("empty.pem", "k.pem", "empty.pem", "has no certificates"),
        ("cut.pem", "k.pem", "cut.pem", "has no certificates"),
        (
            "half-cut.pem",
            "k.pem",
            "half-cut.pem",
            "some are incomplete",
        ),
        ("k.pem", "c.pem", "k.pem", "has no certificates"),
        (
            "one-line.pem",
            "k.pem",
            "one-line.pem",
            "has no certificates",
        ),
        (
            "no-certificate.pem",
            "k.pem",
            "no-certificate.pem",
            "is malformed",
        ),
        ("c.pem", "none.pem", "none.pem", "key_file: cannot read"),
        ("c.pem", "empty.pem", "empty.pem", "has no private key"),
        ("c.pem", "c.pem", "c.pem", "has no private key"),
        (
            "c.pem",
            "one-line.pem",
            "one-line.pem",
            "has no private key",
        ),
        ("c.pem", "no-key.pem", "no-key.pem", "unsupported type"),
        ("c.pem", "encrypted.pem", "encrypted.pem", "openssl pkey"),
        (
            "c.pem",
            "old-encrypted.pem",
            "old-encrypted.pem",
            "openssl pkey",
        ),
        ("c.pem", "other.pem", "other.pem", "does not belong to"),
    ] {
        let error = pair.error_of(certificate, key).unwrap();
        assert!(error.starts_with("server.tls"), "{error}");
        assert!(error.contains(why), "{why}: {error}");
        let path = pair.path(named).display().to_string();
        assert!(error.contains(&path), "{error}");
        assert!(!error.contains('\n'), "{error}");
        // Neither as text nor as a list of bytes.
        let bytes = format!("{:?}", &secret.as_bytes()[..8]);
        for piece in [&secret[..8], bytes.trim_matches(['[', ']'])] {
            assert!(!error.contains(piece), "{certificate} {key}: {error}");
        }
    }
}

#[test]
fn authentication_of_clients_needs_authorities() {
    let pair = Pair::new(&PKCS_ECDSA_P256_SHA256);
    let mut files = TlsConfig::new(pair.path("c.pem"), pair.path("k.pem"));
    files.client_auth = Some(ClientAuth::Required);
    let error = Identity::read(&files).err().unwrap().to_string();
    assert!(error.contains("set server.tls.client_ca_file"), "{error}");
    files.client_ca_file = Some(pair.path("k.pem"));
    let error = Identity::read(&files).err().unwrap().to_string();
    assert!(error.starts_with("server.tls.client_ca_file: "), "{error}");
    files.client_ca_file = Some(pair.path("c.pem"));
    assert!(Identity::read(&files).is_ok());
}

#[test]
fn lists_of_revoked_certificates_need_authorities_and_content() {
    let pair = Pair::new(&PKCS_ECDSA_P256_SHA256);
    pair.write("no-list.pem", &pem("X509 CRL", b"a"));
    let mut files = TlsConfig::new(pair.path("c.pem"), pair.path("k.pem"));
    files.client_crl_file = Some(pair.path("no-list.pem"));
    let error = Identity::read(&files).err().unwrap().to_string();
    assert!(error.contains("set server.tls.client_ca_file"), "{error}");
    files.client_ca_file = Some(pair.path("c.pem"));
    for (file, why) in [
        ("no-list.pem", "server.tls.client_crl_file: "),
        ("c.pem", "has no list"),
        ("none.pem", "server.tls.client_crl_file: cannot read"),
    ] {
        files.client_crl_file = Some(pair.path(file));
        let error = Identity::read(&files).err().unwrap().to_string();
        assert!(error.contains(why), "{error}");
    }
}
