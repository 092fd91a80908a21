//! Extracts the key that a limit counts by.

use std::{borrow::Cow, fmt, sync::Arc};

use http::{HeaderName, request::Parts};
use stockade_core::{
    context::MatchedRoute,
    guard::Head,
    identity::{Identity, Principal},
};

use crate::rate_key::{KeyExtractorError, KeyKind, KeyPart, RateKey};

/// Extracts the key that a limit counts by: requests with the same key share its quotas.
///
/// ```
/// use stockade_rate_limit::KeyExtractor;
///
/// let key = KeyExtractor::route().and(KeyExtractor::principal());
/// # let _ = key;
/// ```
#[derive(Clone, Debug)]
pub struct KeyExtractor {
    parts: Vec<PartExtractor>,
}

/// The key of a request.
pub(crate) struct ExtractedKey<'a> {
    pub(crate) key: RateKey<'a>,
    /// The principal, if the key consists of it alone.
    pub(crate) principal: Option<&'a Principal>,
}

impl<'a> ExtractedKey<'a> {
    fn without_principal(key: RateKey<'a>) -> Self {
        Self {
            key,
            principal: None,
        }
    }
}

#[derive(Clone)]
enum PartExtractor {
    Everything,
    ClientIp { v6_length: u8 },
    Principal { v6_length: u8 },
    PrincipalOnly,
    Route,
    Model,
    Header(HeaderName),
    Closure(Arc<Closure>),
}

type Closure = dyn for<'h> Fn(&'h Parts) -> Option<Cow<'h, str>> + Send + Sync;

/// IPv6 clients are assigned whole networks; /64 is the smallest.
const V6_LENGTH: u8 = 64;

impl KeyExtractor {
    /// One key for all requests.
    pub fn global() -> Self {
        Self::part(PartExtractor::Everything)
    }

    /// The client address, as determined by [`ClientIp`](stockade_core::client::ClientIp); the
    /// /64 network for IPv6.
    ///
    /// If the client address is unknown, the request is refused with a 500.
    pub fn client_ip() -> Self {
        Self::client_ip_prefix(V6_LENGTH)
    }

    /// The client address; for IPv6, the network of this prefix length, sensibly 48 to 128.
    pub fn client_ip_prefix(v6_length: u8) -> Self {
        Self::part(PartExtractor::ClientIp { v6_length })
    }

    /// The principal; the client address for anonymous requests. If no authenticator ran, the
    /// request is refused with a 500.
    ///
    /// If this is the whole key, a principal's own quotas
    /// ([`QuotaOverrides`](stockade_core::identity::QuotaOverrides)) replace those of the
    /// limit.
    pub fn principal() -> Self {
        Self::part(PartExtractor::Principal {
            v6_length: V6_LENGTH,
        })
    }

    /// Like [`principal`](Self::principal), with the IPv6 network of this prefix length,
    /// sensibly 48 to 128.
    pub fn principal_or_prefix(v6_length: u8) -> Self {
        Self::part(PartExtractor::Principal { v6_length })
    }

    /// The principal; anonymous requests are not counted by this limit. Add another limit that
    /// counts those. If no authenticator ran, the request is refused with a 500.
    pub fn dangerous_principal_only() -> Self {
        Self::part(PartExtractor::PrincipalOnly)
    }

    /// The matched route. Requests that matched no route, or were not routed yet, share one
    /// key.
    pub fn route() -> Self {
        Self::part(PartExtractor::Route)
    }

    /// The model that the body asks for. Requests without a model share one key.
    pub fn model() -> Self {
        Self::part(PartExtractor::Model)
    }

    /// The values of a header. Requests without it share one key.
    ///
    /// Clients choose header values freely: use only headers that a trusted proxy sets, or
    /// combine the header with a part that clients cannot choose.
    pub fn header(name: HeaderName) -> Self {
        Self::part(PartExtractor::Header(name))
    }

    /// A value computed from the request head. Requests without a value share one key.
    pub fn from_fn<F>(key: F) -> Self
    where
        F: for<'h> Fn(&'h Parts) -> Option<Cow<'h, str>> + Send + Sync + 'static,
    {
        Self::part(PartExtractor::Closure(Arc::new(key)))
    }

    /// Combines both: `KeyExtractor::route().and(KeyExtractor::principal())` counts each route
    /// of each principal separately.
    pub fn and(mut self, other: Self) -> Self {
        self.parts.extend(other.parts);
        self
    }

    /// Extracts the key of a request; `None` if this extractor does not count it.
    ///
    /// # Errors
    /// If the client address is required but unknown, or the principal but no authenticator
    /// ran.
    pub fn extract<'a>(&'a self, head: &'a Head) -> Result<Option<RateKey<'a>>, KeyExtractorError> {
        RateKey::of(self, head)
    }

    /// Extracts the key, and the principal if it is the whole key.
    #[inline]
    pub(crate) fn extract_with_principal<'a>(
        &'a self,
        head: &'a Head,
    ) -> Result<Option<ExtractedKey<'a>>, KeyExtractorError> {
        // One component is the common case; everything it needs is looked up once.
        let [part] = &self.parts[..] else {
            return self.extract_parts(head);
        };
        // The two most common kinds need no allocation.
        let (name, principal) = match part {
            PartExtractor::ClientIp { v6_length } => {
                let name = client(head, *v6_length)?;
                let key = RateKey::single(self, head, &name);
                return Ok(Some(ExtractedKey::without_principal(key)));
            }
            _ => match part.principal(head) {
                Some(principal) => (of_principal(principal), Some(principal)),
                None => match part.name(head, None)? {
                    Some(name) => (name, None),
                    None => return Ok(None),
                },
            },
        };
        let key = RateKey::single(self, head, &name);
        Ok(Some(ExtractedKey { key, principal }))
    }

    fn extract_parts<'a>(
        &'a self,
        head: &'a Head,
    ) -> Result<Option<ExtractedKey<'a>>, KeyExtractorError> {
        let key = self.extract(head)?;
        Ok(key.map(ExtractedKey::without_principal))
    }

    /// Whether the key is the principal alone.
    pub(crate) fn is_principal(&self) -> bool {
        matches!(
            self.parts[..],
            [PartExtractor::Principal { .. } | PartExtractor::PrincipalOnly]
        )
    }

    /// Visits each component of the key in order; `false` if the request is not counted.
    pub(crate) fn visit<'a>(
        &'a self,
        head: &'a Head,
        mut visit: impl FnMut(KeyPart<'a>),
    ) -> Result<bool, KeyExtractorError> {
        for part in &self.parts {
            match part.name(head, part.principal(head))? {
                Some(name) => visit(name),
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    fn part(part: PartExtractor) -> Self {
        Self { parts: vec![part] }
    }
}

impl PartExtractor {
    /// The principal, if this component is one.
    #[inline]
    fn principal<'a>(&self, head: &'a Head) -> Option<&'a Principal> {
        match self {
            Self::Principal { .. } | Self::PrincipalOnly => head.context().principal(),
            _ => None,
        }
    }

    fn name<'a>(
        &'a self,
        head: &'a Head,
        principal: Option<&'a Principal>,
    ) -> Result<Option<KeyPart<'a>>, KeyExtractorError> {
        if let Some(principal) = principal {
            return Ok(Some(of_principal(principal)));
        }
        Ok(Some(match self {
            Self::Everything => KeyPart::None(KeyKind::Everything),
            Self::ClientIp { v6_length } => client(head, *v6_length)?,
            Self::Principal { v6_length } => {
                authenticator_ran(head)?;
                client(head, *v6_length)?
            }
            Self::PrincipalOnly => {
                authenticator_ran(head)?;
                return Ok(None);
            }
            Self::Route => {
                let route = head.context().route();
                text(KeyKind::Route, route.map(MatchedRoute::as_str))
            }
            Self::Model => {
                let demand = head.context().model_request();
                let model = demand.and_then(|demand| demand.model.as_deref());
                text(KeyKind::Model, model)
            }
            Self::Header(name) => header(head, name),
            Self::Closure(key) => match key(head) {
                Some(Cow::Borrowed(text)) => KeyPart::Text(KeyKind::Custom, text.as_bytes().into()),
                Some(Cow::Owned(text)) => KeyPart::Text(KeyKind::Custom, text.into_bytes().into()),
                None => KeyPart::None(KeyKind::Custom),
            },
        }))
    }
}

#[inline]
fn of_principal(principal: &Principal) -> KeyPart<'_> {
    text(KeyKind::Principal, Some(principal.id()))
}

#[inline]
fn text(kind: KeyKind, text: Option<&str>) -> KeyPart<'_> {
    match text {
        Some(text) => KeyPart::Text(kind, Cow::Borrowed(text.as_bytes())),
        None => KeyPart::None(kind),
    }
}

#[inline]
fn client(head: &Head, v6_length: u8) -> Result<KeyPart<'static>, KeyExtractorError> {
    let client = head.context().client().ok_or(KeyExtractorError::CLIENT)?;
    Ok(KeyPart::Client(client.bucket(v6_length)))
}

/// Without an authenticator, it is unknown whether the request has a principal.
fn authenticator_ran(head: &Head) -> Result<(), KeyExtractorError> {
    match head.context().identity() {
        Identity::Unchecked => Err(KeyExtractorError::IDENTITY),
        Identity::Authenticated(_) | Identity::Anonymous => Ok(()),
    }
}

/// All values of a header, joined as one list.
fn header<'a>(head: &'a Head, name: &HeaderName) -> KeyPart<'a> {
    let mut values = head.headers.get_all(name).iter();
    let Some(first) = values.next() else {
        return KeyPart::None(KeyKind::Header);
    };
    let mut text = Cow::Borrowed(first.as_bytes());
    for value in values {
        let text = text.to_mut();
        text.push(b',');
        text.extend_from_slice(value.as_bytes());
    }
    KeyPart::Text(KeyKind::Header, text)
}

impl fmt::Debug for PartExtractor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Everything => "everything",
            Self::ClientIp { .. } => "client ip",
            Self::Principal { .. } => "principal or client ip",
            Self::PrincipalOnly => "principal only",
            Self::Route => "route",
            Self::Model => "model",
            Self::Header(name) => name.as_str(),
            Self::Closure(_) => "closure",
        })
    }
}
