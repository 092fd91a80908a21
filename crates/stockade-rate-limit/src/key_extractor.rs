//! What a limit counts by.

use std::{borrow::Cow, fmt, sync::Arc};

use http::{HeaderName, request::Parts};
use stockade_core::{context::MatchedRoute, guard::Head, identity::Principal};

use crate::rate_key::{KeyExtractorError, KeyKind, KeyPart, RateKey};

/// What a limit counts by: whatever has the same subject shares its quotas.
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

/// Whom or what a request is counted for.
pub(crate) struct ExtractedKey<'a> {
    pub(crate) key: RateKey<'a>,
    /// The principal, where it is all that is counted by.
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

/// IPv6 clients own whole networks; this is the smallest that is given out.
const V6_LENGTH: u8 = 64;

impl KeyExtractor {
    /// Everything together.
    pub fn global() -> Self {
        Self::part(PartExtractor::Everything)
    }

    /// The client's address, as [`ClientIp`](stockade_core::client::ClientIp) knows it; the network of
    /// 64 bits for IPv6.
    ///
    /// Where nobody says what the address is, the request is refused with a 500.
    pub fn client_ip() -> Self {
        Self::client_ip_prefix(V6_LENGTH)
    }

    /// The client's address; for IPv6 the network of this length, of which 48 to 128 make
    /// sense.
    pub fn client_ip_prefix(v6_length: u8) -> Self {
        Self::part(PartExtractor::ClientIp { v6_length })
    }

    /// The principal; the client's address where it is anonymous or nobody authenticated
    /// the request.
    ///
    /// Counted by this alone, a principal's own quotas
    /// ([`QuotaOverrides`](stockade_core::identity::QuotaOverrides)) come in place of the limit's.
    pub fn principal() -> Self {
        Self::part(PartExtractor::Principal {
            v6_length: V6_LENGTH,
        })
    }

    /// The same as [`principal`](Self::principal), where IPv6 addresses count by the network
    /// of this length, of which 48 to 128 make sense.
    pub fn principal_or_prefix(v6_length: u8) -> Self {
        Self::part(PartExtractor::Principal { v6_length })
    }

    /// The principal; a request without one is not counted by this limit at all. Put
    /// another limit beside it that counts those.
    pub fn dangerous_principal_only() -> Self {
        Self::part(PartExtractor::PrincipalOnly)
    }

    /// The route that the router matched. What matched none, or was not shown to a router
    /// yet, shares one subject.
    pub fn route() -> Self {
        Self::part(PartExtractor::Route)
    }

    /// The model that the body asks for. What names none shares one subject.
    pub fn model() -> Self {
        Self::part(PartExtractor::Model)
    }

    /// The values of a header. What lacks it shares one subject.
    ///
    /// A client can send what it likes: count by this only what a proxy in front sets, or
    /// together with something that the client does not choose.
    pub fn header(name: HeaderName) -> Self {
        Self::part(PartExtractor::Header(name))
    }

    /// Whatever a closure reads in the head. What it finds nothing in shares one subject.
    pub fn from_fn<F>(key: F) -> Self
    where
        F: for<'h> Fn(&'h Parts) -> Option<Cow<'h, str>> + Send + Sync + 'static,
    {
        Self::part(PartExtractor::Closure(Arc::new(key)))
    }

    /// Both together: `KeyExtractor::route().and(KeyExtractor::principal())` counts each route of each
    /// principal by itself.
    pub fn and(mut self, other: Self) -> Self {
        self.parts.extend(other.parts);
        self
    }

    /// The subject of a request; `None` where this does not count it.
    ///
    /// # Errors
    /// When the request does not tell who the client is, but has to.
    pub fn extract<'a>(&'a self, head: &'a Head) -> Result<Option<RateKey<'a>>, KeyExtractorError> {
        RateKey::of(self, head)
    }

    /// The subject of a request, and the principal where that is all that this counts by.
    #[inline]
    pub(crate) fn extract_with_principal<'a>(
        &'a self,
        head: &'a Head,
    ) -> Result<Option<ExtractedKey<'a>>, KeyExtractorError> {
        // One part is the usual case, and whatever it needs of the request is looked up once.
        let [part] = &self.parts[..] else {
            return self.extract_parts(head);
        };
        // The two that every server has are known apart: their names need no memory.
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

    /// Whether it counts by the principal alone.
    pub(crate) fn is_principal(&self) -> bool {
        matches!(
            self.parts[..],
            [PartExtractor::Principal { .. } | PartExtractor::PrincipalOnly]
        )
    }

    /// Shows each part of the subject, in order; `false` where this does not count it.
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
    /// The principal, where this part is one; the same that [`name`](Self::name) needs.
    #[inline]
    fn principal<'a>(&self, head: &'a Head) -> Option<&'a Principal> {
        match self {
            Self::Principal { .. } | Self::PrincipalOnly => head
                .principal()
                .filter(|principal| !principal.is_anonymous()),
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
            Self::ClientIp { v6_length } | Self::Principal { v6_length } => {
                client(head, *v6_length)?
            }
            Self::PrincipalOnly => return Ok(None),
            Self::Route => {
                let route = head.route();
                text(KeyKind::Route, route.map(MatchedRoute::as_str))
            }
            Self::Model => {
                let demand = head.demand();
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
    let client = head.client().ok_or(KeyExtractorError::CLIENT)?;
    Ok(KeyPart::Client(client.bucket(v6_length)))
}

/// All values of a header, as if they were one list.
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
