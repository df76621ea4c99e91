//! Images made byte by byte.

use super::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use std::io::Write;

/// A header, with the bytes that follow it.
fn raw(flag: u8, name: &str, target: &str, mode: u32, bytes: &[u8]) -> Vec<u8> {
    let mut block = vec![0; 512];
    let mut put = |at: usize, text: &[u8]| block[at..at + text.len()].copy_from_slice(text);
    put(0, name.as_bytes());
    put(100, format!("{mode:07o}").as_bytes());
    put(108, b"0000000");
    put(116, b"0000052");
    put(124, format!("{:011o}", bytes.len()).as_bytes());
    put(136, b"00000001750");
    put(148, b"        ");
    put(156, &[flag]);
    put(157, target.as_bytes());
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block.extend_from_slice(bytes);
    block.resize(block.len().next_multiple_of(512), 0);
    block
}

fn file(name: &str, text: &str) -> Vec<u8> {
    raw(b'0', name, "", 0o644, text.as_bytes())
}

fn pax(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let mut length = rest + 1;
        while length != rest + length.to_string().len() {
            length += 1;
        }
        bytes.extend(format!("{length} {key}=").into_bytes());
        bytes.extend_from_slice(value);
        bytes.push(b'\n');
    }
    raw(b'x', "PaxHeaders/x", "", 0, &bytes)
}

fn tar(entries: &[Vec<u8>]) -> Vec<u8> {
    [entries.concat(), vec![0; 1024]].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn open_bytes(bytes: &[u8], name: Option<&str>) -> Result<Image, ImageError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.tar");
    std::fs::write(&path, bytes).unwrap();
    Image::open(&path, name, &mut || tempfile::tempfile())
}

/// As `docker save` writes it.
fn saved(layers: &[Vec<u8>]) -> Vec<u8> {
    let ids: Vec<String> = layers
        .iter()
        .map(|layer| format!("\"sha256:{}\"", hash(layer)))
        .collect();
    let config = format!(
        r#"{{"architecture":"amd64","config":{{"Env":["A=b=c"]}},"rootfs":{{"diff_ids":[{}]}}}}"#,
        ids.join(",")
    );
    let names: Vec<String> = (0..layers.len())
        .map(|at| format!("\"{at}/layer.tar\""))
        .collect();
    let manifest = format!(
        r#"[{{"Config":"c.json","RepoTags":["shop:1"],"Layers":[{}]}}]"#,
        names.join(",")
    );
    let mut entries = vec![file("c.json", &config), file("manifest.json", &manifest)];
    for (at, layer) in layers.iter().enumerate() {
        // The second is a link, as in archives of images that share layers.
        if at == 1 {
            entries.push(raw(b'0', "shared.tar", "", 0o644, layer));
            entries.push(raw(b'2', "1/layer.tar", "../shared.tar", 0o777, b""));
        } else {
            entries.push(raw(b'0', &format!("{at}/layer.tar"), "", 0o644, layer));
        }
    }
    tar(&entries)
}

fn read(image: &Image, path: &str) -> Result<String, io::ErrorKind> {
    let bytes = image.read(Path::new(path), 1 << 20);
    bytes
        .map(|bytes| String::from_utf8(bytes).unwrap())
        .map_err(|error| error.kind())
}

const MISSING: Result<String, io::ErrorKind> = Err(io::ErrorKind::NotFound);

fn two_layers() -> Vec<Vec<u8>> {
    let lower = tar(&[
        raw(b'5', "./", "", 0o755, b""),
        raw(b'5', "./etc/", "", 0o750, b""),
        file("etc/passwd", "root"),
        file("etc/gone", "x"),
        file("etc/changed", "old"),
        file("opt/a/b", "x"),
        file("keep/lower", "l"),
        raw(b'2', "bin", "usr/bin", 0o777, b""),
        raw(b'5', "usr/bin", "", 0o755, b""),
        raw(b'2', "etc/out", "../../../../etc/passwd", 0o777, b""),
        raw(b'2', "etc/loop", "loop", 0o777, b""),
        raw(b'1', "etc/same", "etc/passwd", 0o644, b""),
        raw(b'6', "pipe", "", 0o600, b""),
    ]);
    let upper = tar(&[
        file("opt/a/new", "n"),
        file("opt/a/.wh..wh..opq", ""),
        file("etc/.wh.gone", ""),
        file("etc/.wh..wh.plnk", ""),
        file("etc/changed", "new"),
        file("bin/tool", "t"),
        raw(b'5', "keep", "", 0o700, b""),
        pax(&[
            ("path", b"etc/long"),
            ("SCHILY.xattr.security.capability", b"\x01\x00\xff"),
            ("mtime", b"77.5"),
        ]),
        raw(b'0', "short", "", 0o4755, b"long"),
    ]);
    vec![lower, upper]
}

fn check(image: &Image) {
    assert_eq!(read(image, "/etc/passwd").unwrap(), "root");
    assert_eq!(read(image, "/etc/gone"), MISSING);
    assert_eq!(read(image, "/etc/changed").unwrap(), "new");
    assert_eq!(read(image, "/opt/a/b"), MISSING);
    assert_eq!(read(image, "/opt/a/new").unwrap(), "n");
    assert_eq!(read(image, "/keep/lower").unwrap(), "l");
    // Through the link, as engines unpack it.
    assert_eq!(read(image, "/usr/bin/tool").unwrap(), "t");
    assert_eq!(read(image, "/bin/../bin/tool").unwrap(), "t");
    assert_eq!(read(image, "/etc/out").unwrap(), "root");
    assert!(read(image, "/etc/loop").is_err() && read(image, "/pipe").is_err());
    assert_eq!(
        read(image, "/etc/passwd/x"),
        Err(io::ErrorKind::NotADirectory)
    );
    let stat = |path: &str| image.lstat(Path::new(path)).unwrap();
    assert_eq!(stat("/etc/same").inode, stat("/etc/passwd").inode);
    assert_eq!((stat("/keep").mode, stat("/etc").mode), (0o700, 0o750));
    let long = stat("/etc/long");
    assert_eq!((long.mode, long.gid, long.modified), (0o4755, 0o52, 77));
    assert_eq!(stat("/pipe").kind, FileKind::Fifo);
    assert_eq!(stat("/bin").kind, FileKind::SymbolicLink);
    let capability = image.attribute(Path::new("/etc/long"), "security.capability");
    assert_eq!(capability.unwrap().unwrap(), [1, 0, 255]);
    assert_eq!(
        image.canonical(Path::new("/bin/tool")).unwrap(),
        Path::new("/usr/bin/tool")
    );
    let names = image.read_dir(Path::new("/opt/a")).unwrap();
    assert_eq!(names, [("new".into(), Some(FileKind::Regular))]);
    let large = image.read(Path::new("/etc/passwd"), 3).unwrap_err();
    assert_eq!(large.kind(), io::ErrorKind::FileTooLarge);
}

#[test]
fn layers_of_docker_save() {
    let image = open_bytes(&saved(&two_layers()), None).unwrap();
    check(&image);
    assert_eq!(image.name.as_deref(), Some("shop:1"));
    assert!(image.id.as_ref().unwrap().starts_with("sha256:"));
    assert_eq!(image.environment().unwrap(), [("A".into(), "b=c".into())]);
    check(&open_bytes(&gzip(&saved(&two_layers())), Some("shop:1")).unwrap());
    let none = open_bytes(&saved(&two_layers()), Some("shop:2")).unwrap_err();
    assert!(none.to_string().contains("shop:1"), "{none}");
}

/// OCI's layout in a folder, with layers packed by gzip.
fn layout(layers: &[Vec<u8>], folder: &Path) {
    let blobs = folder.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let blob = |bytes: &[u8]| {
        std::fs::write(blobs.join(hash(bytes)), bytes).unwrap();
        format!(
            r#""digest":"sha256:{}","size":{}"#,
            hash(bytes),
            bytes.len()
        )
    };
    let ids: Vec<String> = layers
        .iter()
        .map(|one| format!("\"sha256:{}\"", hash(one)))
        .collect();
    let config = blob(format!(r#"{{"rootfs":{{"diff_ids":[{}]}}}}"#, ids.join(",")).as_bytes());
    let layers: Vec<String> = layers
        .iter()
        .map(|one| format!("{{{}}}", blob(&gzip(one))))
        .collect();
    let manifest = format!(
        r#"{{"config":{{{config}}},"layers":[{}]}}"#,
        layers.join(",")
    );
    let manifest = blob(manifest.as_bytes());
    let arch = archive_architecture();
    let inner = format!(
        r#"{{"manifests":[{{{manifest},"platform":{{"os":"unknown","architecture":"unknown"}}}},{{{manifest},"platform":{{"os":"linux","architecture":"{arch}"}}}}]}}"#
    );
    let inner = blob(inner.as_bytes());
    let index = format!(
        r#"{{"manifests":[{{{inner},"annotations":{{"org.opencontainers.image.ref.name":"a"}}}}]}}"#
    );
    std::fs::write(folder.join("index.json"), index).unwrap();
}

fn archive_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        other => other,
    }
}

#[test]
fn layers_of_oci() {
    let folder = tempfile::tempdir().unwrap();
    layout(&two_layers(), folder.path());
    let image = Image::open(folder.path(), None, &mut || tempfile::tempfile()).unwrap();
    check(&image);
    assert_eq!(image.name.as_deref(), Some("a"));
    // A layer that is not what was named.
    let other = gzip(&tar(&[file("etc/passwd", "other")]));
    let blobs = std::fs::read_dir(folder.path().join("blobs/sha256")).unwrap();
    for blob in blobs.map(|blob| blob.unwrap().path()) {
        if std::fs::read(&blob).unwrap().starts_with(&[0x1f, 0x8b]) {
            std::fs::write(&blob, &other).unwrap();
        }
    }
    let error = Image::open(folder.path(), None, &mut || tempfile::tempfile()).unwrap_err();
    assert!(error.to_string().contains("digest"), "{error}");
}

#[test]
fn a_plain_root() {
    let image = open_bytes(&two_layers()[0], None).unwrap();
    assert_eq!(read(&image, "/etc/passwd").unwrap(), "root");
    assert!(!image.is_live() && image.uname().is_err() && image.units().is_err());
}

#[test]
fn hostile_archives() {
    let long = "x/".repeat(3000);
    for (entries, word) in [
        (vec![file("../../etc/passwd", "x")], "leads out"),
        (vec![raw(b'1', "etc/a", "nothing", 0, b"")], "hard link"),
        (vec![raw(b'1', "etc/a", "/", 0, b"")], "hard link"),
        (
            vec![pax(&[("path", long.as_bytes())]), file("a", "x")],
            "too long",
        ),
        (vec![raw(b'Z', "etc/a", "", 0, b"")], "kind"),
        (vec![raw(b'0', "", "", 0, b"")], "root"),
        (
            vec![file("etc/a", "x")[..512].to_vec(), vec![7; 1024]],
            "header",
        ),
    ] {
        let layer = tar(&entries);
        let error = open_bytes(&saved(&[layer]), None).unwrap_err();
        let shown = format!("{error} {:?}", std::error::Error::source(&error));
        assert!(shown.contains(word), "{shown}");
    }
    let cut = saved(&two_layers());
    for length in [0, 100, 700, 5000, cut.len() - 4096] {
        assert!(open_bytes(&cut[..length], None).is_err(), "{length}");
    }
    // Sizes that no file has.
    let mut huge = raw(b'0', "etc/a", "", 0, b"");
    huge[124..136].copy_from_slice(&[
        0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    ]);
    huge[148..156].copy_from_slice(b"        ");
    let sum: u32 = huge.iter().map(|byte| u32::from(*byte)).sum();
    huge[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    assert!(open_bytes(&tar(&[huge]), None).is_err());
    let zstd = open_bytes(&saved(&[vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0]]), None).unwrap_err();
    assert!(zstd.to_string().contains("zstd"), "{zstd}");
    // Sparse files are there, but their bytes are not known.
    let mut sparse = two_layers();
    sparse.truncate(1);
    sparse.push(tar(&[
        pax(&[("GNU.sparse.major", b"1")]),
        file("etc/holes", "x"),
    ]));
    let image = open_bytes(&saved(&sparse), None).unwrap();
    assert_eq!(read(&image, "/etc/holes"), Err(io::ErrorKind::Unsupported));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_bytes(at in 0usize..9000, byte: u8) {
        let mut bytes = saved(&two_layers());
        let length = bytes.len();
        bytes[at % length] = byte;
        let _ = open_bytes(&bytes, None);
        let mut layer = two_layers().remove(0);
        let length = layer.len();
        layer[at % length] = byte;
        if let Ok(image) = open_bytes(&layer, None) {
            for (name, _) in image.read_dir(Path::new("/")).unwrap() {
                let _ = image.stat(&Path::new("/").join(name));
            }
        }
    }
}
