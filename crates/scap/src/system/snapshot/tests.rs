//! What was recorded is judged as it was live; what was not is unknown.

use super::*;
use crate::oval::evaluate::Evaluator;
use crate::oval::outcome::Truth;
use crate::probe::Context;
use crate::system::{Recorder, Rooted};
use crate::yaml;
use proptest::prelude::*;
use std::fs;

/// Two definitions over files that may be there, one over a tree.
const OVAL: &str = r"<oval_definitions xmlns='http://oval.mitre.org/XMLSchema/oval-definitions-5'>
<definitions>
 <definition id='oval:t:def:1' version='1' class='compliance'><criteria><criterion test_ref='oval:t:tst:1'/></criteria></definition>
 <definition id='oval:t:def:2' version='1' class='compliance'><criteria><criterion test_ref='oval:t:tst:2'/></criteria></definition>
</definitions><tests>
 <textfilecontent54_test xmlns='http://oval.mitre.org/XMLSchema/oval-definitions-5#independent' id='oval:t:tst:1' version='1' check='all' check_existence='at_least_one_exists'><object object_ref='oval:t:obj:1'/></textfilecontent54_test>
 <file_test xmlns='http://oval.mitre.org/XMLSchema/oval-definitions-5#unix' id='oval:t:tst:2' version='1' check='all' check_existence='none_exist'><object object_ref='oval:t:obj:2'/></file_test>
</tests><objects>
 <textfilecontent54_object xmlns='http://oval.mitre.org/XMLSchema/oval-definitions-5#independent' id='oval:t:obj:1' version='1'><filepath>/etc/login.defs</filepath><pattern operation='pattern match'>^PASS_MAX_DAYS\s+365$</pattern><instance datatype='int'>1</instance></textfilecontent54_object>
 <file_object xmlns='http://oval.mitre.org/XMLSchema/oval-definitions-5#unix' id='oval:t:obj:2' version='1'><behaviors recurse='directories' recurse_direction='down' max_depth='-1'/><path>/etc</path><filename operation='pattern match'>^bad</filename></file_object>
</objects></oval_definitions>";

fn record(system: &dyn System, judge: impl FnOnce(&dyn System)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let recorder = Recorder::new(system, Box::new(&mut bytes)).unwrap();
    recorder.note("host", b"{}");
    judge(&recorder);
    recorder.finish().unwrap();
    bytes
}

fn oval(system: &dyn System) -> Vec<Truth> {
    let tree = crate::xml::parse(OVAL.as_bytes()).unwrap();
    let document = crate::oval::parse::document(&tree).unwrap();
    let context = Context::new(system);
    let externals = std::collections::HashMap::new();
    let mut evaluator = Evaluator::new(&document, &context, &externals);
    ["oval:t:def:1", "oval:t:def:2"]
        .map(|id| evaluator.definition(id))
        .to_vec()
}

fn own(system: &dyn System) -> Vec<String> {
    let facts = yaml::Facts::new(system);
    yaml::builtin()
        .unwrap()
        .iter()
        .flat_map(|baseline| yaml::evaluate_with(baseline, &facts, &|_, _| {}))
        .map(|answer| format!("{answer:?}"))
        .collect()
}

fn tree(files: &[(usize, usize)]) -> tempfile::TempDir {
    const NAMES: &[&str] = &[
        "etc/login.defs",
        "etc/ssh/sshd_config",
        "etc/passwd",
        "etc/shadow",
        "etc/group",
        "etc/a/bad",
        "etc/fstab",
        "var/lib/dpkg/status",
        "etc/os-release",
    ];
    const TEXTS: &[&str] = &[
        "",
        "PASS_MAX_DAYS 365\n",
        "root:x:0:0:root:/root:/bin/bash\n",
        "PermitRootLogin no\n",
        "ID=debian\n",
        "Package: sudo\nStatus: install ok installed\nVersion: 1\n\n",
        "\u{0}\u{ff}",
    ];
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("etc")).unwrap();
    for (name, text) in files {
        let path = folder.path().join(NAMES[name % NAMES.len()]);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, TEXTS[text % TEXTS.len()]).unwrap();
    }
    std::os::unix::fs::symlink("passwd", folder.path().join("etc/link")).unwrap();
    folder
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn judged_as_live(files in prop::collection::vec((0usize..9, 0usize..7), 0..12)) {
        let folder = tree(&files);
        let live = Rooted::new(folder.path().to_owned(), false);
        let (mut while_recorded, mut own_recorded) = (Vec::new(), Vec::new());
        let bytes = record(&live, |system| {
            while_recorded = oval(system);
            own_recorded = own(system);
        });
        let (truths, answers) = (oval(&live), own(&live));
        drop(folder);
        let snapshot = Snapshot::read(&bytes).unwrap();
        prop_assert_eq!(oval(&snapshot), &truths[..]);
        prop_assert_eq!(own(&snapshot), &answers[..]);
        prop_assert_eq!(while_recorded, truths);
        prop_assert_eq!(own_recorded, answers);
        prop_assert_eq!(snapshot.missed(), Vec::<String>::new());
        prop_assert_eq!(snapshot.note("host"), Some(&b"{}"[..]));
    }

    #[test]
    fn hostile_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Snapshot::read(&bytes);
        let _ = Snapshot::parse(bytes);
    }
}

#[test]
fn what_was_not_asked_is_not_absent() {
    let folder = tree(&[(0, 1), (2, 2)]);
    let live = Rooted::new(folder.path().to_owned(), false);
    assert_eq!(oval(&live), [Truth::True, Truth::True]);
    let nothing = Snapshot::read(&record(&live, |_| {})).unwrap();
    for truth in oval(&nothing) {
        assert!(matches!(truth, Truth::Unknown | Truth::Error), "{truth:?}");
    }
    assert!(!nothing.missed().is_empty());
    for answer in own(&nothing) {
        assert!(!answer.contains("outcome: Pass"), "{answer}");
    }
    // Names alone: metadata of what a listing shows is not known.
    let names = Snapshot::read(&record(&live, |system| {
        for path in ["/", "/etc"] {
            system.lstat(Path::new(path)).unwrap();
            system.canonical(Path::new(path)).unwrap();
            system.read_dir(Path::new(path)).unwrap();
        }
    }));
    let truths = oval(&names.unwrap());
    assert!(matches!(truths[0], Truth::Unknown | Truth::Error));
}

#[test]
fn answers_are_exact() {
    let folder = tree(&[(2, 2), (6, 2)]);
    fs::set_permissions(
        folder.path().join("etc/passwd"),
        std::os::unix::fs::PermissionsExt::from_mode(0o4604),
    )
    .unwrap();
    let live = Rooted::new(folder.path().to_owned(), false);
    let at = |path: &'static str| Path::new(path);
    let bytes = record(&live, |system| {
        for path in ["/etc/passwd", "/etc/link", "/none", "/etc"] {
            let _ = (system.lstat(at(path)), system.stat(at(path)));
            let _ = (system.read_link(at(path)), system.canonical(at(path)));
            let _ = (system.read_dir(at(path)), system.has_acl(at(path)));
            let _ = system.attribute(at(path), "security.selinux");
            let _ = system.read(at(path), 3);
        }
        let _ = system.read(at("/etc/fstab"), 100);
        let _ = (system.uname(), system.units(), system.interfaces());
        let _ = (system.space(at("/")), system.environment());
    });
    let snapshot = Snapshot::read(&bytes).unwrap();
    for path in ["/etc/passwd", "/etc/link", "/none", "/etc"] {
        let same = |one: io::Result<String>, other: io::Result<String>| {
            let plain = |result: io::Result<String>| result.map_err(|error| error.to_string());
            assert_eq!(plain(one), plain(other), "{path}");
        };
        let of = |system: &dyn System| system.lstat(at(path)).map(|one| format!("{one:?}"));
        same(of(&live), of(&snapshot));
        let of = |system: &dyn System| system.stat(at(path)).map(|one| format!("{one:?}"));
        same(of(&live), of(&snapshot));
        let of = |system: &dyn System| system.canonical(at(path)).map(|one| format!("{one:?}"));
        same(of(&live), of(&snapshot));
        let of = |system: &dyn System| system.read_link(at(path)).map(|one| format!("{one:?}"));
        same(of(&live), of(&snapshot));
        let of = |system: &dyn System| system.read_dir(at(path)).map(|one| format!("{one:?}"));
        same(of(&live), of(&snapshot));
        let of = |system: &dyn System| system.read(at(path), 3).map(|one| format!("{one:?}"));
        same(of(&live), of(&snapshot));
        assert_eq!(live.has_acl(at(path)), snapshot.has_acl(at(path)));
    }
    assert_eq!(snapshot.missed(), Vec::<String>::new());
    assert_eq!(snapshot.read(at("/etc/fstab"), 100).unwrap().len(), 32);
    let large = snapshot.read(at("/etc/fstab"), 5).unwrap_err();
    assert_eq!(large.kind(), io::ErrorKind::FileTooLarge);
    // It was too large for 3 bytes; nobody looked whether it is for more.
    let unknown = snapshot.read(at("/etc/passwd"), 100).unwrap_err();
    assert_eq!(unknown.kind(), io::ErrorKind::Other);
    assert_eq!(snapshot.missed(), ["content /etc/passwd"]);
    assert!(!snapshot.environment().unwrap().is_empty());
    assert!(!snapshot.is_live() && snapshot.uname().is_err());
}

#[test]
fn a_live_system() {
    let live = Rooted::new("/".into(), true).with_units(Box::new(|| {
        Ok(vec![Unit {
            name: "a.service".into(),
            properties: vec![("Names".into(), vec!["a.service".into(), "b".into()])],
        }])
    }));
    let bytes = record(&live, |system| {
        let _ = (system.uname(), system.units(), system.interfaces());
    });
    let snapshot = Snapshot::read(&bytes).unwrap();
    assert!(snapshot.is_live());
    assert_eq!(snapshot.uname().unwrap(), live.uname().unwrap());
    assert_eq!(snapshot.units().unwrap(), live.units().unwrap());
    assert_eq!(snapshot.interfaces().unwrap(), live.interfaces().unwrap());
}

#[test]
fn damage_is_seen() {
    let folder = tree(&[(2, 2)]);
    let live = Rooted::new(folder.path().to_owned(), false);
    let whole = record(&live, |system| {
        let _ = system.read(Path::new("/etc/passwd"), 100);
    });
    for length in 0..whole.len() {
        assert!(Snapshot::read(&whole[..length]).is_err(), "{length}");
    }
    let newer = [b"bartizan-snapshot 2\n", &whole[MAGIC.len()..]].concat();
    assert!(matches!(
        Snapshot::read(&newer),
        Err(SnapshotError::Unknown)
    ));
}
