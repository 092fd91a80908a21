//! The source of a grammar, in the Lark dialect of llguidance.

use serde_json::{Map, Value, json, value::RawValue};

use super::GrammarError;
use crate::chat::ResponseFormat;

/// The maximum length of a schema, in bytes.
const MAX_SCHEMA: usize = 64 * 1024;

/// The source of a grammar.
#[derive(Clone, Debug)]
pub(in crate::backend::mistralrs) struct GrammarSource {
    /// The rules, without the start.
    rules: String,
    /// Whether the text starts inside the reasoning.
    after_reasoning: bool,
}

impl GrammarSource {
    /// The grammar of a response format; `None` if any text is permitted.
    ///
    /// # Errors
    /// Returns a [`GrammarError`] if the schema is not an object or too large.
    pub(in crate::backend::mistralrs) fn of_format(
        format: &ResponseFormat,
    ) -> Result<Option<Self>, GrammarError> {
        let schema = match format {
            ResponseFormat::Text => return Ok(None),
            ResponseFormat::JsonObject => Schema::object(),
            ResponseFormat::JsonSchema { schema: None, .. } => Schema::any(),
            ResponseFormat::JsonSchema {
                schema: Some(schema),
                strict,
                ..
            } => Schema::new(schema, *strict)?,
        };
        Ok(Some(Self::new(format!("answer: {}\n", schema.to_lark()))))
    }

    fn new(rules: String) -> Self {
        Self {
            rules,
            after_reasoning: false,
        }
    }

    /// The grammar of a text that starts inside the reasoning.
    pub(in crate::backend::mistralrs) fn after_reasoning(self) -> Self {
        Self {
            after_reasoning: true,
            ..self
        }
    }

    pub(super) fn to_lark(&self) -> String {
        let start = if self.after_reasoning {
            "start: reasoning answer\nreasoning[suffix=\"</think>\"]: /(?s:.*)/\n"
        } else {
            "start: answer\n"
        };
        format!("{start}{}", self.rules)
    }
}

/// A JSON schema, with the options of llguidance.
struct Schema(Map<String, Value>);

impl Schema {
    /// A schema of a request. Unless `strict`, unsupported keywords are ignored.
    fn new(schema: &RawValue, strict: bool) -> Result<Self, GrammarError> {
        if schema.get().len() > MAX_SCHEMA {
            return Err(GrammarError::too_large(MAX_SCHEMA));
        }
        match serde_json::from_str(schema.get()) {
            Ok(Value::Object(schema)) => Ok(Self::with(schema, strict)),
            _ => Err(GrammarError::not_an_object()),
        }
    }

    fn any() -> Self {
        Self::with(Map::new(), true)
    }

    fn object() -> Self {
        let object = [("type".to_owned(), Value::from("object"))];
        Self::with(object.into_iter().collect(), true)
    }

    fn with(mut schema: Map<String, Value>, strict: bool) -> Self {
        // Replaces options of the request. Without other whitespace than a space after a separator,
        // a model cannot fill the rest of its tokens with whitespace.
        let options = json!({
            "item_separator": ", ?",
            "key_separator": ": ?",
            "whitespace_flexible": false,
            "lenient": !strict,
        });
        schema.insert("x-guidance".to_owned(), options);
        Self(schema)
    }

    fn to_lark(&self) -> String {
        let schema = serde_json::to_string(&self.0).unwrap_or_default();
        format!("%json {schema}")
    }
}
