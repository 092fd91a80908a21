//! Users and roles.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::server::{Browser, PASSWORD, Server};
use crate::tests::support::Answer;

pub(super) async fn id(browser: &Browser, name: &str) -> String {
    let list = browser.get("/users").await.json();
    let users = list["data"].as_array().unwrap();
    let user = users.iter().find(|user| user["username"] == name).unwrap();
    user["id"].as_str().unwrap().to_owned()
}

/// Changes a user who has not been changed by others meanwhile.
pub(super) async fn patch(browser: &Browser, name: &str, body: Value) -> Answer {
    let path = format!("/users/{}", id(browser, name).await);
    let etag = browser.get(&path).await.headers["etag"].clone();
    let headers = [("if-match", etag.to_str().unwrap())];
    browser
        .send(Method::PATCH, &path, Some(body), &headers)
        .await
}

async fn create(browser: &Browser, name: &str, role: &str) -> Answer {
    let body = json!({ "username": name, "password": PASSWORD, "role": role });
    browser.post("/users", body).await
}

/// A user who may write users, but not more than a viewer otherwise.
async fn clerk(server: &Server, admin: &Browser) -> Browser {
    let body = json!({ "permissions": ["users:read", "users:write", "keys:read"] });
    let answer = admin
        .send(Method::PUT, "/roles/clerk", Some(body), &[])
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(
        create(admin, "clerk", "clerk").await.status,
        StatusCode::CREATED
    );
    server.logged_in("clerk").await
}

#[tokio::test]
async fn creates_lists_and_deletes_users() {
    let server = Server::with_users().await;
    let admin = server.logged_in("admin").await;
    let answer = create(&admin, "Zoe", "viewer").await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    assert!(!answer.text.contains("argon2"), "{}", answer.text);
    create(&admin, "zoe", "viewer")
        .await
        .assert_error(409, "CONFLICT", Some("username"));
    create(&admin, "yan", "king")
        .await
        .assert_error(400, "VALIDATION_ERROR", Some("role"));

    let page = admin.get("/users?limit=3").await.json();
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = admin
        .get(&format!("/users?limit=3&cursor={cursor}"))
        .await
        .json();
    assert_eq!(rest["data"][0]["username"], "zoe");
    assert_eq!(rest["next_cursor"], Value::Null);

    let zoe = server.logged_in("zoe").await;
    let path = format!("/users/{}", id(&admin, "zoe").await);
    assert_eq!(admin.delete(&path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(zoe.get("/session").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(admin.get(&path).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn changes_need_the_current_version() {
    let server = Server::with_users().await;
    let admin = server.logged_in("admin").await;
    let path = format!("/users/{}", id(&admin, "viewer").await);
    let body = Some(json!({ "role": "operator" }));
    let change = |headers| admin.send(Method::PATCH, &path, body.clone(), headers);
    change(&[])
        .await
        .assert_error(428, "PRECONDITION_REQUIRED", None);
    let answer = change(&[("if-match", "\"v1\"")]).await;
    assert_eq!(answer.json()["role"], "operator");
    assert_eq!(answer.headers["etag"], "\"v2\"");
    change(&[("if-match", "\"v1\"")])
        .await
        .assert_error(412, "PRECONDITION_FAILED", None);
}

#[tokio::test]
async fn role_changes_apply_to_running_sessions() {
    let server = Server::with_users().await;
    let admin = server.logged_in("admin").await;
    let operator = server.logged_in("operator").await;
    assert_eq!(operator.get("/users").await.status, StatusCode::FORBIDDEN);
    patch(&admin, "operator", json!({ "role": "admin" })).await;
    assert_eq!(operator.get("/users").await.status, StatusCode::OK);
    patch(&admin, "operator", json!({ "role": "viewer" })).await;
    assert_eq!(operator.get("/users").await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn actors_cannot_grant_what_they_do_not_have() {
    let server = Server::with_users().await;
    let admin = server.logged_in("admin").await;
    let clerk = clerk(&server, &admin).await;
    create(&clerk, "mallory", "admin")
        .await
        .assert_error(403, "PERMISSION_DENIED", None);
    create(&clerk, "mallory", "operator")
        .await
        .assert_error(403, "PERMISSION_DENIED", None);
    for role in ["admin", "operator"] {
        let answer = patch(&clerk, "clerk", json!({ "role": role })).await;
        answer.assert_error(403, "PERMISSION_DENIED", None);
    }
    for permissions in [vec!["keys:write"], vec!["users:read", "config:write"]] {
        let body = Some(json!({ "permissions": permissions }));
        for name in ["new", "clerk"] {
            let path = format!("/roles/{name}");
            let answer = clerk.send(Method::PUT, &path, body.clone(), &[]).await;
            answer.assert_error(403, "PERMISSION_DENIED", None);
        }
    }
    let body = Some(json!({ "permissions": ["keys:read"] }));
    let answer = clerk.send(Method::PUT, "/roles/new", body, &[]).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(
        create(&clerk, "helper", "new").await.status,
        StatusCode::CREATED
    );
}

/// A new password would be a way to the permissions of its user.
#[tokio::test]
async fn stronger_users_are_out_of_reach() {
    let server = Server::with_users().await;
    let admin = server.logged_in("admin").await;
    let clerk = clerk(&server, &admin).await;
    for body in [
        json!({ "password": "another kettle over the bridge" }),
        json!({ "disabled": true }),
        json!({ "role": "clerk" }),
        json!({ "has_totp": false }),
    ] {
        patch(&clerk, "admin", body)
            .await
            .assert_error(403, "PERMISSION_DENIED", None);
    }
    let path = format!("/users/{}", id(&clerk, "admin").await);
    clerk
        .delete(&path)
        .await
        .assert_error(403, "PERMISSION_DENIED", None);
    let answer = clerk.post(&format!("{path}/logout"), json!({})).await;
    answer.assert_error(403, "PERMISSION_DENIED", None);
    // Nor can their roles be weakened.
    let body = Some(json!({ "permissions": ["keys:write"] }));
    admin.send(Method::PUT, "/roles/strong", body, &[]).await;
    let body = Some(json!({ "permissions": [] }));
    let answer = clerk.send(Method::PUT, "/roles/strong", body, &[]).await;
    answer.assert_error(403, "PERMISSION_DENIED", None);
    clerk
        .delete("/roles/strong")
        .await
        .assert_error(403, "PERMISSION_DENIED", None);
    assert_eq!(admin.get("/session").await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_last_admin_stays() {
    let server = Server::with_users().await;
    let admin = server.logged_in("admin").await;
    let path = format!("/users/{}", id(&admin, "admin").await);
    for body in [json!({ "role": "viewer" }), json!({ "disabled": true })] {
        patch(&admin, "admin", body)
            .await
            .assert_error(409, "CONFLICT", None);
    }
    admin
        .delete(&path)
        .await
        .assert_error(409, "CONFLICT", None);
    assert_eq!(admin.get("/session").await.json()["user"]["role"], "admin");

    patch(
        &admin,
        "operator",
        json!({ "role": "admin", "disabled": true }),
    )
    .await;
    admin
        .delete(&path)
        .await
        .assert_error(409, "CONFLICT", None);
    patch(&admin, "operator", json!({ "disabled": false })).await;
    assert_eq!(admin.delete(&path).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn two_admins_cannot_remove_each_other_at_once() {
    let server = Server::with_users().await;
    let admin = server.logged_in("admin").await;
    patch(&admin, "operator", json!({ "role": "admin" })).await;
    let other = server.logged_in("operator").await;
    let paths = [id(&admin, "operator").await, id(&admin, "admin").await];
    let [first, second] = paths.map(|id| format!("/users/{id}"));
    let first = tokio::spawn(async move { admin.delete(&first).await.status });
    let second = tokio::spawn(async move { other.delete(&second).await.status });
    let statuses = [first.await.unwrap(), second.await.unwrap()];
    let removed = statuses
        .iter()
        .filter(|status| **status == StatusCode::NO_CONTENT);
    assert_eq!(removed.count(), 1, "{statuses:?}");
}

#[tokio::test]
async fn disabled_users_are_logged_out_and_cannot_log_in() {
    let server = Server::with_users().await;
    let admin = server.logged_in("admin").await;
    let viewer = server.logged_in("viewer").await;
    patch(&admin, "viewer", json!({ "disabled": true })).await;
    assert_eq!(
        viewer.get("/session").await.status,
        StatusCode::UNAUTHORIZED
    );
    let mut browser = server.browser(5);
    let answer = browser.login("viewer", PASSWORD).await;
    answer.assert_error(401, "AUTHENTICATION_FAILED", None);
    patch(&admin, "viewer", json!({ "disabled": false })).await;
    assert_eq!(
        viewer.get("/session").await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        browser.login("viewer", PASSWORD).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_new_password_ends_the_sessions_of_the_user() {
    let server = Server::with_users().await;
    let admin = server.logged_in("admin").await;
    let viewer = server.logged_in("viewer").await;
    let new = "another kettle over the bridge";
    let answer = patch(&admin, "viewer", json!({ "password": new })).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(
        viewer.get("/session").await.status,
        StatusCode::UNAUTHORIZED
    );
    let mut browser = server.browser(5);
    let answer = browser.login("viewer", PASSWORD).await;
    answer.assert_error(401, "AUTHENTICATION_FAILED", None);
    assert_eq!(browser.login("viewer", new).await.status, StatusCode::OK);
    let answer = patch(&admin, "admin", json!({ "password": new })).await;
    answer.assert_error(400, "VALIDATION_ERROR", Some("password"));
}

#[tokio::test]
async fn roles_in_use_and_built_in_roles_stay() {
    let server = Server::with_users().await;
    let admin = server.logged_in("admin").await;
    clerk(&server, &admin).await;
    admin
        .delete("/roles/clerk")
        .await
        .assert_error(409, "CONFLICT", None);
    admin
        .delete("/roles/viewer")
        .await
        .assert_error(409, "CONFLICT", None);
    let body = Some(json!({ "permissions": [] }));
    let answer = admin
        .send(Method::PUT, "/roles/admin", body.clone(), &[])
        .await;
    answer.assert_error(409, "CONFLICT", None);
    let answer = admin.send(Method::PUT, "/roles/A%20B", body, &[]).await;
    answer.assert_error(400, "VALIDATION_ERROR", Some("name"));
    let body = Some(json!({ "permissions": ["keys:read", "root"] }));
    let answer = admin.send(Method::PUT, "/roles/new", body, &[]).await;
    answer.assert_error(400, "VALIDATION_ERROR", Some("permissions[1]"));

    let list = admin.get("/roles").await.json();
    let clerk = &list["data"][3];
    assert_eq!(
        (&clerk["name"], &clerk["users"]),
        (&json!("clerk"), &json!(1))
    );
    patch(&admin, "clerk", json!({ "role": "viewer" })).await;
    assert_eq!(
        admin.delete("/roles/clerk").await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        admin.delete("/roles/clerk").await.status,
        StatusCode::NOT_FOUND
    );
}
