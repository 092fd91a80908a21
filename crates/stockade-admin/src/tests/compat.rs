//! Clients of Cortex and Holo.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::json;

use super::support::App;
use crate::{Compatibility, Permission, auth::role, records::write_lines, time};

async fn app(systems: &[Compatibility]) -> App {
    App::configured(|config| config.compatibility = systems.to_vec()).await
}

#[tokio::test]
async fn creates_lists_and_revokes_keys_of_cortex() {
    let app = app(&[Compatibility::Cortex]).await;
    let body = json!({
        "scopes": "chat, models:read",
        "expires_at": "2200-01-31T12:00:00",
        "ip_allowlist": "10.0.0.0/8,192.0.2.7",
        "user_id": 7,
        "org_id": "red",
    });
    let created = app.post("/admin/keys", body).await;
    assert_eq!(created.status, StatusCode::OK, "{}", created.text);
    let created = created.json();
    let token = created["token"].as_str().unwrap();
    assert!(
        token.starts_with(created["prefix"].as_str().unwrap()),
        "{created}"
    );
    let id = created["id"].as_str().unwrap();
    let key = app.get(&format!("/admin/v1/keys/{id}")).await;
    assert_eq!(key["scopes"], json!(["chat:write", "models:read"]));
    assert_eq!(key["networks"], json!(["10.0.0.0/8", "192.0.2.7/32"]));
    assert_eq!((&key["owner"], &key["team"]), (&json!("7"), &json!("red")));
    assert_eq!(key["expires_at"], "2200-01-31T12:00:00Z");

    app.post("/admin/keys", json!({ "name": "second" })).await;
    let list = app.get("/admin/keys?user_id=7").await;
    assert_eq!(list.as_array().unwrap().len(), 1);
    let item = &list[0];
    assert_eq!(item["scopes"], "chat:write,models:read");
    assert_eq!(
        (&item["disabled"], &item["org_name"]),
        (&json!(false), &json!("red"))
    );
    assert!(item.get("token").is_none());

    let revoked = app
        .send(Method::DELETE, &format!("/admin/keys/{id}"), None)
        .await;
    assert_eq!(
        (revoked.status, revoked.json()),
        (StatusCode::OK, json!({ "status": "ok" }))
    );
    let list = app.get("/admin/keys").await;
    assert_eq!(
        list.as_array().unwrap().len(),
        1,
        "revoked keys are not listed"
    );
    let list = app
        .get("/admin/keys?include_disabled=true&limit=1&offset=0")
        .await;
    assert_eq!(list.as_array().unwrap().len(), 1);
    let all = app.get("/admin/keys?include_disabled=true").await;
    assert_eq!(all.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn refuses_keys_of_cortex() {
    let app = app(&[Compatibility::Cortex]).await;
    let viewer = role::built_in("viewer").unwrap();
    let body = Some(json!({ "scopes": ["chat"] }));
    let answer = app
        .send_as("viewer", viewer, Method::POST, "/admin/keys", body)
        .await;
    answer.assert_error(403, "PERMISSION_DENIED", None);
    let path = "/admin/keys/key-1";
    let answer = app
        .send_as("viewer", viewer, Method::DELETE, path, None)
        .await;
    answer.assert_error(403, "PERMISSION_DENIED", None);
    let answer = app.send(Method::DELETE, "/admin/keys/7", None).await;
    answer.assert_error(404, "NOT_FOUND", None);
    for (body, param) in [
        (json!({ "scopes": "chat,fly" }), "scopes[1]"),
        // A name of SOLLOL, which is off.
        (json!({ "scopes": ["embed"] }), "scopes[0]"),
        (json!({ "scopes": "" }), "scopes"),
        (
            json!({ "scopes": "chat", "ip_allowlist": "home" }),
            "networks[0]",
        ),
        (
            json!({ "scopes": "chat", "expires_at": "2001-01-01T00:00:00" }),
            "expires_at",
        ),
    ] {
        let answer = app.post("/admin/keys", body).await;
        answer.assert_error(400, "VALIDATION_ERROR", Some(param));
    }
}

#[tokio::test]
async fn cortex_accepts_the_permissions_of_sollol() {
    let app = app(&[Compatibility::Sollol, Compatibility::Cortex]).await;
    let created = app
        .post("/admin/keys", json!({ "scopes": "embed,stats" }))
        .await;
    assert_eq!(created.status, StatusCode::OK, "{}", created.text);
    assert_eq!(created.json()["scopes"], "chat:write,metrics:read");
    let answer = app.post("/admin/keys", json!({ "scopes": "batch" })).await;
    answer.assert_error(400, "VALIDATION_ERROR", Some("scopes"));
}

#[tokio::test]
async fn shows_the_metrics_of_holo() {
    let app = app(&[Compatibility::Holo]).await;
    let metrics = app.get("/metrics").await;
    assert_eq!(metrics["requests_total"], 0);
    assert!(metrics["latency_p50_ms"].is_null());

    let address = "203.0.113.7".parse().unwrap();
    app.detector
        .ban(address, Some(Duration::from_secs(60)), "test");
    let at = time::rfc3339(time::now() - 2_000);
    let lines = [
        r#""status":200,"latency_ms":40"#,
        r#""status":429,"guard":"rate_limit","code":"RATE_LIMITED""#,
        r#""status":503,"latency_ms":3"#,
    ];
    let lines = lines.map(|fields| {
        format!(r#"{{"timestamp":"{at}","level":"info","message":"m","seq":1,{fields}}}"#)
    });
    write_lines(app.admin.state(), &lines).await;
    let metrics = app.get("/metrics").await;
    let count = |name: &str| metrics[name].as_u64().unwrap();
    assert_eq!(count("requests_total"), 3);
    let classes = ["requests_2xx", "requests_4xx", "requests_5xx"].map(count);
    assert_eq!(classes, [1, 1, 1]);
    assert!(metrics["latency_p99_ms"].is_number());
    assert!(metrics["uptime_seconds"].is_u64());
    let abuse = &metrics["abuse_stats"];
    assert_eq!(abuse["banned_entities"], 1);
    assert_eq!(
        (&abuse["threshold_errors"], &abuse["window_seconds"]),
        (&json!(5), &json!(30))
    );
}

#[tokio::test]
async fn metrics_need_the_permission_for_usage() {
    let app = app(&[Compatibility::Holo]).await;
    let others = [Permission::KeysRead, Permission::AuditRead];
    let others = others.into_iter().collect();
    let answer = app
        .send_as("other", others, Method::GET, "/metrics", None)
        .await;
    answer.assert_error(403, "PERMISSION_DENIED", None);
}
