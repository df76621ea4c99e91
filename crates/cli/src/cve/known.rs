//! `bartizan cve show|list|history|health`: what the store knows of vulnerabilities, out of the data
//! folder or by a server; both answer in the same shape.

use crate::Verdict;
use crate::arguments::{Access, Output, Place};
use crate::client::{Client, segment, text};
use crate::serve::place_config;
use crate::show::{self, plain};
use crate::verify::now;
use anyhow::{Context, Result, anyhow, bail};
use bartizan_server::Problem;
use bartizan_server::api::vulnerabilities as api;
use bartizan_server::store_config;
use bartizan_store::Store;
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};

#[derive(Subcommand)]
pub enum Known {
    /// Everything that is known of one vulnerability, by any of its names
    #[command(after_help = "Examples:\n  \
        bartizan cve show CVE-2024-3094\n  \
        bartizan cve show GHSA-rxwq-x6h5-x525 --format json --server https://bartizan.example.com\n\n\
        Exit codes: 0 found; 1 nobody names it; 2 it could not be looked up.")]
    Show {
        /// CVE, GHSA, DSA, …
        id: String,
        #[command(flatten)]
        source: Box<Source>,
    },
    /// List CVEs, the latest first
    #[command(after_help = "Examples:\n  \
        bartizan cve list --product xz --severity critical\n  \
        bartizan cve list --kev --from 2024-05-01 --to 2024-06-01 --format json\n  \
        bartizan cve list --epss 0.5 --sort score --limit 20")]
    List {
        /// Words of the title, or the beginning of an id
        words: Vec<String>,
        #[command(flatten)]
        filter: Box<Filter>,
        #[command(flatten)]
        source: Box<Source>,
    },
    /// What changed in a vulnerability, field by field
    #[command(after_help = "Example:\n  \
        bartizan cve history CVE-2024-3094 --from 2024-04-01 --to 2024-05-01\n\n\
        Exit codes: 0 found; 1 nobody names it; 2 it could not be looked up.")]
    History {
        /// CVE, GHSA, DSA, …
        id: String,
        /// At or after: a day or a moment
        #[arg(long)]
        from: Option<String>,
        /// Before: a day or a moment
        #[arg(long)]
        to: Option<String>,
        #[command(flatten)]
        source: Box<Source>,
    },
    /// Whether the feeds are up to date: age, lag, errors
    #[command(
        after_help = "Example:\n  bartizan cve health --server https://bartizan.example.com\n\n\
        Exit codes: 0 each feed was read to its end; 1 one was not, or none ever was; 2 it could not be looked up."
    )]
    Health(Box<Source>),
}

/// Which CVEs.
#[derive(Args)]
pub struct Filter {
    /// Exact product, case ignored
    #[arg(long)]
    product: Option<String>,
    /// Exact vendor, case ignored
    #[arg(long)]
    vendor: Option<String>,
    /// Exact weakness, such as CWE-79
    #[arg(long)]
    cwe: Option<String>,
    /// critical, high, medium, low, none or unrated
    #[arg(long)]
    severity: Option<String>,
    /// Published at or after: a day or a moment
    #[arg(long)]
    from: Option<String>,
    /// Published before: a day or a moment
    #[arg(long)]
    to: Option<String>,
    /// Only those known to be exploited
    #[arg(long)]
    kev: bool,
    /// Only those with an exploit that is known of
    #[arg(long)]
    exploit: bool,
    /// At least this EPSS score, 0 to 1
    #[arg(long, value_name = "SHARE")]
    epss: Option<f64>,
    /// Rejected ones too
    #[arg(long)]
    rejected: bool,
    /// published, changed or score
    #[arg(long, default_value = "published")]
    sort: String,
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
}

/// Who is asked.
#[derive(Args)]
pub struct Source {
    #[command(flatten)]
    place: Place,
    /// Ask this server and not a data folder
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    access: Access,
    #[arg(long, value_enum, default_value_t)]
    format: Output,
}

/// The most of one page.
const PAGE: u32 = 200;

pub(super) enum Asked {
    Server(Client),
    Store(tokio::runtime::Runtime, Store),
}

/// What is not there is a result, not a failure.
fn found<T: Serialize>(answer: Result<T, Problem>) -> Result<Option<Value>> {
    match answer {
        Ok(answer) => Ok(Some(serde_json::to_value(answer)?)),
        Err(problem) if problem.status().as_u16() == 404 => Ok(None),
        Err(problem) => Err(anyhow!("{}", problem.detail())),
    }
}

impl Source {
    /// A server or a data folder, asked by a program.
    pub fn new(place: &Place, server: Option<&str>, access: &Access) -> Self {
        Self {
            place: place.clone(),
            server: server.map(str::to_owned),
            access: access.clone(),
            format: Output::Json,
        }
    }

    pub(super) fn open(&self) -> Result<Asked> {
        if let Some(server) = &self.server {
            return Ok(Asked::Server(Client::new(server, &self.access)?));
        }
        let config = store_config(&place_config(&self.place)?);
        if self.place.database.is_none() && !self.place.data.join("bartizan.db").is_file() {
            bail!(
                "{} holds no installation; name one with --data, or a server with --server",
                self.place.data.display()
            );
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let store = runtime.block_on(Store::open(&config, now())).context(
            "the installation's state cannot be opened; a running one is asked with --server",
        )?;
        Ok(Asked::Store(runtime, store))
    }
}

impl Asked {
    /// Of a server; what is not there is `None`.
    fn get(client: &Client, path: &str) -> Result<Option<Value>> {
        match client.get(path) {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.to_string().contains("(404") => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn show(&self, id: &str) -> Result<Option<Value>> {
        match self {
            Self::Server(client) => Self::get(client, &format!("/vulnerabilities/{}", segment(id))),
            Self::Store(runtime, store) => found(runtime.block_on(api::one(store, id))),
        }
    }

    pub(super) fn osv(&self, id: &str) -> Result<Option<Value>> {
        match self {
            Self::Server(client) => {
                Self::get(client, &format!("/vulnerabilities/{}/osv", segment(id)))
            }
            Self::Store(runtime, store) => {
                found(runtime.block_on(bartizan_server::api::exports::osv(store, id, now())))
            }
        }
    }

    fn history(&self, id: &str, query: api::HistoryQuery) -> Result<Option<Value>> {
        match self {
            Self::Server(client) => {
                let query = pairs(&[("from", query.from), ("to", query.to)]);
                let path = format!("/vulnerabilities/{}/history?{query}", segment(id));
                Self::get(client, &path)
            }
            Self::Store(runtime, store) => found(runtime.block_on(api::changes(store, id, query))),
        }
    }

    fn health(&self) -> Result<Value> {
        let answer = match self {
            Self::Server(client) => Some(client.get("/feeds")?),
            Self::Store(runtime, store) => found(runtime.block_on(api::health(store, now())))?,
        };
        answer.context("there is no list of feeds")
    }

    fn page(&self, query: api::VulnerabilityQuery) -> Result<Value> {
        let answer = match self {
            Self::Server(client) => {
                let flag = |on: Option<bool>| on.map(|on| on.to_string());
                let query = pairs(&[
                    ("q", query.q),
                    ("product", query.product),
                    ("vendor", query.vendor),
                    ("cwe", query.cwe),
                    ("severity", query.severity),
                    ("from", query.from),
                    ("to", query.to),
                    ("kev", flag(query.kev)),
                    ("exploit", flag(query.exploit)),
                    ("epss", query.epss.map(|e| e.to_string())),
                    ("rejected", flag(query.rejected)),
                    ("sort", query.sort),
                    ("cursor", query.cursor),
                    ("limit", query.limit.map(|l| l.to_string())),
                ]);
                Some(client.get(&format!("/vulnerabilities?{query}"))?)
            }
            Self::Store(runtime, store) => found(runtime.block_on(api::page(store, query)))?,
        };
        answer.context("there is no list of vulnerabilities")
    }
}

/// A query string of what is given.
fn pairs(all: &[(&str, Option<String>)]) -> String {
    let given: Vec<String> = all
        .iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", segment(value.as_ref()?))))
        .collect();
    given.join("&")
}

/// Runs one of them.
pub fn run(command: &Known) -> Result<Verdict> {
    match command {
        Known::Show { id, source } => {
            let answer = source.open()?.show(id)?;
            print(source, id, answer, whole)
        }
        Known::List {
            words,
            filter,
            source,
        } => list(words, filter, source),
        Known::History {
            id,
            from,
            to,
            source,
        } => {
            let query = api::HistoryQuery {
                from: from.clone(),
                to: to.clone(),
            };
            let answer = source.open()?.history(id, query)?;
            print(source, id, answer, history)
        }
        Known::Health(source) => health(source),
    }
}

fn print(
    source: &Source,
    id: &str,
    answer: Option<Value>,
    lines: fn(&Value) -> Vec<String>,
) -> Result<Verdict> {
    let Some(answer) = answer else {
        show::remark(&format!("nobody names {}", plain(id, 128)));
        return Ok(Verdict::Bad);
    };
    if source.format == Output::Json {
        show::line(&serde_json::to_string_pretty(&answer)?)?;
    } else {
        for line in lines(&answer) {
            show::line(&line)?;
        }
    }
    Ok(Verdict::Good)
}

fn items<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value
        .get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn at<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value
        .pointer(pointer)?
        .as_str()
        .filter(|text| !text.is_empty())
}

fn strings(value: &Value, name: &str) -> String {
    let all: Vec<String> = items(value, name)
        .iter()
        .filter_map(Value::as_str)
        .map(|text| plain(text, 200))
        .collect();
    all.join(", ")
}

fn flag(value: &Value, name: &str) -> bool {
    value.get(name).and_then(Value::as_bool).unwrap_or_default()
}

/// What a vulnerability is, for people. Whatever feeds wrote is made harmless for a terminal.
fn whole(all: &Value) -> Vec<String> {
    let mut out = Vec::new();
    let mut say = |name: &str, text: String| {
        if !text.is_empty() {
            out.push(format!("{name:<12} {text}"));
        }
    };
    say("names", strings(all, "names"));
    let score = all.get("score").and_then(Value::as_f64);
    let score = score.map_or(String::new(), |score| format!(" {score:.1}"));
    let mut severity = format!("{}{score}", text(all, "severity").unwrap_or("unrated"));
    for (name, word) in [("exploited", "exploited"), ("rejected", "REJECTED")] {
        if flag(all, name) {
            severity.push_str(&format!(", {word}"));
        }
    }
    say("severity", severity);
    say(
        "priority",
        text(all, "priority").unwrap_or_default().to_owned(),
    );
    say("because", strings(all, "reasons"));
    for cve in items(all, "cves") {
        let text_of = |name: &str, most: usize| plain(text(cve, name).unwrap_or_default(), most);
        say("record", text_of("id", 40));
        say("title", text_of("title", 200));
        say("says", text_of("description", 600));
        say("published", text_of("published", 40));
        let latest = text(cve, "updated").max(text(cve, "revised"));
        say("changed", plain(latest.unwrap_or_default(), 40));
        say("weaknesses", strings(cve, "cwes"));
        for rating in items(cve, "ratings") {
            let by = at(rating, "/by").unwrap_or("?");
            let vector = at(rating, "/vector").unwrap_or_default();
            say(
                "rated",
                format!("{} by {}", plain(vector, 200), plain(by, 60)),
            );
        }
        if let Some(ssvc) = cve.get("ssvc").filter(|s| s.is_object()) {
            let of = |name: &str| plain(text(ssvc, name).unwrap_or("?"), 20);
            say(
                "SSVC",
                format!(
                    "exploitation {}, automatable {}, technical impact {}",
                    of("exploitation"),
                    of("automatable"),
                    of("technical_impact")
                ),
            );
        }
        let products = items(cve, "products");
        for product in products.iter().take(10) {
            let names = [
                at(product, "/vendor"),
                at(product, "/product"),
                at(product, "/package"),
            ];
            let names: Vec<String> = names.into_iter().flatten().map(|n| plain(n, 80)).collect();
            let versions = items(product, "versions").len();
            say(
                "product",
                format!("{} ({versions} entries of versions)", names.join(" ")),
            );
        }
        if products.len() > 10 {
            say("product", format!("and {} more", products.len() - 10));
        }
    }
    for kev in items(all, "kev") {
        let of = |name: &str| plain(text(kev, name).unwrap_or("?"), 40);
        say(
            "catalogue",
            format!("since {}, due {}", of("dateAdded"), of("dueDate")),
        );
    }
    for epss in items(all, "epss") {
        let of = |name: &str| epss.get(name).and_then(Value::as_f64).unwrap_or_default();
        say(
            "EPSS",
            format!("{:.3}, percentile {:.3}", of("score"), of("percentile")),
        );
    }
    for advisory in items(all, "advisories") {
        let affected = items(advisory, "affected");
        let mut packages: Vec<String> = affected
            .iter()
            .filter_map(|a| Some(format!("{} {}", at(a, "/ecosystem")?, at(a, "/package")?)))
            .map(|package| plain(&package, 120))
            .collect();
        packages.dedup();
        let more = packages.len().saturating_sub(4);
        packages.truncate(4);
        if more > 0 {
            packages.push(format!("{more} more"));
        }
        let of = |name: &str| plain(text(advisory, name).unwrap_or("?"), 80);
        say(
            "advisory",
            format!("{} ({}): {}", of("id"), of("source"), packages.join(", ")),
        );
    }
    say("exploits", strings(all, "exploits"));
    for vex in items(all, "vex") {
        let of = |name: &str| plain(text(vex, name).unwrap_or("?"), 80);
        say("VEX", format!("{}: {}", of("author"), of("status")));
    }
    say("withdrawn", strings(all, "withdrawn"));
    say("UNREADABLE", strings(all, "unreadable"));
    out
}

/// What changed, for people.
fn history(all: &Value) -> Vec<String> {
    let mut out = Vec::new();
    let side = |change: &Value, name: &str| match change.get(name) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(value) => plain(&value.to_string(), 160),
    };
    let changes = |out: &mut Vec<String>, of: &Value| {
        for change in items(of, "changes") {
            let field = plain(text(change, "field").unwrap_or_default(), 160);
            out.push(format!(
                "    {field}: {} → {}",
                side(change, "before"),
                side(change, "after")
            ));
        }
        if flag(of, "more") {
            out.push("    and more".to_owned());
        }
    };
    for version in items(all, "versions") {
        let what = if flag(version, "withdrawn") {
            "withdrawn"
        } else if flag(version, "first") {
            "first version held"
        } else {
            "changed"
        };
        out.push(format!(
            "{}  {}  {what}",
            text(version, "at").unwrap_or("?"),
            plain(text(version, "record").unwrap_or("?"), 160)
        ));
        changes(&mut out, version);
    }
    for net in items(all, "net") {
        let record = plain(text(net, "record").unwrap_or("?"), 160);
        out.push(format!("{record}, from the beginning to the end"));
        changes(&mut out, net);
    }
    if out.is_empty() {
        out.push("nothing changed in that time".to_owned());
    }
    out
}

fn list(words: &[String], filter: &Filter, source: &Source) -> Result<Verdict> {
    let asked = source.open()?;
    let on = |flag: bool| flag.then_some(true);
    let mut left = filter.limit;
    let mut cursor = None;
    let mut all = Vec::new();
    while left > 0 {
        let page = asked.page(api::VulnerabilityQuery {
            q: (!words.is_empty()).then(|| words.join(" ")),
            product: filter.product.clone(),
            vendor: filter.vendor.clone(),
            cwe: filter.cwe.clone(),
            severity: filter.severity.clone(),
            from: filter.from.clone(),
            to: filter.to.clone(),
            kev: on(filter.kev),
            exploit: on(filter.exploit),
            epss: filter.epss,
            rejected: on(filter.rejected),
            sort: Some(filter.sort.clone()),
            cursor: cursor.take(),
            limit: Some(left.min(PAGE)),
        })?;
        let got = items(&page, "items");
        left = left.saturating_sub(got.len() as u32);
        all.extend(got.iter().cloned());
        cursor = text(&page, "next_cursor").map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    if source.format == Output::Json {
        let more = cursor.is_some();
        show::line(&serde_json::to_string_pretty(
            &json!({"items": all, "more": more}),
        )?)?;
        return Ok(Verdict::Good);
    }
    for line in &all {
        let score = line.get("score").and_then(Value::as_f64);
        show::line(&format!(
            "{:<18} {:<9} {:>4} {:<9} {:<10} {}",
            plain(text(line, "id").unwrap_or("?"), 40),
            text(line, "severity").unwrap_or("?"),
            score.map_or("-".to_owned(), |score| format!("{score:.1}")),
            if flag(line, "kev") { "exploited" } else { "" },
            text(line, "published")
                .and_then(|t| t.get(..10))
                .unwrap_or("-"),
            plain(text(line, "title").unwrap_or_default(), 100),
        ))?;
    }
    if cursor.is_some() {
        show::remark(&format!(
            "there are more than {}; see --limit",
            filter.limit
        ));
    }
    Ok(Verdict::Good)
}

fn health(source: &Source) -> Result<Verdict> {
    let answer = source.open()?.health()?;
    let feeds = items(&answer, "items");
    let good = |feed: &Value| text(feed, "error").is_none() && text(feed, "succeeded").is_some();
    let verdict = if !feeds.is_empty() && feeds.iter().all(good) {
        Verdict::Good
    } else {
        Verdict::Bad
    };
    if source.format == Output::Json {
        show::line(&serde_json::to_string_pretty(&answer)?)?;
        return Ok(verdict);
    }
    if feeds.is_empty() {
        show::remark("no feed was ever read; see bartizan cve sync --help");
    }
    for feed in feeds {
        let number = |name: &str| feed.get(name).and_then(Value::as_i64);
        let hours = |name: &str| {
            number(name).map_or("-".to_owned(), |s| format!("{:.1} h", s as f64 / 3600.0))
        };
        show::line(&format!(
            "{} {:<20} age {:>9}  lag {:>9}  offered {:>8}  applied {:>8}  refused {:>6}  {}",
            show::mark(good(feed)),
            plain(text(feed, "name").unwrap_or("?"), 60),
            hours("age_seconds"),
            hours("lag_seconds"),
            number("offered").unwrap_or_default(),
            number("applied").unwrap_or_default(),
            number("refused").unwrap_or_default(),
            plain(text(feed, "error").unwrap_or_default(), 200),
        ))?;
    }
    Ok(verdict)
}
