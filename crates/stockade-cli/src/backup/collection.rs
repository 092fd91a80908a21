//! Opens everything that a backup has.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
};

use stockade::{SecretUrl, SettingFile};
use stockade_audit::open_log;
use stockade_server_config::{ModelSource, ServerFile};
use stockade_sqlx::snapshot_sqlite;

use super::{
    item::Item,
    manifest::{Kind, LeftOut},
    role::Role,
};
use crate::{CliError, audit::verify::default_head, keys::location::sqlite_path};

/// The open files of a server, and what is left out.
pub(super) struct Collection {
    /// In the order of the archive: keys before heads, heads before logs, so that a reader can
    /// verify logs in one pass.
    pub(super) items: Vec<Item>,
    pub(super) left_out: Vec<LeftOut>,
    pub(super) chain_key_id: Option<String>,
    /// The paths of secrets that are left out.
    withheld: HashSet<PathBuf>,
}

impl Collection {
    /// Opens all files of a server, so that later changes of their names have no effect, and copies
    /// its databases.
    pub(super) async fn read(
        config: &Path,
        server: &ServerFile,
        without_secrets: bool,
    ) -> Result<Self, CliError> {
        let audit = server.fence.audit.as_ref();
        let key = audit.filter(|audit| audit.key_file.is_some());
        let mut collection = Self {
            items: Vec::new(),
            left_out: Vec::new(),
            chain_key_id: key.map(|audit| audit.key_id.clone()),
            withheld: HashSet::new(),
        };
        let mut files = server.fence.files().to_vec();
        // By setting, so that the order does not depend on that in the file.
        files.sort_by(|a, b| a.setting.cmp(&b.setting));
        let (logs, files): (Vec<_>, Vec<_>) = files
            .into_iter()
            .partition(|file| Role::of(&file.pattern()) == Role::Log);
        if without_secrets {
            collection.withhold(&files);
        }
        collection.add("configuration", config, Role::Input)?;
        for file in &files {
            let role = Role::of(&file.pattern());
            if !(without_secrets && role.is_secret()) {
                collection.add(&file.setting, &file.path, role)?;
            }
        }
        for log in &logs {
            collection.add_log(log)?;
        }
        for (setting, url) in server.urls() {
            collection.add_database(setting, url).await?;
        }
        collection.leave_out_the_rest(server);
        Ok(collection)
    }

    fn withhold(&mut self, files: &[SettingFile]) {
        for file in files {
            if Role::of(&file.pattern()).is_secret() {
                self.withheld.extend(absolute(&file.path));
                self.leave_out(&file.setting, "it is secret (--without-secrets)");
            }
        }
    }

    fn add(&mut self, setting: &str, path: &Path, role: Role) -> Result<(), CliError> {
        let opened = absolute(path).and_then(|path| {
            if self.withheld.contains(&path) {
                return Ok(None);
            }
            let mut items = self.items.iter_mut();
            match items.find(|item| item.path == path) {
                Some(known) => {
                    known.settings.push(setting.to_owned());
                    Ok(None)
                }
                None => Item::open(path, setting, Kind::File).map(Some),
            }
        });
        match opened {
            Ok(item) => self.items.extend(item),
            Err(error) if role == Role::State && error.kind() == io::ErrorKind::NotFound => {
                let reason = format!("{} does not exist", path.display());
                self.leave_out(setting, reason);
            }
            Err(error) => return Err(unreadable(setting, path, &error)),
        }
        Ok(())
    }

    /// Adds the head of a log, then its files: a log in use may be newer than its head.
    fn add_log(&mut self, log: &SettingFile) -> Result<(), CliError> {
        let setting = &log.setting;
        let failed = |error: io::Error| unreadable(setting, &log.path, &error);
        let path = match absolute(&log.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.leave_out(setting, format!("{} does not exist", log.path.display()));
                return Ok(());
            }
            path => path.map_err(failed)?,
        };
        match Item::open(default_head(&path), setting, Kind::Head) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            head => self.items.push(head.map_err(failed)?),
        }
        let files = open_log(&path).map_err(failed)?;
        if files.is_empty() {
            let reason = format!("{} is not an existing regular file", path.display());
            self.leave_out(setting, reason);
        }
        for file in files {
            let item = Item::log(file.path, setting, file.file, file.length);
            self.items.push(item.map_err(failed)?);
        }
        Ok(())
    }

    async fn add_database(&mut self, setting: &str, url: &SecretUrl) -> Result<(), CliError> {
        let reason = match url.expose().split_once(':') {
            Some(("sqlite", _)) => {
                let path = sqlite_path(url.expose());
                if path != Path::new(":memory:") {
                    self.items.push(copy_of(setting, url, &path).await?);
                    return Ok(());
                }
                "a database in memory"
            }
            Some(("postgres" | "postgresql", _)) => {
                "PostgreSQL; back it up with `pg_dump --format=custom`"
            }
            _ => "Redis; it has limits, and bans that end by themselves",
        };
        self.leave_out(setting, reason);
        Ok(())
    }

    fn leave_out_the_rest(&mut self, server: &ServerFile) {
        for model in &server.models {
            let name = model.source.as_deref().unwrap_or_default();
            match model.location() {
                Ok(Some(ModelSource::Directory(_))) => {
                    self.leave_out("model files", format!("{name}; copy them separately"));
                }
                Ok(Some(ModelSource::Hub(_))) => {
                    self.leave_out(
                        "model files",
                        format!("{name}; the server downloads it again"),
                    );
                }
                _ => {}
            }
        }
        let settings = server.fence.settings().iter();
        let variables = settings.filter_map(|setting| setting.origin.as_variable());
        let mut variables: Vec<_> = variables.collect();
        variables.sort_unstable();
        variables.dedup();
        if !variables.is_empty() {
            self.leave_out("environment variables", variables.join(", "));
        }
    }

    fn leave_out(&mut self, what: &str, reason: impl Into<String>) {
        self.left_out.push(LeftOut {
            what: what.to_owned(),
            reason: reason.into(),
        });
    }
}

/// Copies a database to a folder next to it, where others cannot read the copy.
async fn copy_of(setting: &str, url: &SecretUrl, path: &Path) -> Result<Item, CliError> {
    let failed = |error: io::Error| {
        unreadable(setting, path, &error).with_help(format_args!(
            "run the command as the user of the server, where it runs: a relative path of {setting} \
             is relative to its working directory"
        ))
    };
    let path = absolute(path).map_err(failed)?;
    // SQLite reports a missing file in its own words.
    fs::metadata(&path).map_err(failed)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let folder = tempfile::Builder::new()
        .prefix(".stockade-backup-")
        .tempdir_in(folder)
        .map_err(failed)?;
    let copy = folder.path().join("copy.db");
    snapshot_sqlite(url.expose(), &copy).await.map_err(failed)?;
    Item::database(path.clone(), setting, &copy, folder).map_err(failed)
}

/// The absolute path of a file. Links and `..` in its folder are resolved, but not a link at the
/// path itself: a restored file has the name that the setting has.
fn absolute(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) => Ok(fs::canonicalize(folder)?.join(name)),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not the path of a file",
        )),
    }
}

fn unreadable(setting: &str, path: &Path, error: &io::Error) -> CliError {
    CliError::failed(format_args!(
        "{setting}: cannot read {}: {error}",
        path.display()
    ))
    .with_help("run the command as the user of the server, or as root")
}
