use std::io::Cursor;

use base64::{Engine, prelude::BASE64_STANDARD};
use image::{DynamicImage, ImageEncoder, ImageFormat, RgbImage, codecs::png::PngEncoder};

use super::*;
use crate::backend::decode;

const FORMATS: [(&str, ImageFormat); 4] = [
    ("png", ImageFormat::Png),
    ("jpeg", ImageFormat::Jpeg),
    ("webp", ImageFormat::WebP),
    ("gif", ImageFormat::Gif),
];

fn from_bytes(bytes: &[u8]) -> Result<EncodedImage, ImageRejection> {
    EncodedImage::from_base64(&BASE64_STANDARD.encode(bytes))
}

fn encoded(format: ImageFormat) -> Vec<u8> {
    let image = DynamicImage::ImageRgb8(RgbImage::from_fn(40, 30, |x, y| {
        image::Rgb([x as u8 * 6, y as u8 * 8, 128])
    }));
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn url(declared: &str, bytes: &[u8]) -> String {
    format!(
        "data:image/{declared};base64,{}",
        BASE64_STANDARD.encode(bytes)
    )
}

fn rejection<T>(result: Result<T, ImageRejection>) -> ImageRejection {
    result.err().unwrap()
}

#[test]
fn reads_all_types_as_url_and_base64() {
    for (name, format) in FORMATS {
        let bytes = encoded(format);
        let from_url = EncodedImage::from_url(&url(name, &bytes)).unwrap();
        let from_base64 = EncodedImage::from_base64(&BASE64_STANDARD.encode(&bytes)).unwrap();
        assert_eq!(from_url.0.bytes(), from_base64.0.bytes(), "{name}");
        let image = decode(&from_url).unwrap();
        assert_eq!((image.width(), image.height()), (40, 30), "{name}");
    }
}

// I01, I04
#[test]
fn rejects_remote_urls_with_one_error() {
    let inline = url("png", &encoded(ImageFormat::Png));
    let mut urls: Vec<String> = [
        "https://example.com/a.png",
        "http://169.254.169.254/latest",
        "file:///etc/passwd",
        "/etc/passwd",
        "/no/such/file",
        "ftp://example.com/a.png",
        "blob:null/1",
        "mistralrs-upload:1",
        "/dev/zero",
        "",
        "data:image/svg+xml;base64,PHN2Zy8+",
        "data:image/png,%89PNG",
    ]
    .map(str::to_owned)
    .into();
    urls.push(format!(" {inline}"));
    urls.push(inline.replacen("data:", "DATA:", 1));
    urls.push(inline.replacen("image/png", "image/PNG", 1));
    urls.push(inline.replacen("image/png", "image/png;charset=utf-8", 1));
    urls.push(inline.replacen(";base64", "; base64", 1));
    for url in urls {
        assert_eq!(
            rejection(EncodedImage::from_url(&url)),
            ImageRejection::NotInline,
            "{url}"
        );
    }
}

// FH10, I04: the decoded bytes are those that the fence has validated.
#[test]
fn reads_the_type_and_bytes_as_the_fence_does() {
    let jpeg = encoded(ImageFormat::Jpeg);
    let padded = url("png", &jpeg);
    for url in [
        url("jpg", &jpeg),
        padded.trim_end_matches('=').to_owned(),
        padded,
    ] {
        let validated = ValidatedImage::from_data_url(&rules(), Bytes::from(url.clone())).unwrap();
        let encoded = EncodedImage::from_url(&url).unwrap();
        assert_eq!(validated.bytes(), encoded.0.bytes(), "{url}");
        assert_eq!(decode(&encoded).unwrap().width(), 40);
    }
}

#[test]
fn rejects_data_that_is_not_an_image() {
    for bytes in [
        &b"<svg xmlns='http://www.w3.org/2000/svg'/>"[..],
        b"BM\x00\x00",
        b"",
        b"\x89PNG\r\n\x1a\n",
    ] {
        assert_eq!(
            rejection(from_bytes(bytes)),
            ImageRejection::UnsupportedFormat
        );
        let url = url("png", bytes);
        assert_eq!(
            rejection(EncodedImage::from_url(&url)),
            ImageRejection::UnsupportedFormat
        );
    }
    let cut = &encoded(ImageFormat::Png)[..40];
    assert_eq!(rejection(from_bytes(cut)), ImageRejection::Corrupt);
    for data in ["====", "A", "QUJD\n", "a_b-", "AAAB AAA="] {
        assert_eq!(
            rejection(EncodedImage::from_base64(data)),
            ImageRejection::InvalidBase64,
            "{data}"
        );
    }
}

// I05: the header claims 30000 x 30000, and nothing is decoded.
#[test]
fn rejects_a_claimed_size_from_the_header() {
    let mut png = encoded(ImageFormat::Png);
    png[16..24].copy_from_slice(&[0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30]);
    // The header's checksum covers the size.
    let crc = crc32(&png[12..29]);
    png[29..33].copy_from_slice(&crc.to_be_bytes());
    assert_eq!(
        rejection(EncodedImage::from_url(&url("png", &png))),
        ImageRejection::TooManyPixels
    );
}

// FA01: the profile of a one-pixel image inflates to 64 MiB.
#[test]
fn never_inflates_profiles() {
    let mut bomb = Vec::new();
    let mut encoder = PngEncoder::new(&mut bomb);
    encoder.set_icc_profile(vec![0; 64 << 20]).unwrap();
    let pixel = DynamicImage::new_rgb8(1, 1);
    pixel.write_with_encoder(encoder).unwrap();
    let url = url("png", &bomb);
    assert!(url.len() < 1 << 20, "it is a bomb");
    let used = allocation_counter::measure(|| {
        let encoded = EncodedImage::from_url(&url).unwrap();
        decode(&encoded).unwrap();
    });
    assert!(used.bytes_max < 1 << 20, "{}", used.bytes_max);
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 }
        })
    })
}

// I06: each file truncated at every byte, and with every tenth byte changed.
#[test]
fn never_panics_on_corrupt_files() {
    for (name, format) in FORMATS {
        let whole = encoded(format);
        for length in 0..whole.len() {
            if let Ok(encoded) = from_bytes(&whole[..length]) {
                let _ = decode(&encoded);
            }
        }
        for at in (0..whole.len()).step_by(10) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0xff;
            if let Ok(encoded) = from_bytes(&bytes) {
                let _ = decode(&encoded);
            }
        }
        let half = &whole[..whole.len() / 2];
        let outcome = from_bytes(half).and_then(|p| decode(&p));
        // Decoders may return part of a JPEG; the others return an error.
        assert!(format == ImageFormat::Jpeg || outcome.is_err(), "{name}");
    }
}
