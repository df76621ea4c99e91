//! Entries for fuzzing: any bytes, neither panic nor hang.

use crate::catalogue::{self, Catalogued};
use crate::sbom;
use crate::tree::File;

fn read(path: &str, bytes: &[u8]) {
    let file = File {
        path: path.to_owned(),
        executable: true,
        bytes: bytes.to_vec(),
        layer: None,
    };
    let mut out = Catalogued::default();
    for one in catalogue::ALL.iter().filter(|c| c.wants(&file.candidate())) {
        let _ = one.read(&file, &mut out);
        one.finish(&mut out);
    }
}

/// Archives of Java.
pub fn archives(bytes: &[u8]) {
    read("a.jar", bytes);
    read("META-INF/maven/a/b/pom.properties", bytes);
}

/// Executables.
pub fn executables(bytes: &[u8]) {
    read("bin/a", bytes);
}

/// Every list of packages, each tried as each.
pub fn locks(bytes: &[u8]) {
    for path in [
        "Cargo.lock",
        "Gemfile.lock",
        "Pipfile.lock",
        "a.deps.json",
        "a.dist-info/METADATA",
        "composer.lock",
        "go.mod",
        "gradle.lockfile",
        "node_modules/a/package.json",
        "package-lock.json",
        "packages.config",
        "packages.lock.json",
        "pnpm-lock.yaml",
        "poetry.lock",
        "requirements.txt",
        "specifications/a.gemspec",
        "yarn.lock",
    ] {
        read(path, bytes);
    }
}

/// CycloneDX as XML: a whole document, and a component in one.
pub fn sbom_xml(bytes: &[u8]) {
    sboms(bytes);
    let before = b"<bom xmlns='http://cyclonedx.org/schema/bom/1.5'><components>".as_slice();
    sboms(&[before, bytes, b"</components></bom>"].concat());
}

/// Bills of materials; what is read is written and read back the same.
pub fn sboms(bytes: &[u8]) {
    let Ok(told) = sbom::read(bytes) else { return };
    let stamp = sbom::Stamp {
        id: uuid::Uuid::nil(),
        at: jiff::Timestamp::UNIX_EPOCH,
        version: "0",
    };
    for write in [sbom::cyclonedx::write, sbom::spdx::write] {
        assert_eq!(sbom::read(&write(&told, &stamp)).as_ref(), Ok(&told));
    }
}
