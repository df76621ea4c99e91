//! Users, groups and passwords. No hash ever becomes evidence.

use super::facts::{Entry, Facts};
use super::question::{AccountRule, Accounts};
use super::verdict::{MAX_EVIDENCE, Verdict, evidence};
use crate::system::FileKind;
use bartizan_model::Evidence;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The first uid of people.
const PEOPLE: u32 = 1000;

/// `nobody`.
const NOBODY: u32 = 65534;

/// Fields of `passwd`.
const PASSWORD: usize = 1;
const ID: usize = 2;
const GROUP: usize = 3;
const HOME: usize = 5;
const SHELL: usize = 6;

/// What is wrong, one a line of evidence.
type Wrong = Vec<Evidence>;

impl Facts<'_> {
    /// Answers a question about accounts.
    pub fn accounts(&self, asked: &Accounts) -> Result<Verdict, String> {
        let (good, wrong) = match asked.rule {
            AccountRule::OnlyRootHasUid0
            | AccountRule::OnlyRootHasGid0
            | AccountRule::RootPrimaryGroup
            | AccountRule::UniqueUids
            | AccountRule::UniqueNames
            | AccountRule::UniqueGids
            | AccountRule::UniqueGroupNames
            | AccountRule::GroupsExist
            | AccountRule::Shadowed
            | AccountRule::SystemNoShell
            | AccountRule::NoPlusEntries
            | AccountRule::ShadowGroupEmpty => self.tables(asked)?,
            AccountRule::NoEmptyPasswords
            | AccountRule::StrongHashes
            | AccountRule::MaxDays
            | AccountRule::WarnDays
            | AccountRule::ChangedInPast
            | AccountRule::SystemNoPassword => self.passwords(asked)?,
            AccountRule::HomesExist
            | AccountRule::HomesOwned
            | AccountRule::HomesMode
            | AccountRule::HomesWithout
            | AccountRule::DotFiles => self.homes(asked)?,
        };
        if wrong.is_empty() {
            return Ok(Verdict::of(true, good, vec![]));
        }
        let names: Vec<&str> = wrong.iter().map(|e| e.path.as_str()).take(5).collect();
        let more = wrong.len().saturating_sub(names.len());
        let mut message = format!("not so: {}", names.join(", "));
        if more > 0 {
            message.push_str(&format!(" and {more} more"));
        }
        let list = wrong.into_iter().take(MAX_EVIDENCE).collect();
        Ok(Verdict::of(false, message, list))
    }

    fn tables(&self, asked: &Accounts) -> Result<(&'static str, Wrong), String> {
        let users = self.users()?;
        let groups = self.groups()?;
        if users.is_empty() || groups.is_empty() {
            return Err("/etc/passwd or /etc/group has no entry".to_owned());
        }
        let spared = |entry: &Entry| asked.except.iter().any(|name| name == entry.at(0));
        let faulty = |table: &[Entry], expected: &str, bad: &dyn Fn(&Entry) -> Option<String>| {
            table
                .iter()
                .filter(|entry| !spared(entry))
                .filter_map(|entry| {
                    bad(entry).map(|actual| evidence(entry.at(0), actual, expected))
                })
                .collect::<Wrong>()
        };
        let zero = |entry: &Entry| {
            (entry.at(0) != "root" && entry.at(ID).parse() == Ok(0_u32)).then(|| "0".to_owned())
        };
        Ok(match asked.rule {
            AccountRule::OnlyRootHasUid0 => {
                ("only root has uid 0", faulty(&users, "another uid", &zero))
            }
            AccountRule::OnlyRootHasGid0 => {
                ("only root has gid 0", faulty(&groups, "another gid", &zero))
            }
            AccountRule::RootPrimaryGroup => {
                let root = users
                    .iter()
                    .find(|entry| entry.at(0) == "root")
                    .ok_or("/etc/passwd has no root")?;
                let wrong = (root.at(GROUP) != "0").then(|| evidence("root", root.at(GROUP), "0"));
                ("root's group is root", wrong.into_iter().collect())
            }
            AccountRule::UniqueUids => ("uids differ", twice(&users, ID)),
            AccountRule::UniqueNames => ("user names differ", twice(&users, 0)),
            AccountRule::UniqueGids => ("gids differ", twice(&groups, ID)),
            AccountRule::UniqueGroupNames => ("group names differ", twice(&groups, 0)),
            AccountRule::GroupsExist => {
                let known: BTreeSet<&str> = groups.iter().map(|entry| entry.at(ID)).collect();
                let bad = |entry: &Entry| {
                    let group = entry.at(GROUP);
                    (!known.contains(group)).then(|| format!("gid {group}"))
                };
                (
                    "every primary group exists",
                    faulty(&users, "a group that exists", &bad),
                )
            }
            AccountRule::Shadowed => {
                let bad = |entry: &Entry| {
                    let field = entry.at(PASSWORD);
                    (field != "x" && !locked(field)).then(|| "not in shadow".to_owned())
                };
                ("passwords stand in shadow", faulty(&users, "x", &bad))
            }
            AccountRule::SystemNoShell => {
                let bad = |entry: &Entry| {
                    (system(entry) && lets_in(entry)).then(|| entry.at(SHELL).to_owned())
                };
                (
                    "system users have no shell",
                    faulty(&users, "nologin or false", &bad),
                )
            }
            AccountRule::NoPlusEntries => {
                let bad = |entry: &Entry| entry.at(0).starts_with('+').then(|| "+".to_owned());
                let mut wrong = faulty(&users, "no such entry", &bad);
                wrong.extend(faulty(&groups, "no such entry", &bad));
                wrong.extend(faulty(&self.shadow()?, "no such entry", &bad));
                ("no entry takes in others", wrong)
            }
            _ => {
                let shadow = groups.iter().find(|entry| entry.at(0) == "shadow");
                let mut wrong = Wrong::new();
                if let Some(group) = shadow {
                    if !group.at(3).is_empty() {
                        wrong.push(evidence("shadow", group.at(3), "no members"));
                    }
                    let bad = |entry: &Entry| {
                        (entry.at(GROUP) == group.at(ID)).then(|| "primary group shadow".to_owned())
                    };
                    wrong.extend(faulty(&users, "another group", &bad));
                }
                ("the group shadow is empty", wrong)
            }
        })
    }

    fn passwords(&self, asked: &Accounts) -> Result<(&'static str, Wrong), String> {
        let shadow = self.shadow()?;
        if shadow.is_empty() {
            return Err("/etc/shadow has no entry".to_owned());
        }
        let bound = || {
            asked
                .bound
                .ok_or_else(|| "the rule wants a bound".to_owned())
        };
        let set: Vec<&Entry> = shadow
            .iter()
            .filter(|entry| !asked.except.iter().any(|name| name == entry.at(0)))
            .collect();
        let with_password = set
            .iter()
            .filter(|e| !locked(e.at(1)) && !e.at(1).is_empty());
        let faulty = |expected: String, bad: &dyn Fn(&Entry) -> Option<String>| {
            let found = with_password.clone().filter_map(|entry| {
                bad(entry).map(|actual| evidence(entry.at(0), actual, &expected))
            });
            found.collect::<Wrong>()
        };
        let days = |entry: &Entry, place: usize| entry.at(place).parse::<i64>().ok();
        Ok(match asked.rule {
            AccountRule::NoEmptyPasswords => {
                let mut wrong: Wrong = set
                    .iter()
                    .filter(|entry| entry.at(1).is_empty())
                    .map(|entry| evidence(entry.at(0), "an empty password", "a password or a lock"))
                    .collect();
                let open = self.users()?;
                let open = open.iter().filter(|entry| entry.at(PASSWORD).is_empty());
                wrong.extend(open.map(|e| evidence(e.at(0), "an empty password", "x")));
                ("no password is empty", wrong)
            }
            AccountRule::StrongHashes => {
                let bad = |entry: &Entry| {
                    let hash = entry.at(1);
                    let strong = ["$y$", "$gy$", "$7$", "$6$", "$5$", "$2a$", "$2b$", "$2y$"];
                    (!strong.iter().any(|kind| hash.starts_with(kind)))
                        .then(|| "a weak hash".to_owned())
                };
                (
                    "hashes are strong",
                    faulty("yescrypt or SHA-512".into(), &bad),
                )
            }
            AccountRule::MaxDays => {
                let most = bound()?;
                let bad = |entry: &Entry| match days(entry, 4) {
                    Some(days) if days <= most && days >= 1 => None,
                    Some(days) => Some(format!("{days} days")),
                    None => Some("no limit".to_owned()),
                };
                (
                    "passwords age",
                    faulty(format!("at most {most} days"), &bad),
                )
            }
            AccountRule::WarnDays => {
                let least = bound()?;
                let bad = |entry: &Entry| match days(entry, 5) {
                    Some(days) if days >= least => None,
                    Some(days) => Some(format!("{days} days")),
                    None => Some("no warning".to_owned()),
                };
                (
                    "users are warned",
                    faulty(format!("at least {least} days"), &bad),
                )
            }
            AccountRule::ChangedInPast => {
                let path = Path::new("/etc/shadow");
                let metadata = self.stat(path)?.ok_or("/etc/shadow does not exist")?;
                // The file is written at each change, so no change is newer than it.
                let today = metadata.modified.div_euclid(86_400) + 1;
                let bad = |entry: &Entry| {
                    days(entry, 2)
                        .filter(|changed| *changed > today)
                        .map(|changed| format!("day {changed}"))
                };
                (
                    "changes are in the past",
                    faulty(format!("day {today} or before"), &bad),
                )
            }
            _ => {
                let users = self.users()?;
                let systems: BTreeSet<&str> = users
                    .iter()
                    .filter(|entry| system(entry))
                    .map(|entry| entry.at(0))
                    .collect();
                let bad = |entry: &Entry| {
                    systems
                        .contains(entry.at(0))
                        .then(|| "a password".to_owned())
                };
                (
                    "system users have no password",
                    faulty("a lock".into(), &bad),
                )
            }
        })
    }

    fn homes(&self, asked: &Accounts) -> Result<(&'static str, Wrong), String> {
        let users = self.users()?;
        if users.is_empty() {
            return Err("/etc/passwd has no entry".to_owned());
        }
        let mut wrong = Wrong::new();
        let with_root = asked.rule == AccountRule::HomesWithout;
        let good = match asked.rule {
            AccountRule::HomesExist => "homes exist",
            AccountRule::HomesOwned => "people own their homes",
            AccountRule::HomesMode => "homes are closed to others",
            AccountRule::HomesWithout => "no home has such a file",
            _ => "dot files are closed to others",
        };
        for user in users.iter() {
            let name = user.at(0);
            let root = with_root && name == "root";
            if !(person(user) || root) || asked.except.iter().any(|spared| spared == name) {
                continue;
            }
            let home = Path::new(user.at(HOME));
            let metadata = if home.is_absolute() {
                self.stat(home)?
            } else {
                None
            };
            let metadata = metadata.filter(|metadata| metadata.kind == FileKind::Directory);
            let Some(metadata) = metadata else {
                if asked.rule == AccountRule::HomesExist {
                    let actual = format!("{} is no folder", home.display());
                    wrong.push(evidence(name, actual, "a folder"));
                }
                continue;
            };
            match asked.rule {
                AccountRule::HomesOwned if user.at(ID).parse() != Ok(metadata.uid) => {
                    let actual = format!("{} belongs to {}", home.display(), metadata.uid);
                    wrong.push(evidence(name, actual, user.at(ID)));
                }
                AccountRule::HomesMode => {
                    let most = asked.bound.ok_or("the rule wants a bound")?;
                    let most = u32::from_str_radix(&most.to_string(), 8)
                        .map_err(|_| "the bound is not octal".to_owned())?;
                    if metadata.mode & 0o777 & !most != 0 {
                        let actual = format!("{} is {:04o}", home.display(), metadata.mode);
                        wrong.push(evidence(name, actual, format!("at most {most:04o}")));
                    }
                }
                AccountRule::HomesWithout => {
                    for file in &asked.files {
                        let path = home.join(file);
                        if self.lstat(&path)?.is_some() {
                            wrong.push(evidence(path.to_string_lossy(), "present", "absent"));
                        }
                    }
                }
                AccountRule::DotFiles => {
                    for file in self.names(home)?.unwrap_or_default() {
                        if !file.as_encoded_bytes().starts_with(b".") {
                            continue;
                        }
                        let path = home.join(&file);
                        let Some(found) = self.lstat(&path)? else {
                            continue;
                        };
                        if found.kind == FileKind::Regular && found.mode & 0o022 != 0 {
                            let actual = format!("{:04o}", found.mode);
                            wrong.push(evidence(path.to_string_lossy(), actual, "at most 0755"));
                        }
                    }
                }
                _ => {}
            }
        }
        Ok((good, wrong))
    }
}

/// No password opens it.
fn locked(field: &str) -> bool {
    field.starts_with(['!', '*'])
}

fn lets_in(user: &Entry) -> bool {
    let last = user.at(SHELL).rsplit('/').next().unwrap_or_default();
    !matches!(last, "nologin" | "false" | "sync" | "halt" | "shutdown")
}

fn person(user: &Entry) -> bool {
    let uid: Option<u32> = user.at(ID).parse().ok();
    uid.is_some_and(|uid| uid >= PEOPLE && uid != NOBODY) && lets_in(user)
}

fn system(user: &Entry) -> bool {
    let uid: Option<u32> = user.at(ID).parse().ok();
    user.at(0) != "root" && uid.is_some_and(|uid| uid < PEOPLE || uid == NOBODY)
}

/// Values of a field that several entries have.
fn twice(table: &[Entry], place: usize) -> Wrong {
    let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for entry in table {
        names.entry(entry.at(place)).or_default().push(entry.at(0));
    }
    names
        .into_iter()
        .filter(|(_, names)| names.len() > 1)
        .map(|(value, names)| evidence(value, names.join(", "), "one entry"))
        .collect()
}
