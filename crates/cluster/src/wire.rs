//! What the API server sends: pages of lists, lines of watches, statuses. The bytes are not
//! trusted: the server speaks for whoever may write objects.

use crate::{Error, Event, Object, Page, Resource};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::time::Duration;

#[derive(Deserialize, Default)]
struct ListMeta {
    #[serde(rename = "resourceVersion", default)]
    resource_version: String,
    #[serde(rename = "continue", default)]
    next: String,
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(default)]
    metadata: ListMeta,
    // Each alone: one object that cannot be read must not hide the others.
    #[serde(borrow, default)]
    items: Option<Vec<&'a RawValue>>,
}

/// A page of a list.
pub(crate) fn page(resource: &Resource, bytes: &[u8]) -> Result<Page, Error> {
    let list: List<'_> = serde_json::from_slice(bytes)
        .map_err(|e| Error::Malformed(format!("list of {}: {e}", resource.kind)))?;
    let items = list
        .items
        .ok_or_else(|| Error::Malformed(format!("list of {} without items", resource.kind)))?;
    Ok(Page {
        objects: items
            .into_iter()
            .map(|item| object(resource, item.get()))
            .collect::<Result<_, _>>()?,
        next: (!list.metadata.next.is_empty()).then_some(list.metadata.next),
        resource_version: list.metadata.resource_version,
    })
}

/// One object. What is nested deeper than the reader goes becomes an object that says so.
pub(crate) fn object(resource: &Resource, text: &str) -> Result<Object, Error> {
    match serde_json::from_str(text) {
        Ok(value) => Object::read(resource, value),
        Err(e) => Object::unread(resource, text, &e.to_string()),
    }
}

#[derive(Deserialize)]
struct WatchLine<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow)]
    object: &'a RawValue,
}

/// A line of a watch. None for a type that is not known: newer servers may add some.
pub(crate) fn event(resource: &Resource, line: &[u8]) -> Result<Option<Event>, Error> {
    let line: WatchLine<'_> = serde_json::from_slice(line)
        .map_err(|e| Error::Malformed(format!("watch of {}: {e}", resource.kind)))?;
    let text = line.object.get();
    match line.kind.as_str() {
        "ADDED" | "MODIFIED" => Ok(Some(Event::Present(object(resource, text)?))),
        "DELETED" => Ok(Some(Event::Gone(object(resource, text)?))),
        "BOOKMARK" => {
            let list: List<'_> = serde_json::from_str(text)
                .map_err(|e| Error::Malformed(format!("bookmark of {}: {e}", resource.kind)))?;
            Ok(Some(Event::Bookmark(list.metadata.resource_version)))
        }
        "ERROR" => Err(status(500, text.as_bytes())),
        _ => Ok(None),
    }
}

#[derive(Deserialize, Default)]
struct Details {
    #[serde(rename = "retryAfterSeconds", default)]
    after: u64,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    code: u16,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    details: Option<Details>,
}

/// The error that an answer other than success stands for. A proxy in between answers without a
/// `Status`; then the HTTP status and the text are all there is.
pub(crate) fn status(http: u16, bytes: &[u8]) -> Error {
    match serde_json::from_slice::<Status>(bytes) {
        Ok(status) if status.kind == "Status" => {
            let code = if status.code == 0 { http } else { status.code };
            let after = status.details.map(|d| d.after).filter(|s| *s > 0);
            // An hour is more than any server means.
            let after = after.map(|s| Duration::from_secs(s.min(3600)));
            Error::of_status(code, &status.reason, &status.message, after)
        }
        _ => Error::of_status(http, "", String::from_utf8_lossy(bytes).trim(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Name;

    fn pods() -> Resource {
        Resource::new("", "v1", "Pod", "pods", true)
    }

    #[test]
    fn a_page_and_where_it_goes_on() {
        let bytes = br#"{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"9","continue":"x"},
            "items":[{"metadata":{"name":"a","namespace":"n","resourceVersion":"3"},"spec":{}}]}"#;
        let page = page(&pods(), bytes).unwrap();
        assert_eq!(
            (page.next.as_deref(), page.resource_version.as_str()),
            (Some("x"), "9")
        );
        assert_eq!(page.objects[0].name, Name::within("n", "a"));
        assert_eq!(page.objects[0].value["kind"], "Pod");
    }

    #[test]
    fn what_is_no_list_is_malformed_not_empty() {
        for bytes in [
            &b"{}"[..],
            b"null",
            b"[]",
            b"<html>",
            b"{\"items\":null}",
            b"{\"items\":[{}]}",
        ] {
            let page = page(&pods(), bytes);
            assert!(
                matches!(page, Err(Error::Malformed(_))),
                "{bytes:?}: {page:?}"
            );
        }
    }

    #[test]
    fn an_object_too_deep_to_read_does_not_hide_the_others() {
        let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
        let text = format!(
            r#"{{"metadata":{{"resourceVersion":"9"}},"items":[
            {{"metadata":{{"name":"deep","namespace":"n","resourceVersion":"2"}},"data":{deep}}},
            {{"metadata":{{"name":"flat","namespace":"n"}}}}]}}"#
        );
        let page = page(&pods(), text.as_bytes()).unwrap();
        assert_eq!(page.objects.len(), 2);
        assert_eq!(page.objects[0].name.name, "deep");
        assert!(
            page.objects[0]
                .unread
                .as_deref()
                .unwrap()
                .contains("recursion")
        );
        assert!(page.objects[0].value.get("data").is_none());
        assert_eq!(page.objects[1].unread, None);
    }

    #[test]
    fn lines_of_a_watch() {
        let line = |text: &str| event(&pods(), text.as_bytes());
        let object = r#"{"metadata":{"name":"a","namespace":"n","resourceVersion":"4"}}"#;
        assert!(matches!(
            line(&format!(r#"{{"type":"ADDED","object":{object}}}"#)),
            Ok(Some(Event::Present(_)))
        ));
        assert!(matches!(
            line(&format!(r#"{{"type":"DELETED","object":{object}}}"#)),
            Ok(Some(Event::Gone(_)))
        ));
        assert_eq!(
            line(r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"12"}}}"#),
            Ok(Some(Event::Bookmark("12".into())))
        );
        assert_eq!(
            line(&format!(r#"{{"type":"NEW","object":{object}}}"#)),
            Ok(None)
        );
        assert!(matches!(
            line(
                r#"{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}"#
            ),
            Err(Error::Expired(_))
        ));
        assert!(matches!(line("{"), Err(Error::Malformed(_))));
    }

    #[test]
    fn statuses_by_whose_fault() {
        use crate::Fault;
        let of = |code: u16, body: &str| status(code, body.as_bytes());
        assert_eq!(
            of(
                429,
                r#"{"kind":"Status","code":429,"message":"slow","details":{"retryAfterSeconds":7}}"#
            ),
            Error::Busy {
                message: "slow".into(),
                after: Some(Duration::from_secs(7))
            }
        );
        assert_eq!(of(403, "<html>").fault(), Fault::Operator);
        assert_eq!(of(422, "{}").fault(), Fault::Request);
        assert_eq!(of(502, "bad gateway").fault(), Fault::Cluster);
    }
}
