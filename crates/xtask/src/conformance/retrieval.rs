//! Retrieval, measured by an example of the crate `ask`, which this crate does not link.

use anyhow::Result;
use std::path::PathBuf;

/// On what.
#[derive(clap::Args)]
pub struct Options {
    /// A folder of CVE records 5.x, such as a checkout of cisagov/vulnrichment.
    #[arg(long)]
    cve: PathBuf,
    /// Folders of GHSA records as OSV; may be given several times.
    #[arg(long, required = true)]
    ghsa: Vec<PathBuf>,
    /// A folder of MiniLM: `model.safetensors`, `config.json`, `vocab.txt`.
    #[arg(long)]
    model: Option<PathBuf>,
    /// How many questions the model re-ranks; it is slow.
    #[arg(long, default_value_t = 200)]
    sample: usize,
}

/// Runs it.
pub fn run(options: &Options) -> Result<()> {
    let mut arguments: Vec<String> = ["run", "--quiet", "--package", "bartizan-ask"]
        .map(str::to_owned)
        .to_vec();
    if options.model.is_some() {
        arguments.extend(["--features".to_owned(), "rerank".to_owned()]);
    }
    arguments.extend(["--example", "retrieval", "--"].map(str::to_owned));
    let folders = std::iter::once(&options.cve).chain(&options.ghsa);
    arguments.extend(folders.map(|f| f.display().to_string()));
    if let Some(model) = &options.model {
        let sample = options.sample.to_string();
        arguments.extend(["--model".to_owned(), model.display().to_string()]);
        arguments.extend(["--sample".to_owned(), sample]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    crate::tree::cargo(&arguments)
}
