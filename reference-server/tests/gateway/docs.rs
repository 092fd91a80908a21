//! The description of the API.

use serde_json::Value;
use stockade_testkit::scripted_upstream::ScriptedUpstream;

use crate::gateway::Gateway;

const PAGES: [&str; 4] = [
    "/openapi.json",
    "/docs/",
    "/docs/swagger-ui.css",
    "/docs/swagger-ui-bundle.js",
];

// S03
#[tokio::test]
async fn are_served_to_everyone_only_if_allowed() {
    let upstream = ScriptedUpstream::http1().await;
    let allowed = Gateway::new(&upstream, "[docs]\nallowed = true\n").await;
    let default = Gateway::new(&upstream, "").await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for page in PAGES {
        let response = client
            .get(format!("http://{}{page}", allowed.address))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200, "{page}");
        let response = client
            .get(format!("http://{}{page}", default.address))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 401, "{page}");
        assert_eq!(
            default.get(page).send().await.unwrap().status(),
            404,
            "{page}"
        );
    }
}

// M10
#[tokio::test]
async fn the_page_loads_nothing_from_other_hosts_and_reads_no_files() {
    let upstream = ScriptedUpstream::http1().await;
    let gateway = Gateway::new(&upstream, "[docs]\nallowed = true\n").await;
    let response = gateway.get("/docs/").send().await.unwrap();
    let policy = response.headers()["content-security-policy"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self'"));
    let page = response.text().await.unwrap();
    assert!(
        !page.contains("http://") && !page.contains("https://") && !page.contains("src=\"//"),
        "{page}"
    );
    for path in [
        "/docs/..%2fCargo.toml",
        "/docs/%2fetc%2fpasswd",
        "/docs/nope.js",
    ] {
        let status = gateway.get(path).send().await.unwrap().status();
        assert!(status.is_client_error(), "{path}: {status}");
    }
}

#[tokio::test]
async fn every_served_path_is_described() {
    let upstream = ScriptedUpstream::http1().await;
    let gateway = Gateway::new(&upstream, "[docs]\nallowed = true\n").await;
    let document: Value = gateway
        .get("/openapi.json")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let paths = document["paths"].as_object().unwrap();
    for path in [
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/messages",
        "/v1/messages/count_tokens",
        "/v1/models/{id}",
        "/v1/responses",
        "/v1/rerank",
        "/tokenize",
        "/v1/models",
        "/version",
        "/health/live",
        "/health/ready",
    ] {
        assert!(paths.contains_key(path), "{path}");
    }
}
