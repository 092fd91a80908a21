//! Source positions of the nodes of a key file.

use std::ops::Range;

use granit_parser::{Event, Parser, Span, StructureStyle};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::format::KeyFileFormat;

/// A value and its span.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) span: Range<usize>,
    pub(super) kind: Kind,
    /// Written in braces or brackets, with commas between its parts.
    pub(super) inline: bool,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// A scalar, with its text if it is a string.
    Value(Option<String>),
    Map(Vec<Pair>),
    List(Vec<Node>),
}

/// An entry of a map.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) name: String,
    pub(super) key: Range<usize>,
    pub(super) value: Node,
}

impl Node {
    /// Parses a text; `None` when it is malformed.
    pub(super) fn parse(format: KeyFileFormat, text: &str) -> Option<Self> {
        match format {
            KeyFileFormat::Toml => {
                let table = DeTable::parse(text).ok()?;
                let span = table.span();
                Some(Self {
                    kind: Kind::Map(pairs(text, table.get_ref())),
                    span,
                    inline: false,
                })
            }
            // JSON is a subset of YAML, except for escapes that key files do not need.
            KeyFileFormat::Yaml | KeyFileFormat::Json => yaml(text),
        }
    }

    pub(super) fn pair(&self, name: &str) -> Option<&Pair> {
        match &self.kind {
            Kind::Map(pairs) => pairs.iter().find(|pair| pair.name == name),
            _ => None,
        }
    }

    /// Returns the end of the last scalar; the span of a block extends to the next token.
    pub(super) fn end(&self) -> usize {
        let last = match &self.kind {
            _ if self.inline => None,
            Kind::Value(_) => None,
            Kind::Map(pairs) => pairs
                .iter()
                .map(|pair| pair.value.end().max(pair.key.end))
                .max(),
            Kind::List(items) => items.iter().map(Self::end).max(),
        };
        last.unwrap_or(self.span.end)
    }
}

fn pairs(text: &str, table: &DeTable<'_>) -> Vec<Pair> {
    let mut pairs: Vec<_> = table
        .iter()
        .map(|(name, value)| Pair {
            name: name.get_ref().to_string(),
            key: name.span(),
            value: toml_value(text, value),
        })
        .collect();
    pairs.sort_by_key(|pair| pair.key.start);
    pairs
}

fn toml_value(text: &str, value: &Spanned<DeValue<'_>>) -> Node {
    let span = value.span();
    let begins = |bracket| text[span.start..].starts_with(bracket);
    match value.get_ref() {
        DeValue::Table(table) => Node {
            kind: Kind::Map(pairs(text, table)),
            inline: begins('{'),
            span,
        },
        DeValue::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| toml_value(text, item)).collect();
            Node {
                inline: items.iter().all(|item| match item.kind {
                    Kind::Map(_) => item.inline,
                    _ => true,
                }),
                kind: Kind::List(items),
                span,
            }
        }
        value => Node {
            kind: Kind::Value(value.as_str().map(str::to_owned)),
            inline: false,
            span,
        },
    }
}

fn yaml(text: &str) -> Option<Node> {
    let mut events = Parser::new_from_str(text)
        .map_while(Result::ok)
        .filter(|(event, _)| event.is_node() || is_end(event));
    let (event, span) = events.next()?;
    yaml_node(event, span, &mut events)
}

fn is_end(event: &Event<'_>) -> bool {
    matches!(event, Event::SequenceEnd | Event::MappingEnd)
}

fn yaml_node<'i>(
    event: Event<'i>,
    span: Span,
    events: &mut impl Iterator<Item = (Event<'i>, Span)>,
) -> Option<Node> {
    let mut span = span.byte_range()?;
    let (kind, inline) = match event {
        Event::SequenceStart(style, ..) => {
            let mut items = Vec::new();
            loop {
                match events.next()? {
                    (Event::SequenceEnd, end) => {
                        span.end = end.byte_range()?.end;
                        break;
                    }
                    (event, span) => items.push(yaml_node(event, span, events)?),
                }
            }
            (Kind::List(items), style == StructureStyle::Flow)
        }
        Event::MappingStart(style, ..) => {
            let mut pairs = Vec::new();
            loop {
                let key = match events.next()? {
                    (Event::MappingEnd, end) => {
                        span.end = end.byte_range()?.end;
                        break;
                    }
                    (event, span) => yaml_node(event, span, events)?,
                };
                let (event, span) = events.next()?;
                let value = yaml_node(event, span, events)?;
                pairs.push(Pair {
                    name: match key.kind {
                        Kind::Value(Some(name)) => name,
                        _ => return None,
                    },
                    key: key.span,
                    value,
                });
            }
            (Kind::Map(pairs), style == StructureStyle::Flow)
        }
        Event::Scalar(text, ..) => (Kind::Value(Some(text.into_owned())), false),
        _ => (Kind::Value(None), false),
    };
    Some(Node { span, kind, inline })
}
