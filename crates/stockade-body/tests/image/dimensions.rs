//! Dimensions agree with the `image` crate.

use std::io::Cursor;

use image::{DynamicImage, ImageReader};
use proptest::prelude::*;
use stockade_body::{ImageFormat, ImageRules};

use crate::files;

fn any() -> ImageRules {
    ImageRules::default().frames(u32::MAX)
}

pub(crate) fn crate_dimensions(bytes: &[u8]) -> Option<(u32, u32)> {
    let reader = ImageReader::new(Cursor::new(bytes));
    reader.with_guessed_format().ok()?.into_dimensions().ok()
}

fn base64(bytes: &[u8]) -> String {
    base64_simd::STANDARD.encode_to_string(bytes)
}

#[test]
fn reads_real_files() {
    for (name, bytes, format, frames) in files::ALL {
        let info = any().check_bytes(Some(format), bytes).expect(name);
        assert_eq!(info.format, format, "{name}");
        assert_eq!((info.width, info.height), (37, 21), "{name}");
        assert_eq!(info.frames, frames, "{name}");
        assert_eq!(info.bytes, bytes.len() as u64, "{name}");
        assert_eq!(info.pixels(), 37 * 21 * u64::from(frames), "{name}");
        assert_eq!(crate_dimensions(bytes), Some((37, 21)), "{name}");
        image::load_from_memory(bytes).expect(name);
    }
}

#[test]
fn finds_the_same_through_base64_and_without_a_declared_type() {
    for (name, bytes, ..) in files::ALL {
        let plain = any().check_bytes(None, bytes).expect(name);
        assert_eq!(
            any().check_base64(None, base64(bytes).as_bytes()),
            Ok(plain)
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn agrees_with_the_encoders(width in 1_u32..400, height in 1_u32..60, grey: bool) {
        let picture = if grey {
            DynamicImage::new_luma8(width, height)
        } else {
            DynamicImage::new_rgb8(width, height)
        };
        for format in ImageFormat::ALL {
            let picture = match format {
                ImageFormat::Png | ImageFormat::Jpeg => picture.clone(),
                _ => picture.to_rgba8().into(),
            };
            let mut bytes = Cursor::new(Vec::new());
            let codec = image::ImageFormat::from_mime_type(format.media_type()).unwrap();
            picture.write_to(&mut bytes, codec).unwrap();
            let bytes = bytes.into_inner();

            let info = any().check_bytes(Some(format), &bytes).unwrap();
            prop_assert_eq!((info.width, info.height, info.frames), (width, height, 1));
            prop_assert_eq!(any().check_base64(Some(format), base64(&bytes).as_bytes()), Ok(info));
        }
    }
}
