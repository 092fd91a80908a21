//! JPEG (ITU-T T.81).

use super::{error::ImageErrorKind, info::Dimensions, reader::Reader};

/// A scan of a few bytes makes a decoder process all pixels; encoders write about ten.
const MOST_SCANS: u32 = 100;

const SOF_BASELINE: u8 = 0xC0;
const SOF_PROGRESSIVE: u8 = 0xC2;
const DHT: u8 = 0xC4;
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;
const DQT: u8 = 0xDB;
const DRI: u8 = 0xDD;
const APP0: u8 = 0xE0;
const APP15: u8 = 0xEF;
const COM: u8 = 0xFE;

/// Walks the segments up to the first scan; if the picture has several scans, up to its end.
///
/// Stricter than decoders: where a marker is missing they search for the next one in different
/// ways, and could find other dimensions.
pub(super) fn walk(reader: &mut Reader<'_>) -> Result<Dimensions, ImageErrorKind> {
    reader.skip(2)?;
    let mut frame = None;
    loop {
        if reader.take()? != [0xFF] {
            return Err(ImageErrorKind::Malformed);
        }
        match (marker(reader)?, frame) {
            (code @ SOF_BASELINE..=SOF_PROGRESSIVE, None) => {
                frame = Some(Frame::read(reader, code == SOF_PROGRESSIVE)?);
            }
            // Lossless, hierarchical and arithmetic coding.
            (0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF, None) => {
                return Err(ImageErrorKind::Unsupported);
            }
            (SOS, Some(frame)) => {
                if scan(reader)? < frame.components || frame.progressive {
                    scans(reader)?;
                }
                return Ok(Dimensions {
                    width: frame.width,
                    height: frame.height,
                    frames: 1,
                });
            }
            (code, _) => segment(reader, code)?,
        }
    }
}

#[derive(Clone, Copy)]
struct Frame {
    width: u32,
    height: u32,
    components: u8,
    progressive: bool,
}

impl Frame {
    fn read(reader: &mut Reader<'_>, progressive: bool) -> Result<Self, ImageErrorKind> {
        let length = u16::from_be_bytes(reader.take()?);
        let [precision] = reader.take()?;
        let height = u16::from_be_bytes(reader.take()?).into();
        let width = u16::from_be_bytes(reader.take()?).into();
        let [components] = reader.take()?;
        if !matches!(components, 1 | 3 | 4) || length != 8 + 3 * u16::from(components) {
            return Err(ImageErrorKind::Malformed);
        }
        if precision != 8 {
            return Err(ImageErrorKind::Unsupported);
        }
        reader.skip(3 * usize::from(components))?;
        Ok(Self {
            width,
            height,
            components,
            progressive,
        })
    }
}

/// Reads the code after 0xFF; fill bytes may precede it (B.1.1.2).
fn marker(reader: &mut Reader<'_>) -> Result<u8, ImageErrorKind> {
    loop {
        match reader.take()? {
            [0xFF] => {}
            [code] => return Ok(code),
        }
    }
}

/// Skips a table or comment. Other segments are not allowed between headers.
fn segment(reader: &mut Reader<'_>, code: u8) -> Result<(), ImageErrorKind> {
    if !matches!(code, DHT | DQT | DRI | COM | APP0..=APP15) {
        return Err(ImageErrorKind::Malformed);
    }
    // JFIF's is longer. At 6, zune-jpeg 0.5.15 loses its position and takes dimensions from
    // the following data.
    let least = if code == APP0 { 7 } else { 2 };
    let length = u16::from_be_bytes(reader.take()?);
    if length < least {
        return Err(ImageErrorKind::Malformed);
    }
    reader.skip(usize::from(length) - 2)
}

/// Reads a scan header and returns its number of components.
fn scan(reader: &mut Reader<'_>) -> Result<u8, ImageErrorKind> {
    let length = u16::from_be_bytes(reader.take()?);
    let [components] = reader.take()?;
    if !(1..=4).contains(&components) || length != 6 + 2 * u16::from(components) {
        return Err(ImageErrorKind::Malformed);
    }
    reader.skip(2 * usize::from(components) + 3)?;
    Ok(components)
}

/// Walks the remaining scans up to the end of the picture.
fn scans(reader: &mut Reader<'_>) -> Result<(), ImageErrorKind> {
    let mut scans = 1;
    loop {
        match marker_in_data(reader)? {
            EOI => return Ok(()),
            SOS if scans == MOST_SCANS => return Err(ImageErrorKind::TooManyScans),
            SOS => {
                scan(reader)?;
                scans += 1;
            }
            code => segment(reader, code)?,
        }
    }
}

/// Finds the next marker in entropy-coded data. After 0xFF, 0 is data, and restart markers are
/// skipped.
fn marker_in_data(reader: &mut Reader<'_>) -> Result<u8, ImageErrorKind> {
    let mut follows = false;
    reader.find(|byte| {
        let found = follows && !matches!(byte, 0x00 | 0xD0..=0xD7 | 0xFF);
        follows = byte == 0xFF;
        found
    })
}
