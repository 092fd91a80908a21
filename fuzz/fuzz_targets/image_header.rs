//! Arbitrary bytes as an image: the check does not allocate, base64 does not change its
//! result, and an image that passes has the dimensions that the `image` crate reports.

#![no_main]

use std::io::Cursor;

use image::ImageReader;
use libfuzzer_sys::fuzz_target;
use stockade_body::{ImageFormat, ImageRules};

fuzz_target!(|bytes: &[u8]| {
    let rules = ImageRules::default().frames(u32::MAX);
    let text = base64_simd::STANDARD.encode_to_string(bytes);
    let mut result = None;
    let memory = allocation_counter::measure(|| {
        result = Some(rules.check_base64(None, text.as_bytes()));
    });
    assert_eq!(memory.count_total, 0);
    let result = result.expect("measured");
    assert_eq!(result, rules.check_bytes(None, bytes));

    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let dimensions = reader.expect("reads memory").into_dimensions();
    if let (Ok(info), Ok(dimensions)) = (result, dimensions) {
        // image-webp 0.2.4 reads the largest lossless width as 0.
        let known = info.format == ImageFormat::WebP && info.width == 16_384;
        assert!(known || (info.width, info.height) == dimensions);
    }
});
