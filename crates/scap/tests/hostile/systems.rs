//! Systems that would block, loop, hide things or change under the walk.

use crate::support::{Fault, Faulty, asking, judge};
use bartizan_scap::oval::outcome::Truth;
use bartizan_scap::system::Rooted;
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Files of any name below the root that match, links followed or not.
fn files(existence: &str, name: &str, recurse: &str) -> String {
    asking(
        existence,
        "file",
        &format!(
            "<-behaviors recurse='{recurse}' recurse_direction='down' max_depth='-1'/>\
             <-path>/</-path><-filename operation='pattern match'>{name}</-filename>"
        ),
    )
}

/// Lines below the root.
fn lines(existence: &str, path: &str, pattern: &str) -> String {
    asking(
        existence,
        "textfilecontent54",
        &format!(
            "<-behaviors recurse_direction='down' max_depth='-1'/><-path>{path}</-path>\
             <-filename operation='pattern match'>.*</-filename>\
             <-pattern operation='pattern match'>{pattern}</-pattern>\
             <-instance datatype='int'>1</-instance>"
        ),
    )
}

#[test]
fn special_files_are_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("proc/1/task")).unwrap();
    fs::create_dir(root.join("etc")).unwrap();
    fs::write(root.join("proc/kcore"), "trap").unwrap();
    fs::write(root.join("etc/good"), "here").unwrap();
    mknodat(CWD, root.join("etc/fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    // Only root makes devices: 5:1 is the console, 10:130 a watchdog that starts when opened.
    for (name, major, minor) in [("console", 5, 1), ("watchdog", 10, 130), ("zero", 1, 5)] {
        let made = mknodat(
            CWD,
            root.join("etc").join(name),
            FileType::CharacterDevice,
            Mode::RWXU,
            makedev(major, minor),
        );
        assert!(made.is_ok() || !rustix::process::geteuid().is_root());
    }
    symlink("fifo", root.join("etc/link")).unwrap();
    let system = Rooted::new(root.to_owned(), false);
    let found = |path, pattern| judge(&system, &lines("at_least_one_exists", path, pattern), 10);
    assert_eq!(found("/", "here"), Truth::True);
    // A walk of the whole system does not go into the kernel's files.
    assert_eq!(found("/", "trap"), Truth::False);
    assert_eq!(found("/proc", "trap"), Truth::True);
    let fifo = files("at_least_one_exists", "fifo", "directories");
    assert_eq!(judge(&system, &fifo, 10), Truth::True);
}

#[test]
fn links_in_circles_end() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("a/b/c")).unwrap();
    fs::write(root.join("a/b/c/end"), "").unwrap();
    symlink("/", root.join("a/b/root")).unwrap();
    symlink("../..", root.join("a/b/c/up")).unwrap();
    symlink("self", root.join("a/self")).unwrap();
    symlink("two", root.join("one")).unwrap();
    symlink("one", root.join("two")).unwrap();
    for number in 0..12 {
        // Each way is a way to all others.
        let folder = root.join(format!("d{number}"));
        fs::create_dir(&folder).unwrap();
        for other in 0..12 {
            symlink(format!("/d{other}"), folder.join(format!("l{other}"))).unwrap();
        }
    }
    let system = Rooted::new(root.to_owned(), false);
    let plain = files("only_one_exists", "end", "directories");
    assert_eq!(judge(&system, &plain, 10), Truth::True);
    // Following all of them has more ways than anybody can go.
    let followed = files("none_exist", "end", "symlinks and directories");
    assert_ne!(judge(&system, &followed, 60), Truth::True);
}

#[test]
fn what_cannot_be_seen_is_no_pass() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("etc/closed/in")).unwrap();
    fs::write(root.join("etc/closed/f"), "secret").unwrap();
    fs::write(root.join("etc/open"), "secret").unwrap();
    let with = |path: &str, fault| Faulty {
        rooted: Rooted::new(root.to_owned(), false),
        path: Path::new(path).to_owned(),
        fault,
    };
    for fault in [Fault::Closed, Fault::Broken] {
        let system = with("/etc/closed", fault);
        for text in [
            files("none_exist", "nothing", "directories"),
            lines("none_exist", "/", "nothing"),
            files("none_exist", "f", "symlinks and directories"),
        ] {
            let truth = judge(&system, &text, 10);
            assert!(matches!(truth, Truth::Unknown | Truth::Error), "{truth:?}");
        }
        // What was found is found all the same.
        let found = files("at_least_one_exists", "open", "directories");
        assert_eq!(judge(&system, &found, 10), Truth::True);
    }
    // A directory that can be listed and not entered; its parent's mode is not known either.
    let system = with("/etc/closed/f", Fault::Closed);
    let truth = judge(&system, &lines("none_exist", "/", "secret"), 10);
    assert!(matches!(
        truth,
        Truth::Unknown | Truth::Error | Truth::False
    ));
    for fault in [Fault::Closed, Fault::Broken, Fault::Changes] {
        let system = with("/etc/open", fault);
        let truth = judge(&system, &lines("none_exist", "/", "nothing"), 10);
        assert!(matches!(truth, Truth::Unknown | Truth::Error), "{truth:?}");
    }
    // What is gone is not there.
    let system = with("/etc/open", Fault::Vanishes);
    assert_eq!(
        judge(&system, &files("none_exist", "open", "directories"), 10),
        Truth::True
    );
    assert_eq!(
        judge(&system, &lines("only_one_exists", "/", "secret"), 10),
        Truth::True
    );
}

fn one_large_directory(count: usize, seconds: u64) {
    let folder = tempfile::tempdir().unwrap();
    let large = folder.path().join("large");
    fs::create_dir(&large).unwrap();
    let first = large.join("0");
    fs::write(&first, "").unwrap();
    for number in 1..count {
        // Links to one file cost no inodes; a file has at most 65,000 of them.
        let source = large.join((number / 50_000 * 50_000).to_string());
        let name = large.join(number.to_string());
        match number % 50_000 {
            0 => fs::write(&name, "").unwrap(),
            _ => fs::hard_link(&source, &name).unwrap(),
        }
    }
    let system = Rooted::new(folder.path().to_owned(), false);
    let none = files("none_exist", "x.*", "directories");
    assert_eq!(judge(&system, &none, seconds), Truth::True);
    let one = lines("none_exist", "/large", "x");
    assert_eq!(judge(&system, &one, seconds), Truth::True);
    // More items than are kept: nobody says that there are no others.
    let all = files("only_one_exists", ".*", "directories");
    assert_eq!(judge(&system, &all, seconds), Truth::False);
    let unknown = files("all_exist", ".*", "directories");
    let expected = match count > bartizan_scap::probe::files::MAX_ITEMS {
        true => Truth::Unknown,
        false => Truth::True,
    };
    assert_eq!(judge(&system, &unknown, seconds), expected);
}

#[test]
fn a_directory_of_many_files() {
    one_large_directory(100_000, 30);
}

#[test]
#[ignore = "a minute and a million names"]
fn a_directory_of_a_million_files() {
    one_large_directory(1_000_000, 60);
}
