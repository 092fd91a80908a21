//! Tests that the key file and the revocation file of tokens are watched.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{Router, body::Body, extract::ConnectInfo, routing::get};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::Request;
use stockade::{Config, Environment, Fence, Format};
use stockade_core::clock::{Clock, SystemClock};
use stockade_jwt::{
    AccessToken, Algorithm, RevocationFile, RevocationList, RevocationStore as _, Secret,
    SigningKey, TokenIssuer,
};
use stockade_testkit::poll::until_async;
use stockade_watch::SourceStatus;
use tower::ServiceExt;

const CONFIG: &str = "
    [auth]
    keys_file = 'keys.yaml'
    [auth.tokens]
    issuer = 'id'
    audience = 'api'
    algorithm = 'HS256'
    key_file = 'secret'
    revoked_file = 'revoked.txt'
    [[routes]]
    path = '/'
    methods = 'GET'
    access = 'authenticated'
    [abuse]
    ban_loopback = false
";
const FIRST: &[u8] = b"the first secret of thirty-two bytes";
const SECOND: &[u8] = b"the second secret of thirty-two bytes";
struct Site {
    folder: tempfile::TempDir,
    fence: Fence,
    router: Router,
}

impl Site {
    async fn open() -> Self {
        Self::open_with(None).await
    }

    async fn open_with(store: Option<Arc<RevocationList>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("keys.yaml", &b"keys: []\n"[..]),
            ("secret", FIRST),
            ("revoked.txt", b"# jti exp\n"),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let config = config(folder.path());
        let mut fence = Fence::builder(&config);
        if let Some(store) = store {
            fence = fence.revocations(store);
        }
        let fence = fence.build().await.unwrap();
        let router = Router::new()
            .route("/", get(|| async { "hello" }))
            .layer(fence.layer());
        Self {
            folder,
            fence,
            router,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn status(&self, token: &str) -> u16 {
        let peer: std::net::SocketAddr = "127.0.0.1:50000".parse().unwrap();
        let request = Request::get("/")
            .header("authorization", format!("Bearer {token}"))
            .extension(ConnectInfo(peer))
            .body(Body::empty())
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        response.status().as_u16()
    }

    fn source(&self, setting: &str) -> SourceStatus {
        let of_setting = |source: &SourceStatus| source.name.starts_with(setting);
        self.fence.sources().into_iter().find(of_setting).unwrap()
    }
}

fn config(folder: &Path) -> Config {
    let mut config = Config::parse(CONFIG, Format::Toml, &Environment::default()).unwrap();
    config.resolve_paths(folder);
    config
}

fn issue(secret: &[u8]) -> AccessToken {
    let key = SigningKey::hmac(Algorithm::Hs256, &Secret::new(secret).unwrap()).unwrap();
    let issuer = TokenIssuer::new(key, "id", "api");
    issuer
        .issue("alice", &"chat:write".parse().unwrap())
        .unwrap()
}

// FS10
#[tokio::test]
async fn refuses_tokens_that_the_file_or_the_store_of_the_program_revokes() {
    let store = Arc::new(RevocationList::new(10));
    let site = Site::open_with(Some(store.clone())).await;
    let (by_store, by_file, other) = (issue(FIRST), issue(FIRST), issue(FIRST));
    let (now, path) = (SystemClock::new().now(), site.path("revoked.txt"));
    let until = by_store.expires_at();
    store.revoke(by_store.id(), until, now).await.unwrap();
    RevocationFile::append(&path, by_file.id(), Some(until), now).unwrap();
    assert_eq!(site.status(by_store.expose()).await, 401);
    until_async("the file", async || {
        site.status(by_file.expose()).await == 401
    })
    .await;
    assert_eq!(site.status(other.expose()).await, 200);
}

#[tokio::test]
async fn a_token_is_refused_once_its_id_is_in_the_file() {
    let site = Site::open().await;
    let (revoked, other) = (issue(FIRST), issue(FIRST));
    assert_eq!(site.status(revoked.expose()).await, 200);
    let now = SystemClock::new().now();
    let path = site.path("revoked.txt");
    RevocationFile::append(&path, revoked.id(), Some(revoked.expires_at()), now).unwrap();
    until_async("the token is refused", async || {
        site.status(revoked.expose()).await == 401
    })
    .await;
    assert_eq!(site.status(other.expose()).await, 200);
    assert!(!site.source("auth.tokens.revoked_file").is_failing());

    // An invalid line is reported, and does not affect the other lines.
    fs::write(&path, format!("what is this?\n{}\n", other.id())).unwrap();
    until_async("the other token is refused", async || {
        site.status(other.expose()).await == 401
    })
    .await;
    assert_eq!(site.status(revoked.expose()).await, 401);
    let source = site.source("auth.tokens.revoked_file");
    assert!(source.last_error.unwrap().contains("line 1"));

    fs::write(&path, "").unwrap();
    until_async("both are good again", async || {
        site.status(revoked.expose()).await == 200 && site.status(other.expose()).await == 200
    })
    .await;
    assert!(!site.source("auth.tokens.revoked_file").is_failing());
}

// FS10
#[tokio::test]
async fn refuses_a_token_without_an_id_because_it_cannot_be_revoked() {
    let site = Site::open().await;
    let now = SystemClock::new().now().as_secs();
    let claims = format!(r#"{{"iss":"id","aud":"api","sub":"a","exp":{}}}"#, now + 60);
    for (claims, status) in [(claims.replace('}', r#","jti":"x"}"#), 200), (claims, 401)] {
        assert_eq!(site.status(&sign(&claims)).await, status, "{claims}");
    }
}

fn sign(claims: &str) -> String {
    use hmac::{Hmac, KeyInit as _, Mac as _};

    let mut token = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(claims, &mut token);
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(FIRST).unwrap();
    mac.update(token.as_bytes());
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(mac.finalize().into_bytes(), &mut token);
    token
}

// FA14
#[tokio::test]
async fn applies_a_replaced_key_and_ignores_an_invalid_one() {
    let site = Site::open().await;
    let (old, new) = (issue(FIRST), issue(SECOND));
    assert_eq!(site.status(old.expose()).await, 200);
    assert_eq!(site.status(new.expose()).await, 401);

    fs::write(site.path("secret"), "too short").unwrap();
    until_async("the faulty key is seen", async || {
        site.source("auth.tokens.key_file").is_failing()
    })
    .await;
    assert_eq!(site.status(old.expose()).await, 200);

    fs::write(site.path("secret"), SECOND).unwrap();
    until_async("the new key is in effect", async || {
        site.status(new.expose()).await == 200
    })
    .await;
    assert_eq!(site.status(old.expose()).await, 401);
    until_async("it is well again", async || {
        !site.source("auth.tokens.key_file").is_failing()
    })
    .await;
}

// FA14, FS10: a check reads the files as a fence does.
#[test]
fn validates_the_files_without_a_fence() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let path = |name: &str| folder.path().join(name);
    let fault = || config.check_token_files().unwrap_err().to_string();
    assert!(fault().contains("auth.tokens.key_file"), "{}", fault());
    fs::write(path("secret"), "too short").unwrap();
    assert!(fault().contains("32 random bytes"), "{}", fault());
    fs::write(path("secret"), FIRST).unwrap();
    assert!(fault().contains("auth.tokens.revoked_file"), "{}", fault());
    fs::write(path("revoked.txt"), "a b\n").unwrap();
    assert!(fault().contains("line 1"), "{}", fault());
    fs::write(path("revoked.txt"), "a\n").unwrap();
    config.check_token_files().unwrap();
    // A folder or a FIFO is not a regular file and is not opened.
    fs::remove_file(path("secret")).unwrap();
    fs::create_dir(path("secret")).unwrap();
    assert!(fault().contains("not a regular file"), "{}", fault());
}
