//! Whole targets: folders, images, and what hostile ones do.

mod brought;

use crate::catalogue::{Catalogued, Cataloguer};
use crate::image::{Blobs, Platform, image, saved};
use crate::tree::{Candidate, File, Side, Tree};
use crate::{Inventory, InventoryError, Target, TargetKind, Unread, folder, take};
use bartizan_model::{AssetUid, Digest};
use flate2::Compression;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

/// What a cataloguer says of one file.
pub(crate) fn catalogued(
    one: &dyn Cataloguer,
    path: &str,
    bytes: &[u8],
) -> (Vec<crate::catalogue::Package>, Vec<Unread>) {
    let mut out = Catalogued::default();
    let file = File {
        path: path.into(),
        executable: false,
        bytes: bytes.to_vec(),
        layer: None,
    };
    if let Err(why) = one.read(&file, &mut out) {
        out.unread(path, why);
    }
    one.finish(&mut out);
    let unread = out.take_unread();
    (out.into_packages(), unread)
}

/// Packages in order, with their sources.
pub(crate) fn list(out: &(Vec<crate::catalogue::Package>, Vec<Unread>)) -> Vec<String> {
    let mut all: Vec<String> = out
        .0
        .iter()
        .map(|p| match &p.source {
            Some(source) => format!("{} < {} {}", p.purl, source.name, source.version),
            None => p.purl.to_string(),
        })
        .collect();
    all.sort();
    all
}

fn status(names: &[&str]) -> Vec<u8> {
    let one = |n: &&str| format!("Package: {n}\nStatus: install ok installed\nVersion: 1\n\n");
    names.iter().map(one).collect::<String>().into_bytes()
}

fn names(inventory: &Inventory) -> Vec<&str> {
    inventory.components.iter().map(|c| c.purl.name()).collect()
}

fn whys(inventory: &Inventory) -> String {
    let one = |u: &Unread| format!("{}: {}\n", u.path, u.why);
    inventory.unread.iter().map(one).collect()
}

/// Files in memory, in an order.
struct Memory(Vec<(&'static str, &'static str)>);

impl Tree for Memory {
    fn visit(
        &mut self,
        wanted: &dyn Fn(&Candidate<'_>) -> bool,
        each: &mut dyn FnMut(File),
        _: &mut Vec<Unread>,
    ) {
        for (path, text) in &self.0 {
            let file = File {
                path: (*path).into(),
                executable: false,
                bytes: text.as_bytes().to_vec(),
                layer: None,
            };
            if wanted(&file.candidate()) {
                each(file);
            }
        }
    }
}

const STATUS: &str = "var/lib/dpkg/status";

#[test]
fn a_host_and_what_it_does_not_read() {
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| root.path().join(path);
    let write = |path: &str, bytes: &[u8]| {
        std::fs::create_dir_all(at(path).parent().unwrap()).unwrap();
        std::fs::write(at(path), bytes).unwrap();
    };
    write("etc/hostname", b"db-1\n");
    write("usr/lib/os-release", b"ID=debian\nVERSION_ID=\"12\"\n");
    write(STATUS, &status(&["dash"]));
    // A loop, a way out, and a file that is larger than it is.
    std::os::unix::fs::symlink("..", at("etc/loop")).unwrap();
    std::fs::create_dir_all(at("usr/lib/apk/db")).unwrap();
    std::fs::create_dir_all(at("lib/apk/db")).unwrap();
    std::os::unix::fs::symlink("installed", at("usr/lib/apk/db/installed")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", at("lib/apk/db/installed")).unwrap();
    write("var/lib/rpm/rpmdb.sqlite", b"");
    let sparse = std::fs::File::create(at("var/lib/rpm/rpmdb.sqlite")).unwrap();
    sparse.set_len(10 << 30).unwrap();
    write("var/lib/rpm/Packages.db", b"RpmPbroken");
    let mut deep = at("deep");
    for _ in 0..260 {
        deep.push("d");
    }
    std::fs::create_dir_all(&deep).unwrap();
    let start = Instant::now();
    let told = folder(root.path(), true).unwrap();
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(told.target.uid.as_str(), "host:db-1");
    assert_eq!(names(&told), ["dash"]);
    let purl = told.components[0].purl.to_string();
    assert_eq!(purl, "pkg:deb/debian/dash@1?distro=debian-12");
    assert_eq!(
        String::from(told.components[0].ecosystem.clone()),
        "Debian:12"
    );
    let whys = whys(&told);
    for wanted in [
        "usr/lib/apk/db/installed: Too many levels",
        "lib/apk/db/installed: a link that leads out",
        "var/lib/rpm/rpmdb.sqlite: it has 10737418240 bytes",
        "var/lib/rpm/Packages.db: rpm: ",
        "deeper than 200 folders",
    ] {
        assert!(whys.contains(wanted), "{wanted}: {whys}");
    }
    assert_eq!(told.unread.len(), 5, "{whys}");
    assert!(folder(&at("none"), false).is_err());
    let one = folder(&at("etc/hostname"), false).unwrap();
    assert!(one.components.is_empty());
}

#[derive(Default)]
struct Fake {
    blobs: HashMap<Digest, Vec<u8>>,
    named: Vec<u8>,
}

impl Fake {
    fn put(&mut self, bytes: Vec<u8>) -> Digest {
        let digest = Digest::of(&bytes);
        self.blobs.insert(digest.clone(), bytes);
        digest
    }

    fn of(layers: Vec<Vec<u8>>) -> Self {
        let mut fake = Self::default();
        let layers: Vec<Value> = layers
            .into_iter()
            .map(|bytes| json!({"size": bytes.len(), "digest": fake.put(bytes).as_str()}))
            .collect();
        fake.named = json!({ "layers": layers }).to_string().into_bytes();
        fake
    }

    fn read(&mut self) -> Inventory {
        image(self, "nginx:1", None).unwrap()
    }
}

impl Blobs for Fake {
    fn named(&mut self) -> Result<Vec<u8>, InventoryError> {
        Ok(self.named.clone())
    }

    fn blob(&mut self, digest: &Digest) -> Result<Box<dyn Read + '_>, InventoryError> {
        match self.blobs.get(digest) {
            Some(bytes) => Ok(Box::new(bytes.as_slice())),
            None => Err(InventoryError::Absent("it is not there".into())),
        }
    }
}

/// A tar of files; `->` before the bytes makes a hard link, `~>` a symbolic one.
fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(bytes.len() as u64);
        // Set by hand: the crate refuses the paths that are tried here.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        let link = bytes.strip_prefix(b"->").or(bytes.strip_prefix(b"~>"));
        if let Some(link) = link {
            header.set_entry_type(match bytes.first() {
                Some(b'~') => tar::EntryType::Symlink,
                _ => tar::EntryType::Link,
            });
            header.set_size(0);
            header.as_old_mut().linkname[..link.len()].copy_from_slice(link);
        }
        header.set_cksum();
        let bytes = if link.is_some() { b"" } else { *bytes };
        builder.append(&header, bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

#[test]
fn layers_are_one_tree() {
    let first = tar(&[
        (STATUS, &status(&["old"])),
        ("lib/apk/db/installed", b"P:gone\nV:1\n"),
        ("var/lib/dpkg/status.d/a", b"Package: opaque\nVersion: 1\n"),
    ]);
    let second = gzip(&tar(&[
        ("./var/lib/dpkg/status", &status(&["new"])),
        ("lib/apk/.wh.db", b""),
        ("var/lib/dpkg/status.d/.wh..wh..opq", b""),
        ("var/lib/dpkg/status.d/b", b"Package: fresh\nVersion: 1\n"),
        ("blob", b"P:linked\nV:1\n"),
        ("usr/lib/apk/db/installed", b"->blob"),
    ]));
    let third = zstd::encode_all(
        tar(&[("blob", b"other"), ("etc/x", b"->nothing")]).as_slice(),
        1,
    );
    let mut fake = Fake::of(vec![first, second.clone(), third.unwrap()]);
    let told = fake.read();
    // The hard link keeps the bytes that the layer above hides under their own name.
    assert_eq!(names(&told), ["linked", "fresh", "new"]);
    assert_eq!(whys(&told), "");
    let layer = told.components[1].found[0].layer.clone();
    assert_eq!(layer, Some(Digest::of(&second)));
    assert_eq!(told.target.digest, Some(Digest::of(&fake.named)));
    // A layer that is not what it is called: nothing of the image is believed.
    fake.blobs.insert(Digest::of(&second), gzip(&tar(&[])));
    let told = image(&mut fake, "nginx:1", None);
    assert!(matches!(told, Err(InventoryError::Forged(d)) if d == Digest::of(&second)));
}

#[test]
fn symbolic_links_of_an_image_are_read_where_they_end() {
    let lower = tar(&[
        ("opt/real", b"P:linked\nV:1\n"),
        ("srv/old", b"Package: old\nVersion: 1\n"),
    ]);
    let upper = tar(&[
        ("lib/apk/db/installed", b"~>/opt/../data/./real"),
        ("data", b"~>opt"),
        (
            "usr/lib/apk/db/installed",
            b"~>../../../../lib/apk/db/installed",
        ),
        // Its end is read under its own name.
        (STATUS, &status(&["own"])),
        ("var/lib/dpkg/status.d/again", b"~>../status"),
        ("var/lib/dpkg/status.d/loop", b"~>loop"),
        ("var/lib/dpkg/status.d/nothing", b"~>../nothing"),
        ("var/lib/dpkg/status.d/removed", b"~>../../../../srv/old"),
        ("srv/.wh.old", b""),
    ]);
    let told = Fake::of(vec![lower.clone(), upper]).read();
    let found: Vec<(&str, Vec<&str>)> = told
        .components
        .iter()
        .map(|c| {
            (
                c.purl.name(),
                c.found.iter().map(|f| f.path.as_str()).collect(),
            )
        })
        .collect();
    let databases = vec!["lib/apk/db/installed", "usr/lib/apk/db/installed"];
    assert_eq!(found, [("linked", databases), ("own", vec![STATUS])]);
    assert_eq!(told.components[0].found[0].layer, Some(Digest::of(&lower)));
    assert_eq!(
        whys(&told),
        "var/lib/dpkg/status.d/loop: its links go in circles\n"
    );
}

#[test]
fn hostile_layers_are_told_and_the_rest_goes_on() {
    let good = tar(&[(STATUS, &status(&["good"]))]);
    let escape = tar(&[
        ("../../var/lib/dpkg/status", &status(&["outside"])),
        ("lib/apk/db/installed", b"->../../../etc/passwd"),
    ]);
    let cut = tar(&[("usr/lib/apk/db/installed", &vec![b'x'; 5000])]);
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), Compression::best());
    let mut header = tar::Header::new_gnu();
    header.set_size(20 << 30);
    header.set_cksum();
    bomb.write_all(header.as_bytes()).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..700 {
        bomb.write_all(&zeros).unwrap();
    }
    // A name of a gigabyte.
    let mut name = tar::Header::new_gnu();
    name.set_entry_type(tar::EntryType::GNULongName);
    name.set_size(1 << 30);
    name.set_cksum();
    let mut fake = Fake::of(vec![
        good,
        escape,
        cut[..2000].to_vec(),
        bomb.finish().unwrap(),
        name.as_bytes().to_vec(),
        b"no tar at all".repeat(100),
        gzip(&vec![7; 4096])[..20].to_vec(),
    ]);
    // One is not there.
    let gone = json!({"digest": Digest::of(b"gone").as_str()});
    let mut manifest: Value = serde_json::from_slice(&fake.named).unwrap();
    manifest["layers"].as_array_mut().unwrap().push(gone);
    fake.named = manifest.to_string().into_bytes();
    let start = Instant::now();
    let told = fake.read();
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(names(&told), ["good"]);
    let whys = whys(&told);
    for wanted in [
        "../../var/lib/dpkg/status: its path leads out",
        "lib/apk/db/installed: a hard link that leads out",
        "the tar is cut off",
        "more than 200 times its size",
        "it is too long",
        "a header with a wrong sum",
        "the layer is not there",
    ] {
        assert!(whys.contains(wanted), "{wanted}: {whys}");
    }
    assert_eq!(told.unread.len(), 8, "{whys}");
}

#[test]
fn an_index_is_chosen_from_by_platform() {
    let mut fake = Fake::of(vec![tar(&[(STATUS, &status(&["arm"]))])]);
    let manifest = fake.named.clone();
    let arm = fake.put(manifest);
    let entry = |digest: &Digest, os: &str, arch: &str| json!({"digest": digest.as_str(), "platform": {"os": os, "architecture": arch}});
    let inner = json!({"manifests": [entry(&arm, "linux", "arm64")]}).to_string();
    let inner = fake.put(inner.into_bytes());
    fake.named = json!({"manifests": [
        entry(&Digest::of(b"attestation"), "unknown", "unknown"),
        entry(&inner, "linux", "arm64"),
        entry(&Digest::of(b"windows"), "windows", "amd64"),
    ]})
    .to_string()
    .into_bytes();
    let arm64: Platform = "linux/arm64".parse().unwrap();
    let told = image(&mut fake, "a", Some(&arm64)).unwrap();
    assert_eq!(names(&told), ["arm"]);
    assert_eq!(told.target.digest, Some(arm));
    let s390x: Platform = "linux/s390x".parse().unwrap();
    let why = image(&mut fake, "a", Some(&s390x)).unwrap_err().to_string();
    assert!(
        why.ends_with("there is: linux/arm64, windows/amd64"),
        "{why}"
    );
    let name = format!("a@{}", Digest::of(b"other").as_str());
    assert!(matches!(
        image(&mut fake, &name, None),
        Err(InventoryError::Forged(_))
    ));
    assert!("linux".parse::<Platform>().is_err());
}

#[test]
fn layouts_and_archives_on_disk() {
    let root = tempfile::tempdir().unwrap();
    let mut fake = Fake::of(vec![gzip(&tar(&[(STATUS, &status(&["layout"]))]))]);
    let manifest = fake.named.clone();
    let digest = fake.put(manifest);
    let note = json!({"org.opencontainers.image.ref.name": "1.2"});
    let index = json!({"manifests": [{"digest": digest.as_str(), "annotations": note}]});
    let mut files = vec![("index.json".to_owned(), index.to_string().into_bytes())];
    for (digest, bytes) in &fake.blobs {
        files.push((
            digest.as_str().replace("sha256:", "blobs/sha256/"),
            bytes.clone(),
        ));
    }
    let layout = root.path().join("layout");
    std::fs::create_dir_all(layout.join("blobs/sha256")).unwrap();
    for (path, bytes) in &files {
        std::fs::write(layout.join(path), bytes).unwrap();
    }
    let pairs: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(p, b)| (p.as_str(), b.as_slice()))
        .collect();
    let archive = root.path().join("layout.tar");
    std::fs::write(&archive, tar(&pairs)).unwrap();
    for path in [&layout, &archive] {
        for name in [None, Some("reg.io/a:1.2")] {
            assert_eq!(names(&saved(path, name, None).unwrap()), ["layout"]);
        }
        assert!(saved(path, Some("a:9"), None).is_err());
    }

    // As docker writes it: the second layer is a link to the first, as it did for years.
    let layer = tar(&[(STATUS, &status(&["docker"]))]);
    let other = tar(&[("x", b"y")]);
    let diff = |bytes: &[u8]| Digest::of(bytes).as_str().to_owned();
    let config = json!({"rootfs": {"diff_ids": [diff(&layer), diff(&other)]}}).to_string();
    let list = json!([{"Config": "c.json", "RepoTags": ["a:1"], "Layers": ["1/layer.tar", "2/layer.tar"]}]);
    let list = list.to_string();
    let docker = root.path().join("docker.tar");
    let files: &[(&str, &[u8])] = &[
        ("c.json", config.as_bytes()),
        ("1/layer.tar", &layer),
        ("real.tar", &gzip(&other)),
        ("2/layer.tar", b"->real.tar"),
        ("manifest.json", list.as_bytes()),
    ];
    std::fs::write(&docker, tar(files)).unwrap();
    let told = saved(&docker, Some("a:1"), None).unwrap();
    assert_eq!((names(&told), told.unread.len()), (vec!["docker"], 0));
    assert_eq!(told.components[0].found[0].layer, Some(Digest::of(&layer)));
    // Another layer in its place.
    let mut forged = files.to_vec();
    forged[1].1 = &other;
    std::fs::write(&docker, tar(&forged)).unwrap();
    assert!(matches!(
        saved(&docker, None, None),
        Err(InventoryError::Forged(_))
    ));
    std::fs::write(&docker, gzip(&tar(files))).unwrap();
    let why = saved(&docker, None, None).unwrap_err().to_string();
    assert!(why.contains("unpack it first"), "{why}");
    assert_eq!(Fake::default().side(), Side::Packed);
}

#[test]
fn the_order_of_files_changes_nothing() {
    let mut files = vec![
        (
            "a.dist-info/METADATA",
            "Name: a\nVersion: 1\nLicense: MIT\n",
        ),
        ("b/a.dist-info/METADATA", "Name: a\nVersion: 1\n"),
        (
            "c/a.dist-info/METADATA",
            "Name: a\nVersion: 1\nLicense: Apache-2.0\n",
        ),
    ];
    let target = || Target {
        uid: AssetUid::new("folder:x").unwrap(),
        kind: TargetKind::Folder,
        name: "x".into(),
        digest: None,
    };
    let told = take(target(), &mut Memory(files.clone()));
    let one = &told.components[0];
    assert_eq!(
        (one.licences.len(), one.found.len()),
        (2, 3),
        "{:?}",
        one.licences
    );
    files.reverse();
    assert_eq!(take(target(), &mut Memory(files)), told);
}

#[test]
fn more_than_is_told_is_said() {
    let mut builder = tar::Builder::new(Vec::new());
    for n in 0..10_100 {
        let mut header = tar::Header::new_gnu();
        header.set_size(0);
        let name = format!("../{n}");
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, &b""[..]).unwrap();
    }
    let told = Fake::of(vec![builder.into_inner().unwrap()]).read();
    assert_eq!(told.unread.len(), 10_001);
    assert_eq!(told.unread[0].why, "more than 10000: the rest is not told");
}
