//! Forms of fields and images.

use std::{
    convert::Infallible,
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use multer::{Field, Multipart};
use stockade_core::Refusal;

use crate::{
    ImageFormat, ImageRules, ValidatedImage,
    json::{Container, Text, Visitor},
    judge::Judge,
    refusal,
};

/// The most fields and files of a form.
const FIELDS: usize = 128;

/// The most bytes of a field that is no file.
const FIELD_BYTES: usize = 64 << 10;

/// Judges a form that was read whole, as the parser that axum's forms use reads it.
pub(crate) fn judge(
    body: &Bytes,
    boundary: String,
    images: &ImageRules,
    judge: &mut Judge<'_>,
) -> Result<(), Refusal> {
    let stream = tokio_stream::once(Ok::<_, Infallible>(body.clone()));
    let form = Form {
        parser: Multipart::new(stream, boundary),
        body,
        read: 0,
        names: Vec::new(),
    };
    let verdict = pin!(form.judge(images, judge));
    // All of the body is there, so the parser has nothing to wait for.
    match verdict.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(verdict) => verdict,
        Poll::Pending => Err(refusal::invalid_form()),
    }
}

struct Form<'a> {
    parser: Multipart<'static>,
    body: &'a Bytes,
    /// Up to where the body's fields are read.
    read: usize,
    /// The names of the fields that are no files.
    names: Vec<String>,
}

impl Form<'_> {
    async fn judge(mut self, images: &ImageRules, judge: &mut Judge<'_>) -> Result<(), Refusal> {
        judge.begin(Container::Object, 0)?;
        let mut fields = 0;
        while let Some(field) = self.parser.next_field().await.map_err(invalid)? {
            fields += 1;
            if fields > FIELDS {
                return Err(refusal::too_many(FIELDS, "fields"));
            }
            let name = field.name().ok_or_else(refusal::nameless_field)?.to_owned();
            match Part::of(&field)? {
                Part::Field => {
                    self.note(&name)?;
                    let bytes = self.content(field).await?;
                    if bytes.len() > FIELD_BYTES {
                        return Err(refusal::too_long(FIELD_BYTES, "bytes"));
                    }
                    let text = Text::plain(&bytes).ok_or_else(refusal::not_utf8)?;
                    judge.field(&name, text)?;
                }
                Part::Image(declared) => {
                    judge.file(&name)?;
                    let bytes = self.content(field).await?;
                    judge.found(ValidatedImage::from_bytes(images, declared, bytes)?)?;
                }
            }
        }
        judge.end(self.body.len())
    }

    /// Of two fields of a name some readers see the first, and some the last.
    fn note(&mut self, name: &str) -> Result<(), Refusal> {
        if self.names.iter().any(|other| other == name) {
            return Err(refusal::duplicate_field());
        }
        self.names.push(name.to_owned());
        Ok(())
    }

    /// The field's content, as a part of the body: the parser has a copy of it, which ends
    /// with this check.
    async fn content(&mut self, mut field: Field<'_>) -> Result<Bytes, Refusal> {
        let Some(copy) = field.chunk().await.map_err(invalid)? else {
            return Ok(Bytes::new());
        };
        if field.chunk().await.map_err(invalid)?.is_some() {
            return Err(refusal::invalid_form());
        }
        let rest = &self.body[self.read..];
        let begin = memchr::memmem::find(rest, &copy).ok_or_else(refusal::invalid_form)?;
        let begin = self.read + begin;
        self.read = begin + copy.len();
        Ok(self.body.slice(begin..self.read))
    }
}

/// What a part of a form is.
enum Part {
    Field,
    /// An image, of the type that it is declared as, if any.
    Image(Option<ImageFormat>),
}

impl Part {
    fn of(field: &Field<'_>) -> Result<Self, Refusal> {
        let media_type = field.content_type().map(|mime| mime.essence_str());
        match media_type {
            None | Some("text/plain") if field.file_name().is_none() => Ok(Self::Field),
            None | Some("application/octet-stream") => Ok(Self::Image(None)),
            Some(media_type) => match ImageFormat::from_media_type(media_type.as_bytes()) {
                Some(format) => Ok(Self::Image(Some(format))),
                None => Err(refusal::unsupported()),
            },
        }
    }
}

fn invalid(_: multer::Error) -> Refusal {
    refusal::invalid_form()
}
