use std::time::Duration;

use rcgen::{
    CertificateParams, CustomExtension, DnType, KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};

use super::*;

const AGENT: &str = "spiffe://example.org/agent";

fn certificate(change: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
    let mut params = CertificateParams::default();
    change(&mut params);
    let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    certificate.der().clone()
}

fn uri(uri: &str) -> SanType {
    SanType::URI(uri.try_into().unwrap())
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

/// The identity in a certificate with these names.
fn of(names: Vec<SanType>) -> Result<String, String> {
    let certificate = certificate(|params| params.subject_alt_names = names);
    let id = spiffe_id(&certificate, SystemTime::now());
    id.map(|id| id.to_string())
        .map_err(|error| error.to_string())
}

#[test]
fn finds_the_one_uri() {
    assert_eq!(of(vec![uri(AGENT)]).unwrap(), AGENT);
    let others = vec![dns("example.org"), uri(AGENT), dns("example.com")];
    assert_eq!(of(others).unwrap(), AGENT);
}

#[test]
fn refuses_other_names() {
    for (names, why) in [
        (vec![], "no URI"),
        (vec![dns("agent.example.org")], "no URI"),
        (vec![uri(AGENT), uri(AGENT)], "more than one"),
        (
            vec![uri(AGENT), uri("https://example.org/")],
            "more than one",
        ),
        (vec![uri("https://example.org/agent")], "spiffe://"),
        (vec![uri("spiffe://example.org")], "has a path"),
    ] {
        let error = of(names.clone()).unwrap_err();
        assert!(error.contains(why), "{names:?}: {error}");
    }
    // The common name is not an identity.
    let named = certificate(|params| params.distinguished_name.push(DnType::CommonName, AGENT));
    assert!(spiffe_id(&named, SystemTime::now()).is_err());
}

#[test]
fn refuses_a_certificate_that_signs_others() {
    for usage in [KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign] {
        let authority = certificate(|params| {
            params.subject_alt_names = vec![uri(AGENT)];
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature, usage];
        });
        let refused = spiffe_id(&authority, SystemTime::now());
        assert_eq!(refused, Err(IdentityError::Authority));
    }
    let client = certificate(|params| {
        params.subject_alt_names = vec![uri(AGENT)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    });
    assert!(spiffe_id(&client, SystemTime::now()).is_ok());
}

#[test]
fn refuses_a_certificate_that_has_expired_since_its_handshake() {
    let certificate = certificate(|params| {
        params.subject_alt_names = vec![uri(AGENT)];
        params.not_before = date_time_ymd(2030, 1, 1);
        params.not_after = date_time_ymd(2030, 1, 2);
    });
    // 2030-01-02T00:00:00Z
    let end = UNIX_EPOCH + Duration::from_secs(1_893_542_400);
    assert!(spiffe_id(&certificate, end).is_ok());
    let refused = spiffe_id(&certificate, end + Duration::from_secs(1));
    assert_eq!(refused, Err(IdentityError::Expired));
}

#[test]
fn refuses_names_that_are_malformed_or_repeated() {
    assert_eq!(
        spiffe_id(&CertificateDer::from(vec![0x30, 3]), SystemTime::now()),
        Err(IdentityError::Malformed)
    );
    // RFC 5280, 4.2.1.6: the names, with a first one that is not UTF-8.
    let length = |text: &[u8]| u8::try_from(text.len()).unwrap();
    let name = |text: &[u8]| [&[0x86, length(text)][..], text].concat();
    let sequence = |names: &[u8]| [&[0x30, length(names)][..], names].concat();
    let names = [name(b"spiffe://a/\xff"), name(b"spiffe://a/b")].concat();
    let names = sequence(&names);
    let extension = |names: Vec<u8>| CustomExtension::from_oid_content(&[2, 5, 29, 17], names);
    let invalid = certificate(|params| params.custom_extensions.push(extension(names)));
    assert_eq!(
        spiffe_id(&invalid, SystemTime::now()),
        Err(IdentityError::Malformed)
    );
    let one = sequence(&name(b"spiffe://a/b"));
    let valid = certificate(|params| params.custom_extensions.push(extension(one.clone())));
    assert_eq!(
        spiffe_id(&valid, SystemTime::now()).unwrap().as_str(),
        "spiffe://a/b"
    );
    let repeated = certificate(|params| {
        params.subject_alt_names = vec![uri(AGENT)];
        params.custom_extensions.push(extension(one.clone()));
    });
    assert_eq!(
        spiffe_id(&repeated, SystemTime::now()),
        Err(IdentityError::Malformed)
    );
}
