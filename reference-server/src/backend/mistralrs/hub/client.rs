//! Requests to the Hub.

use std::{io::Read, time::Duration};

use serde::de::DeserializeOwned;
use ureq::{Agent, AgentBuilder, Response};
use url::Url;

use super::error::HubError;

/// The Hub redirects files to its content delivery network, once.
const MAX_REDIRECTS: usize = 5;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The maximum time between two pieces of a response; the download then continues with another
/// request.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// The maximum size of a JSON response. Repositories have thousands of files at most.
const MAX_JSON: u64 = 16 << 20;

/// A client of the Hub.
pub(super) struct Client {
    agent: Agent,
    endpoint: Url,
    token: Option<String>,
}

/// A response, and what the Hub's first response announces.
pub(super) struct Answer {
    pub(super) response: Response,
    /// The checksum of a large file: `X-Linked-Etag`.
    pub(super) linked_etag: Option<String>,
}

impl Client {
    /// # Errors
    /// Returns an error if the endpoint is not a URL.
    pub(super) fn new(endpoint: &str, token: Option<String>) -> Result<Self, HubError> {
        let endpoint = Url::parse(&format!("{}/", endpoint.trim_end_matches('/')));
        let endpoint = endpoint.ok().filter(|url| url.host().is_some());
        Ok(Self {
            agent: AgentBuilder::new()
                .try_proxy_from_env(true)
                .redirects(0)
                .timeout_connect(CONNECT_TIMEOUT)
                .timeout_read(READ_TIMEOUT)
                .user_agent(concat!("stockade-server/", env!("CARGO_PKG_VERSION")))
                .build(),
            endpoint: endpoint.ok_or_else(|| {
                let text = "HF_ENDPOINT is not a URL such as https://huggingface.co";
                HubError::Unavailable(text.to_owned())
            })?,
            token,
        })
    }

    /// The URL of a path of the Hub.
    ///
    /// # Errors
    /// Returns an error if the path is no part of a URL.
    pub(super) fn url(&self, path: &str) -> Result<Url, HubError> {
        let url = self.endpoint.join(path);
        url.map_err(|error| HubError::Unavailable(format!("{path}: {error}")))
    }

    /// Sends a request, and follows redirects. Only the Hub itself receives the token.
    ///
    /// # Errors
    /// Returns an error if there is no response, or one with a status of 400 or more.
    pub(super) fn get(&self, url: Url, headers: &[(&str, &str)]) -> Result<Answer, HubError> {
        let mut url = url;
        let mut linked_etag = None;
        for _ in 0..=MAX_REDIRECTS {
            let mut request = self.agent.request_url("GET", &url);
            // Compressed bytes could not be resumed.
            request = request.set("Accept-Encoding", "identity");
            for (name, value) in headers {
                request = request.set(name, value);
            }
            if let Some(token) = &self.token
                && url.origin() == self.endpoint.origin()
            {
                request = request.set("Authorization", &format!("Bearer {token}"));
            }
            let response = request.call().map_err(|error| unavailable(&url, &error))?;
            let announced = response.header("X-Linked-Etag");
            linked_etag = linked_etag.or(announced.map(|etag| unquoted(etag).to_owned()));
            if !(300..400).contains(&response.status()) {
                return Ok(Answer {
                    response,
                    linked_etag,
                });
            }
            let location = response.header("Location").unwrap_or_default();
            let next = url.join(location).ok();
            let is_safe = |next: &Url| next.scheme() == "https" || next.scheme() == url.scheme();
            url = next.filter(is_safe).ok_or_else(|| {
                HubError::Unavailable(format!("{} redirects to another scheme", host(&url)))
            })?;
        }
        let text = format!("{} redirects more than {MAX_REDIRECTS} times", host(&url));
        Err(HubError::Unavailable(text))
    }

    /// Reads a JSON response, and the URL of the next page.
    ///
    /// # Errors
    /// As for [`get`](Self::get), and if the response has another form.
    pub(super) fn json<T: DeserializeOwned>(&self, url: Url) -> Result<(T, Option<Url>), HubError> {
        let response = self.get(url.clone(), &[])?.response;
        let next = response.header("Link").and_then(next_page);
        let next = next.and_then(|next| url.join(next).ok());
        let mut bytes = Vec::new();
        let read = response
            .into_reader()
            .take(MAX_JSON)
            .read_to_end(&mut bytes);
        let error = |error: String| {
            let text = format!("unexpected response of {}: {error}", host(&url));
            HubError::Unavailable(text)
        };
        read.map_err(|io| error(io.to_string()))?;
        let value = serde_json::from_slice(&bytes);
        Ok((value.map_err(|json| error(json.to_string()))?, next))
    }
}

/// An entity tag without its quotes.
pub(super) fn unquoted(etag: &str) -> &str {
    etag.trim_start_matches("W/").trim_matches('"')
}

/// The URL with `rel="next"` in a `Link` header (RFC 8288).
fn next_page(link: &str) -> Option<&str> {
    link.split(',').find_map(|link| {
        let (url, parameters) = link.split_once(';')?;
        let is_next = parameters.contains("rel=\"next\"") || parameters.contains("rel=next");
        let url = url.trim().strip_prefix('<')?.strip_suffix('>')?;
        is_next.then_some(url)
    })
}

/// Errors name the host only: URLs of a content delivery network have signatures.
fn host(url: &Url) -> &str {
    url.host_str().unwrap_or_default()
}

fn unavailable(url: &Url, error: &ureq::Error) -> HubError {
    let host = host(url);
    HubError::Unavailable(match error {
        ureq::Error::Status(status @ (401 | 403), _) => format!(
            "{host} refuses access with status {status}: accept the licence of the model, and set \
             HF_TOKEN"
        ),
        ureq::Error::Status(404, _) => format!("{host} has no such repository or file"),
        ureq::Error::Status(status, _) => format!("{host} responds with status {status}"),
        ureq::Error::Transport(error) => {
            let cause = error.message().unwrap_or_default();
            format!("{host}: {} {cause}", error.kind())
                .trim_end()
                .to_owned()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_next_page() {
        let link = "<https://h/a?cursor=1>; rel=\"next\"";
        assert_eq!(next_page(link), Some("https://h/a?cursor=1"));
        assert_eq!(next_page("<https://h/a>; rel=\"prev\""), None);
    }
}
