//! The settings of logins at an identity provider.

use std::{
    collections::BTreeMap,
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Deserializer, de::Error as _};
use url::{Host, Url};

/// `[admin.oidc]`: logins at an OpenID Connect provider.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct OidcConfig {
    /// The issuer, whose `/.well-known/openid-configuration` is read at the first login.
    pub issuer: OidcUrl,
    /// The id of this client at the provider.
    pub client_id: String,
    /// The file with the secret of this client.
    pub client_secret_file: PathBuf,
    /// The origin under which browsers open the administration, such as
    /// `https://admin.example.com`. The provider must allow the redirect URI
    /// `https://admin.example.com/admin/oidc/callback`.
    #[serde(deserialize_with = "origin")]
    pub public_url: OidcUrl,
    /// The name of the provider on the login page.
    #[serde(default = "default_name")]
    pub name: String,
    /// The claim of the ID token with the roles or groups of a user: a text, or a list of texts.
    #[serde(default = "default_role_claim")]
    pub role_claim: String,
    /// The role for each value of the claim. Users without any of these values are refused; with
    /// several, the role with the most permissions applies.
    pub roles: BTreeMap<String, String>,
}

/// An HTTPS URL without user, query and fragment; HTTP is allowed on loopback.
#[derive(Clone, PartialEq, Eq)]
pub struct OidcUrl(String);

impl OidcConfig {
    /// Resolves the path of the secret against this folder.
    pub(super) fn resolve_paths(&mut self, folder: &Path) {
        self.client_secret_file = folder.join(&self.client_secret_file);
    }

    /// Whether browsers open the administration over HTTPS.
    pub(crate) fn is_https(&self) -> bool {
        self.public_url.0.starts_with("https:")
    }

    /// Where the provider sends browsers after a login.
    pub(crate) fn redirect_uri(&self) -> String {
        format!("{}/admin/oidc/callback", self.public_url.trimmed())
    }
}

impl OidcUrl {
    /// The text as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text without a slash at its end.
    pub(crate) fn trimmed(&self) -> &str {
        self.0.trim_end_matches('/')
    }
}

impl TryFrom<String> for OidcUrl {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let url = Url::parse(&text)
            .map_err(|_| "must be a URL such as `https://login.example.com/realms/staff`")?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must not have a user name or a password");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("must not have a query or a fragment");
        }
        match url.scheme() {
            "https" => Ok(Self(text)),
            "http" if is_loopback(&url) => Ok(Self(text)),
            _ => Err("must begin with `https://`; `http://` is allowed on loopback"),
        }
    }
}

impl<'de> Deserialize<'de> for OidcUrl {
    fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
    where
        D: Deserializer<'de>,
    {
        Self::try_from(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl fmt::Debug for OidcUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

fn origin<'de, D>(deserializer: D) -> Result<OidcUrl, D::Error>
where
    D: Deserializer<'de>,
{
    let url = OidcUrl::deserialize(deserializer)?;
    let path = Url::parse(url.as_str()).map(|parsed| parsed.path().to_owned());
    match path.as_deref() {
        Ok("/") => Ok(url),
        _ => Err(D::Error::custom(
            "must be an origin without a path, such as `https://admin.example.com`",
        )),
    }
}

/// Whether the host is `localhost` or a loopback address.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::from(ip).to_canonical().is_loopback(),
        None => false,
    }
}

fn default_name() -> String {
    "single sign-on".to_owned()
}

fn default_role_claim() -> String {
    "roles".to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn plain_http_is_for_loopback() {
        for (text, valid) in [
            ("https://login.example.com/realms/staff", true),
            ("http://127.0.0.1:8080", true),
            ("http://localhost/", true),
            ("http://[::1]:9", true),
            ("http://login.example.com", false),
            ("http://127.0.0.1.example.com", false),
            ("https://user:secret@login.example.com", false),
            ("https://login.example.com?a=b", false),
            ("https://login.example.com#a", false),
            ("file:///etc/passwd", false),
            ("login.example.com", false),
        ] {
            let parsed = OidcUrl::try_from(text.to_owned());
            assert_eq!(parsed.is_ok(), valid, "{text}");
        }
    }

    #[test]
    fn the_url_is_an_origin() {
        let config = |url: &str| {
            let value = json!({
                "issuer": "https://login.example.com",
                "client_id": "stockade",
                "client_secret_file": "secret",
                "public_url": url,
                "roles": { "staff": "viewer" },
            });
            serde_json::from_value::<OidcConfig>(value)
        };
        let redirect = "https://admin.example.com/admin/oidc/callback";
        for url in ["https://admin.example.com", "https://admin.example.com/"] {
            let config = config(url).unwrap();
            assert_eq!(config.redirect_uri(), redirect);
            assert!(config.is_https());
        }
        let error = config("https://admin.example.com/stockade").unwrap_err();
        assert!(error.to_string().contains("without a path"), "{error}");
    }
}
