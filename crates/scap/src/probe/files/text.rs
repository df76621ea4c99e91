//! `textfilecontent54` and `textfilecontent`: what patterns find in files.

use super::Keep;
use super::content::Content;
use super::file::{Directory, Gather, Words, place};
use super::select;
use super::walk::{Info, Trouble};
use crate::oval::compare::{Flags, Pattern};
use crate::oval::item::{Collected, Item, Value};
use crate::oval::model::{Datatype, Operation};
use crate::oval::outcome::Truth;
use crate::probe::{Bound, Context, Query};
use std::sync::Arc;

/// The most matches in one file.
const MAX_MATCHES: usize = 100_000;
/// As many groups as OpenSCAP has room for, the whole match among them.
const MAX_GROUPS: usize = 20;

type Spans = Vec<Option<(usize, usize)>>;

fn behavior(query: &Query, name: &str, default: bool) -> bool {
    query
        .behavior(name)
        .map_or(default, |value| matches!(value, "true" | "1"))
}

/// `textfilecontent54`.
pub(super) fn textfilecontent54(query: &Query, ctx: &Context<'_>, keep: Keep<'_>) -> Collected {
    let (Some(patterns), Some(instance)) = (query.entity("pattern"), query.entity("instance"))
    else {
        return Collected::error("the object has no pattern or no instance");
    };
    let flags = Flags {
        multiline: behavior(query, "multiline", true),
        ignore_case: behavior(query, "ignore_case", false),
        dotall: behavior(query, "singleline", false),
    };
    let compiled = match compile(patterns, |text| Pattern::with_flags(text, flags)) {
        Ok(compiled) => compiled,
        Err(message) => return Collected::error(message),
    };
    let instances = Instances::new(instance);
    collect(query, ctx, keep, |file, found| {
        // OpenSCAP reads files as C strings.
        let text = file.split(|byte| *byte == 0).next().unwrap_or_default();
        super::matcher::utf8(text)?;
        for (source, pattern) in &compiled {
            let matches = pattern.find_all(text, MAX_MATCHES + 1)?;
            if matches.len() > MAX_MATCHES {
                return Err(format!("more than {MAX_MATCHES} matches of {source:?}"));
            }
            for (index, spans) in matches.into_iter().enumerate() {
                let number = index + 1;
                if instances.wants(ctx, number) && !found(source, number, text, &spans) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    })
}

/// `textfilecontent`: patterns line by line, the first match of each line.
pub(super) fn textfilecontent(query: &Query, ctx: &Context<'_>, keep: Keep<'_>) -> Collected {
    let Some(patterns) = query.entity("line") else {
        return Collected::error("the object has no line");
    };
    let compiled = match compile(patterns, Pattern::new) {
        Ok(compiled) => compiled,
        Err(message) => return Collected::error(message),
    };
    collect(query, ctx, keep, |file, found| {
        super::matcher::utf8(file)?;
        for (source, pattern) in &compiled {
            let mut number = 0;
            for line in file.split(|byte| *byte == b'\n') {
                if let Some(spans) = pattern.find_all(line, 1)?.first() {
                    number += 1;
                    if number > MAX_MATCHES {
                        return Err(format!("more than {MAX_MATCHES} matches of {source:?}"));
                    }
                    if !found(source, number, line, spans) {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    })
}

type Compiled = Vec<(Arc<str>, Pattern)>;

fn compile(
    patterns: &Bound,
    new: impl Fn(&str) -> Result<Pattern, String>,
) -> Result<Compiled, String> {
    let mut compiled: Compiled = Vec::new();
    for text in &patterns.values {
        if compiled.iter().all(|(known, _)| known != text) {
            let pattern = new(text).map_err(|error| format!("pattern {text:?}: {error}"))?;
            compiled.push((Arc::clone(text), pattern));
        }
    }
    Ok(compiled)
}

/// Takes pattern, instance, text and groups; false when there are too many items.
type Sink<'s> = &'s mut dyn FnMut(&Arc<str>, usize, &[u8], &Spans) -> bool;

/// Every regular file of the query through a search.
fn collect(
    query: &Query,
    ctx: &Context<'_>,
    keep: Keep<'_>,
    search: impl Fn(&[u8], Sink<'_>) -> Result<bool, String>,
) -> Collected {
    let words = &ctx.files.words;
    let mut directory = Directory::default();
    let mut gather = Gather::new(ctx, keep);
    let failures = Trouble::default();
    let trouble = select::each(query, ctx, &mut |found, _| {
        if found.name.is_none() || !matches!(found.info, Info::File | Info::Link) {
            return true;
        }
        let file = match ctx.files.contents.read(ctx.system, found.whole) {
            Content::Absent | Content::Special => return true,
            Content::Failed(message) => {
                failures.error(&*message);
                return true;
            }
            Content::Bytes(bytes) => bytes,
        };
        let at = std::cell::OnceCell::new();
        let searched = search(&file, &mut |source, number, text, spans| {
            let at = at.get_or_init(|| place(found, &mut directory, words));
            gather.add(item(at, source, number, text, spans, words))
        });
        match searched {
            Ok(more) => more,
            Err(message) => {
                failures.error(format!("{}: {message}", super::file::shown(found.whole)));
                true
            }
        }
    });
    if let Some(message) = failures.take_error() {
        trouble.error(message);
    }
    gather.finish(&trouble)
}

fn item(
    place: &[Value],
    source: &Arc<str>,
    number: usize,
    text: &[u8],
    spans: &Spans,
    words: &Words,
) -> Item {
    let mut values = Vec::with_capacity(place.len() + 3 + spans.len());
    values.extend_from_slice(place);
    values.push(words.value("pattern", Datatype::String, Arc::clone(source)));
    values.push(words.value("instance", Datatype::Int, number.to_string()));
    // OpenSCAP fills the old entity, too, with the pattern.
    values.push(words.value("line", Datatype::String, Arc::clone(source)));
    let mut groups = spans.iter().take(MAX_GROUPS).map(|span| {
        span.and_then(|(begin, end)| text.get(begin..end))
            .map(|bytes| String::from_utf8_lossy(bytes))
    });
    let whole = groups.next().flatten().unwrap_or_default();
    values.push(words.value("text", Datatype::String, whole));
    // Groups that took no part leave no gap.
    for group in groups.flatten() {
        values.push(words.value("subexpression", Datatype::String, group));
    }
    Item {
        values,
        ..Item::default()
    }
}

/// Which instances are wanted.
enum Instances<'e> {
    /// A comparison with one number.
    Number(Operation, i64),
    General(&'e Bound),
}

impl<'e> Instances<'e> {
    fn new(bound: &'e Bound) -> Self {
        if let ([value], Datatype::Int) = (bound.values.as_slice(), bound.datatype)
            && let Ok(number) = value.trim().parse()
            && bound.var_check != crate::oval::model::Check::None
        {
            return Self::Number(bound.operation, number);
        }
        Self::General(bound)
    }

    fn wants(&self, ctx: &Context<'_>, instance: usize) -> bool {
        let text = || instance.to_string();
        match self {
            Self::Number(operation, number) => {
                let instance = i64::try_from(instance).unwrap_or(i64::MAX);
                match operation {
                    Operation::Equals => instance == *number,
                    Operation::NotEqual => instance != *number,
                    Operation::GreaterThan => instance > *number,
                    Operation::GreaterThanOrEqual => instance >= *number,
                    Operation::LessThan => instance < *number,
                    Operation::LessThanOrEqual => instance <= *number,
                    Operation::BitwiseAnd => instance & *number == *number,
                    Operation::BitwiseOr => instance | *number == *number,
                    _ => false,
                }
            }
            Self::General(bound) => ctx.matches(bound, &text()) == Truth::True,
        }
    }
}
