//! The webhook under load: a minute of everything at once while policies change every second, and
//! a siege of hostile reviews and peers. `cargo xtask bench` has the same at full length.

use crate::support::BINARY;
use bartizan_xtask::running::mixed::{self, Mixed, share};
use bartizan_xtask::running::siege;
use bartizan_xtask::running::wire::{Target, Version};
use bartizan_xtask::running::{Server, Setup};
use std::path::Path;
use std::time::Duration;

#[test]
fn a_minute_of_mixed_load_loses_nothing_and_mixes_no_policies() {
    let told = mixed::run(&Mixed {
        binary: BINARY.into(),
        time: Duration::from_secs(60),
        callers: 2,
        pause: Duration::from_millis(20),
        more: Vec::new(),
        tell: false,
    })
    .unwrap();
    println!(
        "{} validated, {} mutated, {} guarded, {} hasty, {} hostile; {} of {} sets, {} \
         certificates; p50 {:.1} ms, p99 {:.1} ms, slowest {:.0} ms; 300 ms: slowest {:.0} ms; \
         {:.0} MiB",
        told.validated,
        told.mutated,
        told.guarded,
        told.hasty,
        told.hostile,
        told.sets,
        told.put,
        told.certificates,
        share(&told.millis, 0.5),
        share(&told.millis, 0.99),
        share(&told.millis, 1.0),
        share(&told.hasty_millis, 1.0),
        told.memory_at(0.9),
    );
    assert_eq!(
        (told.lost, told.wrong, told.untold),
        (0, 0, 0),
        "{:#?}",
        told.examples
    );
    // Whatever else the machine does meanwhile.
    assert!(told.validated > 1_000, "{}", told.validated);
    assert!(told.mutated > 100 && told.guarded > 100 && told.hasty > 20);
    assert!(told.sets > 30, "{} of {}", told.sets, told.put);
    assert!(told.certificates > 5, "{}", told.certificates);
    assert!(told.stored > told.validated && told.shed < 0.5);
    assert!(share(&told.hasty_millis, 0.5) < 300.0);
    assert!(told.memory_at(0.9) < 500.0);
}

#[test]
fn a_siege_leaves_it_answering() {
    let data = tempfile::tempdir().unwrap();
    let policies = data.path().join("hostile.json");
    std::fs::write(&policies, siege::policies().to_string()).unwrap();
    let mut setup = Setup::new(BINARY, data.path());
    setup.arguments = ["--role", "admission", "--admission-listen", "127.0.0.1:0"]
        .into_iter()
        .chain(["--admission-policies", &policies.display().to_string()])
        .map(str::to_owned)
        .collect();
    setup.environment.push(("RUST_LOG".into(), "error".into()));
    let server = Server::start(&setup).unwrap();
    let ca = std::fs::read(Path::new(data.path()).join("admission/ca.pem")).unwrap();
    let webhook = server.webhook.clone().unwrap();
    let target = Target::new(&webhook, &ca, Version::Http1).unwrap();
    let told = siege::run(&target, 0..300).unwrap();
    println!("{told:?}, {:.0} MiB", server.memory("VmHWM").unwrap());
    assert_eq!(told.answered + told.ended, 300);
    assert!(told.answered > 270, "{}", told.answered);
    // A machine that is busy with other tests may make a few of them late.
    assert!(told.late.len() < 5, "{:#?}", told.late);
    assert!(siege::good(&target).unwrap());
    // Rego has no budget of memory: one of these policies makes texts of some 100 MiB, on each
    // worker. It is given back.
    assert!(server.memory("VmHWM").unwrap() < 1_000.0);
    let after = server.memory("VmRSS").unwrap();
    assert!(after < 500.0, "{after}");
}
