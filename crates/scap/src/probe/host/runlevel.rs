//! What System V init starts and stops in each run level, by the links of its folders.
//!
//! Where those are depends on the distribution, which is told by the same files as in
//! OpenSCAP. Of the others it knows no run levels: an error, and so it is here.

use super::{absent, wanted};
use crate::oval::item::{Collected, Item};
use crate::probe::{Context, Query};
use crate::system::{Metadata, System};
use std::path::{Path, PathBuf};

const LEVELS: [&str; 7] = ["0", "1", "2", "3", "4", "5", "6"];

/// Where scripts and links are.
#[derive(Clone, Copy, PartialEq)]
enum Layout {
    RedHat,
    /// A service without a link that starts it is stopped.
    Suse,
}

/// The files that tell a distribution, in OpenSCAP's order: the first that is there decides.
const RELEASES: [(&str, Option<Layout>); 12] = [
    ("/etc/debian_version", None),
    ("/etc/debian_release", None),
    ("/etc/oracle-release", Some(Layout::RedHat)),
    ("/etc/redhat-release", Some(Layout::RedHat)),
    ("/etc/slackware-release", None),
    ("/etc/gentoo-release", None),
    ("/etc/arch-release", None),
    ("/etc/mandriva-release", None),
    ("/etc/SuSE-release", Some(Layout::Suse)),
    ("/etc/sles-release", Some(Layout::Suse)),
    ("/etc/novell-release", Some(Layout::Suse)),
    // Solaris's, which some Linux systems have too.
    ("/etc/release", Some(Layout::RedHat)),
];

impl Layout {
    fn of(system: &dyn System) -> Result<Self, String> {
        for (file, layout) in RELEASES {
            if there(system, Path::new(file))?.is_some() {
                return layout.ok_or_else(|| {
                    format!("{file}: run levels of this distribution are not supported")
                });
            }
        }
        Err("the distribution is not known".into())
    }

    fn scripts(self) -> &'static Path {
        Path::new(match self {
            Self::RedHat => "/etc/rc.d/init.d",
            Self::Suse => "/etc/init.d",
        })
    }

    fn links(self, level: &str) -> PathBuf {
        PathBuf::from(match self {
            Self::RedHat => format!("/etc/rc{level}.d"),
            Self::Suse => format!("/etc/init.d/rc{level}.d"),
        })
    }

    /// Whether the first of these letters that decides starts it, and whether it stops it.
    fn decided(self, letters: impl Iterator<Item = char>) -> (bool, bool) {
        let mut letters = letters.filter(|letter| match self {
            Self::RedHat => matches!(letter, 'S' | 'K'),
            Self::Suse => *letter == 'S',
        });
        match (letters.next(), self) {
            (Some('S'), _) => (true, false),
            (Some(_), _) | (None, Self::Suse) => (false, true),
            (None, Self::RedHat) => (false, false),
        }
    }
}

/// What is there; None where nothing is, as where a link leads nowhere.
fn there(system: &dyn System, path: &Path) -> Result<Option<Metadata>, String> {
    match system.stat(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if absent(&error) => Ok(None),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

/// `runlevel_object`.
pub fn collect(query: &Query, ctx: &Context<'_>) -> Result<Collected, String> {
    let system = ctx.system;
    let layout = Layout::of(system)?;
    let scripts = system
        .read_dir(layout.scripts())
        .map_err(|error| format!("{}: {error}", layout.scripts().display()))?;
    let mut scripts: Vec<_> = scripts.into_iter().map(|(name, _)| name).collect();
    scripts.sort_unstable();
    let mut items = Vec::new();
    for script in scripts {
        let name = script.to_string_lossy();
        if !wanted(query, ctx, "service_name", &name)? {
            continue;
        }
        let Some(script) = there(system, &layout.scripts().join(&script))? else {
            continue;
        };
        for level in LEVELS {
            if !wanted(query, ctx, "runlevel", level)? {
                continue;
            }
            let folder = layout.links(level);
            let mut links = match system.read_dir(&folder) {
                Ok(links) => links,
                // A level that is not there starts nothing.
                Err(error) if absent(&error) => continue,
                Err(error) => return Err(format!("{}: {error}", folder.display())),
            };
            links.sort_by(|a, b| a.0.cmp(&b.0));
            let mut letters = Vec::new();
            for (link, _) in links {
                let Some(target) = there(system, &folder.join(&link))? else {
                    continue;
                };
                if (target.device, target.inode) == (script.device, script.inode) {
                    letters.extend(link.to_string_lossy().chars().next());
                }
            }
            let (start, kill) = layout.decided(letters.into_iter());
            items.push(
                Item::new()
                    .string("service_name", &*name)
                    .string("runlevel", level)
                    .boolean("start", start)
                    .boolean("kill", kill),
            );
        }
    }
    Ok(Collected::complete(items))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{collect, root};
    use crate::oval::item::{Collected, Flag};
    use crate::system::System;
    use std::os::unix::fs::symlink;

    fn get(system: &dyn System, level: &str) -> Collected {
        let asked = [("service_name", "ssh"), ("runlevel", level)];
        collect(system, "runlevel", &asked)
    }

    #[test]
    fn links_decide() {
        let (folder, system) = root(&[
            ("/etc/redhat-release", ""),
            ("/etc/rc.d/init.d/ssh", ""),
            ("/etc/rc0.d/README", ""),
            ("/etc/rc1.d/README", ""),
            ("/etc/rc2.d/README", ""),
        ]);
        let link = |name| symlink("../rc.d/init.d/ssh", folder.path().join(name)).unwrap();
        link("etc/rc2.d/S01ssh");
        link("etc/rc0.d/K01ssh");
        symlink("nowhere", folder.path().join("etc/rc2.d/A01")).unwrap();
        let said = |level| {
            let found = get(&system, level);
            ["start", "kill"].map(|name| found.items[0].text(name) == Some("true"))
        };
        assert_eq!(said("2"), [true, false]);
        assert_eq!(said("0"), [false, true]);
        assert_eq!(said("1"), [false, false]);
        assert_eq!(get(&system, "3").flag, Flag::DoesNotExist);
        assert_eq!(get(&system, "9").flag, Flag::DoesNotExist);
    }

    #[test]
    fn in_suse_no_link_is_a_stop() {
        let (folder, system) = root(&[
            ("/etc/SuSE-release", ""),
            ("/etc/init.d/ssh", ""),
            ("/etc/init.d/rc3.d/README", ""),
            ("/etc/init.d/rc5.d/README", ""),
        ]);
        symlink("../ssh", folder.path().join("etc/init.d/rc5.d/S01ssh")).unwrap();
        assert_eq!(get(&system, "5").items[0].text("start"), Some("true"));
        assert_eq!(get(&system, "3").items[0].text("kill"), Some("true"));
    }

    #[test]
    fn what_cannot_be_looked_at_is_an_error() {
        for files in [
            &[][..],
            &[("/etc/redhat-release", "")],
            &[("/etc/debian_version", ""), ("/etc/init.d/ssh", "")],
            &[
                ("/etc/redhat-release", ""),
                ("/etc/rc.d/init.d/ssh", ""),
                // A file in place of a folder is not there; a loop cannot be told.
                ("/etc/rc3.d", ""),
            ],
        ] {
            let (folder, system) = root(files);
            if files.len() == 3 {
                assert_eq!(get(&system, "3").flag, Flag::DoesNotExist);
                symlink("rc4.d", folder.path().join("etc/rc4.d")).unwrap();
                assert_eq!(get(&system, "4").flag, Flag::Error);
            } else {
                assert_eq!(get(&system, "3").flag, Flag::Error, "{files:?}");
            }
        }
    }
}
