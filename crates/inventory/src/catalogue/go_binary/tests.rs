//! Executables of Go in both formats, made here.

use super::*;
use crate::catalogue::input::told;

const MODULES: &str = "path\texample.org/app\nmod\texample.org/app\t(devel)\t\ndep\tgithub.com/gin-gonic/gin\tv1.7.0\th1:a=\ndep\tgolang.org/x/text\tv0.3.0\n=>\tgolang.org/x/text\tv0.3.8\th1:b=\ndep\texample.org/beside\tv0.0.0\n=>\t../beside\t(devel)\t\nbuild\t-compiler=gc\n";

fn modules() -> Vec<u8> {
    [&[1u8; 16][..], MODULES.as_bytes(), &[2u8; 16]].concat()
}

fn varint(mut n: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while n >= 0x80 {
        out.push((n as u8) | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
    out
}

/// An ELF file of one segment without sections.
fn elf(base: u64, data: &[u8]) -> Vec<u8> {
    let mut out = b"\x7fELF\x02\x01\x01".to_vec();
    out.resize(16, 0);
    for half in [2u16, 62] {
        out.extend(half.to_le_bytes());
    }
    out.extend(1u32.to_le_bytes());
    for long in [0u64, 64, 0] {
        out.extend(long.to_le_bytes());
    }
    out.extend(0u32.to_le_bytes());
    for half in [64u16, 56, 1, 64, 0, 0] {
        out.extend(half.to_le_bytes());
    }
    out.extend(1u32.to_le_bytes());
    out.extend(6u32.to_le_bytes());
    let size = data.len() as u64;
    for long in [128, base, base, size, size, 16] {
        out.extend(long.to_le_bytes());
    }
    out.resize(128, 0);
    out.extend(data);
    out.resize(out.len().max(512), 0);
    out
}

const WANTED: [&str; 3] = [
    "pkg:golang/github.com/gin-gonic/gin@v1.7.0",
    "pkg:golang/golang.org/x/text@v0.3.8",
    "pkg:golang/stdlib@1.21.3",
];

#[test]
fn the_format_since_1_18_is_read() {
    let mut data = [MAGIC, &[8, 2]].concat();
    data.resize(HEADER, 0);
    for text in [b"go1.21.3".to_vec(), modules()] {
        data.extend(varint(text.len()));
        data.extend(text);
    }
    let (purls, unread) = told(&GoBinary, "app.so", elf(0x1000, &data));
    assert_eq!(purls, WANTED);
    assert!(unread.is_empty(), "{unread:?}");
    // Cut anywhere it is unread or nothing, never a panic.
    for end in 0..data.len() {
        told(&GoBinary, "app.so", elf(0x1000, &data[..end]));
    }
}

#[test]
fn the_format_of_pointers_is_read() {
    let base = 0x1000u64;
    let go = b"go1.21.3";
    let modules = modules();
    let mut data = [MAGIC, &[8, 0]].concat();
    data.extend((base + 32).to_le_bytes());
    data.extend((base + 48).to_le_bytes());
    for long in [base + 64, go.len() as u64, base + 72, modules.len() as u64] {
        data.extend(long.to_le_bytes());
    }
    data.extend(go);
    data.extend(&modules);
    let (purls, unread) = told(&GoBinary, "app.so", elf(base, &data));
    assert_eq!(purls, WANTED);
    assert!(unread.is_empty(), "{unread:?}");
}

#[test]
fn releases_are_written_as_advisories_write_them() {
    for (go, wanted) in [
        ("go1.21.3", Some("1.21.3")),
        ("go1.20", Some("1.20.0")),
        ("go1.22rc1", Some("1.22.0-rc.1")),
        ("go1.21.5 X:boringcrypto", Some("1.21.5")),
        ("devel go1.23-abc", None),
        ("go", None),
        ("", None),
    ] {
        assert_eq!(release(go).as_deref(), wanted, "{go}");
    }
}
