//! `[cors]`: which web pages may call the API.

use serde::Deserialize;

use super::value;

/// `[cors]`: which web pages may call the API from a browser; none by default.
///
/// Every response header that the fence sends (`Retry-After`, `RateLimit`, `x-ratelimit-…`,
/// `X-Request-Id`, …) is readable by an allowed page; `expose_headers` adds to them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CorsConfig {
    /// Origins, such as `https://app.example.com`, or `*` for all of them.
    #[serde(deserialize_with = "value::list")]
    pub allow_origins: Vec<String>,
    /// Whether browsers may send cookies and the like. Never together with `*`.
    pub allow_credentials: bool,
    /// Methods that an allowed page may use.
    #[serde(deserialize_with = "value::list")]
    pub allow_methods: Vec<String>,
    /// Request headers that an allowed page may set. `*`, the default, allows whatever the
    /// page asks for: SDKs send headers of their own (`x-stainless-os`, …), and new ones with
    /// each release.
    #[serde(deserialize_with = "value::list")]
    pub allow_headers: Vec<String>,
    /// Further response headers that an allowed page may read, such as those of a handler.
    #[serde(deserialize_with = "value::list")]
    pub expose_headers: Vec<String>,
    /// For how many seconds a browser may reuse the answer to a preflight request; 0 asks
    /// each time. Browsers have limits of their own (Chromium: 7200).
    pub max_age_secs: u32,
}

impl Default for CorsConfig {
    fn default() -> Self {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Self {
            allow_origins: Vec::new(),
            allow_credentials: false,
            allow_methods: owned(&["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]),
            allow_headers: owned(&["*"]),
            expose_headers: Vec::new(),
            max_age_secs: 600,
        }
    }
}
