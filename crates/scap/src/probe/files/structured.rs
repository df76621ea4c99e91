//! `xmlfilecontent` and `yamlfilecontent`: what paths select in documents.

use super::content::Content;
use super::file::{Directory, Gather, place, shown};
use super::walk::{Info, Trouble};
use super::{Keep, select, xpath, yaml};
use crate::oval::item::{Collected, Item, Status, Value};
use crate::oval::model::Datatype;
use crate::probe::{Context, Query};
use std::sync::Arc;

/// `xmlfilecontent`.
pub(super) fn xmlfilecontent(query: &Query, ctx: &Context<'_>, keep: Keep<'_>) -> Collected {
    documents(query, ctx, keep, "xpath", |expression, bytes| {
        let steps = xpath::parse(expression)?;
        let root = crate::xml::parse_any(bytes).map_err(|error| error.to_string())?;
        let Some(values) = xpath::select(&steps, &root)? else {
            return Ok(Vec::new());
        };
        let values = values.into_iter().map(|value| Value {
            name: "value_of".into(),
            datatype: Datatype::String,
            status: Status::Exists,
            text: value.into(),
            fields: Vec::new(),
        });
        Ok(vec![values.collect()])
    })
}

/// `yamlfilecontent`.
pub(super) fn yamlfilecontent(query: &Query, ctx: &Context<'_>, keep: Keep<'_>) -> Collected {
    let evaluate = |expression: &str, bytes: &[u8]| {
        let steps = yaml::parse_path(expression)?;
        let records = yaml::records(&steps, bytes)?;
        let values: Vec<Value> = records
            .into_iter()
            .map(|fields| Value {
                name: "value".into(),
                datatype: Datatype::Record,
                status: Status::Exists,
                text: "".into(),
                fields,
            })
            .collect();
        Ok(if values.is_empty() {
            Vec::new()
        } else {
            vec![values]
        })
    };
    let (Some(content), Some(paths)) = (query.entity("content"), query.entity("yamlpath")) else {
        return documents(query, ctx, keep, "yamlpath", evaluate);
    };
    let mut items = Vec::new();
    for content in &content.values {
        for path in &paths.values {
            match evaluate(path, content.as_bytes()) {
                Err(message) => return Collected::error(format!("{path:?}: {message}")),
                Ok(found) => items.extend(found.into_iter().map(|values| {
                    let mut item = Item::new()
                        .string("content", Arc::clone(content))
                        .string("yamlpath", Arc::clone(path));
                    item.values.extend(values);
                    item
                })),
            }
        }
    }
    items.retain(|item| keep(item));
    Collected::complete(items)
}

/// Every regular file of the query through each expression; a result is an item's values.
fn documents(
    query: &Query,
    ctx: &Context<'_>,
    keep: Keep<'_>,
    name: &'static str,
    evaluate: impl Fn(&str, &[u8]) -> Result<Vec<Vec<Value>>, String>,
) -> Collected {
    let Some(expressions) = query.entity(name) else {
        return Collected::error(format!("the object has no {name}"));
    };
    let words = &ctx.files.words;
    let mut directory = Directory::default();
    let mut gather = Gather::new(ctx, keep);
    let failures = Trouble::default();
    let trouble = select::each(query, ctx, &mut |found, _| {
        if found.name.is_none() || !matches!(found.info, Info::File | Info::Link) {
            return true;
        }
        let bytes = match ctx.files.contents.read(ctx.system, found.whole) {
            Content::Absent | Content::Special => return true,
            Content::Failed(message) => {
                failures.error(&*message);
                return true;
            }
            Content::Bytes(bytes) => bytes,
        };
        let place = place(found, &mut directory, words);
        expressions
            .values
            .iter()
            .all(|expression| match evaluate(expression, &bytes) {
                Ok(results) => results.into_iter().all(|values| {
                    let mut item = Item {
                        values: place.clone(),
                        ..Item::default()
                    }
                    .string(name, Arc::clone(expression));
                    item.values.extend(values);
                    gather.add(item)
                }),
                Err(message) => {
                    let file = shown(found.whole);
                    let message = format!("{file}: {name} {expression:?}: {message}");
                    failures.error(message.clone());
                    gather.add(Item::error(message))
                }
            })
    });
    if let Some(message) = failures.take_error() {
        trouble.error(message);
    }
    gather.finish(&trouble)
}
