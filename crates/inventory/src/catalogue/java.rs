//! Artifacts of Java: jar, war and ear files, those within them, and what was shaded into them.

mod manifest;
mod place;

use super::{Catalogued, Cataloguer, Owner, Package};
use crate::tree::{Candidate, File};
use bartizan_model::component::Found;
use bartizan_model::{EcosystemKind, Purl};
use std::io::{Cursor, Read};
use std::time::{Duration, Instant};
use zip::ZipArchive;

/// Archives, to a depth of four.
pub struct Java;

const ENDS: [&str; 9] = [
    ".jar", ".war", ".ear", ".par", ".sar", ".rar", ".jpi", ".hpi", ".kar",
];
/// Archives within archives.
const DEPTH: usize = 4;
/// `pom.properties` and manifests.
const TEXT: u64 = 1 << 20;
/// One archive within another, unpacked.
const INNER: u64 = 256 << 20;
/// All that is unpacked of one file.
const BYTES: u64 = 1 << 30;
/// Entries of one file, with those of what is within.
const ENTRIES: usize = 500_000;
/// Archives of one file, with those within.
const ARCHIVES: usize = 5_000;
/// What one file may take.
const TIME: Duration = Duration::from_secs(30);

impl Cataloguer for Java {
    fn name(&self) -> &'static str {
        "java"
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        is_archive(file.name()) || is_properties(file.path)
    }

    fn read(&self, file: &File, out: &mut Catalogued) -> Result<(), String> {
        if is_properties(&file.path) {
            let text = String::from_utf8_lossy(&file.bytes);
            let pom = manifest::pom(&text).ok_or("it gives no groupId, artifactId and version")?;
            add(out, file, &file.path, pom);
            return Ok(());
        }
        let mut budget = Budget {
            until: Instant::now() + TIME,
            bytes: BYTES,
            entries: ENTRIES,
            archives: ARCHIVES,
        };
        archive(file, &file.path, &file.bytes, 0, &mut budget, out)
    }
}

fn is_archive(name: &str) -> bool {
    // A file of sources is no part of what runs.
    ENDS.iter().any(|end| {
        let at = name.len().saturating_sub(end.len());
        name.get(at..)
            .is_some_and(|last| last.eq_ignore_ascii_case(end))
    }) && !name.ends_with("-sources.jar")
        && !name.ends_with("-javadoc.jar")
}

fn is_properties(path: &str) -> bool {
    path.ends_with("/pom.properties") && path.contains("META-INF/maven/")
}

/// What is left of time and space.
struct Budget {
    until: Instant,
    bytes: u64,
    entries: usize,
    archives: usize,
}

impl Budget {
    fn check(&self) -> Result<(), String> {
        match Instant::now() < self.until {
            true => Ok(()),
            false => Err(format!("it takes longer than {} s", TIME.as_secs())),
        }
    }

    /// The entry, whole.
    fn read(&mut self, entry: impl Read, most: u64) -> Result<Vec<u8>, String> {
        let most = most.min(self.bytes);
        let mut bytes = Vec::new();
        entry
            .take(most + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| format!("it cannot be unpacked: {e}"))?;
        if bytes.len() as u64 > most {
            self.bytes = self.bytes.saturating_sub(most);
            return Err("it is too large".into());
        }
        self.bytes -= bytes.len() as u64;
        Ok(bytes)
    }
}

/// What an artifact is called.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Coordinates {
    group: String,
    artifact: String,
    version: String,
}

fn archive(
    file: &File,
    path: &str,
    bytes: &[u8],
    depth: usize,
    budget: &mut Budget,
    out: &mut Catalogued,
) -> Result<(), String> {
    budget.check()?;
    budget.archives = budget
        .archives
        .checked_sub(1)
        .ok_or("it holds too many archives")?;
    let mut zip =
        ZipArchive::new(Cursor::new(bytes)).map_err(|e| format!("it is no archive: {e}"))?;
    budget.entries = budget
        .entries
        .checked_sub(zip.len())
        .ok_or("it has too many entries")?;
    let mut poms = Vec::new();
    let mut main = None;
    let mut inner = Vec::new();
    let mut classes = place::Classes::default();
    for index in 0..zip.len() {
        let name = match zip.name_for_index(index) {
            Some(Ok(name)) => name.into_owned(),
            // What has no name is none of those below.
            _ => continue,
        };
        classes.add(&name);
        if is_archive(&name) {
            inner.push((index, name));
        } else if name == "META-INF/MANIFEST.MF" || is_properties(&name) {
            let text = unpack(&mut zip, index, TEXT, budget);
            match text.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()) {
                Ok(text) if name.ends_with(".MF") => main = Some(text),
                Ok(text) => match manifest::pom(&text) {
                    Some(pom) => poms.push(pom),
                    None => out.unread(
                        &within(path, &name),
                        "java: it gives no groupId, artifactId and version",
                    ),
                },
                Err(why) => out.unread(&within(path, &name), format!("java: {why}")),
            }
        }
    }
    let own = path.rsplit(['/', '!']).next().unwrap_or(path);
    let named = manifest::named(own);
    // Whoever names no pom of its own, but holds those of others, is itself something else.
    let is_own = |pom: &Coordinates| {
        named
            .as_ref()
            .is_some_and(|(name, _)| *name == pom.artifact)
    };
    if poms.is_empty() || (poms.len() > 1 && !poms.iter().any(is_own)) {
        match manifest::artifact(main.as_deref().unwrap_or_default(), named.as_ref()) {
            manifest::Told::Whole(one) => add(out, file, path, one),
            manifest::Told::Guessed(one) => {
                let one = place::lies(path).unwrap_or_else(|| guessed(one, &classes, path, out));
                add(out, file, path, one);
            }
            // A war or ear is the application itself.
            manifest::Told::Nothing
                if poms.is_empty() && inner.is_empty() && own.ends_with(".jar") =>
            {
                out.unread(path, "java: nothing tells what it is");
            }
            manifest::Told::Nothing => {}
        }
    }
    for pom in poms {
        add(out, file, path, pom);
    }
    for (index, name) in inner {
        let place = within(path, &name);
        if depth + 1 >= DEPTH {
            out.unread(
                &place,
                format!("java: it stands deeper than {DEPTH} archives"),
            );
            continue;
        }
        budget.check()?;
        let told = unpack(&mut zip, index, INNER, budget)
            .and_then(|bytes| archive(file, &place, &bytes, depth + 1, budget, out));
        if let Err(why) = told {
            out.unread(&place, format!("java: {why}"));
        }
    }
    Ok(())
}

/// An artifact whose group nothing tells. A guess finds advisories where it is right; where it is
/// not, it finds none, so it is told in either case.
fn guessed(
    mut one: Coordinates,
    classes: &place::Classes,
    path: &str,
    out: &mut Catalogued,
) -> Coordinates {
    let why = match classes.group(&one.artifact) {
        Some(group) => {
            one.group = group;
            format!(
                "java: {} is the group of {} {} by its classes alone; advisories of another are not found",
                one.group, one.artifact, one.version
            )
        }
        None => format!(
            "java: nothing tells the group of {} {}, so no advisory is found for it",
            one.artifact, one.version
        ),
    };
    out.unread(path, why);
    one
}

fn unpack(
    zip: &mut ZipArchive<Cursor<&[u8]>>,
    index: usize,
    most: u64,
    budget: &mut Budget,
) -> Result<Vec<u8>, String> {
    let entry = zip
        .by_index(index)
        .map_err(|e| format!("it cannot be unpacked: {e}"))?;
    budget.read(entry, most)
}

fn within(path: &str, name: &str) -> String {
    format!("{path}!/{name}")
}

fn add(out: &mut Catalogued, file: &File, path: &str, one: Coordinates) {
    match Purl::new("maven", Some(&one.group), &one.artifact, Some(&one.version)) {
        Ok(purl) => out.add(Package {
            purl,
            owner: Owner::Registry(EcosystemKind::Maven),
            source: None,
            licences: Vec::new(),
            found: Found {
                path: path.to_owned(),
                layer: file.layer.clone(),
            },
        }),
        Err(why) => out.unread(path, format!("java: {why}")),
    }
}

#[cfg(test)]
mod tests;
