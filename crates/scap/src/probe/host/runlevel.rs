//! What System V init starts and stops in each run level, from the links in `/etc/rc?.d`.

use super::wanted;
use crate::oval::item::{Collected, Item};
use crate::probe::{Context, Query};
use std::path::Path;

const SCRIPTS: &str = "/etc/init.d";
const LEVELS: [&str; 7] = ["0", "1", "2", "3", "4", "5", "6"];

/// `runlevel_object`.
pub fn collect(query: &Query, ctx: &Context<'_>) -> Result<Collected, String> {
    let system = ctx.system;
    let scripts = system
        .read_dir(Path::new(SCRIPTS))
        .map_err(|error| format!("{SCRIPTS}: {error}"))?;
    let mut scripts: Vec<_> = scripts.into_iter().map(|(name, _)| name).collect();
    scripts.sort_unstable();
    let mut items = Vec::new();
    for script in scripts {
        let name = script.to_string_lossy();
        if !wanted(query, ctx, "service_name", &name)? {
            continue;
        }
        let Ok(script) = system.stat(&Path::new(SCRIPTS).join(&script)) else {
            continue;
        };
        for level in LEVELS {
            if !wanted(query, ctx, "runlevel", level)? {
                continue;
            }
            let folder = format!("/etc/rc{level}.d");
            let Ok(mut links) = system.read_dir(Path::new(&folder)) else {
                continue;
            };
            links.sort_by(|a, b| a.0.cmp(&b.0));
            // The first link to the script decides.
            let letter = links.iter().find_map(|(link, _)| {
                let letter = link.to_string_lossy().chars().next()?;
                let target = system.stat(&Path::new(&folder).join(link)).ok()?;
                let same = (target.device, target.inode) == (script.device, script.inode);
                (same && matches!(letter, 'S' | 'K')).then_some(letter)
            });
            items.push(
                Item::new()
                    .string("service_name", &*name)
                    .string("runlevel", level)
                    .boolean("start", letter == Some('S'))
                    .boolean("kill", letter == Some('K')),
            );
        }
    }
    Ok(Collected::complete(items))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{collect, root};
    use crate::oval::item::Flag;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_decide() {
        let (folder, system) = root(&[
            ("/etc/init.d/ssh", ""),
            ("/etc/rc2.d/README", ""),
            ("/etc/rc0.d/README", ""),
        ]);
        symlink("../init.d/ssh", folder.path().join("etc/rc2.d/S01ssh")).unwrap();
        symlink("../init.d/ssh", folder.path().join("etc/rc0.d/K01ssh")).unwrap();
        let get = |level| {
            collect(
                &system,
                "runlevel",
                &[("service_name", "ssh"), ("runlevel", level)],
            )
        };
        assert_eq!(get("2").items[0].text("start"), Some("true"));
        assert_eq!(get("2").items[0].text("kill"), Some("false"));
        assert_eq!(get("0").items[0].text("kill"), Some("true"));
        assert_eq!(get("3").flag, Flag::DoesNotExist);
        let (_folder, bare) = root(&[]);
        let found = collect(&bare, "runlevel", &[("service_name", "x")]);
        assert_eq!(found.flag, Flag::Error);
    }
}
