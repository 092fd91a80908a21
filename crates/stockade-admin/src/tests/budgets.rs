//! Budgets, over the API and in front of a service.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header::ETAG};
use http_body_util::Full;
use serde_json::json;
use stockade_core::{
    context::RequestContext,
    guard::Guard as _,
    identity::Principal,
    llm::{ModelRequest, TokenUsage},
};
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::support::{App, database};
use crate::{
    AdminConfig, AdminStore, Permissions, PriceConfig,
    budget::{Budget, BudgetKind, BudgetPeriod, BudgetUnit},
    time,
};

pub(super) async fn store(url: &str) -> AdminStore {
    let price = PriceConfig {
        prompt_per_million: 1.0,
        completion_per_million: 2.0,
    };
    let config = AdminConfig {
        database: url.into(),
        prices: [("small".to_owned(), price)].into(),
        revoke_tokens: true,
        ..AdminConfig::default()
    };
    AdminStore::open(config).await.unwrap()
}

pub(super) fn budget(
    id: &str,
    kind: BudgetKind,
    subject: &str,
    unit: BudgetUnit,
    limit: i64,
) -> Budget {
    Budget {
        id: id.to_owned(),
        kind,
        subject: subject.to_owned(),
        model: None,
        unit,
        limit,
        period: Some(BudgetPeriod::Month),
        created: time::now(),
    }
}

pub(super) async fn create(store: &AdminStore, budget: &Budget) {
    let mut connection = store.database().pool().acquire().await.unwrap();
    let budgets = store.budgets();
    budgets.insert(budget, &mut connection).await.unwrap();
    budgets.exchange().await.unwrap();
}

/// What the service behind the guard does.
#[derive(Clone, Copy)]
pub(super) enum Service {
    Uses(u64, u64),
    Fails,
    /// Answers without a report of its usage.
    Silent,
}

/// Sends a chat of 100 prompt tokens and up to 400 completion tokens.
pub(super) async fn chat(store: &AdminStore, key: &str, service: Service) -> Response<Bytes> {
    let service = store.budget_guard().into_layer().layer(service_fn(
        move |request: Request<()>| async move {
            let context = RequestContext::of(request.extensions()).unwrap();
            let mut response = Response::new(Full::<Bytes>::from("an answer"));
            match service {
                Service::Uses(prompt_tokens, completion_tokens) => context.set_usage(TokenUsage {
                    prompt_tokens,
                    completion_tokens,
                }),
                Service::Fails => *response.status_mut() = StatusCode::BAD_GATEWAY,
                Service::Silent => {}
            }
            Ok::<_, Infallible>(response)
        },
    ));
    let principal = Principal::builder(key)
        .attribute("team", "red")
        .attribute("owner", "ann");
    let context = RequestContext::builder()
        .principal(principal.build())
        .model_request(ModelRequest::new(Some("small".into()), 100, Some(400)))
        .build();
    let request = Request::builder().extension(context).body(()).unwrap();
    let (parts, body) = service.oneshot(request).await.unwrap().into_parts();
    let body = http_body_util::BodyExt::collect(body).await.unwrap();
    Response::from_parts(parts, body.to_bytes())
}

pub(super) fn spent(store: &AdminStore, id: &str) -> i64 {
    store.budgets().get(id).unwrap().spent
}

#[tokio::test]
async fn keys_of_a_team_share_its_budget() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&database(&folder).await).await;
    let team = budget("bud_team", BudgetKind::Team, "red", BudgetUnit::Tokens, 700);
    create(&store, &team).await;
    assert_eq!(
        chat(&store, "a", Service::Uses(100, 50)).await.status(),
        200
    );
    assert_eq!(
        chat(&store, "b", Service::Uses(100, 51)).await.status(),
        200
    );
    assert_eq!(spent(&store, "bud_team"), 301);
    // 500 may be used, and 399 are left.
    let refused = chat(&store, "a", Service::Uses(1, 1)).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.headers().contains_key("retry-after"));
    let error: serde_json::Value = serde_json::from_slice(refused.body()).unwrap();
    assert_eq!(error["error"]["code"], "BUDGET_EXCEEDED");
    let message = error["error"]["message"].as_str().unwrap();
    assert!(message.contains("the team red"), "{message}");
    assert_eq!(store.budgets().get("bud_team").unwrap().reserved, 0);
}

#[tokio::test]
async fn a_refusal_by_one_budget_uses_none() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&database(&folder).await).await;
    let key = budget("bud_key", BudgetKind::Key, "a", BudgetUnit::Requests, 10);
    let all = budget("bud_all", BudgetKind::All, "", BudgetUnit::Tokens, 10);
    for budget in [&key, &all] {
        create(&store, budget).await;
    }
    assert_eq!(chat(&store, "a", Service::Uses(1, 1)).await.status(), 429);
    for id in ["bud_key", "bud_all"] {
        let status = store.budgets().get(id).unwrap();
        assert_eq!((status.spent, status.reserved), (0, 0), "{id}");
    }
}

#[tokio::test]
async fn money_is_charged_by_the_reported_usage() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&database(&folder).await).await;
    let money = budget("bud_m", BudgetKind::Owner, "ann", BudgetUnit::Money, 10_000);
    create(&store, &money).await;
    for (service, status, expected) in [
        (Service::Uses(100, 10), 200, 120),
        (Service::Fails, 502, 120),
        // The model may have worked, so the reservation is charged: 100 + 2 · 400.
        (Service::Silent, 200, 1_020),
    ] {
        assert_eq!(chat(&store, "a", service).await.status(), status);
        assert_eq!(spent(&store, "bud_m"), expected);
    }
}

#[tokio::test]
async fn prepaid_amounts_are_topped_up_and_do_not_reset() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&database(&folder).await).await;
    let prepaid = Budget {
        period: None,
        ..budget("bud_p", BudgetKind::Key, "a", BudgetUnit::Requests, 1)
    };
    create(&store, &prepaid).await;
    assert_eq!(chat(&store, "a", Service::Uses(1, 1)).await.status(), 200);
    let refused = chat(&store, "a", Service::Uses(1, 1)).await;
    assert_eq!(refused.status(), 429);
    assert!(
        !refused.headers().contains_key("retry-after"),
        "it never resets"
    );
    let mut connection = store.database().pool().acquire().await.unwrap();
    let limit = store.budgets().top_up("bud_p", 1, &mut connection).await;
    assert_eq!(limit.unwrap(), Some(2));
    store.budgets().exchange().await.unwrap();
    assert_eq!(chat(&store, "a", Service::Uses(1, 1)).await.status(), 200);
    assert_eq!(
        chat(&store, "other", Service::Uses(1, 1)).await.status(),
        200
    );
}

#[tokio::test]
async fn other_processes_see_what_was_used() {
    let folder = tempfile::tempdir().unwrap();
    let url = database(&folder).await;
    let first = store(&url).await;
    let second = store(&url).await;
    let shared = budget("bud_s", BudgetKind::Key, "a", BudgetUnit::Tokens, 1_000);
    create(&first, &shared).await;
    second.budgets().exchange().await.unwrap();
    for store in [&first, &second] {
        assert_eq!(
            chat(store, "a", Service::Uses(200, 100)).await.status(),
            200
        );
    }
    for store in [&first, &second, &first] {
        store.budgets().exchange().await.unwrap();
    }
    assert_eq!(
        (spent(&first, "bud_s"), spent(&second, "bud_s")),
        (600, 600)
    );
    assert_eq!(chat(&second, "a", Service::Uses(1, 1)).await.status(), 429);
    // A process that starts later knows it, too.
    let third = store(&url).await;
    assert_eq!(spent(&third, "bud_s"), 600);
    assert!(first.budgets().delete("bud_s").await.unwrap());
    second.budgets().exchange().await.unwrap();
    assert_eq!(chat(&second, "a", Service::Uses(1, 1)).await.status(), 200);
}

#[tokio::test]
async fn a_limit_that_another_process_changed_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&database(&folder).await).await;
    let shared = budget("bud_s", BudgetKind::Key, "a", BudgetUnit::Tokens, 1_000);
    create(&store, &shared).await;
    assert!(
        store
            .budgets()
            .set_limit("bud_s", 1_000, 2_000)
            .await
            .unwrap()
    );
    assert!(
        !store
            .budgets()
            .set_limit("bud_s", 1_000, 3_000)
            .await
            .unwrap()
    );
    assert_eq!(store.budgets().get("bud_s").unwrap().budget.limit, 2_000);
}

#[tokio::test]
async fn manages_budgets_over_the_api() {
    let app = App::new().await;
    let body = json!({
        "subject": { "kind": "team", "name": "red" },
        "unit": "money",
        "limit": 25.5,
        "window": "month",
    });
    let created = app.post("/admin/v1/budgets", body).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.text);
    let created = created.json();
    assert_eq!(
        (&created["limit"], &created["spent"]),
        (&json!(25.5), &json!(0.0))
    );
    assert!(created["resets_at"].is_string());
    let path = format!("/admin/v1/budgets/{}", created["id"].as_str().unwrap());
    let more = app
        .post(&format!("{path}/top-up"), json!({ "amount": 0.5 }))
        .await;
    assert_eq!(more.json()["limit"], 26.0);
    let read = app.send(Method::GET, &path, None).await;
    let tag = read.headers[ETAG].to_str().unwrap();
    let limit = json!({ "limit": 3 });
    let unconditional = app.send(Method::PATCH, &path, Some(limit.clone())).await;
    unconditional.assert_error(428, "PRECONDITION_REQUIRED", None);
    let condition = [("if-match", tag)];
    let changed = app
        .send_with(Method::PATCH, &path, &condition, &limit)
        .await;
    assert_eq!(changed.json()["limit"], 3.0, "{}", changed.text);
    assert_ne!(changed.headers[ETAG], tag);
    let stale = app
        .send_with(Method::PATCH, &path, &condition, &limit)
        .await;
    stale.assert_error(412, "PRECONDITION_FAILED", None);
    assert_eq!(app.get("/admin/v1/budgets").await["data"][0]["limit"], 3.0);
    let reader: Permissions = "budgets:read".parse().unwrap();
    let refused = app
        .send_as("reader", reader, Method::DELETE, &path, None)
        .await;
    refused.assert_error(403, "PERMISSION_DENIED", None);
    let deleted = app.send(Method::DELETE, &path, None).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    let gone = app.send(Method::GET, &path, None).await;
    gone.assert_error(404, "NOT_FOUND", None);
}

#[tokio::test]
async fn refuses_invalid_budgets() {
    let app = App::new().await;
    let valid = json!({
        "subject": { "kind": "key", "name": "a" },
        "unit": "tokens",
        "limit": 10,
        "window": null,
    });
    for (pointer, value, param) in [
        ("/subject/kind", json!("group"), "subject.kind"),
        ("/subject/kind", json!("all"), "subject.name"),
        ("/subject/name", json!("a\nb"), "subject.name"),
        ("/subject/name", json!(null), "subject.name"),
        ("/unit", json!("euro"), "unit"),
        ("/limit", json!(0), "limit"),
        ("/limit", json!(1.5), "limit"),
        ("/limit", json!(1e300), "limit"),
        ("/window", json!("year"), "window"),
    ] {
        let mut body = valid.clone();
        *body.pointer_mut(pointer).unwrap() = value;
        let answer = app.post("/admin/v1/budgets", body).await;
        answer.assert_error(400, "VALIDATION_ERROR", Some(param));
    }
    assert_eq!(app.get("/admin/v1/budgets").await["data"], json!([]));
}
