//! Reports what the model sees of the images in headers of the response.

use futures_util::{FutureExt, StreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{
    backend::Generation,
    chat::{Event, ImageReport, ImageSize},
};

/// The sizes of the images that the model sees, in their order.
const SIZE: HeaderName = HeaderName::from_static("x-stockade-image-size");
/// The number of older images that it does not see.
const DROPPED: HeaderName = HeaderName::from_static("x-stockade-dropped-images");
/// Set if coordinates in the answer are those of the last image as it was sent.
const COORDINATES: HeaderName = HeaderName::from_static("x-stockade-coordinates");

/// Reads the report of a generation without waiting: it is the first event, and ready at once.
pub(super) fn peek(mut generation: Generation) -> (Option<ImageReport>, Generation) {
    let Some(first) = generation.next().now_or_never() else {
        return (None, generation);
    };
    let report = match &first {
        Some(Ok(Event::Images(report))) => Some(report.clone()),
        _ => None,
    };
    (report, stream::iter(first).chain(generation).boxed())
}

/// Adds the headers.
pub(super) fn insert(report: &ImageReport, headers: &mut HeaderMap) {
    let sizes: Vec<String> = report.sizes.iter().map(ImageSize::to_string).collect();
    if let Ok(sizes) = HeaderValue::try_from(sizes.join(", ")) {
        headers.insert(SIZE, sizes);
    }
    if report.dropped > 0 {
        headers.insert(DROPPED, report.dropped.into());
    }
    if report.maps_coordinates {
        headers.insert(COORDINATES, HeaderValue::from_static("original"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events() -> Vec<Event> {
        let report = ImageReport {
            dropped: 2,
            ..ImageReport::default()
        };
        vec![Event::Images(report), Event::text("a")]
    }

    #[tokio::test]
    async fn the_generation_keeps_its_first_event() {
        let generation = stream::iter(events().into_iter().map(Ok)).boxed();
        let (report, generation) = peek(generation);
        assert_eq!(report.unwrap().dropped, 2);
        let rest: Vec<_> = generation.map(Result::unwrap).collect().await;
        assert_eq!(rest, events());
    }

    #[tokio::test]
    async fn a_generation_without_images_is_not_awaited() {
        let (report, _) = peek(stream::pending().boxed());
        assert_eq!(report, None);
        let (report, mut generation) = peek(stream::iter([Ok(Event::text("a"))]).boxed());
        assert_eq!(report, None);
        assert_eq!(generation.next().await, Some(Ok(Event::text("a"))));
    }
}
