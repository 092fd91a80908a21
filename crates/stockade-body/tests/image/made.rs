//! Builds files piece by piece, so that tests can omit or falsify one.

use crc32fast::hash;

pub(crate) const PNG: [u8; 8] = *b"\x89PNG\r\n\x1a\n";

/// A PNG chunk with its checksum.
pub(crate) fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let named = [name.as_slice(), data].concat();
    let length = u32::try_from(data.len()).unwrap();
    [
        length.to_be_bytes().as_slice(),
        &named,
        &hash(&named).to_be_bytes(),
    ]
    .concat()
}

/// A grey PNG's header chunk.
pub(crate) fn ihdr(width: u32, height: u32) -> Vec<u8> {
    let [w, h] = [width, height].map(u32::to_be_bytes);
    chunk(b"IHDR", &[w.as_slice(), &h, &[8, 0, 0, 0, 0]].concat())
}

/// A PNG of these chunks between header and end.
pub(crate) fn png(width: u32, height: u32, chunks: &[Vec<u8>]) -> Vec<u8> {
    let end = chunk(b"IEND", b"");
    [PNG.to_vec(), ihdr(width, height), chunks.concat(), end].concat()
}

/// A JPEG segment.
pub(crate) fn segment(code: u8, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len() + 2).unwrap();
    [&[0xFF, code], length.to_be_bytes().as_slice(), data].concat()
}

/// A frame header of three components.
pub(crate) fn sof(code: u8, width: u16, height: u16) -> Vec<u8> {
    let [w, h] = [width, height].map(u16::to_be_bytes);
    let components = [3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0];
    segment(code, &[&[8], h.as_slice(), &w, &components].concat())
}

/// A scan of these components with one byte of data.
pub(crate) fn scan(components: &[u8]) -> Vec<u8> {
    let mut data = vec![u8::try_from(components.len()).unwrap()];
    data.extend(components.iter().flat_map(|id| [*id, 0]));
    data.extend([0, 63, 0]);
    [segment(0xDA, &data), vec![0x5A]].concat()
}

/// A JPEG of these segments.
pub(crate) fn jpeg(segments: &[Vec<u8>]) -> Vec<u8> {
    [vec![0xFF, 0xD8], segments.concat(), vec![0xFF, 0xD9]].concat()
}

/// A GIF's screen without a colour table, these blocks, and the trailer.
pub(crate) fn gif(width: u16, height: u16, blocks: &[Vec<u8>]) -> Vec<u8> {
    let [w, h] = [width, height].map(u16::to_le_bytes);
    [
        b"GIF89a".as_slice(),
        &w,
        &h,
        &[0, 0, 0],
        &blocks.concat(),
        &[0x3B],
    ]
    .concat()
}

/// A GIF frame with a colour table of its own and one sub-block.
pub(crate) fn gif_frame(x: u16, y: u16, width: u16, height: u16) -> Vec<u8> {
    let place = [x, y, width, height].map(u16::to_le_bytes).concat();
    [
        &[0x2C],
        place.as_slice(),
        &[0x80, 0, 0, 0, 255, 255, 255, 2, 2, 0x44, 1, 0],
    ]
    .concat()
}

/// A RIFF chunk with its padding.
pub(crate) fn riff(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap().to_le_bytes();
    let padding = vec![0; data.len() % 2];
    [name.as_slice(), &length, data, &padding].concat()
}

/// A WebP of these chunks.
pub(crate) fn webp(chunks: &[Vec<u8>]) -> Vec<u8> {
    riff(b"RIFF", &[b"WEBP".to_vec(), chunks.concat()].concat())
}

/// The header of an extended WebP.
pub(crate) fn vp8x(flags: u8, width: u32, height: u32) -> Vec<u8> {
    let [w, h] = [width, height].map(|side| (side - 1).to_le_bytes());
    riff(b"VP8X", &[&[flags, 0, 0, 0], &w[..3], &h[..3]].concat())
}

/// The header of a lossless picture.
pub(crate) fn vp8l(width: u32, height: u32) -> Vec<u8> {
    let bits = (width - 1) | (height - 1) << 14;
    riff(b"VP8L", &[&[0x2F], bits.to_le_bytes().as_slice()].concat())
}

/// A frame of an animation, in the upper left corner.
pub(crate) fn anmf(width: u32, height: u32, picture: &[u8]) -> Vec<u8> {
    let [w, h] = [width, height].map(|side| (side - 1).to_le_bytes());
    let head = [&[0; 6], &w[..3], &h[..3], &[0; 4]].concat();
    riff(b"ANMF", &[head.as_slice(), picture].concat())
}
