//! The trained model of the demo, which is part of this program.
//!
//! `tools/demo-model` trains and exports it, and its README is the model card.

use std::{fs, io, path::Path};

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_bytes!(concat!("../../demo-model/", $name)).as_slice())),*]
    };
}

const FILES: [(&str, &[u8]); 6] = files![
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
];

/// Writes the model to `dir`, and creates the directory.
pub(super) fn write(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    for (name, bytes) in FILES {
        fs::write(dir.join(name), bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fits_into_a_package() {
        let size: usize = FILES.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(size < 6 * 1024 * 1024, "{size} bytes");
    }

    #[test]
    fn tokenizer_covers_the_whole_vocabulary() {
        let [config, tokenizer] = ["config.json", "tokenizer.json"]
            .map(|name| FILES.iter().find(|(file, _)| *file == name).unwrap().1);
        let config: serde_json::Value = serde_json::from_slice(config).unwrap();
        let tokenizer = tokenizers::Tokenizer::from_bytes(tokenizer).unwrap();
        assert_eq!(config["vocab_size"], tokenizer.get_vocab_size(true));
    }

    /// The engine tokenises the text of an image chat again at each step (fault 4), so each
    /// beginning of an answer needs the tokens that were generated.
    #[test]
    fn beginnings_of_answers_keep_their_tokens() {
        let bytes = FILES.iter().find(|(name, _)| *name == "tokenizer.json");
        let tokenizer = tokenizers::Tokenizer::from_bytes(bytes.unwrap().1).unwrap();
        let clicks = (3..224).step_by(7).map(|x| format!("Click({x}, {x})"));
        let texts = ["Submit", "Red", "Triangle", "5", "I do not see it."];
        for text in texts.map(String::from).into_iter().chain(clicks) {
            let tokens = tokenizer.encode(text.as_str(), false).unwrap();
            let ids = tokens.get_ids();
            for end in 1..=ids.len() {
                let beginning = tokenizer.decode(&ids[..end], false).unwrap();
                let again = tokenizer.encode(beginning.as_str(), false).unwrap();
                assert_eq!(again.get_ids(), &ids[..end], "{text}: {beginning}");
            }
        }
    }
}
