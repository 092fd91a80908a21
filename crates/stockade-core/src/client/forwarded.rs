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
        let mut rest = Some(line.as_bytes());
        while let Some(line) = rest {
            let (left, element) = split_last_element(line);
            if !visit(for_parameter(element)) {
                return;
            }
            rest = left;
        }
    }
}

/// The one address of a header that holds nothing else.
///
/// Where there are several, the last one is the one that the proxy added: a client can only
/// write the text before it.
pub(crate) fn single(headers: &HeaderMap, name: &HeaderName, visit: Visit<'_>) {
    let line = headers.get_all(name).iter().next_back();
    if let Some(last) = line.and_then(|line| line.as_bytes().rsplit(|byte| *byte == b',').next()) {
        visit(address(last.trim_ascii()));
    }
}

/// The last element of a line, and the text before its comma.
///
/// Read from the right, so that what a client wrote on the left cannot change it: in an
/// element that is well formed each quoted string is closed within it, and a quote that no
/// backslash escapes opens the string.
fn split_last_element(line: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let mut end = line.len();
    while let Some(at) = line[..end]
        .iter()
        .rposition(|byte| matches!(byte, b',' | b'"'))
    {
        if line[at] == b',' {
            return (Some(&line[..at]), &line[at + 1..]);
        }
        match opening_quote(&line[..at]) {
            Some(opening) => end = opening,
            // Not well formed: it reaches to the start of the line.
            None => break,
        }
    }
    (None, line)
}

/// Where the quoted string begins whose closing quote comes after `text`.
fn opening_quote(text: &[u8]) -> Option<usize> {
    let mut end = text.len();
    while let Some(at) = text[..end].iter().rposition(|byte| *byte == b'"') {
        let backslashes = text[..at].iter().rev().take_while(|byte| **byte == b'\\');
        let backslashes = backslashes.count();
        if backslashes % 2 == 0 {
            return Some(at);
        }
        end = at - backslashes;
    }
    None
}

/// The address of an element's one `for=` parameter.
fn for_parameter(element: &[u8]) -> Option<IpAddr> {
    let (mut found, mut rest) = (None, Some(element));
    while let Some(text) = rest {
        let (pair, after) = split_first_pair(text)?;
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (&pair[..equals], &pair[equals + 1..]);
        if name.trim_ascii().eq_ignore_ascii_case(b"for") && found.replace(value).is_some() {
            return None;
        }
        rest = after;
    }
    let value = found?.trim_ascii();
    let value = value
        .strip_prefix(b"\"")
        .and_then(|value| value.strip_suffix(b"\""))
        .unwrap_or(value);
    address(value)
}

/// The part before the first semicolon outside quoted strings, and what follows it; `None`
/// when a quote is not closed.
fn split_first_pair(text: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.iter().copied().enumerate() {
        if escaped {
            escaped = false;
        } else if quoted && byte == b'\\' {
            escaped = true;
        } else if byte == b'"' {
            quoted = !quoted;
        } else if byte == b';' && !quoted {
            return Some((&text[..at], Some(&text[at + 1..])));
        }
    }
    (!quoted).then_some((text, None))
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

/// An IPv6 address without its zone, which names a link and not a client.
fn v6(text: &str) -> Option<IpAddr> {
    let address = text
        .split_once('%')
        .map_or(text, |(address, _zone)| address);
    address.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}
