use serde_json::value::RawValue;

use super::*;
use crate::{
    chat::{ResponseFormat, Tool},
    tiny_model,
};

fn factory() -> (TokenTable, GrammarFactory, Tokenizer) {
    let dir = tempfile::tempdir().unwrap();
    tiny_model::write_text(dir.path(), 7).unwrap();
    let tokenizer = Tokenizer::from_file(dir.path().join("tokenizer.json")).unwrap();
    let tokens = TokenTable::new(&tokenizer).unwrap();
    let eos = tokenizer.token_to_id("<|im_end|>").unwrap();
    let factory = GrammarFactory::new(&tokenizer, &tokens, &EosTokens::new(eos, &[]));
    (tokens, factory.unwrap(), tokenizer)
}

fn source(schema: &str, strict: bool) -> Result<GrammarSource, GrammarError> {
    let format = ResponseFormat::JsonSchema {
        name: "answer".to_owned(),
        description: None,
        schema: Some(RawValue::from_string(schema.to_owned()).unwrap()),
        strict,
    };
    Ok(GrammarSource::of_format(&format)?.unwrap())
}

/// Whether a grammar permits a text and its end.
fn permits(source: &GrammarSource, text: &str) -> bool {
    let (_, factory, tokenizer) = factory();
    let mut grammar = factory.compile(source).unwrap();
    let size = tokenizer.get_vocab_size(true);
    for &token in tokenizer.encode(text, false).unwrap().get_ids() {
        let mut logits = vec![0.0; size];
        grammar.mask(&mut logits).unwrap();
        if logits[token as usize] != 0.0 {
            return false;
        }
        grammar.advance(token).unwrap();
    }
    let mut logits = vec![0.0; size + 8];
    grammar.mask(&mut logits).unwrap();
    assert!(
        logits[size..]
            .iter()
            .all(|logit| *logit == f32::NEG_INFINITY)
    );
    logits[tokenizer.token_to_id("<|im_end|>").unwrap() as usize] == 0.0
}

#[test]
fn a_schema_permits_what_matches_it() {
    let schema = r#"{"type":"object","additionalProperties":false,"required":["x","label"],
        "properties":{"x":{"type":"integer","minimum":0,"maximum":99},
                      "label":{"enum":["ok","no"]}}}"#;
    let source = source(schema, true).unwrap();
    for (text, expected) in [
        (r#"{"x":7,"label":"ok"}"#, true),
        (r#"{"x": 7, "label": "no"}"#, true),
        (r#"{"x":7,"label":"ok""#, false),
        (r#"{"x":100,"label":"ok"}"#, false),
        (r#"{"x":7}"#, false),
        (r#"{"x":7,  "label":"ok"}"#, false),
        (r#"{"x":7,"label":"ok"}}"#, false),
        ("hello", false),
        ("{<|im_end|>", false),
    ] {
        assert_eq!(permits(&source, text), expected, "{text}");
    }
}

#[test]
fn an_object_may_have_anything() {
    let source = GrammarSource::of_format(&ResponseFormat::JsonObject)
        .unwrap()
        .unwrap();
    assert!(permits(&source, r#"{"a":[1,{"b":null}],"ü":"\n"}"#));
    assert!(!permits(&source, "[1]"));
    assert!(
        GrammarSource::of_format(&ResponseFormat::Text)
            .unwrap()
            .is_none()
    );
}

#[test]
fn the_answer_may_follow_the_reasoning() {
    let source = source(r#"{"type":"boolean"}"#, true)
        .unwrap()
        .after_reasoning();
    assert!(permits(&source, "I <think> so</think>true"));
    assert!(!permits(&source, "true"));
    assert!(!permits(&source, "so</think>maybe"));
}

#[test]
fn calls_in_a_text_match_their_schema() {
    let schema = r#"{"type":"object","required":["x"],"properties":{"x":{"type":"integer"}}}"#;
    let tool = Tool {
        name: "click".to_owned(),
        description: None,
        parameters: Some(RawValue::from_string(schema.to_owned()).unwrap()),
        strict: true,
    };
    let call = |arguments: &str| {
        let body = format!(r#"{{"name": "click", "arguments": {arguments}}}"#);
        format!("<tool_call>\n{body}\n</tool_call>")
    };
    let valid = call(r#"{"x": 7}"#);
    let several = GrammarSource::of_text_with_calls(&[&tool], false).unwrap();
    for (text, expected) in [
        ("", true),
        ("I <click> it.\n", true),
        (valid.as_str(), true),
        (&format!("I click.\n{valid}\n{valid}"), true),
        (&format!("{valid} done"), true),
        (&call(r#"{"x": "a"}"#), false),
        (&call(r#"{"y": 7}"#), false),
        (&valid.replace("click", "press"), false),
        ("<tool_call> is a tag", false),
        (&format!("{valid}\n<tool_call>none"), false),
    ] {
        assert_eq!(permits(&several, text), expected, "{text}");
    }
    let single = GrammarSource::of_text_with_calls(&[&tool], true).unwrap();
    assert!(permits(&single, &valid));
    let after = several.after_reasoning();
    assert!(permits(&after, &format!("so</think>{valid}")));
}

#[test]
fn errors_have_reasons_without_values() {
    let (_, factory, _) = factory();
    let deep = format!("{}true{}", r#"{"not":"#.repeat(40), "}".repeat(40));
    for (schema, reason) in [
        (
            r#"{"not":{"const":"secret"}}"#,
            "keywords that are not supported: `not`",
        ),
        (r#"{"type":"secret"}"#, "not a schema"),
        (r#"{"type":["string",7]}"#, "wrong type"),
        (r#"{"properties":"secret"}"#, "wrong type"),
        (r#"{"type":"string","format":"secret"}"#, "`format`"),
        (r#"{"type":"string","pattern":"(secret"}"#, "`pattern`"),
        (r##"{"$ref":"#/$defs/secret"}"##, "`$ref`"),
        (r#"{"$ref":"https://example.com/secret"}"#, "`$ref`"),
        (r#"{"type":"integer","minimum":2,"maximum":1}"#, "no value"),
        (&deep, "`not`"),
        ("[7]", "not an object"),
        ("true", "not an object"),
    ] {
        let error = source(schema, true).and_then(|source| factory.compile(&source));
        let error = error.err().expect(schema);
        assert!(
            error.reason().contains(reason),
            "{schema}: {}",
            error.reason()
        );
        assert!(!error.reason().contains("secret"), "{}", error.reason());
    }
}

#[test]
fn schemas_that_are_not_strict_may_have_unsupported_keywords() {
    let (_, factory, _) = factory();
    let schema = r#"{"type":"object","not":{"required":["a"]},"x-guidance":{"lenient":false}}"#;
    assert!(factory.compile(&source(schema, false).unwrap()).is_ok());
    assert!(factory.compile(&source(schema, true).unwrap()).is_err());
}

#[test]
fn large_schemas_are_refused() {
    let long = format!(r#"{{"description":"{}"}}"#, "a".repeat(70_000));
    let error = source(&long, true).unwrap_err();
    assert!(error.reason().contains("more than 65536 bytes"));
    let (_, factory, _) = factory();
    // Each level doubles the number of combinations.
    let wide = |n: usize| {
        let any = format!(
            r#"{{"anyOf":[{}]}}"#,
            vec![r#"{"type":"object"}"#; n].join(",")
        );
        format!(r#"{{"allOf":[{}]}}"#, vec![any; n].join(","))
    };
    let error = factory.compile(&source(&wide(24), true).unwrap()).err();
    assert!(error.is_none_or(|error| !error.reason().is_empty()));
}

#[test]
fn tokens_can_be_removed() {
    let (_, factory, tokenizer) = factory();
    let source = source(r#"{"enum":["ab","cd"]}"#, true).unwrap();
    let mut grammar = factory.compile(&source).unwrap();
    let ids = |text: &str| tokenizer.encode(text, false).unwrap().get_ids().to_vec();
    for token in ids("\"a") {
        grammar.advance(token).unwrap();
    }
    grammar.rollback(1).unwrap();
    let mut ended = false;
    for token in ids("cd\"") {
        ended = grammar.advance(token).unwrap();
    }
    assert!(ended);
}

#[test]
fn calls_match_the_schemas_of_their_tools() {
    let tool = |name: &str, schema: Option<&str>| Tool {
        name: name.to_owned(),
        description: None,
        parameters: schema.map(|schema| RawValue::from_string(schema.to_owned()).unwrap()),
        strict: true,
    };
    let click = tool(
        "click",
        Some(r#"{"type":"object","properties":{"x":{"type":"integer"}},"required":["x"]}"#),
    );
    let wait = tool("wait \"a bit\"", None);
    let one = GrammarSource::of_calls(&[&click, &wait], true).unwrap();
    let several = GrammarSource::of_calls(&[&click, &wait], false).unwrap();
    let call = |body: &str| format!("<tool_call>\n{body}\n</tool_call>");
    let clicked = call(r#"{"name": "click", "arguments": {"x":5}}"#);
    let waited = call(r#"{"name": "wait \"a bit\"", "arguments": {}}"#);
    let both = format!("{clicked}\n{waited}");
    for (source, text, expected) in [
        (&one, clicked.as_str(), true),
        (&one, &waited, true),
        (&one, &both, false),
        (&several, &both, true),
        (&several, "", false),
        (&one, &call(r#"{"name": "click", "arguments": {}}"#), false),
        (
            &one,
            &call(r#"{"name": "click", "arguments": {"x":5,"y":6}}"#),
            false,
        ),
        (&one, &call(r#"{"name": "type", "arguments": {}}"#), false),
    ] {
        assert_eq!(permits(source, text), expected, "{text}");
    }
    let either = source(r#"{"type":"boolean"}"#, true).unwrap().or(&one);
    assert!(permits(&either, "true") && permits(&either, &waited));
}

#[test]
fn objects_are_closed_unless_they_say_otherwise() {
    for (schema, text, expected) in [
        (r#"{"properties":{"a":{}}}"#, r#"{"b":1}"#, false),
        (
            r#"{"properties":{"a":{}},"additionalProperties":true}"#,
            r#"{"b":1}"#,
            true,
        ),
        (r#"{"type":"object"}"#, r#"{"b":1}"#, true),
        (
            r#"{"items":{"properties":{"a":{}}}}"#,
            r#"[{"b":1}]"#,
            false,
        ),
        (
            r#"{"allOf":[{"properties":{"a":{}}},{"properties":{"b":{}}}]}"#,
            r#"{"a":1,"b":1}"#,
            true,
        ),
        (
            r#"{"properties":{"properties":{"enum":[1]}}}"#,
            r#"{"properties":1}"#,
            true,
        ),
    ] {
        assert_eq!(
            permits(&source(schema, true).unwrap(), text),
            expected,
            "{schema}"
        );
    }
}
