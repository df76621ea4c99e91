//! Sources at an address: what is listed there, what of it is new, and the files themselves.

use super::SourceError;
use super::feeds::{Listing, file_name};
use super::fetch::{FetchError, Fetched, Request, shown};
use super::lists::{self, Asset, MAX_LIST};
use super::producer::Session;
use super::shelf::{self, Unit};
use super::state::Tag;
use bartizan_model::Timestamp;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// The largest archive that is fetched.
const MAX_ARCHIVE: u64 = 4 << 30;
/// More single records than these are fetched as one archive.
const MAX_SINGLE: usize = 2_000;
/// The most files that a list of changes may name.
const MAX_CHANGES: usize = 200_000;
/// The most pages of links, and of releases.
const MAX_PAGES: usize = 200;
const MAX_RELEASE_PAGES: usize = 10;
/// How far before a baseline deltas are read too: the list has been known to lack an hour.
const BEFORE_BASELINE: i64 = 48 * 3600;
/// How far an archive of OSV may be behind its list.
const BEHIND: i64 = 24 * 3600;

/// All of an address.
pub(super) fn all(session: &mut Session<'_, '_>, url: &str) -> Result<(), SourceError> {
    match session.feed.listing {
        Listing::Document => document(session, url).map(drop),
        // An archive may be named where a list is expected.
        _ if url.ends_with(".zip") || url.ends_with(".json") => document(session, url).map(drop),
        Listing::Releases => releases(session, url),
        Listing::Osv => osv(session, url),
        Listing::Pages => pages(session, url),
        Listing::Changes => changed_files(session, url),
    }
}

struct Body {
    file: File,
    tag: Tag,
    sha256: String,
}

/// Writes to a file and to a digest, until it is told to stop.
struct Digesting<'a> {
    file: &'a mut File,
    digest: Sha256,
    stop: &'a AtomicBool,
}

impl Write for Digesting<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(std::io::Error::other("stopped"));
        }
        let n = self.file.write(bytes)?;
        self.digest.update(bytes.get(..n).unwrap_or_default());
        Ok(n)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

enum Got {
    Unchanged,
    Absent,
    Body(Body),
}

/// Fetches an address, where it changed.
fn get(session: &Session<'_, '_>, url: &str, max: u64) -> Result<Got, SourceError> {
    let producer = &session.producer;
    let fetch = producer.fetch.ok_or_else(|| {
        SourceError::Config(format!(
            "{}: nothing is fetched here; give a path",
            shown(url)
        ))
    })?;
    if producer.stop.load(Ordering::Relaxed) {
        return Err(SourceError::Stopped);
    }
    let tag = producer.state.tag(url);
    let request = Request {
        url,
        etag: tag.etag.as_deref(),
        modified: tag.modified.as_deref(),
        max_bytes: max,
    };
    let failed = |e: std::io::Error| SourceError::Unreadable {
        what: producer.work.display().to_string(),
        why: e.to_string(),
    };
    let mut file = tempfile::tempfile_in(&producer.work).map_err(failed)?;
    let mut into = Digesting {
        file: &mut file,
        digest: Sha256::new(),
        stop: producer.stop,
    };
    let fetched = fetch.fetch(&request, &mut into);
    if producer.stop.load(Ordering::Relaxed) {
        return Err(SourceError::Stopped);
    }
    let fetched = fetched?;
    let sha256 = hex::encode(into.digest.finalize());
    match fetched {
        Fetched::Unchanged => Ok(Got::Unchanged),
        Fetched::Absent => Ok(Got::Absent),
        Fetched::Body { etag, modified, .. } => {
            file.rewind().map_err(failed)?;
            let tag = Tag {
                etag,
                modified,
                until: tag.until,
            };
            Ok(Got::Body(Body { file, tag, sha256 }))
        }
    }
}

fn whole(url: &str, mut body: &File) -> Result<Vec<u8>, SourceError> {
    let mut bytes = Vec::new();
    let limit = MAX_LIST as u64;
    let read = (&mut body).take(limit + 1).read_to_end(&mut bytes);
    let why = match read {
        Ok(_) if bytes.len() <= MAX_LIST => return Ok(bytes),
        Ok(_) => format!("more than the {MAX_LIST} bytes that are read of a list"),
        Err(e) => e.to_string(),
    };
    Err(unreadable(url, why))
}

fn unreadable(url: &str, why: impl Into<String>) -> SourceError {
    SourceError::Unreadable {
        what: shown(url),
        why: why.into(),
    }
}

fn absent(url: &str) -> SourceError {
    SourceError::Fetch(FetchError::new(url, "there is nothing at this address"))
}

/// Remembers an answer once all that it brought is on the stream.
fn done(session: &mut Session<'_, '_>, url: &str, tag: Tag) -> Result<(), SourceError> {
    // It becomes durable with the rest, behind it.
    session.producer.state.set_tag(url, tag);
    session.flush()
}

/// A file or an archive; whether it changed. What cannot be read is fetched again the next time.
fn document(session: &mut Session<'_, '_>, url: &str) -> Result<bool, SourceError> {
    let max = MAX_ARCHIVE.max(session.feed.max_bytes as u64);
    match get(session, url, max)? {
        Got::Unchanged => Ok(false),
        Got::Absent => Err(absent(url)),
        Got::Body(body) => {
            content(session, file_name(&shown(url)), body.file, true)?;
            done(session, url, body.tag)?;
            Ok(true)
        }
    }
}

/// What was fetched: an archive by its first bytes, else one file, which may be all of the source.
fn content(
    session: &mut Session<'_, '_>,
    name: &str,
    mut file: File,
    whole: bool,
) -> Result<(), SourceError> {
    let failed = |e: std::io::Error| SourceError::Unreadable {
        what: name.to_owned(),
        why: e.to_string(),
    };
    let mut magic = Vec::new();
    (&mut file)
        .take(4)
        .read_to_end(&mut magic)
        .map_err(failed)?;
    file.rewind().map_err(failed)?;
    if magic == b"PK\x03\x04" || magic == b"PK\x05\x06" {
        let work = session.producer.work.clone();
        return session.walk(|want, each| shelf::archive(name, file, &work, want, each));
    }
    let max = session.feed.max_bytes;
    let mut bytes = Vec::new();
    file.take(max as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    let content = if bytes.len() > max {
        Err(format!("it has more than the {max} bytes that are read"))
    } else {
        Ok(bytes)
    };
    let name = name.to_owned();
    match content {
        Ok(bytes) if whole => session.whole_file(&name, bytes),
        Err(why) if whole => Err(SourceError::Unreadable { what: name, why }),
        content => session.unit(Unit {
            name,
            tag: None,
            content,
        }),
    }
}

/// Whether an address that a list names may be fetched: never less safe than the list itself.
fn may_follow(list: &str, url: &str) -> bool {
    let origin = |url: &str| -> Option<String> {
        let (scheme, rest) = url.split_once("://")?;
        Some(format!("{scheme}://{}", rest.split('/').next()?))
    };
    (list.starts_with("https://") && url.starts_with("https://"))
        || (origin(list).is_some() && origin(list) == origin(url))
}

fn releases(session: &mut Session<'_, '_>, url: &str) -> Result<(), SourceError> {
    let mut assets: Vec<Asset> = Vec::new();
    for page in 1..=MAX_RELEASE_PAGES {
        let address = format!("{url}?per_page=100&page={page}");
        // No answer to it is remembered, so it is asked without a condition: what was listed before
        // may not have been read to its end.
        let found = match get(session, &address, MAX_LIST as u64)? {
            Got::Body(body) => lists::releases(&whole(&address, &body.file)?)?,
            Got::Absent if page == 1 => return Err(absent(url)),
            Got::Absent | Got::Unchanged => Vec::new(),
        };
        let ended = found.is_empty();
        assets.extend(found);
        // Each hour's release has the day's baseline beside it: two of them are enough.
        let baselines = assets.iter().filter(|a| a.is_baseline()).count();
        if ended || baselines > 60 {
            break;
        }
    }
    if assets.is_empty() {
        return Err(unreadable(url, "no release has an archive"));
    }
    let newest = assets
        .iter()
        .filter(|asset| asset.is_baseline())
        .max_by_key(|asset| asset.updated)
        .cloned();
    let since: Option<Timestamp> = newest
        .as_ref()
        .and_then(|asset| asset.updated)
        .map(|at| at.plus_seconds(-BEFORE_BASELINE));
    let mut wanted: Vec<Asset> = assets
        .into_iter()
        .filter(|asset| !asset.is_baseline())
        // What has no date is read: better twice than never.
        .filter(|asset| asset.updated.is_none() || asset.updated >= since)
        .collect();
    wanted.sort_by(|a, b| (a.updated, &a.name).cmp(&(b.updated, &b.name)));
    for asset in newest.into_iter().chain(wanted) {
        one_asset(session, url, &asset)?;
    }
    Ok(())
}

fn one_asset(session: &mut Session<'_, '_>, list: &str, asset: &Asset) -> Result<(), SourceError> {
    if !may_follow(list, &asset.url) {
        return session.dead(
            &asset.name,
            "its address is on another host without TLS",
            &[],
        );
    }
    let mark = asset
        .sha256
        .clone()
        .or(asset.updated.map(|at| at.to_string()));
    let before = session.producer.state.tag(&asset.url);
    if mark.is_some() && before.until == mark {
        return Ok(());
    }
    match get(session, &asset.url, MAX_ARCHIVE)? {
        Got::Unchanged => Ok(()),
        Got::Absent => session.dead(&asset.name, "it is listed and is not there", &[]),
        Got::Body(body) => {
            if let Some(told) = &asset.sha256
                && !told.eq_ignore_ascii_case(&body.sha256)
            {
                let why = format!("its SHA-256 is {}, and the list says {told}", body.sha256);
                return session.dead(&asset.name, &why, &[]);
            }
            archive_of(session, &asset.name, body.file)?;
            let tag = Tag {
                until: mark,
                ..body.tag
            };
            done(session, &asset.url, tag)
        }
    }
}

fn osv(session: &mut Session<'_, '_>, url: &str) -> Result<(), SourceError> {
    let list = format!("{url}/modified_id.csv");
    let (entries, tag) = match get(session, &list, MAX_LIST as u64)? {
        Got::Unchanged => return Ok(()),
        // A mirror of the archive alone.
        Got::Absent => return document(session, &format!("{url}/all.zip")).map(drop),
        Got::Body(body) => (listed(session, &list, &body)?, body.tag),
    };
    let newest = entries.iter().map(|(_, at)| *at).max();
    let since = tag.until.as_deref().and_then(bartizan_vuln::feeds::moment);
    let changed: Vec<(&str, Timestamp)> = entries
        .iter()
        .filter(|(_, at)| since.is_none_or(|since| *at > since))
        .map(|(id, at)| (id.as_str(), *at))
        .collect();
    let until = if since.is_none() || changed.len() > MAX_SINGLE {
        let read = document(session, &format!("{url}/all.zip"))?;
        if !read && since.is_some() {
            since
        } else {
            // The archive is known to lack what changed last: single records make up for it.
            newest.map(|at| at.plus_seconds(-BEHIND))
        }
    } else {
        let mut missed = None;
        for (id, at) in changed {
            if !single(session, &format!("{url}/{id}.json"), None)? {
                missed = Some(missed.map_or(at, |earlier: Timestamp| earlier.min(at)));
            }
        }
        reached(session, newest, missed)
    };
    listed_until(session, &list, tag, newest, until)
}

/// The entries of a list. Lines that are none are told; a list of none is no list.
fn listed(
    session: &mut Session<'_, '_>,
    list: &str,
    body: &Body,
) -> Result<Vec<(String, Timestamp)>, SourceError> {
    let (entries, strange) = lists::changes(&whole(list, &body.file)?);
    if entries.is_empty() {
        return Err(unreadable(list, "no line of it names a file and a moment"));
    }
    if strange > 0 {
        let why = format!("{strange} lines name no file and moment");
        session.trouble(file_name(list), why)?;
    }
    Ok(entries)
}

/// How far a list was read: not past what could not be had, so that it is asked for again, and not
/// into the future, where no change has been yet.
fn reached(
    session: &Session<'_, '_>,
    newest: Option<Timestamp>,
    missed: Option<Timestamp>,
) -> Option<Timestamp> {
    let now = (session.producer.now)();
    let until = newest.map(|newest| newest.min(now));
    until.map(|until| missed.map_or(until, |at| until.min(at.plus_seconds(-1))))
}

/// Remembers how far a list was read; it is asked without a condition where there is more to come.
fn listed_until(
    session: &mut Session<'_, '_>,
    list: &str,
    tag: Tag,
    newest: Option<Timestamp>,
    until: Option<Timestamp>,
) -> Result<(), SourceError> {
    let whole = until == newest;
    let until = until.map(|at| at.to_string()).or(tag.until.clone());
    let tag = if whole { tag } else { Tag::default() };
    done(session, list, Tag { until, ..tag })
}

/// An archive of a list: where it cannot be read as a whole, that is told and the others are read.
fn archive_of(session: &mut Session<'_, '_>, name: &str, file: File) -> Result<(), SourceError> {
    match content(session, name, file, false) {
        Err(SourceError::Unreadable { what, why }) => session.dead(&what, &why, &[]),
        read => read,
    }
}

/// One file of a list, with its digest where published; whether it was to be had. Trouble with it
/// ends nothing else.
fn single(
    session: &mut Session<'_, '_>,
    url: &str,
    sha256: Option<&str>,
) -> Result<bool, SourceError> {
    let name = file_name(url);
    let why = match get(session, url, session.feed.max_bytes as u64) {
        Ok(Got::Unchanged) => return Ok(true),
        Ok(Got::Absent) => "it is listed and is not there".to_owned(),
        Err(SourceError::Fetch(error)) => error.why,
        Err(error) => return Err(error),
        Ok(Got::Body(body)) => {
            if let Some(told) = sha256
                && !told.eq_ignore_ascii_case(&body.sha256)
            {
                format!("its SHA-256 is {}, and its maker says {told}", body.sha256)
            } else {
                content(session, name, body.file, false)?;
                return Ok(true);
            }
        }
    };
    session.trouble(name, why)?;
    Ok(false)
}

fn pages(session: &mut Session<'_, '_>, url: &str) -> Result<(), SourceError> {
    let mut folders = vec![(url.to_owned(), 0)];
    let (mut visited, mut offered) = (0, 0);
    while let Some((folder, depth)) = folders.pop() {
        visited += 1;
        if visited > MAX_PAGES {
            return Err(unreadable(url, format!("more than {MAX_PAGES} pages")));
        }
        let address = format!("{folder}/");
        let page = match get(session, &address, MAX_LIST as u64)? {
            Got::Body(body) => whole(&address, &body.file)?,
            Got::Absent if depth == 0 => return Err(absent(url)),
            Got::Absent | Got::Unchanged => continue,
        };
        for link in lists::links(&page) {
            match link.strip_suffix('/') {
                Some(inner) if depth < 2 => folders.push((format!("{folder}/{inner}"), depth + 1)),
                Some(_) => {}
                None if (session.feed.wants)(&link) => {
                    offered += 1;
                    page_file(session, &folder, &link)?;
                }
                None => {}
            }
        }
    }
    if offered == 0 {
        return Err(unreadable(
            url,
            "no page there links to a file of this feed",
        ));
    }
    Ok(())
}

/// A file that a page links to: its name within the source has the folder, as several have the same.
fn page_file(session: &mut Session<'_, '_>, folder: &str, link: &str) -> Result<(), SourceError> {
    let address = format!("{folder}/{link}");
    let name = format!("{}/{link}", file_name(&shown(folder)));
    match get(session, &address, session.feed.max_bytes as u64) {
        Ok(Got::Unchanged) => Ok(()),
        Ok(Got::Absent) => session.trouble(&name, "it is listed and is not there"),
        Ok(Got::Body(body)) => {
            content(session, &name, body.file, false)?;
            done(session, &address, body.tag)
        }
        Err(SourceError::Fetch(error)) => session.trouble(&name, error.why),
        Err(error) => Err(error),
    }
}

/// CSAF's way: a list of changes, and a digest beside each file.
fn changed_files(session: &mut Session<'_, '_>, url: &str) -> Result<(), SourceError> {
    let list = format!("{url}/changes.csv");
    let (entries, tag) = match get(session, &list, MAX_LIST as u64)? {
        Got::Unchanged => return Ok(()),
        Got::Absent => return Err(absent(&list)),
        Got::Body(body) => (listed(session, &list, &body)?, body.tag),
    };
    if entries.len() > MAX_CHANGES {
        return Err(unreadable(&list, format!("more than {MAX_CHANGES} files")));
    }
    let mut missed: Option<Timestamp> = None;
    let newest = entries.iter().map(|(_, at)| *at).max();
    let since = tag.until.as_deref().and_then(bartizan_vuln::feeds::moment);
    for (path, at) in &entries {
        if since.is_some_and(|since| *at <= since) || !(session.feed.wants)(path) {
            continue;
        }
        let address = format!("{url}/{path}");
        let beside = format!("{address}.sha256");
        let digest = match get(session, &beside, 4096) {
            Ok(Got::Body(body)) => {
                let text = whole(&beside, &body.file)?;
                let text = String::from_utf8_lossy(&text).into_owned();
                text.split_whitespace().next().map(str::to_owned)
            }
            Ok(_) => None,
            Err(SourceError::Fetch(error)) => {
                session.trouble(file_name(&beside), error.why)?;
                missed = Some(missed.map_or(*at, |earlier| earlier.min(*at)));
                continue;
            }
            Err(error) => return Err(error),
        };
        if !single(session, &address, digest.as_deref())? {
            missed = Some(missed.map_or(*at, |earlier| earlier.min(*at)));
        }
    }
    let until = reached(session, newest, missed);
    listed_until(session, &list, tag, newest, until)
}
