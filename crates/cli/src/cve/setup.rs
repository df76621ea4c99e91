//! From options and a file to sources and a stream.
//!
//! ```toml
//! stream = "kafka://broker:9092/bartizan.cve"   # default: a folder in the data folder
//! kafka-properties = "/etc/bartizan/kafka.properties"
//! keep = "compact"                              # or "delete", the default: what all have read
//! every-minutes = 60
//!
//! [[source]]
//! name = "osv:npm"
//! from = "official"                             # or a path, or an address
//! ```

use super::arguments::{Feeds, Sources, Through};
use super::fetch::HttpFetch;
use super::git;
use crate::admission::Role;
use anyhow::{Context, Result, bail, ensure};
use bartizan_server::sync::Config;
use bartizan_stream::open::{Address, properties};
use bartizan_stream::source::{Fetch, Source};
use bartizan_stream::{Cleanup, Settings, Stream, open};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Minutes between two rounds where nothing is said.
const HOURLY: u32 = 60;
/// The largest configuration.
const MAX_FILE: u64 = 1 << 20;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    stream: Option<String>,
    kafka_properties: Option<PathBuf>,
    keep: Option<Keep>,
    every_minutes: Option<u32>,
    #[serde(default)]
    source: Vec<Entry>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Keep {
    Delete,
    Compact,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    from: String,
}

impl File {
    fn read(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else {
            return Ok(Self::default());
        };
        let what = || format!("cannot use {}", path.display());
        let length = std::fs::metadata(path).with_context(what)?.len();
        ensure!(length <= MAX_FILE, "{} is too large", path.display());
        let text = std::fs::read_to_string(path).with_context(what)?;
        toml::from_str(&text).with_context(what)
    }

    fn sources(&self, more: &[String]) -> Result<Vec<Source>> {
        let mut found = Vec::new();
        for entry in &self.source {
            found.push(Source::new(&entry.name, &entry.from)?);
        }
        for text in more {
            found.push(Source::parse(text)?);
        }
        let mut names: Vec<&str> = found.iter().map(|source| source.name.as_str()).collect();
        names.sort_unstable();
        if let Some([twice, _]) = names.windows(2).find(|pair| pair.first() == pair.last()) {
            bail!("two sources are named {twice}; give them labels, such as {twice}:one");
        }
        Ok(found)
    }

    fn stream(&self, through: &Through, data: &Path) -> Result<Arc<dyn Stream>> {
        let address = match through.stream.as_ref().or(self.stream.as_ref()) {
            Some(text) => Address::parse(text)?,
            None => Address::Folder(data.join("cve/stream")),
        };
        let mut settings = Settings::default();
        let file = through
            .kafka_properties
            .as_ref()
            .or(self.kafka_properties.as_ref());
        if let Some(path) = file {
            settings.kafka = properties(path)?;
        }
        if let Some(Keep::Compact) = self.keep {
            settings.cleanup = Cleanup::Compact;
        }
        open(&address, &settings).context("the stream cannot be opened")
    }
}

/// The stream alone.
pub fn stream(through: &Through, data: &Path) -> Result<Arc<dyn Stream>> {
    File::read(through.config.as_deref())?.stream(through, data)
}

/// Sources and stream of a command.
pub fn config(options: &Sources, data: &Path) -> Result<Config> {
    let file = File::read(options.through.config.as_deref())?;
    let sources = named(&file, options)?;
    let stream = file.stream(&options.through, data)?;
    made(sources, stream, data, options.feed_ca_file.as_deref())
}

/// Sources of a command that has a stream of its own.
pub fn through(options: &Sources, stream: Arc<dyn Stream>, data: &Path) -> Result<Config> {
    let file = File::read(options.through.config.as_deref())?;
    let sources = named(&file, options)?;
    made(sources, stream, data, options.feed_ca_file.as_deref())
}

fn named(file: &File, options: &Sources) -> Result<Vec<Source>> {
    let sources = file.sources(&options.source)?;
    ensure!(
        !sources.is_empty(),
        "no source: give --source NAME=PLACE or --config FILE; `bartizan cve feeds` lists the names"
    );
    Ok(sources)
}

fn made(
    sources: Vec<Source>,
    stream: Arc<dyn Stream>,
    data: &Path,
    authorities: Option<&Path>,
) -> Result<Config> {
    let pem = authorities
        .map(|path| std::fs::read(path).with_context(|| format!("cannot read {}", path.display())))
        .transpose()?;
    Ok(Config {
        sources,
        stream,
        fetch: Arc::new(move || {
            let client = HttpFetch::new(pem.as_deref()).map_err(|e| format!("{e:#}"))?;
            Ok(Box::new(client) as Box<dyn Fetch>)
        }),
        shelves: Arc::new(git::shelf),
        folder: data.join("cve/producer"),
        every: Duration::from_secs(u64::from(HOURLY) * 60),
        produce: true,
        consume: true,
    })
}

impl Feeds {
    /// Puts into a server's configuration what is to be followed.
    pub fn configure(&self, config: &mut bartizan_server::Config, role: Role) -> Result<()> {
        // The webhook's process has one thing to do.
        if role == Role::Admission {
            return Ok(());
        }
        let file = File::read(self.cve_config.as_deref())?;
        let sources = file.sources(&self.cve_source)?;
        let through = Through {
            config: self.cve_config.clone(),
            stream: self.cve_stream.clone(),
            kafka_properties: self.kafka_properties.clone(),
        };
        let alone = matches!(role, Role::CveProducer | Role::CveConsumer);
        // Whoever names a stream wants its records, also without sources of its own.
        let wanted = !sources.is_empty() || self.cve_stream.is_some() || file.stream.is_some();
        if !wanted {
            ensure!(
                !alone,
                "this role needs --cve-source, --cve-stream or --cve-config"
            );
            return Ok(());
        }
        ensure!(
            role != Role::CveProducer || !sources.is_empty(),
            "--role cve-producer needs --cve-source or --cve-config with sources"
        );
        let stream = file.stream(&through, &config.data)?;
        let mut sync = made(sources, stream, &config.data, self.cve_ca_file.as_deref())?;
        let minutes = self.cve_every.or(file.every_minutes).unwrap_or(HOURLY);
        sync.every = Duration::from_secs(u64::from(minutes.max(1)) * 60);
        sync.produce = role != Role::CveConsumer;
        sync.consume = role != Role::CveProducer;
        if alone {
            config.workers = 0;
        }
        config.sync = Some(sync);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_sources() {
        let file: File = toml::from_str(
            "stream = \"kafka://a:1\"\nkeep = \"compact\"\n[[source]]\nname = \"kev\"\nfrom = \"official\"\n",
        )
        .unwrap();
        assert_eq!(file.sources(&["osv:npm=/x".into()]).unwrap().len(), 2);
        assert!(file.sources(&["kev=/x".into()]).is_err(), "twice");
        assert!(toml::from_str::<File>("sauce = 1").is_err());
    }
}
