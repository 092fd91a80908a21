//! Each limit, exactly reached and exceeded.

use stockade_body::{ImageErrorKind as Kind, ImageFormat, ImageRules};

use crate::{
    files::file,
    made::{anmf, chunk, gif, gif_frame, jpeg, png, riff, scan, sof, vp8l, vp8x, webp},
};

fn kind(rules: &ImageRules, bytes: &[u8]) -> Result<(), Kind> {
    let result = rules.check_bytes(None, bytes).map(drop);
    let text = base64_simd::STANDARD.encode_to_string(bytes);
    let through_base64 = rules.check_base64(None, text.as_bytes()).map(drop);
    assert_eq!(result, through_base64);
    result.map_err(|error| error.kind())
}

/// A PNG that claims to be of this size.
fn claims(width: u32, height: u32) -> Vec<u8> {
    png(width, height, &[chunk(b"IDAT", b"no pixels")])
}

#[test]
fn limits_bytes() {
    let bytes = file("rgb.png");
    let exact = bytes.len() as u64;
    assert_eq!(kind(&ImageRules::default().bytes(exact), &bytes), Ok(()));
    for fewer in [exact - 1, exact - 2, exact - 3, 0] {
        let rules = ImageRules::default().bytes(fewer);
        assert_eq!(kind(&rules, &bytes), Err(Kind::TooManyBytes));
    }
}

#[test]
fn limits_sides_and_pixels() {
    let rules = ImageRules::default();
    for (width, height, result) in [
        (1, 1, Ok(())),
        (16_384, 2_441, Ok(())),
        (16_384, 2_442, Err(Kind::TooManyPixels)),
        (8_000, 5_000, Ok(())),
        (8_000, 5_001, Err(Kind::TooManyPixels)),
        (16_385, 1, Err(Kind::DimensionsTooLarge)),
        (1, 16_385, Err(Kind::DimensionsTooLarge)),
        (u32::MAX, u32::MAX, Err(Kind::DimensionsTooLarge)),
    ] {
        assert_eq!(kind(&rules, &claims(width, height)), result);
    }
}

// I10
#[test]
fn refuses_empty_images() {
    let rules = ImageRules::default();
    for (width, height) in [(0, 0), (0, 1), (1, 0)] {
        assert_eq!(kind(&rules, &claims(width, height)), Err(Kind::Malformed));
        let (width, height) = (width as u16, height as u16);
        let frame = [gif_frame(0, 0, width, height)];
        assert_eq!(
            kind(&rules, &gif(width, height, &frame)),
            Err(Kind::Malformed)
        );
        let segments = [sof(0xC0, width, height), scan(&[1, 2, 3])];
        assert_eq!(kind(&rules, &jpeg(&segments)), Err(Kind::Malformed));
    }
}

// I10
#[test]
fn accepts_the_narrowest_pictures() {
    let tall = jpeg(&[sof(0xC0, 1, 65_535), scan(&[1, 2, 3])]);
    assert_eq!(
        kind(&ImageRules::default(), &tall),
        Err(Kind::DimensionsTooLarge)
    );
    let rules = ImageRules::default().side(65_535);
    let info = rules.check_bytes(None, &tall).unwrap();
    assert_eq!((info.width, info.height), (1, 65_535));
    let wide = webp(&[vp8l(16_384, 1)]);
    assert_eq!(rules.check_bytes(None, &wide).unwrap().width, 16_384);
}

// I05
#[test]
fn limits_frames_and_their_pixels_together() {
    for name in ["animated.png", "animated.gif", "animated.webp"] {
        let bytes = file(name);
        assert_eq!(
            kind(&ImageRules::default(), &bytes),
            Err(Kind::TooManyFrames)
        );
        let three = ImageRules::default().frames(3);
        assert_eq!(kind(&three.clone().pixels(3 * 37 * 21), &bytes), Ok(()));
        let fewer = three.pixels(3 * 37 * 21 - 1);
        assert_eq!(kind(&fewer, &bytes), Err(Kind::TooManyPixels));
    }
}

// I05
#[test]
fn counts_announced_and_actual_frames() {
    let announced = u32::MAX.to_be_bytes().repeat(2);
    let control = [[0, 1, 1, 0, 0].map(u32::to_be_bytes).concat(), vec![0; 6]].concat();
    let data = chunk(b"IDAT", b"");
    let bombs = [
        png(1, 1, &[chunk(b"acTL", &announced), data.clone()]),
        png(
            1,
            1,
            &[chunk(b"fcTL", &control), data, chunk(b"fcTL", &control)],
        ),
        gif(1, 1, &vec![gif_frame(0, 0, 1, 1); 10_000]),
        webp(&[
            vp8x(2, 1, 1),
            riff(b"ANIM", &[0; 6]),
            anmf(1, 1, &vp8l(1, 1)).repeat(10_000),
        ]),
    ];
    for bomb in bombs {
        assert_eq!(
            kind(&ImageRules::default(), &bomb),
            Err(Kind::TooManyFrames)
        );
    }
}

#[test]
fn accepts_configured_formats_only() {
    let rules = ImageRules::default().formats([ImageFormat::Jpeg]);
    let png = file("rgb.png");
    assert_eq!(kind(&rules, &png), Err(Kind::Unsupported));
    assert_eq!(kind(&rules, &file("baseline.jpg")), Ok(()));
    let declared = rules.check_bytes(Some(ImageFormat::Png), &png).unwrap_err();
    assert_eq!(declared.kind(), Kind::Unsupported);
}

#[test]
fn refuses_another_type_than_the_declared_one() {
    let rules = ImageRules::default().strict();
    for declared in ImageFormat::ALL {
        for (name, bytes, format, _) in crate::files::ALL {
            let rules = rules.clone().frames(3);
            let result = rules.check_bytes(Some(declared), bytes);
            assert_eq!(result.is_ok(), declared == format, "{name} as {declared}");
            if let Err(error) = result {
                assert_eq!(error.kind(), Kind::TypeMismatch);
            }
        }
    }
}
