//! Machines elsewhere: recorded ones, images, and those that are reached by SSH.

use crate::support::{BINARY, Run, bartizan, run};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const CONTENT: &str = "id: mine\ntitle: Mine\nversion: '1'\nparts: [ssh]\n";

/// A small machine's files, and content of few questions.
fn place() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    fs::create_dir_all(root.join("etc/ssh")).unwrap();
    fs::write(
        root.join("etc/os-release"),
        "ID=debian\nVERSION_ID=\"12\"\n",
    )
    .unwrap();
    fs::write(root.join("etc/hostname"), "web1\n").unwrap();
    fs::write(root.join("etc/ssh/sshd_config"), "PermitRootLogin no\n").unwrap();
    let content = folder.path().join("mine.yaml");
    fs::write(&content, CONTENT).unwrap();
    (folder, root, content)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Checks with their outcomes.
fn outcomes(report: &str) -> Vec<String> {
    let mut found: Vec<String> = report
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|line| {
            let result = line.get("result")?;
            Some(format!("{} {}", result["check"], result["outcome"]))
        })
        .collect();
    found.sort();
    found
}

fn scan(arguments: &[&str]) -> Run {
    let all = [
        &["scan", "host", "--format", "report", "--fail-on", "never"][..],
        arguments,
    ]
    .concat();
    run(&all)
}

#[test]
fn recorded_here_and_judged_there() {
    let (folder, root, content) = place();
    let snapshot = folder.path().join("web1.snapshot");
    // It is made private even where it was not.
    fs::write(&snapshot, "old").unwrap();
    fs::set_permissions(&snapshot, fs::Permissions::from_mode(0o644)).unwrap();
    let (root, content) = (text(&root), text(&content));
    let live = scan(&[
        "--root",
        root,
        "--content",
        content,
        "--record",
        text(&snapshot),
    ]);
    assert_eq!(live.code, 0, "{}", live.err);
    let mode = fs::metadata(&snapshot).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(outcomes(&live.out).len() > 20, "{}", live.out);
    fs::remove_dir_all(root).unwrap();
    let judged = scan(&["--snapshot", text(&snapshot), "--content", content]);
    assert_eq!(judged.code, 0, "{}", judged.err);
    assert_eq!(outcomes(&judged.out), outcomes(&live.out));
    assert!(judged.out.contains("host:web1") || judged.out.contains("\"web1\""));
    assert!(
        !judged.err.contains("not in the snapshot"),
        "{}",
        judged.err
    );
    // Other content asks what nobody looked at.
    fs::write(
        content,
        "id: mine\ntitle: Mine\nversion: '1'\nparts: [accounts]\n",
    )
    .unwrap();
    let other = scan(&["--snapshot", text(&snapshot), "--content", content]);
    if other.code == 0 {
        assert!(other.err.contains("not in the snapshot"), "{}", other.err);
        assert!(!other.out.contains("\"pass\""), "{}", other.out);
    }
    let cut = fs::read(&snapshot).unwrap();
    fs::write(&snapshot, &cut[..cut.len() / 2]).unwrap();
    let broken = scan(&["--snapshot", text(&snapshot), "--content", content]);
    assert_eq!(broken.code, 2);
    assert!(broken.err.contains("damaged"), "{}", broken.err);
}

#[test]
fn an_image_is_judged_as_its_files() {
    let (folder, root, content) = place();
    let archive = folder.path().join("shop.tar");
    let made = std::process::Command::new("tar")
        .args(["-C", text(&root), "-cf", text(&archive), "."])
        .status()
        .unwrap();
    assert!(made.success());
    let (root, content) = (text(&root), text(&content));
    let unpacked = scan(&["--root", root, "--content", content]);
    let packed = scan(&["--image", text(&archive), "--content", content]);
    assert_eq!(packed.code, 0, "{}", packed.err);
    assert_eq!(outcomes(&packed.out), outcomes(&unpacked.out));
    assert!(packed.out.contains("host:shop") || packed.out.contains("\"shop\""));
    fs::write(&archive, "no archive").unwrap();
    assert_eq!(scan(&["--image", text(&archive)]).code, 2);
    let both = scan(&["--image", text(&archive), "--snapshot", text(&archive)]);
    assert_eq!(both.code, 2);
}

/// Programs that stand for `ssh` and what is there; `temporary` is where folders are made.
fn elsewhere(folder: &Path, programs: &[(&str, &str)]) -> (PathBuf, PathBuf) {
    let (bin, temporary) = (folder.join("bin"), folder.join("temporary"));
    // Those of an earlier run are gone.
    let _ = fs::remove_dir_all(&bin);
    fs::create_dir_all(&bin).unwrap();
    fs::create_dir_all(&temporary).unwrap();
    for (name, script) in programs {
        let path = bin.join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    (bin, temporary)
}

/// Runs the last argument as a login shell does, after what logins print.
const SSH: &str = r#"printf '%s\n' "$@" > "$TMPDIR/../arguments"
echo "Welcome to web1"
for last; do :; done
exec sh -c "$last""#;

fn over_ssh(folder: &Path, programs: &[(&str, &str)], arguments: &[&str]) -> (Run, PathBuf) {
    let (bin, temporary) = elsewhere(folder, programs);
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let all = [
        &["scan", "host", "--ssh", "me@web1:22", "--format", "report"][..],
        arguments,
    ]
    .concat();
    let output = bartizan(&all)
        .env("PATH", path)
        .env("TMPDIR", &temporary)
        .output()
        .unwrap();
    let run = Run {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    };
    (run, temporary)
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().next().is_none()
}

#[test]
fn nothing_stays_on_a_machine_reached_by_ssh() {
    let (folder, _root, content) = place();
    let content = text(&content);
    let give = ["--content", content, "--fail-on", "never"];
    let (there, temporary) = over_ssh(folder.path(), &[("ssh", SSH)], &give);
    assert_eq!(there.code, 0, "{}", there.err);
    assert!(outcomes(&there.out).len() > 20);
    assert!(is_empty(&temporary));
    // The same machine, looked at from near.
    let here = scan(&["--content", content]);
    assert_eq!(outcomes(&there.out), outcomes(&here.out));
    let arguments = fs::read_to_string(folder.path().join("arguments")).unwrap();
    let arguments: Vec<&str> = arguments.lines().collect();
    assert!(arguments.contains(&"StrictHostKeyChecking=yes"));
    assert!(arguments.windows(2).any(|two| two == ["-p", "22"]));
    assert!(arguments.windows(2).any(|two| two == ["--", "me@web1"]));

    // By sudo, which is asked not to ask.
    let sudo = r#"[ "$1" = -n ] && [ "$2" = -- ] && shift 2 && exec "$@""#;
    let with = [&give[..], &["--sudo"]].concat();
    let (there, temporary) = over_ssh(folder.path(), &[("ssh", SSH), ("sudo", sudo)], &with);
    assert_eq!(there.code, 0, "{}", there.err);
    assert!(is_empty(&temporary));
    let refused = "echo 'sudo: a password is required' >&2; exit 1";
    let (there, temporary) = over_ssh(folder.path(), &[("ssh", SSH), ("sudo", refused)], &with);
    assert_eq!(there.code, 2);
    assert!(
        there.err.contains("a password is required"),
        "{}",
        there.err
    );
    assert!(is_empty(&temporary));
}

#[test]
fn what_goes_wrong_over_ssh_is_said() {
    let (folder, _root, content) = place();
    let content = text(&content);
    let give = ["--content", content];
    let fails = |programs: &[(&str, &str)], more: &[&str], word: &str| {
        let all = [&give[..], more].concat();
        let begun = Instant::now();
        let (there, temporary) = over_ssh(folder.path(), programs, &all);
        assert_eq!(there.code, 2, "{}", there.out);
        assert!(there.err.contains(word), "{word} is not in {}", there.err);
        assert!(is_empty(&temporary), "{word}");
        assert!(begun.elapsed() < Duration::from_secs(60), "{word}");
    };
    let denied = "echo 'me@web1: Permission denied (publickey).' >&2; exit 255";
    fails(&[("ssh", denied)], &[], "Permission denied");
    fails(&[("ssh", "exit 0")], &[], "no answer");
    let strange = r#"case "$1" in -s) echo Linux;; *) echo mips;; esac"#;
    fails(&[("ssh", SSH), ("uname", strange)], &[], "mips");
    fails(&[("ssh", SSH), ("mktemp", "exit 1")], &[], "no folder");
    // It hangs before, while and after the bytes are sent.
    fails(
        &[("ssh", "exec sleep 100")],
        &["--ssh-timeout", "1"],
        "longer than",
    );
    let stuck = r#"case "$*" in *"rm -rf /x/"*) exit 0;; esac
echo "bartizan-ssh 1 Linux x86_64 /x/bartizan.0123456789"; exec sleep 100"#;
    if cfg!(target_arch = "x86_64") {
        fails(&[("ssh", stuck)], &["--ssh-timeout", "2"], "longer than");
        // A binary that the C library there does not fit.
        let mut other = fs::read(BINARY).unwrap();
        other.truncate(64);
        let loader = folder.path().join("other");
        fs::write(&loader, other).unwrap();
        let more = ["--ssh-binary", text(&loader)];
        fails(&[("ssh", SSH)], &more, "the run there failed");
    }
    let none = ["--ssh-option", "StrictHostKeyChecking=no"];
    fails(&[("ssh", SSH)], &none, "refused");
    let script = folder.path().join("mine.yaml");
    fails(
        &[("ssh", SSH)],
        &["--ssh-binary", text(&script)],
        "no binary",
    );
}
