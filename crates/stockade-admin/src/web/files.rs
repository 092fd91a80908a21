//! The files of the page.

use std::{collections::HashMap, sync::LazyLock};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::HeaderValue;
use sha2::{Digest as _, Sha256};

/// A file that the page loads.
pub(super) struct File {
    pub(super) content: &'static [u8],
    pub(super) content_type: &'static str,
    pub(super) etag: HeaderValue,
}

macro_rules! files {
    ($($path:literal)+) => {
        const FILES: &[(&str, &[u8])] = &[
            $(($path, include_bytes!(concat!("../../web/", $path))),)+
        ];
    };
}

/// The page that loads the others.
pub(super) const INDEX: &str = include_str!("../../web/index.html");

files! {
    "api.js"
    "app.js"
    "appearance.js"
    "audit-filters.js"
    "audit-record.js"
    "backup.js"
    "ban-dialogs.js"
    "budget-dialogs.js"
    "chart.js"
    "content.css"
    "controls.css"
    "dialog.js"
    "dom.js"
    "download.js"
    "errors.js"
    "event-name.js"
    "form.js"
    "format.js"
    "icon.svg"
    "icons.js"
    "jwt.js"
    "key-dialogs.js"
    "key-fields.js"
    "key-selection.js"
    "key-state.js"
    "model-state.js"
    "new-secrets.js"
    "pages.css"
    "pages.js"
    "pages/account.js"
    "pages/audit.js"
    "pages/bans.js"
    "pages/budgets.js"
    "pages/key.js"
    "pages/keys.js"
    "pages/login.js"
    "pages/models.js"
    "pages/overview.js"
    "pages/playground.js"
    "pages/settings.js"
    "pages/setup.js"
    "pages/tokens.js"
    "pages/users.js"
    "password.js"
    "playground/chat.js"
    "playground/clicks.js"
    "playground/composer.js"
    "playground/key.js"
    "playground/panel.js"
    "playground/picture.js"
    "playground/snippets.js"
    "playground/turns.js"
    "qr.js"
    "role-dialogs.js"
    "rotate-keys.js"
    "router.js"
    "session.js"
    "shell.css"
    "shell.js"
    "strings.js"
    "table.js"
    "theme.css"
    "theme.js"
    "toast.js"
    "token-dialogs.js"
    "totp-dialogs.js"
    "user-dialogs.js"
    "widgets.js"
}

/// The file of this path below `/admin/`.
pub(super) fn find(path: &str) -> Option<&'static File> {
    static BY_PATH: LazyLock<HashMap<&str, File>> = LazyLock::new(|| {
        let files = FILES
            .iter()
            .map(|&(path, content)| (path, file(path, content)));
        files.collect()
    });
    BY_PATH.get(path)
}

fn file(path: &str, content: &'static [u8]) -> File {
    let digest = Sha256::digest(content);
    let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(&digest[..12]));
    let content_type = match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    };
    File {
        content,
        content_type,
        etag: HeaderValue::try_from(etag).expect("base64 is visible ASCII"),
    }
}

#[cfg(test)]
pub(super) fn paths() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|&(path, _)| path)
}
