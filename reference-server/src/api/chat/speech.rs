//! The messages of a chat: who says what, with images that are checked but not decoded.

use stockade_core::{Refusal, RefusalReason};

use super::{
    body::{Content, MessageBody, Part, Probe},
    call::invalid,
    unknown::Unknown,
};
use crate::{
    api::image::{ImageFault, Picture},
    backend::Role,
};

/// The most images of a chat; a model may take fewer.
const MAX_IMAGES: usize = 8;
/// The most pixels of all images together: what one request may hold in memory.
const MAX_PIXELS: u64 = 80_000_000;

/// One message.
pub(super) struct Speech {
    pub(super) role: Role,
    pub(super) text: String,
    pub(super) images: Vec<Inset>,
}

/// An image, and where the client put it.
pub(super) struct Inset {
    pub(super) picture: Picture,
    pub(super) param: String,
}

/// Reads the messages of a chat.
///
/// # Errors
/// A refusal with the path of the message or part at fault.
pub(super) fn read(
    messages: Vec<MessageBody<'_>>,
    unknown: &mut Unknown,
) -> Result<Vec<Speech>, Refusal> {
    if messages.is_empty() {
        return Err(invalid("messages", "there must be at least one message"));
    }
    let mut budget = Budget::default();
    let messages = messages.into_iter().enumerate();
    messages
        .map(|(at, message)| {
            let path = format!("messages[{at}]");
            others(&path, &message.others, unknown)?;
            speech(&path, message, &mut budget)
        })
        .collect()
}

/// Does not change the answer. Templates of this server's models have no place for `name`,
/// which tells speakers of one role apart.
const READ_OVER: &[&str] = &["annotations", "cache_control", "name"];

/// Would change the answer.
const NOT_HERE: &[&str] = &[
    "audio",
    "function_call",
    "refusal",
    "tool_call_id",
    "tool_calls",
];

/// Refuses the first field of a message that may not be there.
fn others(path: &str, others: &[(String, Probe)], unknown: &mut Unknown) -> Result<(), Refusal> {
    for (name, value) in others {
        if READ_OVER.contains(&name.as_str()) {
            continue;
        }
        if !NOT_HERE.contains(&name.as_str()) {
            let own = ["role", "content"].iter();
            let known = own.chain(READ_OVER).chain(NOT_HERE).copied();
            unknown.field(name, *value, path, known)?;
        } else if !matches!(value, Probe::Null | Probe::Nothing | Probe::EmptyObject) {
            let text = "it is not supported by this server";
            let refusal = invalid(format!("{path}.{name}"), text);
            return Err(refusal.with_code("UNSUPPORTED_PARAMETER"));
        }
    }
    Ok(())
}

fn speech(path: &str, message: MessageBody<'_>, budget: &mut Budget) -> Result<Speech, Refusal> {
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
    let mut speech = Speech {
        role,
        text: String::new(),
        images: Vec::new(),
    };
    match message.content {
        Content::Text(text) => speech.text = text,
        Content::Parts(parts) => {
            for (at, part) in parts.into_iter().enumerate() {
                speech.add(part, format!("{path}.content[{at}]"), budget)?;
            }
        }
        Content::Nothing => {
            let text = "it must be a string or an array of parts";
            return Err(invalid(format!("{path}.content"), text));
        }
    }
    Ok(speech)
}

impl Speech {
    fn add(&mut self, part: Part<'_>, path: String, budget: &mut Budget) -> Result<(), Refusal> {
        let (picture, param) = match part {
            Part {
                kind,
                text: Some(text),
                image_url: None,
                image: None,
                ..
            } if kind == "text" => {
                // Parts are pieces of one message; a line keeps their words apart.
                if !self.text.is_empty() {
                    self.text.push('\n');
                }
                self.text.push_str(&text);
                return Ok(());
            }
            Part {
                kind,
                text: None,
                image_url: Some(image),
                image: None,
                ..
            } if kind == "image_url" => (
                Picture::from_url(&image.url),
                format!("{path}.image_url{}", image.at),
            ),
            Part {
                kind,
                text: None,
                image_url: None,
                image: Some(image),
                ..
            } if kind == "image" => (
                Picture::from_base64(&image.b64),
                format!("{path}.image.b64"),
            ),
            part => return Err(unfit(&part.kind, &path)),
        };
        if self.role != Role::User {
            return Err(invalid(path, "only messages of the user may have images"));
        }
        let picture = picture.map_err(|fault| refuse_image(fault, &param))?;
        budget.spend(&picture, &param)?;
        self.images.push(Inset { picture, param });
        Ok(())
    }
}

/// Why a part is none that can be read.
fn unfit(kind: &str, path: &str) -> Refusal {
    match kind {
        "text" | "image_url" | "image" => invalid(
            path,
            format!("a part of type \"{kind}\" has the field `{kind}` and no other"),
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

/// A refusal of an image.
pub(super) fn refuse_image(fault: ImageFault, param: &str) -> Refusal {
    invalid(param, fault.message())
        .with_code("INVALID_IMAGE")
        .with_reason(RefusalReason::InvalidImage)
}

/// What the images of one chat have used up.
#[derive(Default)]
struct Budget {
    images: usize,
    pixels: u64,
}

impl Budget {
    fn spend(&mut self, picture: &Picture, param: &str) -> Result<(), Refusal> {
        self.images += 1;
        self.pixels += picture.pixels();
        if self.images > MAX_IMAGES {
            return Err(invalid(param, "a request has at most 8 images"));
        }
        if self.pixels > MAX_PIXELS {
            let text = "the images of a request have at most 80 megapixels together";
            return Err(invalid(param, text));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::read as body, *};
    use crate::config::UnknownFields;

    /// A PNG of one red pixel.
    const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC";

    fn speeches(messages: &str) -> Result<Vec<Speech>, Refusal> {
        let text = format!(r#"{{"messages":{messages}}}"#);
        let mut unknown = Unknown::new(UnknownFields::Refuse);
        let messages = body::read(text.as_bytes())?.messages.unwrap().0;
        read(messages, &mut unknown)
    }

    #[test]
    fn text_parts_are_joined_and_images_kept_in_order() {
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
        let speeches = speeches(&messages).ok().unwrap();
        let roles: Vec<Role> = speeches.iter().map(|speech| speech.role).collect();
        assert_eq!(roles, [Role::System, Role::User, Role::Assistant]);
        assert_eq!(speeches[1].text, "a\nb");
        let params: Vec<&str> = speeches[1]
            .images
            .iter()
            .map(|i| i.param.as_str())
            .collect();
        assert_eq!(
            params,
            [
                "messages[1].content[1].image_url.url",
                "messages[1].content[2].image_url",
                "messages[1].content[4].image.b64"
            ]
        );
    }

    #[test]
    fn refuses_what_is_no_chat_by_path() {
        let inset = format!(r#"{{"type":"image","image":{{"b64":"{PNG}"}}}}"#);
        let nine = [inset.as_str(); 9].join(",");
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
                format!(r#"[{{"role":"system","content":[{inset}]}}]"#),
                "messages[0].content[0]",
            ),
            (
                format!(r#"[{{"role":"user","content":[{nine}]}}]"#),
                "messages[0].content[8].image.b64",
            ),
        ];
        for (messages, param) in cases {
            let refusal = speeches(&messages).err().expect(&messages);
            assert_eq!(refusal.param(), Some(param), "{messages}");
        }
    }
}
