//! The key that a limit counts by.

use std::{
    borrow::Cow,
    error::Error,
    fmt::{self, Write},
    hash::{BuildHasher, Hasher},
    net::IpAddr,
    sync::LazyLock,
};

use foldhash::quality::RandomState;
use stockade_core::{
    client::{ClientBucket, IpPrefix},
    guard::Head,
    refusal::Refusal,
};

use crate::KeyExtractor;

/// The key that a limit counts by: an address, a principal, a route, or a combination.
///
/// Created without an allocation. Stores in memory use the digest; stores shared with other
/// processes use the text.
#[derive(Clone, Copy)]
pub struct RateKey<'a> {
    digest: u64,
    source: Source<'a>,
}

#[derive(Clone, Copy)]
enum Source<'a> {
    Head {
        extractor: &'a KeyExtractor,
        head: &'a Head,
    },
    Text(&'a str),
}

/// One component of a key.
pub(crate) enum KeyPart<'a> {
    /// The request has no value for this kind.
    None(KeyKind),
    Client(ClientBucket),
    Text(KeyKind, Cow<'a, [u8]>),
}

/// The kind of a component.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KeyKind {
    Everything,
    Principal,
    Route,
    Model,
    Header,
    Custom,
    Named,
}

impl<'a> RateKey<'a> {
    pub(crate) fn of(
        extractor: &'a KeyExtractor,
        head: &'a Head,
    ) -> Result<Option<Self>, KeyExtractorError> {
        let mut hasher = seed().build_hasher();
        let extracted = extractor.visit(head, |name| name.hash(&mut hasher))?;
        Ok(extracted.then(|| Self {
            digest: hasher.finish(),
            source: Source::Head { extractor, head },
        }))
    }

    /// The key with this one component.
    #[inline(always)]
    pub(crate) fn single(extractor: &'a KeyExtractor, head: &'a Head, name: &KeyPart<'_>) -> Self {
        let mut hasher = seed().build_hasher();
        name.hash(&mut hasher);
        Self {
            digest: hasher.finish(),
            source: Source::Head { extractor, head },
        }
    }

    /// A 64-bit digest, keyed randomly per process and valid in this process only.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// The text of the key, the same in every process and unique to the key: visible ASCII
    /// without spaces, such as `ip:192.0.2.1/32` or `route:/v1/chat|principal:k1`.
    ///
    /// Its length is not bounded if clients choose a component, such as a header.
    pub fn text(&self) -> Cow<'a, str> {
        match self.source {
            Source::Text(text) => Cow::Borrowed(text),
            Source::Head { extractor, head } => {
                let mut text = String::with_capacity(USUAL_TEXT);
                extractor
                    .visit(head, |name| name.write(&mut text))
                    .expect("the key was extracted before");
                Cow::Owned(text)
            }
        }
    }

    /// The counted address, if the key is the address of a client and nothing else. For a prefix,
    /// it is the first address.
    pub fn client_ip(&self) -> Option<IpAddr> {
        match self.source {
            Source::Text(text) => {
                let prefix: IpPrefix = text.strip_prefix("ip:")?.parse().ok()?;
                Some(prefix.address())
            }
            Source::Head { extractor, head } => {
                let (mut address, mut parts) = (None, 0);
                let visit = |part: KeyPart<'_>| {
                    parts += 1;
                    if let KeyPart::Client(ClientBucket::Ip(prefix)) = part {
                        address = Some(prefix.address());
                    }
                };
                extractor
                    .visit(head, visit)
                    .expect("the key was extracted before");
                address.filter(|_| parts == 1)
            }
        }
    }
}

/// Longer than every address and most ids.
const USUAL_TEXT: usize = 48;

/// A key that outlives its request.
#[derive(Clone, Debug)]
pub(crate) struct OwnedRateKey {
    digest: u64,
    text: Box<str>,
}

impl OwnedRateKey {
    pub(crate) fn new(key: &RateKey<'_>) -> Self {
        Self {
            digest: key.digest,
            text: key.text().into(),
        }
    }

    pub(crate) fn named(text: &str) -> Self {
        let name = KeyPart::Text(KeyKind::Named, Cow::Borrowed(text.as_bytes()));
        let mut hasher = seed().build_hasher();
        let mut text = String::new();
        name.hash(&mut hasher);
        name.write(&mut text);
        Self {
            digest: hasher.finish(),
            text: text.into(),
        }
    }

    pub(crate) fn as_key(&self) -> RateKey<'_> {
        RateKey {
            digest: self.digest,
            source: Source::Text(&self.text),
        }
    }
}

/// Random per process, so that clients cannot construct collisions.
#[inline]
pub(crate) fn seed() -> &'static RandomState {
    static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::default);
    &SEED
}

impl KeyPart<'_> {
    /// Starts with a word whose upper byte identifies the kind, so that no two keys hash the
    /// same bytes.
    #[inline(always)]
    fn hash(&self, hasher: &mut impl Hasher) {
        const WHAT: u32 = 56;
        match self {
            Self::None(kind) => hasher.write_u64(*kind as u64),
            Self::Client(ClientBucket::UnixSocket) => hasher.write_u64(1 << WHAT),
            Self::Client(ClientBucket::Ip(prefix)) => match prefix.address() {
                IpAddr::V4(v4) => hasher.write_u64(2 << WHAT | u64::from(v4.to_bits())),
                IpAddr::V6(v6) => {
                    hasher.write_u64(3 << WHAT | u64::from(prefix.length()));
                    hasher.write_u128(v6.to_bits());
                }
            },
            Self::Text(kind, text) => {
                // No text is long enough for its length to reach the upper byte.
                hasher.write_u64((4 + *kind as u64) << WHAT | text.len() as u64);
                hasher.write(text);
            }
        }
    }

    fn write(&self, out: &mut String) {
        if !out.is_empty() {
            out.push('|');
        }
        match self {
            Self::None(kind) => out.push_str(kind.text()),
            Self::Client(ClientBucket::UnixSocket) => out.push_str("unix"),
            Self::Client(ClientBucket::Ip(prefix)) => {
                out.push_str("ip:");
                write_network(prefix, out);
            }
            Self::Text(kind, text) => {
                out.push_str(kind.text());
                out.push(':');
                for &byte in text.iter() {
                    if byte.is_ascii_graphic() && !matches!(byte, b'|' | b'%') {
                        out.push(char::from(byte));
                    } else {
                        write!(out, "%{byte:02X}").expect("writing to a string never fails");
                    }
                }
            }
        }
    }
}

/// Writes `192.0.2.1/32`; several times faster than the formatter of `Ipv4Addr`.
fn write_network(network: &IpPrefix, out: &mut String) {
    let IpAddr::V4(address) = network.address() else {
        return write!(out, "{network}").expect("writing to a string never fails");
    };
    let mut digits = itoa::Buffer::new();
    let ends = ['.', '.', '.', '/'];
    for (octet, end) in address.octets().into_iter().zip(ends) {
        out.push_str(digits.format(octet));
        out.push(end);
    }
    out.push_str(digits.format(network.length()));
}

impl KeyKind {
    fn text(self) -> &'static str {
        match self {
            Self::Everything => "all",
            Self::Principal => "principal",
            Self::Route => "route",
            Self::Model => "model",
            Self::Header => "header",
            Self::Custom => "custom",
            Self::Named => "named",
        }
    }
}

impl fmt::Debug for RateKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RateKey").field(&self.text()).finish()
    }
}

/// The error for requests that lack what their key is extracted from: the server is
/// misconfigured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyExtractorError {
    cause: &'static str,
}

impl KeyExtractorError {
    pub(crate) const CLIENT: Self = Self {
        cause: "no client address: add a `ContextLayer` outside of the limit, or insert \
                a `PeerAddr` into the request's extensions for each connection",
    };

    pub(crate) const IDENTITY: Self = Self {
        cause: "no identity: add an authentication layer outside of the limit by principal, \
                or count by the client's address",
    };

    /// The refusal for such a request: a 500 whose internal reason names what is missing.
    pub fn refusal(&self) -> Refusal {
        Refusal::not_configured(self.cause)
    }
}

impl fmt::Display for KeyExtractorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.cause)
    }
}

impl Error for KeyExtractorError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn networks_are_written_like_display(
            address in any::<IpAddr>(),
            length in 0..=128_u8,
        ) {
            let length = if address.is_ipv4() { length % 33 } else { length };
            let network = IpPrefix::new(address, length).unwrap();
            let mut text = String::new();
            write_network(&network, &mut text);
            prop_assert_eq!(text, network.to_string());
        }
    }
}
