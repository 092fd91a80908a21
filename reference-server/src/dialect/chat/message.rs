//! The messages of a chat, with images that are validated but not decoded.

use stockade_core::refusal::Refusal;

use super::body::{MessageBody, PartBody, ToolCallBody};
use crate::{
    chat::{EncodedImage, Message, Part, Role, ToolCall},
    dialect::{
        field_rules::{FieldRules, NO_DEFAULTS},
        images::ImageBudget,
        refusals::{invalid, missing, unsupported},
        string_or::StringOrList,
        tools,
        unknown_fields::UnknownFieldHandler,
    },
};

/// The other fields of a message. The chat templates of the supported models do not use `name`;
/// the `parse` methods of OpenAI's SDKs add `parsed`.
const FIELD_RULES: FieldRules = FieldRules {
    own: MessageBody::FIELDS,
    ignored: &[
        "annotations",
        "name",
        "parsed",
        "reasoning",
        "reasoning_content",
    ],
    unsupported: &[
        ("audio", NO_DEFAULTS),
        ("function_call", NO_DEFAULTS),
        ("refusal", NO_DEFAULTS),
    ],
};

/// Converts and validates the messages of a chat.
///
/// # Errors
/// Returns a refusal with the path of the message or part.
pub(super) fn convert_all(
    messages: Vec<MessageBody<'_>>,
    unknown: &mut UnknownFieldHandler,
) -> Result<Vec<Message>, Refusal> {
    if messages.is_empty() {
        return Err(invalid("messages", "there must be at least one message"));
    }
    let mut budget = ImageBudget::default();
    let messages = messages.into_iter().enumerate();
    messages
        .map(|(at, message)| {
            let path = format!("messages[{at}]");
            FIELD_RULES.check(&path, &message.other_fields, unknown)?;
            for (name, _) in &message.extensions {
                unknown.ignore(name, &path);
            }
            convert(&path, message, &mut budget)
        })
        .collect()
}

fn convert(
    path: &str,
    message: MessageBody<'_>,
    budget: &mut ImageBudget,
) -> Result<Message, Refusal> {
    let Some(role) = message.role else {
        return Err(missing(format!("{path}.role")));
    };
    let role = self::role(path, &role)?;
    let tool_calls = message.tool_calls.map_or_else(Vec::new, |calls| calls.0);
    if !tool_calls.is_empty() && role != Role::Assistant {
        let text = "only assistant messages may have tool calls";
        return Err(invalid(format!("{path}.tool_calls"), text));
    }
    let tool_call_id = match (role, message.tool_call_id) {
        (Role::Tool, None) => return Err(missing(format!("{path}.tool_call_id"))),
        (Role::Tool, id) => id,
        (_, None) => None,
        (_, Some(_)) => {
            let text = "only tool messages may have it";
            return Err(invalid(format!("{path}.tool_call_id"), text));
        }
    };
    let parts = match message.content {
        // Clients send an empty text next to tool calls.
        Some(StringOrList::String(text)) if text.is_empty() && !tool_calls.is_empty() => Vec::new(),
        Some(StringOrList::String(text)) => vec![Part::Text(text.into_owned())],
        Some(StringOrList::List(parts)) => {
            let parts = parts.into_iter().enumerate();
            let convert =
                |(at, part)| convert_part(role, part, format!("{path}.content[{at}]"), budget);
            parts.map(convert).collect::<Result<_, _>>()?
        }
        None if !tool_calls.is_empty() => Vec::new(),
        None => {
            let text = "it must be a string or an array of parts";
            return Err(invalid(format!("{path}.content"), text));
        }
    };
    let calls = tool_calls.into_iter().enumerate();
    let calls = calls.map(|(at, call)| convert_call(call, &format!("{path}.tool_calls[{at}]")));
    Ok(Message {
        role,
        parts,
        tool_calls: calls.collect::<Result<_, _>>()?,
        tool_call_id,
    })
}

fn role(path: &str, role: &str) -> Result<Role, Refusal> {
    match role {
        "system" | "developer" => Ok(Role::System),
        "user" => Ok(Role::User),
        "assistant" => Ok(Role::Assistant),
        "tool" => Ok(Role::Tool),
        "function" => Err(unsupported(
            format!("{path}.role"),
            "the role `function` is deprecated: use `tool` instead",
        )),
        _ => Err(invalid(
            format!("{path}.role"),
            "it must be one of system, developer, user, assistant, tool",
        )),
    }
}

fn convert_call(call: ToolCallBody, path: &str) -> Result<ToolCall, Refusal> {
    if call.kind.is_some_and(|kind| kind != "function") {
        let text = "only calls of functions are supported";
        return Err(unsupported(format!("{path}.type"), text));
    }
    tools::check_name(format!("{path}.function.name"), &call.function.name)?;
    Ok(ToolCall {
        id: call.id,
        name: call.function.name,
        arguments: call.function.arguments.unwrap_or_default(),
    })
}

fn convert_part(
    role: Role,
    part: PartBody<'_>,
    path: String,
    budget: &mut ImageBudget,
) -> Result<Part, Refusal> {
    let (image, param) = match part {
        PartBody {
            kind,
            text: Some(text),
            image_url: None,
            image: None,
            ..
        } if kind == "text" => return Ok(Part::Text(text)),
        PartBody {
            kind,
            text: None,
            image_url: Some(image),
            image: None,
            ..
        } if kind == "image_url" => (
            EncodedImage::from_url(&image.url),
            format!("{path}.image_url{}", image.at),
        ),
        PartBody {
            kind,
            text: None,
            image_url: None,
            image: Some(image),
            ..
        } if kind == "image" => (
            EncodedImage::from_base64(&image.b64),
            format!("{path}.image.b64"),
        ),
        part => return Err(invalid_part(&part.kind, &path)),
    };
    if !matches!(role, Role::User | Role::Tool) {
        return Err(invalid(path, "only user and tool messages may have images"));
    }
    budget.add(image, param)
}

/// The refusal of a part that has an unsupported type or the wrong fields.
fn invalid_part(kind: &str, path: &str) -> Refusal {
    match kind {
        "text" | "image_url" | "image" => invalid(
            path,
            format!("a part of type \"{kind}\" must have the field `{kind}` and no other"),
        ),
        "input_audio" | "audio_url" | "video_url" | "file" | "refusal" => invalid(
            format!("{path}.type"),
            "parts of this type are not supported by this server",
        ),
        _ => invalid(
            format!("{path}.type"),
            "it must be one of text, image_url, image",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::ChatBody, *};
    use crate::{config::UnknownFields, dialect::json};

    /// A PNG of one red pixel.
    const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC";

    fn parse_messages(messages: &str) -> Result<Vec<Message>, Refusal> {
        let text = format!(r#"{{"messages":{messages}}}"#);
        let mut unknown = UnknownFieldHandler::new(UnknownFields::Refuse);
        let body: ChatBody<'_> = json::parse(text.as_bytes())?;
        let messages = body.messages.unwrap().0;
        convert_all(messages, &mut unknown)
    }

    #[test]
    fn keeps_the_order_of_parts() {
        let messages = format!(
            r#"[{{"role":"developer","content":"be brief"}},
                {{"role":"user","content":[
                    {{"type":"text","text":"a"}},
                    {{"type":"image_url","image_url":{{"url":"data:image/png;base64,{PNG}","detail":"high"}}}},
                    {{"type":"image_url","image_url":"data:image/png;base64,{PNG}"}},
                    {{"type":"text","text":"b"}},
                    {{"type":"image","image":{{"b64":"{PNG}"}}}}]}},
                {{"role":"assistant","content":"c","refusal":null,"annotations":[],"tool_calls":null}}]"#
        );
        let messages = parse_messages(&messages).ok().unwrap();
        let roles: Vec<Role> = messages.iter().map(|message| message.role).collect();
        assert_eq!(roles, [Role::System, Role::User, Role::Assistant]);
        let parts: Vec<&str> = messages[1]
            .parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => text,
                Part::Image(image) => image.param.as_str(),
            })
            .collect();
        assert_eq!(
            parts,
            [
                "a",
                "messages[1].content[1].image_url.url",
                "messages[1].content[2].image_url",
                "b",
                "messages[1].content[4].image.b64"
            ]
        );
    }

    #[test]
    fn reads_tool_calls_and_their_results() {
        let messages = parse_messages(
            r#"[{"role":"user","content":"a"},
                {"role":"assistant","content":null,"reasoning_content":"hm","tool_calls":[
                    {"id":"x","type":"function","function":{"name":"click","arguments":"{}"}}]},
                {"role":"tool","tool_call_id":"x","content":[{"type":"text","text":"done"}]}]"#,
        )
        .ok()
        .unwrap();
        assert!(messages[1].parts.is_empty());
        assert_eq!(messages[1].tool_calls[0].name, "click");
        assert_eq!(messages[2].tool_call_id.as_deref(), Some("x"));
        assert_eq!(messages[2].texts().collect::<Vec<_>>(), ["done"]);
    }

    #[test]
    fn accepts_what_sdks_add_to_a_completion() {
        let messages = parse_messages(
            r#"[{"role":"user","content":"a"},
                {"role":"assistant","content":"{}","parsed":{"x":1},"tool_calls":[{"id":"x",
                    "index":0,"type":"function","function":{"name":"click","arguments":"{}",
                    "parsed_arguments":{"x":1}}}]}]"#,
        )
        .ok()
        .unwrap();
        assert_eq!(messages[1].tool_calls[0].arguments, "{}");
    }

    #[test]
    fn refuses_invalid_messages_by_path() {
        let part = format!(r#"{{"type":"image","image":{{"b64":"{PNG}"}}}}"#);
        let too_many = [part.as_str(); 101].join(",");
        let cases: [(String, &str); 17] = [
            (
                r#"[{"role":"tool","content":"a"}]"#.into(),
                "messages[0].tool_call_id",
            ),
            (
                r#"[{"role":"function","content":"a"}]"#.into(),
                "messages[0].role",
            ),
            (r#"[{"content":"a"}]"#.into(), "messages[0].role"),
            (
                r#"[{"role":"user","content":"a","tool_call_id":"a"}]"#.into(),
                "messages[0].tool_call_id",
            ),
            (
                r#"[{"role":"user","content":"a","tool_calls":[{"id":"a","function":{"name":"b"}}]}]"#.into(),
                "messages[0].tool_calls",
            ),
            (
                r#"[{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"b c"}}]}]"#.into(),
                "messages[0].tool_calls[0].function.name",
            ),
            (
                r#"[{"role":"wizard","content":"a"}]"#.into(),
                "messages[0].role",
            ),
            (r#"[{"role":"user"}]"#.into(), "messages[0].content"),
            (
                r#"[{"role":"user","content":"a","contents":1}]"#.into(),
                "messages[0].contents",
            ),
            (
                r#"[{"role":"user","content":null}]"#.into(),
                "messages[0].content",
            ),
            (
                r#"[{"role":"assistant","content":"a","tool_calls":[{}]}]"#.into(),
                "messages[0].tool_calls[0].id",
            ),
            (
                r#"[{"role":"user","content":[{"type":"input_audio","input_audio":{}}]}]"#.into(),
                "messages[0].content[0].type",
            ),
            (
                r#"[{"role":"user","content":[{"type":"file","file":{"file_id":"a"}}]}]"#.into(),
                "messages[0].content[0].type",
            ),
            (
                r#"[{"role":"user","content":[{"type":"hologram"}]}]"#.into(),
                "messages[0].content[0].type",
            ),
            (
                r#"[{"role":"user","content":[{"type":"text"}]}]"#.into(),
                "messages[0].content[0]",
            ),
            (
                format!(r#"[{{"role":"system","content":[{part}]}}]"#),
                "messages[0].content[0]",
            ),
            (
                format!(r#"[{{"role":"user","content":[{too_many}]}}]"#),
                "messages[0].content[100].image.b64",
            ),
        ];
        for (messages, param) in cases {
            let refusal = parse_messages(&messages).expect_err(&messages);
            assert_eq!(refusal.param(), Some(param), "{messages}");
        }
    }
}
