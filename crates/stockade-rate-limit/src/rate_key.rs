//! Whom or what a limit counts.

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

/// Whom or what a limit counts: an address, a principal, a route, or several together.
///
/// Made without an allocation. What keeps the subjects of one process takes the digest;
/// what shares them with other processes takes the text.
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

/// One part of a subject.
pub(crate) enum KeyPart<'a> {
    /// Nothing by which requests of this kind could be told apart.
    None(KeyKind),
    Client(ClientBucket),
    Text(KeyKind, Cow<'a, [u8]>),
}

/// What one part of a subject is.
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

    /// The subject whose one part has this name.
    #[inline(always)]
    pub(crate) fn single(extractor: &'a KeyExtractor, head: &'a Head, name: &KeyPart<'_>) -> Self {
        let mut hasher = seed().build_hasher();
        name.hash(&mut hasher);
        Self {
            digest: hasher.finish(),
            source: Source::Head { extractor, head },
        }
    }

    /// A digest under a key of this process: 64 bits, of no use to any other process.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// A text that is the same in every process, and no other subject's: visible ASCII
    /// without spaces, such as `ip:192.0.2.1/32` or `route:/v1/chat|principal:k1`.
    ///
    /// What clients choose, such as a header, makes it as long as they like.
    pub fn text(&self) -> Cow<'a, str> {
        match self.source {
            Source::Text(text) => Cow::Borrowed(text),
            Source::Head { extractor, head } => {
                let mut text = String::with_capacity(USUAL_TEXT);
                extractor
                    .visit(head, |name| name.write(&mut text))
                    .expect("found when the subject was made");
                Cow::Owned(text)
            }
        }
    }
}

/// No address and few ids are longer.
const USUAL_TEXT: usize = 48;

/// A subject that outlives its request.
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

/// One key a process, so that nobody can send what falls together.
#[inline]
pub(crate) fn seed() -> &'static RandomState {
    static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::default);
    &SEED
}

impl KeyPart<'_> {
    /// Begins with one number for each name, whose upper byte says what follows: so no two
    /// subjects are hashed as the same bytes.
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
                // No text is so long that its length has an upper byte.
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
                        write!(out, "%{byte:02X}").expect("a string takes every text");
                    }
                }
            }
        }
    }
}

/// `192.0.2.1/32`. A formatter takes more time for an IPv4 address than all else that a
/// token budget does for it.
fn write_network(network: &IpPrefix, out: &mut String) {
    let IpAddr::V4(address) = network.address() else {
        return write!(out, "{network}").expect("a string takes every text");
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
            Self::Custom => "own",
            Self::Named => "named",
        }
    }
}

impl fmt::Debug for RateKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Subject").field(&self.text()).finish()
    }
}

/// A request that does not say what it has to be counted by: the server is wired wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyExtractorError {
    cause: &'static str,
}

impl KeyExtractorError {
    pub(crate) const CLIENT: Self = Self {
        cause: "no client address: put a layer of `ContextGuard` outside of the limit, or insert \
                a `PeerAddr` into the request's extensions for each connection",
    };

    /// The refusal of such a request: a 500 that says to the audit log what is missing.
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
        fn a_network_is_written_as_everybody_writes_it(
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
