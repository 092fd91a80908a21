//! Where Redis is, and how it is spoken to.

use std::{error::Error, fmt, time::Duration};

use redis::{ClientTlsConfig, ConnectionInfo, IntoConnectionInfo, RedisError, TlsCertificates};

use crate::Namespace;

/// Where Redis or Valkey is, and how it is spoken to.
///
/// ```
/// use std::time::Duration;
///
/// use stockade_redis::RedisConfig;
///
/// # fn main() -> Result<(), stockade_redis::RedisConfigError> {
/// let config = RedisConfig::new("redis://:secret@127.0.0.1:6379/0")?
///     .namespace("chat".parse()?)
///     .response_timeout(Duration::from_millis(500));
/// assert!(!format!("{config:?}").contains("secret"));
///
/// assert!(RedisConfig::new("http://127.0.0.1").is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisConfig {
    pub(crate) server: ConnectionInfo,
    pub(crate) namespace: Namespace,
    pub(crate) connect_timeout: Duration,
    pub(crate) response_timeout: Duration,
    tls: TlsCertificates,
}

impl RedisConfig {
    /// Reads `redis://user:password@host:port/database`, `rediss://…` for TLS, or
    /// `redis+unix:///path`.
    ///
    /// # Errors
    /// When the text is no such URL.
    pub fn new(url: &str) -> Result<Self, RedisConfigError> {
        // The library's error may hold parts of the URL, and that a password.
        let server = url
            .into_connection_info()
            .map_err(|_| RedisConfigError(Problem::Url))?;
        Ok(Self {
            server,
            namespace: Namespace::default(),
            connect_timeout: Duration::from_secs(2),
            response_timeout: Duration::from_secs(1),
            tls: TlsCertificates {
                client_tls: None,
                root_cert: None,
            },
        })
    }

    /// Under which name all keys are; `default` where this is not called.
    pub fn namespace(mut self, namespace: Namespace) -> Self {
        self.namespace = namespace;
        self
    }

    /// How long it may take to connect and log in, two seconds where this is not called.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long an answer may take until the connection is given up, one second where this
    /// is not called. The deadline of a decision is shorter, and is the fallback's.
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.response_timeout = timeout;
        self
    }

    /// Who vouches for the server's certificate, as PEM, in place of the public
    /// authorities. For `rediss://` only.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.root_cert = Some(pem.into());
        self
    }

    /// The certificate that this side shows, and its key, as PEM. For `rediss://` only.
    pub fn client_certificate(
        mut self,
        certificate: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        self.tls.client_tls = Some(ClientTlsConfig {
            client_cert: certificate.into(),
            client_key: key.into(),
        });
        self
    }

    /// The server as the library wants it.
    pub(crate) fn into_server(self) -> Result<ConnectionInfo, RedisConfigError> {
        if self.tls.client_tls.is_none() && self.tls.root_cert.is_none() {
            return Ok(self.server);
        }
        let client = redis::Client::build_with_tls(self.server, self.tls)
            .map_err(|error| RedisConfigError(Problem::Tls(error)))?;
        Ok(client.get_connection_info().clone())
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConfig")
            .field("server", &self.server.addr().to_string())
            .field("namespace", &self.namespace)
            .field("connect_timeout", &self.connect_timeout)
            .field("response_timeout", &self.response_timeout)
            .finish_non_exhaustive()
    }
}

/// A configuration that leads to no server.
#[derive(Debug)]
pub struct RedisConfigError(Problem);

#[derive(Debug)]
enum Problem {
    Url,
    Namespace,
    Tls(RedisError),
}

impl RedisConfigError {
    pub(crate) const NAMESPACE: Self = Self(Problem::Namespace);
}

impl fmt::Display for RedisConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Problem::Url => {
                "not a URL of Redis; write redis://:PASSWORD@HOST:PORT or rediss://… for TLS"
            }
            Problem::Namespace => {
                "a namespace is 1 to 64 lower-case letters, digits, dots, hyphens or underscores"
            }
            Problem::Tls(_) => {
                "the certificates cannot be used: they are PEM, and go with a rediss:// URL"
            }
        })
    }
}

impl Error for RedisConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            Problem::Tls(error) => Some(error),
            Problem::Url | Problem::Namespace => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_nothing_of_the_password() {
        let config = RedisConfig::new("redis://app:hunter2@localhost:6379").unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));

        let error = RedisConfig::new("rediss//app:hunter2@localhost").unwrap_err();
        let texts = [format!("{error:?}"), error.to_string()];
        assert!(!texts.concat().contains("hunter2"));
    }

    #[test]
    fn refuses_certificates_without_tls() {
        let config = RedisConfig::new("redis://localhost").unwrap();
        assert!(config.root_certificates("no PEM").into_server().is_err());
    }
}
