use super::*;

#[tokio::test]
async fn answers_depend_on_the_image() {
    let backend = shared().await;
    let look = |seed| ask(&backend, chat("Look", &[picture(224, 168, seed)], 12));
    let first = look(1).await.unwrap();
    let other = look(2).await.unwrap();
    assert_ne!(first.text, other.text);
    assert_eq!(first, look(1).await.unwrap());
}

#[tokio::test]
async fn usage_counts_image_tokens() {
    let backend = shared().await;
    let text = ask(&backend, chat("Look", &[], 4)).await.unwrap().usage;
    let image = chat("Look", &[picture(224, 168, 1)], 4);
    let image = ask(&backend, image).await.unwrap().usage;
    // 8 × 6 tiles, and a start and an end token.
    assert_eq!(image.prompt_tokens, text.prompt_tokens + 48 + 2);
    assert_eq!(image.completion_tokens, 4);
}

#[tokio::test]
async fn accepts_images_of_unusual_sizes() {
    let backend = shared().await;
    for (width, height) in [(1, 1), (27, 300), (300, 5), (2000, 3)] {
        let request = chat("Look", &[picture(width, height, 1)], 3);
        let answer = ask(&backend, request).await;
        assert!(answer.is_ok(), "{width} x {height}: {answer:?}");
    }
}

#[tokio::test]
async fn downscales_large_images() {
    let dir = vision_model();
    let mut config = config(dir.path());
    config.max_pixels = Some(10 * 784);
    let backend = ready(config).await;
    let text = ask(&backend, chat("Look", &[], 3)).await.unwrap().usage;
    let image = chat("Look", &[picture(448, 224, 1)], 3);
    let image = ask(&backend, image).await.unwrap().usage;
    assert_eq!(image.prompt_tokens, text.prompt_tokens + 4 * 2 + 2);
}

#[tokio::test]
async fn sees_an_image_in_an_earlier_message() {
    let backend = shared().await;
    let look = |seed| {
        let mut request = chat("Look", &[picture(112, 112, seed)], 12);
        request
            .messages
            .push(Message::text(Role::Assistant, "I see"));
        request.messages.push(user("And now?", &[]));
        ask(&backend, request)
    };
    assert_ne!(look(1).await.unwrap().text, look(2).await.unwrap().text);
}

/// The messages as the model sees them, with `[A]`, `[B]`, … in place of the images.
async fn shown(backend: &MistralRs, request: &ChatRequest) -> String {
    let engine = backend.engine().unwrap();
    let info = &engine.info;
    let prompt = Prompt::new(request, vec![], info.tool_style, &info.reserved);
    let tokens = with_timeout(engine.tokenize(&prompt)).await.unwrap();
    let mut text = info.tokenizer.decode(&tokens, false).unwrap();
    for name in 'A'..='H' {
        let image = "<|vision_start|><|image_pad|><|vision_end|>";
        text = text.replacen(image, &format!("[{name}]"), 1);
    }
    text
}

/// Not greedy, because the tiny model's likeliest tokens are often the same.
fn seeded(text: &str, images: &[DynamicImage]) -> ChatRequest {
    let mut request = chat(text, images, 32);
    request.sampling.temperature = Some(1.0);
    request.sampling.seed = Some(1);
    request
}

#[tokio::test]
async fn text_and_images_keep_their_order() {
    let backend = shared().await;
    let image = |seed| user("", &[picture(56, 56, seed)]).parts.remove(0);
    let text = |text: &str| Part::Text(text.to_owned());
    let ask = async |parts: Vec<Part>| {
        let mut request = seeded("", &[]);
        request.messages[0].parts = parts;
        let prompt = shown(&backend, &request).await;
        (prompt, super::ask(&backend, request).await.unwrap().text)
    };
    let (between, first) = ask(vec![text("one"), image(1), text("two"), image(2)]).await;
    assert!(between.contains("one[A]two[B]"), "{between}");
    let (behind, second) = ask(vec![image(1), image(2), text("one"), text("two")]).await;
    assert!(behind.contains("[A][B]one\ntwo"), "{behind}");
    assert_ne!(first, second);
    // The images themselves are not exchanged.
    let (_, exchanged) = ask(vec![text("one"), image(2), text("two"), image(1)]).await;
    assert_ne!(first, exchanged);
}

/// The report and the answer of a chat.
async fn look(
    backend: &MistralRs,
    request: ChatRequest,
) -> (Option<ImageReport>, chat::Completion) {
    let completion = ask_all(backend, request).await.unwrap();
    (completion.images.clone(), completion)
}

#[tokio::test]
async fn reports_the_sizes_that_the_model_sees() {
    let backend = shared().await;
    let (report, _) = look(&backend, chat("Look", &[], 2)).await;
    assert_eq!(report, None);
    let images = [picture(230, 180, 1), picture(640, 360, 2)];
    let (report, completion) = look(&backend, chat("Look", &images, 2)).await;
    let report = report.unwrap();
    let sizes: Vec<String> = report.sizes.iter().map(ToString::to_string).collect();
    assert_eq!(sizes, ["224x168", "644x364"]);
    assert_eq!((report.dropped, report.maps_coordinates), (0, false));
    assert_eq!(completion.usage.unwrap().image_tokens, 48 + 23 * 13);

    let mut smaller = chat("Look", &images, 2);
    smaller.image_pixels.max = Some(60_000);
    let (report, _) = look(&backend, smaller).await;
    let sizes: Vec<String> = report
        .unwrap()
        .sizes
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(sizes, ["224x168", "308x168"]);
}

#[tokio::test]
async fn a_request_asks_for_sizes_within_the_limits() {
    let dir = vision_model();
    let mut config = config(dir.path());
    (config.min_pixels, config.max_pixels) = (Some(6_272), Some(100_352));
    let backend = ready(config).await;
    let support = backend.images().unwrap();
    assert_eq!(
        (support.factor, support.max_images),
        (28, quirks::MAX_IMAGES)
    );
    assert_eq!((support.min_pixels, support.max_pixels), (6_272, 100_352));
    let with = |min, max| {
        let mut request = chat("Look", &[picture(112, 112, 1)], 2);
        request.image_pixels = chat::ImagePixels { min, max };
        ask(&backend, request)
    };
    with(Some(6_272), Some(100_352)).await.unwrap();
    for (min, max, field) in [
        (None, Some(100_353), "max_pixels"),
        (None, Some(3_136), "max_pixels"),
        (Some(3_136), None, "min_pixels"),
        (Some(50_176), Some(12_544), "min_pixels"),
    ] {
        let (param, message) = invalid(with(min, max).await);
        assert_eq!(param, format!("mm_processor_kwargs.{field}"), "{message}");
    }
}

#[tokio::test]
async fn sizes_outside_those_of_the_model_prevent_loading() {
    let dir = vision_model();
    let mut config = config(dir.path());
    config.max_pixels = Some(20_000_000);
    let checked = config.check().unwrap_err();
    assert!(checked.contains("set at most 12845056"), "{checked}");
    let backend = MistralRs::start(config);
    let Phase::Failed(reason) = with_timeout(backend.settled()).await else {
        panic!("the model is ready");
    };
    assert!(reason.contains("set at most 12845056"), "{reason}");
}

#[tokio::test]
async fn the_newest_images_are_shown_if_the_operator_permits_it() {
    let dir = vision_model();
    let mut config = config(dir.path());
    config.older_images = OlderImages::Drop;
    let backend = ready(config).await;
    let conversation = |seeds: [u8; 4]| {
        let [first, second, third, fourth] = seeds.map(|seed| picture(56, 56, seed));
        let mut request = seeded("one", &[first, second]);
        request.messages.push(Message::text(Role::Assistant, "ok"));
        request.messages.push(user("two", &[third, fourth]));
        request
    };
    let (report, answer) = look(&backend, conversation([1, 2, 3, 4])).await;
    let report = report.unwrap();
    assert_eq!((report.dropped, report.sizes.len()), (2, 2));

    let mut marked = conversation([1, 2, 3, 4]);
    assert_eq!(older_images::drop_older(&mut marked.messages, 2), 2);
    let prompt = shown(&backend, &marked).await;
    let expected = "[image 1 is no longer shown]\n[image 2 is no longer shown]\none";
    assert!(
        prompt.contains(expected) && prompt.contains("[A][B]two"),
        "{prompt}"
    );

    let (_, same) = look(&backend, conversation([5, 6, 3, 4])).await;
    assert_eq!(same.choices, answer.choices);
    for newer in [[1, 2, 9, 4], [1, 2, 3, 9]] {
        let (_, other) = look(&backend, conversation(newer)).await;
        assert_ne!(other.choices, answer.choices);
    }
    let count = with_timeout(backend.count_tokens(conversation([1, 2, 3, 4])));
    assert_eq!(count.await.unwrap(), answer.usage.unwrap().prompt_tokens);
}

#[tokio::test]
async fn images_that_the_device_cannot_compute_are_refused() {
    let backend = shared().await;
    let mut limits = backend.engine().unwrap().info.images.unwrap();
    limits.chat_tokens = 47;
    let image = image::prepare(picture(224, 168, 1), &limits.sizes).unwrap();
    let pictures = [Picture::new(image, 0)];
    let error = validate::image_tokens(&limits, &pictures).unwrap_err();
    assert!(error.to_string().contains("48 tokens"), "{error}");
}

#[tokio::test]
async fn coordinates_are_those_of_the_original_image() {
    let dir = vision_model();
    let mut config = config(dir.path());
    config.coordinates = Coordinates::Original;
    config.max_pixels = Some(39_200);
    let backend = ready(config).await;
    let (report, _) = look(&backend, chat("Look", &[], 2)).await;
    assert_eq!(report, None);

    // The seed and the grammar are the same, so the model writes the same numbers.
    let schema = r#"{"type":"object","properties":{"x":{"type":"integer","minimum":100,
        "maximum":199},"n":{"type":"integer","minimum":100,"maximum":199}},
        "required":["x","n"],"additionalProperties":false}"#;
    let ask = async |original: Option<u32>| {
        let image = DynamicImage::new_rgb8(original.unwrap_or(280), original.unwrap_or(280) / 2);
        let mut request = chat("Click", &[image], 60);
        request.sampling.temperature = Some(1.0);
        request.sampling.seed = Some(3);
        request.response_format = chat::ResponseFormat::JsonSchema {
            name: "click".to_owned(),
            description: None,
            schema: Some(serde_json::value::RawValue::from_string(schema.to_owned()).unwrap()),
            strict: true,
        };
        let (report, completion) = look(&backend, request).await;
        let report = report.unwrap();
        assert!(report.maps_coordinates);
        assert_eq!(report.sizes[0].width, 280);
        let answer: serde_json::Value = serde_json::from_str(&completion.choices[0].text).unwrap();
        (answer["x"].as_u64().unwrap(), answer["n"].as_u64().unwrap())
    };
    let (x, n) = ask(None).await;
    assert_eq!(ask(Some(560)).await, (2 * x, n));
    assert_eq!(ask(Some(2_800)).await, (10 * x, n));
}
