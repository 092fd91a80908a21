use proptest::prelude::*;

use super::*;

/// An image of 1000 × 500 that the model sees at 500 × 250.
const SPACE: CoordinateSpace = CoordinateSpace {
    width: AxisScale {
        shown: 500,
        padded: 1_000,
        original: 1_000,
    },
    height: AxisScale {
        shown: 250,
        padded: 500,
        original: 500,
    },
};

/// The answer in pieces of `size` characters.
fn streamed(is_json: bool, text: &str, size: usize) -> String {
    let mut mapper = CoordinateMapper::new(SPACE, is_json);
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::new();
    let mut sent = 0;
    for piece in chars.chunks(size) {
        let piece: String = piece.iter().collect();
        sent += piece.len();
        out += &mapper.text(&piece);
        // Only the start of a click is held back.
        assert!(
            text[sent - mapper.held()..].starts_with(['C', '-', '['])
                || mapper.held() == 0
                || text[sent - mapper.held()..].starts_with(|c: char| c.is_ascii_digit())
        );
    }
    out + &mapper.end_text()
}

fn mapped(is_json: bool, text: &str) -> String {
    let whole = streamed(is_json, text, usize::MAX);
    for size in 1..8 {
        assert_eq!(streamed(is_json, text, size), whole, "{text} by {size}");
    }
    whole
}

#[test]
fn clicks_are_mapped() {
    for (text, expected) in [
        ("Click(100, 50)", "Click(200, 100)"),
        ("I do: Click(1,2). Done", "I do: Click(2,4). Done"),
        ("Click( 10 , 20 )Click(3, 4)", "Click( 20 , 40 )Click(6, 8)"),
        ("Click(0.25, 100.5)", "Click(0.50, 201.0)"),
        ("CClick(1, 1) CCClick", "CClick(1, 1) CCClick"),
        ("C Click(1, 1)", "C Click(2, 2)"),
    ] {
        assert_eq!(mapped(false, text), expected);
    }
}

#[test]
fn clicks_outside_are_clamped_into_the_image() {
    let outside = "Click(900, 250) Click(-3, 9999)";
    assert_eq!(mapped(false, outside), "Click(999, 499) Click(0, 499)");
}

#[test]
fn other_text_is_unchanged() {
    for text in [
        "",
        "Click",
        "Click(",
        "Click(1, 2",
        "Click(1)",
        "Click(1, 2, 3)",
        "Click(a, 2)",
        "Click(1-2, 3)",
        "Click(1.2.3, 3)",
        "Click(     1, 2)",
        "Click(1234567890123456789012345, 1)",
        "click(1, 2)",
        "DoubleClick(1, 2)",
        "my_Click(1, 2)",
        "7Click(1, 2)",
        "éClick(1, 2)",
        "{\"x\": 100}",
        "Größe C 世界 Cli",
    ] {
        assert_eq!(mapped(false, text), text);
    }
}

#[test]
fn coordinates_in_json_are_mapped() {
    for (text, expected) in [
        (r#"{"x":100,"y":50}"#, r#"{"x":200,"y":100}"#),
        (
            r#"{"action": {"x": 1.5, "y" : 2 }, "z": 3}"#,
            r#"{"action": {"x": 3.0, "y" : 4 }, "z": 3}"#,
        ),
        (r#"{"bbox":[1, 2,3 ,500]}"#, r#"{"bbox":[2, 4,6 ,500]}"#),
        (
            r#"{"bbox_2d":[0,0,500,250]}"#,
            r#"{"bbox_2d":[0,0,1000,500]}"#,
        ),
        (
            r#"[{"point":[500,250]},{"coordinate": [ 1, 2 ]}]"#,
            r#"[{"point":[999,499]},{"coordinate": [ 2, 4 ]}]"#,
        ),
        (r#"{"x":1e2}"#, r#"{"x":200}"#),
        (r#"{"x":-5,"label":"x"}"#, r#"{"x":0,"label":"x"}"#),
    ] {
        assert_eq!(mapped(true, text), expected);
    }
}

#[test]
fn other_json_is_unchanged() {
    for text in [
        r#"{"width":100,"xy":3,"ax":[1,2],"X":7}"#,
        r#"{"x":"100","y":null,"a":{"b":[1,{"c":2}]}}"#,
        r#"{"bbox":[1,2,3],"point":[1,2,3],"coordinate":[1,[2,3]],"point_2d":["1",2]}"#,
        r#"{"a":"\"x\":5","b\"x":1}"#,
        r#"{"text":"x","n":1,"t":["x",1]}"#,
        r#"["x",1,"bbox",[1,2,3,4]]"#,
        r#"{"x":{"n":1},"y":[5]}"#,
        r#"{"bbox":[1,2"#,
        r#"{"x":12"#,
        r#"{"bbox":[]}"#,
        r#"]]}}{"#,
        "Click(1, 2)",
    ] {
        assert_eq!(mapped(true, text), text);
    }
}

#[test]
fn arguments_of_each_call_are_mapped() {
    let mut mapper = CoordinateMapper::new(SPACE, false);
    let mut out = mapper.arguments(r#"{"x": 1"#);
    out += &mapper.end_arguments();
    out += &mapper.arguments(r#"{"y": 1}"#);
    out += &mapper.end_arguments();
    assert_eq!(out, r#"{"x": 1{"y": 2}"#);
}

#[test]
fn padding_is_no_part_of_the_image() {
    let space = CoordinateSpace {
        height: AxisScale {
            shown: 56,
            padded: 42,
            original: 20,
        },
        ..SPACE
    };
    let y = |number| space.map(Axis::Y, Place::Pixel, number).unwrap();
    assert_eq!((y("4"), y("50")), ("3".to_owned(), "19".to_owned()));
}

proptest! {
    #[test]
    fn pieces_do_not_matter(text in "[C(lick)0-9., a\u{e9}\\-]{0,60}", size in 1_usize..9) {
        prop_assert_eq!(streamed(false, &text, size), streamed(false, &text, usize::MAX));
    }

    #[test]
    fn json_in_pieces_is_the_same(
        text in r#"(\{|\}|\[|\]|,|:|"|\\|"x"|"y":|"bbox":|"point":|[0-9.e-]{1,4}| ){0,30}"#,
        size in 1_usize..9,
    ) {
        let whole = streamed(true, &text, usize::MAX);
        prop_assert_eq!(streamed(true, &text, size), whole);
    }

    #[test]
    fn every_click_is_in_the_image(x in -2_000_i32..2_000, y in -2_000_i32..2_000) {
        let click = mapped(false, &format!("Click({x}, {y})"));
        let inner = click.strip_prefix("Click(").and_then(|c| c.strip_suffix(')')).unwrap();
        let (x, y) = inner.split_once(", ").unwrap();
        let (x, y): (u32, u32) = (x.parse().unwrap(), y.parse().unwrap());
        prop_assert!(x < 1_000 && y < 500);
    }
}
