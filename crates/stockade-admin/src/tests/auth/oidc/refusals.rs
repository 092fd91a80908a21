//! Logins at an identity provider that fail.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use super::{super::server::START, Setup, get, idp::Forgery, set_oidc};
use crate::{AdminConfig, AdminStore};

/// Calls the callback, and returns the status and the reason of the event.
async fn call_back(setup: &Setup, cookie: Option<String>, parameters: &str) -> (u16, String) {
    let mut browser = setup.server.browser(1);
    browser.cookie = cookie;
    let answer = get(&browser, &format!("/admin/oidc/callback?{parameters}")).await;
    assert!(!answer.text.contains("refresh"), "{}", answer.text);
    let [event, _, detail] = setup.events().pop().unwrap();
    assert_eq!(event, "login_failed");
    let reason = detail.strip_prefix("identity provider: ").unwrap();
    (answer.status.as_u16(), reason.to_owned())
}

#[tokio::test]
async fn the_state_must_be_that_of_the_browser() {
    let setup = Setup::new().await;
    let mut attacker = setup.server.browser(2);
    let url = setup.begin(&mut attacker).await;
    let parameters = setup.idp.authorize(&url, |_| {});
    let mut victim = setup.server.browser(1);
    let own = setup.begin(&mut victim).await;
    let wrong = (400, "wrong state".to_owned());
    assert_eq!(
        call_back(&setup, victim.cookie.clone(), &parameters).await,
        wrong
    );
    let without = "code=code+0";
    assert_eq!(
        call_back(&setup, victim.cookie.clone(), without).await,
        wrong
    );
    let (status, reason) = call_back(&setup, None, &parameters).await;
    assert_eq!(
        (status, &*reason),
        (400, "no login was begun in this browser")
    );
    assert_eq!(setup.idp.redeemed(), 0);
    // The login of the victim can still be completed.
    let parameters = setup.idp.authorize(&own, |_| {});
    let answer = get(&victim, &format!("/admin/oidc/callback?{parameters}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
}

#[tokio::test]
async fn a_state_works_once_and_for_ten_minutes() {
    let setup = Setup::new().await;
    let mut browser = setup.server.browser(1);
    let url = setup.begin(&mut browser).await;
    let first = setup.idp.authorize(&url, |_| {});
    let answer = get(&browser, &format!("/admin/oidc/callback?{first}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    // Also with a new code.
    let second = setup.idp.authorize(&url, |_| {});
    let over = (400, "the login has expired or was completed".to_owned());
    for parameters in [first, second] {
        let result = call_back(&setup, browser.cookie.clone(), &parameters).await;
        assert_eq!(result, over);
    }
    assert_eq!(setup.idp.redeemed(), 1);

    let url = setup.begin(&mut browser).await;
    let parameters = setup.idp.authorize(&url, |_| {});
    setup.server.advance(Duration::from_secs(600));
    let result = call_back(&setup, browser.cookie.clone(), &parameters).await;
    assert_eq!(result, over);
}

#[tokio::test]
async fn the_claims_must_be_valid() {
    let now = START / 1000;
    let setup = Setup::new().await;
    for (changes, reason) in [
        (json!({ "iss": "https://evil.example" }), "wrong issuer"),
        (json!({ "aud": "other" }), "wrong audience"),
        (json!({ "azp": "other" }), "wrong authorized party"),
        (
            json!({ "aud": [super::CLIENT, "other"] }),
            "several audiences without an authorized party",
        ),
        (json!({ "exp": now - 61 }), "expired"),
        (json!({ "exp": null }), "malformed claims"),
        (json!({ "iat": now + 61 }), "not valid yet"),
        (json!({ "nonce": "wrong" }), "wrong nonce"),
        (json!({ "nonce": null }), "wrong nonce"),
        (json!({ "sub": "" }), "invalid subject"),
    ] {
        let mut browser = setup.server.browser(1);
        let url = setup.begin(&mut browser).await;
        let change = |claims: &mut Value| {
            for (name, value) in changes.as_object().unwrap() {
                claims[name] = value.clone();
            }
        };
        let parameters = setup.idp.authorize(&url, change);
        let result = call_back(&setup, browser.cookie, &parameters).await;
        assert_eq!(
            result,
            (401, format!("ID token refused, {reason}")),
            "{changes}"
        );
    }
}

#[tokio::test]
async fn the_signature_must_be_of_a_key_of_the_provider() {
    let setup = Setup::new().await;
    for (forgery, reason) in [
        (Forgery::Claims, "wrong signature"),
        (Forgery::OtherKey, "unknown key"),
        (Forgery::Secret, "algorithm not allowed"),
        (Forgery::None, "malformed"),
    ] {
        setup.idp.forge(forgery);
        let mut browser = setup.server.browser(1);
        let url = setup.begin(&mut browser).await;
        let parameters = setup.idp.authorize(&url, |_| {});
        let result = call_back(&setup, browser.cookie, &parameters).await;
        let expected = (401, format!("ID token refused, {reason}"));
        assert_eq!(result, expected, "{forgery:?}");
    }
}

#[tokio::test]
async fn users_without_a_role_are_refused() {
    let setup = Setup::new().await;
    let mut browser = setup.server.browser(1);
    setup.log_in(&mut browser, |_| {}).await;
    for roles in [
        json!([]),
        json!(["viewer"]),
        json!({ "staff": true }),
        json!(null),
    ] {
        let mut other = setup.server.browser(2);
        let answer = setup
            .log_in(&mut other, |claims| claims["roles"] = roles.clone())
            .await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{roles}");
        assert_eq!(other.cookie, None);
        let failed = ["login_failed", "zoe", "identity provider: no role"];
        assert_eq!(setup.events().last().unwrap(), &failed);
    }
    // Sessions from before the change end, too.
    let answer = browser.get("/session").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_provider_checks_the_verifier() {
    let setup = Setup::new().await;
    let mut browser = setup.server.browser(1);
    let url = setup.begin(&mut browser).await;
    let challenge = url.find("code_challenge=").unwrap() + "code_challenge=".len();
    let other = format!("{}{}", &url[..challenge], "A".repeat(43));
    let other = format!("{other}{}", &url[challenge + 43..]);
    let parameters = setup.idp.authorize(&other, |_| {});
    let (status, reason) = call_back(&setup, browser.cookie, &parameters).await;
    let expected = "token endpoint: the provider answered invalid_grant";
    assert_eq!((status, &*reason), (401, expected));
    assert_eq!(setup.idp.redeemed(), 0);
}

#[tokio::test]
async fn the_redirect_must_be_of_the_issuer() {
    let setup = Setup::new().await;
    let mut browser = setup.server.browser(1);
    for issuer in ["", "&iss=https%3A%2F%2Fevil.example"] {
        let url = setup.begin(&mut browser).await;
        let parameters = setup.idp.authorize(&url, |_| {});
        let (start, _) = parameters.split_once("&iss=").unwrap();
        let parameters = format!("{start}{issuer}");
        let result = call_back(&setup, browser.cookie.clone(), &parameters).await;
        assert_eq!(result, (401, "wrong issuer of the callback".to_owned()));
    }
    assert_eq!(setup.idp.redeemed(), 0);
}

#[tokio::test]
async fn errors_of_the_provider_are_recorded_by_their_code() {
    let setup = Setup::new().await;
    for (error, reason) in [
        ("access_denied", "the provider answered access_denied"),
        ("%0Aforged", "the provider answered an error"),
    ] {
        let mut browser = setup.server.browser(1);
        let url = setup.begin(&mut browser).await;
        let parameters = setup.idp.authorize(&url, |_| {});
        let (_, end) = parameters.split_once('&').unwrap();
        let parameters = format!("error={error}&{end}");
        let result = call_back(&setup, browser.cookie, &parameters).await;
        assert_eq!(result, (401, reason.to_owned()));
    }
}

#[tokio::test]
async fn a_failing_provider_is_tried_again() {
    let setup = Setup::new().await;
    setup.idp.set_available(false);
    let mut browser = setup.server.browser(1);
    let answer = get(&browser, "/admin/oidc/login").await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
    setup.idp.set_available(true);
    // Not asked again at once.
    let answer = get(&browser, "/admin/oidc/login").await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
    setup.server.advance(Duration::from_secs(5));
    let answer = setup.log_in(&mut browser, |_| {}).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    // Metadata that cannot be loaded again stays in use.
    setup.idp.set_available(false);
    setup.server.advance(Duration::from_secs(3600));
    assert!(!setup.begin(&mut browser).await.is_empty());
}

#[tokio::test]
async fn the_discovered_issuer_must_be_the_configured_one() {
    let setup = Setup::new().await;
    setup.idp.advertise("https://evil.example");
    let browser = setup.server.browser(1);
    let answer = get(&browser, "/admin/oidc/login").await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn a_missing_secret_prevents_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = AdminConfig {
        database: crate::tests::support::database(&folder)
            .await
            .as_str()
            .into(),
        ..AdminConfig::default()
    };
    let url = "https://admin.example.com";
    set_oidc(&mut config, "https://login.example.com", url, "missing");
    config.resolve_paths(folder.path());
    let error = AdminStore::open(config).await.unwrap_err().to_string();
    let start = "cannot read admin.oidc.client_secret_file ";
    assert!(error.starts_with(start), "{error}");
    assert!(
        error.contains(&*folder.path().display().to_string()),
        "{error}"
    );
}

/// Neither the secret of the client nor codes or tokens are recorded.
#[tokio::test]
async fn records_have_no_secrets() {
    let setup = Setup::new().await;
    let mut browser = setup.server.browser(1);
    setup.log_in(&mut browser, |_| {}).await;
    let text = format!("{:?} {:?}", setup.events(), setup.server.admin);
    for secret in [super::SECRET, "code 0", "secret of the provider"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let config = &setup.server.state().0.config;
    assert!(!format!("{config:?}").contains(super::SECRET));
}
