//! Feeds, one module each: bytes in, typed records out. Nothing is fetched here.
//!
//! Every reader takes the bytes of a whole record or file, of at most [`MAX_BYTES`], and answers
//! with all of it or with an error that says where and why. Nesting is bounded by the JSON
//! reader (128 levels) and the YAML reader's budget.

pub mod alpine;
pub mod csaf;
pub mod cve;
pub mod debian;
pub mod epss;
pub mod kev;
pub mod openvex;
pub mod osv;
pub mod osv_write;
pub mod rustsec;
pub mod ubuntu;

use bartizan_model::Timestamp;
use serde::de::DeserializeOwned;

/// The largest file that is read whole: Debian's tracker, the largest single file, has 70 MB.
pub const MAX_BYTES: usize = 256 << 20;
/// The largest single record; the largest CVE record that was seen has 690 KB.
pub const MAX_RECORD: usize = 16 << 20;

/// Why a record could not be read. Whose fault: the feed's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{format}{}: {why}", place(*line))]
pub struct FeedError {
    /// The format that was expected.
    pub format: &'static str,
    /// The line, from 1; 0 where it is not known.
    pub line: usize,
    /// What is wrong.
    pub why: String,
}

fn place(line: usize) -> String {
    if line == 0 {
        String::new()
    } else {
        format!(" line {line}")
    }
}

impl FeedError {
    pub(crate) fn new(format: &'static str, line: usize, why: impl Into<String>) -> Self {
        let why: String = why.into();
        Self {
            format,
            line,
            why: bartizan_model::text::plain(&why, 300),
        }
    }
}

pub(crate) fn bounded(format: &'static str, bytes: &[u8], max: usize) -> Result<(), FeedError> {
    if bytes.len() > max {
        let why = format!(
            "{} bytes are more than the {max} that are read",
            bytes.len()
        );
        return Err(FeedError::new(format, 0, why));
    }
    Ok(())
}

pub(crate) fn json_error(format: &'static str, error: &serde_json::Error) -> FeedError {
    FeedError::new(format, error.line(), error.to_string())
}

pub(crate) fn json<T: DeserializeOwned>(
    format: &'static str,
    bytes: &[u8],
    max: usize,
) -> Result<T, FeedError> {
    bounded(format, bytes, max)?;
    serde_json::from_slice(bytes).map_err(|e| json_error(format, &e))
}

/// A moment as feeds write it: RFC 3339, the same without a zone (then UTC), or a day alone.
pub fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if text.is_empty() || text.len() > 64 {
        return None;
    }
    if let Ok(t) = Timestamp::parse(text) {
        return Some(t);
    }
    Timestamp::parse(&format!("{text}Z"))
        .or_else(|_| Timestamp::parse(&format!("{text}T00:00:00Z")))
        .ok()
}

pub(crate) fn required_moment(
    format: &'static str,
    field: &str,
    text: Option<&str>,
) -> Result<Option<Timestamp>, FeedError> {
    match text {
        None => Ok(None),
        Some(text) => moment(text)
            .map(Some)
            .ok_or_else(|| FeedError::new(format, 0, format!("{field} is no moment: {text:?}"))),
    }
}

/// Whether a text can be the id of a record: short, printable, without blanks.
pub fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= 128 && text.bytes().all(|b| b.is_ascii_graphic())
}

/// An id that a feed gave: short and printable.
pub(crate) fn id(format: &'static str, text: &str) -> Result<String, FeedError> {
    if is_id(text) {
        Ok(text.to_owned())
    } else {
        Err(FeedError::new(format, 0, format!("{text:?} is no id")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_as_feeds_write_them() {
        let want = Timestamp::parse("2019-08-21T22:06:06Z").unwrap();
        assert_eq!(moment("2019-08-21T22:06:06"), Some(want));
        assert_eq!(moment("2019-08-21T22:06:06.000Z"), Some(want));
        assert_eq!(
            moment("2019-08-21"),
            Timestamp::parse("2019-08-21T00:00:00Z").ok()
        );
        assert_eq!(moment("yesterday"), None);
    }
}
