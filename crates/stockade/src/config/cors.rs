//! `[cors]` and `[docs]`: what browsers may do.

use serde::Deserialize;

use super::value;

/// `[cors]`: which web pages may call the API from a browser; none by default.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CorsConfig {
    /// Origins, such as `https://app.example.com`, or `*` for all of them.
    #[serde(deserialize_with = "value::list")]
    pub allow_origins: Vec<String>,
    /// Whether browsers may send cookies and the like. Never together with `*`.
    pub allow_credentials: bool,
}

/// `[docs]`: pages that describe the API.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DocsConfig {
    /// Whether everybody may read them.
    pub allowed: bool,
}
