//! MiniLM, a small BERT (six layers, 384 wide), read from a folder with `model.safetensors`,
//! `config.json` and `vocab.txt`. Question and record are each one vector; their likeness counts.

use super::{Rerank, WordPiece};
use crate::AskError;
use crate::vectors::dot;
use candle_core::{D, DType, Device, Tensor};
use candle_nn::{Embedding, LayerNorm, Linear, Module, VarBuilder, ops::softmax};
use serde::Deserialize;
use std::fs;
use std::path::Path;

/// Longer texts are cut: the model was made for this many pieces.
const MOST: usize = 192;
/// A folder with a larger model is refused.
const MAX_MODEL: u64 = 1 << 30;

#[derive(Deserialize)]
struct Config {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    vocab_size: usize,
    max_position_embeddings: usize,
    type_vocab_size: usize,
    layer_norm_eps: f64,
}

struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    output_norm: LayerNorm,
    inner: Linear,
    outer: Linear,
    outer_norm: LayerNorm,
}

/// The model.
pub struct MiniLm {
    words: WordPiece,
    word: Embedding,
    position: Embedding,
    kind: Embedding,
    norm: LayerNorm,
    layers: Vec<Layer>,
    heads: usize,
}

fn failed(error: impl std::fmt::Display) -> AskError {
    AskError::Model(format!("MiniLM: {error}"))
}

impl MiniLm {
    /// Of a folder.
    pub fn open(folder: &Path) -> Result<Self, AskError> {
        let config: Config =
            serde_json::from_slice(&fs::read(folder.join("config.json"))?).map_err(failed)?;
        if config.num_hidden_layers > 48 || config.num_attention_heads == 0 {
            return Err(failed("config.json describes no small BERT"));
        }
        let words = WordPiece::read(&fs::read_to_string(folder.join("vocab.txt"))?)?;
        let model = folder.join("model.safetensors");
        let size = fs::metadata(&model)?.len();
        if size > MAX_MODEL {
            return Err(failed(format!("{size} bytes are more than {MAX_MODEL}")));
        }
        let weights = fs::read(model)?;
        let all = VarBuilder::from_buffered_safetensors(weights, DType::F32, &Device::Cpu)
            .map_err(failed)?;
        Self::of(words, &config, &all).map_err(failed)
    }

    fn of(words: WordPiece, config: &Config, all: &VarBuilder<'_>) -> candle_core::Result<Self> {
        let wide = config.hidden_size;
        let norm = |at: VarBuilder<'_>| candle_nn::layer_norm(wide, config.layer_norm_eps, at);
        let layer = |i: usize| -> candle_core::Result<Layer> {
            let at = all.pp(format!("encoder.layer.{i}"));
            let own = at.pp("attention.self");
            Ok(Layer {
                query: candle_nn::linear(wide, wide, own.pp("query"))?,
                key: candle_nn::linear(wide, wide, own.pp("key"))?,
                value: candle_nn::linear(wide, wide, own.pp("value"))?,
                output: candle_nn::linear(wide, wide, at.pp("attention.output.dense"))?,
                output_norm: norm(at.pp("attention.output.LayerNorm"))?,
                inner: candle_nn::linear(
                    wide,
                    config.intermediate_size,
                    at.pp("intermediate.dense"),
                )?,
                outer: candle_nn::linear(config.intermediate_size, wide, at.pp("output.dense"))?,
                outer_norm: norm(at.pp("output.LayerNorm"))?,
            })
        };
        let at = all.pp("embeddings");
        Ok(Self {
            words,
            word: candle_nn::embedding(config.vocab_size, wide, at.pp("word_embeddings"))?,
            position: candle_nn::embedding(
                config.max_position_embeddings,
                wide,
                at.pp("position_embeddings"),
            )?,
            kind: candle_nn::embedding(
                config.type_vocab_size,
                wide,
                at.pp("token_type_embeddings"),
            )?,
            norm: norm(at.pp("LayerNorm"))?,
            layers: (0..config.num_hidden_layers)
                .map(layer)
                .collect::<Result<_, _>>()?,
            heads: config.num_attention_heads,
        })
    }

    /// One text's vector of length one.
    fn vector(&self, text: &str) -> candle_core::Result<Vec<f32>> {
        let ids = self.words.encode(text, MOST);
        let n = ids.len();
        let ids = Tensor::new(ids.as_slice(), &Device::Cpu)?;
        let positions = Tensor::arange(0u32, n as u32, &Device::Cpu)?;
        let kinds = Tensor::zeros(n, DType::U32, &Device::Cpu)?;
        let sum = ((self.word.forward(&ids)? + self.position.forward(&positions)?)?
            + self.kind.forward(&kinds)?)?;
        let mut x = self.norm.forward(&sum)?;
        for layer in &self.layers {
            x = layer.forward(&x, self.heads)?;
        }
        let mean = x.mean(0)?;
        let length = mean.sqr()?.sum_all()?.sqrt()?;
        mean.broadcast_div(&length)?.to_vec1()
    }
}

impl Layer {
    fn forward(&self, x: &Tensor, heads: usize) -> candle_core::Result<Tensor> {
        let (n, wide) = x.dims2()?;
        let each = wide / heads;
        let split = |t: Tensor| t.reshape((n, heads, each))?.transpose(0, 1)?.contiguous();
        let query = split(self.query.forward(x)?)?;
        let key = split(self.key.forward(x)?)?;
        let value = split(self.value.forward(x)?)?;
        let scores = (query.matmul(&key.t()?.contiguous()?)? / (each as f64).sqrt())?;
        let seen = softmax(&scores, D::Minus1)?.matmul(&value)?;
        let seen = seen.transpose(0, 1)?.contiguous()?.reshape((n, wide))?;
        let x = self
            .output_norm
            .forward(&(self.output.forward(&seen)? + x)?)?;
        let inner = self.inner.forward(&x)?.gelu_erf()?;
        self.outer_norm
            .forward(&(self.outer.forward(&inner)? + &x)?)
    }
}

impl Rerank for MiniLm {
    fn score(&self, question: &str, texts: &[&str]) -> Result<Vec<f32>, AskError> {
        let asked = self.vector(question).map_err(failed)?;
        texts
            .iter()
            .map(|t| Ok(dot(&asked, &self.vector(t).map_err(failed)?)))
            .collect()
    }
}
