//! The start and the end of a request body: where a client writes short fields before or after a
//! long message.

use memchr::memmem;

const LENGTH: usize = 512;

/// The first and the last bytes of a body.
#[derive(Debug, Default)]
pub(crate) struct Edges {
    start: Vec<u8>,
    end: Vec<u8>,
}

impl Edges {
    /// Adds the next bytes of the body.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let missing = LENGTH.saturating_sub(self.start.len());
        let (start, rest) = bytes.split_at(missing.min(bytes.len()));
        self.start.extend_from_slice(start);
        let rest = &rest[rest.len().saturating_sub(LENGTH)..];
        let surplus = (self.end.len() + rest.len()).saturating_sub(LENGTH);
        self.end.drain(..surplus);
        self.end.extend_from_slice(rest);
    }

    /// The text of a number, `true` or `false` in this field.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let field = format!("\"{name}\":");
        [&self.start, &self.end].into_iter().find_map(|edge| {
            let at = memmem::find(edge, field.as_bytes())? + field.len();
            let text = edge[at..].trim_ascii_start();
            let length = text.iter().position(|byte| !byte.is_ascii_alphanumeric());
            std::str::from_utf8(&text[..length?]).ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(body: &str, piece: usize) -> Edges {
        let mut edges = Edges::default();
        body.as_bytes()
            .chunks(piece)
            .for_each(|bytes| edges.push(bytes));
        edges
    }

    #[test]
    fn finds_fields_at_both_ends_however_the_body_arrives() {
        let long = "x".repeat(10_000);
        for body in [
            r#"{"stream": true,"max_tokens":32}"#.to_owned(),
            format!(r#"{{"stream":true,"max_tokens":32,"text":"{long}"}}"#),
            format!(r#"{{"text":"{long}","stream": true, "max_tokens": 32}}"#),
        ] {
            for piece in [1, 7, 600, 20_000] {
                let edges = edges(&body, piece);
                assert_eq!(edges.value("stream"), Some("true"), "{piece}: {body}");
                assert_eq!(edges.value("max_tokens"), Some("32"), "{piece}: {body}");
                assert_eq!(edges.value("seed"), None, "{piece}: {body}");
            }
        }
    }
}
