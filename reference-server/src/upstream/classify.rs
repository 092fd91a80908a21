//! Maps errors of the HTTP client to kinds.

use std::{error::Error, io};

use super::UpstreamErrorKind;

/// The kind of an error before the head of the response.
pub(super) fn request_error(error: &hyper_util::client::legacy::Error) -> UpstreamErrorKind {
    if error.is_connect() {
        return match find::<rustls::Error>(error) {
            Some(_) => UpstreamErrorKind::Tls,
            None => UpstreamErrorKind::Connect,
        };
    }
    // The upstream has not processed the request (RFC 9113, 8.7), as without a connection.
    let reason = find(error).and_then(h2::Error::reason);
    if reason == Some(h2::Reason::REFUSED_STREAM) {
        return UpstreamErrorKind::Connect;
    }
    match find::<hyper::Error>(error) {
        Some(error) => exchange_error(error),
        None => UpstreamErrorKind::Reset,
    }
}

/// The kind of an error after the connection was made.
pub(super) fn exchange_error(error: &hyper::Error) -> UpstreamErrorKind {
    if error.is_parse_too_large() {
        return UpstreamErrorKind::TooLarge;
    }
    if error.is_parse() {
        return UpstreamErrorKind::Protocol;
    }
    // The stream was reset by this side, because a frame breaks the protocol or is too large.
    if find(error).is_some_and(h2::Error::is_library) {
        return UpstreamErrorKind::Protocol;
    }
    // Malformed chunks have these kinds; a connection that ends early has others.
    match find::<io::Error>(error).map(io::Error::kind) {
        Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => {
            UpstreamErrorKind::Protocol
        }
        _ => UpstreamErrorKind::Reset,
    }
}

/// Finds an error of this type among the error and its sources.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // The source of an I/O error skips the error that it wraps.
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        next = wrapped.map(|error| error as _).or_else(|| error.source());
    }
    None
}
