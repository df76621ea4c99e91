//! The scripts of SCAP content, run on this machine because the user allowed it.

use super::process::{self, Limits};
use bartizan_scap::xccdf::script::{Ran, Script, Scripts};
use std::fs::{OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

/// What a script may print: more is dropped.
const MAX_OUTPUT: usize = 256 << 10;

/// Runs scripts from a private folder, each by its own interpreter's line.
pub struct Runner {
    limits: Limits,
}

impl Runner {
    /// A runner that gives each script so long.
    pub fn new(time: Duration) -> Self {
        Self {
            limits: Limits {
                time,
                output: MAX_OUTPUT,
                leave: false,
            },
        }
    }
}

impl Scripts for Runner {
    fn run(&self, script: &Script<'_>, environment: &[(String, String)]) -> Result<Ran, String> {
        // The C library would hand a file without this line to a shell.
        if !script.text.starts_with(b"#!") {
            return Err("it does not begin with its interpreter's line".to_owned());
        }
        let (folder, path) = written(script.text)?;
        let ran = process::run(&path, &[], environment, self.limits);
        drop(folder);
        ran
    }
}

/// A program in a new folder that only this user may enter; gone when the folder is dropped.
pub fn written(text: &[u8]) -> Result<(TempDir, PathBuf), String> {
    let failed = |error: std::io::Error| format!("its file cannot be written: {error}");
    let folder = tempfile::Builder::new()
        .prefix("bartizan-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir()
        .map_err(failed)?;
    let path = folder.path().join("script");
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o700)
        .open(&path)
        .and_then(|mut file| file.write_all(text))
        .map_err(failed)?;
    Ok((folder, path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn run(text: &str, seconds: u64) -> Result<Ran, String> {
        let script = Script {
            name: "x.sh",
            text: text.as_bytes(),
        };
        let environment = [("XCCDF_VALUE_x".to_owned(), "$(id)".to_owned())];
        Runner::new(Duration::from_secs(seconds)).run(&script, &environment)
    }

    #[test]
    fn status_and_output_come_back_and_nothing_else_goes_in() {
        let ran = run(
            "#!/bin/sh\necho \"$XCCDF_VALUE_x\"; echo e >&2; env | cut -d= -f1 | sort | grep -v -e PWD -e SHLVL -e '^_$'; exit 102\n",
            20,
        )
        .unwrap();
        assert_eq!(ran.status, Some(102));
        assert_eq!(
            String::from_utf8(ran.stdout).unwrap(),
            "$(id)\nPATH\nXCCDF_VALUE_x\n"
        );
        assert_eq!(ran.stderr, b"e\n");
    }

    #[test]
    fn the_folder_is_private() {
        let ran = run("#!/bin/sh\nstat -c %a \"$(dirname \"$0\")\"\n", 20).unwrap();
        assert_eq!(ran.stdout, b"700\n");
    }

    #[test]
    fn one_that_does_not_end_is_stopped_with_its_children() {
        let before = Instant::now();
        let error = run("#!/bin/sh\nsleep 100 & sleep 100\n", 1).unwrap_err();
        assert!(error.contains("stopped"), "{error}");
        assert!(before.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn a_child_left_behind_holds_nobody_up() {
        let before = Instant::now();
        let ran = run("#!/bin/sh\nsleep 100 &\nexit 101\n", 50).unwrap();
        assert_eq!(ran.status, Some(101));
        assert!(before.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn endless_output_is_cut() {
        let ran = run("#!/bin/sh\nhead -c 3000000 /dev/zero\nexit 101\n", 20).unwrap();
        assert_eq!(ran.stdout.len(), MAX_OUTPUT);
        assert_eq!(ran.status, Some(101));
    }

    #[test]
    fn without_an_interpreter_no_shell_steps_in() {
        assert!(run("touch /tmp/never\n", 5).is_err());
        assert!(run("#!/no/such/thing\n", 5).is_err());
    }
}
