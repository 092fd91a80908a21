//! Uploads of single images and of forms.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::Request;
use stockade_body::{ImageFormat, ImageRules, Profile, Rule};

use crate::support::{GIF, Outcome, frames, layer, post, send};

fn gif() -> Vec<u8> {
    STANDARD.decode(GIF).unwrap()
}

/// A part with these header lines.
fn part(headers: &str, content: &[u8]) -> Vec<u8> {
    [
        b"--b\r\n",
        headers.as_bytes(),
        b"\r\n\r\n",
        content,
        b"\r\n",
    ]
    .concat()
}

fn field(name: &str, value: &str) -> Vec<u8> {
    let headers = format!("Content-Disposition: form-data; name=\"{name}\"");
    part(&headers, value.as_bytes())
}

fn file(name: &str, media_type: &str, content: &[u8]) -> Vec<u8> {
    let headers = format!(
        "Content-Disposition: form-data; name=\"{name}\"; filename=\"a\"\r\nContent-Type: {media_type}"
    );
    part(&headers, content)
}

fn form(parts: &[Vec<u8>]) -> Vec<u8> {
    [&*parts.concat(), b"--b--\r\n"].concat()
}

async fn submit(profile: Profile, body: impl Into<Bytes>) -> Outcome {
    send(
        &layer(profile),
        post("multipart/form-data; boundary=b", body),
    )
    .await
}

#[tokio::test]
async fn accepts_an_image_of_the_declared_type() {
    let strict = layer(Profile::image().images(ImageRules::default().strict()));
    let layer = layer(Profile::image());
    let passed = send(&layer, post("image/gif", gif())).await.passed();
    assert_eq!(passed.body, gif());
    let images = passed.images.unwrap();
    assert_eq!(images.as_slice()[0].info().format, ImageFormat::Gif);
    assert_eq!(images.as_slice()[0].bytes(), gif());

    for (content_type, body, code) in [
        ("image/gif", b"GIF89a".to_vec(), "UNSUPPORTED_IMAGE"),
        ("image/gif", Vec::new(), "UNSUPPORTED_IMAGE"),
        (
            "image/svg+xml",
            b"<svg/>".to_vec(),
            "UNSUPPORTED_MEDIA_TYPE",
        ),
        ("text/html", gif(), "UNSUPPORTED_MEDIA_TYPE"),
    ] {
        let refused = send(&layer, post(content_type, body)).await.refused();
        assert_ne!(refused.status, 200);
        let is_image_code = code.contains("IMAGE") && refused.code.contains("IMAGE");
        assert!(
            refused.code == code || is_image_code,
            "{content_type}: {refused:?}"
        );
    }
    // FH10
    for content_type in ["image/png", "image/jpg"] {
        let passed = send(&layer, post(content_type, gif())).await.passed();
        let declared_as = passed.images.unwrap().as_slice()[0].info().declared_as;
        assert!(declared_as.is_some(), "{content_type}");
        let refused = send(&strict, post(content_type, gif())).await.refused();
        assert!(refused.code.contains("IMAGE"), "{refused:?}");
    }
}

#[tokio::test]
async fn accepts_a_form_of_fields_and_images() {
    let body = form(&[
        field("model", "tiny"),
        field("prompt", "What is this?"),
        field("n", "2"),
        field("max_tokens", "10"),
        field("anything", "else"),
        file("image[]", "image/gif", &gif()),
        file("image[]", "application/octet-stream", &gif()),
    ]);
    let passed = submit(Profile::multipart(), body.clone()).await.passed();
    assert_eq!(passed.body, body);
    let images = passed.images.unwrap();
    assert_eq!(images.as_slice().len(), 2);
    assert!(images.as_slice().iter().all(|image| image.bytes() == gif()));
    let demand = passed.demand.unwrap();
    assert_eq!(demand.model.as_deref(), Some("tiny"));
    assert_eq!(demand.max_tokens, Some(20));
    // Thirteen characters with their template, and two images of the minimum size.
    assert_eq!(demand.prompt_tokens, (13 + 24_u64).div_ceil(3) + 2 * 6);
}

#[tokio::test]
async fn applies_the_same_rules_to_forms() {
    let profile = || {
        Profile::multipart()
            .models(["tiny"])
            .rule("/prompt", Rule::Required)
            .rule("/picture", Rule::ImageBase64)
            .rule("/wide", Rule::Boolean)
    };
    let prompt = || field("prompt", "x");
    for (parts, code) in [
        (vec![prompt()], "passed"),
        (vec![prompt(), field("picture", GIF)], "passed"),
        (vec![prompt(), field("wide", "true")], "passed"),
        (vec![prompt(), field("wide", "1")], "VALIDATION_ERROR"),
        (
            vec![prompt(), field("picture", "AAAA")],
            "UNSUPPORTED_IMAGE",
        ),
        (vec![], "VALIDATION_ERROR"),
        (vec![prompt(), field("model", "big")], "MODEL_NOT_ALLOWED"),
        (vec![prompt(), field("Model", "big")], "VALIDATION_ERROR"),
        (
            vec![prompt(), field("n", "1000000000")],
            "VALUE_OUT_OF_RANGE",
        ),
        (vec![prompt(), field("n", "many")], "VALIDATION_ERROR"),
        (
            vec![field("prompt", &"x".repeat(10_001))],
            "PROMPT_TOO_LONG",
        ),
        (
            vec![prompt(), field("x", &"x".repeat(70_000))],
            "VALUE_TOO_LONG",
        ),
        // Some readers take the first, some the last.
        (
            vec![prompt(), field("model", "tiny"), field("model", "big")],
            "DUPLICATE_KEY",
        ),
        (
            vec![prompt(), file("model", "image/gif", &gif())],
            "UNSUPPORTED_CONTENT",
        ),
        (
            vec![prompt(), file("a", "text/html", b"<script>")],
            "UNSUPPORTED_CONTENT",
        ),
        (vec![prompt(), file("a", "image/png", &gif())], "passed"),
        (vec![prompt(), file("a", "image/jpg", &gif())], "passed"),
        (
            vec![prompt(), file("a", "image/tiff", &gif())],
            "UNSUPPORTED_CONTENT",
        ),
        (
            vec![prompt(), vec![file("a", "image/gif", &gif()); 9].concat()],
            "TOO_MANY_IMAGES",
        ),
        (
            vec![prompt(), part("Content-Disposition: form-data", b"x")],
            "INVALID_FORM",
        ),
    ] {
        let body = form(&parts);
        let text = String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
        assert_eq!(submit(profile(), body).await.code(), code, "{text}");
    }
    let many: Vec<_> = (0..130).map(|at| field(&at.to_string(), "")).collect();
    assert_eq!(
        submit(Profile::multipart(), form(&many)).await.code(),
        "TOO_MANY_ITEMS"
    );
    let bytes = part("Content-Disposition: form-data; name=\"prompt\"", b"\xff");
    assert_eq!(
        submit(profile(), form(&[bytes])).await.code(),
        "VALIDATION_ERROR"
    );
}

#[tokio::test]
async fn refuses_a_broken_form() {
    let whole = form(&[field("prompt", "x"), file("a", "image/gif", &gif())]);
    for length in 0..whole.len() - 4 {
        let code = submit(Profile::multipart(), whole[..length].to_vec())
            .await
            .code();
        assert_eq!(code, "INVALID_FORM", "cut at {length}");
    }
    let layer = layer(Profile::multipart());
    for content_type in ["multipart/form-data", "multipart/form-data; boundary="] {
        let refused = send(&layer, post(content_type, whole.clone()))
            .await
            .refused();
        assert_eq!(refused.code, "INVALID_FORM");
    }
}

#[tokio::test]
async fn locates_contents_in_the_body() {
    let profile = || Profile::multipart().rule("/prompt", Rule::MaxChars(4));
    // One content is empty, one contains another, one looks like the end of a header block.
    let parts = [
        field("prompt", ""),
        field("a", "GIF"),
        file("b", "image/gif", &gif()),
        field("c", "\r\n\r\nx"),
        file("d", "image/gif", &gif()),
    ];
    let whole = form(&parts);
    let passed = submit(profile(), whole.clone()).await.passed();
    let begin_of = |image: &Bytes| image.as_ptr() as usize - passed.body.as_ptr() as usize;
    let found: Vec<usize> = passed
        .images
        .as_ref()
        .unwrap()
        .as_slice()
        .iter()
        .map(|image| begin_of(&image.bytes()))
        .collect();
    let end_of = |parts: &[Vec<u8>]| parts.concat().len() - b"\r\n".len() - gif().len();
    assert_eq!(found, [end_of(&parts[..3]), end_of(&parts)]);

    let with_preamble = |preamble: &str| [preamble.as_bytes(), &whole].concat();
    let outcome = submit(profile(), with_preamble("an old greeting\r\n")).await;
    assert_eq!(outcome.code(), "passed");
    // Where another reader could see a header block.
    let outcome = submit(profile(), with_preamble("a: b\r\n\r\nx\r\n")).await;
    assert_eq!(outcome.code(), "INVALID_FORM");
}

// The parser's copy of the body is dropped before the handler runs; the handler receives
// slices of the body.
#[tokio::test]
async fn forms_in_frames_share_the_memory_of_the_body() {
    let whole = form(&[
        file("a", "image/gif", &gif()),
        file("b", "image/gif", &gif()),
    ]);
    let (body, _) = frames(
        whole
            .chunks(7)
            .map(Bytes::copy_from_slice)
            .collect::<Vec<_>>(),
    );
    let request = Request::post("/").header("content-type", "multipart/form-data; boundary=b");
    let passed = send(&layer(Profile::multipart()), request.body(body).unwrap())
        .await
        .passed();
    let within = passed.body.as_ptr_range();
    for image in passed.images.unwrap().as_slice() {
        assert!(within.contains(&image.bytes().as_ptr()));
    }
}
