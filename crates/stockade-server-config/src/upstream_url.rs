//! The base URL of an upstream.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use http::{
    Uri,
    uri::{Authority, PathAndQuery, Scheme},
};
use serde::{Deserialize, Deserializer, de};

/// The base URL of an upstream, such as `http://host:8000/v1`, `https://host/v1`, or
/// `unix:/run/model.sock:/v1` for a Unix socket.
///
/// Without user information, query and fragment: credentials have a setting of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamUrl {
    socket: Option<PathBuf>,
    scheme: Scheme,
    authority: Authority,
    /// Empty, or starts with a slash and does not end with one.
    path: String,
}

/// The prefix of Unix sockets.
const UNIX: &str = "unix:";

impl UpstreamUrl {
    /// Whether connections use TLS.
    pub fn is_https(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// The host, without the port; `None` for a Unix socket.
    pub fn host(&self) -> Option<&str> {
        self.socket.is_none().then(|| self.authority.host())
    }

    /// The Unix socket.
    pub fn socket(&self) -> Option<&Path> {
        self.socket.as_deref()
    }

    /// The URL of a path below the base; `None` if the result is not a valid URL.
    pub fn join(&self, path: &str) -> Option<Uri> {
        // A base without a path would take anything else for a part of the host.
        let path = path
            .starts_with('/')
            .then(|| format!("{}{path}", self.path));
        self.with_path(path?)
    }

    /// The URL of a path from the root of the host; `None` if the result is not a valid URL.
    pub fn at_root(&self, path: &str) -> Option<Uri> {
        self.with_path(path.to_owned())
    }

    fn with_path(&self, path: String) -> Option<Uri> {
        if !path.starts_with('/') {
            return None;
        }
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(PathAndQuery::try_from(path).ok()?);
        Uri::from_parts(parts).ok()
    }
}

impl FromStr for UpstreamUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix(UNIX) {
            Some(socket) => parse_socket(socket),
            None => parse_http(text),
        }
    }
}

fn parse_http(text: &str) -> Result<UpstreamUrl, String> {
    // The message does not quote the text, which may contain a password.
    let malformed = || {
        String::from(
            "the URL of an upstream is malformed: write it as http://HOST:PORT/v1, \
             https://HOST/v1 or unix:/run/model.sock:/v1",
        )
    };
    let url: Uri = text.parse().map_err(|_| malformed())?;
    let parts = url.into_parts();
    let scheme = parts.scheme.ok_or_else(malformed)?;
    let authority = parts.authority.ok_or_else(malformed)?;
    if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
        return Err(malformed());
    }
    if authority.as_str().contains('@') {
        return Err(String::from(
            "the URL of an upstream contains a user name or password: use the setting for the \
             API key",
        ));
    }
    if authority.host().is_empty() {
        return Err(malformed());
    }
    let path = parts.path_and_query;
    // `Uri` drops the fragment.
    if path.as_ref().is_some_and(|path| path.query().is_some()) || text.contains('#') {
        return Err(format!(
            "the URL of the upstream {authority} contains a query or fragment: remove it"
        ));
    }
    let path = path.as_ref().map_or("", PathAndQuery::path);
    Ok(UpstreamUrl {
        socket: None,
        scheme,
        authority,
        path: path.trim_end_matches('/').to_owned(),
    })
}

fn parse_socket(text: &str) -> Result<UpstreamUrl, String> {
    let (socket, path) = text.rsplit_once(":/").map_or((text, ""), |(socket, path)| {
        (socket, path.trim_end_matches('/'))
    });
    let malformed = || {
        format!(
            "unix:{text} is malformed: write an absolute path, and the base path after another \
             colon, such as unix:/run/model.sock:/v1"
        )
    };
    if !socket.starts_with('/') {
        return Err(malformed());
    }
    let path = match path {
        "" => String::new(),
        path => format!("/{path}"),
    };
    if !path.is_empty() && (PathAndQuery::try_from(&path).is_err() || path.contains(['?', '#'])) {
        return Err(malformed());
    }
    Ok(UpstreamUrl {
        socket: Some(PathBuf::from(socket)),
        scheme: Scheme::HTTP,
        // RFC 9110 requires a Host header; curl sends this one for Unix sockets.
        authority: Authority::from_static("localhost"),
        path,
    })
}

impl<'de> Deserialize<'de> for UpstreamUrl {
    fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
    where
        D: Deserializer<'de>,
    {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl fmt::Display for UpstreamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.socket {
            Some(socket) if self.path.is_empty() => write!(f, "{UNIX}{}", socket.display()),
            Some(socket) => write!(f, "{UNIX}{}:{}", socket.display(), self.path),
            None => write!(f, "{}://{}{}", self.scheme, self.authority, self.path),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn url(text: &str) -> UpstreamUrl {
        text.parse().unwrap()
    }

    #[test]
    fn shows_what_it_was_parsed_from() {
        for text in [
            "http://127.0.0.1:8000/v1",
            "https://models.example.com",
            "http://[::1]:8000/api/v1",
            "unix:/run/model.sock",
            "unix:/run/model.sock:/v1",
        ] {
            assert_eq!(url(text).to_string(), text);
        }
    }

    #[test]
    fn appends_paths_to_the_base() {
        for (base, joined) in [
            ("http://a:1/v1", "http://a:1/v1/chat/completions"),
            ("http://a:1/v1/", "http://a:1/v1/chat/completions"),
            ("https://a", "https://a/chat/completions"),
            ("unix:/s.sock:/v1", "http://localhost/v1/chat/completions"),
        ] {
            assert_eq!(url(base).join("/chat/completions").unwrap(), joined);
        }
        assert_eq!(
            url("http://a:1/v1").at_root("/health").unwrap(),
            "http://a:1/health"
        );
        assert!(url("http://a:1/v1").join("@b").is_none());
    }

    #[test]
    fn refuses_other_urls() {
        for text in [
            "",
            "host:8000",
            "/v1",
            "ftp://host",
            "http://",
            "http:///v1",
            "http://a/v1?key=1",
            "http://a/v1#x",
            "unix:model.sock",
            "unix:",
            "unix:/s.sock:/v1?x",
        ] {
            assert!(text.parse::<UpstreamUrl>().is_err(), "{text}");
        }
    }

    #[test]
    fn refuses_credentials_without_quoting_them() {
        let error = "http://user:hidden@host/v1"
            .parse::<UpstreamUrl>()
            .unwrap_err();
        assert!(!error.contains("hidden"), "{error}");
    }
}
