//! Malicious files.

use proptest::prelude::*;
use stockade_body::{ImageErrorKind as Kind, ImageInfo, ImageRules};

use crate::{
    dimensions::crate_dimensions,
    files::{self, file},
    made::{
        PNG, anmf, chunk, gif, gif_frame, ihdr, jpeg, png, riff, scan, segment, sof, vp8l, vp8x,
        webp,
    },
};

/// The result, which base64 does not change and which needs no memory.
fn check(bytes: &[u8]) -> Result<ImageInfo, Kind> {
    let rules = ImageRules::default();
    let text = base64_simd::STANDARD.encode_to_string(bytes);
    let mut result = None;
    let memory = allocation_counter::measure(|| {
        result = Some(rules.check_base64(None, text.as_bytes()));
    });
    assert_eq!(memory.count_total, 0);
    let result = result.unwrap();
    assert_eq!(result, rules.check_bytes(None, bytes));
    result.map_err(|error| error.kind())
}

fn data() -> Vec<u8> {
    chunk(b"IDAT", b"no pixels")
}

// I06
#[test]
fn refuses_every_truncation() {
    for (name, bytes, ..) in files::ALL {
        let single_scan = ["baseline.jpg", "grey.jpg", "cmyk.jpg", "turned.jpg"].contains(&name);
        for length in 0..bytes.len() {
            let result = check(&bytes[..length]);
            if single_scan && result.is_ok() {
                continue;
            }
            assert!(result.is_err(), "{name} at {length}");
        }
    }
}

// I06
#[test]
fn refuses_a_jpeg_truncated_in_its_headers() {
    let bytes = file("baseline.jpg");
    let scan = bytes
        .windows(2)
        .position(|pair| pair == [0xFF, 0xDA])
        .unwrap();
    for length in 0..scan + 14 {
        assert!(check(&bytes[..length]).is_err(), "{length}");
    }
}

// I06
#[test]
fn refuses_broken_structure() {
    let end = chunk(b"IEND", b"");
    let rows = [
        (
            "png: no header",
            [PNG.to_vec(), data(), end.clone()].concat(),
        ),
        ("png: no data", png(1, 1, &[])),
        ("png: two headers", png(1, 1, &[ihdr(9, 9), data()])),
        (
            "png: data in two runs",
            png(1, 1, &[data(), chunk(b"tIME", b""), data()]),
        ),
        (
            "png: unknown critical chunk",
            png(1, 1, &[chunk(b"BOMB", b""), data()]),
        ),
        (
            "png: a name that is none",
            png(1, 1, &[chunk(b"t\0xt", b""), data()]),
        ),
        (
            "png: short animation control",
            png(1, 1, &[chunk(b"acTL", b"1"), data()]),
        ),
        (
            "png: chunk of 4 GiB",
            [PNG.to_vec(), ihdr(1, 1), vec![0xFF; 4], b"IDAT".to_vec()].concat(),
        ),
        ("jpeg: no frame", jpeg(&[scan(&[1, 2, 3])])),
        ("jpeg: no scan", jpeg(&[sof(0xC0, 1, 1)])),
        (
            "jpeg: two frames",
            jpeg(&[sof(0xC0, 1, 1), sof(0xC0, 9, 9), scan(&[1, 2, 3])]),
        ),
        (
            "jpeg: bytes between segments",
            jpeg(&[
                segment(0xFE, b"a"),
                vec![0],
                sof(0xC0, 1, 1),
                scan(&[1, 2, 3]),
            ]),
        ),
        (
            "jpeg: a second start",
            jpeg(&[vec![0xFF, 0xD8], sof(0xC0, 1, 1), scan(&[1, 2, 3])]),
        ),
        (
            "jpeg: length 0",
            jpeg(&[vec![0xFF, 0xE1, 0, 0], sof(0xC0, 1, 1), scan(&[1, 2, 3])]),
        ),
        (
            "jpeg: a frame among scans",
            jpeg(&[sof(0xC2, 1, 1), scan(&[1]), sof(0xC2, 9, 9)]),
        ),
        (
            "jpeg: lines told later",
            jpeg(&[sof(0xC2, 1, 1), scan(&[1]), segment(0xDC, &[9, 9])]),
        ),
        ("gif: no frame", gif(1, 1, &[])),
        ("gif: unknown block", gif(1, 1, &[vec![0x99]])),
        ("webp: no picture", webp(&[vp8x(0, 1, 1)])),
        (
            "webp: two pictures",
            webp(&[vp8x(0, 1, 1), vp8l(1, 1), vp8l(1, 1)]),
        ),
        (
            "webp: more than one chunk",
            webp(&[vp8l(1, 1), riff(b"EXIF", b"")]),
        ),
        (
            "webp: animation without parameters",
            webp(&[vp8x(2, 1, 1), anmf(1, 1, &vp8l(1, 1))]),
        ),
        (
            "webp: animation without frames",
            webp(&[vp8x(2, 1, 1), riff(b"ANIM", &[0; 6])]),
        ),
        (
            "webp: a frame in a still picture",
            webp(&[vp8x(0, 1, 1), anmf(1, 1, &vp8l(1, 1))]),
        ),
        ("webp: an empty container", webp(&[])),
        ("webp: a picture of no bytes", webp(&[riff(b"VP8L", b"")])),
        (
            "webp: a size beyond the end",
            [b"RIFF".as_slice(), &[0xFE, 0xFF, 0xFF, 0xFF], b"WEBP"].concat(),
        ),
    ];
    for (what, bytes) in rows {
        assert_eq!(check(&bytes), Err(Kind::Malformed), "{what}");
    }
}

// I05
#[test]
fn refuses_frames_outside_the_picture() {
    let control = |place: [u32; 4]| {
        let place = place.map(u32::to_be_bytes).concat();
        chunk(b"fcTL", &[&[0; 4], place.as_slice(), &[0; 6]].concat())
    };
    let animated = |frame: Vec<u8>| webp(&[vp8x(2, 8, 8), riff(b"ANIM", &[0; 6]), frame]);
    for bytes in [
        gif(8, 8, &[gif_frame(0, 0, 65_535, 65_535)]),
        gif(8, 8, &[gif_frame(4, 0, 5, 1)]),
        gif(8, 8, &[gif_frame(65_535, 0, 1, 1)]),
        png(8, 8, &[control([9, 1, 0, 0]), data()]),
        png(8, 8, &[control([1, u32::MAX, 0, 1]), data()]),
        webp(&[vp8x(0, 8, 8), vp8l(16_384, 16_384)]),
        animated(anmf(16_384, 16_384, &vp8l(16_384, 16_384))),
        animated(anmf(8, 8, &vp8l(16_384, 16_384))),
    ] {
        assert_eq!(check(&bytes), Err(Kind::Malformed));
    }
    assert!(check(&gif(8, 8, &[gif_frame(4, 4, 4, 4)])).is_ok());
    assert!(check(&png(8, 8, &[control([8, 8, 0, 0]), data()])).is_ok());
    assert!(check(&animated(anmf(8, 8, &vp8l(8, 8)))).is_ok());
}

// I05
#[test]
fn does_not_inflate_text_and_profiles() {
    for name in [b"zTXt", b"iTXt", b"iCCP"] {
        let deflated = [b"name\0\0".as_slice(), &[0x78, 0xDA], &[0; 50_000]].concat();
        let bytes = png(1, 1, &[chunk(name, &deflated), data()]);
        assert!(check(&bytes).is_ok());
    }
}

// I05: a decoder that loses its position after the short segment reads the second frame
// header, which is inside a comment.
#[test]
fn refuses_ambiguous_segments() {
    let hidden = [sof(0xC0, 65_000, 65_000), scan(&[1, 2, 3])].concat();
    let bytes = jpeg(&[
        segment(0xE0, b"1234"),
        segment(0xE1, &hidden),
        sof(0xC0, 8, 8),
        scan(&[1, 2, 3]),
    ]);
    assert_eq!(crate_dimensions(&bytes), Some((65_000, 65_000)));
    assert_eq!(check(&bytes), Err(Kind::Malformed));
}

#[test]
fn refuses_unsupported_codings() {
    for code in [0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF] {
        let bytes = jpeg(&[sof(code, 8, 8), scan(&[1, 2, 3])]);
        assert_eq!(check(&bytes), Err(Kind::Unsupported), "{code:x}");
    }
}

// I05
#[test]
fn limits_the_number_of_scans() {
    for (code, components) in [(0xC2, [1, 2, 3].as_slice()), (0xC0, &[1])] {
        let scans = |count| jpeg(&[sof(code, 8, 8), scan(components).repeat(count)]);
        assert!(check(&scans(100)).is_ok());
        assert_eq!(check(&scans(101)), Err(Kind::TooManyScans));
    }
}

#[test]
fn finds_a_frame_header_far_into_a_jpeg() {
    let mut segments = vec![segment(0xE2, &[0xFF; 65_533]); 100];
    segments.extend([vec![0xFF; 500], sof(0xC0, 8, 9), scan(&[1, 2, 3])]);
    let info = check(&jpeg(&segments)).unwrap();
    assert_eq!((info.width, info.height), (8, 9));
}

// I11
#[test]
fn refuses_other_files() {
    for bytes in [
        b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>".as_slice(),
        b"<?xml version='1.0'?><!DOCTYPE svg [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><svg>&a;</svg>",
        b"%PDF-1.7 and more to come",
        b"GIF88a and more to come",
        b"\x1f\x8b\x08\0\0\0\0\0\0\0\0\0\0\0",
        b"BM and more to come",
        b"II*\0 and more to come",
        b"RIFF\0\0\0\0WAVEfmt ",
        b"",
    ] {
        assert_eq!(check(bytes), Err(Kind::Unsupported));
    }
}

// I11
#[test]
fn refuses_trailing_data() {
    let zip = b"PK\x03\x04 and a whole archive".as_slice();
    let lenient = ImageRules::default().frames(3).dangerous_trailing_data();
    for (name, bytes, format, _) in files::ALL {
        for more in [zip, b"\0"] {
            let rules = ImageRules::default().frames(3);
            let both = [bytes, more].concat();
            let result = rules.check_bytes(None, &both).map_err(|error| error.kind());
            if format == stockade_body::ImageFormat::Jpeg {
                assert!(result.is_ok(), "{name}");
            } else {
                assert_eq!(result, Err(Kind::TrailingData), "{name}");
            }
            assert!(lenient.check_bytes(None, &both).is_ok(), "{name}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    // I06
    #[test]
    fn broken_files_are_refused_or_have_the_dimensions_that_decoders_find(
        index in 0..files::ALL.len(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let (_, bytes, ..) = files::ALL[index];
        let mut bytes = bytes.to_vec();
        for (place, value) in edits {
            // Half of the edits hit the headers.
            let range = if value % 2 == 0 { bytes.len() } else { 64 };
            let place = place.index(range);
            bytes[place] = value;
        }
        if let (Ok(info), Some(dimensions)) = (check(&bytes), crate_dimensions(&bytes)) {
            prop_assert_eq!((info.width, info.height), dimensions);
        }
    }
}
