//! The address of Redis and the settings of the connection.

use std::{error::Error, fmt, time::Duration};

use redis::{ClientTlsConfig, ConnectionInfo, IntoConnectionInfo, RedisError, TlsCertificates};

use crate::Namespace;

/// The address of Redis or Valkey, and the settings of the connection.
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
    /// Parses `redis://user:password@host:port/database`, `rediss://…` for TLS, or
    /// `redis+unix:///path`.
    ///
    /// # Errors
    /// If the text is not such a URL.
    pub fn new(url: &str) -> Result<Self, RedisConfigError> {
        // The library's error may contain parts of the URL, including the password.
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

    /// Sets the namespace of all keys; defaults to `default`.
    pub fn namespace(mut self, namespace: Namespace) -> Self {
        self.namespace = namespace;
        self
    }

    /// Sets the timeout for connecting and logging in; defaults to two seconds.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets the time without a reply after which the connection is replaced; defaults to one
    /// second. The deadline of a single decision is shorter, and set in the `Fallback`.
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.response_timeout = timeout;
        self
    }

    /// Sets the authorities that sign the server's certificate, as PEM, instead of the public
    /// ones. For `rediss://` only.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.root_cert = Some(pem.into());
        self
    }

    /// Sets the client certificate and its key, as PEM. For `rediss://` only.
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

    /// Converts the settings for the redis library.
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

/// The error of an invalid configuration.
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
                "not a Redis URL; use the form redis://:PASSWORD@HOST:PORT, or rediss://… for TLS"
            }
            Problem::Namespace => {
                "a namespace must be 1 to 64 lower-case letters, digits, dots, hyphens or underscores"
            }
            Problem::Tls(_) => {
                "the certificates cannot be used: they must be PEM and require a rediss:// URL"
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
    fn hides_the_password() {
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
