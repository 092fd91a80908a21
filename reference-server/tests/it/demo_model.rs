//! The trained model of the demo, on pictures that its training has not seen.
//!
//! `tools/demo-model/fixture.py` draws the pictures.

use std::{collections::BTreeMap, io::Cursor};

use base64::{Engine, prelude::BASE64_STANDARD};
use image::{DynamicImage, ImageFormat};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::test_server::TestServer;

const PICTURES: &[u8] = include_bytes!("demo_model/pictures.png");
const QUESTIONS: &str = include_str!("demo_model/questions.json");

/// The least shares of right answers, somewhat below those in the model card.
const SHARES: [(&str, f64); 5] = [
    ("click", 0.9),
    ("colour", 0.9),
    ("count", 0.8),
    ("label", 0.9),
    ("shape", 0.9),
];

#[derive(Deserialize)]
struct Picture {
    top: u32,
    width: u32,
    height: u32,
    questions: Vec<Question>,
}

#[derive(Deserialize)]
struct Question {
    task: String,
    text: String,
    answer: String,
    /// The box to click: left, top, right and bottom.
    target: Option<[u32; 4]>,
}

impl Question {
    fn is_right(&self, answer: &str) -> bool {
        let Some([left, top, right, bottom]) = self.target else {
            return answer == self.answer;
        };
        click(answer).is_some_and(|(x, y)| (left..right).contains(&x) && (top..bottom).contains(&y))
    }
}

fn click(answer: &str) -> Option<(u32, u32)> {
    let (x, y) = answer
        .strip_prefix("Click(")?
        .strip_suffix(')')?
        .split_once(", ")?;
    Some((x.parse().ok()?, y.parse().ok()?))
}

fn data_url(picture: &DynamicImage) -> String {
    let mut png = Cursor::new(Vec::new());
    picture.write_to(&mut png, ImageFormat::Png).unwrap();
    let png = BASE64_STANDARD.encode(png.into_inner());
    format!("data:image/png;base64,{png}")
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_about_pictures_that_it_has_not_seen() {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/demo-model");
    let lines = format!("[[models]]\nname = \"demo\"\nsource = \"{model}\"\n");
    let server = TestServer::with_models(&lines, |_| ()).await;
    let sheet = image::load_from_memory(PICTURES).unwrap();
    let pictures: Vec<Picture> = serde_json::from_str(QUESTIONS).unwrap();
    let mut counts = BTreeMap::<String, (f64, f64)>::new();
    let mut wrong = Vec::new();
    for picture in pictures {
        let url = data_url(&sheet.crop_imm(0, picture.top, picture.width, picture.height));
        for question in picture.questions {
            // Half of the clients send the text first.
            let mut parts = vec![
                json!({"type": "image_url", "image_url": {"url": url}}),
                json!({"type": "text", "text": question.text}),
            ];
            let count = counts.entry(question.task.clone()).or_default();
            if count.1 % 2.0 == 0.0 {
                parts.reverse();
            }
            let body = json!({
                "model": "demo",
                "temperature": 0,
                "messages": [{"role": "user", "content": parts}],
            });
            let answer: Value = server.chat(&body).await.json().await.unwrap();
            let answer = answer["choices"][0]["message"]["content"].as_str().unwrap();
            count.1 += 1.0;
            if question.is_right(answer) {
                count.0 += 1.0;
            } else {
                wrong.push(format!("{}: {answer}", question.text));
            }
        }
    }
    for (task, share) in SHARES {
        let (right, all) = counts[task];
        assert!(all >= 15.0, "{task}: only {all} questions");
        assert!(right / all >= share, "{task}: {right} of {all}; {wrong:#?}");
    }
}
