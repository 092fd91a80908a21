//! Usage and live figures.

use axum::extract::Request;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{keys::create, support::App};
use crate::{records::write_lines, time};

fn line(at: &str, fields: &str) -> String {
    format!(r#"{{"timestamp":"{at}","level":"info","message":"m","seq":1,{fields}}}"#)
}

async fn fill(app: &App) {
    let served = r#""status":200,"model":"priced","latency_ms":40,"prompt_tokens":1000,"completion_tokens":500"#;
    let mut lines = Vec::new();
    for day in ["2026-01-30", "2026-01-31", "2026-02-01"] {
        for hour in ["00", "23"] {
            let at = format!("{day}T{hour}:30:00Z");
            lines.push(line(&at, &format!(r#""user":"a",{served}"#)));
            lines.push(line(
                &at,
                r#""user":"b","status":200,"model":"free","latency_ms":900"#,
            ));
            lines.push(line(
                &at,
                r#""user":"b","status":502,"model":"free","latency_ms":3"#,
            ));
            lines.push(line(
                &at,
                r#""status":401,"guard":"key_auth","code":"MISSING_KEY""#,
            ));
        }
    }
    write_lines(app.admin.state(), &lines).await;
}

fn rows(list: &Value) -> Vec<[Value; 4]> {
    let rows = list["data"].as_array().unwrap().iter();
    rows.map(|row| ["key", "model", "time", "requests"].map(|field| row[field].clone()))
        .collect()
}

const RANGE: &str = "from=2026-01-01T00:00:00Z&to=2026-03-01T00:00:00Z";

#[tokio::test]
async fn sums_by_key_model_and_period() {
    sums_usage_of(&App::new().await).await;
}

pub(super) async fn sums_usage_of(app: &App) {
    fill(app).await;
    let null = Value::Null;
    let total = app.get(&format!("/admin/v1/usage?{RANGE}")).await;
    let row = &total["data"][0];
    assert_eq!(
        (&row["requests"], &row["errors"], &row["refused"]),
        (&json!(24), &json!(6), &json!(6))
    );
    assert_eq!(
        (&row["prompt_tokens"], &row["completion_tokens"]),
        (&json!(6_000), &json!(3_000))
    );
    // 6,000 × 1 + 3,000 × 2 millionths.
    assert_eq!(row["cost"], json!(0.012));
    let median = row["latency_p50_ms"].as_f64().unwrap();
    assert!((25.0..=50.0).contains(&median), "{median}");

    let keys = app
        .get(&format!("/admin/v1/usage?{RANGE}&group_by=key"))
        .await;
    assert_eq!(
        rows(&keys),
        [
            [null.clone(), null.clone(), null.clone(), json!(6)],
            [json!("a"), null.clone(), null.clone(), json!(6)],
            [json!("b"), null.clone(), null.clone(), json!(12)],
        ]
    );
    let months = app
        .get(&format!(
            "/admin/v1/usage?{RANGE}&by=month&key=b&model=free"
        ))
        .await;
    assert_eq!(
        rows(&months),
        [
            [
                json!("b"),
                json!("free"),
                json!("2026-01-01T00:00:00Z"),
                json!(8)
            ],
            [
                json!("b"),
                json!("free"),
                json!("2026-02-01T00:00:00Z"),
                json!(4)
            ],
        ]
    );
    assert_eq!(months["data"][0]["cost"], null);
    let hours = "from=2026-01-31T23:00:00Z&to=2026-02-01T01:00:00Z&by=hour";
    let hours = app.get(&format!("/admin/v1/keys/a/usage?{hours}")).await;
    assert_eq!(
        rows(&hours),
        [
            [
                json!("a"),
                null.clone(),
                json!("2026-01-31T23:00:00Z"),
                json!(1)
            ],
            [
                json!("a"),
                null.clone(),
                json!("2026-02-01T00:00:00Z"),
                json!(1)
            ],
        ]
    );
    let none = app
        .get("/admin/v1/usage?from=2020-01-01T00:00:00Z&to=2020-02-01T00:00:00Z")
        .await;
    assert_eq!(none, json!({ "data": [], "next_cursor": null }));
}

#[tokio::test]
async fn pages_continue_in_every_group() {
    let app = App::new().await;
    fill(&app).await;
    pages_usage_of(&app).await;
}

pub(super) async fn pages_usage_of(app: &App) {
    for (query, count) in [
        ("group_by=key", 3),
        ("group_by=model", 3),
        ("group_by=key_model", 3),
        ("group_by=key_model&by=day", 9),
        ("by=hour", 6),
        ("group_by=key&model=free&by=month", 2),
    ] {
        let whole = app.get(&format!("/admin/v1/usage?{RANGE}&{query}")).await;
        assert_eq!(rows(&whole).len(), count, "{query}");
        let mut paged = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/admin/v1/usage?{RANGE}&{query}&limit=1{cursor}");
            let page = app.get(&path).await;
            paged.extend(rows(&page));
            let Some(next) = page["next_cursor"].as_str() else {
                break;
            };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(paged, rows(&whole), "{query}");
    }
    for (query, param) in [
        ("group_by=user", "group_by"),
        ("by=week", "by"),
        ("from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z", "from"),
        ("cursor=AAAA", "cursor"),
        ("limit=501", "limit"),
    ] {
        let answer = app
            .send(Method::GET, &format!("/admin/v1/usage?{query}"), None)
            .await;
        answer.assert_error(400, "VALIDATION_ERROR", Some(param));
    }
}

#[tokio::test]
async fn shows_the_last_minutes() {
    let app = App::new().await;
    let at = time::rfc3339(time::now() - 5_000);
    let lines = [
        line(&at, r#""status":200,"latency_ms":40,"prompt_tokens":10"#),
        line(
            &at,
            r#""status":429,"guard":"rate_limit","code":"RATE_LIMITED""#,
        ),
    ];
    write_lines(app.admin.state(), &lines).await;
    let overview = app.get("/admin/v1/overview").await;
    let seconds = overview["per_second"].as_array().unwrap();
    assert_eq!(
        (seconds.len(), &overview["window_secs"]),
        (300, &json!(300))
    );
    let sum = |field: &str| {
        seconds
            .iter()
            .filter_map(|second| second[field].as_u64())
            .sum::<u64>()
    };
    assert_eq!((sum("requests"), sum("refused"), sum("tokens")), (2, 1, 10));
    assert_eq!(overview["refusals"], json!({ "RATE_LIMITED": 1 }));
    assert!(overview["latency_p50_ms"].is_number());
    assert_eq!(
        (&overview["keys"], &overview["bans"]),
        (&json!(0), &json!(0))
    );
}

#[tokio::test]
async fn streams_figures() {
    use futures_util::StreamExt as _;

    let app = App::new().await;
    let request = Request::get("/admin/v1/live").body(axum::body::Body::empty());
    let response = app.respond(request.unwrap()).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["cache-control"], "no-cache");
    let mut body = response.into_body().into_data_stream();
    let first = body.next().await.unwrap().unwrap();
    let text = String::from_utf8(first.to_vec()).unwrap();
    let data = text.strip_prefix("event: figures\ndata: ").unwrap();
    let data: Value = serde_json::from_str(data).unwrap();
    assert_eq!(
        (&data["requests"], &data["models"]),
        (&json!(0), &json!([]))
    );
    assert!(data["t"].is_string());
}

#[tokio::test]
async fn keys_show_the_last_use() {
    let app = App::new().await;
    for id in ["a", "b", "c"] {
        create(&app, id).await;
    }
    fill(&app).await;
    // An administrator with the name of a key does not use it.
    let change = r#""user":"c","event":"key_changed","subject":"a""#;
    let change = line("2026-02-03T00:00:00Z", change);
    write_lines(app.admin.state(), &[change]).await;
    let list = app.get("/admin/v1/keys").await;
    let uses = |list: &Value| -> Vec<_> {
        let keys = list["data"].as_array().unwrap().iter();
        keys.map(|key| key["last_used_at"].clone()).collect()
    };
    let last = json!("2026-02-01T23:30:00Z");
    assert_eq!(uses(&list), [last.clone(), last.clone(), Value::Null]);
    assert_eq!(app.get("/admin/v1/keys/b").await["last_used_at"], last);

    // The records are removed before the usage.
    let database = app.admin.state().database();
    sqlx::query("DELETE FROM stockade_admin_records")
        .execute(database.pool())
        .await
        .unwrap();
    let day = json!("2026-02-01T00:00:00Z");
    let list = app.get("/admin/v1/keys").await;
    assert_eq!(uses(&list), [day.clone(), day, Value::Null]);
}
