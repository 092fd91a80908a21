//! Decoding within limits.

use std::{
    io::Cursor,
    num::NonZeroUsize,
    sync::mpsc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use image::DynamicImage;
use stockade_body::{
    DecodeLimits, DecodedImage, ImageDecoder, ImageErrorKind as Kind, ImageRules, ValidatedImage,
};
use tokio::{runtime::Builder, task::JoinSet};

use crate::{
    files::{self, file},
    made::{chunk, gif, gif_frame, jpeg, png, riff, scan, segment, sof},
};

fn valid(bytes: impl Into<Bytes>) -> ValidatedImage {
    let rules = ImageRules::default().frames(u32::MAX);
    ValidatedImage::from_bytes(&rules, None, bytes.into()).unwrap()
}

async fn decode(bytes: impl Into<Bytes>) -> Result<DecodedImage, Kind> {
    let decoder = ImageDecoder::new(DecodeLimits::default());
    let decoded = decoder.decode(&valid(bytes)).await;
    decoded.map_err(|error| error.kind())
}

#[tokio::test]
async fn decodes_every_kind_of_file() {
    for (name, bytes, ..) in files::ALL {
        let pixels = decode(bytes).await.expect(name).into_pixels();
        assert_eq!((pixels.width(), pixels.height()), (37, 21), "{name}");
        let image = image::load_from_memory(bytes).unwrap();
        let format = format!("{:?}", pixels.format());
        let variant = format!("{image:?}");
        assert!(
            variant.starts_with(&format!("Image{format}(")),
            "{name}: {format}"
        );
        assert_eq!(pixels.as_bytes(), image.as_bytes(), "{name}");
    }
}

// I06, I09
#[tokio::test]
async fn refuses_images_that_fail_to_decode() {
    for bytes in [
        png(8, 8, &[chunk(b"IDAT", b"no pixels")]),
        jpeg(&[sof(0xC0, 8, 8), scan(&[1, 2, 3])]),
        gif(8, 8, &[gif_frame(0, 0, 8, 8)[..17].to_vec(), vec![0]]),
    ] {
        assert_eq!(decode(bytes).await.err(), Some(Kind::Undecodable));
    }
}

/// A black grey PNG of this size.
fn black(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let picture = DynamicImage::new_luma8(width, height);
    picture
        .write_to(&mut bytes, image::ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}

// I13
#[tokio::test]
async fn limits_the_memory_of_pixels() {
    let limits = DecodeLimits::default().queue(100).memory(3 << 20);
    let decoder = ImageDecoder::new(limits);
    let megapixel = valid(black(1_024, 1_024));

    let mut tasks = JoinSet::new();
    for _ in 0..64 {
        let (decoder, image) = (decoder.clone(), megapixel.clone());
        tasks.spawn(async move { decoder.decode(&image).await });
    }
    let mut kept = Vec::new();
    while let Some(decoded) = tasks.join_next().await {
        match decoded.unwrap() {
            Ok(image) => kept.push(image),
            Err(error) => assert_eq!(error.kind(), Kind::Busy),
        }
    }
    assert_eq!(kept.len(), 3);

    kept.pop();
    kept.push(decoder.decode(&megapixel).await.unwrap());
    assert_eq!(
        decoder.decode(&megapixel).await.unwrap_err().kind(),
        Kind::Busy
    );
    kept.pop().unwrap().into_pixels();
    assert!(decoder.decode(&megapixel).await.is_ok());
}

// I13
#[test]
fn limits_concurrent_and_queued_images() {
    let runtime = Builder::new_current_thread()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    runtime.block_on(async {
        // Nothing is decoded until the only blocking thread is released.
        let (free, taken) = mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || taken.recv());

        let limits = DecodeLimits::default()
            .concurrency(NonZeroUsize::MIN)
            .queue(2);
        let decoder = ImageDecoder::new(limits);
        let image = valid(file("still.gif"));
        let decode = || {
            let mut decoding = Box::pin(decoder.decode(&image));
            let mut context = Context::from_waker(Waker::noop());
            match decoding.as_mut().poll(&mut context) {
                Poll::Pending => Some(decoding),
                Poll::Ready(decoded) => {
                    assert_eq!(decoded.unwrap_err().kind(), Kind::Busy);
                    None
                }
            }
        };
        let running = decode();
        let waiting = [decode(), decode()];
        assert!(running.is_some() && waiting.iter().all(Option::is_some));
        assert!(decode().is_none(), "no place is left");

        // Its work continues and keeps its slot; queued images have no work yet.
        drop(running);
        assert!(decode().is_none());
        drop(waiting);
        let next = decode().unwrap();

        free.send(()).unwrap();
        assert!(next.await.is_ok());
    });
}

/// Metadata: a segment of a JPEG, a chunk of a WebP and a block of a GIF.
fn with_metadata(name: &str, bytes: &[u8]) -> Vec<u8> {
    let (at, metadata) = match &name[name.rfind('.').unwrap()..] {
        ".png" => (33, chunk(b"zTXt", b"a\0\0not zlib")),
        ".jpg" => (
            2,
            [
                segment(0xE2, b"ICC_PROFILE\0\x01\x01"),
                segment(0xFE, b"note"),
            ]
            .concat(),
        ),
        ".gif" => {
            let table = if bytes[10] & 0x80 == 0 {
                0
            } else {
                3 << ((bytes[10] & 7) + 1)
            };
            (13 + table, b"\x21\xFF\x0bICCRGBG1012\x03abc\0".to_vec())
        }
        // After the picture, where the container has a header for it.
        ".webp" if &bytes[12..16] == b"VP8X" => (bytes.len(), riff(b"XMP ", b"<x/>")),
        ".webp" => return bytes.to_vec(),
        other => panic!("{other}"),
    };
    let mut bytes = [&bytes[..at], &metadata, &bytes[at..]].concat();
    if name.ends_with(".webp") {
        let size = u32::try_from(bytes.len() - 8).unwrap();
        bytes[4..8].copy_from_slice(&size.to_le_bytes());
        bytes[20] |= 0x04;
    }
    bytes
}

// FA01
#[tokio::test]
async fn stripping_metadata_changes_no_pixel() {
    for (name, bytes, ..) in files::ALL {
        let plain = decode(bytes).await.expect(name).into_pixels();
        let image = decode(with_metadata(name, bytes)).await.expect(name);
        assert_eq!(image.into_pixels(), plain, "{name}");
    }
}

// FA01, I13
#[test]
fn decode_blocking_limits_the_bytes_of_pixels() {
    let image = valid(black(64, 64));
    assert_eq!(image.decode_blocking(64 * 64).unwrap().width(), 64);
    let error = image.decode_blocking(64 * 64 - 1).unwrap_err();
    assert_eq!(error.kind(), Kind::TooManyPixels);
}
