//! WebP (RFC 9649).

use super::{error::ImageErrorKind, info::Dimensions, reader::Reader};

const ANIMATED: u8 = 0x02;

/// Walks the chunks of the RIFF container.
pub(super) fn walk(reader: &mut Reader<'_>) -> Result<Dimensions, ImageErrorKind> {
    reader.skip(4)?;
    let size = u32::from_le_bytes(reader.take()?) as usize;
    let end = size
        .checked_add(8)
        .filter(|end| size.is_multiple_of(2) && *end <= reader.length())
        .ok_or(ImageErrorKind::Malformed)?;
    reader.skip(4)?;
    let first = Chunk::read(reader, end)?;
    let shape = if &first.name == b"VP8X" {
        let [flags, _, _, _] = reader.take()?;
        let canvas = Size::less_one(reader)?;
        reader.skip_to(first.end)?;
        if flags & ANIMATED == 0 {
            still(reader, end, canvas)?;
            canvas.shape(1)
        } else {
            canvas.shape(animation(reader, end, canvas)?)
        }
    } else {
        let size = bitstream(reader, &first.name)?.ok_or(ImageErrorKind::Malformed)?;
        reader.skip_to(first.end)?;
        size.shape(1)
    };
    if reader.position() == end {
        Ok(shape)
    } else {
        Err(ImageErrorKind::Malformed)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Size {
    width: u32,
    height: u32,
}

impl Size {
    /// Reads width and height, stored minus one in 24 bits each.
    fn less_one(reader: &mut Reader<'_>) -> Result<Self, ImageErrorKind> {
        Ok(Self {
            width: u24(reader)? + 1,
            height: u24(reader)? + 1,
        })
    }

    fn shape(self, frames: u32) -> Dimensions {
        Dimensions {
            width: self.width,
            height: self.height,
            frames,
        }
    }
}

struct Chunk {
    name: [u8; 4],
    /// The start of the next chunk.
    end: usize,
}

impl Chunk {
    fn read(reader: &mut Reader<'_>, limit: usize) -> Result<Self, ImageErrorKind> {
        let name = reader.take()?;
        let size = u32::from_le_bytes(reader.take()?) as usize;
        let end = reader
            .position()
            .checked_add(size)
            .and_then(|end| end.checked_add(size % 2))
            .filter(|end| *end <= limit)
            .ok_or(ImageErrorKind::Malformed)?;
        Ok(Self { name, end })
    }
}

/// Walks the chunks of one picture, which must have this size: a decoder allocates memory by
/// the picture's own size.
fn still(reader: &mut Reader<'_>, end: usize, size: Size) -> Result<(), ImageErrorKind> {
    let mut pictures = 0;
    while reader.position() < end {
        let chunk = Chunk::read(reader, end)?;
        if matches!(&chunk.name, b"VP8X" | b"ANIM" | b"ANMF") {
            return Err(ImageErrorKind::Malformed);
        }
        if let Some(found) = bitstream(reader, &chunk.name)? {
            if found != size {
                return Err(ImageErrorKind::Malformed);
            }
            pictures += 1;
        }
        reader.skip_to(chunk.end)?;
    }
    if pictures == 1 {
        Ok(())
    } else {
        Err(ImageErrorKind::Malformed)
    }
}

/// Walks the chunks of an animation and returns its number of frames.
fn animation(reader: &mut Reader<'_>, end: usize, canvas: Size) -> Result<u32, ImageErrorKind> {
    let mut has_parameters = false;
    let mut frames = 0;
    while reader.position() < end {
        let chunk = Chunk::read(reader, end)?;
        match &chunk.name {
            b"ANIM" => has_parameters = true,
            b"ANMF" if has_parameters => {
                let (x, y) = (2 * u24(reader)?, 2 * u24(reader)?);
                let size = Size::less_one(reader)?;
                if x + size.width > canvas.width || y + size.height > canvas.height {
                    return Err(ImageErrorKind::Malformed);
                }
                reader.skip(4)?;
                still(reader, chunk.end, size)?;
                frames += 1;
            }
            b"VP8X" | b"ANMF" | b"VP8 " | b"VP8L" | b"ALPH" => {
                return Err(ImageErrorKind::Malformed);
            }
            _ => {}
        }
        reader.skip_to(chunk.end)?;
    }
    if frames > 0 {
        Ok(frames)
    } else {
        Err(ImageErrorKind::Malformed)
    }
}

/// Reads the size of a bitstream chunk; `None` for other chunks.
fn bitstream(reader: &mut Reader<'_>, name: &[u8; 4]) -> Result<Option<Size>, ImageErrorKind> {
    let (width, height) = match name {
        // RFC 6386, section 9.1: a key frame, the start code, 14 bits each.
        b"VP8 " => {
            let [tag, _, _, 0x9D, 0x01, 0x2A] = reader.take()? else {
                return Err(ImageErrorKind::Malformed);
            };
            if tag & 1 != 0 {
                return Err(ImageErrorKind::Malformed);
            }
            let width = u16::from_le_bytes(reader.take()?) & 0x3FFF;
            let height = u16::from_le_bytes(reader.take()?) & 0x3FFF;
            (width.into(), height.into())
        }
        // RFC 9649, section 3.4: 14 bits each, stored minus one; version 0.
        b"VP8L" => {
            let [signature] = reader.take()?;
            let bits = u32::from_le_bytes(reader.take()?);
            if signature != 0x2F || bits >> 29 != 0 {
                return Err(ImageErrorKind::Malformed);
            }
            ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
        }
        _ => return Ok(None),
    };
    Ok(Some(Size { width, height }))
}

fn u24(reader: &mut Reader<'_>) -> Result<u32, ImageErrorKind> {
    let [low, middle, high] = reader.take()?;
    Ok(u32::from_le_bytes([low, middle, high, 0]))
}
