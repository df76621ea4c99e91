//! Kernel parameters, modules and mounts.

use super::evaluate::judge;
use super::facts::Facts;
use super::question::{Module, Mount, Sysctl};
use super::verdict::{Verdict, evidence};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Folders of drop-ins, the weakest first.
const SYSCTL_FOLDERS: &[&str] = &[
    "/usr/lib/sysctl.d",
    "/usr/local/lib/sysctl.d",
    "/run/sysctl.d",
    "/etc/sysctl.d",
];

impl Facts<'_> {
    /// Answers a question about a kernel parameter.
    pub fn sysctl(&self, asked: &Sysctl) -> Result<Verdict, String> {
        if !self.system.is_live() {
            return self.configured(asked);
        }
        let path = format!("/proc/sys/{}", slashes(&asked.key));
        let text = self
            .text(Path::new(&path))?
            .ok_or_else(|| format!("{path} does not exist: the kernel does not say"))?;
        let value = text.split_whitespace().collect::<Vec<_>>().join(" ");
        judge(
            &asked.key,
            Some((path.clone(), value)),
            None,
            &asked.expect,
            &path,
        )
    }

    /// Where nothing runs: what will be set. Unset, the kernel decides, which cannot be seen.
    fn configured(&self, asked: &Sysctl) -> Result<Verdict, String> {
        let mut files: BTreeMap<std::ffi::OsString, PathBuf> = BTreeMap::new();
        for folder in SYSCTL_FOLDERS {
            let folder = Path::new(folder);
            for name in self.names(folder)?.unwrap_or_default() {
                if name.as_encoded_bytes().ends_with(b".conf") {
                    files.insert(name.clone(), folder.join(name));
                }
            }
        }
        let mut value = None;
        let last = PathBuf::from("/etc/sysctl.conf");
        for path in files.values().chain([&last]) {
            let Some(text) = self.text(path)? else {
                continue;
            };
            for (at, line) in text.lines().enumerate() {
                let line = line.trim();
                if line.starts_with(['#', ';']) {
                    continue;
                }
                let Some((key, found)) = line.split_once('=') else {
                    continue;
                };
                let key = key.trim().trim_start_matches('-');
                if slashes(key) == slashes(&asked.key) {
                    let place = format!("{}:{}", path.display(), at + 1);
                    value = Some((place, found.trim().to_owned()));
                }
            }
        }
        if value.is_none() {
            return Err(format!(
                "{} is not configured, and the system does not run",
                asked.key
            ));
        }
        judge(&asked.key, value, None, &asked.expect, "/etc/sysctl.d")
    }

    /// Answers a question about a mount point.
    pub fn mount(&self, asked: &Mount) -> Result<Verdict, String> {
        let from = self.mounts_from();
        let mounts = self.mounts()?;
        let point = &asked.point;
        // The last one hides those before it.
        let Some(mount) = mounts.iter().rev().find(|mount| mount.point == *point) else {
            // systemd mounts some places without fstab.
            let unit = format!(
                "/etc/systemd/system/{}.mount",
                point.trim_matches('/').replace('/', "-")
            );
            if !self.system.is_live() && self.lstat(Path::new(&unit))?.is_some() {
                return Err(format!("{unit} decides, which is not read"));
            }
            let list = vec![evidence(point, "no mount of its own", "a mount of its own")];
            let message = format!("{point} is no mount of its own ({from})");
            return Ok(Verdict::of(false, message, list));
        };
        let lacking: Vec<&str> = asked
            .options
            .iter()
            .filter(|option| !mount.options.contains(option))
            .map(String::as_str)
            .collect();
        let wanted = if asked.options.is_empty() {
            "a mount of its own".to_owned()
        } else {
            asked.options.join(",")
        };
        let list = vec![evidence(
            format!("{from} {point}"),
            mount.options.join(","),
            wanted,
        )];
        let message = if lacking.is_empty() {
            format!("{point} is mounted as asked")
        } else {
            format!("{point} is mounted without {}", lacking.join(", "))
        };
        Ok(Verdict::of(lacking.is_empty(), message, list))
    }

    /// Answers whether a module is kept from loading: an `install` line that does nothing, and
    /// on a running system that it is not loaded. A kernel without it passes too.
    pub fn module_disabled(&self, asked: &Module) -> Result<Verdict, String> {
        let name = underscores(&asked.name);
        if self.system.is_live() {
            if let Some(text) = self.text(Path::new("/proc/modules"))? {
                let loaded = text.lines().any(|line| {
                    line.split(' ')
                        .next()
                        .is_some_and(|n| underscores(n) == name)
                });
                if loaded {
                    let list = vec![evidence("/proc/modules", "loaded", "not loaded")];
                    return Ok(Verdict::of(false, format!("module {name} is loaded"), list));
                }
            } else {
                return Err("/proc/modules does not exist: the kernel does not say".to_owned());
            }
            if let Some(verdict) = self.without_module(&name)? {
                return Ok(verdict);
            }
        }
        let mut read_any = false;
        for folder in [
            "/etc/modprobe.d",
            "/run/modprobe.d",
            "/usr/local/lib/modprobe.d",
            "/usr/lib/modprobe.d",
            "/lib/modprobe.d",
        ] {
            read_any |= self.stat(Path::new(folder))?.is_some();
            for path in self.paths(&format!("{folder}/*.conf"))? {
                let text = self.text(&path)?.unwrap_or_default();
                for (at, line) in text.lines().enumerate() {
                    let mut words = line.split_whitespace();
                    let is_install = words.next() == Some("install")
                        && words.next().is_some_and(|n| underscores(n) == name);
                    let nothing = matches!(
                        words.next(),
                        Some("/bin/false" | "/bin/true" | "/usr/bin/false" | "/usr/bin/true")
                    );
                    if is_install && nothing {
                        let place = format!("{}:{}", path.display(), at + 1);
                        let list = vec![evidence(&place, line.trim(), "an install line")];
                        let message = format!("module {name} is disabled at {place}");
                        return Ok(Verdict::of(true, message, list));
                    }
                }
            }
        }
        if !read_any {
            return Err("there is no modprobe.d".to_owned());
        }
        let wanted = format!("install {name} /bin/false");
        let list = vec![evidence("/etc/modprobe.d", "no such line", wanted)];
        Ok(Verdict::of(
            false,
            format!("module {name} can be loaded"),
            list,
        ))
    }

    /// A pass where the running kernel has no such module, a failure where it is built in; None
    /// where its modules cannot be listed or it is one.
    fn without_module(&self, name: &str) -> Result<Option<Verdict>, String> {
        let Ok(uname) = self.system.uname() else {
            return Ok(None);
        };
        let release = uname.release;
        if release.is_empty() || release.contains('/') || release.starts_with('.') {
            return Ok(None);
        }
        let mut lists = Vec::new();
        for file in ["modules.builtin", "modules.dep"] {
            let path = format!("/lib/modules/{release}/{file}");
            match self.text(Path::new(&path))? {
                Some(text) if !text.is_empty() => lists.push((path, text)),
                _ => return Ok(None),
            }
        }
        for (path, text) in &lists {
            let listed = text.lines().any(|line| {
                let file = line.split(':').next().unwrap_or_default();
                let last = file.rsplit('/').next().unwrap_or_default();
                last.split(".ko")
                    .next()
                    .is_some_and(|n| underscores(n) == name)
            });
            if listed && path.ends_with("builtin") {
                let list = vec![evidence(path, "built in", "no module")];
                return Ok(Some(Verdict::of(
                    false,
                    format!("{name} is built into the kernel"),
                    list,
                )));
            }
            if listed {
                return Ok(None);
            }
        }
        let list = vec![evidence(
            format!("/lib/modules/{release}"),
            "no such module",
            "no module",
        )];
        let message = format!("the kernel has no module {name}");
        Ok(Some(Verdict::of(true, message, list)))
    }
}

/// As a path below `/proc/sys`. Where the first separator is a slash, it is one already.
fn slashes(key: &str) -> String {
    match key.find(['.', '/']) {
        Some(at) if key.get(at..).is_some_and(|rest| rest.starts_with('/')) => key.to_owned(),
        _ => key
            .chars()
            .map(|c| match c {
                '.' => '/',
                '/' => '.',
                other => other,
            })
            .collect(),
    }
}

fn underscores(name: &str) -> String {
    name.replace('-', "_")
}
