//! Running the binary and reading what it says.

use bartizan_xtask::running::{Backend, Server, Setup};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub const BINARY: &str = env!("CARGO_BIN_EXE_bartizan");

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// A command of the binary with a scrubbed environment, in the repository's root.
pub fn bartizan(arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command
        .args(arguments)
        .current_dir(root())
        .stdin(Stdio::null());
    for (name, _) in std::env::vars() {
        if name.starts_with("BARTIZAN_")
            || ["NO_COLOR", "COLUMNS", "RUST_LOG"].contains(&name.as_str())
        {
            command.env_remove(name);
        }
    }
    command
}

/// What a run said and how it ended.
pub struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Runs the binary to its end.
pub fn run(arguments: &[&str]) -> Run {
    read(bartizan(arguments).output().unwrap())
}

/// Runs the binary with bytes on standard input.
pub fn run_with(arguments: &[&str], input: &[u8]) -> Run {
    use std::io::Write;
    let mut child = bartizan(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The program may refuse and close its input before it has read all.
    let _ = child.stdin.take().unwrap().write_all(input);
    read(child.wait_with_output().unwrap())
}

fn read(output: Output) -> Run {
    Run {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The back ends of this run. PostgreSQL joins when `make test` has started one.
pub fn backends() -> Vec<Backend> {
    let mut backends = vec![Backend::Sqlite];
    match std::env::var("BARTIZAN_TEST_POSTGRES") {
        Ok(url) => backends.push(Backend::Postgres(url)),
        Err(_) => eprintln!("PostgreSQL is NOT tested: BARTIZAN_TEST_POSTGRES is not set"),
    }
    backends
}

/// A signed-in server on a fresh data folder and database.
pub struct Installation {
    pub setup: Setup,
    pub server: Server,
    pub data: tempfile::TempDir,
}

impl Installation {
    pub fn new(backend: &Backend) -> Self {
        Self::with(backend, &[])
    }

    /// With more arguments of `serve`.
    pub fn with(backend: &Backend, arguments: &[String]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut setup = Setup::new(BINARY, data.path());
        setup.arguments = arguments.to_vec();
        setup.database = backend.fresh().unwrap();
        let mut server = Server::start(&setup).unwrap();
        server.sign_in().unwrap();
        Self {
            setup,
            server,
            data,
        }
    }

    /// Runs the binary as a client of this server.
    pub fn client(&self, arguments: &[&str]) -> Run {
        let output = bartizan(arguments)
            .env("BARTIZAN_SERVER", &self.server.address)
            .env("BARTIZAN_TOKEN", &self.server.token)
            .output()
            .unwrap();
        read(output)
    }

    /// Waits until every entry of the ledger is in the tree.
    pub fn settle(&self) {
        settle(&self.server);
    }
}

/// Waits until every entry of the ledger is in the tree.
pub fn settle(server: &Server) {
    for _ in 0..600 {
        let ledger = server.get("/ledger").unwrap();
        if ledger["pending"] == 0 && ledger["size"].as_u64() > Some(0) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!(
        "the ledger does not settle: {}",
        server.get("/ledger").unwrap()
    );
}

/// Peak memory of a finished child in MiB is not kept by the system, so commands that are
/// measured run under this: it polls `VmHWM` until the child ends.
pub fn run_measured(mut command: Command) -> (Run, f64) {
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let id = child.id();
    let poll = std::thread::spawn(move || {
        let mut peak = 0.0_f64;
        while let Ok(status) = std::fs::read_to_string(format!("/proc/{id}/status")) {
            let Some(kib) = status.lines().find_map(|l| {
                l.strip_prefix("VmHWM:")?
                    .split_whitespace()
                    .next()?
                    .parse::<f64>()
                    .ok()
            }) else {
                break;
            };
            peak = peak.max(kib / 1024.0);
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        peak
    });
    let output = child.wait_with_output().unwrap();
    (read(output), poll.join().unwrap())
}
