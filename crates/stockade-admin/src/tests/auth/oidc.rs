//! Logins at an identity provider, with a real one.

mod idp;
mod refusals;

use std::fs;

use http::{Request, StatusCode, header::LOCATION};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::{
    server::{Browser, PASSWORD, Server, values},
    users::{self, patch},
};
use crate::{AdminConfig, tests::support::Answer};

use idp::{CLIENT, Idp, SECRET};

/// An administration and its provider.
struct Setup {
    server: Server,
    idp: Idp,
}

impl Setup {
    async fn new() -> Self {
        Self::with(Algorithm::ES256, "http://localhost:8001").await
    }

    async fn with(algorithm: Algorithm, url: &str) -> Self {
        let idp = Idp::start(algorithm).await;
        let server = Server::configured(|config, folder| {
            let file = folder.join("secret");
            fs::write(&file, format!("{SECRET}\n")).unwrap();
            set_oidc(config, &idp.issuer, url, &file.display().to_string());
        })
        .await;
        Self { server, idp }
    }

    /// Begins a login; returns the URL at the provider.
    async fn begin(&self, browser: &mut Browser) -> String {
        let answer = get(browser, "/admin/oidc/login").await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
        let cookie = values(&answer.headers, "set-cookie")[0];
        browser.cookie = cookie.split(';').next().map(str::to_owned);
        values(&answer.headers, LOCATION.as_str())[0].to_owned()
    }

    /// A whole login, with other claims.
    async fn log_in(&self, browser: &mut Browser, change: impl FnOnce(&mut Value)) -> Answer {
        let url = self.begin(browser).await;
        let parameters = self.idp.authorize(&url, change);
        let answer = get(browser, &format!("/admin/oidc/callback?{parameters}")).await;
        let cookies = values(&answer.headers, "set-cookie").into_iter();
        let cookies = cookies.filter_map(|cookie| cookie.split(';').next());
        let mut cookies = cookies.filter(|cookie| !cookie.ends_with('='));
        browser.cookie = cookies.next().map(str::to_owned);
        answer
    }

    /// The user, the event and the detail of all events.
    fn events(&self) -> Vec<[String; 3]> {
        let text = |event: &Value, field| event[field].as_str().unwrap_or("-").to_owned();
        let events = self.server.events();
        let rows = events.iter();
        rows.map(|event| ["event", "user", "detail"].map(|field| text(event, field)))
            .collect()
    }
}

fn set_oidc(config: &mut AdminConfig, issuer: &str, url: &str, secret_file: &str) {
    let oidc = json!({
        "issuer": issuer,
        "client_id": CLIENT,
        "client_secret_file": secret_file,
        "public_url": url,
        "name": "Example",
        "roles": { "staff": "viewer", "editors": "operator", "owners": "admin" },
    });
    config.oidc = Some(serde_json::from_value(oidc).unwrap());
}

async fn get(browser: &Browser, path: &str) -> Answer {
    let request = Request::get(path).header("sec-fetch-site", "cross-site");
    let request = request.body(axum::body::Body::empty()).unwrap();
    browser.send_request(request).await
}

async fn user(browser: &Browser) -> Value {
    let answer = browser.get("/session").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    answer.json()["user"].clone()
}

#[tokio::test]
async fn a_login_creates_a_user_with_the_mapped_role() {
    for algorithm in [Algorithm::ES256, Algorithm::RS256] {
        let setup = Setup::with(algorithm, "http://localhost:8001").await;
        let mut browser = setup.server.browser(1);
        let status = browser.get("/status").await.json();
        assert_eq!(status["oidc"], json!([{ "name": "Example" }]));

        let answer = setup.log_in(&mut browser, |_| {}).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        assert!(answer.text.contains(r#"http-equiv="refresh""#));
        let cookies = values(&answer.headers, "set-cookie");
        assert!(cookies[0].starts_with("stockade_admin=") && cookies[0].contains("Strict"));
        assert!(cookies[1].starts_with("stockade_admin_oidc=; ") && cookies[1].contains("Lax"));
        let user = user(&browser).await;
        // Of both roles, the one with more permissions.
        assert_eq!(
            (user["username"].as_str(), user["role"].as_str()),
            (Some("zoe"), Some("operator"))
        );
        let created = "role: operator; by the identity provider";
        let events = setup.events();
        assert_eq!(
            events,
            [["user_created", "zoe", created], ["login", "zoe", "-"]]
        );
    }
}

#[tokio::test]
async fn each_login_updates_the_role() {
    let setup = Setup::new().await;
    let mut browser = setup.server.browser(1);
    setup.log_in(&mut browser, |_| {}).await;
    let id = user(&browser).await["id"].clone();
    // Another name of the same subject.
    let change = |claims: &mut Value| {
        claims["roles"] = json!("owners");
        claims["preferred_username"] = json!("zoe.smith");
    };
    setup.log_in(&mut browser, change).await;
    let user = user(&browser).await;
    assert_eq!(
        (
            &user["id"],
            user["role"].as_str(),
            user["username"].as_str()
        ),
        (&id, Some("admin"), Some("zoe"))
    );
    let detail = "role: operator → admin; by the identity provider";
    assert_eq!(setup.events()[2], ["user_changed", "zoe", detail]);
}

#[tokio::test]
async fn a_local_user_of_the_same_name_is_not_taken_over() {
    let setup = Setup::new().await;
    setup.server.add_users().await;
    let mut browser = setup.server.browser(1);
    let change = |claims: &mut Value| claims["preferred_username"] = json!("ADMIN");
    setup.log_in(&mut browser, change).await;
    let external = user(&browser).await;
    let name = external["username"].as_str().unwrap();
    assert!(name.starts_with("admin-"), "{name}");
    assert_eq!(external["role"], "operator");
    let local = setup.server.logged_in("admin").await;
    assert_ne!(user(&local).await["id"], external["id"]);
    // The new user has no password, and cannot log in with any.
    let answer = setup.server.browser(2).login(name, PASSWORD).await;
    answer.assert_error(401, "AUTHENTICATION_FAILED", None);
}

#[tokio::test]
async fn disabled_users_are_refused() {
    let setup = Setup::new().await;
    setup.server.add_users().await;
    let mut browser = setup.server.browser(1);
    setup.log_in(&mut browser, |_| {}).await;
    let admin = setup.server.logged_in("admin").await;
    let answer = patch(&admin, "zoe", json!({ "disabled": true })).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert!(!users::id(&admin, "zoe").await.is_empty());

    let answer = setup.log_in(&mut browser, |_| {}).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(browser.cookie, None);
    let failed = ["login_failed", "zoe", "identity provider: disabled user"];
    assert_eq!(setup.events().last().unwrap(), &failed);
}

/// M05.
#[tokio::test]
async fn cookies_are_secure_over_https() {
    let setup = Setup::with(Algorithm::ES256, "https://admin.example.com").await;
    let browser = setup.server.browser(1);
    // A reverse proxy ends TLS; browsers send no `Origin` with the navigation.
    for host in ["admin.example.com", "localhost"] {
        let request = Request::get("/admin/oidc/login").header("host", host);
        let request = request.body(axum::body::Body::empty()).unwrap();
        let answer = browser.send_request(request).await;
        let cookie = values(&answer.headers, "set-cookie")[0];
        assert!(
            cookie.starts_with("__Host-stockade_admin_oidc="),
            "{cookie}"
        );
        assert!(
            cookie.ends_with("; Path=/; Max-Age=600; HttpOnly; SameSite=Lax; Secure"),
            "{cookie}"
        );
        let location = values(&answer.headers, "location")[0];
        let redirect = "redirect_uri=https%3A%2F%2Fadmin.example.com%2Fadmin%2Foidc%2Fcallback&";
        assert!(location.contains(redirect), "{location}");
    }
}

#[tokio::test]
async fn there_are_no_routes_without_a_provider() {
    let server = Server::new().await;
    let browser = server.browser(1);
    let answer = get(&browser, "/admin/oidc/login").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(browser.get("/status").await.json()["oidc"], json!([]));
}
