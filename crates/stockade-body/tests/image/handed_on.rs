//! The images that a handler receives.

use bytes::Bytes;
use stockade_body::{ImageErrorKind as Kind, ImageRules, ValidatedImage, ValidatedImages};

use crate::files::file;

fn body(file: &[u8]) -> Bytes {
    let text = base64_simd::STANDARD.encode_to_string(file);
    format!(r#"{{"url":"data:image/png;base64,{text}"}}"#).into()
}

fn url(body: &Bytes) -> Bytes {
    body.slice(8..body.len() - 2)
}

#[test]
fn an_image_of_a_body_is_decoded_from_base64_once() {
    let bytes = file("rgb.png");
    let body = body(&bytes);
    let mut decoded = Vec::new();
    let memory = allocation_counter::measure(|| {
        let image = ValidatedImage::from_data_url(&ImageRules::default(), url(&body)).unwrap();
        decoded = vec![image.bytes(), image.clone().bytes()];
    });
    assert_eq!(decoded[0], bytes);
    assert_eq!(decoded[0].as_ptr(), decoded[1].as_ptr());
    // The text is shared with the body; only the decoded bytes are new.
    assert!(memory.bytes_max < body.len() as u64 + 256);
}

#[test]
fn shares_an_uploaded_image() {
    let bytes = Bytes::from(file("baseline.jpg"));
    let image = ValidatedImage::from_bytes(&ImageRules::default(), None, bytes.clone()).unwrap();
    assert_eq!(image.bytes().as_ptr(), bytes.as_ptr());
    assert_eq!(image.info().width, 37);
}

#[test]
fn passes_on_valid_images_only() {
    let rules = ImageRules::default().side(36);
    let body = body(&file("rgb.png"));
    let error = ValidatedImage::from_data_url(&rules, url(&body)).unwrap_err();
    assert_eq!(error.kind(), Kind::DimensionsTooLarge);
}

#[test]
fn images_keep_their_order_and_hide_their_content() {
    let rules = ImageRules::default();
    let images: ValidatedImages = ["rgb.png", "still.gif"]
        .map(|name| ValidatedImage::from_bytes(&rules, None, file(name).into()).unwrap())
        .into_iter()
        .collect();
    let formats: Vec<_> = images
        .as_slice()
        .iter()
        .map(|image| image.info().format.media_type())
        .collect();
    assert_eq!(formats, ["image/png", "image/gif"]);
    assert!(!format!("{images:?}").contains("IHDR"));
}
