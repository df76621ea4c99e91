//! Each kind of question: pass, fail, and what cannot be told.

use super::fake::Fake;
use super::question::Question;
use super::*;
use crate::system::Unit;

fn ask(fake: &Fake, yaml: &str) -> Verdict {
    let question: Question = serde_saphyr::from_str(yaml).unwrap_or_else(|e| panic!("{yaml}: {e}"));
    Facts::new(fake).ask(&question)
}

#[track_caller]
fn says(fake: &Fake, yaml: &str, word: &str) {
    let verdict = ask(fake, yaml);
    assert_eq!(verdict.outcome.word(), word, "{yaml}\n{verdict:?}");
}

#[test]
fn files() {
    let mut fake = Fake::new();
    fake.write("/etc/a", "x")
        .write("/etc/b", "x")
        .mode("/etc/b", 0o666);
    fake.write(
        "/etc/passwd",
        "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n",
    );
    fake.write("/etc/shut/in", "x")
        .link("/etc/l/null", "/dev/null");
    fake.owners.insert("/etc/b".into(), (1000, 7));
    fake.closed.push("/etc/shut".into());
    for (yaml, word) in [
        ("file: {path: /etc/a}", "pass"),
        ("file: {path: /etc/none}", "fail"),
        ("file: {path: /etc/l/null, target: /dev/null}", "pass"),
        ("file: {path: /etc/l/null, target: /dev/zero}", "fail"),
        ("file: {path: /etc/a, target: /dev/null}", "fail"),
        (
            "file: {path: /etc/none, mode: '0600', missing: pass}",
            "pass",
        ),
        ("file: {path: /etc/none, missing: unknown}", "unknown"),
        ("file: {path: /etc/none, state: absent}", "pass"),
        ("file: {path: /etc/a, state: absent}", "fail"),
        (
            "file: {path: /etc/a, mode: '0644', owner: root, kind: regular}",
            "pass",
        ),
        ("file: {path: /etc/a, mode: '0640'}", "fail"),
        ("file: {path: /etc/a, kind: directory}", "fail"),
        ("file: {path: /etc/b, owner: ann}", "pass"),
        ("file: {path: /etc/b, owner: [root, bob]}", "fail"),
        // There is no group file, so whether 7 is `adm` cannot be told.
        ("file: {path: /etc/b, group: [root, adm]}", "unknown"),
        ("file: {path: '/etc/?', mode: '0644'}", "fail"),
        ("file: {path: /etc/shut/in}", "unknown"),
        ("file: {path: /etc/shut/in, state: absent}", "unknown"),
        ("file: {path: '/etc/shut/*', missing: pass}", "unknown"),
        ("not: {file: {path: /etc/shut/in}}", "unknown"),
        (
            "any: [{file: {path: /etc/shut/in}}, {file: {path: /etc/a}}]",
            "pass",
        ),
        (
            "all: [{file: {path: /etc/shut/in}}, {file: {path: /etc/a}}]",
            "unknown",
        ),
    ] {
        says(&fake, yaml, word);
    }
    let verdict = ask(&fake, "file: {path: /etc/a, mode: '0600'}");
    let found = verdict.evidence.first().unwrap();
    assert_eq!(found.path, "/etc/a mode");
    assert_eq!(found.actual.as_deref(), Some("0644"));
    assert_eq!(found.expected.as_deref(), Some("at most 0600"));
}

#[test]
fn lines() {
    let mut fake = Fake::new();
    fake.write("/etc/x.d/1.conf", "# key no\nkey yes\n");
    fake.write("/etc/x.d/2.conf", "other\n")
        .write("/etc/shadow", "root:$6$hash:1\n");
    fake.write("/etc/shut", "x");
    fake.closed.push("/etc/shut".into());
    for (yaml, word) in [
        (
            "lines: {path: '/etc/x.d/*.conf', matches: ['^key yes$']}",
            "pass",
        ),
        (
            "lines: {path: '/etc/x.d/*.conf', matches: ['^key yes$'], each: true}",
            "fail",
        ),
        ("lines: {path: '/etc/x.d/*.conf', matches: ['no']}", "fail"),
        (
            "lines: {path: '/etc/x.d/*.conf', none-match: ['no']}",
            "pass",
        ),
        (
            "lines: {path: '/etc/x.d/*.conf', none-match: ['no'], comment: ''}",
            "fail",
        ),
        ("lines: {path: /etc/none, none-match: ['no']}", "unknown"),
        (
            "lines: {path: /etc/none, none-match: ['no'], missing: pass}",
            "pass",
        ),
        (
            "lines: {path: /etc/shut, none-match: ['no'], missing: pass}",
            "unknown",
        ),
    ] {
        says(&fake, yaml, word);
    }
    let verdict = ask(&fake, "lines: {path: /etc/shadow, none-match: ['hash']}");
    assert!(!format!("{verdict:?}").contains("$6$"), "{verdict:?}");
}

#[test]
fn settings() {
    let fake = Fake::new();
    fake.write(
        "/etc/login.defs",
        "PASS_MAX_DAYS\t99999\nPASS_MAX_DAYS 90 \nUMASK many\n",
    );
    fake.write(
        "/etc/j.conf",
        "[Other]\nStorage=volatile\n[Journal]\n#Storage=none\n",
    );
    fake.write(
        "/etc/j.conf.d/a.conf",
        "[Journal]\nStorage = \"persistent\"\n",
    );
    let defs = |rest: &str| format!("setting: {{path: /etc/login.defs, separator: space, {rest}}}");
    for (rest, word) in [
        ("key: PASS_MAX_DAYS, expect: {at-most: 365}", "pass"),
        (
            "key: PASS_MAX_DAYS, wins: first, expect: {at-most: 365}",
            "fail",
        ),
        ("key: UMASK, expect: {at-most: 5}", "unknown"),
        ("key: NONE, expect: {equals: 'x'}", "fail"),
        ("key: NONE, default: 'x', expect: {equals: 'X'}", "pass"),
    ] {
        says(&fake, &defs(rest), word);
    }
    let journal = "path: [/etc/j.conf, '/etc/j.conf.d/*.conf'], section: Journal, key: Storage";
    says(
        &fake,
        &format!("setting: {{{journal}, expect: {{equals: persistent}}}}"),
        "pass",
    );
    says(
        &fake,
        &format!("setting: {{{journal}, expect: {{equals: volatile}}}}"),
        "fail",
    );
    says(
        &fake,
        "setting: {path: /no, key: a, default: x, expect: {equals: x}}",
        "unknown",
    );
}

#[test]
fn the_first_sshd_value_counts_and_matches_too() {
    let mut fake = Fake::new();
    let sshd =
        |keyword: &str, expect: &str| format!("sshd: {{keyword: {keyword}, expect: {expect}}}");
    says(&fake, &sshd("PermitRootLogin", "{equals: 'no'}"), "unknown");
    fake.write(
        "/etc/ssh/sshd_config",
        "Include sshd_config.d/*.conf\npermitrootlogin yes\nX11Forwarding=no # why\nMaxAuthTries 4\nMatch User ann\n  MaxAuthTries 9\n  Include /etc/ssh/more\nMatch all\nLoginGraceTime 1m\n",
    );
    fake.write("/etc/ssh/sshd_config.d/2.conf", "PermitRootLogin yes\n");
    fake.write(
        "/etc/ssh/sshd_config.d/1.conf",
        "PermitRootLogin \"no\"\nMatch User bob\nBanner none\n",
    );
    fake.write("/etc/ssh/more", "AllowTcpForwarding yes\n");
    for (keyword, expect, word) in [
        ("PermitRootLogin", "{equals: 'no'}", "pass"),
        ("X11Forwarding", "{equals: 'no'}", "pass"),
        ("MaxAuthTries", "{at-most: 9}", "pass"),
        ("MaxAuthTries", "{at-most: 4}", "fail"),
        ("LoginGraceTime", "{at-most: 60}", "pass"),
        (
            "AllowTcpForwarding",
            "{equals: 'no'}, default: 'no'",
            "fail",
        ),
        ("PermitEmptyPasswords", "{equals: 'no'}", "fail"),
        (
            "PermitEmptyPasswords",
            "{equals: 'no'}, default: 'no'",
            "pass",
        ),
    ] {
        says(&fake, &sshd(keyword, expect), word);
    }
    fake.closed.push("/etc/ssh/sshd_config.d".into());
    says(&fake, &sshd("X11Forwarding", "{equals: 'no'}"), "unknown");
    fake.closed.clear();
    fake.write("/etc/ssh/sshd_config", "Include sshd_config\n");
    says(&fake, &sshd("X11Forwarding", "{equals: 'no'}"), "unknown");
}

#[test]
fn packages() {
    let fake = Fake::new();
    says(&fake, "package: {name: telnet, state: absent}", "unknown");
    fake.write(
        "/var/lib/dpkg/status",
        "Package: sudo\nStatus: install ok installed\nVersion: 1.9.13p3-1\n\nPackage: telnet\nStatus: deinstall ok config-files\nVersion: 1\n",
    );
    for (yaml, word) in [
        ("package: {name: sudo}", "pass"),
        ("package: {name: [doas, sudo]}", "pass"),
        ("package: {name: [sudo, telnet], state: absent}", "fail"),
        ("package: {name: telnet, state: absent}", "pass"),
        ("package: {name: telnet}", "fail"),
        ("package: {name: sudo, at-least: 1.9.5}", "pass"),
        ("package: {name: sudo, at-least: '1.9.20'}", "fail"),
    ] {
        says(&fake, yaml, word);
    }
}

#[test]
fn services() {
    let mut fake = Fake::new();
    let service = |name: &str, state: &str| format!("service: {{name: {name}, state: {state}}}");
    says(&fake, &service("a.service", "enabled"), "unknown");
    says(&fake, &service("a.service", "off"), "unknown");
    fake.write(
        "/usr/lib/systemd/system/a.service",
        "[Install]\nWantedBy=x\n",
    );
    fake.write("/usr/lib/systemd/system/static.service", "[Service]\n");
    fake.write("/usr/lib/systemd/system/b.service", "[Install]\n");
    fake.link(
        "/etc/systemd/system/x.target.wants/b.service",
        "/usr/lib/systemd/system/b.service",
    );
    fake.link("/etc/systemd/system/c.service", "/dev/null");
    for (name, state, word) in [
        ("a.service", "enabled", "fail"),
        ("a.service", "off", "unknown"),
        ("b.service", "enabled", "pass"),
        ("b.service", "running", "unknown"),
        ("b.service", "off", "fail"),
        ("c.service", "off", "pass"),
        ("none.service", "off", "pass"),
        ("none.service", "active", "fail"),
        ("static.service", "enabled", "unknown"),
    ] {
        says(&fake, &service(name, state), word);
    }
    let unit = |name: &str, file: &str, active: &str| Unit {
        name: name.into(),
        properties: vec![
            ("Names".into(), vec![name.into(), format!("alias-{name}")]),
            ("LoadState".into(), vec!["loaded".into()]),
            ("UnitFileState".into(), vec![file.into()]),
            ("ActiveState".into(), vec![active.into()]),
        ],
    };
    fake.units = Some(vec![
        unit("a.service", "enabled", "active"),
        unit("b.service", "disabled", "inactive"),
        unit("static.service", "static", "active"),
    ]);
    for (name, state, word) in [
        ("a.service", "running", "pass"),
        ("alias-a.service", "enabled", "pass"),
        ("[none.service, a.service]", "active", "pass"),
        ("b.service", "enabled", "fail"),
        ("b.service", "off", "pass"),
        ("[b.service, a.service]", "off", "fail"),
        ("static.service", "running", "pass"),
        ("none.service", "off", "pass"),
    ] {
        says(&fake, &service(name, state), word);
    }
}

#[test]
fn kernel_parameters() {
    let mut fake = Fake::new();
    let yaml = "sysctl: {key: net.ipv4.ip_forward, expect: {equals: '0'}}";
    says(&fake, yaml, "unknown");
    fake.write("/proc/sys/net/ipv4/ip_forward", "0\n");
    says(&fake, yaml, "pass");
    fake.write("/proc/sys/net/ipv4/ip_forward", "1\n");
    says(&fake, yaml, "fail");
    fake.live = false;
    says(&fake, yaml, "unknown");
    fake.write("/usr/lib/sysctl.d/50.conf", "net.ipv4.ip_forward = 1\n");
    says(&fake, yaml, "fail");
    fake.write("/etc/sysctl.d/50.conf", "-net/ipv4/ip_forward=0\n");
    says(&fake, yaml, "pass");
    fake.write("/etc/sysctl.conf", "net.ipv4.ip_forward=1\n");
    says(&fake, yaml, "fail");
}

#[test]
fn mounts() {
    let mut fake = Fake::new();
    let yaml = "mount: {point: /tmp, options: [nodev, nosuid]}";
    says(&fake, yaml, "unknown");
    fake.write(
        "/proc/self/mounts",
        "tmpfs /tmp tmpfs rw,nosuid,nodev 0 0\n",
    );
    fake.write("/etc/fstab", "# no\nUUID=1 /tmp ext4 defaults 0 2\n");
    says(&fake, yaml, "pass");
    says(&fake, "mount: {point: /home}", "fail");
    fake.live = false;
    says(&fake, yaml, "fail");
    says(&fake, "mount: {point: /tmp}", "pass");
    fake.link("/etc/systemd/system/home.mount", "/dev/null");
    says(&fake, "mount: {point: /home}", "unknown");
}

#[test]
fn modules() {
    let mut fake = Fake::new();
    let yaml = "module-disabled: {name: usb-storage}";
    says(&fake, yaml, "unknown");
    fake.write("/proc/modules", "ext4 1 0 - Live 0x0\n");
    says(&fake, yaml, "unknown");
    fake.write(
        "/etc/modprobe.d/a.conf",
        "blacklist usb_storage\n#install usb_storage /bin/false\n",
    );
    says(&fake, yaml, "fail");
    fake.write("/etc/modprobe.d/b.conf", "install usb_storage /bin/false\n");
    says(&fake, yaml, "pass");
    fake.write("/proc/modules", "usb_storage 1 0 - Live 0x0\n");
    says(&fake, yaml, "fail");
    fake.live = false;
    says(&fake, yaml, "pass");
    fake.live = true;
    fake.write("/proc/modules", "")
        .write("/etc/modprobe.d/b.conf", "");
    fake.write("/lib/modules/6.1.0/modules.dep", "kernel/a.ko.xz:\n");
    fake.write("/lib/modules/6.1.0/modules.builtin", "kernel/b.ko\n");
    says(&fake, yaml, "pass");
    fake.write(
        "/lib/modules/6.1.0/modules.builtin",
        "kernel/usb-storage.ko\n",
    );
    says(&fake, yaml, "fail");
}

#[test]
fn accounts() {
    let mut fake = Fake::new();
    let rule = |rule: &str| format!("accounts: {{rule: {rule}}}");
    says(&fake, &rule("only-root-has-uid-0"), "unknown");
    says(&fake, &rule("no-empty-passwords"), "unknown");
    fake.write("/etc/passwd", "root:x:0:0::/root:/bin/bash\nbin:x:2:2::/bin:/usr/sbin/nologin\nann:x:1000:1000::/home/ann:/bin/bash\n");
    fake.write(
        "/etc/group",
        "root:x:0:\nbin:x:2:\nann:x:1000:\nshadow:x:42:\n",
    );
    fake.write(
        "/etc/shadow",
        "root:*:1:0:99999:7:::\nbin:!:1::::::\nann:$y$j9T$x:1:0:90:7:::\n",
    );
    fake.folder("/home/ann", 0o750).folder("/root", 0o700);
    fake.owners.insert("/home/ann".into(), (1000, 1000));
    let all = [
        "only-root-has-uid-0",
        "only-root-has-gid-0",
        "root-primary-group",
        "unique-uids",
        "unique-names",
        "unique-gids",
        "unique-group-names",
        "groups-exist",
        "no-empty-passwords",
        "shadowed",
        "strong-hashes",
        "max-days, bound: 365",
        "warn-days, bound: 7",
        "changed-in-past",
        "system-no-shell",
        "system-no-password",
        "homes-exist",
        "homes-owned",
        "homes-mode, bound: 750",
        "homes-without, files: [.rhosts]",
        "dot-files",
        "no-plus-entries",
        "shadow-group-empty",
    ];
    for name in all {
        says(&fake, &rule(name), "pass");
    }
    says(&fake, &rule("max-days"), "unknown");
    fake.write("/etc/passwd", "root:x:0:5::/root:/bin/bash\nbin:x:2:42::/bin:/bin/sh\nann:hash:1000:1000::/home/ann:/bin/bash\nann:x:1000:77::/gone:/bin/bash\ntoor:x:0:0::/:/bin/false\n+::::::\n");
    fake.write(
        "/etc/group",
        "root:x:0:\nbin:x:2:\nbin:x:2:\nann:x:0:\nshadow:x:42:ann\n",
    );
    fake.write(
        "/etc/shadow",
        "root::1:0:99999:7:::\nbin:$6$a:1::::::\nann:$1$weakhash:999999:0:9000:3:::\n+::\n",
    );
    fake.folder("/home/ann", 0o777)
        .write("/home/ann/.rhosts", "")
        .mode("/home/ann/.rhosts", 0o666);
    fake.owners.clear();
    for name in all {
        says(&fake, &rule(name), "fail");
        let shown = format!("{:?}", ask(&fake, &rule(name)));
        assert!(!shown.contains("weakhash"), "{shown}");
    }
    fake.closed.push("/etc/shadow".into());
    says(&fake, &rule("no-empty-passwords"), "unknown");
}

#[test]
fn finds() {
    let mut fake = Fake::new();
    let find = |what: &str| format!("find: {{what: {what}, except: [/usr/bin/su*]}}");
    says(&fake, &find("suid"), "unknown");
    fake.write("/etc/passwd", "root:x:0:0::/root:/bin/sh\n")
        .write("/etc/group", "root:x:0:\n");
    fake.write(
        "/proc/self/mounts",
        "/dev/a / ext4 rw 0 0\nnas:/ /net nfs4 rw 0 0\n",
    );
    fake.write("/usr/bin/sudo", "")
        .mode("/usr/bin/sudo", 0o4755);
    fake.write("/net/x", "").mode("/net/x", 0o6777);
    fake.folder("/tmp", 0o1777);
    let all = [
        "suid",
        "sgid",
        "world-writable-files",
        "world-writable-folders",
        "unowned",
        "ungrouped",
    ];
    for what in all {
        says(&fake, &find(what), "pass");
    }
    fake.folder("/shut", 0o755);
    fake.closed.push("/shut".into());
    for what in all {
        says(&fake, &find(what), "unknown");
    }
    says(&fake, "find: {what: sgid, under: /usr}", "pass");
    fake.write("/opt/x", "")
        .mode("/opt/x", 0o6777)
        .folder("/opt/y", 0o777);
    fake.owners.insert("/opt/x".into(), (5, 6));
    for what in all {
        says(&fake, &find(what), "fail");
    }
}

#[test]
fn what_does_not_apply_is_said() {
    let fake = Fake::new();
    fake.write("/etc/a", "");
    let facts = Facts::new(&fake);
    let question = |yaml: &str| serde_saphyr::from_str::<Question>(yaml).unwrap();
    let asked = question("file: {path: /etc/b}");
    let when = |yaml: &str| facts.answer(Some(&question(yaml)), &asked).outcome;
    assert_eq!(when("file: {path: /etc/a}"), Outcome::Fail);
    assert_eq!(
        when("file: {path: /etc/none}"),
        Outcome::NotApplicable {
            why: "/etc/none does not exist".into()
        }
    );
    assert_eq!(when("package: {name: x}").word(), "unknown");
}
