//! Seeded random changes to a root's configuration, of the kinds that rules look at.

use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

/// Files whose lines are changed.
const FILES: &[&str] = &[
    "etc/ssh/sshd_config",
    "etc/login.defs",
    "etc/sysctl.conf",
    "etc/security/limits.conf",
    "etc/security/pwquality.conf",
    "etc/security/faillock.conf",
    "etc/pam.d/common-auth",
    "etc/pam.d/common-password",
    "etc/sudoers",
    "etc/audit/auditd.conf",
    "etc/audit/rules.d/audit.rules",
    "etc/rsyslog.conf",
    "etc/systemd/journald.conf",
    "etc/systemd/coredump.conf",
    "etc/profile",
    "etc/bash.bashrc",
    "etc/fstab",
    "etc/issue",
    "etc/passwd",
    "etc/group",
    "etc/chrony/chrony.conf",
    "etc/modprobe.d/bartizan.conf",
    "etc/default/grub",
    "boot/grub/grub.cfg",
];

/// Lines that rules ask for, or against.
const LINES: &[&str] = &[
    "PermitRootLogin no",
    "PermitRootLogin yes",
    "PermitEmptyPasswords yes",
    "X11Forwarding no",
    "MaxAuthTries 4",
    "ClientAliveInterval 300",
    "LogLevel VERBOSE",
    "Banner /etc/issue.net",
    "PASS_MAX_DAYS 365",
    "PASS_MIN_DAYS 1",
    "UMASK 027",
    "umask 077",
    "TMOUT=900",
    "* hard core 0",
    "* hard maxlogins 10",
    "minlen = 14",
    "deny = 4",
    "unlock_time = 900",
    "Defaults use_pty",
    "Defaults logfile=\"/var/log/sudo.log\"",
    "%wheel ALL=(ALL) NOPASSWD: ALL",
    "max_log_file_action = keep_logs",
    "space_left_action = email",
    "-w /etc/sudoers -p wa -k actions",
    "-a always,exit -F arch=b64 -S chmod -F auid>=1000 -F auid!=unset -k perm_mod",
    "-e 2",
    "Storage=persistent",
    "Compress=yes",
    "Storage=none",
    "net.ipv4.ip_forward = 0",
    "net.ipv4.conf.all.rp_filter=1",
    "kernel.randomize_va_space = 2",
    "fs.suid_dumpable = 0",
    "install cramfs /bin/false",
    "blacklist usb-storage",
    "password required pam_unix.so sha512 remember=5",
    "auth required pam_faillock.so preauth",
    "tmpfs /tmp tmpfs defaults,nodev,nosuid,noexec 0 0",
    "games:x:0:0:games:/usr/games:/bin/sh",
    "eve::1007:1007::/home/eve:/bin/bash",
    "server 0.pool.ntp.org",
    "*.* @@loghost.example",
    "$FileCreateMode 0640",
    "GRUB_CMDLINE_LINUX=\"audit=1\"",
];

const MODES: &[u32] = &[0o600, 0o640, 0o644, 0o666, 0o755, 0o777, 0o4755, 0o1777, 0];

/// Files and folders whose mode or owner is changed.
const PLACES: &[&str] = &[
    "etc/passwd",
    "etc/passwd-",
    "etc/shadow",
    "etc/group",
    "etc/gshadow",
    "etc/crontab",
    "etc/cron.d",
    "etc/cron.daily",
    "etc/cron.hourly",
    "etc/ssh/sshd_config",
    "etc/ssh/ssh_host_ed25519_key",
    "etc/ssh/ssh_host_ed25519_key.pub",
    "etc/sudoers",
    "etc/sudoers.d",
    "etc/issue",
    "etc/motd",
    "etc/audit/auditd.conf",
    "var/log/dpkg.log",
    "var/log/wtmp",
    "var/log/btmp",
    "usr/bin/sudo",
    "usr/bin/su",
    "usr/sbin/auditctl",
    "usr/lib/os-release",
    "root",
    "boot/grub",
];

/// A source of changes: the same seed gives the same ones on the same root.
pub struct Changes(u64);

impl Changes {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, bound: usize) -> usize {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap_or(0) % bound.max(1)
    }

    fn one<T: Copy>(&mut self, from: &[T]) -> Result<T> {
        let index = self.below(from.len());
        from.get(index).copied().context("an empty list")
    }

    /// Makes changes; says in words what they are.
    pub fn batch(&mut self, root: &Path, count: usize) -> Result<Vec<String>> {
        (0..count).map(|_| self.change(root)).collect()
    }

    fn change(&mut self, root: &Path) -> Result<String> {
        match self.below(8) {
            0..=2 => self.line(root),
            3 | 4 => {
                let place = self.one(PLACES)?;
                let mode = self.one(MODES)?;
                let path = root.join(place);
                if path.exists() {
                    fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
                }
                Ok(format!("{place}: mode {mode:04o}"))
            }
            5 => {
                let place = self.one(PLACES)?;
                let (uid, gid) = (self.one(&[0, 1, 1000, 4242])?, self.one(&[0, 4, 42, 4242])?);
                let path = root.join(place);
                if path.exists() {
                    chown(&path, Some(uid), Some(gid))?;
                }
                Ok(format!("{place}: owner {uid}:{gid}"))
            }
            6 => self.file(root),
            _ => self.unit(root),
        }
    }

    /// Adds, removes, comments out or doubles a line.
    fn line(&mut self, root: &Path) -> Result<String> {
        let file = self.one(FILES)?;
        let path = root.join(file);
        let text = fs::read(&path).unwrap_or_default();
        let mut lines: Vec<String> = String::from_utf8_lossy(&text)
            .lines()
            .map(str::to_owned)
            .collect();
        let at = self.below(lines.len() + 1);
        let what = match self.below(4) {
            0 | 1 => {
                let line = self.one(LINES)?;
                lines.insert(at, line.to_owned());
                format!("{file}:{}: + {line}", at + 1)
            }
            2 if at < lines.len() => {
                let line = lines.remove(at);
                format!("{file}:{}: - {line}", at + 1)
            }
            _ => {
                let line = lines.get(at).cloned().unwrap_or_default();
                if let Some(line) = lines.get_mut(at) {
                    line.insert(0, '#');
                }
                format!("{file}:{}: # {line}", at + 1)
            }
        };
        // Both engines are run by root through this file.
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, lines.join("\n") + "\n")?;
        Ok(what)
    }

    /// A file, a folder or a link where whole-system rules look.
    fn file(&mut self, root: &Path) -> Result<String> {
        let folder = self.one(&["etc", "var/lib", "usr/local/bin", "home/eve", "opt/x y"])?;
        let name = format!("changed-{}", self.below(1000));
        let mode = self.one(MODES)?;
        let owner = self.one(&[0, 1000, 4242])?;
        let path: PathBuf = root.join(folder).join(&name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        if path.symlink_metadata().is_ok() {
            return Ok(format!("{folder}/{name}: is there"));
        }
        match self.below(3) {
            0 => {
                symlink("/etc/passwd", &path)?;
                return Ok(format!("{folder}/{name}: a link to /etc/passwd"));
            }
            1 => fs::create_dir(&path)?,
            _ => fs::write(&path, "x\n")?,
        }
        chown(&path, Some(owner), Some(owner))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        Ok(format!(
            "{folder}/{name}: new, mode {mode:04o}, owner {owner}"
        ))
    }

    /// Masks or unmasks a unit in the files; systemd is not told.
    fn unit(&mut self, root: &Path) -> Result<String> {
        let unit = self.one(&[
            "ssh.service",
            "cron.service",
            "rsyslog.service",
            "chrony.service",
            "nftables.service",
            "ctrl-alt-del.target",
            "systemd-coredump.socket",
        ])?;
        let path = root.join("etc/systemd/system").join(unit);
        if path.symlink_metadata().is_ok() {
            fs::remove_file(&path)?;
            return Ok(format!("{unit}: not masked"));
        }
        symlink("/dev/null", &path)?;
        Ok(format!("{unit}: masked"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_changes() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("1"), folder.path().join("2"));
        let first = Changes::new(7).batch(&one, 40);
        let second = Changes::new(7).batch(&other, 40);
        match (first, second) {
            (Ok(first), Ok(second)) => {
                assert_eq!(first, second);
                assert!(first.iter().any(|change| change.contains(": + ")));
            }
            // Without root, owners cannot be changed.
            (first, second) => assert!(first.is_err() && second.is_err()),
        }
    }
}
