//! GIF (CompuServe GIF89a).

use super::{error::ImageErrorKind, info::Dimensions, reader::Reader};

/// Walks the blocks from the header to the trailer.
pub(super) fn walk(reader: &mut Reader<'_>) -> Result<Dimensions, ImageErrorKind> {
    reader.skip(6)?;
    let width = u16::from_le_bytes(reader.take()?);
    let height = u16::from_le_bytes(reader.take()?);
    let [flags, _background, _aspect] = reader.take()?;
    colour_table(reader, flags)?;
    let mut frames = 0;
    loop {
        match reader.take()? {
            [0x21] => {
                let [_label] = reader.take()?;
                sub_blocks(reader)?;
            }
            [0x2C] => {
                frame(reader, width, height)?;
                frames += 1;
            }
            [0x3B] if frames > 0 => {
                return Ok(Dimensions {
                    width: width.into(),
                    height: height.into(),
                    frames,
                });
            }
            _ => return Err(ImageErrorKind::Malformed),
        }
    }
}

/// Frames must lie inside the screen: a decoder allocates memory by the frame's own size.
fn frame(reader: &mut Reader<'_>, width: u16, height: u16) -> Result<(), ImageErrorKind> {
    let [x, y, w, h] = [(); 4].map(|()| reader.take().map(u16::from_le_bytes));
    let inside = x?.checked_add(w?).is_some_and(|right| right <= width)
        && y?.checked_add(h?).is_some_and(|bottom| bottom <= height);
    if !inside {
        return Err(ImageErrorKind::Malformed);
    }
    let [flags] = reader.take()?;
    colour_table(reader, flags)?;
    let [_code_size] = reader.take()?;
    sub_blocks(reader)
}

fn colour_table(reader: &mut Reader<'_>, flags: u8) -> Result<(), ImageErrorKind> {
    if flags & 0x80 == 0 {
        return Ok(());
    }
    reader.skip(3 << ((flags & 7) + 1))
}

fn sub_blocks(reader: &mut Reader<'_>) -> Result<(), ImageErrorKind> {
    loop {
        match reader.take()? {
            [0] => return Ok(()),
            [length] => reader.skip(length.into())?,
        }
    }
}
