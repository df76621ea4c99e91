//! The command line of `agent`, `systems` and `schedule`.

use crate::arguments::{Access, Remote};
use clap::{Args, Subcommand};

#[derive(Args)]
#[command(
    after_help = "Examples:\n  bartizan agent --server https://bartizan.example.com --token-file token\n  \
                  bartizan agent --server https://bartizan.example.com --token-file token --once\n  \
                  bartizan agent --token-file token --ssh root@db-1 --ssh web=admin@10.0.0.2\n\n\
                  The token needs the role operator. Most rules need root.\n\
                  Exit code with --once: 1 when the scan could not be done."
)]
pub struct Agent {
    /// Address of the server
    #[arg(long, env = "BARTIZAN_SERVER", default_value = "http://127.0.0.1:8000")]
    pub server: String,
    #[command(flatten)]
    pub access: Access,
    /// The runner's name, and this machine's; default: the machine's name
    #[arg(long)]
    pub name: Option<String>,
    /// A label that schedules choose by; repeatable
    #[arg(long)]
    pub label: Vec<String>,
    /// Stand for this machine over SSH instead; repeatable
    #[arg(long, value_name = "[NAME=][USER@]HOST[:PORT]")]
    pub ssh: Vec<String>,
    /// Also do what is asked of any system over SSH, at the address that it has on the server
    #[arg(long)]
    pub any_ssh: bool,
    /// Do at most one scan that waits already, then end
    #[arg(long)]
    pub once: bool,
}

#[derive(Subcommand)]
pub enum Systems {
    /// List them with their newest scan
    List {
        /// Those that carry this label
        #[arg(long)]
        label: Option<String>,
        #[command(flatten)]
        remote: Remote,
    },
    /// Register one; an agent registers its own
    #[command(after_help = "Example:\n  bartizan systems add db-1 --ssh root@db-1 --label prod")]
    Add {
        /// Its name
        name: String,
        /// Where it is reached over SSH
        #[arg(long, value_name = "[USER@]HOST[:PORT]")]
        ssh: Option<String>,
        /// A label; repeatable
        #[arg(long)]
        label: Vec<String>,
        #[command(flatten)]
        remote: Remote,
    },
    /// Remove one; its scans and findings stay
    Remove {
        /// Its name
        name: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Ask for a scan
    Scan {
        /// Its name
        name: String,
        /// Digest of uploaded content; default: the built-in baseline
        #[arg(long, value_name = "DIGEST")]
        content: Option<String>,
        /// The profile of the content
        #[arg(long, value_name = "ID", requires = "content")]
        profile: Option<String>,
        #[command(flatten)]
        remote: Remote,
    },
}

#[derive(Subcommand)]
pub enum Schedules {
    /// List them with their next run
    List(Remote),
    /// Make one
    #[command(after_help = "Examples:\n  \
                      bartizan schedule add nightly --cron '30 2 * * *' --system '*'\n  \
                      bartizan schedule add weekly --cron '0 4 * * SUN' --label prod \\\n      \
                      --content sha256:… --profile cis_level2_server")]
    Add {
        /// Its name
        name: String,
        /// Minute, hour, day of month, month, day of week; in UTC
        #[arg(long)]
        cron: String,
        /// A system's name, `*` for every one; repeatable
        #[arg(long)]
        system: Vec<String>,
        /// Systems that carry all of these labels; repeatable
        #[arg(long)]
        label: Vec<String>,
        /// Digest of uploaded content; default: the built-in baseline
        #[arg(long, value_name = "DIGEST")]
        content: Option<String>,
        /// The profile of the content
        #[arg(long, value_name = "ID", requires = "content")]
        profile: Option<String>,
        #[command(flatten)]
        remote: Remote,
    },
    /// Remove one
    Remove {
        /// Its name
        name: String,
        #[command(flatten)]
        remote: Remote,
    },
}
