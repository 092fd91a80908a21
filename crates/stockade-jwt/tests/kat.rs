//! Published test vectors: RFC 7515 (appendix A), RFC 7519 (section 3.1), RFC 7520 and RFC 8037.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(dead_code, reason = "not every test needs all of the support")]

mod support;

use stockade_core::{
    clock::Timestamp,
    guard::{Guard, GuardLayer},
};
use stockade_jwt::{Algorithm, JwtAuth, KeySet, LiveKeys, TokenRules};
use stockade_testkit::FakeClock;
use support::{cause, status};

/// `{"iss":"joe", "exp":1300819380, "http://example.com/is_root":true}`, with the line breaks of
/// the RFC.
const JOE: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

/// RFC 7515, A.1.1; also the example of RFC 7519, section 3.1.
const A1_KEY: &str = r#"{"kty":"oct",
    "k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#;
const A1_HEADER: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9";
const A1_SIGNATURE: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// RFC 7515, A.2.
const A2_KEY: &str = r#"{"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}"#;
const A2_HEADER: &str = "eyJhbGciOiJSUzI1NiJ9";
const A2_SIGNATURE: &str = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";

/// RFC 7515, A.3.
const A3_KEY: &str = r#"{"kty":"EC","crv":"P-256",
    "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
const A3_HEADER: &str = "eyJhbGciOiJFUzI1NiJ9";
const A3_SIGNATURE: &str =
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

fn layer(key: &str, algorithm: Algorithm, now: u64) -> GuardLayer<JwtAuth> {
    let rules = TokenRules::new("joe", "")
        .dangerous_no_audience()
        .subject_claim("iss");
    let keys = LiveKeys::new(KeySet::from_jwks(key, &[algorithm]).unwrap());
    let clock = FakeClock::at(Timestamp::from_secs(now));
    JwtAuth::new(keys, rules).clock(clock).into_layer()
}

/// Changes a character in the middle; the last one may have unused bits.
fn tampered(signature: &str) -> String {
    let mut text = signature.to_owned();
    let with = if &text[20..=20] == "A" { "B" } else { "A" };
    text.replace_range(20..=20, with);
    text
}

// J05
#[tokio::test]
async fn rfc_7515_a_1_to_a_3() {
    for (key, algorithm, header, signature) in [
        (A1_KEY, Algorithm::Hs256, A1_HEADER, A1_SIGNATURE),
        (A2_KEY, Algorithm::Rs256, A2_HEADER, A2_SIGNATURE),
        (A3_KEY, Algorithm::Es256, A3_HEADER, A3_SIGNATURE),
    ] {
        let token = format!("{header}.{JOE}.{signature}");
        let then = layer(key, algorithm, 1_300_819_379);
        assert_eq!(status(&then, &token).await, 200, "{algorithm}");
        let forged = format!("{header}.{JOE}.{}", tampered(signature));
        assert_eq!(
            cause(&then, &forged).await,
            Some("signature"),
            "{algorithm}"
        );
        let now = layer(key, algorithm, 1_300_819_380 + 60);
        assert_eq!(cause(&now, &token).await, Some("expired"), "{algorithm}");
    }
}

// J02: RFC 7515, A.5, and RFC 7519, section 6.1.
#[tokio::test]
async fn rfc_7515_a_5_unsecured() {
    let token = format!("eyJhbGciOiJub25lIn0.{JOE}.");
    let then = layer(A1_KEY, Algorithm::Hs256, 1_300_819_379);
    assert_eq!(status(&then, &token).await, 401);
}

/// The payloads are not claims, which is reported only after the signature is verified.
async fn is_signed(key: &str, algorithm: Algorithm, signed: &str, signature: &str) {
    let layer = layer(key, algorithm, 1_300_819_379);
    let good = format!("{signed}.{signature}");
    assert_eq!(cause(&layer, &good).await, Some("claims"), "{algorithm}");
    let forged = format!("{signed}.{}", tampered(signature));
    assert_eq!(
        cause(&layer, &forged).await,
        Some("signature"),
        "{algorithm}"
    );
}

#[tokio::test]
async fn rfc_8037_a_4_ed25519() {
    let key = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    is_signed(
        key,
        Algorithm::EdDsa,
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    )
    .await;
}

#[tokio::test]
async fn rfc_7520_4_2_rsa_pss() {
    let key = r#"{"kty":"RSA","kid":"bilbo.baggins@hobbiton.example","use":"sig","e":"AQAB","n":"n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw"}"#;
    is_signed(
        key,
        Algorithm::Ps384,
        "eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4",
        "cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo6_1OLPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw",
    )
    .await;
}
