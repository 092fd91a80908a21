//! Any bytes as an image: the verdict takes no memory, base64 does not change it, and what
//! passes has the dimensions that the `image` crate finds, where it finds any.

#![no_main]

use std::io::Cursor;

use image::ImageReader;
use libfuzzer_sys::fuzz_target;
use stockade_body::{ImageFormat, ImageRules};

fuzz_target!(|bytes: &[u8]| {
    let rules = ImageRules::default().frames(u32::MAX);
    let text = base64_simd::STANDARD.encode_to_string(bytes);
    let mut verdict = None;
    let memory = allocation_counter::measure(|| {
        verdict = Some(rules.check_base64(None, text.as_bytes()));
    });
    assert_eq!(memory.count_total, 0);
    let verdict = verdict.expect("it was measured");
    assert_eq!(verdict, rules.check_bytes(None, bytes));

    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let dimensions = reader.expect("reads memory").into_dimensions();
    if let (Ok(facts), Ok(dimensions)) = (verdict, dimensions) {
        // image-webp 0.2.4 takes the widest lossless picture for one of no width.
        let known = facts.format == ImageFormat::WebP && facts.width == 16_384;
        assert!(known || (facts.width, facts.height) == dimensions);
    }
});
