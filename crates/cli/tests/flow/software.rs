//! Packages of folders, images and machines against advisories that were synced before: what is
//! found, what stays unknown, and how it ends.

use crate::images::lab::REPOSITORY;
use crate::images::registry::{Served, layout};
use crate::sbom::{LOCK, registry_of, shop, tar, text, write};
use crate::support::{Installation, Run, run};
use bartizan_xtask::running::Backend;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const STATUS: &str = "Package: zlib1g\nStatus: install ok installed\nArchitecture: amd64\n\
    Source: zlib\nVersion: 1:1.2.13.dfsg-1\n\nPackage: bash\nStatus: install ok installed\n\
    Architecture: amd64\nVersion: 5.2.15-2\n\n";

fn osv(id: &str, cve: &str, ecosystem: &str, package: &str, fixed: &str, vector: &str) -> String {
    json!({
        "id": id, "modified": "2026-01-01T00:00:00Z", "aliases": [cve],
        "summary": format!("A hole in {package}"),
        "severity": [{"type": "CVSS_V3", "score": format!("CVSS:3.1/{vector}")}],
        "references": [{"type": "ADVISORY", "url": format!("https://advisories.example/{id}")}],
        "affected": [{"package": {"ecosystem": ecosystem, "name": package},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}]}],
    })
    .to_string()
}

const CRITICAL: &str = "AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
const HIGH: &str = "AV:N/AC:L/PR:H/UI:N/S:U/C:H/I:H/A:H";

/// A data folder with a handful of advisories: npm's and Debian's, none of PyPI.
fn advisories() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let lodash = osv(
        "GHSA-aaaa",
        "CVE-2026-0001",
        "npm",
        "lodash",
        "4.17.21",
        HIGH,
    );
    write(at, "npm/GHSA-aaaa.json", &lodash);
    let other = osv(
        "GHSA-bbbb",
        "CVE-2026-0002",
        "npm",
        "other",
        "9.0.0",
        CRITICAL,
    );
    write(at, "npm/GHSA-bbbb.json", &other);
    let fixed = "1:1.2.13.dfsg-1+deb12u1";
    let zlib = osv(
        "DSA-1-1",
        "CVE-2026-0003",
        "Debian:12",
        "zlib",
        fixed,
        CRITICAL,
    );
    write(at, "debian/DSA-1-1.json", &zlib);
    let kev =
        r#"{"count":1,"vulnerabilities":[{"cveID":"CVE-2026-0001","dateAdded":"2026-01-02"}]}"#;
    write(at, "kev.json", kev);
    let place = |name: &str| text(&at.join(name)).to_owned();
    let done = run(&[
        "cve",
        "sync",
        "--source",
        &format!("osv:npm={}", place("npm")),
        "--source",
        &format!("osv:debian={}", place("debian")),
        "--source",
        &format!("kev={}", place("kev.json")),
        "--data",
        &place("data"),
    ]);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    folder
}

fn data(advisories: &tempfile::TempDir) -> String {
    text(&advisories.path().join("data")).to_owned()
}

fn value(run: &Run) -> Value {
    serde_json::from_str(&run.out).unwrap_or_else(|e| panic!("{e}: {}{}", run.out, run.err))
}

#[test]
fn a_folder_is_judged_and_what_is_not_known_is_told() {
    let (known, folder) = (advisories(), shop());
    let (data, target) = (data(&known), text(folder.path()));
    let told = run(&["scan", "fs", target, "--data", &data]);
    assert_eq!(told.code, 1, "{}{}", told.out, told.err);
    for part in [
        "high",
        "CVE-2026-0001",
        "lodash",
        "4.17.20",
        "4.17.21",
        "exploited",
        "broken/Cargo.lock",
        "no advisories of PyPI are held here: not judged are 1 of its packages",
        "3 packages: affected 1 (1 with a fix), unknown 0, excused 0, not read 2",
    ] {
        assert!(told.out.contains(part), "{part}: {}", told.out);
    }
    assert!(!told.out.contains("CVE-2026-0002"), "{}", told.out);
    let scan = |more: &[&str]| {
        let mut all = vec!["scan", "fs", target, "--data", &data];
        all.extend(more);
        run(&all)
    };
    // What CI asks: a threshold, and whether all of it is known.
    assert_eq!(scan(&["--fail-on", "critical"]).code, 0);
    let strict = ["--fail-on", "critical", "--fail-on-unknown"];
    assert_eq!(scan(&strict).code, 1);
    // For programs: the same finding, and both unknowns.
    let json = value(&scan(&["--format", "json"]));
    assert_eq!(json["findings"].as_array().unwrap().len(), 1, "{json}");
    let whole = json.to_string();
    for check in ["vuln/inventory/whole", "vuln/inventory/covered"] {
        assert!(whole.contains(check), "{check}: {json}");
    }
    let sarif = value(&scan(&["--format", "sarif"]));
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    let failing: Vec<_> = results.iter().filter(|r| r["kind"] != "open").collect();
    assert!(failing[0].to_string().contains("CVE-2026-0001"), "{sarif}");
    let file = known.path().join("out.json");
    let told = scan(&["--format", "json", "-o", text(&file)]);
    assert!(told.out.is_empty(), "{}", told.out);
    assert!(fs::metadata(&file).unwrap().len() > 100);
    // After the upgrade nothing is left but what could not be read.
    let lock = LOCK.replace("4.17.20", "4.17.21");
    write(folder.path(), "web/package-lock.json", &lock);
    let told = scan(&[]);
    assert_eq!(told.code, 0, "{}", told.out);
    assert!(told.out.contains("affected 0"), "{}", told.out);
}

#[test]
fn nothing_to_hold_it_against_is_no_good_end() {
    let folder = shop();
    let empty = tempfile::tempdir().unwrap();
    let nowhere = empty.path().join("data");
    let data = text(&nowhere);
    for arguments in [
        ["scan", "fs", text(folder.path()), "--data", data],
        ["scan", "image", "oci:nowhere", "--data", data],
    ] {
        let told = run(&arguments);
        assert_eq!(told.code, 2, "{}", told.out);
        assert!(told.err.contains("bartizan cve sync"), "{}", told.err);
    }
    assert!(!nowhere.exists(), "a scan makes no installation");
    // With advisories: a target that is none, and never a registry for a folder.
    let known = advisories();
    let data = self::data(&known);
    for arguments in [
        ["scan", "fs", "registry.example/app", "--data", &data],
        ["scan", "image", "./nowhere.tar", "--data", &data],
        ["scan", "image", text(folder.path()), "--data", &data],
    ] {
        let told = run(&arguments);
        assert_eq!(told.code, 2, "{arguments:?} {}", told.out);
        assert!(told.err.contains("cannot look at"), "{}", told.err);
    }
}

/// `docker save` of one image of one layer.
fn saved(layer: &[u8], to: &Path) {
    let layer = std::str::from_utf8(layer).unwrap();
    let manifest =
        r#"[{"Config":"config.json","RepoTags":["shop:v1"],"Layers":["one/layer.tar"]}]"#;
    let config = json!({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers",
        "diff_ids": [bartizan_model::Digest::of(layer.as_bytes()).as_str()]}})
    .to_string();
    let files = [
        ("manifest.json", manifest),
        ("config.json", &config),
        ("one/layer.tar", layer),
    ];
    fs::write(to, tar(&files)).unwrap();
}

#[test]
fn an_image_is_judged_from_wherever_it_lies() {
    let known = advisories();
    let data = data(&known);
    let layer = tar(&[
        ("etc/os-release", "ID=debian\nVERSION_ID=12\n"),
        ("var/lib/dpkg/status", STATUS),
        ("app/package-lock.json", LOCK),
    ]);
    let (registry, _) = registry_of(&layer);
    let folder = tempfile::tempdir().unwrap();
    layout(&registry, &folder.path().join("layout"));
    // A layout of one image needs no name.
    let alone = folder.path().join("alone");
    layout(&registry, &alone);
    let index = fs::read(alone.join("index.json")).unwrap();
    let mut index: Value = serde_json::from_slice(&index).unwrap();
    index["manifests"].as_array_mut().unwrap().truncate(1);
    fs::write(alone.join("index.json"), index.to_string()).unwrap();
    saved(&layer, &folder.path().join("shop.tar"));
    let served = Served::new(registry);
    let mirror = format!("registry.example={}", served.address);
    let place = |name: &str| text(&folder.path().join(name)).to_owned();
    let name = format!("{REPOSITORY}:v1");
    let targets = [
        format!("oci:{}:v1", place("layout")),
        format!("docker-archive:{}", place("shop.tar")),
        place("shop.tar"),
        place("alone"),
        name.clone(),
    ];
    let mut seen = Vec::new();
    for target in &targets {
        let scan = |more: &[&str]| {
            let mut all = vec!["scan", "image", target, "--data", &data];
            all.extend(["--registry-mirror", &mirror]);
            all.extend(more);
            run(&all)
        };
        let table = scan(&[]);
        assert_eq!(table.code, 1, "{target}: {}{}", table.out, table.err);
        for part in ["zlib1g", "1:1.2.13.dfsg-1+deb12u1", "◆ critical", "lodash"] {
            // A wide table, so that nothing is wrapped.
            let wide = crate::support::bartizan(&["scan", "image", target, "--data", &data])
                .args(["--registry-mirror", &mirror])
                .env("COLUMNS", "240")
                .output()
                .unwrap();
            let wide = String::from_utf8(wide.stdout).unwrap();
            assert!(wide.contains(part), "{target}: {part}: {wide}");
        }
        let json = value(&scan(&["--format", "json"]));
        let found = json["findings"].as_array().unwrap().iter();
        let mut found: Vec<String> = found
            .map(|f| format!("{} {}", f["check"], f["locus"]))
            .collect();
        found.sort();
        assert_eq!(found.len(), 2, "{json}");
        seen.push(found);
        assert!(
            json["scope"].as_str().unwrap().starts_with("repository:"),
            "{json}"
        );
    }
    assert!(seen.iter().all(|one| *one == seen[0]), "{seen:?}");
    // A layer that is not what its digest says has no inventory, and so no verdict.
    let blobs = folder.path().join("layout/blobs/sha256");
    for entry in fs::read_dir(blobs).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        if bytes == layer {
            bytes[600] ^= 1;
            fs::write(&path, bytes).unwrap();
        }
    }
    let forged = run(&["scan", "image", &targets[0], "--data", &data]);
    assert_eq!(forged.code, 2, "{}", forged.out);
}

#[test]
fn a_machine_is_its_own_scope() {
    let known = advisories();
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "etc/hostname", "web1\n");
    write(root.path(), "etc/os-release", "ID=debian\nVERSION_ID=12\n");
    write(root.path(), "var/lib/dpkg/status", STATUS);
    let target = format!("host:{}", text(root.path()));
    let (data, format) = (data(&known), "json");
    let told = run(&["scan", "fs", &target, "--data", &data, "--format", format]);
    assert_eq!(told.code, 1, "{}", told.err);
    let told = value(&told);
    assert_eq!(told["scope"], "host:web1", "{told}");
    assert_eq!(told["findings"].as_array().unwrap().len(), 1, "{told}");
}

#[test]
fn an_inventory_is_handed_in() {
    let (known, folder) = (advisories(), shop());
    let server = Installation::new(&Backend::Sqlite);
    let (data, target) = (data(&known), text(folder.path()));
    let scan = [
        "scan",
        "fs",
        target,
        "--scope",
        "repository:shop",
        "--data",
        &data,
    ];
    let told = server.client(&scan);
    assert_eq!(told.code, 1, "{}{}", told.out, told.err);
    assert!(told.err.contains("3 components of"), "{}", told.err);
    let held = server.server.get("/inventories").unwrap();
    let one = &held["items"][0];
    assert_eq!(one["scope"], "repository:shop", "{held}");
    assert_eq!(one["unread"], 1, "{held}");
    let path = format!("/components?asset={}", one["asset"].as_str().unwrap());
    let whole = server.server.get(&path).unwrap();
    let unread = whole["unread"][0].as_str().unwrap();
    assert!(unread.contains("Cargo.lock"), "{whole}");
    // By a name of its own a checkout elsewhere is the same asset.
    let elsewhere = shop();
    for target in [target, text(elsewhere.path())] {
        let mut all = scan.to_vec();
        all[2] = target;
        all.extend(["--name", "web", "--format", "json"]);
        assert_eq!(server.client(&all).code, 1);
    }
    let held = server.server.get("/inventories").unwrap();
    let named = held["items"].as_array().unwrap().iter();
    let named = named.filter(|i| i["asset"] == "repository:shop//Folder//web");
    assert_eq!(named.count(), 1, "{held}");
    assert_eq!(held["items"].as_array().unwrap().len(), 2, "{held}");
    // A server that is not there costs nothing but the message.
    let mut all = scan.to_vec();
    all.extend(["--server", "http://127.0.0.1:9"]);
    let told = server.client(&all);
    assert_eq!(told.code, 2, "{}", told.out);
    assert!(told.err.contains("cannot reach"), "{}", told.err);
}

#[test]
fn other_tools_read_what_is_found() {
    let (known, folder) = (advisories(), shop());
    let (data, target) = (data(&known), text(folder.path()));
    let scan = |format: &str| {
        let all = ["scan", "fs", target, "--data", &data, "--format", format];
        value(&run(&all))
    };
    let trivy = scan("trivy");
    let result = &trivy["Results"][0];
    assert_eq!(result["Target"], "web/package-lock.json", "{trivy}");
    let hit = &result["Vulnerabilities"][0];
    for (key, wanted) in [
        ("VulnerabilityID", "CVE-2026-0001"),
        ("PkgName", "lodash"),
        ("InstalledVersion", "4.17.20"),
        ("FixedVersion", "4.17.21"),
        ("Status", "fixed"),
        ("Severity", "HIGH"),
        ("Title", "A hole in lodash"),
    ] {
        assert_eq!(hit[key], wanted, "{trivy}");
    }
    let vex = scan("openvex").to_string();
    let back = bartizan_vuln::feeds::openvex::parse(vex.as_bytes()).unwrap();
    assert_eq!(back.len(), 1, "{vex}");
    assert_eq!(
        back[0].subcomponents[0].to_string(),
        "pkg:npm/lodash@4.17.20"
    );
    let cyclonedx = scan("cyclonedx-vex");
    let state = &cyclonedx["vulnerabilities"][0]["analysis"]["state"];
    assert_eq!(state, "exploitable", "{cyclonedx}");
    // An advisory as it came, by another of its names.
    let osv = run(&["cve", "osv", "CVE-2026-0003", "--data", &data]);
    let osv = value(&osv)["vulns"][0].to_string();
    let back = bartizan_vuln::feeds::osv::parse(osv.as_bytes(), "osv").unwrap();
    let came = fs::read(known.path().join("debian/DSA-1-1.json")).unwrap();
    assert_eq!(
        back,
        bartizan_vuln::feeds::osv::parse(&came, "osv").unwrap()
    );
    assert_eq!(
        run(&["cve", "osv", "CVE-2026-9999", "--data", &data]).code,
        1
    );
}
