//! Bad input is normal: a clear error, bounded memory, nothing lost.

use crate::support::{Installation, bartizan, run_measured, run_with};
use bartizan_xtask::running::{Backend, generate};
use std::fs;
use std::io::Read;
use std::process::Command;

/// The bound: peak memory over idle.
const BOUND_MIB: f64 = 256.0;

const GOOD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: good, namespace: shop}\nspec: {containers: [{name: a, image: a}]}\n";

/// Inputs that no reader may trust, with a word that the message must contain.
fn hostile() -> Vec<(&'static str, Vec<u8>)> {
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for level in 1..12 {
        let before = level - 1;
        let list = vec![format!("*a{before}"); 10].join(",");
        bomb.push_str(&format!("a{level}: &a{level} [{list}]\n"));
    }
    vec![
        ("malformed", b"kind: Pod\n  name: [unclosed\n".to_vec()),
        (
            "not utf-8",
            b"kind: Pod\nmetadata: {name: \"\xff\xfe\"}\n".to_vec(),
        ),
        ("bomb", bomb.into_bytes()),
        (
            "deep flow",
            [vec![b'['; 100_000], vec![b']'; 100_000]].concat(),
        ),
        (
            "deep json",
            [
                b"{\"a\":".repeat(100_000),
                b"1".to_vec(),
                vec![b'}'; 100_000],
            ]
            .concat(),
        ),
        ("duplicate key", b"kind: Pod\nkind: Service\n".to_vec()),
        ("scalar", b"just words\n".to_vec()),
        ("nul", vec![0; 4096]),
        ("long line", vec![b'a'; 64 << 20]),
    ]
}

/// A folder that holds one object which must be judged whatever stands beside it.
fn with_a_good_object() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("good.yaml"), GOOD).unwrap();
    folder
}

fn scan_of(folder: &tempfile::TempDir) -> Command {
    let path = folder.path().to_string_lossy();
    let fixed = [
        "--scope",
        "repository:x",
        "--format",
        "json",
        "--fail-on",
        "never",
    ];
    let mut command = bartizan(&["scan", "k8s", &path]);
    command.args(fixed);
    command
}

#[test]
fn scan_says_what_is_wrong_and_judges_the_rest() {
    let folder = with_a_good_object();
    let (_, idle) = run_measured(scan_of(&folder));
    for (name, bytes) in hostile() {
        let file = folder.path().join("bad.yaml");
        fs::write(&file, &bytes).unwrap();
        let (found, peak) = run_measured(scan_of(&folder));
        assert!(
            found.code == 0 || found.code == 2,
            "{name}: {} {}",
            found.code,
            found.err
        );
        assert!(
            found.out.contains("bad.yaml") || found.err.contains("bad.yaml"),
            "{name}: the file must be named: {}",
            found.err
        );
        assert!(
            found.out.contains("Pod/shop/good"),
            "{name}: the good object is lost: {}",
            found.err
        );
        assert!(!found.err.contains("panicked"), "{name}: {}", found.err);
        assert!(
            peak - idle < BOUND_MIB,
            "{name}: peak {peak:.0} MiB, idle {idle:.0} MiB"
        );
    }
}

#[test]
fn a_sparse_gigabyte_is_refused_in_bounded_memory() {
    let folder = with_a_good_object();
    let (_, idle) = run_measured(scan_of(&folder));
    let file = fs::File::create(folder.path().join("bad.yaml")).unwrap();
    file.set_len(1 << 30).unwrap();
    let (found, peak) = run_measured(scan_of(&folder));
    assert!(found.out.contains("bad.yaml"), "{}", found.err);
    assert!(found.out.contains("Pod/shop/good"), "{}", found.err);
    assert!(
        peak - idle < BOUND_MIB,
        "peak {peak:.0} MiB, idle {idle:.0} MiB"
    );
}

/// YAML 1.1 words: as Kubernetes reads them, and never an accident.
#[test]
fn yaml_1_1_is_read_as_kubernetes_reads_it() {
    let input = "apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {on: \"yes\"}}\nspec:\n  hostNetwork: yes\n  containers: [{name: a, image: a}]\n  volumes: [{name: v, configMap: {name: c, defaultMode: 0644}}]\n";
    let found = run_with(
        &[
            "scan",
            "k8s",
            "-",
            "--scope",
            "repository:x",
            "--format",
            "json",
            "--fail-on",
            "never",
        ],
        input.as_bytes(),
    );
    assert_eq!(found.code, 0, "{}", found.err);
    let report: serde_json::Value = serde_json::from_str(&found.out).unwrap();
    let fails = |check: &str| {
        let findings = report["findings"].as_array().unwrap();
        findings.iter().any(|f| f["check"] == check)
    };
    assert!(
        fails("rego/bartizan/bartizanhostnetwork"),
        "yes must be read as true"
    );
    assert_eq!(
        report["unknown"],
        serde_json::json!([]),
        "all of it can be read"
    );
}

#[test]
fn the_api_refuses_bad_reports_and_keeps_what_it_has() {
    let place = Installation::new(&Backend::Sqlite);
    let server = &place.server;
    let mut good = Vec::new();
    generate::report(&mut good, 1, "kept", 1_000).unwrap();
    server.import(good.clone()).unwrap();
    let before = server.get("/findings?limit=1").unwrap()["total"].clone();
    std::thread::sleep(std::time::Duration::from_secs(1));
    let idle = server.memory("VmRSS").unwrap();

    let lines: Vec<&[u8]> = good.split_inclusive(|b| *b == b'\n').collect();
    let fresh_id = |bytes: Vec<u8>, id: &str| {
        let text = String::from_utf8(bytes).unwrap();
        text.replacen("bench-1-1000", id, 1).into_bytes()
    };
    let mut bad: Vec<(&str, Vec<u8>)> = hostile();
    bad.push((
        "cut off",
        fresh_id(lines[..lines.len() - 1].concat(), "cut-off"),
    ));
    bad.push((
        "cut in a line",
        fresh_id(good[..good.len() - 300].to_vec(), "cut-in-line"),
    ));
    let mut miscounted = fresh_id(good.clone(), "miscounted");
    let at = miscounted.len() - 5;
    miscounted[at] = if miscounted[at] == b'1' { b'2' } else { b'1' };
    bad.push(("miscounted", miscounted));
    for (name, bytes) in bad {
        let refused = server.upload(bytes).and_then(|job| server.wait(&job));
        let why = refused.expect_err(name).to_string();
        assert!(why.len() > 20 && !why.contains("500"), "{name}: {why}");
        eprintln!("{name}: {why}");
    }
    let peak = server.memory("VmHWM").unwrap();
    assert!(
        peak - idle < BOUND_MIB,
        "peak {peak:.0} MiB, idle {idle:.0} MiB"
    );
    assert_eq!(server.get("/findings?limit=1").unwrap()["total"], before);
}

#[test]
fn the_api_takes_a_gigabyte_of_nothing_in_bounded_memory() {
    let place = Installation::new(&Backend::Sqlite);
    std::thread::sleep(std::time::Duration::from_secs(1));
    let idle = place.server.memory("VmRSS").unwrap();
    let body = reqwest::blocking::Body::sized(std::io::repeat(0).take(1 << 30), 1 << 30);
    let answer = reqwest::blocking::Client::builder()
        .timeout(std::time::Duration::from_secs(300))
        .build()
        .unwrap()
        .post(place.server.url("/artifacts?kind=report"))
        .bearer_auth(&place.server.token)
        .header("content-type", "application/vnd.bartizan.report+ndjson")
        .body(body)
        .send();
    // The server may close the connection once it has seen enough.
    if let Ok(answer) = answer {
        assert!(
            answer.status().is_client_error() || answer.status().as_u16() == 202,
            "{}",
            answer.status()
        );
    }
    let peak = place.server.memory("VmHWM").unwrap();
    assert!(
        peak - idle < BOUND_MIB,
        "peak {peak:.0} MiB, idle {idle:.0} MiB"
    );
    place.server.get("/findings").unwrap();
}

/// Who may not look says so: a pass would be a lie.
#[test]
fn another_user_gets_no_pass_for_what_it_may_not_see() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let allow = |path: &std::path::Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    allow(folder.path(), 0o755);
    let binary = folder.path().join("bartizan");
    fs::copy(crate::support::BINARY, &binary).unwrap();
    let root = folder.path().join("root");
    for (name, mode) in [("closed", 0o700), ("listed", 0o744), ("open", 0o755)] {
        fs::create_dir_all(root.join(name)).unwrap();
        fs::write(root.join(name).join("f"), "secret\n").unwrap();
        allow(&root.join(name), mode);
    }
    fs::write(root.join("unread"), "secret\n").unwrap();
    allow(&root.join("unread"), 0o600);
    let content = folder.path().join("oval.xml");
    fs::write(&content, questions()).unwrap();
    let output = Command::new(&binary)
        .args(["scap", "oval", "--format", "json", "--root"])
        .args([&root, &content])
        .env_clear()
        .current_dir(&root)
        .uid(65_534)
        .gid(65_534)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let read: serde_json::Value = serde_json::from_str(&text)
        .unwrap_or_else(|e| panic!("{e}: {text}{}", String::from_utf8_lossy(&output.stderr)));
    let results: Vec<&str> = read["definitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["result"].as_str().unwrap())
        .collect();
    assert_eq!(results.len(), 5);
    assert_eq!(results[4], "true", "{results:?}");
    for result in &results[..4] {
        assert!(["unknown", "error"].contains(result), "{results:?}");
    }
}

/// Whether nothing is in a closed folder, in a listed one, in an unreadable file, anywhere;
/// and whether something is in an open folder.
fn questions() -> String {
    let (mut definitions, mut tests, mut objects) = (String::new(), String::new(), String::new());
    let lines =
        "<pattern operation='pattern match'>nothing</pattern><instance datatype='int'>1</instance>";
    let below = |path: &str| {
        format!("<path>{path}</path><filename operation='pattern match'>^f</filename>")
    };
    for (number, (kind, existence, object)) in [
        ("unix#file", "none_exist", below("/closed")),
        ("unix#file", "none_exist", below("/listed")),
        ("independent#textfilecontent54", "none_exist", format!("<filepath>/unread</filepath>{lines}")),
        (
            "unix#file",
            "none_exist",
            "<behaviors recurse='directories' recurse_direction='down'/><path>/</path><filename>none</filename>".to_owned(),
        ),
        ("unix#file", "all_exist", below("/open")),
    ]
    .into_iter()
    .enumerate()
    {
        let (space, kind) = kind.split_once('#').unwrap();
        let space = format!("xmlns='http://oval.mitre.org/XMLSchema/oval-definitions-5#{space}'");
        definitions.push_str(&format!("<definition id='oval:x:def:{number}' class='compliance' version='1'><criteria><criterion test_ref='oval:x:tst:{number}'/></criteria></definition>"));
        tests.push_str(&format!("<{kind}_test {space} id='oval:x:tst:{number}' version='1' check='all' check_existence='{existence}' comment='c'><object object_ref='oval:x:obj:{number}'/></{kind}_test>"));
        objects.push_str(&format!("<{kind}_object {space} id='oval:x:obj:{number}' version='1'>{object}</{kind}_object>"));
    }
    format!(
        "<oval_definitions xmlns='http://oval.mitre.org/XMLSchema/oval-definitions-5'><definitions>{definitions}</definitions><tests>{tests}</tests><objects>{objects}</objects></oval_definitions>"
    )
}
