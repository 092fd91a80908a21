//! Every change is a security event: who, what, before and after, and no secret.

use http::Method;
use serde_json::{Value, json};

use super::{
    server::{PASSWORD, Server},
    users::patch,
};

const NEW: &str = "another kettle over the bridge";

/// The event, the user, the subject and the detail of a record.
fn row(event: &Value) -> [&str; 4] {
    ["event", "user", "subject", "detail"].map(|field| event[field].as_str().unwrap_or("-"))
}

#[tokio::test]
async fn changes_are_recorded_with_their_actor() {
    let server = Server::with_users().await;
    let admin = server.logged_in("admin").await;
    let body = json!({ "username": "zoe", "password": PASSWORD, "role": "viewer" });
    admin.post("/users", body).await;
    let body = json!({ "role": "operator", "disabled": true, "password": NEW });
    patch(&admin, "zoe", body).await;
    for permissions in [json!(["keys:read"]), json!(["bans:read", "keys:read"])] {
        let body = Some(json!({ "permissions": permissions }));
        admin.send(Method::PUT, "/roles/clerk", body, &[]).await;
    }
    admin.delete("/roles/clerk").await;
    let path = format!("/users/{}", super::users::id(&admin, "zoe").await);
    admin.delete(&path).await;
    admin.delete("/session").await;

    let events = server.events();
    let rows: Vec<_> = events.iter().map(row).collect();
    let change = "role: viewer → operator; disabled: false → true; new password";
    assert_eq!(
        rows,
        [
            ["login", "admin", "-", "-"],
            ["user_created", "admin", "zoe", "role: viewer"],
            ["user_changed", "admin", "zoe", change],
            [
                "role_changed",
                "admin",
                "clerk",
                "permissions: none → [keys:read]"
            ],
            [
                "role_changed",
                "admin",
                "clerk",
                "permissions: [keys:read] → [keys:read bans:read]"
            ],
            [
                "role_changed",
                "admin",
                "clerk",
                "permissions: [keys:read bans:read] → none"
            ],
            ["user_deleted", "admin", "zoe", "role: operator"],
            ["logout", "admin", "-", "-"],
        ]
    );
    assert!(
        events.iter().all(|event| event["ip"] == "10.0.0.0"),
        "{events:?}"
    );
}

#[tokio::test]
async fn records_have_no_secrets() {
    let server = Server::new().await;
    let setup = server.admin.setup_token().await.unwrap().unwrap();
    let mut browser = server.browser(1);
    let body = json!({ "token": setup, "username": "root", "password": PASSWORD });
    browser.keep(&browser.post("/setup", body).await);
    let body = json!({ "name": "backup", "permissions": ["keys:read"] });
    let token = browser.post("/tokens", body).await.json()["secret"].clone();
    let totp = browser
        .post("/totp", json!({ "password": PASSWORD }))
        .await
        .json()["secret"]
        .clone();
    browser
        .post("/password", json!({ "current": PASSWORD, "new": NEW }))
        .await;
    // A password in the field of the name.
    server.browser(2).login("hunter2hunter2", "wrong").await;

    let text = format!("{:?}", server.events());
    assert!(
        text.contains("token_created") && text.contains("login_failed"),
        "{text}"
    );
    let cookie = browser.cookie.unwrap();
    let (_, session) = cookie.split_once('=').unwrap();
    for secret in [
        &setup,
        PASSWORD,
        NEW,
        "hunter2hunter2",
        token.as_str().unwrap(),
        totp.as_str().unwrap(),
        session,
        &browser.csrf.unwrap(),
    ] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}
