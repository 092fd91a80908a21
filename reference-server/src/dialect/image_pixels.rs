//! `mm_processor_kwargs`, in which vLLM takes the sizes of images.

use serde_json::{Map, Value};
use stockade_core::refusal::Refusal;

use super::{refusals::invalid, request::DialectRequest, value_kind::ValueKind};

/// The name of the field.
pub(crate) const FIELD: &str = "mm_processor_kwargs";
const MAX: &str = "max_pixels";
const MIN: &str = "min_pixels";

impl DialectRequest {
    /// Reads the sizes of images from the extensions.
    ///
    /// # Errors
    /// Returns a refusal of a value that is no number of pixels, or of an unknown field.
    pub(crate) fn read_image_pixels(&mut self) -> Result<(), Refusal> {
        let extensions = &mut self.chat.extensions;
        let Some(at) = extensions.iter().position(|(name, _)| name == FIELD) else {
            return Ok(());
        };
        let (_, json) = extensions.remove(at);
        let fields: Map<String, Value> = serde_json::from_str(json.get()).map_err(|_| {
            invalid(
                FIELD,
                "it must be an object such as {\"max_pixels\": 1003520}",
            )
        })?;
        for (name, value) in &fields {
            let pixels = &mut self.chat.image_pixels;
            let known = match name.as_str() {
                MAX => &mut pixels.max,
                MIN => &mut pixels.min,
                _ => {
                    let kind = match value {
                        Value::Null => ValueKind::Null,
                        _ => ValueKind::Other,
                    };
                    self.unknown
                        .handle(name, kind, FIELD, [MAX, MIN].into_iter())?;
                    continue;
                }
            };
            if value.is_null() {
                continue;
            }
            let number = value.as_u64().filter(|pixels| *pixels > 0);
            let refused = || invalid(format!("{FIELD}.{name}"), "it must be a number of pixels");
            *known = Some(number.ok_or_else(refused)?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        chat::ImagePixels,
        config::UnknownFields,
        dialect::{ChatLimits, Dialect, ReadContext, response::ResponseHead},
    };

    fn read(
        dialect: Dialect,
        kwargs: &str,
        policy: UnknownFields,
    ) -> Result<DialectRequest, Refusal> {
        let text = format!(
            r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"a"}}],
                "mm_processor_kwargs":{kwargs}}}"#
        );
        let text = match dialect {
            Dialect::Responses => text
                .replace("messages", "input")
                .replace("max_tokens", "max_output_tokens"),
            _ => text,
        };
        let limits = |_: &str| {
            Ok(ChatLimits {
                default_max_tokens: 256,
                max_tokens: 1_000,
            })
        };
        let context = ReadContext {
            limits: &limits,
            unknown_fields: policy,
            head: ResponseHead::for_tests(),
        };
        let mut request = dialect.read(text.as_bytes(), context)?;
        request.read_image_pixels()?;
        Ok(request)
    }

    #[test]
    fn all_dialects_take_sizes() {
        for dialect in [Dialect::Chat, Dialect::Responses, Dialect::Messages] {
            let kwargs = r#"{"max_pixels":1003520,"min_pixels":null}"#;
            let request = read(dialect, kwargs, UnknownFields::Refuse).ok().unwrap();
            let expected = ImagePixels {
                min: None,
                max: Some(1_003_520),
            };
            assert_eq!(request.chat.image_pixels, expected, "{dialect:?}");
            assert!(request.chat.extensions.is_empty());
        }
    }

    #[test]
    fn other_values_are_refused() {
        for (kwargs, param) in [
            ("7", "mm_processor_kwargs"),
            (r#"{"max_pixels":"7"}"#, "mm_processor_kwargs.max_pixels"),
            (r#"{"min_pixels":0}"#, "mm_processor_kwargs.min_pixels"),
            (r#"{"max_pixels":-1}"#, "mm_processor_kwargs.max_pixels"),
            (r#"{"max_pixel":1}"#, "mm_processor_kwargs.max_pixel"),
            (r#"{"fps":1}"#, "mm_processor_kwargs.fps"),
        ] {
            let refusal = read(Dialect::Chat, kwargs, UnknownFields::Refuse)
                .err()
                .unwrap();
            assert_eq!(refusal.param(), Some(param), "{}", refusal.message());
        }
    }

    #[test]
    fn unknown_fields_can_be_ignored() {
        let kwargs = r#"{"fps":1,"max_pixels":50000}"#;
        let request = read(Dialect::Chat, kwargs, UnknownFields::Ignore)
            .ok()
            .unwrap();
        let header = request.unknown.header().unwrap();
        assert_eq!(header, "mm_processor_kwargs.fps");
        assert_eq!(request.chat.image_pixels.max, Some(50_000));
    }
}
