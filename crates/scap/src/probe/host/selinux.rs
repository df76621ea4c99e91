//! SELinux's booleans and security contexts, and other extended attributes of files.

use super::{absent, not_collected, pids, wanted};
use crate::oval::item::{Collected, Flag, Item};
use crate::probe::{Context, Query, find};
use std::path::Path;

const BOOLEANS: &str = "/sys/fs/selinux/booleans";

/// `selinuxboolean_object`.
pub fn boolean(query: &Query, ctx: &Context<'_>) -> Result<Collected, String> {
    let names = match ctx.system.read_dir(Path::new(BOOLEANS)) {
        Ok(names) => names,
        Err(error) if ctx.system.is_live() && !absent(&error) => {
            return Err(format!("{BOOLEANS}: {error}"));
        }
        // Without SELinux nobody can be asked: unknown, as OpenSCAP.
        Err(error) => return Ok(not_collected(format!("{BOOLEANS}: {error}"))),
    };
    let mut names: Vec<_> = names.into_iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    let mut items = Vec::new();
    for name in names {
        let path = Path::new(BOOLEANS).join(&name);
        let name = name.to_string_lossy();
        if !wanted(query, ctx, "name", &name)? {
            continue;
        }
        items.push(match ctx.system.read(&path, 4096) {
            // The value that is in force and the one to come.
            Ok(bytes) => {
                let values = String::from_utf8_lossy(&bytes).into_owned();
                let mut values = values.split_whitespace().map(|value| value == "1");
                let current = values.next().unwrap_or(false);
                Item::new()
                    .string("name", &*name)
                    .boolean("current_status", current)
                    .boolean("pending_status", values.next().unwrap_or(current))
            }
            Err(error) => Item::error(format!("{name}: {error}")).string("name", &*name),
        });
    }
    Ok(Collected::complete(items))
}

/// Adds the parts of `user:role:type[:range]`; None where it is no context.
fn with_context(mut item: Item, context: &str, file: bool) -> Option<Item> {
    let mut parts = context.splitn(4, ':');
    for name in ["user", "role", "type"] {
        item = item.string(name, parts.next()?);
    }
    let Some(range) = parts.next() else {
        return Some(item);
    };
    let mut levels = range.splitn(2, '-');
    let prefixes: &[&str] = if file { &["", "raw"] } else { &[""] };
    for name in ["low", "high"] {
        let Some(level) = levels.next() else {
            continue;
        };
        let (sensitivity, category) = match level.split_once(':') {
            Some((sensitivity, category)) => (sensitivity, Some(category)),
            None => (level, None),
        };
        for prefix in prefixes {
            item = item.string(&format!("{prefix}{name}_sensitivity"), sensitivity);
            if let Some(category) = category {
                item = item.string(&format!("{prefix}{name}_category"), category);
            }
        }
    }
    Some(item)
}

fn context_text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.trim_end_matches(['\0', '\n']).to_owned()
}

/// `selinuxsecuritycontext_object`: of files, or of a process.
pub fn context(query: &Query, ctx: &Context<'_>) -> Result<Collected, String> {
    if query.entity("filepath").is_some() || query.entity("path").is_some() {
        return files(query, ctx, |item, path| {
            match ctx
                .system
                .canonical(Path::new(path))
                .and_then(|path| ctx.system.attribute(&path, "security.selinux"))
            {
                Ok(Some(bytes)) => with_context(item, &context_text(&bytes), true),
                // SELinux shows a context for every file; without it there is none.
                Ok(None) => None,
                Err(error) if absent(&error) => None,
                Err(error) => Some(failed(item, &error.to_string())),
            }
        });
    }
    let Some(pid) = query.entity("pid") else {
        return Err("the object has neither a file nor a pid".into());
    };
    if !ctx.system.is_live() {
        return Ok(not_collected("the system does not run"));
    }
    let ours = pid.nil || pid.values.iter().all(|value| matches!(&**value, "" | "0"));
    let mut items = Vec::new();
    for number in pids(ctx.system)? {
        let asked = if ours {
            number == std::process::id()
        } else {
            wanted(query, ctx, "pid", &number.to_string())?
        };
        if !asked {
            continue;
        }
        let path = format!("/proc/{number}/attr/current");
        // Without SELinux the file cannot be read, or is another module's: no context.
        if let Ok(bytes) = ctx.system.read(Path::new(&path), 65_536) {
            let item = Item::new().int("pid", number);
            items.extend(with_context(item, &context_text(&bytes), false));
        }
    }
    Ok(Collected::complete(items))
}

fn failed(mut item: Item, message: &str) -> Item {
    item.status = crate::oval::item::Status::Error;
    item.message = Some(message.into());
    item
}

/// An item for each file that the `file` probe finds by the same entities.
fn files(
    query: &Query,
    ctx: &Context<'_>,
    each: impl Fn(Item, &str) -> Option<Item>,
) -> Result<Collected, String> {
    let probe = find("file").ok_or("there is no probe of files")?;
    let found = (probe.collect)(query, ctx);
    let mut items = Vec::new();
    for file in &found.items {
        let mut item = Item::new();
        for name in ["filepath", "path", "filename"] {
            if let Some(text) = file.text(name) {
                item = item.string(name, text);
            }
        }
        match file.text("filepath").or_else(|| file.text("path")) {
            Some(path) => items.extend(each(item, path)),
            None => items.push(failed(item, "the file could not be read")),
        }
    }
    if matches!(found.flag, Flag::Complete | Flag::DoesNotExist) {
        return Ok(Collected::complete(items));
    }
    Ok(Collected {
        flag: found.flag,
        items,
        message: found.message,
    })
}

/// `fileextendedattribute_object`, where the attribute is named.
pub fn attribute(query: &Query, ctx: &Context<'_>) -> Result<Collected, String> {
    let name = query
        .entity("attribute_name")
        .ok_or("the object has no attribute_name")?;
    let [name] = name.exact().unwrap_or_default() else {
        return Err("only an attribute that is named can be looked up".into());
    };
    files(query, ctx, |item, path| {
        match ctx.system.attribute(Path::new(path), name) {
            Ok(Some(value)) => {
                let value = String::from_utf8_lossy(&value);
                let value = value.split('\0').next().unwrap_or_default().to_owned();
                let item = item.string("attribute_name", Box::<str>::from(&**name));
                Some(item.string("value", value))
            }
            Ok(None) => None,
            Err(error) if absent(&error) => None,
            Err(error) => Some(failed(item, &error.to_string())),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{collect, root};
    use super::with_context;
    use crate::oval::item::{Flag, Item};

    #[test]
    fn booleans() {
        let (_folder, system) = root(&[("/sys/fs/selinux/booleans/httpd_x", "1 0")]);
        let found = collect(&system, "selinuxboolean", &[("name", "httpd_x")]);
        assert_eq!(found.items[0].text("current_status"), Some("true"));
        assert_eq!(found.items[0].text("pending_status"), Some("false"));
        let found = collect(&system, "selinuxboolean", &[("name", "none")]);
        assert_eq!(found.flag, Flag::DoesNotExist);
        let (_folder, system) = root(&[]);
        let found = collect(&system, "selinuxboolean", &[("name", "httpd_x")]);
        assert_eq!(found.flag, Flag::NotCollected);
    }

    #[test]
    fn contexts() {
        let item = with_context(Item::new(), "u:r:t:s0-s15:c0.c1023", true).unwrap();
        for (name, value) in [
            ("user", Some("u")),
            ("type", Some("t")),
            ("low_sensitivity", Some("s0")),
            ("low_category", None),
            ("high_sensitivity", Some("s15")),
            ("rawhigh_category", Some("c0.c1023")),
        ] {
            assert_eq!(item.text(name), value, "{name}");
        }
        assert!(with_context(Item::new(), "unconfined", true).is_none());
        let (_folder, system) = root(&[("/proc/7/attr/current", "u:r:t\0")]);
        let found = collect(&system, "selinuxsecuritycontext", &[("pid", "7")]);
        assert_eq!(found.items[0].text("type"), Some("t"));
    }
}
