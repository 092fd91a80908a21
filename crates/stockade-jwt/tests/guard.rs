//! The guard around a service.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(dead_code, reason = "not every test needs all of the support")]

mod support;

use std::{
    convert::Infallible,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, header::AUTHORIZATION};
use http_body_util::Full;
use proptest::prelude::*;
use stockade_core::{
    clock::{Clock, Timestamp},
    context::RequestContext,
    guard::{Guard, GuardLayer, Head},
    identity::Authenticator,
};
use stockade_jwt::{
    Algorithm, JwtAuth, KeySet, LiveKeys, RevocationError, RevocationErrorKind, RevocationList,
    RevocationStatus, RevocationStore, Secret, VerifyingKey,
};
use stockade_testkit::{FakeClock, contract};
use support::*;
use tower::{Layer, ServiceExt, service_fn};

#[tokio::test]
async fn upholds_the_contract() {
    let token = token(&good(""));
    contract::uphold(&layer(hs256()), || bearer(&token)).await;
}

#[tokio::test]
async fn upholds_the_contract_while_waiting() {
    let guard = JwtAuth::new(hs256(), rules())
        .clock(clock())
        .revocations(Arc::new(Remote {
            answer: Some(false),
        }));
    let token = token(&good(",\"jti\":\"a\""));
    contract::uphold(&guard.into_layer(), || bearer(&token)).await;
}

#[tokio::test]
async fn authenticates_a_token_as_its_principal() {
    let guard = JwtAuth::new(hs256(), rules().attribute("email", "owner")).clock(clock());
    let token = token(&good(r#","scope":"chat:write","email":"a@example.com""#));
    let layer = guard.into_layer();
    for _ in ["verified", "cached"] {
        let asked = ask(&layer, bearer(&token)).await;
        assert_eq!(asked.status(), 200);
        let principal = asked.principal.unwrap();
        assert_eq!(principal.id(), "alice");
        assert_eq!(principal.attribute("owner"), Some("a@example.com"));
        assert!(principal.may(&"chat:write".parse().unwrap()));
    }
}

// A14, A16: one message for all reasons.
#[tokio::test]
async fn all_invalid_tokens_get_the_same_response() {
    let layer = layer(hs256());
    let other = format!(
        "{}.{}",
        token(&good("")).rsplit_once('.').unwrap().0,
        "QUJD"
    );
    let mut answers = Vec::new();
    for (token, cause) in [
        (other, "signature"),
        (token(&good("").replace("api", "other")), "audience"),
        (token(&good("").replace(ISSUER, "x")), "issuer"),
        (token(&good("").replace("17", "16")), "expired"),
        (token(&good("").replace("sub", "bus")), "subject"),
        (token(&good(",\"scope\":7")), "scopes"),
        (token("[]"), "claims"),
        (hmac(r#"{"alg":"HS384"}"#, &good("")), "algorithm"),
        (hmac(r#"{"alg":"HS256","typ":"x"}"#, &good("")), "type"),
        (hmac("{}", &good("")), "header"),
        ("eyJ.eyJ".to_owned(), "malformed"),
        ("sk_team_abc".to_owned(), "malformed"),
        ("a,b".to_owned(), "malformed"),
        (format!("eyJ.{}.x", "x".repeat(9_000)), "too_long"),
    ] {
        let asked = ask(&layer, bearer(&token)).await;
        assert_eq!(asked.status(), 401, "{token}");
        let challenge = &asked.response.headers()["www-authenticate"];
        assert_eq!(challenge, "Bearer realm=\"api\", error=\"invalid_token\"");
        assert_eq!(asked.cause, Some(cause), "{token}");
        answers.push(format!("{:?}", asked.response));
    }
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:#?}"
    );
}

// A14, A16
#[tokio::test]
async fn missing_token_gets_a_challenge_without_error_code() {
    let guard = JwtAuth::new(hs256(), rules()).realm("mo\"dels");
    let layer = guard.into_layer();
    let uri = format!("/?access_token={}", token(&good("")));
    for request in [
        Request::builder(),
        Request::builder().header(AUTHORIZATION, "Basic dTpw"),
        Request::builder().uri(uri),
    ] {
        let asked = ask(&layer, request.body(()).unwrap()).await;
        assert_eq!((asked.status(), asked.cause), (401, Some("missing")));
        let challenge = &asked.response.headers()["www-authenticate"];
        assert_eq!(challenge, "Bearer realm=\"models\"");
    }
}

// A13
#[tokio::test]
async fn different_tokens_are_a_bad_request() {
    let (a, b) = (token(&good("")), token(&good(",\"n\":1")));
    let request = Request::builder()
        .header(AUTHORIZATION, format!("Bearer {a}"))
        .header(AUTHORIZATION, format!("Bearer {b}"));
    let asked = ask(&layer(hs256()), request.body(()).unwrap()).await;
    assert_eq!(asked.status(), 400);
}

// A15
#[tokio::test]
async fn rejects_invalid_bytes_and_huge_headers() {
    let layer = layer(hs256());
    let good = token(&good(""));
    let huge = vec![b'.'; 1 << 20];
    for value in [
        &b"Bearer \x80\xff"[..],
        format!("Bearer {good}\u{e9}").as_bytes(),
        format!("Bearer {good},{good}").as_bytes(),
        format!("Bearer  {good}").as_bytes(),
        format!("Bearer\t{good}").as_bytes(),
        &[b"Bearer ", &huge[..]].concat(),
        b"Bearer ",
    ] {
        let request = Request::builder().header(AUTHORIZATION, value);
        let asked = ask(&layer, request.body(()).unwrap()).await;
        assert_eq!(asked.status(), 401);
    }
    for scheme in ["bearer", "BEARER", "bEARER"] {
        let request = Request::builder().header(AUTHORIZATION, format!("{scheme} {good}"));
        assert_eq!(ask(&layer, request.body(()).unwrap()).await.status(), 200);
    }
}

// A23
#[tokio::test]
async fn empty_key_set_rejects_every_token() {
    let layer = layer(KeySet::new([]));
    assert_eq!(cause(&layer, &token(&good(""))).await, Some("unknown_key"));
}

#[tokio::test]
async fn anonymous_requests_pass_only_when_allowed() {
    let guard = JwtAuth::new(hs256(), rules()).dangerous_allow_anonymous();
    let layer = guard.into_layer();
    let asked = ask(&layer, Request::new(())).await;
    assert_eq!(asked.principal, None);
    assert_eq!(status(&layer, "eyJ.a.b").await, 401);
}

#[test]
fn detects_presented_tokens() {
    let guard = JwtAuth::new(hs256(), rules());
    let presents = |request: Request<()>| guard.presents(&Head::new(request.into_parts().0));
    assert!(presents(bearer("eyJ.a.b")));
    assert!(presents(bearer(&token("not even claims"))));
    for text in ["sk_a_b", "eyJ.a", "eyJ.a.b.c", "a.b.c", ""] {
        assert!(!presents(bearer(text)), "{text}");
    }
    assert!(!presents(Request::new(())));
}

// J05, A09
#[tokio::test]
async fn cached_token_expires() {
    let clock = clock();
    let guard = JwtAuth::new(hs256(), rules()).clock(clock.clone());
    let (layer, token) = (guard.into_layer(), token(&good("")));
    assert_eq!(status(&layer, &token).await, 200);
    clock.advance(Duration::from_secs(900 + 60) - Duration::from_nanos(1));
    assert_eq!(status(&layer, &token).await, 200);
    clock.advance(Duration::from_nanos(1));
    assert_eq!(cause(&layer, &token).await, Some("expired"));
}

#[tokio::test]
async fn key_change_invalidates_the_cache() {
    let keys = hs256();
    let (layer, token) = (layer(keys.clone()), token(&good("")));
    assert_eq!(status(&layer, &token).await, 200);
    let other = Secret::new([7; 64]).unwrap();
    keys.publish(KeySet::new([
        VerifyingKey::hmac(Algorithm::Hs256, &other).unwrap()
    ]));
    assert_eq!(cause(&layer, &token).await, Some("signature"));
    keys.publish(KeySet::new([]));
    assert_eq!(cause(&layer, &token).await, Some("unknown_key"));
}

// A08
#[tokio::test]
async fn rejects_revoked_token_on_the_next_request() {
    let list = Arc::new(RevocationList::default());
    for cached in [0, 100] {
        let guard = JwtAuth::new(hs256(), rules())
            .clock(clock())
            .cache_capacity(cached)
            .revocations(list.clone());
        let layer = guard.into_layer();
        let id = format!("token-{cached}");
        let token = token(&good(&format!(",\"jti\":\"{id}\"")));
        assert_eq!(status(&layer, &token).await, 200);
        let (now, until) = (Timestamp::from_secs(NOW), Timestamp::from_secs(NOW + 960));
        list.revoke(&id, until, now).await.unwrap();
        assert_eq!(cause(&layer, &token).await, Some("revoked"));
    }
    let guard = JwtAuth::new(hs256(), rules())
        .clock(clock())
        .revocations(list);
    let layer = guard.into_layer();
    assert_eq!(cause(&layer, &token(&good(""))).await, Some("no_id"));
}

/// A remote store; `None` when it is down.
struct Remote {
    answer: Option<bool>,
}

impl RevocationStore for Remote {
    fn status(&self, _token_id: &str) -> RevocationStatus {
        let answer = self.answer;
        RevocationStatus::Pending(Box::pin(async move {
            tokio::task::yield_now().await;
            answer.ok_or_else(|| RevocationError::unavailable("connection refused"))
        }))
    }

    fn revoke<'s>(
        &'s self,
        _token_id: &'s str,
        _until: Timestamp,
        _now: Timestamp,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<(), RevocationError>> + Send + 's>> {
        Box::pin(async { Err(RevocationError::unavailable("connection refused")) })
    }
}

#[tokio::test]
async fn unavailable_store_rejects_every_token() {
    let token = token(&good(",\"jti\":\"a\""));
    for (answer, expected) in [(Some(false), 200), (Some(true), 401), (None, 503)] {
        let store = Arc::new(Remote { answer });
        let guard = JwtAuth::new(hs256(), rules())
            .clock(clock())
            .revocations(store.clone());
        let layer = guard.into_layer();
        assert_eq!(status(&layer, &token).await, expected);
        assert_eq!(status(&layer, &token).await, expected);
        let (now, until) = (Timestamp::default(), Timestamp::default());
        let error = store.revoke("a", until, now).await.unwrap_err();
        assert_eq!(error.kind(), RevocationErrorKind::Unavailable);
    }
}

/// A store with a configurable next response.
#[derive(Clone)]
struct Unsteady(Arc<Mutex<Option<bool>>>);

impl RevocationStore for Unsteady {
    fn status(&self, token_id: &str) -> RevocationStatus {
        let answer = *self.0.lock().unwrap();
        Remote { answer }.status(token_id)
    }

    fn revoke<'s>(
        &'s self,
        _token_id: &'s str,
        _until: Timestamp,
        _now: Timestamp,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<(), RevocationError>> + Send + 's>> {
        Box::pin(async { Err(RevocationError::unavailable("connection refused")) })
    }
}

/// Captures log lines.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn store_failure_is_logged_once_with_its_error() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _logging = tracing_subscriber::util::SubscriberInitExt::set_default(subscriber);
    // While there is one dispatcher only, another thread that meets an event first, and has none,
    // decides for all threads that it is not wanted.
    let _other = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
    let answer = Arc::new(Mutex::new(None));
    let guard = JwtAuth::new(hs256(), rules())
        .clock(clock())
        .revocations(Arc::new(Unsteady(Arc::clone(&answer))));
    let layer = guard.into_layer();
    let token = token(&good(",\"jti\":\"a\""));
    for (next, expected, lines) in [
        (None, 503, 1),
        (None, 503, 1),
        (Some(false), 200, 2),
        (Some(true), 401, 2),
        (None, 503, 3),
    ] {
        *answer.lock().unwrap() = next;
        assert_eq!(status(&layer, &token).await, expected);
        assert_eq!(log.lines().len(), lines, "{:?}", log.lines());
    }
    assert!(log.lines()[0].contains("connection refused"));
    assert!(log.lines()[1].contains("responds again"));
}

#[test]
fn debug_output_shows_no_secret() {
    let key = VerifyingKey::hmac(Algorithm::Hs256, &secret()).unwrap();
    let shown = format!("{:?} {key:?} {:?}", secret(), layer(hs256()).guard());
    assert!(!shown.contains("a secret of"), "{shown}");
    assert!(!shown.contains("97, 32, 115"), "{shown}");
}

fn any_part() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Za-z0-9_-]{0,40}",
        "\\PC{0,20}",
        Just("eyJhbGciOiJIUzI1NiJ9".to_owned())
    ]
}

/// Checks a token without a runtime: the guard does not wait.
fn passes(layer: &GuardLayer<JwtAuth>, token: &str) -> Option<bool> {
    let request = Request::builder().header(AUTHORIZATION, format!("Bearer {token}"));
    let head = Head::new(request.body(()).ok()?.into_parts().0);
    match layer.guard().check(&head) {
        stockade_core::guard::Check::Pass(_) => Some(true),
        _ => Some(false),
    }
}

/// A guard with a small cache, since property tests create many guards.
fn small() -> GuardLayer<JwtAuth> {
    let guard = JwtAuth::new(hs256(), rules()).clock(clock());
    GuardLayer::new(guard.cache_capacity(8))
}

proptest! {
    #[test]
    fn arbitrary_text_is_rejected_without_panic(parts in proptest::collection::vec(any_part(), 0..5)) {
        prop_assert_ne!(passes(&small(), &parts.join(".")), Some(true));
    }

    #[test]
    fn arbitrary_signed_text_is_rejected_without_panic(header in any::<String>(), claims in any::<String>()) {
        prop_assert_ne!(passes(&small(), &hmac(&header, &claims)), Some(true));
        prop_assert_ne!(passes(&small(), &token(&claims)), Some(true));
    }

    #[test]
    fn rejects_single_character_changes(at in 0usize..1_000, with in "[A-Za-z0-9_.-]") {
        let token = token(&good(""));
        let at = at % token.len();
        prop_assume!(token[at..=at] != with);
        let mut changed = token.clone();
        changed.replace_range(at..=at, &with);
        let layer = small();
        prop_assert_eq!(passes(&layer, &token), Some(true));
        prop_assert_ne!(passes(&layer, &changed), Some(true));
    }

    // The cache never changes the decision.
    #[test]
    fn cache_never_changes_the_decision(
        steps in proptest::collection::vec((0usize..4, 0u64..400, any::<bool>()), 1..40),
    ) {
        let (clock, keys) = (clock(), hs256());
        let guard = |cached| {
            let guard = JwtAuth::new(keys.clone(), rules());
            GuardLayer::new(guard.clock(clock.clone()).cache_capacity(cached))
        };
        let (cached, uncached) = (guard(8), guard(0));
        let tokens: Vec<_> = (0..4)
            .map(|n| token(&good("").replace(&(NOW + 900).to_string(), &(NOW + n * 300).to_string())))
            .collect();
        for (at, pause, change) in steps {
            clock.advance(Duration::from_secs(pause));
            if change {
                let fresh = VerifyingKey::hmac(Algorithm::Hs256, &secret()).unwrap();
                let none = at == 0;
                keys.publish(KeySet::new((!none).then_some(fresh)));
            }
            prop_assert_eq!(passes(&cached, &tokens[at]), passes(&uncached, &tokens[at]));
        }
    }
}

#[tokio::test]
async fn clones_share_live_keys() {
    let keys: LiveKeys = KeySet::new([]).into();
    let layer = layer(keys.clone());
    assert_eq!(status(&layer, &token(&good(""))).await, 401);
    keys.publish(KeySet::new([VerifyingKey::hmac(
        Algorithm::Hs256,
        &secret(),
    )
    .unwrap()]));
    assert_eq!(keys.current().len(), 1);
    assert_eq!(status(&layer, &token(&good(""))).await, 200);
}

// A09, FS10
#[tokio::test]
async fn checks_a_token_again_while_its_response_is_on_its_way() {
    let (clock, list) = (clock(), Arc::new(RevocationList::new(10)));
    let guard = |clock: FakeClock| JwtAuth::new(hs256(), rules()).clock(clock);
    let other = guard(clock.clone());
    let guard = guard(clock.clone()).revocations(list.clone());
    let context = RequestContext::new();
    let mut request = bearer(&token(&good(",\"jti\":\"a\"")));
    request.extensions_mut().insert(context.clone());
    let inner = service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let service = guard.clone().into_layer().layer(inner);
    assert_eq!(service.oneshot(request).await.unwrap().status(), 200);
    let reason = || {
        let refusal = guard.recheck(&context)?;
        assert_eq!(refusal.code(), "AUTHENTICATION_FAILED");
        assert_eq!(refusal.reason(), None, "it is no offence");
        Some(refusal.internal_reason())
    };
    assert_eq!(reason(), None);

    list.revoke("b", Timestamp::from_secs(NOW + 2_000), clock.now())
        .await
        .unwrap();
    assert_eq!(reason(), None);
    list.revoke("a", Timestamp::from_secs(NOW + 2_000), clock.now())
        .await
        .unwrap();
    assert_eq!(reason(), Some("revoked"));

    // `exp` and the leeway.
    clock.advance(Duration::from_secs(959));
    assert_eq!(reason(), Some("revoked"));
    clock.advance(Duration::from_secs(1));
    assert_eq!(reason(), Some("expired"));
    assert!(
        other.recheck(&context).is_none(),
        "a token of another guard"
    );
}
