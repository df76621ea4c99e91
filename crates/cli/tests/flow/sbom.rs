//! Lists of software: of folders, layouts and a registry on this machine, in every form, and what
//! changed between two.

use crate::images::lab::{REPOSITORY, Registry};
use crate::images::registry::{Served, layout};
use crate::support::{bartizan, run};
use bartizan_model::Digest;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

pub fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

pub const LOCK: &str = r#"{"lockfileVersion":3,"packages":{"":{"name":"shop"},
    "node_modules/lodash":{"version":"4.17.20","license":"MIT"},
    "node_modules/@scope/deep":{"version":"1.0.0"}}}"#;

pub fn shop() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "web/package-lock.json", LOCK);
    write(
        folder.path(),
        "requirements.txt",
        "Django==4.2.1\nflask>=2\n",
    );
    write(folder.path(), "broken/Cargo.lock", "[[package\n");
    folder
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_folder_is_told_in_every_form_and_read_back() {
    let folder = shop();
    let target = text(folder.path());
    let told = run(&["sbom", target]);
    assert_eq!(told.code, 0, "{}", told.err);
    for line in ["lodash", "@scope/deep", "django", "3 packages, 1 unread"] {
        assert!(told.out.contains(line), "{line}: {}", told.out);
    }
    assert!(
        told.err.contains("unread: broken/Cargo.lock: cargo-lock:"),
        "{}",
        told.err
    );
    assert_eq!(run(&["sbom", target, "--fail-on-unread"]).code, 1);
    let own: Value = serde_json::from_str(&run(&["sbom", target, "--format", "json"]).out).unwrap();
    assert_eq!(own["components"].as_array().unwrap().len(), 3);
    assert_eq!(own["unread"].as_array().unwrap().len(), 1);
    for (format, version) in [("cyclonedx", "/specVersion"), ("spdx", "/spdxVersion")] {
        let file = folder.path().join(format!("out.{format}.json"));
        let file = text(&file).to_owned();
        let mut made = Vec::new();
        for _ in 0..2 {
            let mut command = bartizan(&["sbom", target, "--format", format, "-o", &file]);
            command.env("SOURCE_DATE_EPOCH", "1790000000");
            assert!(command.status().unwrap().success());
            made.push(fs::read(&file).unwrap());
        }
        assert_eq!(made[0], made[1], "the same twice");
        let document: Value = serde_json::from_slice(&made[0]).unwrap();
        assert!(document.pointer(version).is_some());
        let again = run(&["sbom", &file, "--format", "json"]);
        assert_eq!(serde_json::from_str::<Value>(&again.out).unwrap(), own);
        assert!(again.err.contains("broken/Cargo.lock"), "{}", again.err);
        let same = run(&["sbom", "diff", target, &file]);
        assert_eq!(same.code, 0, "{}{}", same.out, same.err);
    }
}

#[test]
fn differences_and_targets_that_are_none_are_told() {
    let (one, two) = (shop(), shop());
    let lock = LOCK
        .replace("4.17.20", "4.17.21")
        .replace("@scope/deep", "other");
    write(two.path(), "web/package-lock.json", &lock);
    let told = run(&[
        "sbom",
        "diff",
        text(one.path()),
        text(two.path()),
        "--format",
        "json",
    ]);
    assert_eq!(told.code, 1, "{}", told.err);
    let told: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(told["added"][0]["package"], "pkg:npm/other");
    assert_eq!(told["removed"][0]["package"], "pkg:npm/%40scope/deep");
    assert_eq!(told["changed"][0]["before"], json!(["4.17.20"]));
    assert_eq!(told["changed"][0]["after"], json!(["4.17.21"]));
    let table = run(&["sbom", "diff", text(one.path()), text(two.path())]);
    assert!(
        table.out.contains("~ pkg:npm/lodash 4.17.20 → 4.17.21"),
        "{}",
        table.out
    );
    let deep = format!("{{\"bomFormat\":{}", "[".repeat(100_000));
    write(one.path(), "deep.json", &deep);
    let deep = one.path().join("deep.json");
    for target in [
        "./nowhere",
        "oci:nowhere",
        "docker-archive:nowhere.tar",
        "UPPER/case",
        text(&deep),
    ] {
        let told = run(&["sbom", target]);
        assert_eq!(told.code, 2, "{target}: {}", told.out);
        assert!(told.err.contains("cannot look at"), "{}", told.err);
    }
}

/// A tar archive of files.
pub fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, content) in files {
        let mut head = [0u8; 512];
        head[..name.len()].copy_from_slice(name.as_bytes());
        head[100..107].copy_from_slice(b"0000644");
        head[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        head[136..147].copy_from_slice(b"00000000000");
        head[148..156].copy_from_slice(b"        ");
        head[156] = b'0';
        head[257..263].copy_from_slice(b"ustar\0");
        head[263..265].copy_from_slice(b"00");
        let sum: u32 = head.iter().map(|b| u32::from(*b)).sum();
        head[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        out.extend(head);
        out.extend(content.as_bytes());
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

/// A registry with one image of one layer, and the image's digest.
pub fn registry_of(layer: &[u8]) -> (Registry, Digest) {
    let digest = Digest::of(layer);
    let (mut registry, _) = Registry::new();
    let config = b"{}".to_vec();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": Digest::of(&config).as_str(), "size": config.len()},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest.as_str(), "size": layer.len()}]
    })
    .to_string()
    .into_bytes();
    let whole = Digest::of(&manifest);
    registry.manifests.clear();
    registry
        .manifests
        .insert(format!("{REPOSITORY}:v1"), manifest.clone());
    registry
        .manifests
        .insert(format!("{REPOSITORY}@{whole}"), manifest);
    registry
        .blobs
        .insert(Digest::of(&config).to_string(), config);
    registry.blobs.insert(digest.to_string(), layer.to_vec());
    (registry, whole)
}

#[test]
fn an_image_is_the_same_from_a_layout_and_a_registry() {
    let layer = tar(&[
        ("etc/os-release", "ID=debian\nVERSION_ID=12\n"),
        ("app/package-lock.json", LOCK),
    ]);
    let digest = Digest::of(&layer);
    let (registry, whole) = registry_of(&layer);
    let folder = tempfile::tempdir().unwrap();
    layout(&registry, folder.path());
    let place = format!("oci:{}:v1", text(folder.path()));
    let local = run(&["sbom", &place, "--format", "json"]);
    assert_eq!(local.code, 0, "{}", local.err);
    let local: Value = serde_json::from_str(&local.out).unwrap();
    assert_eq!(local["os"]["id"], "debian");
    assert_eq!(local["components"][0]["found"][0]["layer"], digest.as_str());
    let served = Served::new(registry);
    let name = format!("{REPOSITORY}:v1");
    let mirror = format!("registry.example={}", served.address);
    let far = run(&[
        "sbom",
        &name,
        "--registry-mirror",
        &mirror,
        "--format",
        "json",
    ]);
    assert_eq!(far.code, 0, "{}", far.err);
    let far: Value = serde_json::from_str(&far.out).unwrap();
    assert_eq!(far["target"]["digest"], whole.as_str());
    let purls = |of: &Value| -> Vec<String> {
        let all = of["components"].as_array().unwrap().iter();
        all.map(|c| c["purl"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(purls(&far), purls(&local));
    // A registry that says nothing ends with its reason, and in time.
    served.fall_silent();
    let silent = run(&[
        "sbom",
        &name,
        "--registry-mirror",
        &mirror,
        "--timeout",
        "1",
    ]);
    assert_eq!(silent.code, 2, "{}", silent.out);
}
