use super::*;
use crate::{
    chat::{Part, ReasoningEffort},
    config::UnknownFields,
    dialect::response::ResponseHead,
};

/// A PNG of one red pixel.
const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC";

fn read_body(body: &str) -> Result<DialectRequest, Refusal> {
    let limits = ChatLimits {
        default_max_tokens: 256,
        max_tokens: 1_000,
    };
    let context = ReadContext {
        limits: &|_| Ok(limits),
        unknown_fields: UnknownFields::Refuse,
        head: ResponseHead::for_tests(),
    };
    read(body.as_bytes(), context)
}

fn with(fields: &str) -> Result<DialectRequest, Refusal> {
    read_body(&format!(r#"{{"model":"m","input":"hi",{fields}}}"#))
}

fn input(items: &str) -> Result<Vec<Message>, Refusal> {
    read_body(&format!(r#"{{"model":"m","input":{items}}}"#)).map(|request| request.chat.messages)
}

#[test]
fn reads_every_field() {
    let request = with(
        r#""instructions":"be brief","stream":true,"store":true,"max_output_tokens":7,
           "temperature":0,"top_p":0.5,"top_k":2,"top_logprobs":3,"metadata":{"a":"b"},
           "tools":[{"type":"function","name":"click","parameters":{"type":"object"},"strict":true}],
           "tool_choice":{"type":"function","name":"click"},"parallel_tool_calls":false,
           "reasoning":{"effort":"low","summary":"auto"},"truncation":"disabled","include":[],
           "text":{"format":{"type":"json_schema","name":"a","schema":{"type":"object"},"strict":true}}"#,
    )
    .ok()
    .unwrap();
    assert!(request.is_stream);
    assert_eq!(request.unknown.header(), None);
    let chat = request.chat;
    assert_eq!(
        chat.sampling,
        Sampling {
            max_tokens: 7,
            temperature: Some(0.0),
            top_p: Some(0.5),
            top_k: Some(2),
            ..Sampling::default()
        }
    );
    let roles: Vec<_> = chat.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::System, Role::User]);
    assert_eq!(chat.top_logprobs, Some(3));
    assert!(chat.tools[0].strict);
    assert_eq!(chat.tool_choice, ToolChoice::Function("click".to_owned()));
    assert_eq!(chat.parallel_tool_calls, Some(false));
    assert_eq!(chat.reasoning_effort, Some(ReasoningEffort::Low));
    assert!(matches!(
        chat.response_format,
        ResponseFormat::JsonSchema { strict: true, .. }
    ));
}

#[test]
fn reads_items_in_their_order() {
    let messages = input(&format!(
        r#"[{{"role":"developer","content":"rules"}},
            {{"role":"user","content":[
                {{"type":"input_text","text":"a"}},
                {{"type":"input_image","detail":"auto","image_url":"data:image/png;base64,{PNG}"}}]}},
            {{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":null}},
            {{"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[
                {{"type":"output_text","text":"b","annotations":[],"logprobs":[],"parsed":{{}}}}]}},
            {{"type":"function_call","id":"fc_1","call_id":"x","name":"click","arguments":"{{}}","status":"completed",
                "parsed_arguments":{{}}}},
            {{"type":"function_call","call_id":"y","name":"type","arguments":"{{}}"}},
            {{"type":"function_call_output","call_id":"x","output":"done"}},
            {{"type":"function_call_output","call_id":"y","output":[{{"type":"input_image","image_url":"data:image/png;base64,{PNG}"}}]}},
            {{"type":"function_call","call_id":"z","name":"click","arguments":"{{}}"}}]"#
    ))
    .ok()
    .unwrap();
    let roles: Vec<_> = messages.iter().map(|message| message.role).collect();
    assert_eq!(
        roles,
        [
            Role::System,
            Role::User,
            Role::Assistant,
            Role::Tool,
            Role::Tool,
            Role::Assistant
        ]
    );
    let Part::Image(image) = &messages[1].parts[1] else {
        panic!("{:?}", messages[1]);
    };
    assert_eq!(image.param(), "input[1].content[1].image_url");
    assert_eq!(messages[2].tool_calls.len(), 2);
    assert_eq!(messages[4].tool_call_id.as_deref(), Some("y"));
    assert!(messages[5].parts.is_empty());
}

// B07
#[test]
fn refuses_what_it_does_not_have_by_name() {
    for (fields, param) in [
        (r#""previous_response_id":"resp_1""#, "previous_response_id"),
        (r#""background":true"#, "background"),
        (r#""conversation":"c""#, "conversation"),
        (r#""truncation":"auto""#, "truncation"),
        (r#""max_output_tokens":0"#, "max_output_tokens"),
        (r#""top_logprobs":21"#, "top_logprobs"),
        (r#""tools":[{"type":"web_search"}]"#, "tools[0].type"),
        (r#""tools":[{"type":"function"}]"#, "tools[0].name"),
        (r#""tool_choice":"required""#, "tool_choice"),
        (r#""tool_choice":{"type":"file_search"}"#, "tool_choice"),
        (r#""reasoning":{"effort":"most"}"#, "reasoning.effort"),
        (r#""text":{"verbosity":"low"}"#, "text.verbosity"),
        (
            r#""text":{"format":{"type":"json_schema"}}"#,
            "text.format.name",
        ),
        (
            r#""text":{"format":{"type":"grammar"}}"#,
            "text.format.type",
        ),
        (r#""metadata":[]"#, "metadata"),
        (r#""max_tokens":5"#, "max_tokens"),
    ] {
        let refusal = with(fields).err().expect(fields);
        assert_eq!(refusal.param(), Some(param), "{fields}");
    }
    for fields in [
        r#""previous_response_id":null"#,
        r#""background":false"#,
        r#""store":false"#,
    ] {
        assert!(with(fields).is_ok(), "{fields}");
    }
}

#[test]
fn refuses_invalid_items_by_path() {
    for (items, param) in [
        ("[]", "input"),
        (r#"[{"type":"reasoning"}]"#, "input"),
        (
            r#"[{"type":"item_reference","id":"msg_1"}]"#,
            "input[0].type",
        ),
        (r#"[{"type":"computer_call"}]"#, "input[0].type"),
        (r#"[{"content":"a"}]"#, "input[0].role"),
        (r#"[{"role":"tool","content":"a"}]"#, "input[0].role"),
        (r#"[{"role":"user"}]"#, "input[0].content"),
        (
            r#"[{"role":"user","content":[{"type":"input_text"}]}]"#,
            "input[0].content[0].text",
        ),
        (
            r#"[{"role":"user","content":[{"type":"input_image","file_id":"f"}]}]"#,
            "input[0].content[0].image_url",
        ),
        (
            r#"[{"role":"user","content":[{"type":"input_file","file_id":"f"}]}]"#,
            "input[0].content[0].type",
        ),
        (
            r#"[{"role":"user","content":[{"type":"input_image","image_url":"https://example.com/a.png"}]}]"#,
            "input[0].content[0].image_url",
        ),
        (
            r#"[{"type":"function_call","name":"a"}]"#,
            "input[0].call_id",
        ),
        (
            r#"[{"type":"function_call","call_id":"a","name":""}]"#,
            "input[0].name",
        ),
        (
            r#"[{"type":"function_call_output","call_id":"a"}]"#,
            "input[0].output",
        ),
        (
            r#"[{"type":"function_call_output","output":"a"}]"#,
            "input[0].call_id",
        ),
    ] {
        let refusal = input(items).expect_err(items);
        assert_eq!(refusal.param(), Some(param), "{items}");
    }
}
