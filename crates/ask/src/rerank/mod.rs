//! Putting the best hits in order by a model that reads question and record.

#[cfg(feature = "rerank")]
mod minilm;
mod wordpiece;

#[cfg(feature = "rerank")]
pub use minilm::MiniLm;
pub use wordpiece::WordPiece;

use crate::AskError;

/// A model that says how well each text answers the question.
pub trait Rerank: Send + Sync {
    /// One number a text, the more the better, -1 to 1.
    fn score(&self, question: &str, texts: &[&str]) -> Result<Vec<f32>, AskError>;
}
