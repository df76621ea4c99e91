//! The arguments of `bartizan ask`, and those by which a chat endpoint is named.

use super::endpoint::{Endpoint, Vectors};
use crate::arguments::{Access, Output, Place};
use anyhow::{Context, Result};
use bartizan_ask::vectors::{Embedding, EndpointEmbedding};
use clap::Args;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

#[derive(Args)]
#[command(after_help = "Examples:\n  \
              bartizan ask \"critical openssl vulnerabilities since 2024-03 that are exploited\"\n  \
              bartizan ask what is CVE-2024-3094 --server https://bartizan.example.com\n  \
              bartizan ask --records vulnrichment --index ./cve-index \"path traversal in archive tools\"\n  \
              bartizan ask --data /var/lib/bartizan \"which of my hosts are affected by CVE-2024-3094?\"\n  \
              bartizan ask --endpoint http://127.0.0.1:11434/v1 --model qwen \"are we affected by xz?\"\n\n\
              Exit codes: 0 answered; 1 no record speaks about it; 2 the work could not be done.\n\
              Without an endpoint the answer is made of the records' own words. Either way each\n\
              sentence cites records, and one that they do not carry is left out.")]
pub struct Ask {
    /// The question, in plain words
    #[arg(required = true, value_name = "QUESTION")]
    pub question: Vec<String>,
    #[command(flatten)]
    pub place: Place,
    /// The index's folder; default: ask in the data folder, where a server keeps its own
    #[arg(long, value_name = "FOLDER")]
    pub index: Option<PathBuf>,
    /// Build the index from these records, CVE 5.x or OSV as JSON; repeatable
    #[arg(long, value_name = "FOLDER")]
    pub records: Vec<PathBuf>,
    /// Build it again where there is one
    #[arg(long)]
    pub rebuild: bool,
    /// Put the best in order by MiniLM in this folder (cargo feature rerank)
    #[arg(long, value_name = "FOLDER")]
    pub rerank: Option<PathBuf>,
    #[command(flatten)]
    pub endpoint: ChatArgs,
    #[command(flatten)]
    pub embedding: EmbeddingArgs,
    /// Address of a server to ask
    #[arg(long, env = "BARTIZAN_SERVER")]
    pub server: Option<String>,
    #[command(flatten)]
    pub access: Access,
    #[arg(long, value_enum, default_value_t)]
    pub format: Output,
}

/// An OpenAI-compatible chat endpoint.
#[derive(Args, Clone)]
pub struct ChatArgs {
    /// OpenAI-compatible endpoint that words answers, such as http://127.0.0.1:11434/v1; records
    /// and your matches of them are sent to it
    #[arg(
        long = "chat-endpoint",
        alias = "endpoint",
        env = "BARTIZAN_CHAT_ENDPOINT",
        value_name = "URL"
    )]
    pub endpoint: Option<String>,
    /// Its model
    #[arg(
        long = "chat-model",
        alias = "model",
        env = "BARTIZAN_CHAT_MODEL",
        default_value = "default",
        value_name = "NAME"
    )]
    pub model: String,
    /// File with its key
    #[arg(long = "chat-key-file", value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Seconds that an answer may take
    #[arg(long = "chat-timeout", default_value_t = 60, value_name = "SECONDS", hide_short_help = true,
          value_parser = clap::value_parser!(u32).range(1..=110))]
    pub timeout: u32,
}

impl ChatArgs {
    /// The endpoint, where there is one; connects to nothing yet.
    pub fn open(&self) -> Result<Option<Endpoint>> {
        let Some(url) = &self.endpoint else {
            return Ok(None);
        };
        let key = key(self.key_file.as_deref())?;
        let timeout = Duration::from_secs(u64::from(self.timeout));
        Endpoint::new(url, &self.model, key, timeout).map(Some)
    }
}

/// An OpenAI-compatible endpoint of vectors.
#[derive(Args, Clone)]
pub struct EmbeddingArgs {
    /// OpenAI-compatible endpoint whose vectors records are found by, such as
    /// http://127.0.0.1:11434/v1, instead of those that are learned from the records; all records
    /// and each question are sent to it
    #[arg(long, env = "BARTIZAN_EMBEDDING_ENDPOINT", value_name = "URL")]
    embedding_endpoint: Option<String>,
    /// Its model; another one has the index built again
    #[arg(
        long,
        env = "BARTIZAN_EMBEDDING_MODEL",
        default_value = "default",
        value_name = "NAME"
    )]
    embedding_model: String,
    /// File with its key
    #[arg(long, value_name = "FILE")]
    embedding_key_file: Option<PathBuf>,
    /// Seconds that its answer to one batch of texts may take
    #[arg(long, default_value_t = 30, value_name = "SECONDS", hide_short_help = true,
          value_parser = clap::value_parser!(u32).range(1..=110))]
    embedding_timeout: u32,
}

impl EmbeddingArgs {
    /// The embedding, where an endpoint is named; connects to nothing yet.
    pub fn open(&self) -> Result<Option<Arc<dyn Embedding>>> {
        let Some(url) = &self.embedding_endpoint else {
            return Ok(None);
        };
        let key = key(self.embedding_key_file.as_deref())?;
        let timeout = Duration::from_secs(u64::from(self.embedding_timeout));
        let connection = Vectors::new(url, key, timeout)?;
        let embedding = EndpointEmbedding::new(&self.embedding_model, Box::new(connection));
        Ok(Some(Arc::new(embedding)))
    }
}

fn key(file: Option<&Path>) -> Result<Option<String>> {
    file.map(|path| {
        std::fs::read_to_string(path)
            .map(|key| key.trim().to_owned())
            .with_context(|| format!("cannot read the key in {}", path.display()))
    })
    .transpose()
}
