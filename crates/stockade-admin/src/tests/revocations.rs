//! Revocations of access tokens.

use http::StatusCode;
use serde_json::json;

use super::support::App;

#[tokio::test]
async fn revokes_tokens_only_where_that_is_enabled() {
    let body = json!({ "jti": "u3kF", "expires_at": "2999-01-01T00:00:00Z", "reason": "lost" });
    let refused = App::new()
        .await
        .post("/admin/v1/revocations", body.clone())
        .await;
    refused.assert_error(409, "CONFLICT", None);
    let app = App::configured(|config| config.revoke_tokens = true).await;
    let revoked = app.post("/admin/v1/revocations", body).await;
    assert_eq!(revoked.status, StatusCode::NO_CONTENT, "{}", revoked.text);
    assert_eq!(app.get("/admin/v1/revocations").await["revoked"], 1);
    for (body, param) in [
        (json!({ "jti": "" }), "jti"),
        (json!({ "jti": "a\nb" }), "jti"),
        (json!({ "jti": "a", "expires_at": "later" }), "expires_at"),
    ] {
        let refused = app.post("/admin/v1/revocations", body).await;
        refused.assert_error(400, "VALIDATION_ERROR", Some(param));
    }
}
