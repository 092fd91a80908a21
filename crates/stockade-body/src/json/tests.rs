use proptest::prelude::*;
use stockade_core::refusal::Refusal;

use super::*;
use crate::{scan_error::ScanError, work_budget::WorkBudget};

/// Accepts everything.
struct Anything;

impl Visitor for Anything {
    type Frame = ();

    fn document(&self) {}
    fn begin(&mut self, _: Container, _: usize) -> Result<(), ScanError> {
        Ok(())
    }
    fn member(&mut self, (): &mut (), _: &[u8]) -> Result<KnownMember, ScanError> {
        Ok(KnownMember::None)
    }
    fn element(&mut self, (): &mut (), _: u32) -> Result<(), ScanError> {
        Ok(())
    }
    fn scalar(&mut self, (): &mut (), _: Scalar<'_>) -> Result<(), ScanError> {
        Ok(())
    }
    fn end(&mut self, (): &(), _: usize) -> Result<(), ScanError> {
        Ok(())
    }
    fn locate(&self, refusal: Refusal, _: impl Iterator<Item = ()>) -> Refusal {
        refusal
    }
}

fn validate<V>(bytes: &[u8], limits: JsonLimits, visitor: &mut V) -> Result<(), ScanError>
where
    V: Visitor,
{
    scan(bytes, limits, &WorkBudget::unlimited(), visitor)
}

fn validation_code(bytes: &[u8]) -> Result<(), &'static str> {
    match validate(bytes, JsonLimits::default(), &mut Anything) {
        Ok(()) => Ok(()),
        Err(ScanError::Refused(refusal)) => Err(refusal.code()),
        Err(ScanError::BudgetExhausted) => Err("spent"),
    }
}

fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(bytes).is_ok()
}

// B08
#[test]
fn accepts_json() {
    let cases: [&[u8]; 60] = [
        b"[]",
        b"{}",
        b"null",
        b"true",
        b"false",
        b"0",
        b"-0",
        b"\"\"",
        b" [] ",
        b"\t\r\n {\n}\r\n\t",
        b"[ ]",
        b"{ }",
        b"[[]]",
        b"[[],[]]",
        b"[{}]",
        b"[null]",
        b"[null, 1, \"1\", {}]",
        b"[1\n]",
        b"[1,null,null,null,2]",
        b"[\"a\"]",
        b"[2] ",
        b" 1",
        b"{\"a\":[]}",
        b"{\"\":0}",
        b"{\"a\":\"b\"}",
        b"{\"a\":\"b\",\"c\":\"d\"}",
        b"{\n\"a\" : \"b\"\n}",
        b"{\"a\":{\"a\":{\"a\":1}}}",
        b"{\"a\":{\"b\":1},\"c\":{\"b\":1}}",
        b"{\"foo\\u0000bar\":42}",
        b"{\"min\":-1.0e+28,\"max\":1.0e+28}",
        b"[123e65]",
        b"[0e+1]",
        b"[0e1]",
        b"[ 4]",
        b"[-0.000000000000000000000000000000000000000000000000000000000000000000000000000001]",
        b"[20e1]",
        b"[-0]",
        b"[-123]",
        b"[-1]",
        b"[1E22]",
        b"[1E-2]",
        b"[1E+2]",
        b"[123e45]",
        b"[123.456e78]",
        b"[1e-2]",
        b"[1e+2]",
        b"[1e-400]",
        b"[123.456789]",
        b"[18446744073709551616]",
        b"[\"\\u0060\\u012a\\u12AB\"]",
        b"[\"\\uD801\\udc37\"]",
        b"[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]",
        b"[\"\\\\u0000\"]",
        b"[\"\\u0000\"]",
        b"[\"\\uFFFF\\uFDD0\"]",
        b"[\"\x7f\"]",
        "[\"π, 𝄞, \u{2028}, \u{FEFF}\"]".as_bytes(),
        "[\"€\u{10FFFF}\"]".as_bytes(),
        "{\"ключ\":\"значение\"}".as_bytes(),
    ];
    for case in cases {
        let text = String::from_utf8_lossy(case);
        assert_eq!(validation_code(case), Ok(()), "{text}");
        assert!(is_json(case), "{text}");
    }
}

// B08
#[test]
fn refuses_other_text() {
    let cases: [&[u8]; 116] = [
        b"",
        b" ",
        b"\xEF\xBB\xBF{}",
        b"\xEF\xBB\xBF",
        b"{\0}\0",
        b"\xFF\xFE{\0}\0",
        b"\0{\0}",
        b"{}\0",
        b"\0",
        b"[1 true]",
        b"[a\xE5]",
        b"[\"\": 1]",
        b"[\"\"],",
        b"[,1]",
        b"[1,,2]",
        b"[\"x\",,]",
        b"[\"x\"]]",
        b"[\"\",]",
        b"[\"x\"",
        b"[x",
        b"[3[4]]",
        b"[\xFF]",
        b"[1:2]",
        b"[,]",
        b"[-]",
        b"[   , \"\"]",
        b"[\"a\",\n4\n,1,",
        b"[1,]",
        b"[1,\n1\n,1",
        b"[*]",
        b"[fals]",
        b"[nul]",
        b"[tru]",
        b"[True]",
        b"[nulll]",
        b"[++1234]",
        b"[+1]",
        b"[+Inf]",
        b"[-01]",
        b"[-1.0.]",
        b"[-2.]",
        b"[-NaN]",
        b"[.-1]",
        b"[.2e-3]",
        b"[0.1.2]",
        b"[0.3e+]",
        b"[0.3e]",
        b"[0.e1]",
        b"[0E+]",
        b"[0E]",
        b"[1.0e+]",
        b"[1.0e-]",
        b"[1.0e]",
        b"[1 000.0]",
        b"[1eE2]",
        b"[2.e+3]",
        b"[2.e3]",
        b"[9.e+]",
        b"[Inf]",
        b"[NaN]",
        b"[\xEF\xBC\x91]",
        b"[1+2]",
        b"[0x1]",
        b"[0x42]",
        b"[Infinity]",
        b"[0e+-1]",
        b"[-123.123foo]",
        b"[012]",
        b"[-012]",
        b"[1e1\xE5]",
        b"[1_000]",
        b"00",
        b"1 2",
        b"{\"x\"::\"b\"}",
        b"{\"x\", null}",
        b"{[: \"x\"}\n",
        b"{\"a\":1,}",
        b"{\"a\":1,,\"b\":2}",
        b"{,}",
        b"{,\"a\":1}",
        b"{\"a\" b}",
        b"{:\"b\"}",
        b"{\"a\" \"b\"}",
        b"{\"a\":",
        b"{\"a\"",
        b"{\"a",
        b"{",
        b"[",
        b"{1:1}",
        b"{null:null}",
        b"{'a':0}",
        b"{a: \"b\"}",
        b"{\"a\":\"a\" 123}",
        b"{\"a\":\"b\"}/**/",
        b"{\"a\":/*comment*/\"b\"}",
        b"{\"a\":\"b\"}//",
        b"{\"a\":\"b\"}#",
        b"{}}",
        b"]",
        b"[}",
        b"{]",
        b"\"",
        b"['a']",
        b"[\"\\a\"]",
        b"[\"\\x00\"]",
        b"[\"\\u\"]",
        b"[\"\\u00A\"]",
        b"[\"\\u00G0\"]",
        b"[\"\\",
        b"[\"\\\"]",
        b"[\"\\uD800\"]",
        b"[\"\\uDC00\\uD800\"]",
        b"[\"\\uD800\\u0041\"]",
        b"[\"new\nline\"]",
        b"[\"\t\"]",
        b"[\"a\x00a\"]",
    ];
    for case in cases {
        let text = String::from_utf8_lossy(case);
        assert_eq!(validation_code(case), Err("INVALID_JSON"), "{text}");
        assert!(!is_json(case), "{text}");
    }
}

// B08
#[test]
fn refuses_invalid_utf8() {
    for bytes in [
        &b"\xFF"[..],
        b"\x80",
        b"\xC3",
        b"\xC0\xAF",
        b"\xE0\x80\x80",
        b"\xED\xA0\x80",
        b"\xF4\xBF\xBF\xBF",
        b"\xF8\x88\x80\x80\x80",
    ] {
        // In the first block of a string, and later.
        for padding in [0, 61, 200] {
            let text = [b"[\"", &vec![b'a'; padding][..], bytes, b"\"]"].concat();
            assert_eq!(validation_code(&text), Err("INVALID_JSON"), "{bytes:x?}");
        }
    }
}

#[test]
fn refuses_control_characters() {
    for control in 0..0x20 {
        for padding in [0, 63, 64, 65, 127, 128, 300] {
            let text = [b"\"", &vec![b'a'; padding][..], &[control], b"aaaa\""].concat();
            assert_eq!(
                validation_code(&text),
                Err("INVALID_JSON"),
                "{control} at {padding}"
            );
        }
    }
}

// Stricter than the grammar, as documented.
#[test]
fn refuses_ambiguous_json() {
    for (text, code) in [
        (r#"{"a":1,"a":2}"#, "DUPLICATE_KEY"),
        (r#"{"a":1,"\u0061":2}"#, "DUPLICATE_KEY"),
        (r#"{"":1,"b":{},"":2}"#, "DUPLICATE_KEY"),
        (r#"[{"/":1,"\/":{"x":1}}]"#, "DUPLICATE_KEY"),
        ("[1e400]", "VALUE_OUT_OF_RANGE"),
        ("[-1e400]", "VALUE_OUT_OF_RANGE"),
        ("[1e308]", "VALUE_OUT_OF_RANGE"),
        ("[-1.1e308]", "VALUE_OUT_OF_RANGE"),
        ("[0.1e309]", "VALUE_OUT_OF_RANGE"),
        ("[1000E+305]", "VALUE_OUT_OF_RANGE"),
        ("1e999999999999999999999", "VALUE_OUT_OF_RANGE"),
    ] {
        assert_eq!(validation_code(text.as_bytes()), Err(code), "{text}");
    }
    for near in [
        "9.99e307", "0.01e309", "1000e304", "0e999", "0.0e999", "1e-999", "-0e+9",
    ] {
        assert_eq!(validation_code(near.as_bytes()), Ok(()), "{near}");
        assert!(is_json(near.as_bytes()), "{near}");
    }
    let long = "9".repeat(310);
    assert_eq!(validation_code(long.as_bytes()), Err("VALUE_OUT_OF_RANGE"));
}

// B05
#[test]
fn limits_depth_without_recursion() {
    let nested = |levels: usize| [vec![b'['; levels], vec![b']'; levels]].concat();
    assert_eq!(validation_code(&nested(64)), Ok(()));
    assert_eq!(validation_code(&nested(65)), Err("TOO_DEEP"));
    assert_eq!(validation_code(&vec![b'['; 100_000]), Err("TOO_DEEP"));
    assert_eq!(
        validation_code("{\"a\":".repeat(100_000).as_bytes()),
        Err("TOO_DEEP")
    );

    let deep = JsonLimits::default().depth(u16::MAX);
    let levels = usize::from(u16::MAX);
    assert!(validate(&nested(levels), deep, &mut Anything).is_ok());
}

// B10
#[test]
fn limits_members_and_elements() {
    let object = |members: usize| {
        let members: Vec<String> = (0..members).map(|at| format!("\"{at}\":0")).collect();
        format!("{{{}}}", members.join(","))
    };
    assert_eq!(validation_code(object(1_024).as_bytes()), Ok(()));
    assert_eq!(
        validation_code(object(1_025).as_bytes()),
        Err("TOO_MANY_ITEMS")
    );

    let array = |elements: usize| format!("[{}]", vec!["0"; elements].join(","));
    assert_eq!(validation_code(array(65_536).as_bytes()), Ok(()));
    assert_eq!(
        validation_code(array(65_537).as_bytes()),
        Err("TOO_MANY_ITEMS")
    );
}

// B10
#[test]
fn limits_values() {
    let rows = |rows: usize| {
        let row = format!("[{}]", vec!["0"; 1_023].join(","));
        format!("[{}]", vec![row; rows].join(","))
    };
    assert_eq!(validation_code(rows(255).as_bytes()), Ok(()));
    assert_eq!(validation_code(rows(256).as_bytes()), Err("TOO_MANY_ITEMS"));
}

// B05, B10
#[test]
fn memory_depends_on_open_containers_only() {
    let object = r#"{"a":1,"b":"x","c":[1,2,3],"d":{"e":null}}"#;
    let body = format!("[{}]", vec![object; 20_000].join(","));
    let read = || assert_eq!(validation_code(body.as_bytes()), Ok(()));
    let measured = allocation_counter::measure(read);
    assert!(measured.bytes_max < 4_096, "{measured:?}");
}

#[test]
fn counts_characters_and_unescapes() {
    struct Last(u64, String);
    impl Visitor for Last {
        type Frame = ();

        fn document(&self) {}
        fn begin(&mut self, _: Container, _: usize) -> Result<(), ScanError> {
            Ok(())
        }
        fn member(&mut self, (): &mut (), _: &[u8]) -> Result<KnownMember, ScanError> {
            Ok(KnownMember::None)
        }
        fn element(&mut self, (): &mut (), _: u32) -> Result<(), ScanError> {
            Ok(())
        }
        fn scalar(&mut self, (): &mut (), scalar: Scalar<'_>) -> Result<(), ScanError> {
            if let Scalar::String(text) = scalar {
                self.0 = text.chars();
                self.1 = String::from_utf8(text.unescaped().into()).unwrap();
            }
            Ok(())
        }
        fn end(&mut self, (): &(), _: usize) -> Result<(), ScanError> {
            Ok(())
        }
        fn locate(&self, refusal: Refusal, _: impl Iterator<Item = ()>) -> Refusal {
            refusal
        }
    }
    for text in [
        r#""""#,
        r#""abc""#,
        r#""a\nb""#,
        r#""\u00e4\ud83d\ude00é😀\/""#,
        r#""\\\"\b\f\r\t""#,
    ] {
        let mut last = Last(0, String::new());
        validate(text.as_bytes(), JsonLimits::default(), &mut last).unwrap();
        let expected: String = serde_json::from_str(text).unwrap();
        assert_eq!(
            (last.0, &last.1),
            (expected.chars().count() as u64, &expected)
        );
    }
}

/// Documents that are JSON or nearly so.
fn nearly_json() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        "[\\[\\]{},:]",
        "[ \t\n\r]{0,2}",
        Just("\"a\":".to_owned()),
        Just("\"\\u0062\":".to_owned()),
        "-?[0-9]{1,3}(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,4})?",
        "\"[ -~é😀]{0,80}\"",
        "\"(\\\\[\"\\\\/bfnrtu]|[0-9a-fD]){0,10}\"",
        Just("true".to_owned()),
        Just("null".to_owned()),
        ".{0,2}",
    ];
    let tokens = prop::collection::vec(token, 0..12);
    tokens.prop_map(|tokens| tokens.concat().into_bytes())
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        (-1e300..1e300).prop_map(serde_json::Value::from),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
            prop::collection::btree_map(any::<String>(), inner, 0..8)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

/// The refusals of documents that serde_json accepts.
fn is_stricter(code: &str) -> bool {
    ["DUPLICATE_KEY", "VALUE_OUT_OF_RANGE", "TOO_DEEP"].contains(&code)
}

fn agrees(bytes: &[u8]) -> Result<(), TestCaseError> {
    match validation_code(bytes) {
        Ok(()) => prop_assert!(is_json(bytes), "taken"),
        Err(code) => prop_assert!(!is_json(bytes) || is_stricter(code), "refused: {}", code),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn agrees_with_serde_json_on_near_misses(bytes in nearly_json()) {
        agrees(&bytes)?;
    }

    #[test]
    fn accepts_the_output_of_serde_json(value in value(), pretty: bool) {
        let text = if pretty {
            serde_json::to_vec_pretty(&value)
        } else {
            serde_json::to_vec(&value)
        };
        prop_assert_eq!(validation_code(&text.unwrap()), Ok(()));
    }

    #[test]
    fn agrees_with_serde_json_on_broken_texts(
        value in value(),
        at: prop::sample::Index,
        byte: u8,
    ) {
        let mut text = serde_json::to_vec(&value).unwrap();
        let at = at.index(text.len());
        text[at] = byte;
        agrees(&text)?;
        text.truncate(at);
        agrees(&text)?;
    }
}
