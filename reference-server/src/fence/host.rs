//! Validates the host of a request, and checks that it is served here.

use http::{
    HeaderValue, Version,
    header::{CONNECTION, HOST},
    uri::Authority,
};
use metrics::counter;
use stockade_core::{
    guard::{Check, Guard, Head, NoWait},
    refusal::{Refusal, RefusalKind},
};

use crate::{StartError, api::routes};

/// Refuses requests whose `Host` is missing, repeated or invalid (RFC 9112, 3.2), and requests
/// for hosts that are not in the configured list.
#[derive(Clone, Debug)]
pub(crate) struct HostGuard {
    /// In lower case; an empty list allows all hosts.
    allowed: Vec<Authority>,
}

impl HostGuard {
    /// Parses the list of hosts; an empty list allows all of them.
    ///
    /// # Errors
    /// Returns an error if an entry is not a valid host.
    pub(crate) fn new(hosts: &[String]) -> Result<Self, StartError> {
        let allowed = hosts.iter().map(|host| {
            let allowed = authority(host.to_ascii_lowercase().as_bytes());
            // Wildcards are not supported: an empty list allows all hosts.
            let allowed = allowed.filter(|host| !host.as_str().contains('*'));
            allowed.ok_or_else(|| {
                StartError::new(format!(
                    "server.hosts: {host:?} is not a valid host; use a form such as \
                     \"api.example.com\" or \"localhost:8000\""
                ))
            })
        });
        Ok(Self {
            allowed: allowed.collect::<Result<_, _>>()?,
        })
    }

    fn check_host(&self, head: &Head) -> Result<(), HostError> {
        let mut fields = head.headers.get_all(HOST).iter();
        let header = match (fields.next(), fields.next()) {
            (Some(_), Some(_)) => return Err(HostError::Repeated),
            (Some(field), None) => Some(authority(field.as_bytes()).ok_or(HostError::Invalid)?),
            // HTTP/2 has the host in the target (`:authority`).
            (None, _) if head.version == Version::HTTP_11 => return Err(HostError::Missing),
            (None, _) => None,
        };
        let target = head.uri.authority().map(|target| target.as_str());
        let target = target.map(|target| authority(target.as_bytes()).ok_or(HostError::Invalid));
        // The target takes precedence (RFC 9112, 3.2.2).
        let host = match (target.transpose()?, header) {
            (Some(target), Some(header)) if head.version == Version::HTTP_2 && target != header => {
                // RFC 9113, 8.3.1.
                return Err(HostError::Invalid);
            }
            (Some(host), _) | (None, Some(host)) => host,
            (None, None) if head.version < Version::HTTP_11 => return Ok(()),
            (None, None) => return Err(HostError::Missing),
        };
        // Supervisors send probes to the server's address.
        if self.allowed.is_empty() || routes::is_probe(head.uri.path()) || self.allows(&host) {
            return Ok(());
        }
        Err(HostError::NotServed)
    }

    /// Whether a host matches the list. An entry without a port matches all ports.
    fn allows(&self, host: &Authority) -> bool {
        self.allowed.iter().any(|allowed| {
            allowed.host().eq_ignore_ascii_case(host.host())
                && (allowed.port_u16().is_none() || allowed.port_u16() == host.port_u16())
        })
    }
}

/// Parses `uri-host [ ":" port ]` (RFC 9110, 7.2). Rejects user information, which `Authority`
/// accepts, and an empty host, which is invalid in HTTP URIs (RFC 9110, 4.2.1).
fn authority(text: &[u8]) -> Option<Authority> {
    let authority = Authority::try_from(text).ok()?;
    let port = authority.as_str().strip_prefix(authority.host())?;
    let port = match port.strip_prefix(':') {
        Some(port) => port.is_empty() || authority.port_u16().is_some(),
        None => port.is_empty(),
    };
    let host = authority.host();
    (port && !host.is_empty() && !host.contains(['@', ','])).then_some(authority)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HostError {
    Missing,
    Repeated,
    Invalid,
    NotServed,
}

impl HostError {
    fn reason(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Repeated => "repeated",
            Self::Invalid => "invalid",
            Self::NotServed => "not_served",
        }
    }

    fn refusal(self, version: Version) -> Refusal {
        let text = match self {
            Self::Missing => "the request has no host: send a `Host` header",
            Self::Repeated => "the request has more than one host: send a single `Host` header",
            Self::Invalid => {
                "the host is invalid: send a header such as `Host: api.example.com:8000`"
            }
            Self::NotServed => "this host is not served here",
        };
        let code = match self {
            Self::NotServed => "HOST_NOT_SERVED",
            _ => "INVALID_HOST",
        };
        let refusal = Refusal::new(RefusalKind::Invalid, text)
            .with_code(code)
            .with_internal_reason(self.reason());
        match version <= Version::HTTP_11 && self != Self::NotServed {
            // A sender with an invalid host may also disagree about where its message ends.
            true => refusal.with_header(CONNECTION, HeaderValue::from_static("close")),
            false => refusal,
        }
    }
}

impl Guard for HostGuard {
    const NAME: &'static str = "host";
    type Pass = ();
    type Hook = ();
    type Wait = NoWait;

    fn check(&self, head: &Head) -> Check<(), Self::Wait> {
        match self.check_host(head) {
            Ok(()) => Check::Pass(()),
            Err(error) => {
                // This guard is outside the fence, so no audit record is written.
                counter!("stockade_invalid_hosts_total", "reason" => error.reason()).increment(1);
                tracing::debug!(reason = error.reason(), "refused the host of a request");
                Check::Refuse(error.refusal(head.version))
            }
        }
    }

    fn admit(&self, (): (), _head: &mut Head) {}
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn check_host(
        guard: &HostGuard,
        target: &str,
        version: Version,
        hosts: &[&str],
    ) -> Option<HostError> {
        let mut request = Request::get(target).version(version);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        guard.check_host(&Head::new(parts)).err()
    }

    // FH05
    #[test]
    fn requires_one_valid_host() {
        let guard = HostGuard::new(&[]).unwrap();
        let of = |hosts: &[&str]| check_host(&guard, "/v1/models", Version::HTTP_11, hosts);
        for host in ["a", "A.b-c_d:80", "[::1]:8000", "127.0.0.1", "a:"] {
            assert_eq!(of(&[host]), None, "{host}");
        }
        for host in [
            "", "a/b", "u@a", "a, b", "a,b", "a:b", "a:70000", "a b", "::1", "[::1", ":80",
        ] {
            assert_eq!(of(&[host]), Some(HostError::Invalid), "{host}");
        }
        assert_eq!(of(&[]), Some(HostError::Missing));
        assert_eq!(of(&["a", "a"]), Some(HostError::Repeated));
        assert_eq!(check_host(&guard, "/", Version::HTTP_10, &[]), None);
        let absolute = "http://a/v1/models";
        for (version, hosts, error) in [
            (Version::HTTP_2, &[][..], None),
            (Version::HTTP_11, &["b"], None),
            (Version::HTTP_11, &["a/b"], Some(HostError::Invalid)),
            (Version::HTTP_11, &["a", "b"], Some(HostError::Repeated)),
            (Version::HTTP_11, &[], Some(HostError::Missing)),
            (Version::HTTP_2, &["a"], None),
            (Version::HTTP_2, &["b"], Some(HostError::Invalid)),
        ] {
            assert_eq!(
                check_host(&guard, absolute, version, hosts),
                error,
                "{hosts:?}"
            );
        }
    }

    // FH05
    #[test]
    fn serves_listed_hosts_only_except_for_probes() {
        let guard = HostGuard::new(&["api.Example.com".to_owned(), "a:8000".to_owned()]).unwrap();
        for (path, host, error) in [
            ("/v1/models", "API.example.com:443", None),
            ("/v1/models", "a:8000", None),
            ("/v1/models", "a:8001", Some(HostError::NotServed)),
            ("/v1/models", "evil.example", Some(HostError::NotServed)),
            ("/health/ready", "10.0.0.7:8000", None),
            ("/health", "a/b", Some(HostError::Invalid)),
        ] {
            assert_eq!(
                check_host(&guard, path, Version::HTTP_11, &[host]),
                error,
                "{path} {host}"
            );
        }
        for host in ["", "http://a", "a/b", "*"] {
            let error = HostGuard::new(&[host.to_owned()]).unwrap_err().to_string();
            assert!(error.starts_with("server.hosts"), "{error}");
        }
    }
}
