//! Without a connection: what is refused, and what is understood.

use super::*;

#[test]
fn targets() {
    let good = |text: &str| split(text).unwrap();
    assert_eq!(good("web1"), ("web1".into(), None));
    assert_eq!(good("me@web1:22"), ("me@web1".into(), Some(22)));
    assert_eq!(good("me@[::1]:2222"), ("me@::1".into(), Some(2222)));
    assert_eq!(good("fe80::1"), ("fe80::1".into(), None));
    assert_eq!(good("a@corp@web1"), ("a@corp@web1".into(), None));
    for bad in [
        "",
        "-oProxyCommand=x",
        "me@-x",
        "-x@web1",
        "a b",
        "web1:x",
        "[::1",
        "$(x)",
    ] {
        assert!(split(bad).is_err(), "{bad}");
    }
}

#[test]
fn host_keys_are_checked() {
    for bad in [
        "StrictHostKeyChecking=no",
        "stricthostkeychecking=off",
        "StrictHostKeyChecking no",
        "StrictHostKeyChecking = \"no\"",
        "nothing",
    ] {
        assert!(allowed(bad).is_err(), "{bad}");
    }
    for good in [
        "StrictHostKeyChecking=accept-new",
        "IdentityFile=/k",
        "Port=22",
    ] {
        assert!(allowed(good).is_ok(), "{good}");
    }
    let over = OverSsh {
        ssh_timeout: 5,
        ..OverSsh::default()
    };
    let target = Target::new("me@web1:7", &over).unwrap();
    let command = target.command(false, "x");
    let arguments: Vec<_> = command
        .get_args()
        .map(|one| one.to_str().unwrap())
        .collect();
    assert!(arguments.contains(&"StrictHostKeyChecking=yes"));
    assert!(arguments.ends_with(&["--", "me@web1", "x"]));
}

#[test]
fn folders_that_are_ours() {
    assert!(is_ours("/tmp/bartizan.a1B2c3D4e5"));
    assert!(is_ours("/home/me/bartizan.XXXXa1B2c3"));
    for bad in [
        "/tmp",
        "/",
        "bartizan.a1B2c3D4e5",
        "/tmp/../bartizan.a1B2c3D4e5",
        "/tmp/bartizan.a1B2c3D4e5/..",
        "/tmp/x bartizan.a1B2c3D4e5",
        "/tmp/$(x)/bartizan.a1B2c3D4e5",
        "/tmp/bartizan.a1B2",
    ] {
        assert!(!is_ours(bad), "{bad}");
    }
    let mut folder = None;
    let text = b"Welcome!\n\xff\nbartizan-ssh 1 Linux x86_64 /tmp/bartizan.a1B2c3D4e5\nrest";
    let mut bytes = &text[..];
    let (system, machine) = greeting(&mut bytes, &mut folder).unwrap();
    assert_eq!(
        (&*system, &*machine, bytes),
        ("Linux", "x86_64", &b"rest"[..])
    );
    assert_eq!(folder.as_deref(), Some("/tmp/bartizan.a1B2c3D4e5"));
    let endless = vec![b'x'; 1 << 20];
    assert!(greeting(&mut &endless[..], &mut None).is_err());
}

#[test]
fn binaries() {
    let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    assert!(machine(&own).unwrap().contains(&std::env::consts::ARCH));
    assert_eq!(machine(b"#!/bin/sh\n                        "), None);
}

#[test]
fn names_that_are_sent() {
    let mut inputs = Inputs::default();
    for bad in ["../x", "a/../x", "/x", "-x", "a\nb", "a$x", "a//b"] {
        assert!(inputs.add(bad.into(), Vec::new()).is_err(), "{bad}");
    }
    assert!(inputs.add("content/a b-1.xml".into(), Vec::new()).is_ok());
}
