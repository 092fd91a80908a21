//! Limits, bans, and the whole fence.

use std::{fs, mem, net::SocketAddr};

use axum::extract::ConnectInfo;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use stockade::{Config, Fence, Format};
use stockade_abuse::{AbuseGuard, AbusePolicy, Detector};
use stockade_core::{ContextGuard, Guard, GuardLayer, PeerAddr};
use stockade_key_auth::{GeneratedKey, KeyRecord, to_yaml};
use stockade_rate_limit::{By, Limit, Limits, Quota, RateLimit};
use tower::Layer;

use crate::{
    Stack,
    stack::exchange,
    stacks::{request, router},
};

/// A limit by address with one quota and its headers, behind a context.
pub const RATE_LIMIT: &str = "Router + context + rate limit";
/// The same limit, reached.
pub const RATE_LIMIT_REFUSED: &str = "Router + context + rate limit, 429";
/// Bans and offences, for a client that never offended.
pub const ABUSE: &str = "Router + context + abuse";
/// All of it, from a configuration: a key, two limits, bans, scopes, a small chat judged as
/// JSON, requests at once, and a record in a file.
pub const FENCE: &str = "Router + whole fence";
/// All of it, with the records chained.
pub const FENCE_CHAINED: &str = "Router + whole fence, chained records";
/// All of it, and a bad key.
pub const FENCE_REFUSED: &str = "Router + whole fence, 401";

const CHAT: &str = r#"{"model":"m","messages":[{"role":"user","content":"Hello"}]}"#;

type Send = Request<Full<Bytes>>;

/// The stacks; `good` is a request with a key of no fence here.
pub(crate) fn fences(good: impl Fn() -> Send + Clone + 'static) -> Vec<Stack> {
    let ok = StatusCode::OK;
    let limited = |count| {
        let limit = Limit::new("ip", By::client_ip()).quota(Quota::per_day(count));
        RateLimit::new(Limits::new([limit]).expect("one limit")).into_layer()
    };
    let reached = limited(1);
    exchange(context().layer(reached.layer(router())), good());
    let detector = Detector::new(AbusePolicy::new());
    let plain = WholeFence::new("");
    let chained = WholeFence::new("key_file = \"audit.key\"\n");
    vec![
        Stack::service(
            RATE_LIMIT,
            context().layer(limited(100_000_000).layer(router())),
            good.clone(),
            ok,
        ),
        Stack::service(
            RATE_LIMIT_REFUSED,
            context().layer(reached.layer(router())),
            good.clone(),
            StatusCode::TOO_MANY_REQUESTS,
        ),
        Stack::service(
            ABUSE,
            context().layer(AbuseGuard::new(detector).into_layer().layer(router())),
            good,
            ok,
        ),
        Stack::service(FENCE, plain.around(), plain.chat(), ok),
        Stack::service(FENCE_CHAINED, chained.around(), chained.chat(), ok),
        Stack::service(
            FENCE_REFUSED,
            plain.around(),
            || request("sk_stale"),
            StatusCode::UNAUTHORIZED,
        ),
    ]
}

pub(crate) fn context() -> GuardLayer<ContextGuard> {
    ContextGuard::new()
        .peer(|extensions| {
            let ConnectInfo(peer) = extensions.get::<ConnectInfo<SocketAddr>>()?;
            Some(PeerAddr::from(*peer))
        })
        .into_layer()
}

/// A fence from files in a scratch folder.
struct WholeFence {
    fence: Fence,
    key: String,
}

impl WholeFence {
    fn new(audit: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let key = GeneratedKey::new("sk", "team".parse().expect("an id")).expect("a key");
        let scopes = "chat:write".parse().expect("a scope");
        let record = KeyRecord::new(key.id().clone(), key.digest()).scopes(scopes);
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text);
        write("keys.yaml", &format!("keys:\n{}", to_yaml(&record))).expect("a file");
        write("audit.key", "0123456789abcdef0123456789abcdef").expect("a file");
        let text = format!(
            "[auth]\nkeys_file = \"keys.yaml\"\n\
             [[routes]]\npath = \"/v1/chat/completions\"\nmethods = \"POST\"\n\
             access = \"chat:write\"\nbody = \"openai-chat\"\n\
             [rate_limit]\nby_ip = \"100000000/day\"\nby_key = \"100000000/day\"\n\
             [concurrency]\nper_key = 1000\n\
             [audit]\nfile = \"app.log\"\non_overflow = \"drop\"\n{audit}"
        );
        let config = Config::parse(&text, Format::Toml, [("", "")]);
        let mut config = config.expect("a configuration");
        config.resolve_paths(folder.path());
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let fence = runtime.block_on(Fence::builder(&config).axum().build());
        // Both stay for as long as the process, as they do in a server.
        let runtime: &'static _ = Box::leak(Box::new(runtime));
        mem::forget((folder, runtime.enter()));
        Self {
            fence: fence.expect("a fence"),
            key: key.expose().to_owned(),
        }
    }

    fn around(&self) -> stockade::FenceService<axum::Router> {
        self.fence.layer().layer(router())
    }

    fn chat(&self) -> impl Fn() -> Send + 'static {
        let key = self.key.clone();
        move || {
            let mut chat = request(&key);
            chat.headers_mut()
                .insert("content-length", CHAT.len().into());
            *chat.body_mut() = Full::new(Bytes::from_static(CHAT.as_bytes()));
            chat
        }
    }
}
