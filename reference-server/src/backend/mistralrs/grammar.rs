//! Restricts a generation to a grammar.
//!
//! The mask of the grammar applies to the logits before our own sampler, so that a seed repeats the
//! answer. mistral.rs has constraints of its own, but they sample again after a processor has
//! chosen the token.

use std::sync::Arc;

use llguidance::{
    Matcher, ParserFactory,
    api::TopLevelGrammar,
    toktrie::{TokEnv, TokTrie},
};
use tokenizers::Tokenizer;
use toktrie_hf_tokenizers::{ByteTokenizer, ByteTokenizerEnv};

use super::{logits_processor::EosTokens, token_table::TokenTable};

mod error;
mod source;

pub(super) use error::GrammarError;
pub(super) use source::GrammarSource;

/// The maximum number of states of a grammar's lexer, each of at most about 2 kB.
const MAX_LEXER_STATES: usize = 20_000;
/// The maximum number of symbols of a grammar.
const MAX_GRAMMAR_SIZE: usize = 100_000;

/// Compiles the grammars for a model.
pub(super) struct GrammarFactory(ParserFactory);

impl GrammarFactory {
    /// Creates the factory of a model.
    ///
    /// # Errors
    /// Returns the reason if the kind of the tokenizer is unknown.
    pub(super) fn new(
        tokenizer: &Tokenizer,
        tokens: &TokenTable,
        eos_tokens: &EosTokens,
    ) -> Result<Self, String> {
        let factory = token_environment(tokenizer, tokens, eos_tokens)
            .and_then(|environment| ParserFactory::new_simple(&environment));
        let mut factory = factory.map_err(|error| error.to_string())?;
        factory.quiet();
        let limits = factory.limits_mut();
        limits.max_lexer_states = MAX_LEXER_STATES;
        limits.max_grammar_size = MAX_GRAMMAR_SIZE;
        limits.verbose_errors = false;
        Ok(Self(factory))
    }

    /// Compiles a grammar. Blocking: it can take tens of milliseconds.
    ///
    /// # Errors
    /// Returns a [`GrammarError`] if a schema is invalid, unsupported or too large.
    pub(super) fn compile(&self, source: &GrammarSource) -> Result<Grammar, GrammarError> {
        let grammar = TopLevelGrammar::from_lark(source.to_lark());
        let mut matcher = Matcher::new(self.0.create_parser(grammar));
        match matcher.get_error() {
            Some(error) => Err(GrammarError::new(&error)),
            // The first mask is where a schema that permits nothing fails.
            None => match matcher.compute_mask() {
                Ok(_) => Ok(Grammar(matcher)),
                Err(error) => Err(GrammarError::new(&error.to_string())),
            },
        }
    }
}

/// The tokenizer for the grammars, which may use all tokens but control tokens.
fn token_environment(
    tokenizer: &Tokenizer,
    tokens: &TokenTable,
    eos_tokens: &EosTokens,
) -> anyhow::Result<TokEnv> {
    let tokenizer = ByteTokenizer::from_tokenizer(tokenizer.clone())?;
    let info = tokenizer.tokrx_info();
    let bytes: Vec<Vec<u8>> = (0..info.vocab_size).map(|id| tokens.marked(id)).collect();
    let tok_trie =
        TokTrie::from(&info, &bytes).with_eos_tokens(&eos_tokens.within(info.vocab_size));
    Ok(Arc::new(ByteTokenizerEnv {
        tokenizer,
        tok_trie,
    }))
}

/// A grammar, and the position in it. A clone continues from the same position.
#[derive(Clone)]
pub(super) struct Grammar(Matcher);

impl Grammar {
    /// Excludes the tokens that the grammar forbids next.
    ///
    /// # Errors
    /// Returns a [`GrammarError`] if that takes too much work.
    pub(super) fn mask(&mut self, logits: &mut [f32]) -> Result<(), GrammarError> {
        let mask = self.0.compute_mask_or_eos();
        let mask = mask.map_err(|error| GrammarError::new(&error.to_string()))?;
        for (id, logit) in logits.iter_mut().enumerate() {
            // Some models have more logits than tokens.
            if id >= mask.len() || !mask.get(id) {
                *logit = f32::NEG_INFINITY;
            }
        }
        Ok(())
    }

    /// Adds a token, and returns whether the text is complete.
    ///
    /// # Errors
    /// Returns a [`GrammarError`] if that takes too much work.
    pub(super) fn advance(&mut self, token: u32) -> Result<bool, GrammarError> {
        let added = self.0.consume_token(token);
        added.map_err(|error| GrammarError::new(&error.to_string()))?;
        Ok(self.0.is_stopped())
    }

    /// Removes the last tokens.
    ///
    /// # Errors
    /// Returns a [`GrammarError`] if that is not possible.
    pub(super) fn rollback(&mut self, count: usize) -> Result<(), GrammarError> {
        let removed = self.0.rollback(count);
        removed.map_err(|error| GrammarError::new(&error.to_string()))
    }
}

#[cfg(test)]
mod tests;
