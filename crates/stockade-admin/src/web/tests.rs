use std::{fs, path::PathBuf};

use axum::body::{Body, to_bytes};
use tower::ServiceExt as _;

use super::*;

async fn send(path: &str, fields: &[(HeaderName, &str)]) -> Response {
    let mut request = Request::builder().uri(path);
    for (name, value) in fields {
        request = request.header(name, *value);
    }
    let request = request.body(Body::empty()).unwrap();
    let router: Router = router(Some("http://127.0.0.1:8000/v1"));
    router.oneshot(request).await.unwrap()
}

fn header<'r>(response: &'r Response, name: &HeaderName) -> &'r str {
    response.headers()[name].to_str().unwrap()
}

async fn body(response: Response) -> String {
    let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn serves_the_page_with_a_strict_policy() {
    let response = send("/admin/", &[]).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(header(&response, &CONTENT_TYPE), "text/html; charset=utf-8");
    assert_eq!(header(&response, &CACHE_CONTROL), "no-store");
    assert_eq!(header(&response, &X_CONTENT_TYPE_OPTIONS), "nosniff");
    let policy = header(&response, &CONTENT_SECURITY_POLICY).to_owned();
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"));
    assert!(
        policy.contains("connect-src 'self' http://127.0.0.1:8000;"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    let page = body(response).await;
    assert!(!page.contains("style="), "inline style is refused");
    assert!(page.contains("<script type=\"module\" src=\"app.js\"></script>"));
}

#[tokio::test]
async fn serves_each_file_with_its_type_and_tag() {
    for path in files::paths() {
        let response = send(&format!("/admin/{path}"), &[]).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let expected = match path.rsplit_once('.').unwrap().1 {
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            _ => "image/svg+xml",
        };
        assert_eq!(header(&response, &CONTENT_TYPE), expected, "{path}");
        let tag = header(&response, &ETAG).to_owned();
        let policy = header(&response, &CONTENT_SECURITY_POLICY);
        assert!(policy.contains("default-src 'none'"), "{path}");

        for known in [tag.clone(), format!("\"other\", W/{tag}"), "*".to_owned()] {
            let again = send(&format!("/admin/{path}"), &[(IF_NONE_MATCH, &known)]).await;
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{path}");
            assert_eq!(header(&again, &ETAG), tag);
            assert_eq!(body(again).await, "");
        }
        let changed = send(&format!("/admin/{path}"), &[(IF_NONE_MATCH, "\"old\"")]).await;
        assert_eq!(changed.status(), StatusCode::OK, "{path}");
    }
}

#[test]
fn embeds_all_files_of_the_folder() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("web");
    let (mut folders, mut found) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&root).unwrap();
            let names: Vec<_> = name.iter().map(|part| part.to_str().unwrap()).collect();
            found.push(names.join("/"));
        }
    }
    found.retain(|path| path != "index.html");
    found.sort();
    let mut embedded: Vec<_> = files::paths().collect();
    embedded.sort_unstable();
    assert_eq!(found, embedded);
}

#[tokio::test]
async fn m10_refuses_targets_of_redirects() {
    for path in [
        "/admin/?next=//evil.example",
        "/admin/?next=/%5Cevil.example",
        "/admin?next=https://evil.example",
        "/admin/app.js?next=//evil.example",
    ] {
        let response = send(path, &[]).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{path}");
        assert!(!response.headers().contains_key("location"), "{path}");
    }
    let response = send("/admin", &[]).await;
    assert_eq!(response.status(), StatusCode::PERMANENT_REDIRECT);
    assert_eq!(response.headers()["location"], "/admin/");
}

#[tokio::test]
async fn m10_refuses_traversal() {
    for path in [
        "/admin/../Cargo.toml",
        "/admin/..%2fCargo.toml",
        "/admin/%2e%2e/Cargo.toml",
        "/admin/..%5c..%5cCargo.toml",
        "/admin/pages/../app.js",
        "/admin//etc/passwd",
        "/admin/%00",
        "/admin/app.js%00.css",
        "/admin/APP.JS",
        "/admin/index.html",
    ] {
        let response = send(path, &[]).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(header(&response, &X_CONTENT_TYPE_OPTIONS), "nosniff");
    }
}

#[test]
fn policies_contain_origins_only() {
    for (url, expected) in [
        (
            "https://api.example.com/v1",
            Some("https://api.example.com"),
        ),
        ("http://user:secret@[::1]:8000/", Some("http://[::1]:8000")),
        ("javascript:alert(1)", None),
        ("ftp://example.com", None),
        ("https://a;script-src *", None),
        ("https://a'b;c/", None),
        ("/v1", None),
    ] {
        assert_eq!(origin(url).as_deref(), expected, "{url}");
    }
}
