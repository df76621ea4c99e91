//! Structured logs with secrets masked, and the request id that ties them together.
//!
//! Masking happens where a line is written, so no call site can forget it: fields with a
//! telling name lose their value, and values are searched for tokens, cookies, passwords
//! and credentials in addresses. What is not recognised is printed: do not log bodies.

use serde_json::{Map, Value};
use std::fmt;
use std::io::Write;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber, span};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

tokio::task_local! {
    /// The id of the request that this task serves.
    pub(crate) static REQUEST: String;
}

/// The id of the request being served, or `-` outside of one.
pub fn request_id() -> String {
    REQUEST
        .try_with(Clone::clone)
        .unwrap_or_else(|_| "-".to_owned())
}

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// One JSON object a line.
    #[default]
    Json,
    /// For reading in a terminal.
    Text,
}

/// Sends logs to standard error from now on. `filter` is as of `RUST_LOG`, such as
/// `info` or `warn,bartizan_server=debug`; one that does not parse becomes `info`.
/// Does nothing when a subscriber is set already.
pub fn init(filter: &str, format: Format) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let layer = Lines::new(format, std::io::stderr);
    let _already_set = tracing_subscriber::registry()
        .with(filter)
        .with(layer)
        .try_init();
}

/// The layer that writes lines.
pub struct Lines<W> {
    format: Format,
    writer: W,
}

impl<W> Lines<W> {
    /// Writes lines to what `writer` makes.
    pub fn new(format: Format, writer: W) -> Self {
        Self { format, writer }
    }
}

/// Fields of a span, kept for the lines within it.
struct SpanFields(Map<String, Value>);

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, ctx: Context<'_, S>) {
        if let Some(span) = ctx.span(id) {
            let mut fields = Map::new();
            attributes.record(&mut Masked(&mut fields));
            span.extensions_mut().insert(SpanFields(fields));
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, ctx: Context<'_, S>) {
        if let Some(span) = ctx.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<SpanFields>()
        {
            values.record(&mut Masked(&mut fields.0));
        }
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let mut line = Map::new();
        let meta = event.metadata();
        line.insert("time".into(), jiff::Timestamp::now().to_string().into());
        line.insert("level".into(), meta.level().as_str().into());
        line.insert("target".into(), meta.target().into());
        let request = request_id();
        if request != "-" {
            line.insert("request_id".into(), request.into());
        }
        for span in ctx
            .event_scope(event)
            .into_iter()
            .flat_map(|s| s.from_root())
        {
            if let Some(SpanFields(fields)) = span.extensions().get() {
                line.extend(fields.clone());
            }
        }
        event.record(&mut Masked(&mut line));
        let mut text = match self.format {
            Format::Json => Value::Object(line).to_string(),
            Format::Text => plain(&line),
        };
        text.push('\n');
        // A log that cannot be written has nowhere to say so.
        let _lost = self.writer.make_writer().write_all(text.as_bytes());
    }
}

fn plain(line: &Map<String, Value>) -> String {
    let word = |key: &str| line.get(key).and_then(Value::as_str).unwrap_or_default();
    let mut text = format!("{} {:5} {}", word("time"), word("level"), word("message"));
    for (key, value) in line {
        if !["time", "level", "message", "target"].contains(&key.as_str()) {
            text.push_str(&format!(" {key}={value}"));
        }
    }
    // A line break in a value must not start a line of its own.
    text.replace(['\n', '\r'], " ")
}

/// Collects fields, masking them.
struct Masked<'a>(&'a mut Map<String, Value>);

impl Masked<'_> {
    fn put(&mut self, field: &Field, value: Value) {
        let value = match value {
            _ if is_secret(field.name()) => "***".into(),
            Value::String(text) => mask(&text).into(),
            other => other,
        };
        self.0.insert(field.name().to_owned(), value);
    }
}

impl Visit for Masked<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }
}

/// Words that make a name's value a secret.
const SECRET_WORDS: [&str; 11] = [
    "api-key",
    "api_key",
    "apikey",
    "authorization",
    "cookie",
    "csrf",
    "passphrase",
    "passwd",
    "password",
    "secret",
    "token",
];

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

/// `text` with everything that looks like a secret replaced by `***`.
pub fn mask(text: &str) -> String {
    let in_token = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let in_value = |b: u8| !b.is_ascii_whitespace() && !b"\"'\\,;&})".contains(&b);
    let mut out = text.to_owned();
    out = mask_after(&out, "btz_", in_token);
    out = mask_after(&out, "bearer ", in_value);
    out = mask_after(&out, "basic ", in_value);
    out = mask_after(&out, "bartizan_session=", in_value);
    for word in SECRET_WORDS {
        out = mask_assigned(&out, word, in_value);
    }
    mask_userinfo(&out)
}

/// Masks the run of `inside` bytes after each `marker` (lower-case, found in any case).
fn mask_after(text: &str, marker: &str, inside: impl Fn(u8) -> bool) -> String {
    rewrite(text, marker, |rest| {
        let run = rest.bytes().take_while(|b| inside(*b)).count();
        (run > 0).then_some((0, run))
    })
}

/// Masks the value in `word=value`, `word: value` and `"word":"value"`.
fn mask_assigned(text: &str, word: &str, inside: impl Fn(u8) -> bool) -> String {
    rewrite(text, word, |rest| {
        let bytes = rest.as_bytes();
        let mut at = 0;
        let skip = |at: &mut usize, ok: &dyn Fn(u8) -> bool| {
            while bytes.get(*at).is_some_and(|b| ok(*b)) {
                *at += 1;
            }
        };
        skip(&mut at, &|b| {
            b.is_ascii_alphanumeric() || b == b'_' || b == b'-'
        });
        skip(&mut at, &|b| b"\"'\\ ".contains(&b));
        if !bytes.get(at).is_some_and(|b| b":=".contains(b)) {
            return None;
        }
        at += 1;
        skip(&mut at, &|b| b"\"'\\ ".contains(&b));
        // A cookie or an authorization line runs on after its first blank.
        let long = word == "cookie" || word == "authorization";
        let run = bytes.get(at..).map_or(0, |value| {
            value
                .iter()
                .take_while(|b| inside(**b) || (long && b" ;,".contains(b)))
                .count()
        });
        (run > 0).then_some((at, run))
    })
}

/// Masks the password in `scheme://user:password@host`.
fn mask_userinfo(text: &str) -> String {
    rewrite(text, "://", |rest| {
        let end = rest
            .bytes()
            .take_while(|b| !b.is_ascii_whitespace() && !b"/\"'".contains(b))
            .count();
        let authority = rest.get(..end)?;
        let at = authority.rfind('@')?;
        let colon = authority.get(..at)?.find(':')?;
        Some((colon + 1, at - colon - 1))
    })
}

/// Replaces by `***` the part that `find` names (offset and length in the text after each
/// `marker`). All cuts are at ASCII bytes or after whole runs, so they fall between
/// characters; one that does not is left alone.
fn rewrite(text: &str, marker: &str, find: impl Fn(&str) -> Option<(usize, usize)>) -> String {
    let lower = text.to_ascii_lowercase();
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    while let Some(at) = lower.get(from..).and_then(|rest| rest.find(marker)) {
        let after = from + at + marker.len();
        let rest = text.get(after..).unwrap_or_default();
        let cut = find(rest).and_then(|(skip, length)| {
            let head = text.get(from..after + skip)?;
            text.get(after + skip + length..)?;
            Some((head, after + skip + length))
        });
        match cut {
            Some((head, next)) => {
                out.push_str(head);
                out.push_str("***");
                from = next;
            }
            None => {
                out.push_str(text.get(from..after).unwrap_or_default());
                from = after;
            }
        }
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: Format, act: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let layer = Lines::new(format, move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), act);
        String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn secrets_never_appear() {
        // The needle stands for each secret; no line may contain it.
        for format in [Format::Json, Format::Text] {
            let out = logged(format, || {
                let span = tracing::info_span!("request", cookie = "a=NEEDLE", id = 7);
                let _in = span.enter();
                tracing::info!(authorization = "Bearer NEEDLE", "one");
                tracing::info!(password = "NEEDLE", new_token = "NEEDLE", "two");
                tracing::info!("Authorization: Bearer NEEDLE");
                tracing::info!("authorization: Basic NEEDLE, more");
                tracing::info!("Cookie: theme=dark; __Host-bartizan_session=NEEDLE");
                tracing::info!("set bartizan_session=NEEDLE; Path=/");
                tracing::info!("token btz_NEEDLE_x used");
                tracing::info!(body = r#"{"password":"NEEDLE","username":"ann"}"#, "three");
                tracing::info!(body = ?r#"{"current" : "x", "new_password" : "NEEDLE"}"#, "four");
                tracing::info!("opening postgres://bart:NEEDLE@db.example/bartizan");
                tracing::info!("GET /x?csrf_token=NEEDLE&q=1");
                tracing::warn!(error = %std::io::Error::other("secret=NEEDLE"), "five");
                tracing::info!("X-Api-Key: NEEDLE");
            });
            let bad: Vec<_> = out.lines().filter(|line| line.contains("NEEDLE")).collect();
            assert!(bad.is_empty(), "{bad:#?}");
            assert_eq!(out.lines().count(), 13);
        }
    }

    #[test]
    fn the_rest_stays() {
        assert_eq!(
            mask("opening postgres://bart:x@db.example/bartizan, scope=cluster:prod"),
            "opening postgres://bart:***@db.example/bartizan, scope=cluster:prod"
        );
        assert_eq!(mask("GET /x?token=a&q=é"), "GET /x?token=***&q=é");
        assert_eq!(mask("no secrets here: é 漢字"), "no secrets here: é 漢字");
        assert_eq!(mask("password=é漢 next"), "password=*** next");
    }

    #[test]
    fn a_line_is_json_with_its_fields() {
        let out = logged(Format::Json, || {
            tracing::info!(count = 3, ok = true, "stored")
        });
        let line: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(line["message"], "stored");
        assert_eq!(line["count"], 3);
        assert_eq!(line["ok"], true);
        assert_eq!(line["level"], "INFO");
    }

    #[test]
    fn a_value_cannot_forge_a_line() {
        for format in [Format::Json, Format::Text] {
            let out = logged(format, || tracing::info!("a\nb\r\nc"));
            assert_eq!(out.lines().count(), 1);
        }
    }
}
