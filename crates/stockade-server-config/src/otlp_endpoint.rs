//! The base URL of an OpenTelemetry collector.

use std::{fmt, str::FromStr};

use http::{
    Uri,
    uri::{PathAndQuery, Scheme},
};
use serde::{Deserialize, Deserializer, de};

use crate::private_host::may_be_public;

/// The base URL of an OpenTelemetry collector: `https://…`, or `http://…` to this machine or a
/// private network, because traces name keys, models and routes.
///
/// Without user information, query and fragment: credentials have a file of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpEndpoint(String);

impl OtlpEndpoint {
    /// The URL for a signal, such as `v1/traces`.
    pub fn join(&self, path: &str) -> String {
        format!("{}/{path}", self.0)
    }
}

impl FromStr for OtlpEndpoint {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The messages do not quote the text, which may contain a password.
        const MALFORMED: &str = "the URL of the collector is malformed: write it as \
            https://HOST:4318, or as http://HOST:4318 on this machine or a private network";

        let url: Uri = text.parse().map_err(|_| MALFORMED)?;
        let authority = url.authority().ok_or(MALFORMED)?;
        if authority.as_str().contains('@') {
            return Err(
                "the URL of the collector contains a user name or password: put them in a header \
                 of telemetry.headers_file",
            );
        }
        let is_https = url.scheme() == Some(&Scheme::HTTPS);
        if authority.host().is_empty() || !(is_https || url.scheme() == Some(&Scheme::HTTP)) {
            return Err(MALFORMED);
        }
        // `Uri` drops the fragment.
        let has_query = url.path_and_query().and_then(PathAndQuery::query).is_some();
        if has_query || text.contains('#') {
            return Err("the URL of the collector contains a query or fragment: remove it");
        }
        if !is_https && may_be_public(authority.host()) {
            return Err(
                "traces would travel unencrypted over a public network: use https://, or a \
                 collector on this machine",
            );
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

impl<'de> Deserialize<'de> for OtlpEndpoint {
    fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
    where
        D: Deserializer<'de>,
    {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl fmt::Display for OtlpEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn plain_http_stays_on_private_networks() {
        for (url, valid) in [
            ("https://otlp.example.com", true),
            ("https://otlp.example.com:4318/base/", true),
            ("http://127.0.0.1:4318", true),
            ("http://[::1]:4318", true),
            ("http://10.0.0.7:4318", true),
            ("http://collector:4318", true),
            ("http://otel.monitoring.svc.cluster.local:4318", true),
            ("http://otlp.example.com:4318", false),
            ("http://8.8.8.8:4318", false),
            ("ftp://collector", false),
            ("collector:4318", false),
            ("https://", false),
            ("https://a/?key=1", false),
            ("https://a/#x", false),
            ("", false),
        ] {
            assert_eq!(url.parse::<OtlpEndpoint>().is_ok(), valid, "{url}");
        }
        let base: OtlpEndpoint = "https://a/base/".parse().unwrap();
        assert_eq!(base.join("v1/traces"), "https://a/base/v1/traces");
    }

    #[test]
    fn refuses_credentials_without_quoting_them() {
        let error = "https://user:hidden@a".parse::<OtlpEndpoint>().unwrap_err();
        assert!(error.contains("headers_file") && !error.contains("hidden"));
    }
}
