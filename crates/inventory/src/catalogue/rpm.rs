//! rpm: the database of headers, in any of its formats.

use super::{Catalogued, Cataloguer, Owner, Package, at};
use crate::tree::{Candidate, File};
use crate::{Maker, Sum, brought};
use bartizan_model::Purl;
use bartizan_model::component::SourcePackage;
use bartizan_packages::rpm::{self, DATABASES, Depth, FOLDERS, FileRecord, LOG, SQLITE};

/// Packages that rpm has installed.
pub struct Rpm;

impl Cataloguer for Rpm {
    fn name(&self) -> &'static str {
        "rpm"
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        let Some((folder, name)) = file.path.rsplit_once('/') else {
            return false;
        };
        let known = |place: &&str| place.strip_prefix('/') == Some(folder);
        (name == LOG || DATABASES.contains(&name)) && FOLDERS.iter().any(known)
    }

    fn read(&self, file: &File, out: &mut Catalogued) -> Result<(), String> {
        match file.candidate().name() {
            // A database without its log is old: both are read when both are there.
            SQLITE | LOG => out.hold(file),
            _ => database(file, &[], out)?,
        }
        Ok(())
    }

    fn yields(&self) -> bool {
        false
    }

    fn finish(&self, out: &mut Catalogued) {
        for folder in FOLDERS {
            let path = |name: &str| format!("{}/{name}", folder.trim_start_matches('/'));
            let log = out.held(&path(LOG)).filter(|log| !log.bytes.is_empty());
            let Some(file) = out.held(&path(SQLITE)) else {
                if let Some(log) = log {
                    out.unread(
                        &log.path,
                        "rpm: the database that it belongs to is not there",
                    );
                }
                continue;
            };
            if let Some(log) = log {
                match database(&file, &log.bytes, out) {
                    Ok(()) => continue,
                    Err(why) => out.unread(&log.path, format!("rpm: changes are not read: {why}")),
                }
            }
            if let Err(why) = database(&file, &[], out) {
                out.unread(&file.path, format!("rpm: {why}"));
            }
        }
    }
}

/// What a database tells, with what stands in its log: all of it or nothing.
fn database(file: &File, log: &[u8], out: &mut Catalogued) -> Result<(), String> {
    let mut all = Vec::new();
    let told = rpm::each(&file.bytes, log, Depth::Digests, |mut package| {
        package.records.retain(|one| brought::counts(&one.path));
        all.push(package);
    });
    told.map_err(|e| e.to_string())?;
    for package in all {
        let maker = Maker {
            purl_type: "rpm",
            vendor: Some(package.vendor.as_deref().unwrap_or_default().into()),
        };
        // What is not installed, or in the place of another's, is not its own.
        for one in package.records.iter().filter(|one| one.state == 0) {
            out.brought(&one.path, &maker, sum(one));
        }
        // A key is kept like a package and is no software.
        if package.name == "gpg-pubkey" {
            continue;
        }
        match component(&package) {
            Ok((purl, source)) => out.add(Package {
                purl,
                owner: Owner::Distribution("rpm"),
                source,
                licences: package.licence.into_iter().collect(),
                found: at(file),
            }),
            Err(why) => out.unread(&file.path, why),
        }
    }
    Ok(())
}

/// By the number of RFC 4880 for SHA-256; older packages have MD5.
fn sum(file: &FileRecord) -> Sum {
    let bytes = hex::decode(&file.digest)
        .ok()
        .filter(|_| file.algorithm == 8);
    let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(Sum::Untold, Sum::Sha256)
}

fn component(package: &rpm::Package) -> Result<(Purl, Option<SourcePackage>), String> {
    let version = format!("{}-{}", package.version, package.release);
    let epoch = package.epoch.filter(|epoch| *epoch != 0);
    let shown = epoch.map(|epoch| epoch.to_string()).unwrap_or_default();
    let arch = match package.arch.as_str() {
        "(none)" => "",
        arch => arch,
    };
    let purl = Purl::new("rpm", None, &package.name, Some(&version))
        .and_then(|purl| purl.with("arch", arch))
        .and_then(|purl| purl.with("epoch", &shown))
        .map_err(|e| e.to_string())?;
    let source = package.source.as_deref().and_then(rpm::source);
    let source = source
        .filter(|(name, built)| *name != package.name || *built != version)
        .map(|(name, built)| SourcePackage {
            name: name.to_owned(),
            // The file's name has none: packages of one build share their epoch.
            version: match epoch {
                Some(epoch) => format!("{epoch}:{built}"),
                None => built.to_owned(),
            },
        });
    Ok((purl, source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{catalogued, list};
    use std::io::Read;

    #[test]
    fn a_database_made_by_rpm() {
        let packed = include_bytes!("../../../scap/src/probe/host/testdata/rpmdb.sqlite.bz2");
        let mut bytes = Vec::new();
        bzip2::read::BzDecoder::new(&packed[..])
            .read_to_end(&mut bytes)
            .unwrap();
        let out = catalogued(&Rpm, "var/lib/rpm/rpmdb.sqlite", &bytes);
        assert_eq!(list(&out), ["pkg:rpm/tiny@1.2-3?arch=noarch&epoch=4"]);
        assert!(out.1.is_empty());
        // Cut: an error, and not the half of it.
        let out = catalogued(&Rpm, "var/lib/rpm/rpmdb.sqlite", &bytes[..5000]);
        assert_eq!((out.0.len(), out.1.len()), (0, 1));
        let out = catalogued(&Rpm, "var/lib/rpm/rpmdb.sqlite-wal", b"x");
        assert_eq!(out.1.len(), 1);
    }

    #[test]
    fn a_database_and_its_log_are_one() {
        let unpacked = |packed: &[u8]| {
            let mut bytes = Vec::new();
            let mut reader = bzip2::read::BzDecoder::new(packed);
            reader.read_to_end(&mut bytes).unwrap();
            bytes
        };
        let folder = "var/lib/rpm";
        let database = unpacked(include_bytes!(
            "../../../packages/src/rpm/testdata/logged.sqlite.bz2"
        ));
        let log = unpacked(include_bytes!(
            "../../../packages/src/rpm/testdata/logged.sqlite-wal.bz2"
        ));
        let mut broken = log.clone();
        broken[100] ^= 1;
        for (log, wanted, unread) in [
            ([].as_slice(), ["old", "removed"], 0),
            (log.as_slice(), ["old", "new"], 0),
            (broken.as_slice(), ["old", "removed"], 1),
        ] {
            let mut files = [(SQLITE, database.as_slice()), (LOG, log)];
            for _ in 0..2 {
                files.reverse();
                let mut out = Catalogued::default();
                for (name, bytes) in files {
                    let file = File {
                        path: format!("{folder}/{name}"),
                        executable: false,
                        bytes: bytes.to_vec(),
                        layer: None,
                    };
                    Rpm.read(&file, &mut out).unwrap();
                }
                Rpm.finish(&mut out);
                assert_eq!(out.take_unread().len(), unread);
                let all = out.into_packages();
                let names: Vec<&str> = all.iter().map(|p| p.purl.name()).collect();
                assert_eq!(names, wanted);
            }
        }
    }

    #[test]
    fn sources() {
        assert_eq!(
            rpm::source("openssl-libs-3.0.7-24.el9.src.rpm"),
            Some(("openssl-libs", "3.0.7-24.el9"))
        );
        assert_eq!(rpm::source("x.src.rpm"), None);
        let package = rpm::Package {
            name: "openssl-libs".into(),
            version: "3.0.7".into(),
            release: "24.el9".into(),
            epoch: Some(1),
            arch: "x86_64".into(),
            source: Some("openssl-3.0.7-24.el9.src.rpm".into()),
            ..rpm::Package::default()
        };
        let (purl, source) = component(&package).unwrap();
        assert_eq!(
            purl.to_string(),
            "pkg:rpm/openssl-libs@3.0.7-24.el9?arch=x86_64&epoch=1"
        );
        assert_eq!(source.unwrap().version, "1:3.0.7-24.el9");
    }
}
