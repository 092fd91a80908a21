//! Bans.

use http::{Method, StatusCode};
use serde_json::json;

use super::support::{App, texts};

#[tokio::test]
async fn bans_and_lifts() {
    let app = App::new().await;
    for target in ["192.0.2.1", "2001:db8::/64", "key:team-core"] {
        let body = json!({ "target": target, "duration_secs": 600, "reason": "<b>scan</b>" });
        let answer = app.post("/admin/v1/bans", body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        let ban = answer.json();
        assert_eq!(
            (&ban["target"], &ban["reason"]),
            (&json!(target), &json!("<b>scan</b>"))
        );
        assert!(ban["until"].is_string());
    }
    let list = app.get("/admin/v1/bans").await;
    assert_eq!(
        texts(&list, "target"),
        ["key:team-core", "2001:db8::/64", "192.0.2.1"]
    );
    assert_eq!(texts(&list, "kind"), ["key", "network", "network"]);
    let found = app.get("/admin/v1/bans?search=2001:DB8").await;
    assert_eq!(texts(&found, "target"), ["2001:db8::/64"]);

    // The target is one segment of the path.
    for path in ["2001:db8::%2F64", "key%3Ateam-core", "192.0.2.1"] {
        let path = format!("/admin/v1/bans/{path}");
        let answer = app.send(Method::DELETE, &path, None).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{path}");
        let answer = app.send(Method::DELETE, &path, None).await;
        answer.assert_error(404, "NOT_FOUND", None);
    }
    assert!(app.detector.bans().is_empty());
}

#[tokio::test]
async fn names_the_invalid_field() {
    let app = App::new().await;
    for (body, param) in [
        (
            json!({ "target": "0.0.0.0/0", "duration_secs": 1, "reason": "a" }),
            "target",
        ),
        (
            json!({ "target": "x", "duration_secs": 1, "reason": "a" }),
            "target",
        ),
        (
            json!({ "target": "192.0.2.1", "duration_secs": 0, "reason": "a" }),
            "duration_secs",
        ),
        (
            json!({ "target": "192.0.2.1", "duration_secs": 1, "reason": "a\n10.0.0.0/8" }),
            "reason",
        ),
        (
            json!({ "target": "192.0.2.1", "duration_secs": 1, "reason": " " }),
            "reason",
        ),
    ] {
        let answer = app.post("/admin/v1/bans", body).await;
        answer.assert_error(400, "VALIDATION_ERROR", Some(param));
    }
    // A permanent ban is explicit.
    let body = json!({ "target": "192.0.2.1", "reason": "a" });
    let answer = app.post("/admin/v1/bans", body).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let body = json!({ "target": "192.0.2.1", "duration_secs": null, "reason": "a" });
    let answer = app.post("/admin/v1/bans", body).await;
    assert_eq!(answer.json()["until"], json!(null));
}

#[tokio::test]
async fn pages_continue_after_the_last_ban() {
    let app = App::new().await;
    for number in 1..=5 {
        let target = format!("192.0.2.{number}").parse().unwrap();
        app.detector.ban(target, None, "a");
    }
    let mut seen = Vec::new();
    let mut path = "/admin/v1/bans?limit=2".to_owned();
    loop {
        let page = app.get(&path).await;
        seen.extend(texts(&page, "target").into_iter().map(str::to_owned));
        // Newer bans are before the position.
        let other = format!("198.51.100.{}", seen.len()).parse().unwrap();
        app.detector.ban(other, None, "b");
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/admin/v1/bans?limit=2&cursor={cursor}");
    }
    let expected: Vec<_> = (1..=5)
        .rev()
        .map(|number| format!("192.0.2.{number}"))
        .collect();
    assert_eq!(seen, expected);
}
