//! Any URL: the bytes of what is taken as a `data:` URL get the verdict that the text got, and
//! strict rules take the canonical form only.

#![no_main]

use base64_simd::{STANDARD, STANDARD_NO_PAD};
use libfuzzer_sys::fuzz_target;
use stockade_body::{DataUrl, ImageErrorKind, ImageRules};

fuzz_target!(|url: &[u8]| {
    let rules = ImageRules::default();
    let strict = rules.clone().strict();
    let verdict = rules.check_data_url(url);
    let Ok(parsed) = DataUrl::parse(url) else {
        assert!(verdict.is_err());
        return;
    };
    let format = parsed.format();
    let decoded = STANDARD.decode_to_vec(parsed.base64());
    let decoded = decoded.or_else(|_| STANDARD_NO_PAD.decode_to_vec(parsed.base64()));
    let Ok(bytes) = decoded else {
        assert_eq!(
            verdict.map_err(|error| error.kind()),
            Err(ImageErrorKind::Base64)
        );
        return;
    };
    assert_eq!(verdict, rules.check_bytes(Some(format), &bytes));
    let base64 = STANDARD.encode_to_string(&bytes);
    let canonical = format!("data:{};base64,{base64}", format.media_type());
    let verdict = strict.check_data_url(url);
    if canonical.as_bytes() == url {
        assert_eq!(verdict, strict.check_bytes(Some(format), &bytes));
    } else {
        assert!(verdict.is_err());
    }
});
