//! Streams of clients with access tokens.

use std::time::Duration;

use stockade::core::clock::{Clock, SystemClock, Timestamp};
use stockade_jwt::{AccessToken, Algorithm, RevocationFile, Secret, SigningKey, TokenIssuer};

use crate::{
    UNAUTHENTICATED,
    site::{SECRET, Site},
};

/// The leeway of token rules.
const LEEWAY: Duration = Duration::from_secs(60);

fn issuer() -> TokenIssuer {
    let key = SigningKey::hmac(Algorithm::Hs256, &Secret::new(SECRET).unwrap()).unwrap();
    TokenIssuer::new(key, "id", "api")
}

fn issue() -> AccessToken {
    issuer()
        .issue("alice", &"chat:write".parse().unwrap())
        .unwrap()
}

fn now() -> Timestamp {
    SystemClock::new().now()
}

// FS10
#[tokio::test]
async fn a_revoked_token_ends_its_streams_and_no_others() {
    let site = Site::new("").await;
    let (revoked, other) = (issue(), issue());
    let open = async |token: &AccessToken| {
        let bearer = format!("Bearer {}", token.expose());
        site.open("GET", &bearer, &[("x-type", "text/event-stream")])
            .await
    };
    let (of_revoked, of_other) = (open(&revoked).await, open(&other).await);
    let path = site.path("revoked.txt");
    RevocationFile::append(&path, revoked.id(), Some(revoked.expires_at()), now()).unwrap();
    let text = of_revoked.until_ended().await;
    assert!(text.contains(UNAUTHENTICATED), "{text}");
    assert_eq!(site.record_of("token:alice").await["reason"], "revoked");
    assert!(!of_other.is_cancelled());
}

// A09
#[tokio::test]
async fn a_stream_ends_when_its_token_expires() {
    let site = Site::new("").await;
    // The leeway is over in four seconds.
    let lifetime = Duration::from_secs(4);
    let token = expiring(lifetime);
    let bearer = format!("Bearer {token}");
    let stream = site
        .open("GET", &bearer, &[("x-type", "text/event-stream")])
        .await;
    let text = stream.until_ended().await;
    assert!(text.contains(UNAUTHENTICATED), "{text}");
    assert_eq!(site.status("GET", &bearer).await, 401);
    assert_eq!(site.record_of("token:alice").await["reason"], "expired");
}

/// A token that is refused after this time.
fn expiring(after: Duration) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use hmac::{Hmac, KeyInit as _, Mac as _};

    let expires = (now() + after).as_secs() - LEEWAY.as_secs();
    let claims = format!(r#"{{"iss":"id","aud":"api","sub":"alice","jti":"a","exp":{expires}}}"#);
    let mut token = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(claims, &mut token);
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET).unwrap();
    mac.update(token.as_bytes());
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(mac.finalize().into_bytes(), &mut token);
    token
}
