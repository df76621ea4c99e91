//! What a check can ask. Each question is a map with one key, its kind.

use super::expect::{Expect, Pattern};
use bartizan_model::Severity;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// A check as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// The last part of its uid: lower-case letters, digits and hyphens.
    pub id: String,
    /// What holds when it passes, in one line.
    pub title: String,
    /// How bad a failure is.
    #[serde(default)]
    pub severity: Severity,
    /// Why it matters.
    pub description: String,
    /// How to put it right.
    pub remediation: String,
    /// Ids of controls that it tests, by catalogue.
    pub controls: Controls,
    /// Public addresses.
    #[serde(default)]
    pub references: Vec<String>,
    /// Asked first: a failure makes the check not applicable.
    #[serde(default)]
    pub when: Option<Question>,
    /// What is asked.
    pub question: Question,
}

/// Ids of controls.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Controls {
    /// NIST SP 800-53 revision 5.
    #[serde(default, rename = "nist-800-53")]
    pub nist: Vec<String>,
    /// CIS Controls version 8 safeguards.
    #[serde(default)]
    pub cis_controls: Vec<String>,
    /// SOC 2 criteria.
    #[serde(default)]
    pub soc2: Vec<String>,
    /// Of another catalogue, by the catalogue's name.
    #[serde(default)]
    pub other: BTreeMap<String, Vec<String>>,
}

impl Controls {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.nist.len()
            + self.cis_controls.len()
            + self.soc2.len()
            + self.other.values().map(Vec::len).sum::<usize>()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One question.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// Every part holds.
    All(Vec<Question>),
    /// At least one part holds.
    Any(Vec<Question>),
    /// The part does not hold.
    Not(Box<Question>),
    /// A file's existence, kind, owner, group and mode.
    File(File),
    /// Lines of files.
    Lines(Lines),
    /// The value of a key in key and value files.
    Setting(Setting),
    /// A keyword of the SSH server.
    Sshd(Sshd),
    /// A package of the system's package manager.
    Package(Package),
    /// A systemd unit.
    Service(Service),
    /// A kernel parameter.
    Sysctl(Sysctl),
    /// A mount point and its options.
    Mount(Mount),
    /// Users, groups and passwords.
    Accounts(Accounts),
    /// A kernel module that must not load.
    ModuleDisabled(Module),
    /// Files found by walking.
    Find(Find),
}

/// One text or a list of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts(pub Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Texts;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text or a list of texts")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Texts, E> {
                Ok(Texts(vec![text.to_owned()]))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> Result<Texts, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = seq.next_element::<String>()? {
                    texts.push(text);
                }
                Ok(Texts(texts))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// What an absent file means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// It cannot be told.
    #[default]
    Unknown,
    /// It is as asked.
    Pass,
    /// It is not as asked.
    Fail,
}

/// Whether something is to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    /// It is to be there.
    #[default]
    Exists,
    /// It is not to be there.
    Absent,
}

/// The kind of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Kind {
    Regular,
    Directory,
    Link,
}

/// A file or, with `*`, several: each must be as asked.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Paths; `*` and `?` within a name.
    pub path: Texts,
    /// Whether it is to be there.
    #[serde(default)]
    pub state: Presence,
    /// Its kind, links followed unless a link is asked for.
    #[serde(default)]
    pub kind: Option<Kind>,
    /// Names or numbers of permitted owners.
    #[serde(default)]
    pub owner: Texts,
    /// Names or numbers of permitted groups.
    #[serde(default)]
    pub group: Texts,
    /// The permission bits it may have at most, octal.
    #[serde(default)]
    pub mode: Option<Mode>,
    /// Where it points, for a link.
    #[serde(default)]
    pub target: Option<String>,
    /// What absence means where owner, group or mode is asked; the default is a failure.
    #[serde(default)]
    pub missing: Option<Missing>,
}

/// Permission bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode(pub u32);

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u32::from_str_radix(&text, 8)
            .ok()
            .filter(|bits| *bits <= 0o7777)
            .map(Self)
            .ok_or_else(|| {
                serde::de::Error::custom("a mode is a quoted octal text such as \"0640\"")
            })
    }
}

/// Lines of files.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Lines {
    /// Paths; `*` and `?` within a name.
    pub path: Texts,
    /// At least one line of the files matches each of these.
    #[serde(default)]
    pub matches: Vec<Pattern>,
    /// No line of the files matches any of these.
    #[serde(default)]
    pub none_match: Vec<Pattern>,
    /// Lines that begin with this are passed over; empty: none are.
    #[serde(default = "hash")]
    pub comment: String,
    /// Whether every one of the files needs the matching lines, instead of any.
    #[serde(default)]
    pub each: bool,
    /// What it means that there is no such file.
    #[serde(default)]
    pub missing: Missing,
}

fn hash() -> String {
    "#".to_owned()
}

/// Which of several values counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wins {
    /// The last one, as most programs read their files.
    #[default]
    Last,
    /// The first one.
    First,
}

/// What stands between key and value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Separator {
    /// `key = value`.
    #[default]
    Equals,
    /// `key value`.
    Space,
}

/// A key in key and value files.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// Paths in the order in which they are read; `*` and `?` within a name.
    pub path: Texts,
    /// The section (`[section]`) that the key is in.
    #[serde(default)]
    pub section: Option<String>,
    /// The key; letter case counts.
    pub key: String,
    /// What stands between key and value.
    #[serde(default)]
    pub separator: Separator,
    /// Which value counts.
    #[serde(default)]
    pub wins: Wins,
    /// What the value must be.
    pub expect: Expect,
    /// The program's own value where none is set; without it an unset key fails.
    #[serde(default)]
    pub default: Option<String>,
    /// What it means that there is no such file.
    #[serde(default)]
    pub missing: Missing,
}

/// A keyword of `sshd_config` and the files that it includes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sshd {
    /// The keyword; letter case does not count.
    pub keyword: String,
    /// What the value must be, in `Match` blocks too.
    pub expect: Expect,
    /// The value where none is set; without it an unset keyword fails.
    #[serde(default)]
    pub default: Option<String>,
}

/// Packages.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Package {
    /// Names: installed asks for at least one of them, absent for none.
    pub name: Texts,
    /// What is asked.
    #[serde(default)]
    pub state: PackageState,
    /// The lowest version that will do.
    #[serde(default)]
    pub at_least: Option<String>,
}

/// Whether a package is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum PackageState {
    #[default]
    Installed,
    Absent,
}

/// A systemd unit.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Unit names with suffix: `off` asks for all of them, else at least one.
    pub name: Texts,
    /// What is asked.
    pub state: ServiceState,
}

/// What a unit does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceState {
    /// It starts with the system.
    Enabled,
    /// It runs.
    Active,
    /// Both.
    Running,
    /// It neither starts nor runs; also when there is no such unit.
    Off,
}

/// A kernel parameter: the live value, or what `sysctl.d` will set where nothing runs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sysctl {
    /// Such as `net.ipv4.ip_forward`.
    pub key: String,
    /// What the value must be.
    pub expect: Expect,
}

/// A mount point.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// Where.
    pub point: String,
    /// Options that it must have.
    #[serde(default)]
    pub options: Vec<String>,
}

/// A rule about users, groups and passwords.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accounts {
    /// Which.
    pub rule: AccountRule,
    /// Names that are passed over.
    #[serde(default)]
    pub except: Vec<String>,
    /// The bound, for the rules that have one.
    #[serde(default)]
    pub bound: Option<i64>,
    /// Names of files in home folders, for the rules that want them.
    #[serde(default)]
    pub files: Vec<String>,
}

/// The rules. People are users with a uid from 1000 and a shell that lets them in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccountRule {
    /// No other user has uid 0.
    #[serde(rename = "only-root-has-uid-0")]
    OnlyRootHasUid0,
    /// No other group has gid 0.
    #[serde(rename = "only-root-has-gid-0")]
    OnlyRootHasGid0,
    /// The user root has gid 0.
    RootPrimaryGroup,
    /// Uids differ.
    UniqueUids,
    /// User names differ.
    UniqueNames,
    /// Gids differ.
    UniqueGids,
    /// Group names differ.
    UniqueGroupNames,
    /// Every user's primary group exists.
    GroupsExist,
    /// No password is empty.
    NoEmptyPasswords,
    /// Passwords stand in `shadow`, not in `passwd`.
    Shadowed,
    /// Set passwords are hashed with yescrypt, SHA-512, SHA-256 or bcrypt.
    StrongHashes,
    /// Users with a password must change it within `bound` days.
    MaxDays,
    /// Users with a password are warned `bound` days before.
    WarnDays,
    /// No password was last changed in the future (seen from the file's own time).
    ChangedInPast,
    /// System users have no shell that lets them in.
    SystemNoShell,
    /// System users have no password.
    SystemNoPassword,
    /// People's homes exist.
    HomesExist,
    /// People own their homes.
    HomesOwned,
    /// People's homes have at most the mode `bound` (written in octal digits).
    HomesMode,
    /// None of `files` is in people's and root's homes.
    HomesWithout,
    /// Dot files of people are not writable by others.
    DotFiles,
    /// No `+` entry takes in users from elsewhere.
    NoPlusEntries,
    /// The group `shadow` has no members.
    ShadowGroupEmpty,
}

/// A kernel module.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Module {
    /// Its name.
    pub name: String,
}

/// Files found by walking all local file systems.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Find {
    /// What must not be found.
    pub what: Wanted,
    /// Only below this.
    #[serde(default = "root")]
    pub under: String,
    /// Paths that may be so; `*` stands for anything.
    #[serde(default)]
    pub except: Vec<String>,
}

fn root() -> String {
    "/".to_owned()
}

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wanted {
    /// Regular files that everyone may write.
    WorldWritableFiles,
    /// Folders that everyone may write, without the sticky bit.
    WorldWritableFolders,
    /// Regular files with the set-user-id bit.
    Suid,
    /// Regular files with the set-group-id bit.
    Sgid,
    /// Files whose owner is no user.
    Unowned,
    /// Files whose group is no group.
    Ungrouped,
}
