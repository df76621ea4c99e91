//! From a scan to a signed attestation that verifies offline, and every way to spoil it.

use crate::support::{Installation, backends, run, run_with};
use std::fs;

#[test]
fn scan_attest_verify_and_every_altered_byte() {
    for backend in backends() {
        let place = Installation::new(&backend);
        let sent = place.client(&[
            "scan",
            "k8s",
            "examples/shop",
            "--scope",
            "repository:shop",
            "--fail-on",
            "never",
        ]);
        assert_eq!(sent.code, 0, "{}", sent.err);
        let at = |name: &str| place.data.path().join(name).to_string_lossy().into_owned();
        let (token, jwks, evidence) = (at("shop.jwt"), at("keys.json"), at("evidence.json"));
        for algorithm in ["RS256", "ES256", "EdDSA"] {
            let issued = place.client(&[
                "attest",
                "--scope",
                "repository:shop",
                "--framework",
                "soc2",
                "--algorithm",
                algorithm,
                "-o",
                &token,
                "--jwks",
                &jwks,
                "--evidence",
                &evidence,
            ]);
            assert_eq!(issued.code, 0, "{}", issued.err);
            let good = run(&["verify", &token, "--jwks", &jwks, "--evidence", &evidence]);
            assert_eq!(good.code, 0, "{}{}", good.out, good.err);
            assert!(good.out.contains("VALID"), "{}", good.out);
        }

        // Expired, by looking from later.
        let late = run(&[
            "verify",
            &token,
            "--jwks",
            &jwks,
            "--at",
            "2040-01-01T00:00:00Z",
        ]);
        assert_eq!(late.code, 1);
        assert!(late.out.contains("expired"), "{}", late.out);

        // Another installation's keys.
        let other = Installation::new(&bartizan_xtask::running::Backend::Sqlite);
        let foreign = at("foreign.json");
        fs::write(&foreign, other.server.download("/jwks").unwrap()).unwrap();
        let refused = run(&["verify", &token, "--jwks", &foreign]);
        assert_eq!(refused.code, 1);
        assert!(refused.out.contains("key"), "{}", refused.out);

        // Other evidence.
        let spoiled = at("spoiled.json");
        fs::write(&spoiled, b"{}").unwrap();
        let refused = run(&["verify", &token, "--jwks", &jwks, "--evidence", &spoiled]);
        assert_eq!(refused.code, 1);
        assert!(refused.out.contains("evidence"), "{}", refused.out);

        // A sample of altered bytes through the command; `ledger`'s own tests alter every one.
        let bytes = fs::read(&token).unwrap();
        for at in (0..bytes.len()).step_by(bytes.len() / 40) {
            let mut altered = bytes.clone();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            let refused = run_with(&["verify", "-", "--jwks", &jwks], &altered);
            assert_eq!(
                refused.code, 1,
                "byte {at} altered: {}{}",
                refused.out, refused.err
            );
        }
    }
}

#[test]
fn an_altered_ledger_file_is_found_and_named() {
    let place = Installation::new(&bartizan_xtask::running::Backend::Sqlite);
    let sent = place.client(&[
        "scan",
        "k8s",
        "examples/shop",
        "--scope",
        "repository:shop",
        "--fail-on",
        "never",
    ]);
    assert_eq!(sent.code, 0, "{}", sent.err);
    place.settle();
    let data = place.setup.data.to_string_lossy().into_owned();
    drop(place.server);
    let good = run(&["ledger", "verify", "--data", &data]);
    assert_eq!(good.code, 0, "{}{}", good.out, good.err);

    let ledger = place.setup.data.join("objects/default/ledger");
    let mut files = Vec::new();
    let mut folders = vec![ledger.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path)
            } else {
                files.push(path)
            }
        }
    }
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        let bytes = fs::read(&file).unwrap();
        let name = file
            .strip_prefix(&ledger)
            .unwrap()
            .to_string_lossy()
            .into_owned();
        for at in [0, bytes.len() / 2, bytes.len() - 1] {
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            fs::write(&file, &altered).unwrap();
            let found = run(&["ledger", "verify", "--data", &data]);
            assert_eq!(
                found.code, 1,
                "{name} byte {at}: {}{}",
                found.out, found.err
            );
            assert!(found.out.contains(&name), "{name} byte {at}: {}", found.out);
        }
        fs::write(&file, &bytes).unwrap();
    }
    assert_eq!(run(&["ledger", "verify", "--data", &data]).code, 0);
}
