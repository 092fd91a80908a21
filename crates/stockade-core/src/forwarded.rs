//! The hops that proxies write into headers, read from the right.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::{HeaderMap, HeaderName, header::FORWARDED};

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Shows each hop, nearest first, until `visit` says no. `None` is a hop without address.
type Visit<'v> = &'v mut dyn FnMut(Option<IpAddr>) -> bool;

/// `X-Forwarded-For: client, proxy1, proxy2`, over all lines of the header.
pub(crate) fn x_forwarded_for(headers: &HeaderMap, visit: Visit<'_>) {
    for line in headers.get_all(&X_FORWARDED_FOR).iter().rev() {
        for hop in line.as_bytes().rsplit(|byte| *byte == b',') {
            if !visit(address(hop.trim_ascii())) {
                return;
            }
        }
    }
}

/// `Forwarded: for=client;proto=https, for="[::1]:80"` (RFC 7239), over all lines.
pub(crate) fn forwarded(headers: &HeaderMap, visit: Visit<'_>) {
    for line in headers.get_all(FORWARDED).iter().rev() {
        let Some(elements) = split_unquoted(line.as_bytes(), b',') else {
            visit(None);
            return;
        };
        for element in elements.into_iter().rev() {
            if !visit(for_parameter(element)) {
                return;
            }
        }
    }
}

/// The address of an element's one `for=` parameter.
fn for_parameter(element: &[u8]) -> Option<IpAddr> {
    let mut found = None;
    for pair in split_unquoted(element, b';')? {
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (&pair[..equals], &pair[equals + 1..]);
        if name.trim_ascii().eq_ignore_ascii_case(b"for") && found.replace(value).is_some() {
            return None;
        }
    }
    let value = found?.trim_ascii();
    let value = value
        .strip_prefix(b"\"")
        .and_then(|value| value.strip_suffix(b"\""))
        .unwrap_or(value);
    address(value)
}

/// Splits at a separator outside quoted strings; `None` when a quote is not closed.
fn split_unquoted(text: &[u8], separator: u8) -> Option<Vec<&[u8]>> {
    let mut parts = Vec::new();
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (at, byte) in text.iter().copied().enumerate() {
        if escaped {
            escaped = false;
        } else if quoted && byte == b'\\' {
            escaped = true;
        } else if byte == b'"' {
            quoted = !quoted;
        } else if byte == separator && !quoted {
            parts.push(&text[start..at]);
            start = at + 1;
        }
    }
    parts.push(&text[start..]);
    (!quoted).then_some(parts)
}

/// An address as proxies write it: bare, with a port, in brackets, with a zone.
pub(crate) fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        return (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
            .then(|| v6(address))
            .flatten();
    }
    if let Some((address, port)) = text.split_once(':')
        && let Ok(v4) = address.parse::<Ipv4Addr>()
    {
        return is_port(port).then_some(v4.into());
    }
    text.parse::<Ipv4Addr>()
        .ok()
        .map(IpAddr::V4)
        .or_else(|| v6(text))
}

/// An IPv6 address; its zone says which link it is on, not who it is.
fn v6(text: &str) -> Option<IpAddr> {
    let address = text
        .split_once('%')
        .map_or(text, |(address, _zone)| address);
    address.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}
