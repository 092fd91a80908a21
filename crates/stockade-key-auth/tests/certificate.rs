//! Requests of clients with a certificate.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::{HeaderName, Request, Response, header::AUTHORIZATION};
use http_body_util::Full;
use stockade_core::{
    client::ClientIp,
    clock::Timestamp,
    context::RequestContext,
    guard::{Check, Guard, GuardLayer, Head},
    identity::{Authenticator, Identity},
    refusal::{Refusal, RefusalReason},
};
use stockade_key_auth::{
    ClientCertificate, CredentialSource, GeneratedKey, KeyAuth, KeyChange, KeyHash, KeyRecord,
    KeyStore, MemoryKeyStore, Pepper, SpiffeId,
};
use stockade_testkit::{FakeClock, contract};
use tower::{Layer, ServiceExt, service_fn};

const AGENT: &str = "spiffe://example.org/agent";
const OTHER: &str = "spiffe://example.org/other";
const NOW: Timestamp = Timestamp::from_secs(1_000);

fn certificate(id: &str) -> ClientCertificate {
    ClientCertificate::verified(id.parse().unwrap())
}

fn record(id: &str, certificate: &str) -> KeyRecord {
    let certificate: SpiffeId = certificate.parse().unwrap();
    KeyRecord::new(id.parse().unwrap(), KeyHash::certificate(certificate))
}

/// A store with the certificate of the agent, and with a key.
fn store(agent: KeyRecord) -> (MemoryKeyStore, GeneratedKey) {
    let key = GeneratedKey::new("sk", "key".parse().unwrap()).unwrap();
    let store = MemoryKeyStore::new();
    store.insert(agent).unwrap();
    let of_key = KeyRecord::new(key.id().clone(), key.digest());
    store.insert(of_key).unwrap();
    (store, key)
}

fn head(certificate: Option<ClientCertificate>, headers: &[(&str, &str)]) -> Head {
    let mut request = Request::builder();
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut head = Head::new(request.body(()).unwrap().into_parts().0);
    if let Some(certificate) = certificate {
        head.extensions.insert(certificate);
    }
    head
}

/// Returns the id of the principal, or the refusal.
fn check(guard: &KeyAuth, mut head: Head) -> Result<String, Refusal> {
    match guard.check(&head) {
        Check::Pass(pass) => {
            guard.admit(pass, &mut head);
            Ok(match head.context().identity() {
                Identity::Authenticated(principal) => principal.id().to_owned(),
                Identity::Anonymous => "anonymous".to_owned(),
                Identity::Unchecked => panic!("no authenticator ran"),
            })
        }
        Check::Refuse(refusal) => Err(refusal),
        Check::Answer(answer) => panic!("{answer:?}"),
        Check::Wait(_) => panic!("there is no slow hash"),
    }
}

/// Returns the internal reason of the refusal of a request with the certificate of the agent.
fn reason(guard: &KeyAuth, headers: &[(&str, &str)]) -> Option<&'static str> {
    let refusal = check(guard, head(Some(certificate(AGENT)), headers)).err()?;
    Some(refusal.internal_reason())
}

#[tokio::test]
async fn certificate_upholds_the_contract() {
    let (store, _) = store(record("agent", AGENT));
    let layer = KeyAuth::new(&store).into_layer();
    contract::uphold(&layer, || {
        Request::builder()
            .extension(certificate(AGENT))
            .body(())
            .unwrap()
    })
    .await;
}

#[test]
fn authenticates_a_certificate_as_the_principal_of_its_record() {
    let agent = record("agent", AGENT)
        .scopes("chat:write".parse().unwrap())
        .owner("lab@example.com");
    let (store, _) = store(agent);
    let guard = KeyAuth::new(&store);
    let mut head = head(Some(certificate(AGENT)), &[]);
    let Check::Pass(pass) = guard.check(&head) else {
        panic!("the certificate has a record");
    };
    guard.admit(pass, &mut head);
    let principal = head.context().principal().unwrap();
    assert_eq!(principal.id(), "agent");
    assert_eq!(principal.attribute("owner"), Some("lab@example.com"));
    assert!(principal.may(&"chat:write".parse().unwrap()));
    assert!(!principal.may(&"models:read".parse().unwrap()));
}

#[test]
fn unknown_certificate_is_a_missing_credential() {
    let (store, _) = store(record("agent", AGENT));
    let guard = KeyAuth::new(&store);
    let unknown = || head(Some(certificate(OTHER)), &[]);
    let refusal = check(&guard, unknown()).unwrap_err();
    assert_eq!(refusal.internal_reason(), "unknown_certificate");
    // Which does not lead to a ban by default.
    assert_eq!(refusal.reason(), Some(RefusalReason::MissingCredential));
    assert_eq!(refusal.headers()[0].1, "Bearer realm=\"api\"");
    assert_eq!(refusal.kind().status(), 401);
    let without = check(&guard, head(None, &[])).unwrap_err();
    assert_eq!(without.internal_reason(), "missing");

    let open = guard.dangerous_allow_anonymous();
    assert_eq!(check(&open, unknown()).unwrap(), "anonymous");
    let known = head(Some(certificate(AGENT)), &[]);
    assert_eq!(check(&open, known).unwrap(), "agent");
}

#[tokio::test]
async fn refuses_revoked_expired_and_removed_records() {
    let clock = FakeClock::at(NOW);
    let (store, _) = store(record("agent", AGENT).expires(NOW + Duration::from_secs(60)));
    let guard = KeyAuth::new(&store).clock(clock.clone());
    assert_eq!(reason(&guard, &[]), None);
    clock.advance(Duration::from_secs(60));
    assert_eq!(reason(&guard, &[]), Some("expired"));

    store.insert(record("agent", AGENT)).unwrap();
    assert_eq!(reason(&guard, &[]), None);
    let revoke = KeyChange::Revoke { at: NOW };
    store
        .change("agent".parse().unwrap(), revoke)
        .await
        .unwrap();
    assert_eq!(reason(&guard, &[]), Some("revoked"));
    let refusal = check(&guard, head(Some(certificate(AGENT)), &[])).unwrap_err();
    assert_eq!(refusal.reason(), Some(RefusalReason::InvalidCredential));
    assert!(
        refusal.fingerprint().is_some(),
        "repetitions are one offence"
    );
    // A revoked record is not anonymous.
    let open = guard.clone().dangerous_allow_anonymous();
    assert_eq!(reason(&open, &[]), Some("revoked"));

    store.remove(&"agent".parse().unwrap());
    assert_eq!(reason(&guard, &[]), Some("unknown_certificate"));
}

#[test]
fn a_record_is_bound_to_its_networks() {
    let agent = record("agent", AGENT).networks(["10.0.0.0/8".parse().unwrap()]);
    let (store, _) = store(agent);
    let guard = KeyAuth::new(&store);
    for (client, expected) in [([10, 0, 0, 1], None), ([192, 0, 2, 1], Some("network"))] {
        let head = head(Some(certificate(AGENT)), &[]);
        head.context().set_client(ClientIp::Ip(client.into()));
        let refusal = check(&guard, head).err();
        let reason = refusal.map(|refusal| refusal.internal_reason());
        assert_eq!(reason, expected, "{client:?}");
    }
}

#[test]
fn every_other_credential_takes_precedence() {
    let (store, key) = store(record("agent", AGENT));
    let guard = KeyAuth::new(&store);
    let bearer = format!("Bearer {}", key.expose());
    let with = |headers: &[(&str, &str)]| check(&guard, head(Some(certificate(AGENT)), headers));
    assert_eq!(with(&[("authorization", &bearer)]).unwrap(), "key");
    assert_eq!(with(&[("x-api-key", key.expose())]).unwrap(), "key");
    for (headers, expected) in [
        (&[("authorization", "Bearer wrong")][..], "unknown"),
        (&[("x-api-key", "wrong")], "unknown"),
        (&[("authorization", "Bearer ")], "malformed"),
        (&[("x-api-key", "")], "malformed"),
        (&[("authorization", "Bearer eyJ.e30.x")], "token"),
        (&[("authorization", "Basic dTpw")], "missing"),
        (&[("authorization", "")], "missing"),
        // The page of another site, in a browser with the certificate.
        (&[("sec-fetch-site", "cross-site")], "missing"),
    ] {
        assert_eq!(reason(&guard, headers), Some(expected), "{headers:?}");
    }
    assert_eq!(reason(&guard, &[("sec-fetch-site", "same-origin")]), None);
    let custom = KeyAuth::new(&store).sources([CredentialSource::Header(HeaderName::from_static(
        "x-team-key",
    ))]);
    assert_eq!(reason(&custom, &[]), None);
    assert_eq!(
        reason(&custom, &[("authorization", &bearer)]),
        Some("missing")
    );
    // With tokens, a certificate is no second credential.
    assert!(!guard.presents(&head(Some(certificate(AGENT)), &[])));
}

#[test]
fn the_text_of_an_identity_is_no_key() {
    let (store, _) = store(record("agent", AGENT));
    let pepper = Pepper::new([7; 32]).unwrap();
    let stored = KeyHash::certificate(AGENT.parse().unwrap()).to_string();
    for guard in [
        KeyAuth::new(&store),
        KeyAuth::new(&store).pepper(pepper.clone()),
    ] {
        for text in [AGENT, &stored, "/agent", "agent"] {
            for certificate in [None, Some(certificate(AGENT)), Some(certificate(OTHER))] {
                let refusal = check(&guard, head(certificate, &[("x-api-key", text)]));
                assert_eq!(refusal.unwrap_err().internal_reason(), "unknown", "{text}");
            }
        }
        // A pepper is of no relevance to certificates.
        assert_eq!(reason(&guard, &[]), None);
    }
}

// A key whose text is the identity would have the digest of the certificate.
#[test]
fn a_certificate_matches_no_hash_of_its_text() {
    let pepper = Pepper::new([7; 32]).unwrap();
    for hash in [
        KeyHash::sha256(AGENT.as_bytes()).unwrap(),
        KeyHash::peppered(pepper.digest(AGENT.as_bytes())),
    ] {
        let (store, _) = store(KeyRecord::new("a".parse().unwrap(), hash));
        let guard = KeyAuth::new(&store).pepper(pepper.clone());
        assert_eq!(reason(&guard, &[]), Some("unknown_certificate"));
        let as_key = check(&guard, head(None, &[("x-api-key", AGENT)]));
        assert_eq!(as_key.unwrap(), "a");

        // Both in one store.
        store.insert(record("agent", AGENT)).unwrap();
        let as_key = check(&guard, head(None, &[("x-api-key", AGENT)]));
        assert_eq!(as_key.unwrap(), "a");
        let as_certificate = check(&guard, head(Some(certificate(AGENT)), &[]));
        assert_eq!(as_certificate.unwrap(), "agent");
    }
}

#[test]
fn two_records_cannot_have_one_certificate() {
    let (store, _) = store(record("agent", AGENT));
    let error = store.insert(record("again", AGENT)).unwrap_err();
    assert!(error.to_string().contains("same certificate"), "{error}");
    store.insert(record("other", OTHER)).unwrap();
}

/// Sends a request, and returns its context while the response is on its way.
async fn admitted(layer: &GuardLayer<KeyAuth>, request: Request<()>) -> RequestContext {
    let context = RequestContext::builder().build();
    let mut request = request;
    request.extensions_mut().insert(context.clone());
    let service = service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let response = layer.layer(service).oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    context
}

#[tokio::test]
async fn certificates_are_checked_again_while_a_response_is_on_its_way() {
    let clock = FakeClock::at(NOW);
    let (store, _) = store(record("agent", AGENT).expires(NOW + Duration::from_secs(60)));
    // Would be found instead, if certificates were looked up among keys.
    let same_text = KeyHash::sha256(AGENT.as_bytes()).unwrap();
    store
        .insert(KeyRecord::new("text".parse().unwrap(), same_text))
        .unwrap();
    let guard = KeyAuth::new(&store).clock(clock.clone());
    let layer = guard.clone().into_layer();
    let by_certificate = Request::builder().extension(certificate(AGENT));
    let by_certificate = admitted(&layer, by_certificate.body(()).unwrap()).await;
    let by_text = Request::builder().header(AUTHORIZATION, format!("Bearer {AGENT}"));
    let by_text = admitted(&layer, by_text.body(()).unwrap()).await;
    let again = |context: &RequestContext| {
        let refusal = guard.recheck(context)?;
        assert_eq!(refusal.reason(), None, "it is no offence");
        Some(refusal.internal_reason())
    };
    assert_eq!(again(&by_certificate), None);
    clock.advance(Duration::from_secs(60));
    assert_eq!(again(&by_certificate), Some("expired"));
    assert_eq!(again(&by_text), None);

    store.insert(record("agent", AGENT)).unwrap();
    assert_eq!(again(&by_certificate), None);
    let revoke = KeyChange::Revoke { at: NOW };
    store
        .change("agent".parse().unwrap(), revoke)
        .await
        .unwrap();
    assert_eq!(again(&by_certificate), Some("revoked"));
    store.remove(&"agent".parse().unwrap());
    assert_eq!(again(&by_certificate), Some("unknown"));
    store.remove(&"text".parse().unwrap());
    assert_eq!(again(&by_text), Some("unknown"));
    // Another guard has other credentials.
    assert_eq!(KeyAuth::new(&store).recheck(&by_certificate), None);
}

#[tokio::test]
async fn use_of_a_certificate_is_recorded() {
    let (store, _) = store(record("agent", AGENT));
    let guard = KeyAuth::new(&store);
    assert_eq!(reason(&guard, &[]), None);
    // The flag survives the publication of another set.
    store.insert(record("other", OTHER)).unwrap();
    store.flush_usage(NOW).await.unwrap();
    let records = store.list().await.unwrap();
    let used: Vec<_> = records.iter().map(|record| record.last_used).collect();
    assert_eq!(used, [Some(NOW), None, None], "of agent, key and other");
}
