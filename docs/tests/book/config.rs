//! Loads the configurations of the book as a server and `stockade check` do.

use std::fs;

use stockade::{Config, DeploymentFacts, Environment, Format, Severity, check};
use stockade_server_config::ServerFile;
use toml::Table;

use crate::{block::Block, chapter::Chapter};

/// The files that validation reads: an Ed25519 key, no revoked token, and 32 bytes.
const FILES: [(&str, &str); 3] = [
    (
        "public.pem",
        "-----BEGIN PUBLIC KEY-----\n\
         MCowBQYDK2VwAyEADeTee5H5HeMaZJuzqM9V17ZknIHVcgXwjzhtuy8B+hI=\n\
         -----END PUBLIC KEY-----\n",
    ),
    ("revoked.txt", ""),
    ("audit.key", "thirty-two random bytes or more!"),
];

/// The sections of the quick start, which complete a configuration of which a page shows a part.
pub(crate) fn base(chapters: &[Chapter]) -> Table {
    let start = chapters.iter().find(|page| page.name == "quick-start.md");
    let blocks = start.expect("the quick start exists").blocks();
    let file = blocks
        .iter()
        .find(|block| block.file() == Some("stockade.toml"));
    file.expect("it shows a configuration")
        .text
        .parse()
        .unwrap()
}

/// Asserts that the configuration loads, and that nothing in it is an error.
pub(crate) fn assert_loads(block: &Block, base: &Table, place: &str) {
    let shown: Table = block
        .text
        .parse()
        .unwrap_or_else(|e| panic!("{place}: {e}"));
    let mut rest = base.clone();
    rest.retain(|section, _| !shown.contains_key(section));
    let text = format!("{}\n{}", block.text, toml::to_string(&rest).unwrap());
    let environment = Environment::default();
    let of_server = ServerFile::SECTIONS
        .iter()
        .any(|name| shown.contains_key(*name));
    let config = match of_server {
        true => ServerFile::parse(&text, Format::Toml, &environment).map(|file| file.fence),
        false => Config::parse(&text, Format::Toml, &environment),
    };
    let mut config = config.unwrap_or_else(|e| panic!("{place}: {e}"));
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in FILES {
        fs::write(folder.path().join(name), text).unwrap();
    }
    config.resolve_paths(folder.path());
    let errors: Vec<_> = check(&config, &DeploymentFacts::default())
        .into_iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| finding.to_string())
        .collect();
    assert!(errors.is_empty(), "{place}: {}", errors.join("\n"));
}
