//! Address prefixes: trusted networks, allow-lists, and buckets of clients.

use std::{error::Error, fmt, net::IpAddr, str::FromStr};

/// An IP network such as `10.0.0.0/8` or `2001:db8::/64`.
///
/// Host bits are cleared, and IPv4-mapped IPv6 addresses become IPv4, so two prefixes
/// are equal exactly when they hold the same addresses.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct IpPrefix {
    address: IpAddr,
    length: u8,
}

impl IpPrefix {
    /// The prefix of this length (in bits) that holds the address.
    ///
    /// # Errors
    /// When the length is over 32 for IPv4 or over 128 for IPv6.
    pub fn new(address: IpAddr, length: u8) -> Result<Self, IpPrefixError> {
        let width = width(address);
        if length > width {
            return Err(IpPrefixError {
                text: format!("{address}/{length}"),
                problem: Problem::Length { width },
            });
        }
        Ok(Self::truncate(address, length))
    }

    /// The prefix that holds just this address.
    pub fn host(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self {
            address,
            length: width(address),
        }
    }

    /// Clears the bits after `length`, which is at most the address's width.
    pub(crate) fn truncate(address: IpAddr, length: u8) -> Self {
        match address {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                Self {
                    address: IpAddr::V4((v4.to_bits() & mask).into()),
                    length,
                }
            }
            IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
                Some(v4) if length >= 96 => Self::truncate(IpAddr::V4(v4), length - 96),
                _ => {
                    let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
                    Self {
                        address: IpAddr::V6((v6.to_bits() & mask).into()),
                        length,
                    }
                }
            },
        }
    }

    /// Whether the address lies in this network. `::ffff:10.0.0.1` lies in `10.0.0.0/8`.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        width(address) == width(self.address)
            && Self::truncate(address, self.length).address == self.address
    }

    /// The network's first address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The network's length in bits.
    pub fn length(&self) -> u8 {
        self.length
    }
}

fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

impl FromStr for IpPrefix {
    type Err = IpPrefixError;

    /// Reads `address` or `address/length`. Host bits may be set, and are cleared.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = |problem| IpPrefixError {
            text: text.to_owned(),
            problem,
        };
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| error(Problem::Address))?;
        match length {
            None => Ok(Self::host(address)),
            // `u8::from_str` would also take a sign.
            Some(length) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
                let width = width(address);
                let length = length
                    .parse()
                    .map_err(|_| error(Problem::Length { width }))?;
                Self::new(address, length).map_err(|_| error(Problem::Length { width }))
            }
            Some(_) => Err(error(Problem::Length {
                width: width(address),
            })),
        }
    }
}

impl fmt::Display for IpPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl fmt::Debug for IpPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpPrefixError {
    text: String,
    problem: Problem,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Problem {
    Address,
    Length { width: u8 },
}

impl fmt::Display for IpPrefixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, problem } = self;
        match problem {
            Problem::Address => write!(
                f,
                "{text:?} is no IP network; write an address or a network like 10.0.0.0/8"
            ),
            Problem::Length { width } => write!(
                f,
                "{text:?} is no IP network; the length after the slash is 0 to {width}"
            ),
        }
    }
}

impl Error for IpPrefixError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_networks_and_addresses() {
        for (text, shown) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("10.1.2.3", "10.1.2.3/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:db8::1/64", "2001:db8::/64"),
            ("::1", "::1/128"),
            ("::ffff:10.1.2.3", "10.1.2.3/32"),
            ("::ffff:10.1.2.3/104", "10.0.0.0/8"),
        ] {
            assert_eq!(
                text.parse::<IpPrefix>().unwrap().to_string(),
                shown,
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_what_is_no_network() {
        for text in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "10.0.0.0/+8",
            "10.0.0.0/",
            "a/8",
            "10.0.0.0/256",
        ] {
            let error = text.parse::<IpPrefix>().unwrap_err();
            assert!(
                error.to_string().contains("is no IP network"),
                "{text}: {error}"
            );
        }
    }

    proptest! {
        #[test]
        fn holds_the_addresses_that_share_its_bits(a: u32, b: u32, length in 0u8..=32) {
            let prefix = IpPrefix::new(IpAddr::V4(a.into()), length).unwrap();
            let same = length == 0 || (a ^ b) >> (32 - length) == 0;
            prop_assert_eq!(prefix.contains(IpAddr::V4(b.into())), same);
        }

        #[test]
        fn holds_the_v6_addresses_that_share_its_bits(a: u128, b: u128, length in 0u8..=128) {
            let prefix = IpPrefix::new(IpAddr::V6(a.into()), length).unwrap();
            let same = length == 0 || (a ^ b) >> (128 - u32::from(length)) == 0;
            prop_assert_eq!(prefix.contains(IpAddr::V6(b.into())), same);
        }
    }
}
