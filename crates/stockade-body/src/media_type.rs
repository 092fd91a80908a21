//! Parses the `Content-Type` of a request.
//!
//! The crate `mime` does not serve: it refuses the white space that RFC 9110 allows before a
//! parameter (`application/json ; charset=utf-8`).

use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};

/// The declared media type; `None` if the header is absent or repeated.
fn declared(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    values.next().filter(|_| values.next().is_none())
}

/// The declared type without parameters, in lower case.
pub(crate) fn essence(headers: &HeaderMap) -> Option<String> {
    let declared = declared(headers)?.to_str().ok()?;
    let essence = declared.split(';').next()?;
    Some(essence.trim().to_ascii_lowercase())
}

/// Whether the declared type is one of these (lower case, without parameters) and names no
/// charset other than UTF-8.
pub(crate) fn is_one_of<T>(headers: &HeaderMap, types: &[T]) -> bool
where
    T: AsRef<str>,
{
    let Some(declared) = declared(headers) else {
        return false;
    };
    // The form that most clients send.
    let mut known = types.iter().map(AsRef::as_ref);
    if known.any(|known| declared.as_bytes() == known.as_bytes()) {
        return true;
    }
    let Ok(declared) = declared.to_str() else {
        return false;
    };
    let mut parts = declared.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let is_known = |known: &T| essence.eq_ignore_ascii_case(known.as_ref());
    types.iter().any(is_known) && parts.all(is_utf8)
}

/// Whether a parameter permits UTF-8.
fn is_utf8(parameter: &str) -> bool {
    match parameter.split_once('=') {
        Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
            value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    }
}

/// The boundary of a multipart form.
#[cfg(feature = "multipart")]
pub(crate) fn boundary(headers: &HeaderMap) -> Option<String> {
    multer::parse_boundary(declared(headers)?.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_json(values: &[&'static str]) -> bool {
        let values = values.iter().copied().map(HeaderValue::from_static);
        let headers = values.map(|value| (CONTENT_TYPE, value)).collect();
        is_one_of(&headers, &["application/json"])
    }

    #[test]
    fn accepts_types_in_any_case_and_utf8_only() {
        for value in [
            "application/json",
            "Application/JSON ; x=y",
            "application/json; charset=UTF-8",
            "application/json;charset=\"utf-8\"",
        ] {
            assert!(is_json(&[value]), "{value}");
        }
        for values in [
            &[][..],
            &[""],
            &["text/plain"],
            &["application/jsonp"],
            &["application/json; charset=utf-16"],
            &["application/json; charset=utf-8; charset=utf-16"],
            &["application/json; charset=\"utf-16\""],
            &["application/json/x"],
            &["application/json", "application/json"],
        ] {
            assert!(!is_json(values), "{values:?}");
        }
    }
}
