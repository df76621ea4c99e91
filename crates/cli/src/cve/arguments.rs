//! Options of `bartizan cve`, and those of a server that follows feeds.

use crate::arguments::{Output, Place};
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Subcommand)]
pub enum Cve {
    /// Read feeds and bring the store up to date
    #[command(after_help = "Examples:\n  \
        bartizan cve sync --source vulnrichment=/srv/vulnrichment.git\n  \
        bartizan cve sync --source cve-list=https://mirror.example.com/cve/releases --source kev=official\n  \
        bartizan cve sync --source osv:npm=official --source debian=/srv/tracker.json --format json\n  \
        bartizan cve sync --config feeds.toml --database postgres://bartizan@db/bartizan\n\n\
        A source is NAME=PLACE: NAME one of `bartizan cve feeds`, with a :LABEL where there are several;\n\
        PLACE a folder, a file, an archive, a git checkout, an http(s) address, or the word\n\
        official. Exit codes: 0 all were read; 1 one was not read to its end; 2 nothing could be done.")]
    Sync(Sync),
    /// Read feeds and put their records on the stream, without a store
    #[command(after_help = "Example:\n  \
        bartizan cve produce --source kev=official --stream kafka://broker:9092/bartizan.cve")]
    Produce(Produce),
    /// Apply the stream's records to the store
    #[command(after_help = "Examples:\n  \
        bartizan cve consume --stream kafka://broker:9092 --database postgres://bartizan@db/bartizan\n  \
        bartizan cve consume --stream kafka://broker:9092 --kafka-properties kafka.properties --follow")]
    Consume(Consume),
    /// Carry records of feeds to where none is reached, in a signed file
    #[command(subcommand)]
    Bundle(Bundle),
    /// What could not be read or applied
    #[command(subcommand)]
    DeadLetters(Letters),
    /// What advisories say of one vulnerability, by any of its names, as OSV records
    Osv(Box<super::export::Osv>),
    /// What a server says of an asset's packages, as statements of VEX
    Vex(Box<super::export::VexOf>),
    #[command(flatten)]
    Known(super::known::Known),
    /// List the feeds that can be read
    Feeds {
        #[arg(long, value_enum, default_value_t)]
        format: Output,
    },
}

/// Which sources, and what their records go through.
#[derive(Args, Clone, Default)]
pub struct Sources {
    /// A source, NAME=PATH, NAME=URL or NAME=official; repeatable
    #[arg(long, value_name = "NAME=PLACE")]
    pub source: Vec<String>,
    /// More certificates that are believed when something is fetched, PEM
    #[arg(long, value_name = "FILE")]
    pub feed_ca_file: Option<PathBuf>,
    #[command(flatten)]
    pub through: Through,
}

/// What records go through.
#[derive(Args, Clone, Default)]
pub struct Through {
    /// A file that names sources and the stream
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A folder, or kafka://HOST:PORT/TOPIC; default: a folder in the data folder
    #[arg(long, env = "BARTIZAN_CVE_STREAM", value_name = "ADDRESS")]
    pub stream: Option<String>,
    /// Properties of Kafka's client, such as security.protocol and sasl.password
    #[arg(long, env = "BARTIZAN_KAFKA_PROPERTIES", value_name = "FILE")]
    pub kafka_properties: Option<PathBuf>,
}

#[derive(Args)]
pub struct Sync {
    #[command(flatten)]
    pub sources: Sources,
    #[command(flatten)]
    pub place: Place,
    #[arg(long, value_enum, default_value_t)]
    pub format: Output,
}

#[derive(Args)]
pub struct Produce {
    #[command(flatten)]
    pub sources: Sources,
    /// The data folder, where the producer keeps its state
    #[arg(long, env = "BARTIZAN_DATA", default_value = "./data")]
    pub data: PathBuf,
    #[arg(long, value_enum, default_value_t)]
    pub format: Output,
}

#[derive(Args)]
pub struct Consume {
    #[command(flatten)]
    pub through: Through,
    #[command(flatten)]
    pub place: Place,
    /// Go on when all is applied, until interrupted
    #[arg(long)]
    pub follow: bool,
    #[arg(long, value_enum, default_value_t)]
    pub format: Output,
}

#[derive(Subcommand)]
pub enum Bundle {
    /// Read feeds into a bundle, signed with this installation's key
    #[command(after_help = "Example:\n  \
        bartizan cve bundle create feeds.bundle --source kev=official --source osv:npm=official\n\n\
        Take feeds.bundle and the data folder's jwks.json across; by that file it is believed there.")]
    Create {
        /// The file to write
        file: PathBuf,
        #[command(flatten)]
        sources: Box<Sources>,
        #[command(flatten)]
        place: Box<Place>,
        #[arg(long, value_enum, default_value_t)]
        format: Output,
    },
    /// Check a bundle's signature and every byte that it signs for
    #[command(after_help = "Example:\n  bartizan cve bundle verify feeds.bundle --jwks jwks.json")]
    Verify {
        /// The bundle
        file: PathBuf,
        /// The keys of the installation that made it
        #[arg(long, value_name = "FILE")]
        jwks: PathBuf,
        #[arg(long, value_enum, default_value_t)]
        format: Output,
    },
    /// Check a bundle and bring the store up to date by it
    #[command(
        after_help = "Example:\n  bartizan cve bundle load feeds.bundle --jwks jwks.json --data ./data"
    )]
    Load {
        /// The bundle
        file: PathBuf,
        /// The keys of the installation that made it
        #[arg(long, value_name = "FILE")]
        jwks: PathBuf,
        #[command(flatten)]
        through: Box<Through>,
        #[command(flatten)]
        place: Box<Place>,
        #[arg(long, value_enum, default_value_t)]
        format: Output,
    },
}

#[derive(Subcommand)]
pub enum Letters {
    /// List them with their reasons
    #[command(after_help = "Example:\n  bartizan cve dead-letters list --format json")]
    List(LettersAt),
    /// Read them again, put what can be read now on the stream, and keep the rest
    #[command(after_help = "Example:\n  bartizan cve dead-letters retry && bartizan cve consume")]
    Retry(LettersAt),
}

#[derive(Args)]
pub struct LettersAt {
    #[command(flatten)]
    pub through: Through,
    /// The data folder
    #[arg(long, env = "BARTIZAN_DATA", default_value = "./data")]
    pub data: PathBuf,
    /// At most so many
    #[arg(long, default_value_t = 1000, value_name = "N")]
    pub limit: usize,
    #[arg(long, value_enum, default_value_t)]
    pub format: Output,
}

/// Feeds that a server follows.
#[derive(Args, Clone)]
#[command(next_help_heading = "Feeds of vulnerabilities")]
pub struct Feeds {
    /// A source that is followed, NAME=PATH, NAME=URL or NAME=official; repeatable. Without one
    /// nothing is ever fetched
    #[arg(long, value_name = "NAME=PLACE")]
    pub cve_source: Vec<String>,
    /// A file that names sources and the stream
    #[arg(long, env = "BARTIZAN_CVE_CONFIG", value_name = "FILE")]
    pub cve_config: Option<PathBuf>,
    /// What records go through: a folder, or kafka://HOST:PORT/TOPIC
    #[arg(long, env = "BARTIZAN_CVE_STREAM", value_name = "ADDRESS")]
    pub cve_stream: Option<String>,
    /// Properties of Kafka's client
    #[arg(
        long,
        env = "BARTIZAN_KAFKA_PROPERTIES",
        value_name = "FILE",
        hide_short_help = true
    )]
    pub kafka_properties: Option<PathBuf>,
    /// Minutes between two rounds
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10080))]
    pub cve_every: Option<u32>,
    /// More certificates that are believed when something is fetched, PEM
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub cve_ca_file: Option<PathBuf>,
}
