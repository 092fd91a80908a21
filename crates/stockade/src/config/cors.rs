//! `[cors]`: web origins that may call the API.

use serde::Deserialize;

use super::value;

/// `[cors]`: web origins that may call the API from a browser; none by default.
///
/// An allowed page can read every response header that the fence sends (`Retry-After`,
/// `RateLimit`, `x-ratelimit-…`, `X-Request-Id`, …) and those of `expose_headers`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct CorsConfig {
    /// Origins, such as `https://app.example.com`, or `*` for all.
    #[serde(deserialize_with = "value::list")]
    pub allow_origins: Vec<String>,
    /// Whether browsers may send credentials such as cookies. Not allowed with `*`.
    pub allow_credentials: bool,
    /// Methods that an allowed page may use.
    #[serde(deserialize_with = "value::list")]
    pub allow_methods: Vec<String>,
    /// Request headers that an allowed page may set. `*`, the default, allows all that the page
    /// requests: SDKs send headers of their own (`x-stainless-os`, …) and add new ones with
    /// each release.
    #[serde(deserialize_with = "value::list")]
    pub allow_headers: Vec<String>,
    /// Additional response headers that an allowed page may read, such as those of a handler.
    #[serde(deserialize_with = "value::list")]
    pub expose_headers: Vec<String>,
    /// How long a browser may cache the response to a preflight request, in seconds; 0 disables
    /// the cache. Browsers have their own limits (Chromium: 7200).
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
