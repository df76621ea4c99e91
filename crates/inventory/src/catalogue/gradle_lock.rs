//! Lock files of Gradle.

use super::{Catalogued, Cataloguer, input};
use crate::tree::{Candidate, File};
use bartizan_model::EcosystemKind;

/// `gradle.lockfile`, and the older files below `gradle/dependency-locks`.
pub struct GradleLock;

impl Cataloguer for GradleLock {
    fn name(&self) -> &'static str {
        "gradle-lock"
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        matches!(
            file.name(),
            "gradle.lockfile" | "buildscript-gradle.lockfile"
        ) || (file.name().ends_with(".lockfile") && file.path.contains("dependency-locks/"))
    }

    fn read(&self, file: &File, out: &mut Catalogued) -> Result<(), String> {
        for line in input::text(file)?.lines() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') || line.starts_with("empty=") {
                continue;
            }
            let said = line.split('=').next().unwrap_or_default();
            let parts: Vec<&str> = said.split(':').collect();
            match parts.as_slice() {
                [group, name, version] => out.package(
                    file,
                    EcosystemKind::Maven,
                    Some(group),
                    name,
                    Some(version),
                    Vec::new(),
                ),
                _ => out.unread(&file.path, format!("a line is not understood: {said:.80}")),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::input::told;

    #[test]
    fn lines_are_read() {
        let text = "# This is a Gradle generated file\ncom.google.guava:guava:31.1-jre=compileClasspath,runtimeClasspath\norg.slf4j:slf4j-api:1.7.36=runtimeClasspath\nbroken\nempty=annotationProcessor\n";
        let (purls, unread) = told(&GradleLock, "app/gradle.lockfile", text);
        assert_eq!(
            purls,
            [
                "pkg:maven/com.google.guava/guava@31.1-jre",
                "pkg:maven/org.slf4j/slf4j-api@1.7.36"
            ]
        );
        assert_eq!(unread.len(), 1);
    }
}
