//! Coordinates in the output of a choice, from a scripted text.

use tokio::sync::mpsc;

use super::*;
use crate::backend::mistralrs::{
    output::Output, stop_filter::StopFilter, think_filter::ThinkFilter, tool_parser::ToolParser,
};

/// The completion of a text that comes in pieces of `size` characters, for an image that the model
/// sees at a tenth of its size.
fn completion(text: &str, size: usize, is_json: bool, stop: &str) -> chat::Completion {
    let (out, mut items) = mpsc::unbounded_channel();
    let rule = size_rule::SizeRule {
        factor: 28,
        min_pixels: 3_136,
        max_pixels: 50_176,
    };
    let image = image::prepare(DynamicImage::new_rgb8(2_240, 2_240), &rule).unwrap();
    let mapper = CoordinateMapper::new(CoordinateSpace::of(&image.geometry), is_json);
    let stops = [stop].into_iter().filter(|stop| !stop.is_empty());
    let mut output = Output::new(
        0,
        out,
        false,
        ThinkFilter::new(false),
        ToolParser::new(vec!["click".to_owned()], false),
        StopFilter::new(stops.map(str::to_owned)),
    )
    .with_coordinates(Some(mapper));
    let chars: Vec<char> = text.chars().collect();
    for piece in chars.chunks(size) {
        output.add_text(&piece.iter().collect::<String>());
    }
    output.finish(FinishReason::Stop);
    drop(output);
    let mut completion = chat::Completion::default();
    while let Ok(item) = items.try_recv() {
        let event = item.unwrap();
        assert!(!matches!(&event, Event::ToolArguments { text, .. } if text.is_empty()));
        completion.push(event);
    }
    completion
}

fn text(text: &str, is_json: bool, stop: &str) -> String {
    let whole = completion(text, usize::MAX, is_json, stop);
    for size in 1..6 {
        assert_eq!(
            completion(text, size, is_json, stop).choices[0].text,
            whole.choices[0].text
        );
    }
    whole.choices[0].text.clone()
}

#[test]
fn a_click_of_a_stream_is_mapped() {
    assert_eq!(text("Click(12, 34)", false, ""), "Click(120, 340)");
    assert_eq!(text("a Click(1, 2", false, ""), "a Click(1, 2");
    assert_eq!(
        text(r#"{"x":1,"bbox":[1,2,3,4]}"#, true, ""),
        r#"{"x":10,"bbox":[10,20,30,40]}"#
    );
}

#[test]
fn a_stop_sequence_ends_the_text_before_the_mapping() {
    assert_eq!(
        text("Click(1, 2) Click(3, 4)", false, "3"),
        "Click(10, 20) Click("
    );
    assert_eq!(text("Click(1, 2)", false, ")"), "Click(1, 2");
}

#[test]
fn the_reasoning_is_unchanged() {
    let completion = completion("<think>Click(1, 2)</think>Click(1, 2)", 3, false, "");
    let choice = &completion.choices[0];
    assert_eq!(
        (choice.reasoning.as_str(), choice.text.as_str()),
        ("Click(1, 2)", "Click(10, 20)")
    );
}

#[test]
fn arguments_of_calls_are_mapped() {
    let call =
        |x| format!("<tool_call>{{\"name\":\"click\",\"arguments\":{{\"x\":{x}}}}}</tool_call>");
    let answer = format!("Click(1, 2){}{}", call(7), call(8));
    for size in [1, 3, 7, usize::MAX] {
        let completion = completion(&answer, size, false, "");
        let choice = &completion.choices[0];
        assert_eq!(choice.text, "Click(10, 20)");
        let calls = choice.tool_calls.iter();
        let arguments: Vec<&str> = calls.map(|call| call.arguments.as_str()).collect();
        assert_eq!(arguments, [r#"{"x":70}"#, r#"{"x":80}"#]);
    }
}
