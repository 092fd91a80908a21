//! Multipart forms of fields and images.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::{BodyDataStream, Full};
use multer::{Field, Multipart};
use stockade_core::refusal::Refusal;

use crate::{
    ImageFormat, ImageRules,
    json::{Container, Text, Visitor},
    media_type, refusal,
    scan_error::ScanError,
    validator::{Frame, Validator},
    work_budget::WorkBudget,
};

/// Maximum number of fields and files of a form.
const FIELDS: usize = 128;

/// Maximum size of a field that is not a file.
const FIELD_BYTES: usize = 64 << 10;

/// Validates a complete form with the parser that axum's forms use.
pub(crate) fn validate(
    headers: &HeaderMap,
    body: &Bytes,
    budget: &WorkBudget,
    validator: &mut Validator<'_>,
) -> Result<(), ScanError> {
    let boundary = media_type::boundary(headers).ok_or_else(refusal::form::invalid_form)?;
    // The parser copies the body and searches it for the boundary.
    budget.spend_bytes(body.len().saturating_mul(2))?;
    let stream = BodyDataStream::new(Full::new(body.clone()));
    let form = FormReader {
        parser: Multipart::new(stream, boundary),
        body,
        read: 0,
        names: Vec::new(),
    };
    let mut root = validator.begin(Container::Object, 0)?;
    let result = match ready_at_once(form.validate(validator, &mut root)) {
        Some(result) => result,
        None => Err(refusal::form::invalid_form().into()),
    };
    result.map_err(|error| match error {
        ScanError::Refused(refusal) => {
            let around = validator.document();
            validator.locate(refusal, [around, root].into_iter()).into()
        }
        ScanError::BudgetExhausted => ScanError::BudgetExhausted,
    })
}

/// Polls a future that never has to wait, since the whole body is in memory.
fn ready_at_once<F>(future: F) -> Option<F::Output>
where
    F: Future,
{
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

struct FormReader<'a> {
    parser: Multipart<'static>,
    body: &'a Bytes,
    /// The end of the last field that was read.
    read: usize,
    /// Names of the fields that are not files.
    names: Vec<String>,
}

impl FormReader<'_> {
    async fn validate<'j>(
        mut self,
        validator: &mut Validator<'j>,
        root: &mut Frame<'j>,
    ) -> Result<(), ScanError> {
        let mut fields = 0;
        while let Some(field) = self.parser.next_field().await.map_err(invalid)? {
            fields += 1;
            if fields > FIELDS {
                return Err(refusal::too_many(FIELDS, "fields").into());
            }
            let name = field
                .name()
                .ok_or_else(refusal::form::nameless_field)?
                .to_owned();
            match Part::of(&field, validator.image_rules())? {
                Part::Field => {
                    self.note(&name)?;
                    let bytes = self.content(field).await?;
                    if bytes.len() > FIELD_BYTES {
                        return Err(refusal::too_long(FIELD_BYTES, "bytes").into());
                    }
                    let text = Text::plain(&bytes).ok_or_else(refusal::form::not_utf8)?;
                    validator.field(root, &name, text)?;
                }
                Part::Image(declared) => {
                    validator.file(root, &name)?;
                    let bytes = self.content(field).await?;
                    validator.image_bytes(declared, bytes)?;
                }
            }
        }
        validator.end(root, self.body.len())
    }

    /// Rejects duplicate names: some readers take the first field, some the last.
    fn note(&mut self, name: &str) -> Result<(), Refusal> {
        if self.names.iter().any(|other| other == name) {
            return Err(refusal::form::duplicate_field());
        }
        self.names.push(name.to_owned());
        Ok(())
    }

    /// Returns the field's content as a slice of the body; the parser's copy ends with this
    /// check.
    async fn content(&mut self, mut field: Field<'_>) -> Result<Bytes, Refusal> {
        let copy = field.chunk().await.map_err(invalid)?.unwrap_or_default();
        if !copy.is_empty() && field.chunk().await.map_err(invalid)?.is_some() {
            return Err(refusal::form::invalid_form());
        }
        // The content begins after the field's header block. A preamble before the first
        // boundary could contain such a block as well; no client sends one.
        const HEAD_END: &[u8] = b"\r\n\r\n";
        let rest = &self.body[self.read..];
        let head = memchr::memmem::find(rest, HEAD_END).ok_or_else(refusal::form::invalid_form)?;
        let begin = head + HEAD_END.len();
        if !rest[begin..].starts_with(&copy) {
            return Err(refusal::form::invalid_form());
        }
        let begin = self.read + begin;
        self.read = begin + copy.len();
        Ok(self.body.slice(begin..self.read))
    }
}

/// The kind of a form part.
enum Part {
    Field,
    /// An image with its declared type, if any.
    Image(Option<ImageFormat>),
}

impl Part {
    fn of(field: &Field<'_>, rules: &ImageRules) -> Result<Self, Refusal> {
        let media_type = field.content_type().map(|mime| mime.essence_str());
        match media_type {
            None | Some("text/plain") if field.file_name().is_none() => Ok(Self::Field),
            None | Some("application/octet-stream") => Ok(Self::Image(None)),
            Some(media_type) => match rules.declared(media_type.as_bytes()) {
                Some(format) => Ok(Self::Image(Some(format))),
                None => Err(refusal::unsupported()),
            },
        }
    }
}

fn invalid(_: multer::Error) -> Refusal {
    refusal::form::invalid_form()
}
