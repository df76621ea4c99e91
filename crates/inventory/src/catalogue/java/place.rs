//! What tells the group of an artifact that does not tell it itself: where it lies, and the packages
//! of its classes.

use super::{Coordinates, manifest};
use std::collections::BTreeMap;

/// Packages that are counted of one archive.
const PACKAGES: usize = 20_000;
/// Of ten classes so many share the package that is taken for the group.
const MOST: usize = 8;

/// The place in a local repository:
///
/// - Maven's: `.m2/repository/org/example/name/1.2/name-1.2.jar`
/// - Gradle's: `files-2.1/org.example/name/1.2/<digest>/name-1.2.jar`
pub(super) fn lies(path: &str) -> Option<Coordinates> {
    let parts: Vec<&str> = path.split('/').collect();
    let (file, folders) = parts.split_last()?;
    let whole = |group: String, artifact: &str, version: &str| {
        let named = file.strip_prefix(artifact)?.strip_prefix('-')?;
        named.starts_with(version).then(|| Coordinates {
            group,
            artifact: artifact.to_owned(),
            version: version.to_owned(),
        })
    };
    let after = |root: &str| {
        let at = folders.iter().rposition(|folder| *folder == root)?;
        folders.get(at + 1..)
    };
    if let Some([group, artifact, version, _digest]) = after("files-2.1") {
        return whole((*group).to_owned(), artifact, version);
    }
    let [group @ .., artifact, version] = after("repository")? else {
        return None;
    };
    (!group.is_empty()).then(|| whole(group.join("."), artifact, version))?
}

/// How many classes each package has.
#[derive(Default)]
pub(super) struct Classes(BTreeMap<String, usize>);

impl Classes {
    /// Counts an entry of the archive.
    pub(super) fn add(&mut self, name: &str) {
        if !name.ends_with(".class") || name.starts_with("META-INF/") {
            return;
        }
        let Some((package, _)) = name.rsplit_once('/') else {
            return;
        };
        if let Some(count) = self.0.get_mut(package) {
            *count += 1;
        } else if self.0.len() < PACKAGES {
            self.0.insert(package.to_owned(), 1);
        }
    }

    /// The package that nearly all share, without what the artifact's own name says:
    /// `org.apache.kafka` of `org/apache/kafka/raft/…` in `kafka-raft`.
    pub(super) fn group(&self, artifact: &str) -> Option<String> {
        let all: usize = self.0.values().sum();
        let mut shared: Vec<&str> = Vec::new();
        loop {
            let mut next: BTreeMap<&str, usize> = BTreeMap::new();
            for (package, count) in &self.0 {
                let mut parts = package.split('/');
                if shared.iter().all(|part| parts.next() == Some(part))
                    && let Some(part) = parts.next()
                {
                    *next.entry(part).or_default() += count;
                }
            }
            match next.into_iter().max_by_key(|(_, count)| *count) {
                Some((part, count)) if count * 10 >= all * MOST => shared.push(part),
                _ => break,
            }
        }
        let parts: Vec<&str> = artifact.split(['-', '_']).skip(1).collect();
        if let Some(own) = shared.iter().skip(2).position(|p| parts.contains(p)) {
            shared.truncate(own + 2);
        }
        let group = shared.join(".");
        (shared.len() > 1 && manifest::is_artifact(&group)).then_some(group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_repository_tells_all() {
        let told = |path: &str| lies(path).map(|c| (c.group, c.artifact, c.version));
        let wanted = |group: &str, artifact: &str, version: &str| {
            Some((group.to_owned(), artifact.to_owned(), version.to_owned()))
        };
        assert_eq!(
            told("root/.m2/repository/org/apache/maven/maven-core/3.0/maven-core-3.0.jar"),
            wanted("org.apache.maven", "maven-core", "3.0")
        );
        assert_eq!(
            told("r/.m2/repository/asm/asm/3.3.1/asm-3.3.1-tests.jar"),
            wanted("asm", "asm", "3.3.1")
        );
        assert_eq!(
            told("g/caches/modules-2/files-2.1/org.e/a/1/0af3/a-1.jar"),
            wanted("org.e", "a", "1")
        );
        for other in [
            "app/repository/a/1/b-1.jar",
            "app/repository/1/a-1.jar",
            "lib/a-1.jar",
            "a-1.jar",
            "",
        ] {
            assert_eq!(told(other), None, "{other}");
        }
    }

    #[test]
    fn the_shared_package_of_classes_is_a_guess() {
        let group = |artifact: &str, packages: &[(&str, usize)]| {
            let mut classes = Classes::default();
            for (package, count) in packages {
                for number in 0..*count {
                    classes.add(&format!("{package}/C{number}.class"));
                }
            }
            classes.add("module-info.class");
            classes.add("META-INF/versions/9/x/Y.class");
            classes.group(artifact)
        };
        let raft = [
            ("org/apache/kafka/raft", 70),
            ("org/apache/kafka/snapshot", 5),
        ];
        assert_eq!(group("kafka-raft", &raft), Some("org.apache.kafka".into()));
        assert_eq!(
            group("re2j", &[("com/google/re2j", 47)]),
            Some("com.google.re2j".into())
        );
        let common = [("org/apache/kafka/coordinator/common/runtime", 9)];
        let named = "kafka-coordinator-common";
        assert_eq!(group(named, &common), Some("org.apache.kafka".into()));
        let shaded = [("org/a/x", 5), ("com/b/y", 5)];
        assert_eq!(group("a-1", &shaded), None);
        assert_eq!(group("one", &[("one", 5)]), None);
        assert_eq!(group("none", &[]), None);
    }
}
