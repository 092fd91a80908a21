use bytes::Bytes;
use proptest::prelude::*;
use stockade_core::identity::Principal;

use super::*;
use crate::{
    JsonLimits, Profile, PromptKey, Rule,
    json::scan,
    memory::{Caller, MemoryBudget},
    work_budget::WorkBudget,
};

/// What a validator found, in comparable form.
type Found = (Option<String>, u64, u64, Option<u64>, u64, Option<String>);

fn found(output: ValidationOutput) -> Found {
    assert!(output.images.is_empty(), "a plain chat has no images");
    (
        output.model.map(|model| model.to_string()),
        output.prompt_chars,
        output.token_thirds,
        output.max_tokens,
        output.choices,
        output.hasher.map(|hasher| hasher.finish().to_string()),
    )
}

/// The results of the short path and of the scanner.
fn both(profile: &Profile, key: Option<&PromptKey>, body: &str) -> (Option<Found>, Option<Found>) {
    let principal = Principal::builder("p")
        .models(["m".into(), "other".into()])
        .build();
    let caller = Caller {
        principal: Some(&principal),
        client: None,
    };
    let memory = MemoryBudget::new(1 << 20, 1 << 20);
    let body = Bytes::copy_from_slice(body.as_bytes());
    let budget = WorkBudget::inline();
    let new = || Validator::new(profile, caller, &memory, key, &budget, &body);

    let mut short = new();
    let is_accepted = short.accepts_plain_chat();
    let short = found(short.into_output());
    if !is_accepted {
        let untouched = found(ValidationOutput::default());
        assert_eq!(short, untouched, "as good as new");
    }
    let mut full = new();
    let scanned = scan(&body, profile.json_limits, &budget, &mut full);
    let full = scanned.is_ok().then(|| found(full.into_output()));
    (is_accepted.then_some(short), full)
}

fn profiles() -> Vec<Profile> {
    vec![
        Profile::openai_chat(),
        Profile::openai_chat()
            .models(["m"])
            .max_prompt_chars(12)
            .max_tokens(100),
        Profile::anthropic_messages(),
        Profile::ollama_chat(),
        // Rules that a plain chat may break.
        Profile::openai_chat()
            .rule("/messages/*/role", Rule::one_of(["user"]))
            .rule("/messages/*/content", Rule::MaxChars(3)),
        Profile::openai_chat().rule("/messages/*/name", Rule::Required),
        Profile::openai_chat().rule("/seed", Rule::Required),
        Profile::openai_chat().rule("/messages", Rule::MaxItems(1)),
        Profile::openai_chat().rule("/messages", Rule::MaxBytes(24)),
        Profile::openai_chat().rule("", Rule::MaxBytes(70)),
        Profile::openai_chat().rule("/user", Rule::one_of(["a"])),
        Profile::openai_chat().rule(
            "/messages/*/role",
            Rule::requires_member([("user", "name")]),
        ),
        Profile::openai_chat().rule("/model", Rule::Forbidden),
        Profile::openai_chat().json_limits(JsonLimits::default().depth(2)),
        Profile::openai_chat().json_limits(JsonLimits::default().members(2)),
        Profile::openai_chat().json_limits(JsonLimits::default().elements(1)),
        Profile::openai_chat().json_limits(JsonLimits::default().values(6)),
        Profile::json(),
    ]
}

#[test]
fn accepts_usual_chats() {
    for body in [
        r#"{"model":"m","messages":[{"role":"user","content":"Hello"}]}"#,
        r#"{"model": "m", "messages": [{"role": "user", "content": "Hello"}]}"#,
        r#"{"messages":[{"content":"a\nb","role":"system"},{"content":"é","role":"user"}],"model":"m"}"#,
        r#"{"model":"m","stream":true,"temperature":0.7,"max_tokens":64,"messages":[{"role":"user","content":"Hello"}]}"#,
        "{\n  \"model\" : \"m\",\n  \"messages\": [ {\"role\":\"user\",\"content\":\"Hello\"} ]\n}\n",
    ] {
        let (short, full) = both(&Profile::openai_chat(), None, body);
        assert!(short.is_some(), "{body}");
        assert_eq!(short, full, "{body}");
    }
}

#[test]
fn leaves_everything_else_to_the_scanner() {
    for body in [
        "",
        "{}",
        "[]",
        r#"{"model":"m","messages":[]}"#,
        r#"{"model":"m","messages":[{"role":"user","content":"Hello"}]} x"#,
        r#"{"model":"m","messages":[{"role":"user","content":"Hello"}],}"#,
        r#"{"model":"m","messages":[{"role":"user","content":"Hello"},]}"#,
        r#"{"model":"m","model":"m","messages":[{"role":"user","content":"Hello"}]}"#,
        r#"{"model":"m","messages":[{"role":"user","role":"user","content":"Hello"}]}"#,
        r#"{"model":"m","messages":[{"role":"user","content":[]}]}"#,
        r#"{"model":"m","messages":[{"role":"user","content":null}]}"#,
        r#"{"model":"m","MODEL":"m","messages":[{"role":"user","content":"Hello"}]}"#,
        r#"{"model":"m","\u006e":1,"messages":[{"role":"user","content":"Hello"}]}"#,
        r#"{"model":"unknown","messages":[{"role":"user","content":"Hello"}]}"#,
        r#"{"messages":[{"role":"user","content":"Hello"}]}"#,
        r#"{"model":"m"}"#,
    ] {
        let (short, _) = both(&Profile::openai_chat(), None, body);
        assert_eq!(short, None, "{body}");
    }
    let message = r#"{"role":"user","content":"a"}"#;
    let many = vec![message; MESSAGES as usize + 1].join(",");
    let long = "a".repeat(MAX_BYTES);
    for body in [
        format!(r#"{{"model":"m","messages":[{many}]}}"#),
        format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{long}"}}]}}"#),
    ] {
        assert_eq!(both(&Profile::openai_chat(), None, &body).0, None);
    }
}

fn string() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec!["m", "user", "system", "Hello", "", "other"]).prop_map(str::to_owned),
        1 => "[ -~é😀]{0,40}".prop_map(|text| text.replace(['"', '\\'], "")),
        1 => prop::sample::select(vec!["\\n", "\\u00e9", "\\ud83d\\ude00", "\\ud83d", "\\x", "\u{1}"])
            .prop_map(str::to_owned),
    ]
    .prop_map(|text| format!("\"{text}\""))
}

fn space() -> impl Strategy<Value = &'static str> {
    prop_oneof![8 => Just(""), 3 => Just(" "), 1 => Just("\n\t ")]
}

fn object(
    names: Vec<&'static str>,
    value: impl Strategy<Value = String>,
) -> impl Strategy<Value = String> {
    let name = prop::sample::select(names);
    let member = (space(), name, space(), value, space());
    let member =
        member.prop_map(|(a, name, b, value, c)| format!("{a}\"{name}\"{b}:{b}{value}{c}"));
    prop::collection::vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(",")))
}

/// Bodies that are plain chats, or nearly so.
fn nearly_plain() -> impl Strategy<Value = String> {
    let message = prop_oneof![
        4 => (string(), string()).prop_map(|(role, content)| format!(r#"{{"role":{role},"content":{content}}}"#)),
        1 => object(vec!["role", "content", "name", "Role", "rol\\u0065"], string()),
        1 => object(vec!["role", "content"], Just("\"m\"".to_owned())),
        1 => string(),
    ];
    let messages = (space(), prop::collection::vec(message, 0..4), space())
        .prop_map(|(a, messages, b)| format!("[{a}{}{b}]", messages.join(&format!("{b},{a}"))));
    let scalar = prop_oneof![
        string(),
        prop::sample::select(vec![
            "1", "0.5", "-1", "1e400", "01", "true", "false", "null", "{}"
        ])
        .prop_map(str::to_owned),
    ];
    let members = object(
        vec![
            "model",
            "seed",
            "n",
            "stream",
            "stop",
            "max_tokens",
            "temperature",
            "Model",
            "user",
            "messages",
            "options",
        ],
        scalar,
    );
    // Members that are valid by themselves, so that only their combination can be wrong.
    let valid = prop::collection::vec(
        prop::sample::select(vec![
            r#""seed":1"#,
            r#""n":2"#,
            r#""stream":true"#,
            r#""stop":"a""#,
            r#""max_tokens":5"#,
            r#""temperature":0.5"#,
            r#""user":"a""#,
            r#""model":"m""#,
            r#""messages":[{"role":"user","content":"a"}]"#,
        ]),
        0..4,
    );
    let others = prop_oneof![
        1 => members,
        2 => valid.prop_map(|members| format!("{{{}}}", members.join(","))),
    ];
    (string(), messages, others, any::<bool>(), 0..8_u8).prop_map(
        |(model, messages, others, is_first, broken)| {
            let chat = if is_first {
                format!(r#""model":{model},"messages":{messages}"#)
            } else {
                format!(r#""messages":{messages}, "model":{model}"#)
            };
            let others = &others[1..others.len() - 1];
            let comma = if others.is_empty() { "" } else { "," };
            let mut body = format!("{{{chat}{comma}{others}}}");
            match broken {
                0 => _ = body.pop(),
                1 => body.push('}'),
                2 => body.push(' '),
                _ => {}
            }
            body
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    // Whenever the short path accepts a body, the scanner accepts it with the same result.
    #[test]
    fn agrees_with_the_scanner(
        body in nearly_plain(),
        profile in prop::sample::select(profiles()),
        is_digested: bool,
    ) {
        let key = PromptKey::new([7; 32]).unwrap();
        let (short, full) = both(&profile, is_digested.then_some(&key), &body);
        if short.is_some() {
            prop_assert_eq!(short, full);
        }
    }

    // The same, for bodies in which a byte is changed.
    #[test]
    fn agrees_on_broken_bodies(
        body in nearly_plain(),
        at: prop::sample::Index,
        byte in prop::sample::select(b"\"\\{}[]:, \n01aen".as_slice()),
    ) {
        let mut bytes = body.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let Ok(body) = String::from_utf8(bytes) else {
            return Ok(());
        };
        let (short, full) = both(&Profile::openai_chat(), None, &body);
        if short.is_some() {
            prop_assert_eq!(short, full);
        }
    }
}
