//! How a gRPC call ended, as its header or trailers say.

use http::{HeaderMap, HeaderName};

static GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// Up to this number of fields, a linear search is faster than a hash.
const FEW: usize = 8;

/// The `grpc-status` among these fields, where there is one that is a number.
pub fn grpc_status(fields: &HeaderMap) -> Option<u16> {
    // Next to no response has one.
    if fields.keys_len() <= FEW && fields.keys().all(|name| *name != GRPC_STATUS) {
        return None;
    }
    fields.get(&GRPC_STATUS)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_found_among_few_and_among_many(
            others in proptest::collection::vec("[a-z]{1,12}", 0..20),
            at in 0_usize..20,
            status in proptest::option::of(0_u16..20),
        ) {
            let mut fields = HeaderMap::new();
            let names = others.iter().map(|name| name.parse::<HeaderName>().unwrap());
            for (number, name) in names.enumerate() {
                if let (true, Some(status)) = (number == at, status) {
                    fields.append(&GRPC_STATUS, status.into());
                }
                fields.append(name, HeaderValue::from_static("0"));
            }
            if let (true, Some(status)) = (at >= others.len(), status) {
                fields.append(&GRPC_STATUS, status.into());
            }
            prop_assert_eq!(grpc_status(&fields), status);
        }
    }

    #[test]
    fn is_a_number_or_none() {
        for (text, status) in [("16", Some(16)), ("", None), ("-1", None), ("7 ", None)] {
            let mut fields = HeaderMap::new();
            fields.append(&GRPC_STATUS, text.parse().unwrap());
            assert_eq!(grpc_status(&fields), status, "{text:?}");
        }
    }
}
