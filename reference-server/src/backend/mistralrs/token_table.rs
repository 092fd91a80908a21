//! The text of each token, as bytes.

use llguidance::toktrie::TokTrie;
use tokenizers::Tokenizer;
use toktrie_hf_tokenizers::ByteTokenizer;

/// The bytes of each token of a vocabulary.
#[derive(Debug)]
pub(super) struct TokenTable {
    tokens: Vec<Token>,
    /// Whether tokens mark the start of a word with a space, also at the start of a text.
    marks_words: bool,
}

#[derive(Debug, Default)]
struct Token {
    bytes: Vec<u8>,
    is_control: bool,
}

impl TokenTable {
    /// Creates the table of a tokenizer.
    ///
    /// # Errors
    /// Returns the reason if the kind of the tokenizer is unknown.
    pub(super) fn new(tokenizer: &Tokenizer) -> Result<Self, String> {
        let bytes = ByteTokenizer::from_tokenizer(tokenizer.clone());
        let bytes = bytes.map_err(|error| error.to_string())?.token_bytes();
        let added = tokenizer.get_added_tokens_decoder();
        let tokens = (0..).zip(bytes).map(|(id, bytes)| match added.get(&id) {
            // The crate marks these and all others of the form `<…>`.
            Some(token) => Token {
                bytes: token.content.clone().into_bytes(),
                is_control: token.special,
            },
            None => match bytes.strip_prefix(&[TokTrie::SPECIAL_TOKEN_MARKER]) {
                Some(bytes) => Token {
                    bytes: bytes.to_vec(),
                    is_control: true,
                },
                None => Token {
                    bytes,
                    is_control: false,
                },
            },
        });
        Ok(Self {
            tokens: tokens.collect(),
            marks_words: tokenizer.token_to_id("▁").is_some(),
        })
    }

    /// The bytes of a token, including those of control tokens; empty if it does not exist.
    pub(super) fn bytes(&self, token: u32) -> &[u8] {
        self.token(token).map_or(&[], |token| &token.bytes)
    }

    /// The bytes of a token as [`TokTrie`] needs them: those of control tokens are marked, so that
    /// no text has them.
    pub(super) fn marked(&self, token: u32) -> Vec<u8> {
        match self.token(token) {
            Some(token) if token.is_control => {
                [&[TokTrie::SPECIAL_TOKEN_MARKER], token.bytes.as_slice()].concat()
            }
            Some(token) => token.bytes.clone(),
            None => Vec::new(),
        }
    }

    /// The bytes that a token adds to a text: none for control tokens.
    pub(super) fn text(&self, token: u32, is_first: bool) -> &[u8] {
        let token = self.token(token).filter(|token| !token.is_control);
        let bytes = token.map_or(&[][..], |token| &token.bytes);
        match bytes.strip_prefix(b" ") {
            Some(word) if is_first && self.marks_words => word,
            _ => bytes,
        }
    }

    fn token(&self, id: u32) -> Option<&Token> {
        self.tokens.get(usize::try_from(id).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use tokenizers::{
        AddedToken, decoders::byte_fallback::ByteFallback, decoders::byte_level::ByteLevel,
        models::bpe::BPE,
    };

    use super::*;

    fn tokenizer(vocabulary: [&str; 3]) -> Tokenizer {
        let mut ids = 0..;
        let vocabulary = vocabulary.map(|token| (token.to_owned(), ids.next().unwrap()));
        let bpe = BPE::builder().vocab_and_merges(vocabulary, Vec::new());
        Tokenizer::new(bpe.build().unwrap())
    }

    #[test]
    fn control_tokens_have_bytes_but_no_text() {
        let mut tokenizer = tokenizer(["a", "Ġ", "Ã"]);
        tokenizer.with_decoder(Some(ByteLevel::new(false, false, false)));
        tokenizer.add_special_tokens(&[AddedToken::from("<|end|>", true)]);
        tokenizer.add_tokens(&[AddedToken::from("<tool_call>", false)]);
        let table = TokenTable::new(&tokenizer).unwrap();
        let text = [0, 1, 2, 3, 4, 5].map(|id| table.text(id, false));
        assert_eq!(text, [&b"a"[..], b" ", b"\xc3", b"", b"<tool_call>", b""]);
        assert_eq!(table.bytes(3), b"<|end|>");
        assert_eq!(table.text(1, true), b" ");
    }

    #[test]
    fn the_mark_of_the_first_word_is_no_text() {
        let mut tokenizer = tokenizer(["▁", "▁word", "<0xC3>"]);
        tokenizer.with_decoder(Some(ByteFallback::new()));
        let mut json: serde_json::Value =
            serde_json::from_str(&tokenizer.to_string(false).unwrap()).unwrap();
        json["decoder"] = serde_json::json!({"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"},
        ]});
        let tokenizer: Tokenizer = json.to_string().parse().unwrap();
        let table = TokenTable::new(&tokenizer).unwrap();
        assert_eq!(table.text(1, true), b"word");
        assert_eq!(table.text(1, false), b" word");
        assert_eq!(table.text(2, false), b"\xc3");
    }
}
