//! Any URL: what is taken as a `data:` URL is canonical, and its bytes get the verdict that
//! the text got.

#![no_main]

use base64_simd::STANDARD;
use libfuzzer_sys::fuzz_target;
use stockade_body::{DataUrl, ImageErrorKind, ImageRules};

fuzz_target!(|url: &[u8]| {
    let rules = ImageRules::default();
    let verdict = rules.check_data_url(url);
    let Ok(parsed) = DataUrl::parse(url) else {
        assert!(verdict.is_err());
        return;
    };
    let Ok(bytes) = STANDARD.decode_to_vec(parsed.base64()) else {
        assert_eq!(
            verdict.map_err(|error| error.kind()),
            Err(ImageErrorKind::Base64)
        );
        return;
    };
    assert_eq!(verdict, rules.check_bytes(Some(parsed.format()), &bytes));
    let base64 = STANDARD.encode_to_string(bytes);
    let again = format!("data:{};base64,{base64}", parsed.format().media_type());
    assert_eq!(again.as_bytes(), url);
});
