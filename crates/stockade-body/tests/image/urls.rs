//! Accepted and refused image URLs.

use stockade_body::{ImageError, ImageErrorKind as Kind, ImageFormat, ImageRules, ValidatedImage};
use stockade_core::refusal::{Refusal, RefusalKind};

use crate::files::file;

const GIF: &str = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";

fn check(url: &str) -> Result<(), ImageError> {
    let rules = ImageRules::default().strict();
    rules.check_data_url(url.as_bytes()).map(drop)
}

// I01, I03: nothing in this crate fetches
#[test]
fn refuses_every_other_url_with_the_same_text() {
    for url in [
        "",
        "http://169.254.169.254/latest/meta-data/",
        "https://example.com/a.png",
        "file:///etc/passwd",
        "file:///does/not/exist",
        "/dev/zero",
        "/etc/passwd",
        "a.png",
        "ftp://example.com/a.png",
        "blob:https://example.com/1",
        "mistralrs-upload:1",
        "//example.com/a.png",
        " data:image/gif;base64,",
        "\tdata:image/gif;base64,",
        "\u{feff}data:image/gif;base64,",
        "DATA:image/gif;base64,",
        "Data:image/gif;base64,",
        "data",
        "javascript:alert(1)",
    ] {
        let refusal = Refusal::from(check(&format!("{url}{GIF}")).unwrap_err());
        assert_eq!(refusal.kind(), RefusalKind::Invalid, "{url}");
        assert_eq!(refusal.code(), "REMOTE_IMAGE", "{url}");
        let text = "images must be base64 `data:` URLs; remote URLs are not fetched";
        assert_eq!(refusal.message(), text, "{url}");
    }
}

// I04
#[test]
fn accepts_the_canonical_form_only() {
    assert_eq!(check(&format!("data:image/gif;base64,{GIF}")), Ok(()));
    for (head, kind) in [
        ("data:image/gif;BASE64,", Kind::DataUrl),
        ("data:image/GIF;base64,", Kind::DataUrl),
        ("data:IMAGE/gif;base64,", Kind::DataUrl),
        ("data:image/gif;charset=utf-8;base64,", Kind::DataUrl),
        ("data:image/gif;base64;base64,", Kind::DataUrl),
        ("data:image/gif; base64,", Kind::DataUrl),
        ("data:image/gif ;base64,", Kind::DataUrl),
        ("data: image/gif;base64,", Kind::DataUrl),
        ("data:image%2Fgif;base64,", Kind::DataUrl),
        ("data:image/gif,", Kind::DataUrl),
        ("data:image/gif;base64", Kind::DataUrl),
        ("data:;base64,", Kind::DataUrl),
        ("data:,", Kind::DataUrl),
        ("data:base64,", Kind::DataUrl),
        ("data://image/gif;base64,", Kind::Unsupported),
        ("data:image/svg+xml;base64,", Kind::Unsupported),
        ("data:image/jpg;base64,", Kind::Unsupported),
        ("data:image/bmp;base64,", Kind::Unsupported),
        ("data:text/html;base64,", Kind::Unsupported),
        ("data:image/*;base64,", Kind::DataUrl),
        ("data:image/png;base64,", Kind::TypeMismatch),
        ("data:image/gif;base64,,", Kind::Base64),
        ("data:image/gif;base64, ", Kind::Base64),
        ("data:image/gif;base64,\n", Kind::Base64),
        ("data:image/gif;base64,====", Kind::Base64),
    ] {
        let error = check(&format!("{head}{GIF}")).expect_err(head);
        assert_eq!(error.kind(), kind, "{head}");
    }
}

// I04
#[test]
fn takes_canonical_base64_only() {
    let text = base64_simd::STANDARD.encode_to_string(file("rgb.png"));
    let url = |text: &str| format!("data:image/png;base64,{text}");
    assert_eq!(check(&url(&text)), Ok(()));
    for (what, text) in [
        ("a new line at the end", format!("{text}\n")),
        ("a fragment", format!("{text}#a")),
        ("more padding", format!("{text}====")),
        ("percent-encoded", text.replace('+', "%2B")),
        ("url-safe", text.replace('+', "-").replace('/', "_")),
        ("a space inside", format!("{} {}", &text[..40], &text[40..])),
        ("a NUL inside", format!("{}\0{}", &text[..40], &text[41..])),
        ("cut", text[..text.len() - 1].to_owned()),
    ] {
        assert_eq!(
            check(&url(&text)).unwrap_err().kind(),
            Kind::Base64,
            "{what}"
        );
    }
}

// FH10
#[test]
fn accepts_common_mistakes() {
    let rules = ImageRules::default();
    let jpeg = file("progressive.jpg");
    let base64 = base64_simd::STANDARD.encode_to_string(&jpeg);
    let unpadded = base64.trim_end_matches('=');
    for (media_type, base64, declared_as) in [
        ("image/jpg", &*base64, None),
        ("image/png", &base64, Some(ImageFormat::Png)),
        ("image/jpeg", unpadded, None),
        ("image/gif", unpadded, Some(ImageFormat::Gif)),
    ] {
        let url = format!("data:{media_type};base64,{base64}");
        let info = rules.check_data_url(url.as_bytes()).expect(media_type);
        assert_eq!(info.format, ImageFormat::Jpeg);
        assert_eq!(info.declared_as, declared_as);
        // I04: the handler receives what was checked.
        let image = ValidatedImage::from_data_url(&rules, url.clone().into()).expect(media_type);
        assert_eq!(image.bytes(), jpeg);
        if base64 == unpadded || declared_as.is_some() || media_type == "image/jpg" {
            check(&url).unwrap_err();
        }
    }
    for (url, kind) in [
        (format!("data:image/JPG;base64,{base64}"), Kind::DataUrl),
        (format!("data:image/jpg;base64, {base64}"), Kind::Base64),
        (format!("data:image/jpg;base64,{unpadded}AAA"), Kind::Base64),
        (format!("data:image/bmp;base64,{base64}"), Kind::Unsupported),
        (
            "data:image/png;base64,PHN2Zz48L3N2Zz4".to_owned(),
            Kind::Unsupported,
        ),
    ] {
        let error = rules.check_data_url(url.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), kind, "{}", &url[..40]);
    }
}

// I09
#[test]
fn errors_do_not_quote_the_image_or_the_parser() {
    let marked = "SECRETSECRETSECRETSECRET";
    for url in [
        format!("https://{marked}"),
        format!("data:image/{marked};base64,"),
        format!("data:image/png;base64,{marked}"),
        format!("data:image/png;base64,{marked}!"),
    ] {
        let error = check(&url).unwrap_err();
        let refusal = Refusal::from(error);
        for text in [
            error.to_string(),
            format!("{error:?}"),
            format!("{refusal:?}"),
        ] {
            let text = text.to_lowercase();
            for word in ["secret", "0x", "::", "/", "src", "crate", "offset", "png"] {
                assert!(!text.contains(word), "{text:?} has {word:?}");
            }
        }
    }
}

#[test]
fn refusals_have_stable_codes() {
    for (kind, code, status) in [
        (Kind::RemoteUrl, "REMOTE_IMAGE", 400),
        (Kind::DataUrl, "INVALID_IMAGE", 400),
        (Kind::Unsupported, "UNSUPPORTED_IMAGE", 400),
        (Kind::Base64, "INVALID_IMAGE", 400),
        (Kind::TypeMismatch, "INVALID_IMAGE", 400),
        (Kind::Malformed, "INVALID_IMAGE", 400),
        (Kind::TrailingData, "INVALID_IMAGE", 400),
        (Kind::TooManyBytes, "IMAGE_TOO_LARGE", 413),
        (Kind::DimensionsTooLarge, "IMAGE_TOO_LARGE", 413),
        (Kind::TooManyPixels, "IMAGE_TOO_LARGE", 413),
        (Kind::TooManyFrames, "IMAGE_TOO_LARGE", 413),
        (Kind::TooManyScans, "IMAGE_TOO_LARGE", 413),
        (Kind::Undecodable, "INVALID_IMAGE", 400),
        (Kind::Busy, "UNAVAILABLE", 503),
    ] {
        let error = ImageError::from(kind);
        let refusal = Refusal::from(error);
        assert_eq!(refusal.code(), code, "{kind:?}");
        assert_eq!(refusal.kind().status(), status, "{kind:?}");
        assert_eq!(refusal.message(), error.to_string(), "{kind:?}");
        assert_eq!(refusal.retry_after_secs().is_some(), kind == Kind::Busy);
    }
}
