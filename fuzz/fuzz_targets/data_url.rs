//! Arbitrary URLs: an accepted `data:` URL gets the same result as its decoded bytes, and
//! strict rules accept only the canonical form.

#![no_main]

use base64_simd::{STANDARD, STANDARD_NO_PAD};
use libfuzzer_sys::fuzz_target;
use stockade_body::{DataUrl, ImageErrorKind, ImageRules};

fuzz_target!(|url: &[u8]| {
    let rules = ImageRules::default();
    let strict = rules.clone().strict();
    let result = rules.check_data_url(url);
    let Ok(parsed) = DataUrl::parse(url) else {
        assert!(result.is_err());
        return;
    };
    let format = parsed.format();
    let decoded = STANDARD.decode_to_vec(parsed.base64());
    let decoded = decoded.or_else(|_| STANDARD_NO_PAD.decode_to_vec(parsed.base64()));
    let Ok(bytes) = decoded else {
        assert_eq!(
            result.map_err(|error| error.kind()),
            Err(ImageErrorKind::Base64)
        );
        return;
    };
    assert_eq!(result, rules.check_bytes(Some(format), &bytes));
    let base64 = STANDARD.encode_to_string(&bytes);
    let canonical = format!("data:{};base64,{base64}", format.media_type());
    let result = strict.check_data_url(url);
    if canonical.as_bytes() == url {
        assert_eq!(result, strict.check_bytes(Some(format), &bytes));
    } else {
        assert!(result.is_err());
    }
});
