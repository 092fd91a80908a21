//! Audit records: search and export.

use std::time::Duration;

use http::{
    Method,
    header::{CACHE_CONTROL, CONTENT_DISPOSITION},
};
use serde_json::json;

use super::support::{App, texts};
use crate::{Permission, Permissions, records::write_lines, time};

/// A line at a number of seconds ago.
fn line(ago: i64, fields: &str) -> String {
    let at = time::rfc3339(time::now() - ago * 1_000);
    format!(
        r#"{{"timestamp":"{at}","level":"info","message":"request completed","seq":{ago},{fields}}}"#
    )
}

async fn fill(app: &App) {
    let lines = [
        line(
            60,
            r#""request_id":"r1","method":"POST","path":"/v1/chat","ip":"192.0.2.1","user":"a","status":200,"model":"qwen","user_agent":"<img src=x onerror=alert(1)>""#,
        ),
        line(
            50,
            r#""request_id":"r2","path":"/v1/chat","ip":"192.0.2.1","user":"b","status":401,"guard":"key_auth","code":"INVALID_KEY","reason":"revoked","user_agent":"=cmd|calc""#,
        ),
        line(
            40,
            r#""request_id":"r3","path":"/v1/models","ip":"192.0.2.2","user":"a","status":404"#,
        ),
        line(
            30,
            r#""event":"key_changed","user":"admin","subject":"a","detail":"100% of 7_0""#,
        ),
        line(
            20,
            r#""event":"banned","subject":"192.0.2.1","detail":"scan""#,
        ),
    ];
    write_lines(app.admin.state(), &lines).await;
}

#[tokio::test]
async fn finds_records() {
    finds_records_of(&App::new().await).await;
}

pub(super) async fn finds_records_of(app: &App) {
    fill(app).await;
    let now = time::now();
    let from = time::rfc3339(now - 45_000);
    for (query, expected) in [
        ("user=a", vec!["r3", "r1"]),
        ("ip=192.0.2.1", vec!["r2", "r1"]),
        ("ip=192.0.2.1&status=200", vec!["r1"]),
        ("status=4xx", vec!["r3", "r2"]),
        ("kind=requests", vec!["r3", "r2", "r1"]),
        ("kind=refusals", vec!["r2"]),
        ("guard=key_auth", vec!["r2"]),
        ("code=INVALID_KEY", vec!["r2"]),
        ("model=qwen", vec!["r1"]),
        ("path=/v1/models", vec!["r3"]),
        ("request_id=r2", vec!["r2"]),
        ("search=ONERROR", vec!["r1"]),
        ("search=%25", vec![]),
        (&format!("kind=requests&from={from}"), vec!["r3"]),
        (&format!("kind=requests&to={from}"), vec!["r2", "r1"]),
    ] {
        let list = app.get(&format!("/admin/v1/audit?{query}")).await;
        let events = list["data"].as_array().unwrap().iter();
        let ids: Vec<_> = events
            .filter_map(|record| record["request_id"].as_str())
            .collect();
        assert_eq!(ids, expected, "{query}");
    }
    for (query, details) in [
        ("kind=events&user=admin", vec!["100% of 7_0"]),
        ("event=key_changed", vec!["100% of 7_0"]),
        ("search=100%25", vec!["100% of 7_0"]),
        ("search=7_0", vec!["100% of 7_0"]),
        ("search=7x0", vec![]),
        ("subject=192.0.2.1", vec!["scan"]),
    ] {
        let list = app.get(&format!("/admin/v1/audit?{query}")).await;
        assert_eq!(texts(&list, "detail"), details, "{query}");
    }
    let history = app.get("/admin/v1/bans/192.0.2.1/history").await;
    assert_eq!(texts(&history, "event"), ["banned"]);
    for (query, param) in [
        ("status=x", "status"),
        ("from=now", "from"),
        ("kind=x", "kind"),
        ("user=%00", "user"),
    ] {
        let path = format!("/admin/v1/audit?{query}");
        let answer = app.send(Method::GET, &path, None).await;
        answer.assert_error(400, "VALIDATION_ERROR", Some(param));
    }
}

#[tokio::test]
async fn pages_are_stable_while_records_are_added() {
    let app = App::new().await;
    fill(&app).await;
    let mut seen = Vec::new();
    let mut path = "/admin/v1/audit?limit=2&kind=requests".to_owned();
    loop {
        let page = app.get(&path).await;
        seen.extend(texts(&page, "request_id").into_iter().map(str::to_owned));
        let newer = line(1, r#""request_id":"new","status":200"#);
        write_lines(app.admin.state(), &[newer]).await;
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/admin/v1/audit?limit=2&kind=requests&cursor={cursor}");
    }
    assert_eq!(seen, ["r3", "r2", "r1"]);
}

#[tokio::test]
async fn a_search_for_something_rare_continues_on_the_next_page() {
    continues_a_search_of(&App::new().await).await;
}

pub(super) async fn continues_a_search_of(app: &App) {
    let lines: Vec<_> = (0..25_000)
        .map(|number| match number {
            0 => line(0, r#""request_id":"rare","user_agent":"needle""#),
            _ => line(0, r#""request_id":"other","user_agent":"hay""#),
        })
        .collect();
    write_lines(app.admin.state(), &lines).await;
    let mut found = Vec::new();
    let mut path = "/admin/v1/audit?search=needle".to_owned();
    loop {
        let page = app.get(&path).await;
        found.extend(texts(&page, "request_id").into_iter().map(str::to_owned));
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/admin/v1/audit?search=needle&cursor={cursor}");
    }
    assert_eq!(found, ["rare"]);
}

// M09
#[tokio::test]
async fn exports_neutralised_csv_and_records_it() {
    let app = App::new().await;
    fill(&app).await;
    let path = "/admin/v1/audit/export?format=csv&kind=requests";
    let answer = app.send(Method::GET, path, None).await;
    assert_eq!(answer.headers[CACHE_CONTROL], "no-store");
    assert!(
        answer.headers[CONTENT_DISPOSITION]
            .to_str()
            .unwrap()
            .contains("audit.csv")
    );
    let lines: Vec<_> = answer.text.split("\r\n").collect();
    assert_eq!(lines.len(), 3 + 2, "{}", answer.text);
    assert!(lines[0].starts_with("position,timestamp,"));
    assert!(lines[2].ends_with(",'=cmd|calc"), "{}", lines[2]);

    let path = "/admin/v1/audit/export?format=jsonl&user=a";
    let answer = app.send(Method::GET, path, None).await;
    let ids: Vec<_> = answer
        .text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["request_id"].clone())
        .collect();
    assert_eq!(ids, [json!("r3"), json!("r1")]);

    app.audit.flush(Duration::from_secs(10)).unwrap();
    let events = app.get("/admin/v1/audit?event=exported").await;
    assert_eq!(texts(&events, "user"), ["admin", "admin"]);
    assert_eq!(texts(&events, "detail"), ["jsonl", "csv"]);

    let viewer: Permissions = [Permission::UsageRead].into_iter().collect();
    let answer = app.send_as("viewer", viewer, Method::GET, path, None).await;
    answer.assert_error(403, "PERMISSION_DENIED", None);
}

#[tokio::test]
async fn a_change_is_recorded_once_with_its_user() {
    let app = App::new().await;
    app.post(
        "/admin/v1/keys",
        json!({ "id": "a", "scopes": ["chat:write"] }),
    )
    .await;
    app.post("/admin/v1/keys/a/revoke", json!({ "reason": "leaked" }))
        .await;
    let ban = json!({ "target": "192.0.2.0/24", "duration_secs": 60, "reason": "scan" });
    app.post("/admin/v1/bans", ban).await;
    app.send(Method::DELETE, "/admin/v1/bans/192.0.2.0%2F24", None)
        .await;
    app.audit.flush(Duration::from_secs(10)).unwrap();
    let list = app.get("/admin/v1/audit?kind=events&user=admin").await;
    assert_eq!(
        texts(&list, "detail"),
        [
            "lifted",
            "banned: 60s, scan",
            "revoked: leaked",
            "created: scopes \"chat:write\""
        ]
    );
    let history = app.get("/admin/v1/bans/192.0.2.0%2F24/history").await;
    assert_eq!(texts(&history, "event"), ["ban_changed", "ban_changed"]);
}
