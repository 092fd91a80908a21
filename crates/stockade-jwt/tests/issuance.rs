//! Issuance and refresh of tokens.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(dead_code, reason = "not every test needs all of the support")]

mod support;

use std::{collections::HashSet, sync::Arc, time::Duration};

use stockade_core::{clock::Timestamp, guard::Guard};
use stockade_jwt::{
    Algorithm, JwtAuth, KeyErrorKind, KeySet, LiveKeys, MemoryRefreshStore, RefreshErrorKind,
    RefreshTokens, RevocationList, RevocationStore, SigningKey, TokenIssuer, VerifyingKey,
};
use support::*;

fn ed_issuer() -> TokenIssuer {
    let key = SigningKey::pem(Algorithm::EdDsa, ED).unwrap().id("2026");
    TokenIssuer::new(key, ISSUER, "api").clock(clock())
}

fn ed_keys() -> LiveKeys {
    let key = VerifyingKey::pem(Algorithm::EdDsa, ED_PUBLIC).unwrap();
    LiveKeys::new(KeySet::new([key.id("2026")]))
}

#[tokio::test]
async fn issued_token_is_accepted_until_expiry_or_revocation() {
    let (clock, list) = (clock(), Arc::new(RevocationList::default()));
    let guard = JwtAuth::new(ed_keys(), rules().token_type("at+jwt"))
        .clock(clock.clone())
        .revocations(list.clone());
    let layer = guard.into_layer();
    let issuer = ed_issuer().clock(clock.clone());
    let scopes = "chat:write models:read".parse().unwrap();
    let (one, two) = (
        issuer.issue("alice", &scopes).unwrap(),
        issuer.issue("alice", &scopes).unwrap(),
    );

    let asked = ask(&layer, bearer(one.expose())).await;
    assert_eq!(asked.status(), 200);
    let principal = asked.principal.unwrap();
    assert_eq!((principal.id(), principal.scopes()), ("alice", &scopes));

    let until = one.expires_at() + Duration::from_secs(60);
    list.revoke(one.id(), until, Timestamp::from_secs(NOW))
        .await
        .unwrap();
    assert_eq!(cause(&layer, one.expose()).await, Some("revoked"));
    assert_eq!(status(&layer, two.expose()).await, 200);

    assert_eq!(two.expires_at(), Timestamp::from_secs(NOW + 900));
    clock.advance(Duration::from_secs(900 + 60));
    assert_eq!(cause(&layer, two.expose()).await, Some("expired"));
}

#[tokio::test]
async fn preserves_special_characters_in_subjects() {
    let layer = layer(ed_keys());
    for subject in ["a\"b", "a\\", "Ω", "a\",\"admin\":\"b"] {
        let token = ed_issuer().issue(subject, &Default::default()).unwrap();
        let asked = ask(&layer, bearer(token.expose())).await;
        assert_eq!(asked.principal.unwrap().id(), subject);
    }
}

#[test]
fn token_ids_are_unique() {
    let issuer = ed_issuer();
    let mut seen = HashSet::new();
    for _ in 0..1_000 {
        let token = issuer.issue("a", &Default::default()).unwrap();
        // 128 bits in base64url.
        assert_eq!(token.id().len(), 22);
        assert!(seen.insert(token.id().to_owned()));
    }
}

#[test]
fn rejects_unsuitable_signing_keys() {
    for (algorithm, pem) in [
        (Algorithm::Hs256, RSA),
        (Algorithm::Es256, RSA),
        (Algorithm::Es256, P384),
        (Algorithm::Es384, P256),
        (Algorithm::Rs256, ED),
        (Algorithm::Rs256, RSA_PUBLIC),
        (Algorithm::EdDsa, ED_PUBLIC),
        (Algorithm::EdDsa, "-----BEGIN"),
    ] {
        let error = SigningKey::pem(algorithm, pem).unwrap_err();
        assert_eq!(
            error.kind(),
            KeyErrorKind::Unsuitable,
            "{algorithm} {pem:.40}"
        );
    }
    assert!(SigningKey::hmac(Algorithm::EdDsa, &secret()).is_err());
    for (algorithm, pem) in [
        (Algorithm::Rs256, RSA),
        (Algorithm::Ps512, RSA),
        (Algorithm::Es256, P256),
        (Algorithm::Es384, P384),
        (Algorithm::EdDsa, ED),
    ] {
        assert!(SigningKey::pem(algorithm, pem).is_ok(), "{algorithm}");
    }
}

fn refresh(capacity: usize) -> (RefreshTokens, stockade_testkit::FakeClock) {
    let clock = clock();
    let store = Arc::new(MemoryRefreshStore::new(capacity));
    (RefreshTokens::new(store).clock(clock.clone()), clock)
}

async fn kind(tokens: &RefreshTokens, text: &str) -> Option<RefreshErrorKind> {
    tokens.rotate(text).await.err().map(|error| error.kind())
}

#[tokio::test]
async fn refresh_token_is_valid_once() {
    let (tokens, _) = refresh(10);
    let first = tokens
        .issue("alice", "chat:write".parse().unwrap())
        .await
        .unwrap();
    let second = tokens.rotate(first.expose()).await.unwrap();
    assert_eq!(&*second.subject, "alice");
    assert_eq!(second.scopes.to_string(), "chat:write");
    let third = tokens.rotate(second.token.expose()).await.unwrap();
    assert_ne!(second.token.expose(), third.token.expose());
}

#[tokio::test]
async fn reused_refresh_token_ends_the_login() {
    let (tokens, _) = refresh(10);
    let first = tokens.issue("alice", Default::default()).await.unwrap();
    let other = tokens.issue("alice", Default::default()).await.unwrap();
    let second = tokens.rotate(first.expose()).await.unwrap();
    assert_eq!(
        kind(&tokens, first.expose()).await,
        Some(RefreshErrorKind::Reused)
    );
    // The newest token is invalid as well.
    let newest = second.token.expose();
    assert_eq!(kind(&tokens, newest).await, Some(RefreshErrorKind::Unknown));
    assert_eq!(kind(&tokens, other.expose()).await, None);
}

#[tokio::test]
async fn malformed_refresh_tokens_change_nothing() {
    let (tokens, _) = refresh(10);
    let good = tokens.issue("alice", Default::default()).await.unwrap();
    let text = good.expose();
    let megabyte = "x".repeat(1 << 20);
    for other in [
        "",
        "rt.",
        "rt..",
        &text[..text.len() - 1],
        &text[3..],
        &format!("{text}A"),
        &text.replace('.', "_"),
        &format!("rt.{}.{}", "A".repeat(22), "A".repeat(43)),
        &megabyte,
    ] {
        assert_eq!(
            kind(&tokens, other).await,
            Some(RefreshErrorKind::Unknown),
            "{other:.80}"
        );
        assert!(!tokens.revoke(other).await.unwrap());
    }
    assert_eq!(kind(&tokens, text).await, None);
}

#[tokio::test]
async fn login_ends_by_expiry_and_revocation() {
    let (tokens, clock) = refresh(10);
    let idle = tokens.issue("alice", Default::default()).await.unwrap();
    let revoked = tokens.issue("bob", Default::default()).await.unwrap();
    assert!(tokens.revoke(revoked.expose()).await.unwrap());
    assert_eq!(
        kind(&tokens, revoked.expose()).await,
        Some(RefreshErrorKind::Unknown)
    );
    clock.advance(Duration::from_secs(7 * 24 * 3_600));
    assert_eq!(
        kind(&tokens, idle.expose()).await,
        Some(RefreshErrorKind::Unknown)
    );
}

#[tokio::test]
async fn full_store_ends_no_active_login() {
    let (tokens, clock) = refresh(1);
    let first = tokens.issue("alice", Default::default()).await.unwrap();
    let error = tokens.issue("bob", Default::default()).await.unwrap_err();
    assert_eq!(error.kind(), RefreshErrorKind::Full);
    let first = tokens.rotate(first.expose()).await.unwrap().token;
    clock.advance(Duration::from_secs(7 * 24 * 3_600));
    assert!(tokens.issue("bob", Default::default()).await.is_ok());
    assert_eq!(
        kind(&tokens, first.expose()).await,
        Some(RefreshErrorKind::Unknown)
    );
}

#[tokio::test]
async fn debug_output_shows_no_secret() {
    let (tokens, _) = refresh(10);
    let (access, refresh) = (
        ed_issuer().issue("alice", &Default::default()).unwrap(),
        tokens.issue("alice", Default::default()).await.unwrap(),
    );
    let key = SigningKey::pem(Algorithm::EdDsa, ED).unwrap();
    let refreshed = tokens.rotate(refresh.expose()).await.unwrap();
    let shown = format!(
        "{access:?} {refresh:?} {key:?} {tokens:?} {refreshed:?} {:?}",
        ed_issuer()
    );
    let signature = access.expose().rsplit_once('.').unwrap().1;
    for secret in [
        signature,
        refresh.expose(),
        &ED.lines().nth(1).unwrap()[20..],
    ] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
