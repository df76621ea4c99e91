//! Vectors by an OpenAI-compatible endpoint: what it is sent, and what of its answer is taken. The
//! connection is whoever's has one.

use super::{Embedding, normalise, table::MAX_DIMENSIONS};
use crate::AskError;
use serde::Deserialize;
use serde_json::json;
use std::sync::OnceLock;

/// Texts of one request.
pub const BATCH: usize = 32;
/// Characters of one text; what is behind them is not looked at.
const EACH: usize = 2_000;
/// Bytes of one answer: more than any that is taken.
pub const MAX_ANSWER: usize = 8 << 20;

/// Who carries requests to the endpoint.
pub trait Post: Send + Sync {
    /// Sends a JSON body, gives the answer's. An error is told to whoever asks, so it quotes nothing.
    fn post(&self, body: &serde_json::Value) -> Result<Vec<u8>, String>;
}

/// The embedding.
pub struct EndpointEmbedding {
    model: String,
    connection: Box<dyn Post>,
    dimensions: OnceLock<usize>,
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    index: usize,
    embedding: Vec<f32>,
}

impl EndpointEmbedding {
    /// By this model; nothing is asked yet.
    pub fn new(model: &str, connection: Box<dyn Post>) -> Self {
        Self {
            model: model.to_owned(),
            connection,
            dimensions: OnceLock::new(),
        }
    }

    fn ask(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, AskError> {
        let body = json!({"model": self.model, "input": texts, "encoding_format": "float"});
        let failed = |why| AskError::Model(format!("the endpoint of vectors failed ({why})"));
        let answer = self.connection.post(&body).map_err(failed)?;
        let vectors = read(&answer, texts.len()).map_err(failed)?;
        let length = vectors.first().map_or(0, Vec::len);
        let known = *self.dimensions.get_or_init(|| length);
        if known != length {
            return Err(failed(format!(
                "its vectors had {known} numbers, and now have {length}"
            )));
        }
        Ok(vectors)
    }
}

/// The vectors of an answer to so many texts, in their order, of one length, and scaled to 1.
pub fn read(bytes: &[u8], count: usize) -> Result<Vec<Vec<f32>>, String> {
    if bytes.len() > MAX_ANSWER {
        return Err("it answered too much".to_owned());
    }
    let answer: Answer =
        serde_json::from_slice(bytes).map_err(|_| "its answer is no list of vectors".to_owned())?;
    if answer.data.len() != count {
        return Err(format!(
            "{} vectors came for {count} texts",
            answer.data.len()
        ));
    }
    let mut vectors: Vec<Vec<f32>> = vec![Vec::new(); count];
    let length = answer.data.first().map_or(0, |item| item.embedding.len());
    for item in answer.data {
        let mut vector = item.embedding;
        if vector.is_empty() || vector.len() != length || length > MAX_DIMENSIONS {
            return Err("its vectors have no one usable length".to_owned());
        }
        if !vector.iter().all(|v| v.is_finite()) {
            return Err("a vector has what is no number".to_owned());
        }
        let long = normalise(&mut vector);
        if !long.is_finite() || long <= 1e-9 {
            return Err("a vector has no direction".to_owned());
        }
        match vectors.get_mut(item.index) {
            Some(place) if place.is_empty() => *place = vector,
            _ => return Err("its vectors are not numbered as the texts are".to_owned()),
        }
    }
    Ok(vectors)
}

impl Embedding for EndpointEmbedding {
    fn name(&self) -> String {
        format!("endpoint {}", self.model)
    }

    fn dimensions(&self) -> Result<usize, AskError> {
        if let Some(known) = self.dimensions.get() {
            return Ok(*known);
        }
        let vectors = self.ask(&["vulnerability".to_owned()])?;
        Ok(vectors.first().map_or(0, Vec::len))
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, AskError> {
        let mut vectors = vec![Vec::new(); texts.len()];
        let spoken: Vec<(usize, String)> = texts
            .iter()
            .enumerate()
            .filter(|(_, text)| text.chars().any(char::is_alphanumeric))
            .map(|(at, text)| (at, text.chars().take(EACH).collect()))
            .collect();
        for some in spoken.chunks(BATCH) {
            let batch: Vec<String> = some.iter().map(|(_, text)| text.clone()).collect();
            for ((at, _), vector) in some.iter().zip(self.ask(&batch)?) {
                if let Some(place) = vectors.get_mut(*at) {
                    *place = vector;
                }
            }
        }
        // Where there are no words there is no direction.
        if vectors.iter().any(Vec::is_empty) {
            let length = self.dimensions()?;
            for vector in vectors.iter_mut().filter(|v| v.is_empty()) {
                *vector = vec![0.0; length];
            }
        }
        Ok(vectors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn only_a_whole_answer_is_taken() {
        let item = |index: usize, embedding: &str| {
            format!(r#"{{"object":"embedding","index":{index},"embedding":{embedding}}}"#)
        };
        let answer = |items: &[String]| {
            format!(
                r#"{{"object":"list","data":[{}],"model":"m"}}"#,
                items.join(",")
            )
        };
        // In any order, and scaled.
        let good = answer(&[item(1, "[0,2]"), item(0, "[3,4]")]);
        assert_eq!(
            read(good.as_bytes(), 2).unwrap(),
            [vec![0.6, 0.8], vec![0.0, 1.0]]
        );
        let long = format!("[{}1]", "1,".repeat(MAX_DIMENSIONS));
        for bad in [
            "{}".to_owned(),
            "not json".to_owned(),
            answer(&[item(0, "[1,0]")]),
            answer(&[item(0, "[1,0]"), item(0, "[1,0]")]),
            answer(&[item(0, "[1,0]"), item(2, "[1,0]")]),
            answer(&[item(0, "[1,0]"), item(1, "[1,0,0]")]),
            answer(&[item(0, "[]"), item(1, "[]")]),
            answer(&[item(0, "[0,0]"), item(1, "[1,0]")]),
            answer(&[item(0, "[1e300,0]"), item(1, "[1,0]")]),
            answer(&[item(0, "[3e38,3e38]"), item(1, "[1,0]")]),
            answer(&[item(0, "[null,0]"), item(1, "[1,0]")]),
            answer(&[item(0, &long), item(1, &long)]),
            " ".repeat(MAX_ANSWER + 1),
        ] {
            assert!(read(bad.as_bytes(), 2).is_err(), "{:.200}", bad);
        }
    }

    /// Answers with vectors of a length that may change; keeps how many texts came.
    struct Fake {
        length: Mutex<usize>,
        batches: Mutex<Vec<usize>>,
    }

    impl Post for &'static Fake {
        fn post(&self, body: &serde_json::Value) -> Result<Vec<u8>, String> {
            let texts = body["input"].as_array().unwrap();
            assert!(
                texts
                    .iter()
                    .all(|t| t.as_str().unwrap().chars().count() <= EACH)
            );
            self.batches.lock().unwrap().push(texts.len());
            let vector = vec![1.0; *self.length.lock().unwrap()];
            let data: Vec<_> = (0..texts.len())
                .map(|index| json!({"index": index, "embedding": vector}))
                .collect();
            Ok(json!({ "data": data }).to_string().into_bytes())
        }
    }

    #[test]
    fn texts_go_in_batches_and_a_length_that_changes_is_refused() {
        let fake: &'static Fake = Box::leak(Box::new(Fake {
            length: Mutex::new(4),
            batches: Mutex::default(),
        }));
        let embedding = EndpointEmbedding::new("m", Box::new(fake));
        let long = "word ".repeat(1_000);
        let mut texts = vec!["word"; BATCH + 1];
        texts.push(&long);
        texts.push(" - ");
        let vectors = embedding.embed(&texts).unwrap();
        assert_eq!(*fake.batches.lock().unwrap(), [BATCH, 2]);
        assert_eq!(vectors.len(), BATCH + 3);
        assert_eq!(vectors.last().unwrap(), &[0.0; 4]);
        assert_eq!(embedding.dimensions().unwrap(), 4);
        *fake.length.lock().unwrap() = 5;
        let error = embedding.embed(&["word"]).unwrap_err().to_string();
        assert!(error.contains("had 4 numbers, and now have 5"), "{error}");
    }
}
