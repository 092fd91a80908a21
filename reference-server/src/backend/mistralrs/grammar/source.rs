//! The source of a grammar, in the Lark dialect of llguidance.

use serde_json::{Map, Value, json, value::RawValue};

use super::GrammarError;
use crate::{
    backend::mistralrs::tool_prompt::{CLOSE, OPEN},
    chat::{ResponseFormat, Tool},
};

/// The maximum length of a schema, in bytes.
const MAX_SCHEMA: usize = 64 * 1024;

/// The maximum number of calls in an answer that must be calls.
const MAX_CALLS: usize = 8;

/// The source of a grammar.
#[derive(Clone, Debug)]
pub(in crate::backend::mistralrs) struct GrammarSource {
    /// The names of the rules of which one matches the answer.
    alternatives: Vec<&'static str>,
    /// All rules but the start.
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
        let rules = format!("text: {}\n", schema.to_lark());
        Ok(Some(Self::new("text", rules)))
    }

    /// The grammar of calls of these tools: one, or up to [`MAX_CALLS`].
    ///
    /// # Errors
    /// Returns a [`GrammarError`] if the schema of a tool is not an object or too large.
    pub(in crate::backend::mistralrs) fn of_calls(
        tools: &[&Tool],
        is_single: bool,
    ) -> Result<Self, GrammarError> {
        let text = |text: &str| Value::from(text).to_string();
        let (open, close) = (text(&format!("{OPEN}\n")), text(&format!("\n{CLOSE}")));
        let names: Vec<String> = (0..tools.len()).map(|at| format!("tool_{at}")).collect();
        let more = if is_single {
            String::new()
        } else {
            format!(" (\"\\n\" call){{0,{}}}", MAX_CALLS - 1)
        };
        let mut rules = format!("calls: call{more}\n");
        rules += &format!("call: {open} body {close}\n");
        rules += &format!("body: {}\n", names.join(" | "));
        for (name, tool) in names.iter().zip(tools) {
            let schema = match &tool.parameters {
                Some(schema) => Schema::new(schema, tool.strict)?,
                None => Schema::empty_object(),
            };
            let head = format!("{{\"name\": {}, \"arguments\": ", text(&tool.name));
            rules += &format!("{name}: {} {name}_arguments \"}}\"\n", text(&head));
            rules += &format!("{name}_arguments: {}\n", schema.to_lark());
        }
        Ok(Self::new("calls", rules))
    }

    /// The grammar of a text in which calls match the schemas of their tools.
    ///
    /// # Errors
    /// As for [`of_calls`](Self::of_calls).
    pub(in crate::backend::mistralrs) fn of_text_with_calls(
        tools: &[&Tool],
        is_single: bool,
    ) -> Result<Self, GrammarError> {
        let Self { rules, .. } = Self::of_calls(tools, is_single)?;
        let max = if is_single { 1 } else { MAX_CALLS };
        let close = Value::from(format!("\n{CLOSE}"));
        let rules = format!(
            "text_with_calls: text_call{{0,{max}}} end\n\
             text_call: until_call \"\\n\" body {close}\n\
             until_call[lazy]: /(?s:.*){OPEN}/\n\
             end: /(?s:.*)/\n{rules}"
        );
        Ok(Self::new("text_with_calls", rules))
    }

    fn new(alternative: &'static str, rules: String) -> Self {
        Self {
            alternatives: vec![alternative],
            rules,
            after_reasoning: false,
        }
    }

    /// The grammar of an answer that matches either of two.
    pub(in crate::backend::mistralrs) fn or(mut self, other: &Self) -> Self {
        self.alternatives.extend(&other.alternatives);
        self.rules.push_str(&other.rules);
        self
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
        let answer = self.alternatives.join(" | ");
        format!("{start}answer: {answer}\n{}", self.rules)
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

    fn empty_object() -> Self {
        let object = json!({"type": "object", "additionalProperties": false});
        Self::with(object.as_object().cloned().unwrap_or_default(), true)
    }

    fn object() -> Self {
        let object = [("type".to_owned(), Value::from("object"))];
        Self::with(object.into_iter().collect(), true)
    }

    fn with(mut schema: Map<String, Value>, strict: bool) -> Self {
        if !combines(&mut schema) {
            close(&mut schema);
        }
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

/// The keywords whose value is a map of schemas, a list of schemas, or a schema.
const MAPS: [&str; 4] = ["properties", "patternProperties", "$defs", "definitions"];
const LISTS: [&str; 4] = ["anyOf", "oneOf", "allOf", "prefixItems"];
const SCHEMAS: [&str; 2] = ["items", "additionalProperties"];

/// The schemas in a schema.
fn children(schema: &mut Map<String, Value>) -> impl Iterator<Item = &mut Map<String, Value>> {
    let values = schema.iter_mut().flat_map(|(keyword, value)| {
        let is = |keywords: &[&str]| keywords.contains(&keyword.as_str());
        let values: Vec<&mut Value> = if is(&SCHEMAS) {
            vec![value]
        } else if is(&MAPS) {
            let map = value.as_object_mut();
            map.into_iter().flat_map(Map::values_mut).collect()
        } else if is(&LISTS) {
            let list = value.as_array_mut();
            list.into_iter().flatten().collect()
        } else {
            Vec::new()
        };
        values
    });
    values.filter_map(Value::as_object_mut)
}

/// Forbids properties that a schema does not declare, unless it says otherwise: a model has no use
/// for others, but may fill the rest of its tokens with them.
fn close(schema: &mut Map<String, Value>) {
    let has = |keyword: &str| schema.contains_key(keyword);
    if has("properties") && !has("additionalProperties") && !has("patternProperties") {
        schema.insert("additionalProperties".to_owned(), false.into());
    }
    children(schema).for_each(close);
}

/// Whether an object must match several schemas, each of which may declare a part of it.
fn combines(schema: &mut Map<String, Value>) -> bool {
    schema.contains_key("allOf") || children(schema).any(combines)
}
