//! Keys made by the command, on a server with a fence.

use std::{
    future::{Future, poll_fn},
    net::SocketAddr,
    task::Poll,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{ConnectInfo, Request},
    routing::post,
};
use http::{Method, StatusCode, request};
use serde_json::{Value, json};
use stockade::{Config, Environment, Fence, Format};
use stockade_core::context::RequestContext;
use stockade_key_auth::ClientCertificate;
use tower::ServiceExt;

use crate::sandbox::Sandbox;

const PEPPER: &str = "auth.pepper_file = \"pepper\"";
const REST: &str = r#"
auth.keys_file = "keys.yaml"
rate_limit.by_key = ["1000/minute"]
token_budget.by_key = ["1000000/minute"]
concurrency.per_key = 100
[[routes]]
path = "/chat"
methods = "POST"
access = "chat:write"
body = "openai-chat"
[[routes]]
path = "/stuck"
methods = "POST"
access = "chat:write"
"#;
const OFFICE: &str = "10.1.2.3:50000";

/// A server with the keys of a sandbox.
struct Server {
    router: Router,
    /// Follows the key file.
    _fence: Fence,
}

impl Server {
    async fn new(sandbox: &Sandbox, first: &str) -> Self {
        let mut config = Config::parse(
            &format!("{first}\n{REST}"),
            Format::Toml,
            &Environment::default(),
        )
        .unwrap();
        config.resolve_paths(sandbox.path("keys.yaml").parent().unwrap());
        let fence = Fence::from_config(&config).await.unwrap();
        let router = Router::new()
            .route("/chat", post(who))
            .route("/stuck", post(std::future::pending::<()>))
            .layer(fence.layer());
        Self {
            router,
            _fence: fence,
        }
    }

    fn ask(
        &self,
        path: &str,
        peer: &str,
        key: &str,
    ) -> impl Future<Output = (StatusCode, Value)> + use<> {
        let request = Request::builder().header("authorization", format!("Bearer {key}"));
        self.send(path, peer, request)
    }

    /// Sends a chat with the credential of a request.
    fn send(
        &self,
        path: &str,
        peer: &str,
        request: request::Builder,
    ) -> impl Future<Output = (StatusCode, Value)> + use<> {
        let chat = json!({
            "model": "m", "max_tokens": 500,
            "messages": [{"role": "user", "content": "hello"}],
        });
        let request = request
            .method(Method::POST)
            .uri(path)
            .header("content-type", "application/json")
            .extension(ConnectInfo(peer.parse::<SocketAddr>().unwrap()))
            .body(Body::from(chat.to_string()))
            .unwrap();
        let router = self.router.clone();
        async move {
            let response = router.oneshot(request).await.unwrap();
            let status = response.status();
            let body = to_bytes(response.into_body(), 65_536).await.unwrap();
            (status, serde_json::from_slice(&body).unwrap_or_default())
        }
    }

    async fn chat(&self, key: &str) -> (StatusCode, Value) {
        self.ask("/chat", OFFICE, key).await
    }

    async fn status(&self, key: &str) -> u16 {
        self.chat(key).await.0.as_u16()
    }

    /// Repeats the request until the response has this status.
    async fn wait_for_status(&self, key: &str, status: u16) {
        let start = Instant::now();
        while self.status(key).await != status {
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "the status does not become {status}"
            );
            tokio::task::yield_now().await;
        }
    }
}

/// The properties of the principal that a handler sees.
async fn who(request: Request) -> String {
    let principal = RequestContext::of(request.extensions())
        .and_then(RequestContext::principal)
        .unwrap();
    json!({
        "id": principal.id(),
        "owner": principal.attribute("owner"),
        "name": principal.attribute("name"),
        "m": principal.may_use_model("m"),
        "other": principal.may_use_model("other"),
        "weight": principal.quotas().weight,
    })
    .to_string()
}

/// The names of a command's options and arguments.
fn options(command: &str) -> Vec<String> {
    let cli = stockade_cli::command();
    let keys = cli.find_subcommand("keys").unwrap();
    let command = keys.find_subcommand(command).unwrap();
    command
        .get_arguments()
        .map(|argument| argument.get_id().to_string())
        .collect()
}

// FP06: takes the options from clap, so that a new option fails without a test.
#[tokio::test]
async fn a_server_supports_every_option_of_keys_new() {
    for option in options("new") {
        let sandbox = Sandbox::new();
        sandbox.write("pepper", "p".repeat(32) + "\n");
        let make = |flags: &str| sandbox.key("probe", &format!("--scope chat:write {flags}"));
        let serve = || Server::new(&sandbox, PEPPER);
        match option.as_str() {
            "id" => {
                let key = make("");
                assert_eq!(serve().await.chat(&key).await.1["id"], "probe");
            }
            "owner" | "name" => {
                let key = make(&format!("--{option} ops"));
                assert_eq!(serve().await.chat(&key).await.1[&option], "ops");
            }
            "scopes" => {
                let key = make("--scope other");
                let none = sandbox.key("none", "--scope other");
                let server = serve().await;
                assert_eq!(server.status(&key).await, 200);
                assert_eq!(server.status(&none).await, 403);
            }
            "expires" => {
                let (soon, late) = (make("--expires 2s"), sandbox.key("b", "--scope chat:write"));
                let server = serve().await;
                server.wait_for_status(&soon, 401).await;
                assert_eq!(server.status(&late).await, 200);
            }
            "models" => {
                let key = make("--model m");
                let seen = serve().await.chat(&key).await.1;
                assert_eq!((&seen["m"], &seen["other"]), (&json!(true), &json!(false)));
            }
            "networks" => {
                let key = make("--network 10.0.0.0/8");
                let server = serve().await;
                assert_eq!(server.status(&key).await, 200);
                let (outside, _) = server.ask("/chat", "192.0.2.1:50000", &key).await;
                assert!(outside.is_client_error(), "{outside}");
            }
            "metadata" => {
                let key = make("--metadata team=core");
                assert_eq!(serve().await.status(&key).await, 200);
                let shown = sandbox.run_ok("keys show probe --json").json();
                assert_eq!(shown["metadata"]["team"], "core");
            }
            "requests_per_minute" | "requests_per_hour" | "requests_per_day" => {
                let key = make(&format!("--{} 1", option.replace('_', "-")));
                let server = serve().await;
                assert_eq!(server.status(&key).await, 200);
                assert_eq!(server.status(&key).await, 429, "{option}");
            }
            "tokens_per_minute" => {
                let (few, many) = (
                    make("--tokens-per-minute 100"),
                    sandbox.key("many", "--scope chat:write --tokens-per-minute 10000"),
                );
                let server = serve().await;
                assert_eq!(server.status(&many).await, 200);
                let (status, _) = server.chat(&few).await;
                assert!(status.is_client_error(), "{status}");
            }
            "concurrency" => {
                let key = make("--concurrency 1");
                let server = serve().await;
                let mut first = Box::pin(server.ask("/stuck", OFFICE, &key));
                poll_fn(|context| Poll::Ready(first.as_mut().poll(context).is_ready())).await;
                assert_eq!(server.status(&key).await, 429);
                drop(first);
                server.wait_for_status(&key, 200).await;
            }
            "weight" => {
                let key = make("--weight 2");
                let seen = serve().await.chat(&key).await.1;
                assert_eq!(seen["weight"], 2);
            }
            "prefix" => {
                let key = make("--prefix ctx");
                assert!(key.starts_with("ctx_probe_"));
                assert_eq!(serve().await.status(&key).await, 200);
            }
            "pepper_file" => {
                let key = make("--pepper-file pepper");
                assert_eq!(serve().await.status(&key).await, 200);
                let without = Server::new(&sandbox, "").await;
                assert_eq!(without.status(&key).await, 401);
            }
            "certificate" => {
                let flags = "--certificate spiffe://example.org/agent --scope chat:write";
                sandbox.run_ok(&format!("keys new --id probe {flags}"));
                let server = serve().await;
                let with = |id: &str| {
                    let certificate = ClientCertificate::verified(id.parse().unwrap());
                    server.send("/chat", OFFICE, Request::builder().extension(certificate))
                };
                let (status, seen) = with("spiffe://example.org/agent").await;
                assert_eq!((status.as_u16(), &seen["id"]), (200, &json!("probe")));
                assert_eq!(with("spiffe://example.org/other").await.0, 401);
            }
            "json" => {
                let output = sandbox.run_ok("keys new --id plain --scope chat:write");
                let mut words = output.stdout.split_whitespace();
                let key = words.find(|word| word.starts_with("sk_plain_")).unwrap();
                let server = serve().await;
                assert_eq!(server.status(key).await, 200);
            }
            other => {
                panic!("keys new has the option {other}; add a test that a server supports it")
            }
        }
    }
}

// FP06
#[tokio::test]
async fn a_server_supports_every_option_of_keys_rotate() {
    for option in options("rotate") {
        let sandbox = Sandbox::new();
        sandbox.write("pepper", "p".repeat(32) + "\n");
        let old = sandbox.key("probe", "--scope chat:write");
        let server = Server::new(&sandbox, PEPPER).await;
        let rotate = |flags: &str| {
            let output = sandbox.run_ok(&format!("keys rotate probe --json {flags}"));
            output.json()["key"].as_str().unwrap().to_owned()
        };
        match option.as_str() {
            "id" | "json" => {
                let new = rotate("");
                server.wait_for_status(&new, 200).await;
                assert_eq!(server.status(&old).await, 200);
            }
            "grace" => {
                let new = rotate("--grace 0");
                server.wait_for_status(&new, 200).await;
                assert_eq!(server.status(&old).await, 401);
            }
            "again" => {
                rotate("");
                let new = rotate("--again");
                server.wait_for_status(&new, 200).await;
                assert_eq!(server.status(&old).await, 401);
            }
            "expires" => {
                // The grace period ends when the key expires.
                let new = rotate("--expires 3s");
                server.wait_for_status(&old, 401).await;
                server.wait_for_status(&new, 401).await;
            }
            "prefix" => {
                let new = rotate("--prefix ctx");
                server.wait_for_status(&new, 200).await;
            }
            "pepper_file" => {
                let new = rotate("--pepper-file pepper");
                server.wait_for_status(&new, 200).await;
                assert_eq!(server.status(&old).await, 200);
            }
            other => {
                panic!("keys rotate has the option {other}; add a test that a server supports it")
            }
        }
    }
}
