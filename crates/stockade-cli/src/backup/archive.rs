//! Writes the archive: the manifest, then all files.

use std::io::{self, BufWriter, Read, Write};

use age::stream::StreamWriter;
use stockade_core::clock::{Clock, SystemClock};
use tar::{Builder, EntryType, Header};

use super::{
    collection::Collection,
    manifest::{self, Manifest},
};
use crate::{CliError, time::Rfc3339};

/// Writes a backup, with memory that does not depend on the sizes of the files.
pub(super) fn write<W>(
    collection: &Collection,
    stream: StreamWriter<BufWriter<W>>,
) -> Result<Manifest, CliError>
where
    W: Write,
{
    let created = Rfc3339(SystemClock::new().now()).to_string();
    let mut manifest = Manifest::new(created, collection.chain_key_id.clone());
    manifest.left_out.clone_from(&collection.left_out);
    for item in &collection.items {
        manifest.files.push(item.entry()?);
    }
    let mut archive = Builder::new(stream);
    let json = serde_json::to_vec_pretty(&manifest).map_err(|error| write_failed(&error.into()))?;
    append(
        &mut archive,
        manifest::NAME,
        json.len() as u64,
        0o600,
        &*json,
    )?;
    for (item, entry) in collection.items.iter().zip(&manifest.files) {
        let mut contents = item.contents();
        append(
            &mut archive,
            &entry.name(),
            entry.size,
            entry.mode(),
            &mut contents,
        )?;
        if contents.finish() != (entry.size, entry.sha256.clone()) {
            return Err(item.changed());
        }
    }
    let ended = archive.into_inner().and_then(StreamWriter::finish);
    ended
        .and_then(|mut file| file.flush())
        .map_err(|error| write_failed(&error))?;
    Ok(manifest)
}

fn append<W>(
    archive: &mut Builder<W>,
    name: &str,
    size: u64,
    mode: u32,
    contents: impl Read,
) -> Result<(), CliError>
where
    W: Write,
{
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_size(size);
    header.set_mode(mode);
    let written = header.set_path(name).and_then(|()| {
        header.set_cksum();
        archive.append(&header, contents)
    });
    written.map_err(|error| write_failed(&error))
}

pub(super) fn write_failed(error: &io::Error) -> CliError {
    CliError::failed(format_args!("cannot write the backup: {error}"))
        .with_help("name a file on a disk with enough space with --output")
}
