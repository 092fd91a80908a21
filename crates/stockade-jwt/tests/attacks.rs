//! Forged tokens against the complete guard.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(dead_code, reason = "not every test needs all of the support")]

mod support;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm as Backend, EncodingKey};
use stockade_core::guard::GuardLayer;
use stockade_jwt::{Algorithm, JwtAuth, KeyErrorKind, KeySet, LiveKeys, VerifyingKey};
use support::*;

/// One key of each kind.
fn all_keys() -> LiveKeys {
    let key = |algorithm, pem| VerifyingKey::pem(algorithm, pem).unwrap();
    LiveKeys::new(KeySet::new([
        key(Algorithm::Rs256, RSA_PUBLIC).id("rsa"),
        key(Algorithm::Es256, P256_PUBLIC).id("p256"),
        key(Algorithm::Es384, P384_PUBLIC).id("p384"),
        key(Algorithm::EdDsa, ED_PUBLIC).id("ed"),
        VerifyingKey::hmac(Algorithm::Hs512, &secret())
            .unwrap()
            .id("secret"),
    ]))
}

async fn refused(layer: &GuardLayer<JwtAuth>, token: &str) {
    assert_eq!(status(layer, token).await, 401, "{token:.200}");
}

#[tokio::test]
async fn every_algorithm_verifies_its_signatures() {
    let rsa = || EncodingKey::from_rsa_pem(RSA.as_bytes()).unwrap();
    let hmac = || EncodingKey::from_secret(&SECRET).unwrap();
    for (backend, algorithm, signing, public) in [
        (Backend::HS256, Algorithm::Hs256, hmac(), None),
        (Backend::HS384, Algorithm::Hs384, hmac(), None),
        (Backend::HS512, Algorithm::Hs512, hmac(), None),
        (Backend::RS256, Algorithm::Rs256, rsa(), Some(RSA_PUBLIC)),
        (Backend::RS384, Algorithm::Rs384, rsa(), Some(RSA_PUBLIC)),
        (Backend::RS512, Algorithm::Rs512, rsa(), Some(RSA_PUBLIC)),
        (Backend::PS256, Algorithm::Ps256, rsa(), Some(RSA_PUBLIC)),
        (Backend::PS384, Algorithm::Ps384, rsa(), Some(RSA_PUBLIC)),
        (Backend::PS512, Algorithm::Ps512, rsa(), Some(RSA_PUBLIC)),
        (
            Backend::ES256,
            Algorithm::Es256,
            EncodingKey::from_ec_pem(P256.as_bytes()).unwrap(),
            Some(P256_PUBLIC),
        ),
        (
            Backend::ES384,
            Algorithm::Es384,
            EncodingKey::from_ec_pem(P384.as_bytes()).unwrap(),
            Some(P384_PUBLIC),
        ),
        (
            Backend::EdDSA,
            Algorithm::EdDsa,
            EncodingKey::from_ed_pem(ED.as_bytes()).unwrap(),
            Some(ED_PUBLIC),
        ),
    ] {
        let key = match public {
            Some(pem) => VerifyingKey::pem(algorithm, pem).unwrap(),
            None => VerifyingKey::hmac(algorithm, &secret()).unwrap(),
        };
        let layer = layer(KeySet::new([key]));
        let header = format!("{{\"alg\":\"{algorithm}\"}}");
        let token = sign(backend, &signing, &header, &good(""));
        assert_eq!(status(&layer, &token).await, 200, "{algorithm}");
        // In the middle of the signature: the last character has unused bits.
        let at = token.len() - 10;
        let with = if &token[at..=at] == "A" { "B" } else { "A" };
        let mut forged = token;
        forged.replace_range(at..=at, with);
        assert_eq!(
            cause(&layer, &forged).await,
            Some("signature"),
            "{algorithm}"
        );
    }
}

// J02
#[tokio::test]
async fn rejects_unsigned_tokens() {
    for layer in [layer(all_keys()), layer(hs256())] {
        for alg in [
            "\"none\"",
            "\"None\"",
            "\"nOnE\"",
            "\"\"",
            "[]",
            "[\"HS256\"]",
            "null",
            "7",
        ] {
            for more in ["", ",\"kid\":\"rsa\"", ",\"kid\":\"secret\""] {
                let header = URL_SAFE_NO_PAD.encode(format!("{{\"alg\":{alg}{more}}}"));
                let unsigned = format!("{header}.{}", URL_SAFE_NO_PAD.encode(good("")));
                for token in [
                    unsigned.clone(),
                    format!("{unsigned}."),
                    format!("{unsigned}.AA"),
                    hmac(&format!("{{\"alg\":{alg}{more}}}"), &good("")),
                ] {
                    refused(&layer, &token).await;
                }
            }
        }
        refused(&layer, &hmac("{\"typ\":\"JWT\"}", &good(""))).await;
    }
}

// J03
#[tokio::test]
async fn never_uses_a_public_key_as_a_secret() {
    let layer = layer(all_keys());
    for (pem, kid) in [
        (RSA_PUBLIC, "rsa"),
        (P256_PUBLIC, "p256"),
        (P384_PUBLIC, "p384"),
        (ED_PUBLIC, "ed"),
    ] {
        let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let der = base64::engine::general_purpose::STANDARD
            .decode(&body)
            .unwrap();
        // The raw point within the DER.
        let point = der[der.len().saturating_sub(32)..].to_vec();
        let jwk = format!(
            "{{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"{}\"}}",
            URL_SAFE_NO_PAD.encode(&point)
        );
        for secret in [
            pem.as_bytes().to_vec(),
            pem.trim_end().as_bytes().to_vec(),
            format!("{}\n\n", pem.trim_end()).into_bytes(),
            format!(" {pem}").into_bytes(),
            pem.replace('\n', "\r\n").into_bytes(),
            body.into_bytes(),
            der,
            point,
            jwk.into_bytes(),
            // HMAC pads keys with zeros, so this is the MAC of the empty key.
            vec![0],
        ] {
            let key = EncodingKey::from_secret(&secret).unwrap();
            for (backend, alg) in [
                (Backend::HS256, "HS256"),
                (Backend::HS384, "HS384"),
                (Backend::HS512, "HS512"),
            ] {
                for kid in [format!(",\"kid\":\"{kid}\""), String::new()] {
                    let header = format!("{{\"alg\":\"{alg}\"{kid}}}");
                    refused(&layer, &sign(backend, &key, &header, &good(""))).await;
                }
            }
        }
    }
}

// J03
#[tokio::test]
async fn token_never_selects_the_algorithm() {
    let rsa = EncodingKey::from_rsa_pem(RSA.as_bytes()).unwrap();
    let layer = layer(all_keys());
    let good_token = sign(
        Backend::RS256,
        &rsa,
        r#"{"alg":"RS256","kid":"rsa"}"#,
        &good(""),
    );
    assert_eq!(status(&layer, &good_token).await, 200);
    for (backend, alg) in [
        // The right key with another algorithm, declared honestly and falsely.
        (Backend::PS256, "PS256"),
        (Backend::RS512, "RS512"),
        (Backend::RS384, "RS384"),
        (Backend::PS256, "RS256"),
        (Backend::RS512, "RS256"),
        (Backend::RS256, "PS256"),
        (Backend::RS256, "ES256"),
        (Backend::RS256, "EdDSA"),
    ] {
        let header = format!("{{\"alg\":\"{alg}\",\"kid\":\"rsa\"}}");
        refused(&layer, &sign(backend, &rsa, &header, &good(""))).await;
    }
    // The right algorithm with another key.
    let header = r#"{"alg":"RS256","kid":"p256"}"#;
    refused(&layer, &sign(Backend::RS256, &rsa, header, &good(""))).await;
}

// J03
#[tokio::test]
async fn token_never_supplies_its_own_key() {
    let foreign_key = EncodingKey::from_ed_pem(ED.as_bytes()).unwrap();
    let ours = VerifyingKey::pem(Algorithm::Es256, P256_PUBLIC).unwrap();
    let x = ED_PUBLIC.lines().nth(1).unwrap();
    let point = base64::engine::general_purpose::STANDARD.decode(x).unwrap()[12..].to_vec();
    let jwk = format!(
        r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#,
        URL_SAFE_NO_PAD.encode(point)
    );
    let layer = layer(KeySet::new([ours]));
    for member in [
        format!("\"jwk\":{jwk}"),
        "\"jku\":\"http://127.0.0.1:1/jwks\"".to_owned(),
        "\"x5u\":\"file:///etc/passwd\"".to_owned(),
        "\"x5c\":[\"MIIB\"]".to_owned(),
    ] {
        let header = format!("{{\"alg\":\"EdDSA\",{member}}}");
        refused(
            &layer,
            &sign(Backend::EdDSA, &foreign_key, &header, &good("")),
        )
        .await;
    }
}

// J04, J05: with a valid signature, through the complete guard.
#[tokio::test]
async fn rejects_malformed_times() {
    let layer = layer(hs256());
    let exp = format!("\"exp\":{}", NOW + 900);
    for value in [
        "\"9999999999\"",
        "1e400",
        "-1",
        "null",
        "[]",
        "9e18",
        "1.5",
        "true",
        "{}",
    ] {
        refused(
            &layer,
            &token(&good("").replace(&exp, &format!("\"exp\":{value}"))),
        )
        .await;
        refused(&layer, &token(&good(&format!(",\"nbf\":{value}")))).await;
        refused(&layer, &token(&good(&format!(",\"iat\":{value}")))).await;
    }
    for claims in [
        good("").replace(&exp, &format!("\"exp\":{}", NOW - 60 - 1)),
        good("").replace(&exp, "\"x\":1"),
        good(&format!(",\"nbf\":{}", NOW + 60 + 1)),
    ] {
        refused(&layer, &token(&claims)).await;
    }
    assert_eq!(
        status(&layer, &token(&good(&format!(",\"nbf\":{}", NOW + 60)))).await,
        200
    );
}

// J06: with a valid signature, through the complete guard.
#[tokio::test]
async fn audience_and_issuer_match_exactly() {
    let layer = layer(hs256());
    for (from, to) in [
        ("\"aud\":\"api\",", ""),
        ("\"api\"", "\"other\""),
        ("\"api\"", "\"API\""),
        ("\"api\"", "[\"other\"]"),
        (ISSUER, "https://id.example.com/"),
        (ISSUER, "https://id.example.com.evil.example"),
        (ISSUER, "https://ID.example.com"),
    ] {
        refused(&layer, &token(&good("").replace(from, to))).await;
    }
    let several = good("").replace("\"api\"", "[\"other\",\"api\"]");
    assert_eq!(status(&layer, &token(&several)).await, 200);
}

// J07
#[tokio::test]
async fn key_id_is_only_compared() {
    let key = VerifyingKey::hmac(Algorithm::Hs256, &secret())
        .unwrap()
        .id("good");
    let layer = layer(KeySet::new([key]));
    let megabyte = "k".repeat(1 << 20);
    for kid in [
        "../../dev/null",
        "/dev/zero",
        "http://127.0.0.1:1/key",
        "' OR '1'='1",
        "good ",
        "GOOD",
        "",
        "*",
        "good\\u0000",
        &megabyte,
    ] {
        refused(
            &layer,
            &hmac(&format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#), &good("")),
        )
        .await;
    }
    let named = hmac(r#"{"alg":"HS256","kid":"good"}"#, &good(""));
    assert_eq!(status(&layer, &named).await, 200);
}

// J09
#[tokio::test]
async fn rejects_unsupported_features() {
    let layer = layer(hs256());
    for member in [
        r#""crit":["exp"]"#,
        r#""crit":["b64"],"b64":false"#,
        r#""crit":[]"#,
        r#""b64":false"#,
        r#""cty":"JWT""#,
        r#""cty":"jwt""#,
        r#""zip":"DEF""#,
    ] {
        let header = format!(r#"{{"alg":"HS256",{member}}}"#);
        assert_eq!(
            cause(&layer, &hmac(&header, &good(""))).await,
            Some("header"),
            "{member}"
        );
    }
}

// J10
#[tokio::test]
async fn rejects_huge_tokens_unread() {
    let layer = layer(hs256());
    let huge = good(&format!(",\"x\":\"{}\"", "x".repeat(8 << 20)));
    for token in [
        ".".repeat(1 << 20),
        format!("eyJ{}", ".".repeat(1 << 20)),
        vec!["eyJh"; 100].join("."),
        token(&huge),
        format!("eyJhbGciOiJIUzI1NiJ9.{}.AA", "A".repeat(8 << 20)),
    ] {
        let expected = if token.len() > 8 * 1024 {
            "too_long"
        } else {
            "malformed"
        };
        assert_eq!(cause(&layer, &token).await, Some(expected));
    }
    // Deep nesting within the limit is an error, not a stack overflow.
    for open in ["[", "{\"a\":"] {
        refused(&layer, &token(&open.repeat(2_000))).await;
        let deep = format!("{{\"x\":{}", open.repeat(1_000));
        refused(&layer, &token(&deep)).await;
    }
}

// J03: unusable keys are detected during configuration.
#[test]
fn rejects_unsuitable_keys_during_configuration() {
    let weak = include_str!("keys/rsa1024.pub.pem");
    let roca = include_str!("keys/roca2048.pub.pem");
    for (algorithm, pem, kind) in [
        (Algorithm::Hs256, RSA_PUBLIC, KeyErrorKind::Unsuitable),
        (Algorithm::Es256, RSA_PUBLIC, KeyErrorKind::Unsuitable),
        (Algorithm::Rs256, P256_PUBLIC, KeyErrorKind::Unsuitable),
        (Algorithm::Es256, P384_PUBLIC, KeyErrorKind::Unsuitable),
        (Algorithm::Es384, P256_PUBLIC, KeyErrorKind::Unsuitable),
        (Algorithm::EdDsa, P256_PUBLIC, KeyErrorKind::Unsuitable),
        (Algorithm::Rs256, weak, KeyErrorKind::Weak),
        // FA14
        (Algorithm::Rs256, roca, KeyErrorKind::Weak),
        (Algorithm::Rs256, RSA, KeyErrorKind::Malformed),
        (Algorithm::Rs256, "", KeyErrorKind::Malformed),
        (
            Algorithm::Rs256,
            "-----BEGIN CERTIFICATE-----\n",
            KeyErrorKind::Malformed,
        ),
        (
            Algorithm::Rs256,
            "-----BEGIN PUBLIC KEY-----\nAAAA",
            KeyErrorKind::Unsuitable,
        ),
    ] {
        let error = VerifyingKey::pem(algorithm, pem).unwrap_err();
        assert_eq!(error.kind(), kind, "{algorithm} {pem:.40}: {error}");
    }
    let short = stockade_jwt::Secret::new([1; 32]).unwrap();
    let error = VerifyingKey::hmac(Algorithm::Hs512, &short).unwrap_err();
    assert_eq!(error.kind(), KeyErrorKind::Weak);
    let error = VerifyingKey::hmac(Algorithm::Rs256, &secret()).unwrap_err();
    assert_eq!(error.kind(), KeyErrorKind::Unsuitable);
}

// FA14
#[tokio::test]
async fn rejects_sender_constrained_tokens() {
    let layer = layer(hs256());
    for confirmation in [
        r#"{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}"#,
        r#"{"x5t#S256":"bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}"#,
        r#"{"jwk":{"kty":"OKP"}}"#,
        "{}",
        "null",
    ] {
        let bound = token(&good(&format!(",\"cnf\":{confirmation}")));
        assert_eq!(
            cause(&layer, &bound).await,
            Some("binding_not_verified"),
            "{confirmation}"
        );
        assert_eq!(status(&layer, &bound).await, 401);
    }
}

// FA14
#[tokio::test]
async fn rejects_duplicate_members_at_every_depth() {
    let layer = layer(hs256());
    for header in [
        r#"{"alg":"HS256","kid":"a","kid":"b"}"#,
        r#"{"alg":"HS256","x":1,"x":1}"#,
        r#"{"alg":"HS256","jwk":{"kty":"oct","kty":"RSA"}}"#,
    ] {
        let twice = hmac(header, &good(""));
        assert_eq!(cause(&layer, &twice).await, Some("header"), "{header}");
    }
    for more in [
        r#","sub":"bob""#,
        r#","realm_access":{"roles":["user"],"roles":["admin"]}"#,
        r#","x":[[{"a":1,"\u0061":2}]]"#,
    ] {
        let twice = token(&good(more));
        assert_eq!(cause(&layer, &twice).await, Some("claims"), "{more}");
    }
}
