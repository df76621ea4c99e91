//! Finding the manifests that a scan reads. Other crates read bytes, never paths.

use anyhow::{Context, Result, bail};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Folders deeper than this are refused: a loop of mounts, or not manifests.
const MAX_DEPTH: usize = 64;
/// More files than this in one scan are refused.
const MAX_FILES: usize = 200_000;

/// A file's bytes; one that is longer than `most` is refused before it is all in memory.
pub fn read_at_most(path: &Path, most: usize) -> Result<Vec<u8>> {
    let file = fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut bytes = Vec::new();
    file.take(most as u64 + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {}", path.display()))?;
    if bytes.len() > most {
        bail!("{} is longer than {most} bytes", path.display());
    }
    Ok(bytes)
}

/// Whether a name is one that manifests have.
fn is_manifest(path: &Path) -> bool {
    path.extension().and_then(|e| e.to_str()).is_some_and(|e| {
        ["yaml", "yml", "json"]
            .iter()
            .any(|m| e.eq_ignore_ascii_case(m))
    })
}

/// The manifests under the paths, each once, sorted. A file named directly is taken whatever
/// its name is; in a folder only `.yaml`, `.yml` and `.json` are. Hidden entries and symbolic
/// links in folders are passed over, so a scan stays inside what it was given.
pub fn manifests(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            found.push(path.clone());
            continue;
        }
        let kind = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
        if kind.is_dir() {
            walk(path, 0, &mut found)?;
        } else {
            found.push(path.clone());
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<()> {
    if depth > MAX_DEPTH {
        bail!("{} is more than {MAX_DEPTH} folders deep", folder.display());
    }
    let entries = fs::read_dir(folder)
        .with_context(|| format!("cannot read the folder {}", folder.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read {}", folder.display()))?;
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let kind = entry.file_type()?;
        let path = entry.path();
        if kind.is_dir() {
            walk(&path, depth + 1, found)?;
        } else if kind.is_file() && is_manifest(&path) {
            if found.len() >= MAX_FILES {
                bail!("more than {MAX_FILES} files; give a smaller folder");
            }
            found.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        fs::write(&file, b"12345").unwrap();
        assert_eq!(read_at_most(&file, 5).unwrap(), b"12345");
        assert!(read_at_most(&file, 4).is_err());
        // One without an end, too.
        assert!(read_at_most(Path::new("/dev/zero"), 1_000).is_err());
    }

    #[test]
    fn walks_sorted_without_links_and_hidden_files() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("b/.git")).unwrap();
        for name in [
            "b/two.yml",
            "a.yaml",
            "c.txt",
            "b/.git/x.yaml",
            "b/.hidden.yaml",
            "z.JSON",
        ] {
            fs::write(at(name), "").unwrap();
        }
        std::os::unix::fs::symlink("/", at("root")).unwrap();
        std::os::unix::fs::symlink(at("a.yaml"), at("link.yaml")).unwrap();
        let found = manifests(&[folder.path().to_owned(), at("c.txt"), at("a.yaml")]).unwrap();
        assert_eq!(
            found,
            [at("a.yaml"), at("b/two.yml"), at("c.txt"), at("z.JSON")]
        );
    }

    #[test]
    fn a_missing_path_is_an_error() {
        let error = manifests(&[PathBuf::from("/no/such/folder")]).unwrap_err();
        assert_eq!(error.to_string(), "cannot read /no/such/folder");
    }
}
