//! Reads an embeddings request.

use stockade_core::refusal::Refusal;

use super::{
    FIELD_RULES,
    body::{ElementBody, EmbeddingsBody},
};
use crate::{
    config::UnknownFields,
    dialect::{
        json,
        refusals::{invalid, missing},
        string_or::StringOrList,
        unknown_fields::UnknownFieldHandler,
    },
    embedding::{EmbeddingInput, EmbeddingRequest},
};

/// The maximum number of inputs, which is OpenAI's.
const MAX_INPUTS: usize = 2_048;

/// An embeddings request that is valid as far as that needs no model.
#[derive(Debug)]
pub(crate) struct ReadEmbeddings {
    /// The name of the model.
    pub(crate) model: String,
    pub(crate) request: EmbeddingRequest,
    pub(crate) format: EncodingFormat,
    /// The fields that were ignored.
    pub(crate) unknown: UnknownFieldHandler,
}

/// How the numbers of a vector are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EncodingFormat {
    /// A JSON array of numbers.
    Float,
    /// The little-endian `f32` in base64.
    Base64,
}

/// Reads a request, and validates everything that does not need the model.
///
/// # Errors
/// Returns a refusal that names the field.
pub(crate) fn read(bytes: &[u8], unknown_fields: UnknownFields) -> Result<ReadEmbeddings, Refusal> {
    let body: EmbeddingsBody<'_> = json::parse(bytes)?;
    let model = body.model.ok_or_else(|| missing("model"))?;
    let mut unknown = UnknownFieldHandler::new(unknown_fields);
    FIELD_RULES.check("", &body.other_fields, &mut unknown)?;
    for (name, _) in body.extensions {
        unknown.ignore(&name, "");
    }
    let format = match body.encoding_format.as_deref() {
        None | Some("float") => EncodingFormat::Float,
        Some("base64") => EncodingFormat::Base64,
        Some(_) => {
            let text = "it must be `float` or `base64`";
            return Err(invalid("encoding_format", text));
        }
    };
    if body.dimensions == Some(0) {
        return Err(invalid("dimensions", "it must be at least 1"));
    }
    let dimensions = body
        .dimensions
        .map(|count| usize::try_from(count).unwrap_or(usize::MAX));
    let request = match body.input.ok_or_else(|| missing("input"))? {
        StringOrList::String(text) => single(EmbeddingInput::Text(text.into_owned())),
        StringOrList::List(elements) => list(elements)?,
    };
    check_lengths(&request)?;
    Ok(ReadEmbeddings {
        model,
        request: EmbeddingRequest {
            dimensions,
            ..request
        },
        format,
        unknown,
    })
}

fn single(input: EmbeddingInput) -> EmbeddingRequest {
    EmbeddingRequest {
        is_list: false,
        ..EmbeddingRequest::new(vec![input])
    }
}

/// Reads an array, whose elements must have the type of the first one.
fn list(elements: Vec<ElementBody>) -> Result<EmbeddingRequest, Refusal> {
    let mixed = |index: usize| {
        let text = "its type differs from that of the elements before it";
        Err(invalid(format!("input[{index}]"), text))
    };
    let mut inputs = Vec::new();
    let mut tokens = Vec::new();
    for (index, element) in elements.into_iter().enumerate() {
        let input = match element {
            ElementBody::Token(id) if inputs.is_empty() => {
                tokens.push(id);
                continue;
            }
            ElementBody::Token(_) => return mixed(index),
            ElementBody::Text(text) => EmbeddingInput::Text(text),
            ElementBody::Tokens(ids) => EmbeddingInput::Tokens(ids),
        };
        let differs = |first| std::mem::discriminant(first) != std::mem::discriminant(&input);
        if !tokens.is_empty() || inputs.first().is_some_and(differs) {
            return mixed(index);
        }
        inputs.push(input);
    }
    if !tokens.is_empty() {
        return Ok(single(EmbeddingInput::Tokens(tokens)));
    }
    Ok(EmbeddingRequest::new(inputs))
}

fn check_lengths(request: &EmbeddingRequest) -> Result<(), Refusal> {
    let count = request.inputs.len();
    if count > MAX_INPUTS {
        let text = format!("{count} inputs, but a request may have at most {MAX_INPUTS}");
        return Err(invalid("input", text));
    }
    let is_empty = |input: &EmbeddingInput| match input {
        EmbeddingInput::Text(text) => text.is_empty(),
        EmbeddingInput::Tokens(ids) => ids.is_empty(),
    };
    match request.inputs.iter().position(is_empty) {
        Some(index) => Err(invalid(request.param(index), "it is empty")),
        None if count == 0 => Err(invalid("input", "it is empty")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_fields(fields: &str) -> Result<ReadEmbeddings, Refusal> {
        let body = format!(r#"{{"model":"m",{fields}}}"#);
        read(body.as_bytes(), UnknownFields::Refuse)
    }

    #[test]
    fn reads_all_forms_of_the_input() {
        let text = |text: &str| EmbeddingInput::Text(text.to_owned());
        let tokens = |ids: &[u32]| EmbeddingInput::Tokens(ids.to_vec());
        for (input, inputs, is_list) in [
            (r#""a""#, vec![text("a")], false),
            (r#"["a","b"]"#, vec![text("a"), text("b")], true),
            ("[1,2]", vec![tokens(&[1, 2])], false),
            ("[[1],[2,3]]", vec![tokens(&[1]), tokens(&[2, 3])], true),
        ] {
            let read = read_fields(&format!(r#""input":{input},"user":"u""#)).unwrap();
            assert_eq!(read.request.inputs, inputs);
            assert_eq!(read.request.is_list, is_list);
            assert_eq!(read.format, EncodingFormat::Float);
            assert_eq!(read.request.dimensions, None);
        }
        let read = read_fields(r#""input":"a","encoding_format":"base64","dimensions":64"#);
        let read = read.unwrap();
        assert_eq!(read.format, EncodingFormat::Base64);
        assert_eq!(read.request.dimensions, Some(64));
    }

    #[test]
    fn lists_the_extensions_of_other_servers_as_ignored() {
        let read = read_fields(r#""input":"a","priority":1"#).unwrap();
        assert_eq!(read.unknown.header().unwrap(), "priority");
    }

    // B07
    #[test]
    fn refuses_invalid_fields_by_name() {
        let many = format!(r#""input":[{}]"#, vec![r#""a""#; 2_049].join(","));
        for (fields, param) in [
            (r#""user":"u""#, "input"),
            (r#""input":null"#, "input"),
            (r#""input":7"#, "input"),
            (r#""input":"""#, "input"),
            (r#""input":[]"#, "input"),
            (r#""input":["a",""]"#, "input[1]"),
            (r#""input":[[1],[]]"#, "input[1]"),
            (r#""input":["a",1]"#, "input[1]"),
            (r#""input":[1,"a"]"#, "input[1]"),
            (r#""input":["a",[1]]"#, "input[1]"),
            (r#""input":[-1]"#, "input[0]"),
            (r#""input":[4294967296]"#, "input[0]"),
            (r#""input":[[1,1.5]]"#, "input[0][1]"),
            (r#""input":[true]"#, "input[0]"),
            (r#""input":"a","dimensions":0"#, "dimensions"),
            (r#""input":"a","dimensions":1.5"#, "dimensions"),
            (r#""input":"a","encoding_format":"int8""#, "encoding_format"),
            (r#""input":"a","dimension":3"#, "dimension"),
            (&many, "input"),
        ] {
            let refusal = read_fields(fields).unwrap_err();
            assert_eq!(refusal.param(), Some(param), "{fields:.80}");
        }
    }
}
