//! PNG and APNG (W3C PNG, third edition).

use super::{error::ImageErrorKind, info::Dimensions, reader::Reader};

/// Walks the chunks from the signature to `IEND`; checksums are not verified.
pub(super) fn walk(reader: &mut Reader<'_>) -> Result<Dimensions, ImageErrorKind> {
    reader.skip(8)?;
    let (width, height) = header(reader)?;
    let mut announced = 1;
    let mut controls = 0;
    let mut data = Data::Ahead;
    loop {
        let (length, name) = chunk(reader)?;
        if &name == b"IDAT" {
            if data == Data::Behind {
                return Err(ImageErrorKind::Malformed);
            }
            data = Data::Here;
        } else if data == Data::Here {
            data = Data::Behind;
        }
        match &name {
            b"IDAT" => reader.skip(length)?,
            b"IEND" if length == 0 && data == Data::Behind => {
                reader.skip(CHECKSUM)?;
                return Ok(Dimensions {
                    width,
                    height,
                    frames: announced.max(controls),
                });
            }
            b"acTL" if length == 8 => {
                let [a, b, c, d, ..] = reader.take::<8>()?;
                announced = announced.max(u32::from_be_bytes([a, b, c, d]));
            }
            b"fcTL" if length == 26 => {
                frame(reader, width, height)?;
                controls += 1;
            }
            b"IHDR" | b"IEND" | b"acTL" | b"fcTL" => return Err(ImageErrorKind::Malformed),
            b"PLTE" => reader.skip(length)?,
            // Ancillary chunks start with a lower-case letter (section 5.4).
            [b'a'..=b'z', rest @ ..] if rest.iter().all(u8::is_ascii_alphabetic) => {
                reader.skip(length)?;
            }
            _ => return Err(ImageErrorKind::Malformed),
        }
        reader.skip(CHECKSUM)?;
    }
}

const CHECKSUM: usize = 4;

/// The position relative to the single run of `IDAT` chunks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Data {
    Ahead,
    Here,
    Behind,
}

fn chunk(reader: &mut Reader<'_>) -> Result<(usize, [u8; 4]), ImageErrorKind> {
    let length = u32::from_be_bytes(reader.take()?);
    let name = reader.take()?;
    Ok((length as usize, name))
}

fn header(reader: &mut Reader<'_>) -> Result<(u32, u32), ImageErrorKind> {
    if chunk(reader)? != (13, *b"IHDR") {
        return Err(ImageErrorKind::Malformed);
    }
    let width = u32::from_be_bytes(reader.take()?);
    let height = u32::from_be_bytes(reader.take()?);
    let [depth, colour, compression, filter, interlace] = reader.take()?;
    reader.skip(CHECKSUM)?;
    let pixels = matches!(
        (colour, depth),
        (0, 1 | 2 | 4 | 8 | 16) | (3, 1 | 2 | 4 | 8) | (2 | 4 | 6, 8 | 16)
    );
    if pixels && compression == 0 && filter == 0 && interlace <= 1 {
        Ok((width, height))
    } else {
        Err(ImageErrorKind::Malformed)
    }
}

/// Reads a frame's region, which must lie inside the picture.
fn frame(reader: &mut Reader<'_>, width: u32, height: u32) -> Result<(), ImageErrorKind> {
    reader.skip(4)?;
    let size = [(); 4].map(|()| reader.take().map(u32::from_be_bytes));
    let [w, h, x, y] = size;
    let inside = x?.checked_add(w?).is_some_and(|right| right <= width)
        && y?.checked_add(h?).is_some_and(|bottom| bottom <= height);
    reader.skip(6)?;
    if inside {
        Ok(())
    } else {
        Err(ImageErrorKind::Malformed)
    }
}
