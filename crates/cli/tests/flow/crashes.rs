//! `kill -9` at every named write point and at random moments: same final state.

use crate::support::{BINARY, backends, bartizan, settle};
use bartizan_store::fault::WRITE_POINTS;
use bartizan_xtask::running::{Backend, Server, Setup, generate};
use std::time::Duration;

const RESULTS: u64 = 50_000;

/// Write points that an import does not pass: jobs of other kinds end there, and refused
/// sign-ins are recorded there. The store's own crash test kills at these, too.
const ELSEWHERE: [&str; 4] = [
    "audit.append.after_commit",
    "audit.append.before_commit",
    "job.complete.after_commit",
    "job.complete.before_commit",
];

fn report(seed: u64, results: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    generate::report(&mut bytes, seed, "crash", results).unwrap();
    bytes
}

/// A server's folder and database, with what has to survive a restart.
struct Victim {
    setup: Setup,
    token: String,
    _data: tempfile::TempDir,
}

impl Victim {
    /// A fresh installation that holds a first, smaller report.
    fn new(backend: &Backend) -> (Self, Server) {
        let data = tempfile::tempdir().unwrap();
        let mut setup = Setup::new(BINARY, data.path());
        setup.database = backend.fresh().unwrap();
        setup
            .environment
            .push(("BARTIZAN_LEASE_SECONDS".into(), "5".into()));
        let mut server = Server::start(&setup).unwrap();
        server.sign_in().unwrap();
        server.import(report(1, 2_000)).unwrap();
        settle(&server);
        let token = server.token.clone();
        (
            Self {
                setup,
                token,
                _data: data,
            },
            server,
        )
    }

    fn start(&self, kill_at: Option<&str>) -> anyhow::Result<Server> {
        let mut setup = self.setup.clone();
        if let Some(point) = kill_at {
            setup
                .environment
                .push(("BARTIZAN_KILL_AT".into(), point.into()));
        }
        let mut server = Server::start(&setup)?;
        server.token.clone_from(&self.token);
        Ok(server)
    }

    /// Uploads until it is acknowledged, waits for the job and the ledger, and tells the state.
    fn finish(self, report: &[u8]) -> String {
        let server = self.start(None).unwrap();
        let job = server.upload(report.to_vec()).unwrap();
        server.wait(&job).unwrap();
        settle(&server);
        server.kill();
        let mut command = bartizan(&[
            "admin",
            "dump",
            "--data",
            &self.setup.data.to_string_lossy(),
        ]);
        if let Some(url) = &self.setup.database {
            command.args(["--database", url]);
        }
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let data = self.setup.data.to_string_lossy().into_owned();
        let checked = crate::support::run(&["ledger", "verify", "--data", &data]);
        assert_eq!(checked.code, 0, "{}{}", checked.out, checked.err);
        imported(&String::from_utf8(output.stdout).unwrap())
    }
}

/// The state without what people did: sign-ins and uploads have the wall clock's time, and an
/// upload that was cut off is sent again.
fn imported(state: &str) -> String {
    let of_the_import = |line: &&str| {
        !line.starts_with("audit ")
            || line.contains("|finding.")
            || line.contains("|scan.imported|")
    };
    let mut text = String::new();
    for line in state.lines().filter(of_the_import) {
        text.push_str(line);
        text.push('\n');
    }
    text
}

fn undisturbed(backend: &Backend, report: &[u8]) -> String {
    let (victim, server) = Victim::new(backend);
    drop(server);
    let state = victim.finish(report);
    assert!(
        state.lines().count() > RESULTS as usize,
        "the dump must hold the results"
    );
    state
}

#[track_caller]
fn assert_same(what: &str, want: &str, got: &str) {
    if want != got {
        let differs = want.lines().zip(got.lines()).find(|(a, b)| a != b);
        panic!(
            "{what}: the state differs ({} lines, {} expected); first: {differs:?}",
            got.lines().count(),
            want.lines().count()
        );
    }
}

#[test]
fn kill_at_every_write_point() {
    let report = report(2, RESULTS);
    for backend in backends() {
        let want = undisturbed(&backend, &report);
        for point in WRITE_POINTS.iter().filter(|p| !ELSEWHERE.contains(p)) {
            let (victim, server) = Victim::new(&backend);
            drop(server);
            // A point is met at start or during the import; the second hit, where there is
            // one, lies in the middle of the work.
            let mut died = false;
            if let Ok(mut server) = victim.start(Some(&format!("{point}:2"))) {
                let _ = server
                    .upload(report.clone())
                    .and_then(|job| server.wait(&job));
                for _ in 0..100 {
                    died = !server.is_running();
                    if died {
                        break;
                    }
                    std::thread::sleep(Duration::from_millis(20));
                }
            } else {
                died = true;
            }
            if !died {
                // Met only once: kill there in a second import.
                let (victim, server) = Victim::new(&backend);
                drop(server);
                if let Ok(mut server) = victim.start(Some(&format!("{point}:1"))) {
                    let _ = server
                        .upload(report.clone())
                        .and_then(|job| server.wait(&job));
                    std::thread::sleep(Duration::from_secs(2));
                    assert!(!server.is_running(), "{point} is never reached");
                }
                assert_same(
                    &format!("{} at {point}", backend.name()),
                    &want,
                    &victim.finish(&report),
                );
                continue;
            }
            assert_same(
                &format!("{} at {point}", backend.name()),
                &want,
                &victim.finish(&report),
            );
        }
    }
}

#[test]
fn kill_at_fifty_random_moments() {
    let report = report(2, RESULTS);
    for backend in backends() {
        let want = undisturbed(&backend, &report);
        // A fixed seed: a failure can be repeated.
        let mut seed = 0x5eed_u64;
        let mut kills = 0;
        while kills < 50 {
            let (victim, mut server) = Victim::new(&backend);
            // Several kills in one import, at moments of its whole length; after five attempts
            // that died, a job is given up.
            for _ in 0..3 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let moment = Duration::from_millis(20 + (seed >> 33) % 1_500);
                let killer = {
                    let id = server.id().to_string();
                    std::thread::spawn(move || {
                        std::thread::sleep(moment);
                        let _ = std::process::Command::new("kill")
                            .args(["-9", &id])
                            .status();
                    })
                };
                let done = server
                    .upload(report.clone())
                    .and_then(|job| server.wait(&job))
                    .is_ok();
                killer.join().unwrap();
                drop(server);
                kills += 1;
                server = victim.start(None).unwrap();
                if done {
                    break;
                }
            }
            drop(server);
            let what = format!("{} after {kills} kills", backend.name());
            assert_same(&what, &want, &victim.finish(&report));
        }
        eprintln!("{}: {kills} kills", backend.name());
    }
}
