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
    config.max_image_side = 112;
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
