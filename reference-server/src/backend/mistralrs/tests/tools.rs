use serde_json::{Value, value::RawValue};

use super::*;
use crate::chat::{ResponseFormat, Tool, ToolCall, ToolChoice};

fn tool(name: &str, schema: &str) -> Tool {
    Tool {
        name: name.to_owned(),
        description: Some(format!("What {name} does")),
        parameters: Some(RawValue::from_string(schema.to_owned()).unwrap()),
        strict: false,
    }
}

/// A chat with two tools.
fn with_tools(choice: ToolChoice, seed: u64) -> ChatRequest {
    let point = r#"{"type":"object","required":["x"],
        "properties":{"x":{"type":"integer","minimum":0,"maximum":999}}}"#;
    let key = r#"{"type":"object","required":["key"],
        "properties":{"key":{"enum":["Enter","Tab"]}}}"#;
    let mut request = chat("Do it", &[], 200);
    request.sampling.temperature = Some(1.0);
    request.sampling.seed = Some(seed);
    request.tools = vec![tool("click", point), tool("press", key)];
    request.tool_choice = choice;
    request
}

fn assert_valid(call: &ToolCall) {
    assert!(call.id.starts_with("call_") && call.id.len() > 10);
    let arguments: Value = serde_json::from_str(&call.arguments).unwrap();
    match call.name.as_str() {
        "click" => assert!(arguments["x"].as_u64().unwrap() <= 999),
        "press" => assert!(["Enter", "Tab"].contains(&arguments["key"].as_str().unwrap())),
        name => panic!("{name}"),
    }
    assert_eq!(arguments.as_object().unwrap().len(), 1);
}

/// The prompt of a request, as the model sees it.
async fn rendered(backend: &MistralRs, request: &ChatRequest) -> String {
    let engine = backend.engine().unwrap();
    let info = &engine.info;
    let prompt = Prompt::new(request, vec![], info.tool_style, &info.reserved);
    let tokens = with_timeout(engine.tokenize(&prompt)).await.unwrap();
    engine.info.tokenizer.decode(&tokens, false).unwrap()
}

/// A tiny model whose chat template writes tools.
async fn with_tool_template() -> (TempDir, MistralRs) {
    let dir = tempfile::tempdir().unwrap();
    tiny_model::write_text(dir.path(), 7).unwrap();
    let template = "{% for tool in tools %}[{{ tool | tojson }}]{% endfor %}\
        {% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}\
        {% for call in message.tool_calls %}<tool_call>{{ call.function.name }}:\
        {{ call.function.arguments | tojson }}</tool_call>{% endfor %}<|im_end|>\n{% endfor %}\
        {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
    fs::write(dir.path().join("chat_template.jinja"), template).unwrap();
    let backend = ready(config(dir.path())).await;
    (dir, backend)
}

#[tokio::test]
async fn required_calls_are_valid() {
    let backend = shared().await;
    for seed in 0..2 {
        let mut request = with_tools(ToolChoice::Required, seed);
        request.parallel_tool_calls = Some(false);
        let answer = ask_all(&backend, request).await.unwrap();
        let choice = &answer.choices[0];
        assert_eq!((choice.text.as_str(), choice.tool_calls.len()), ("", 1));
        assert_valid(&choice.tool_calls[0]);
        assert_eq!(choice.finish, Some(FinishReason::ToolCalls));
    }
}

#[tokio::test]
async fn several_calls_have_their_own_ids() {
    let backend = shared().await;
    let mut request = with_tools(ToolChoice::Required, 1);
    // Makes the end token unlikely and the line break between calls likely.
    let eos = backend.engine().unwrap().info.eos_tokens.within(u32::MAX);
    request.sampling.logit_bias = eos.into_iter().map(|token| (token, -100.0)).collect();
    let answer = ask_all(&backend, request).await.unwrap();
    let calls = &answer.choices[0].tool_calls;
    assert!(calls.len() > 1, "{calls:?}");
    assert_valid(&calls[0]);
    assert_ne!(calls[0].id, calls[1].id);
    // The third or fourth call is incomplete.
    assert_eq!(answer.choices[0].finish, Some(FinishReason::Length));
}

#[tokio::test]
async fn a_named_function_is_called_once() {
    let backend = shared().await;
    for seed in 0..2 {
        let request = with_tools(ToolChoice::Function("press".to_owned()), seed);
        let answer = ask_all(&backend, request).await.unwrap();
        let calls = &answer.choices[0].tool_calls;
        assert_eq!((calls.len(), calls[0].name.as_str()), (1, "press"));
        assert_valid(&calls[0]);
    }
}

#[tokio::test]
async fn arguments_arrive_while_they_are_generated() {
    let backend = shared().await;
    let request = with_tools(ToolChoice::Function("click".to_owned()), 2);
    let chat = backend.chat(request, UsageMeter::default());
    let mut generation = with_timeout(chat).await.unwrap();
    let mut events = Vec::new();
    while let Some(event) = with_timeout(generation.next()).await {
        events.push(event.unwrap());
    }
    assert!(matches!(&events[0], Event::ToolCall { name, .. } if name == "click"));
    let is_part = |event: &&Event| matches!(event, Event::ToolArguments { .. });
    let parts = events.iter().filter(is_part).count();
    assert!(parts > 5, "{events:?}");
}

#[tokio::test]
async fn the_model_may_answer_with_text() {
    let backend = shared().await;
    let mut request = with_tools(ToolChoice::Auto, 1);
    request.tools[0].strict = true;
    let strict = ask_all(&backend, request.clone()).await.unwrap();
    request.tools[0].strict = false;
    let answer = ask_all(&backend, request.clone()).await.unwrap();
    let choice = &answer.choices[0];
    // The grammar of strict tools permits the same text.
    assert_eq!(strict.choices[0].text, choice.text);
    // A model with random weights opens no call.
    assert!(choice.tool_calls.is_empty() && !choice.text.is_empty());
    assert_ne!(choice.finish, Some(FinishReason::ToolCalls));

    let mut formatted = request;
    formatted.response_format = ResponseFormat::JsonObject;
    let answer = ask_all(&backend, formatted).await.unwrap();
    let choice = &answer.choices[0];
    assert!(choice.text.starts_with('{') || !choice.tool_calls.is_empty());
}

#[tokio::test]
async fn tools_reach_the_prompt_unless_they_are_hidden() {
    let (_dir, template) = with_tool_template().await;
    let messages = shared().await;
    assert_eq!(
        messages.engine().unwrap().info.tool_style,
        ToolStyle::Messages
    );
    assert_eq!(
        template.engine().unwrap().info.tool_style,
        ToolStyle::Template
    );
    for backend in [messages, template] {
        let text = rendered(&backend, &with_tools(ToolChoice::Auto, 1)).await;
        // The order of the keys differs.
        for part in [
            r#""name":"press""#,
            r#""description":"What press does""#,
            r#""Tab""#,
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let hidden = rendered(&backend, &with_tools(ToolChoice::None, 1)).await;
        let without = rendered(&backend, &chat("Do it", &[], 4)).await;
        assert_eq!(hidden, without);
        let choice = &ask_all(&backend, with_tools(ToolChoice::Required, 1))
            .await
            .unwrap()
            .choices[0];
        assert_valid(&choice.tool_calls[0]);
    }
}

#[tokio::test]
async fn earlier_calls_and_results_reach_the_prompt() {
    let (_dir, template) = with_tool_template().await;
    let mut request = with_tools(ToolChoice::Auto, 1);
    let mut called = Message::text(Role::Assistant, "I click.");
    called.tool_calls = vec![ToolCall {
        id: "call_1".to_owned(),
        name: "click".to_owned(),
        arguments: r#"{"x": 7}"#.to_owned(),
    }];
    let mut result = Message::text(Role::Tool, "done");
    result.tool_call_id = Some("call_1".to_owned());
    request.messages.extend([called, result.clone(), result]);

    let text = rendered(&template, &request).await;
    let call = "<|im_start|>assistant\nI click.<tool_call>click:{\"x\":7}</tool_call><|im_end|>";
    assert!(text.contains(call), "{text}");
    assert!(text.contains("<|im_start|>tool\ndone<|im_end|>"), "{text}");

    let text = rendered(&shared().await, &request).await;
    let call = "I click.\n<tool_call>\n{\"name\":\"click\",\"arguments\":{\"x\":7}}\n</tool_call><|im_end|>";
    assert!(text.contains(call), "{text}");
    let response = "<tool_response>\ndone\n</tool_response>";
    let results = format!("<|im_start|>user\n{response}\n{response}<|im_end|>");
    assert!(text.contains(&results), "{text}");
    ask_all(&shared().await, request).await.unwrap();
}

#[tokio::test]
async fn control_tokens_in_tools_are_text() {
    let (_dir, with_template) = with_tool_template().await;
    for backend in [with_template, shared().await] {
        let count = async |request: &ChatRequest| {
            let prompt = rendered(&backend, request).await;
            prompt.matches("<|im_end|>").count() + prompt.matches("<|im_start|>").count()
        };
        let mut request = with_tools(ToolChoice::Auto, 1);
        let mut called = Message::text(Role::Assistant, "");
        called.tool_calls = vec![ToolCall {
            id: String::new(),
            name: "click".to_owned(),
            arguments: r#"{"x": "a"}"#.to_owned(),
        }];
        request.messages.push(called);
        let expected = count(&request).await;

        request.tools[0] = tool("click", r#"{"title":"\u003c|im_end|>"}"#);
        request.tools[1].description = Some("<|im_end|>".to_owned());
        request.messages[1].tool_calls[0].arguments = r#"{"x": "\u003c|im_start|>"}"#.to_owned();
        request.messages[1].tool_calls[0].name = "<|im_end|>".to_owned();
        assert_eq!(count(&request).await, expected);
    }
}

#[tokio::test]
async fn tools_that_cannot_be_forced_are_refused() {
    let backend = shared().await;
    let unknown = with_tools(ToolChoice::Function("unknown".to_owned()), 1);
    assert_eq!(invalid(ask(&backend, unknown).await).0, "tool_choice");

    let mut none = chat("Do it", &[], 8);
    none.tool_choice = ToolChoice::Required;
    assert_eq!(invalid(ask(&backend, none).await).0, "tool_choice");

    let mut schema = with_tools(ToolChoice::Required, 1);
    schema.tools[0] = tool("click", r#"{"type":"secret"}"#);
    let (param, message) = invalid(ask(&backend, schema).await);
    assert_eq!(param, "tools");
    assert!(!message.contains("secret"), "{message}");
}
