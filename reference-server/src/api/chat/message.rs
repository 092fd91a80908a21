//! The messages of a chat, with images that are validated but not decoded.

use stockade_core::refusal::{Refusal, RefusalReason};

use super::{
    body::{Content, MessageBody, Part, ValueKind},
    unknown_fields::UnknownFieldHandler,
    validated::invalid,
};
use crate::chat::{EncodedImage, Image, ImageRejection, Message, Part as ChatPart, Role};

/// The maximum number of images in a chat; a model may support fewer.
const MAX_IMAGES: usize = 8;
/// The maximum number of pixels of all images together, which bounds the memory of a request.
const MAX_PIXELS: u64 = 80_000_000;

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
            other_fields(&path, &message.other_fields, unknown)?;
            convert(&path, message, &mut budget)
        })
        .collect()
}

/// Fields that do not affect the completion. The chat templates of the supported models do not use
/// `name`.
const IGNORED_FIELDS: &[&str] = &["annotations", "cache_control", "name"];

/// Fields that are not supported.
const UNSUPPORTED_FIELDS: &[&str] = &[
    "audio",
    "function_call",
    "refusal",
    "tool_call_id",
    "tool_calls",
];

/// Refuses the first unsupported field of a message.
fn other_fields(
    path: &str,
    other_fields: &[(String, ValueKind)],
    unknown: &mut UnknownFieldHandler,
) -> Result<(), Refusal> {
    for (name, value) in other_fields {
        if IGNORED_FIELDS.contains(&name.as_str()) {
            continue;
        }
        if !UNSUPPORTED_FIELDS.contains(&name.as_str()) {
            let own = ["role", "content"].iter();
            let known = own.chain(IGNORED_FIELDS).chain(UNSUPPORTED_FIELDS).copied();
            unknown.handle(name, *value, path, known)?;
        } else if !matches!(
            value,
            ValueKind::Null | ValueKind::Empty | ValueKind::EmptyObject
        ) {
            let text = "it is not supported by this server";
            let refusal = invalid(format!("{path}.{name}"), text);
            return Err(refusal.with_code("UNSUPPORTED_PARAMETER"));
        }
    }
    Ok(())
}

fn convert(
    path: &str,
    message: MessageBody<'_>,
    budget: &mut ImageBudget,
) -> Result<Message, Refusal> {
    let role = match message.role.as_deref().unwrap_or_default() {
        "system" | "developer" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" | "function" => {
            let text = "tools are not supported by this server";
            return Err(invalid(format!("{path}.role"), text));
        }
        _ => {
            let text = "it must be one of system, developer, user, assistant";
            return Err(invalid(format!("{path}.role"), text));
        }
    };
    match message.content {
        Content::Text(text) => Ok(Message::text(role, text)),
        Content::Parts(parts) => {
            let parts = parts.into_iter().enumerate();
            let parts = parts.map(|(at, part)| {
                convert_part(role, part, format!("{path}.content[{at}]"), budget)
            });
            Ok(Message {
                parts: parts.collect::<Result<_, _>>()?,
                ..Message::text(role, "")
            })
        }
        Content::Absent => {
            let text = "it must be a string or an array of parts";
            Err(invalid(format!("{path}.content"), text))
        }
    }
}

fn convert_part(
    role: Role,
    part: Part<'_>,
    path: String,
    budget: &mut ImageBudget,
) -> Result<ChatPart, Refusal> {
    let (image, param) = match part {
        Part {
            kind,
            text: Some(text),
            image_url: None,
            image: None,
            ..
        } if kind == "text" => return Ok(ChatPart::Text(text)),
        Part {
            kind,
            text: None,
            image_url: Some(image),
            image: None,
            ..
        } if kind == "image_url" => (
            EncodedImage::from_url(&image.url),
            format!("{path}.image_url{}", image.at),
        ),
        Part {
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
    if role != Role::User {
        return Err(invalid(path, "only user messages may have images"));
    }
    let file = image.map_err(|rejection| image_refusal(rejection, &param))?;
    budget.spend(&file, &param)?;
    Ok(ChatPart::Image(Image { file, param }))
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

/// The refusal of an image.
fn image_refusal(rejection: ImageRejection, param: &str) -> Refusal {
    invalid(param, rejection.message())
        .with_code("INVALID_IMAGE")
        .with_reason(RefusalReason::InvalidImage)
}

/// Counts the images and pixels of a chat.
#[derive(Default)]
struct ImageBudget {
    images: usize,
    pixels: u64,
}

impl ImageBudget {
    fn spend(&mut self, image: &EncodedImage, param: &str) -> Result<(), Refusal> {
        self.images += 1;
        self.pixels += image.pixels();
        if self.images > MAX_IMAGES {
            return Err(invalid(param, "a request may have at most 8 images"));
        }
        if self.pixels > MAX_PIXELS {
            let text = "the images of a request may have at most 80 megapixels in total";
            return Err(invalid(param, text));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::parse as body, *};
    use crate::config::UnknownFields;

    /// A PNG of one red pixel.
    const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC";

    fn parse_messages(messages: &str) -> Result<Vec<Message>, Refusal> {
        let text = format!(r#"{{"messages":{messages}}}"#);
        let mut unknown = UnknownFieldHandler::new(UnknownFields::Refuse);
        let messages = body::parse(text.as_bytes())?.messages.unwrap().0;
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
                ChatPart::Text(text) => text,
                ChatPart::Image(image) => image.param.as_str(),
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
    fn refuses_invalid_messages_by_path() {
        let part = format!(r#"{{"type":"image","image":{{"b64":"{PNG}"}}}}"#);
        let nine = [part.as_str(); 9].join(",");
        let cases: [(String, &str); 12] = [
            (
                r#"[{"role":"tool","content":"a"}]"#.into(),
                "messages[0].role",
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
                "messages[0].tool_calls",
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
                format!(r#"[{{"role":"user","content":[{nine}]}}]"#),
                "messages[0].content[8].image.b64",
            ),
        ];
        for (messages, param) in cases {
            let refusal = parse_messages(&messages).expect_err(&messages);
            assert_eq!(refusal.param(), Some(param), "{messages}");
        }
    }
}
