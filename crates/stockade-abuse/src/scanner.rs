//! Paths that only vulnerability scanners request.

use std::{borrow::Cow, error::Error, fmt};

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, BuildError, MatchKind};
use percent_encoding::percent_decode;

/// Texts that do not occur in paths of legitimate requests. Matching is case-insensitive and
/// takes linear time.
///
/// ```
/// use stockade_abuse::{AbusePolicy, ScannerPaths};
///
/// assert!(ScannerPaths::default().match_path("/.env"));
/// let own = ScannerPaths::new(["/phpmyadmin", "/.git/"])?;
/// assert!(own.match_path("/.git/config"));
/// let policy = AbusePolicy::new().scanner_paths(own);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ScannerPaths(AhoCorasick);

/// The default texts, from requests of common scanners.
const DEFAULT_TEXTS: &[&str] = &[
    "/.env",
    "/.git/",
    "/.aws/",
    "/.ssh/",
    "/.svn/",
    "/.vscode/",
    "/.htaccess",
    "/.htpasswd",
    "/wp-admin",
    "/wp-login",
    "/wp-content",
    "/wp-includes",
    "/xmlrpc.php",
    "/phpmyadmin",
    "/phpinfo",
    "/vendor/phpunit",
    "/eval-stdin.php",
    "/cgi-bin/",
    "/boaform/",
    "/hnap1",
    "/solr/admin",
    "/actuator/",
    "/jenkins/",
    "/manager/html",
    "/server-status",
    "/owa/auth",
    "/autodiscover/",
    "/_ignition/",
    "/telescope/requests",
    "/geoserver/",
    "/etc/passwd",
    "../",
    "..\\",
    "\0",
];

/// Only this many bytes of a path are searched.
const MAX_PATH: usize = 2_048;

impl ScannerPaths {
    /// Creates a matcher for these texts instead of the default ones; an empty list matches
    /// nothing.
    ///
    /// # Errors
    /// Fails if there are too many texts (millions).
    pub fn new<T>(texts: impl IntoIterator<Item = T>) -> Result<Self, ScannerPathsError>
    where
        T: AsRef<[u8]>,
    {
        AhoCorasickBuilder::new()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            // The prefilter would stop at every slash.
            .prefilter(false)
            .build(texts)
            .map(Self)
            .map_err(ScannerPathsError)
    }

    /// Whether the path, percent-decoded once, contains one of the texts.
    pub fn match_path(&self, path: &str) -> bool {
        let path = path.as_bytes();
        let path = &path[..path.len().min(MAX_PATH)];
        match path.contains(&b'%') {
            false => self.0.is_match(path),
            true => self.0.is_match(&*Cow::from(percent_decode(path))),
        }
    }
}

impl Default for ScannerPaths {
    fn default() -> Self {
        Self::new(DEFAULT_TEXTS).expect("the default list is short")
    }
}

impl fmt::Debug for ScannerPaths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScannerPaths({} texts)", self.0.patterns_len())
    }
}

/// The error of [`ScannerPaths::new`]: the texts need too large an automaton.
#[derive(Clone, Debug)]
pub struct ScannerPathsError(BuildError);

impl fmt::Display for ScannerPathsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "too many or too long texts; use fewer: {}", self.0)
    }
}

impl Error for ScannerPathsError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinguishes_probes_from_requests() {
        let paths = ScannerPaths::default();
        for probe in [
            "/.env",
            "/app/.ENV.bak",
            "/wp-login.php",
            "/%2eenv",
            "/a/%2e%2e/b",
            "/x%00",
        ] {
            assert!(paths.match_path(probe), "{probe}");
        }
        for honest in [
            "/",
            "/v1/chat/completions",
            "/v1/models/a..b",
            "/environment",
            "/100%",
        ] {
            assert!(!paths.match_path(honest), "{honest}");
        }
    }

    #[test]
    fn accepts_a_custom_list() {
        let none = ScannerPaths::new([""; 0]).unwrap();
        assert!(!none.match_path("/.env"));
        assert!(
            ScannerPaths::new(["/admin.php"])
                .unwrap()
                .match_path("/admin.php")
        );
    }
}
