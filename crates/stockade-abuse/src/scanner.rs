//! Paths that only scanners ask for.

use std::{borrow::Cow, fmt};

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, BuildError, MatchKind};
use percent_encoding::percent_decode;

/// Texts that no honest request's path has in it, matched in linear time, whatever the case.
#[derive(Clone)]
pub struct ScannerPaths(AhoCorasick);

/// What automatic scanners ask every server for.
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

/// A path longer than this is looked at only so far.
const MAX_PATH: usize = 2_048;

impl ScannerPaths {
    /// These texts, in place of the usual ones; none for an empty list.
    ///
    /// # Errors
    /// When they are too many to be matched: millions.
    pub fn new<T>(texts: impl IntoIterator<Item = T>) -> Result<Self, BuildError>
    where
        T: AsRef<[u8]>,
    {
        AhoCorasickBuilder::new()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            // It would stop at every slash, of which paths are full.
            .prefilter(false)
            .build(texts)
            .map(Self)
    }

    /// Whether a request for this path is a probe. It is percent-decoded once.
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
        Self::new(DEFAULT_TEXTS).expect("a short list can be matched")
    }
}

impl fmt::Debug for ScannerPaths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScannerPaths({} texts)", self.0.patterns_len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_probes_from_requests() {
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
    fn takes_a_list_of_ones_own() {
        let none = ScannerPaths::new([""; 0]).unwrap();
        assert!(!none.match_path("/.env"));
        assert!(
            ScannerPaths::new(["/admin.php"])
                .unwrap()
                .match_path("/admin.php")
        );
    }
}
