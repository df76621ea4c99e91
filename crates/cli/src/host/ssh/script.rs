//! What runs on the other machine: two shell scripts, and the bytes that follow them.
//!
//! ```text
//! ssh HOST 'exec /bin/sh -c BOOTSTRAP'   makes the folder, says where and what machine
//! <- bartizan-ssh 1 Linux x86_64 /tmp/bartizan.XXXXXXXXXX
//! -> RUN binary files…                   the payload, cut apart by RUN
//! <- the snapshot
//! ```

use super::Inputs;
use std::fmt::Write;

/// What the line begins with that says where the folder is.
pub const MARK: &str = "bartizan-ssh 1 ";
/// The exit codes of the bootstrap.
pub const NOWHERE: i32 = 90;
/// Not all bytes came.
pub const CUT: i32 = 91;

/// As one word of a POSIX shell, whatever is in it.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The command for `ssh`. It goes through the user's login shell, whichever that is: one line
/// within single quotes, without single quotes, backslashes and exclamation marks.
pub fn bootstrap(run: usize, total: usize) -> String {
    let script = format!(
        "umask 077; LC_ALL=C; export LC_ALL; d=; \
         c() {{ if [ -n \"$d\" ]; then rm -rf \"$d\"; fi; }}; \
         trap c EXIT; trap \"exit 130\" HUP INT TERM; \
         for b in \"${{TMPDIR:-/tmp}}\" /var/tmp \"$HOME\"; do \
         d=$(mktemp -d \"$b/bartizan.XXXXXXXXXX\" 2>/dev/null) || {{ d=; continue; }}; \
         : > \"$d/x\"; chmod 700 \"$d/x\"; if \"$d/x\" 2>/dev/null; then break; fi; \
         rm -rf \"$d\"; d=; done; \
         if [ -z \"$d\" ]; then echo \"{MARK}nowhere\"; exit {NOWHERE}; fi; \
         echo \"{MARK}$(uname -s) $(uname -m) $d\"; \
         cat > \"$d/payload\"; \
         if [ \"$(($(wc -c < \"$d/payload\")))\" -ne {total} ]; then exit {CUT}; fi; \
         head -c {run} \"$d/payload\" > \"$d/run\"; . \"$d/run\""
    );
    format!("exec /bin/sh -c '{script}'")
}

/// The payload, and how long the script at its beginning is.
pub fn payload(binary: &[u8], inputs: &Inputs, sudo: bool, seconds: u64) -> (Vec<u8>, usize) {
    // The script has its own length in it: as wide as any can be.
    let length = script(usize::MAX / 2, binary, inputs, sudo, seconds).len();
    let mut script = script(length, binary, inputs, sudo, seconds);
    while script.len() < length {
        script.push('\n');
    }
    let mut all = script.into_bytes();
    let run = all.len();
    all.extend_from_slice(binary);
    for (_, bytes) in &inputs.files {
        all.extend_from_slice(bytes);
    }
    (all, run)
}

fn script(begin: usize, binary: &[u8], inputs: &Inputs, sudo: bool, seconds: u64) -> String {
    let mut script = String::from("p=\"$d/payload\"\n");
    let mut at = begin;
    let mut part = |script: &mut String, name: &str, size: usize| {
        let name = quoted(name);
        let _ = writeln!(
            script,
            "tail -c +{} \"$p\" | head -c {size} > \"$d\"/{name}",
            at + 1
        );
        at += size;
    };
    part(&mut script, "bartizan", binary.len());
    script.push_str("chmod 700 \"$d/bartizan\"\n");
    for (name, bytes) in &inputs.files {
        if let Some((folder, _)) = name.rsplit_once('/') {
            let _ = writeln!(script, "mkdir -p \"$d\"/{}", quoted(folder));
        }
        part(&mut script, name, bytes.len());
    }
    script.push_str("rm -f \"$p\"\nunset BARTIZAN_SERVER\nset -- \"$d/bartizan\" scan host --record - --fail-on never");
    for argument in &inputs.arguments {
        script.push(' ');
        match argument {
            super::Argument::Text(text) => script.push_str(&quoted(text)),
            super::Argument::File(name) => {
                let _ = write!(script, "\"$d\"/{}", quoted(name));
            }
        }
    }
    let _ = write!(
        script,
        "\nif command -v timeout >/dev/null 2>&1; then set -- timeout -k 10 {seconds} \"$@\"; fi\n"
    );
    if sudo {
        script.push_str("set -- sudo -n -- \"$@\"\n");
    }
    script.push_str("\"$@\" </dev/null\nexit $?\n");
    script
}

#[cfg(test)]
mod tests {
    use super::super::Argument;
    use super::*;

    #[test]
    fn nothing_leaves_its_quotes() {
        assert_eq!(quoted("a'; rm -rf / #"), r"'a'\''; rm -rf / #'");
        let command = bootstrap(1, 2);
        let inside = command.strip_prefix("exec /bin/sh -c '").unwrap();
        let inside = inside.strip_suffix('\'').unwrap();
        assert!(!inside.contains(['\'', '\\', '!', '\n']), "{inside}");
    }

    #[test]
    fn the_payload_is_cut_where_it_was_joined() {
        let inputs = Inputs {
            files: vec![("content/a.xml".into(), b"<a/>".to_vec())],
            arguments: vec![
                Argument::Text("--profile".into()),
                Argument::Text("it's".into()),
                Argument::File("content/a.xml".into()),
            ],
        };
        let (all, run) = payload(b"BINARY", &inputs, true, 9);
        assert_eq!(&all[run..], b"BINARY<a/>");
        let script = std::str::from_utf8(&all[..run]).unwrap();
        assert!(script.contains(&format!("tail -c +{} ", run + 1)));
        assert!(script.contains(&format!("tail -c +{} ", run + 7)));
        assert!(
            script.contains(r#"--profile' 'it'\''s' "$d"/'content/a.xml'"#),
            "{script}"
        );
    }
}
