use super::*;

/// The text and the calls of a text, which must not depend on how it is split.
fn parse(text: &str, is_single: bool) -> (String, Vec<(String, String)>) {
    let results = [1, 2, 7, 1_000].map(|size| {
        let mut parser = ToolParser::new(vec!["click".into(), "type".into()], is_single);
        let (mut content, mut calls) = (String::new(), Vec::<(String, String)>::new());
        let chars: Vec<char> = text.chars().collect();
        let mut pieces = Vec::new();
        for piece in chars.chunks(size) {
            pieces.extend(parser.push(&piece.iter().collect::<String>()));
        }
        pieces.extend(parser.finish());
        for piece in pieces {
            match piece {
                Piece::Text(text) => content.push_str(&text),
                Piece::Call(index, name) => {
                    assert_eq!(index as usize, calls.len());
                    calls.push((name, String::new()));
                }
                Piece::Arguments(index, text) => {
                    assert!(!text.is_empty());
                    calls[index as usize].1.push_str(&text);
                }
            }
        }
        assert_eq!(parser.has_calls(), !calls.is_empty());
        (content, calls)
    });
    assert!(
        results.iter().all(|result| *result == results[0]),
        "{results:?}"
    );
    results[0].clone()
}

fn call(name: &str, arguments: &str) -> (String, String) {
    (name.to_owned(), arguments.to_owned())
}

#[test]
fn finds_calls_and_the_text_before_them() {
    let text = "I click.\n<tool_call>\n{\"name\": \"click\", \"arguments\": {\"x\": 1}}\n</tool_call>\n\
                <tool_call>{\"name\":\"type\",\"arguments\":{\"text\":\"}</tool_call>\\\"\"}}</tool_call>\n";
    let (content, calls) = parse(text, false);
    assert_eq!(content, "I click.");
    assert_eq!(
        calls,
        [
            call("click", r#"{"x": 1}"#),
            call("type", r#"{"text":"}</tool_call>\""}"#)
        ]
    );
}

#[test]
fn finds_calls_in_other_forms() {
    for body in [
        r#"{"arguments": {"x": 1}, "name": "click"}"#,
        r#" { "name" : "click" , "arguments" : {"x": 1} } "#,
        r#"{"name": "click", "arguments": "{\"x\": 1}"}"#,
        "{\"name\": \"cl\\u0069ck\", \"arguments\": {\"x\": 1}}",
    ] {
        let (content, calls) = parse(&format!("<tool_call>{body}</tool_call>"), false);
        assert_eq!(
            (content.as_str(), calls),
            ("", vec![call("click", r#"{"x": 1}"#)])
        );
    }
}

#[test]
fn what_is_no_call_is_text() {
    for text in [
        "",
        "a < b",
        " \n",
        "<tool_call",
        "a <tool_call>not JSON</tool_call> b",
        "a\n<tool_call>{\"name\": \"unknown\", \"arguments\": {}}</tool_call>",
        "<tool_call>{\"name\": \"click\"}</tool_call>",
        "<tool_call>{\"name\": \"click\", \"arg",
        "<tool_call>{\"name\": \"click\", \"arguments\": ",
    ] {
        assert_eq!(parse(text, false), (text.to_owned(), vec![]));
    }
}

#[test]
fn an_incomplete_call_has_the_arguments_so_far() {
    let text = "<tool_call>{\"name\": \"click\", \"arguments\": {\"x\": [1, {\"y";
    assert_eq!(
        parse(text, false),
        (String::new(), vec![call("click", r#"{"x": [1, {"y"#)])
    );
    let complete = "<tool_call>{\"name\": \"click\", \"arguments\": {}}";
    assert_eq!(
        parse(complete, false),
        (String::new(), vec![call("click", "{}")])
    );
}

#[test]
fn a_single_call_ends_the_answer() {
    let text = "<tool_call>{\"name\": \"click\", \"arguments\": {}}</tool_call>more\
                <tool_call>{\"name\": \"click\", \"arguments\": {}}</tool_call>";
    assert_eq!(
        parse(text, true),
        (String::new(), vec![call("click", "{}")])
    );
    assert_eq!(parse(text, false).1.len(), 2);
    let mut parser = ToolParser::new(vec!["click".into()], true);
    parser.push(text);
    assert!(parser.is_done());
}

#[test]
fn without_tools_everything_is_text() {
    let mut parser = ToolParser::new(Vec::new(), false);
    let text = "<tool_call>{\"name\": \"click\", \"arguments\": {}}</tool_call>";
    assert_eq!(parser.push(text), [Piece::Text(text.to_owned())]);
    assert_eq!((parser.held(), parser.has_calls()), (0, false));
}

#[test]
fn text_is_passed_on_before_a_call_is_complete() {
    let mut parser = ToolParser::new(vec!["click".into()], false);
    assert_eq!(parser.push("a b "), [Piece::Text("a b".to_owned())]);
    assert_eq!(parser.push("<tool"), []);
    assert_eq!(parser.push("kit>"), [Piece::Text(" <toolkit>".to_owned())]);
    assert_eq!(
        parser.push("<tool_call>{\"name\":\"click\",\"arguments\":{\"x\":\"a"),
        [
            Piece::Call(0, "click".to_owned()),
            Piece::Arguments(0, "{\"x\":\"a".to_owned()),
        ]
    );
    assert_eq!(parser.push("b"), [Piece::Arguments(0, "b".to_owned())]);
}
