//! Hostile input: a clear error with file and line, and bounded memory. One test, since the
//! process's peak is what is measured.

// A test may panic, also in the functions that its tests share.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used)]

use bartizan_model::Scan;
use bartizan_policy::{Library, ScanOptions, Source, fuzzing, scan};
use serde_json::json;
use std::io::Read;

/// `count` equal bytes that take no memory.
struct Endless(u8, u64);

impl Read for Endless {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let n = out.len().min(usize::try_from(self.1).unwrap());
        out[..n].fill(self.0);
        self.1 -= n as u64;
        Ok(n)
    }
}

fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix("VmHWM:"))
        .unwrap();
    line.split_whitespace()
        .next()
        .unwrap()
        .parse::<u64>()
        .unwrap()
        / 1024
}

#[test]
fn hostile_inputs_are_refused_within_bounds() {
    let run: Scan = serde_json::from_value(json!({
        "id": "s1", "source": "bartizan/k8s", "source_version": "0", "scope": {"kind": "cluster", "name": "c"},
        "complete": true, "started": "2026-11-21T00:00:00Z", "finished": "2026-11-21T00:00:01Z"
    }))
    .unwrap();
    let options = ScanOptions::new(run);
    let good = "\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: kept}\n";
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..20 {
        bomb += &format!(
            "a{i}: &a{i} [{}]\n",
            vec![format!("*a{}", i - 1); 10].join(", ")
        );
    }
    let wide = format!(
        "a: &a [{}]\nb: [{}]\n",
        "x, ".repeat(90_000),
        "*a, ".repeat(50_000)
    );
    let deep_flow = "[".repeat(100_000);
    let deep_block: String = (0..2_000).map(|i| " ".repeat(i) + "a:\n").collect();
    let deep_json = "{\"a\":".repeat(100_000);
    let keys: String = (0..90_000).map(|i| format!("k{i}: 1\n")).collect();
    let bytes = |text: &str| (text.to_owned() + good).into_bytes();
    let cases: Vec<(&str, Box<dyn Read + Send>, usize)> = vec![
        ("sparse", Box::new(Endless(0, 1 << 30)), 0),
        (
            "scalar",
            Box::new((&b"a: "[..]).chain(Endless(b'x', 100 << 20))),
            0,
        ),
        ("spaces", Box::new(Endless(b' ', 100 << 20)), 0),
        ("dashes", Box::new(Endless(b'-', 100 << 20)), 0),
        ("lines", Box::new(Endless(b'\n', 100 << 20)), 0),
        ("bomb", Box::new(std::io::Cursor::new(bytes(&bomb))), 1),
        ("wide", Box::new(std::io::Cursor::new(bytes(&wide))), 1),
        ("flow", Box::new(std::io::Cursor::new(bytes(&deep_flow))), 1),
        (
            "block",
            Box::new(std::io::Cursor::new(bytes(&deep_block))),
            1,
        ),
        ("json", Box::new(std::io::Cursor::new(bytes(&deep_json))), 1),
        ("keys", Box::new(std::io::Cursor::new(bytes(&keys))), 1),
        (
            "bytes",
            Box::new(std::io::Cursor::new(
                [&[0xfe, 0xfd, b'\n'][..], good.as_bytes()].concat(),
            )),
            1,
        ),
        (
            "utf16",
            Box::new(std::io::Cursor::new(b"\xff\xfea\0:\0".to_vec())),
            0,
        ),
        (
            "tabs",
            Box::new(std::io::Cursor::new(bytes("a:\n\tb: 1"))),
            1,
        ),
    ];
    let before = peak_mib();
    for (name, reader, kept) in cases {
        let source = Source {
            name: name.into(),
            reader,
            chart: None,
        };
        let output = scan(&Library::default(), [source], &options, &|_| {}).unwrap();
        let objects = output
            .report
            .observations
            .iter()
            .filter(|o| o.asset.kind == "Pod")
            .count();
        assert_eq!(objects, kept, "{name}");
        let unknown: Vec<_> = output
            .report
            .results
            .iter()
            .filter_map(|r| r.outcome.why())
            .collect();
        if name == "keys" {
            assert_eq!(unknown, Vec::<&str>::new());
        } else {
            assert_eq!(unknown.len(), 1, "{name}");
            assert!(unknown[0].starts_with(&format!("{name}:")), "{unknown:?}");
        }
    }
    let grown = peak_mib() - before;
    assert!(grown < 200, "{grown} MiB");
    for data in [
        &b"a: [\xff"[..],
        b"package a\nx := `",
        b"- {check: 1}",
        b"\"\\",
    ] {
        fuzzing::fuzz_yaml(data);
        fuzzing::fuzz_library(data);
        fuzzing::fuzz_rego(data);
        fuzzing::fuzz_baseline(data);
    }
}
