//! Removes metadata from an image before a codec reads it.

use bytes::Bytes;

use super::{error::ImageErrorKind, format::ImageFormat};

/// Returns the image without profiles, texts and other metadata.
///
/// Codecs parse metadata eagerly and inflate compressed parts: a PNG of one pixel can carry a
/// profile of gigabytes. A decoder of the first frame needs:
/// - PNG: `IHDR`, `PLTE`, `tRNS`, `IDAT` and `IEND`.
/// - JPEG: all segments but `APP1` to `APP13`, `APP15` and comments. `APP0` and `APP14` define
///   the colour coding.
/// - WebP: pictures, and the frames of an animation.
/// - GIF: the first frame and its graphic control extension.
///
/// An image without metadata is returned unchanged; others are copied.
///
/// # Errors
/// [`Undecodable`](ImageErrorKind::Undecodable) if the structure is broken.
pub(super) fn strip(format: ImageFormat, bytes: Bytes) -> Result<Bytes, ImageErrorKind> {
    let mut out = Stripper::new(bytes);
    match format {
        ImageFormat::Png => png(&mut out)?,
        ImageFormat::Jpeg => jpeg(&mut out)?,
        ImageFormat::WebP => return webp(out),
        ImageFormat::Gif => gif(&mut out)?,
    }
    Ok(out.finish())
}

fn png(out: &mut Stripper) -> Result<(), ImageErrorKind> {
    out.keep(8)?;
    loop {
        let length = u32::from_be_bytes(out.peek(0)?) as usize;
        let name: [u8; 4] = out.peek(4)?;
        // Plus length, name and checksum.
        let whole = length.saturating_add(12);
        match &name {
            b"IHDR" | b"PLTE" | b"tRNS" | b"IDAT" => out.keep(whole)?,
            b"IEND" => return out.keep(whole),
            _ => out.skip(whole)?,
        }
    }
}

fn jpeg(out: &mut Stripper) -> Result<(), ImageErrorKind> {
    out.keep(2)?;
    loop {
        let [0xFF, code] = out.peek(0)? else {
            return Err(ImageErrorKind::Undecodable);
        };
        // Fill bytes (T.81, B.1.1.2).
        if code == 0xFF {
            out.keep(1)?;
            continue;
        }
        let length = usize::from(u16::from_be_bytes(out.peek(2)?)) + 2;
        match code {
            // The remainder is scan data.
            0xDA => return out.keep_rest(),
            0xE1..=0xED | 0xEF | 0xFE => out.skip(length)?,
            _ => out.keep(length)?,
        }
    }
}

fn webp(mut out: Stripper) -> Result<Bytes, ImageErrorKind> {
    const FLAGS: usize = 20;
    /// The flags of ICC profiles, Exif and XMP.
    const METADATA: u8 = 0x20 | 0x08 | 0x04;

    let size = u32::from_le_bytes(out.peek(4)?) as usize;
    let end = size.saturating_add(8);
    out.keep(12)?;
    while out.at < end {
        let name: [u8; 4] = out.peek(0)?;
        let length = u32::from_le_bytes(out.peek(4)?) as usize;
        let whole = length.saturating_add(length % 2).saturating_add(8);
        match &name {
            b"VP8X" | b"VP8 " | b"VP8L" | b"ALPH" | b"ANIM" | b"ANMF" => out.keep(whole)?,
            _ => out.skip(whole)?,
        }
    }
    let whole = out.is_whole();
    let bytes = out.finish();
    if whole {
        return Ok(bytes);
    }
    let mut bytes = Vec::from(bytes);
    let size = u32::try_from(bytes.len() - 8).map_err(|_| ImageErrorKind::Undecodable)?;
    bytes[4..8].copy_from_slice(&size.to_le_bytes());
    if bytes.get(12..16) == Some(b"VP8X")
        && let Some(flags) = bytes.get_mut(FLAGS)
    {
        *flags &= !METADATA;
    }
    Ok(bytes.into())
}

fn gif(out: &mut Stripper) -> Result<(), ImageErrorKind> {
    const TRAILER: u8 = 0x3B;
    const GRAPHIC_CONTROL: u8 = 0xF9;

    let [flags] = out.peek(10)?;
    out.keep(13 + colour_table(flags))?;
    loop {
        match out.peek(0)? {
            [0x21] => {
                let [label] = out.peek(1)?;
                let length = 2 + sub_blocks(out, 2)?;
                if label == GRAPHIC_CONTROL {
                    out.keep(length)?;
                } else {
                    out.skip(length)?;
                }
            }
            [0x2C] => {
                let [flags] = out.peek(9)?;
                let head = 10 + colour_table(flags) + 1;
                out.keep(head + sub_blocks(out, head)?)?;
                return match out.peek(0)? {
                    [TRAILER] => out.keep(1),
                    [_] => {
                        out.push(TRAILER);
                        Ok(())
                    }
                };
            }
            _ => return Err(ImageErrorKind::Undecodable),
        }
    }
}

fn colour_table(flags: u8) -> usize {
    match flags & 0x80 {
        0 => 0,
        _ => 3 << ((flags & 7) + 1),
    }
}

/// Returns the length of the sub-blocks that start `ahead` bytes on, including the terminator.
fn sub_blocks(out: &Stripper, ahead: usize) -> Result<usize, ImageErrorKind> {
    let mut length = 0;
    loop {
        let [block] = out.peek(ahead + length)?;
        length += 1 + usize::from(block);
        if block == 0 {
            return Ok(length);
        }
    }
}

/// Copies parts of an image. Nothing is copied while the parts are contiguous from the start.
struct Stripper {
    source: Bytes,
    /// Parts copied before the current run.
    kept: Vec<u8>,
    /// Start of the current run, kept but not yet copied.
    run: usize,
    at: usize,
}

impl Stripper {
    fn new(source: Bytes) -> Self {
        Self {
            source,
            kept: Vec::new(),
            run: 0,
            at: 0,
        }
    }

    fn peek<const N: usize>(&self, ahead: usize) -> Result<[u8; N], ImageErrorKind> {
        let rest = self.source.get(self.at + ahead..);
        let bytes = rest.and_then(<[u8]>::first_chunk);
        bytes.copied().ok_or(ImageErrorKind::Undecodable)
    }

    fn keep(&mut self, length: usize) -> Result<(), ImageErrorKind> {
        if length > self.source.len() - self.at {
            return Err(ImageErrorKind::Undecodable);
        }
        self.at += length;
        Ok(())
    }

    fn keep_rest(&mut self) -> Result<(), ImageErrorKind> {
        self.keep(self.source.len() - self.at)
    }

    fn skip(&mut self, length: usize) -> Result<(), ImageErrorKind> {
        let end = self.at;
        self.keep(length)?;
        self.kept.extend_from_slice(&self.source[self.run..end]);
        self.run = self.at;
        Ok(())
    }

    fn push(&mut self, byte: u8) {
        self.kept.extend_from_slice(&self.source[self.run..self.at]);
        self.kept.push(byte);
        self.run = self.at;
    }

    fn is_whole(&self) -> bool {
        self.run == 0
    }

    fn finish(mut self) -> Bytes {
        if self.is_whole() {
            return self.source.slice(..self.at);
        }
        self.kept.extend_from_slice(&self.source[self.run..self.at]);
        self.kept.into()
    }
}
