use super::*;
use crate::{
    chat::{Message, Part, ReasoningEffort, Role},
    config::UnknownFields,
    dialect::{limits::ChatLimits, response::ResponseHead},
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
    read_body(&format!(
        r#"{{"model":"m","max_tokens":5,"messages":[{{"role":"user","content":"hi"}}],{fields}}}"#
    ))
}

fn messages(messages: &str) -> Result<Vec<Message>, Refusal> {
    let body = format!(r#"{{"model":"m","max_tokens":5,"messages":{messages}}}"#);
    read_body(&body).map(|request| request.chat.messages)
}

#[test]
fn reads_every_field() {
    let request = with(
        r#""system":[{"type":"text","text":"be brief","cache_control":{"type":"ephemeral"}}],
           "tools":[{"name":"click","description":"d","input_schema":{"type":"object"}}],
           "tool_choice":{"type":"tool","name":"click","disable_parallel_tool_use":true},
           "stop_sequences":["a"],"stream":true,"temperature":1,"top_k":3,"top_p":0.5,
           "metadata":{"user_id":"u"},"service_tier":"auto","thinking":{"type":"disabled"},
           "output_config":{"effort":"high","format":{"type":"json_schema","schema":{"type":"object"}}}"#,
    )
    .ok()
    .unwrap();
    assert!(request.is_stream);
    let chat = request.chat;
    assert_eq!(
        chat.sampling,
        Sampling {
            max_tokens: 5,
            temperature: Some(1.0),
            top_k: Some(3),
            top_p: Some(0.5),
            stop: vec!["a".to_owned()],
            ..Sampling::default()
        }
    );
    assert_eq!(chat.messages[0].role, Role::System);
    assert_eq!(chat.messages[0].texts().collect::<Vec<_>>(), ["be brief"]);
    assert_eq!(chat.tools[0].name, "click");
    assert_eq!(chat.tool_choice, ToolChoice::Function("click".to_owned()));
    assert_eq!(chat.parallel_tool_calls, Some(false));
    assert_eq!(chat.reasoning_effort, Some(ReasoningEffort::High));
    assert!(matches!(
        chat.response_format,
        ResponseFormat::JsonSchema { strict: true, .. }
    ));
    assert_eq!(request.unknown.header(), None);
}

#[test]
fn lists_thinking_as_ignored() {
    let request = with(r#""thinking":{"type":"enabled","budget_tokens":1024}"#)
        .ok()
        .unwrap();
    assert_eq!(request.unknown.header().unwrap(), "thinking");
}

#[test]
fn splits_results_of_tools_from_a_users_message() {
    let messages = messages(&format!(
        r#"[{{"role":"user","content":"go"}},
            {{"role":"assistant","content":[
                {{"type":"thinking","thinking":"hm","signature":"s"}},
                {{"type":"text","text":"ok"}},
                {{"type":"tool_use","id":"x","name":"click","input":{{"a": 1}}}}]}},
            {{"role":"user","content":[
                {{"type":"tool_result","tool_use_id":"x","is_error":false,"content":[
                    {{"type":"text","text":"done"}},
                    {{"type":"image","source":{{"type":"base64","media_type":"image/png","data":"{PNG}"}}}}]}},
                {{"type":"text","text":"next"}},
                {{"type":"image","source":{{"type":"url","url":"data:image/png;base64,{PNG}"}}}}]}}]"#
    ))
    .ok()
    .unwrap();
    let roles: Vec<_> = messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::Tool, Role::User]);
    assert_eq!(messages[1].tool_calls[0].arguments, r#"{"a": 1}"#);
    assert_eq!(messages[2].tool_call_id.as_deref(), Some("x"));
    let Part::Image(image) = &messages[2].parts[1] else {
        panic!("{:?}", messages[2]);
    };
    assert_eq!(
        image.param(),
        "messages[2].content[0].content[1].source.data"
    );
    let Part::Image(image) = &messages[3].parts[1] else {
        panic!("{:?}", messages[3]);
    };
    assert_eq!(image.param(), "messages[2].content[2].source.url");
}

// B07
#[test]
fn refuses_invalid_values_by_name() {
    for (fields, param) in [
        (r#""temperature":1.5"#, "temperature"),
        (r#""top_p":0"#, "top_p"),
        (r#""stop_sequences":[""]"#, "stop_sequences"),
        (
            r#""system":[{"type":"image","text":"a"}]"#,
            "system[0].type",
        ),
        (
            r#""tools":[{"type":"bash_20250124","name":"bash"}]"#,
            "tools[0].type",
        ),
        (
            r#""tools":[{"name":"a","input_schema":[]}]"#,
            "tools[0].input_schema",
        ),
        (r#""tool_choice":{"type":"any"}"#, "tool_choice"),
        (r#""tool_choice":{"type":"some"}"#, "tool_choice.type"),
        (r#""tool_choice":{"type":"tool"}"#, "tool_choice.name"),
        (r#""thinking":{"type":"deep"}"#, "thinking.type"),
        (
            r#""output_format":{"type":"json_schema"}"#,
            "output_format.schema",
        ),
        (r#""mcp_servers":[{}]"#, "mcp_servers"),
        (r#""stop":["a"]"#, "stop"),
    ] {
        let refusal = with(fields).err().expect(fields);
        assert_eq!(refusal.param(), Some(param), "{fields}");
    }
    let refusal = read_body(r#"{"model":"m","messages":[{"role":"user","content":"a"}]}"#);
    assert_eq!(refusal.err().unwrap().param(), Some("max_tokens"));
}

#[test]
fn refuses_invalid_messages_by_path() {
    for (text, param) in [
        ("[]", "messages"),
        (r#"[{"role":"system","content":"a"}]"#, "messages[0].role"),
        (r#"[{"content":"a"}]"#, "messages[0].role"),
        (r#"[{"role":"user"}]"#, "messages[0].content"),
        (r#"[{"role":"user","content":[]}]"#, "messages[0].content"),
        (
            r#"[{"role":"user","content":[{"type":"text"}]}]"#,
            "messages[0].content[0].text",
        ),
        (
            r#"[{"role":"user","content":[{"type":"document"}]}]"#,
            "messages[0].content[0].type",
        ),
        (
            r#"[{"role":"user","content":[{"type":"tool_use","id":"a","name":"b"}]}]"#,
            "messages[0].content[0].type",
        ),
        (
            r#"[{"role":"user","content":[{"type":"tool_result"}]}]"#,
            "messages[0].content[0].tool_use_id",
        ),
        (
            r#"[{"role":"assistant","content":[{"type":"image"}]}]"#,
            "messages[0].content[0].type",
        ),
        (
            r#"[{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"b","input":[]}]}]"#,
            "messages[0].content[0].input",
        ),
        (
            r#"[{"role":"user","content":[{"type":"image","source":{"type":"url","url":"https://example.com/a.png"}}]}]"#,
            "messages[0].content[0].source.url",
        ),
        (
            r#"[{"role":"user","content":[{"type":"image","source":{"type":"file","file_id":"a"}}]}]"#,
            "messages[0].content[0].source.file_id",
        ),
    ] {
        let refusal = messages(text).expect_err(text);
        assert_eq!(refusal.param(), Some(param), "{text}");
    }
}
