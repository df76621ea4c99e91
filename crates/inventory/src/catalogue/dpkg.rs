//! dpkg: `status`, and `status.d` of images without a package manager.

use super::{Catalogued, Cataloguer, Owner, Package, at};
use crate::tree::{Candidate, File};
use bartizan_model::Purl;
use bartizan_model::component::SourcePackage;
use bartizan_packages::dpkg;

/// Packages that dpkg has unpacked.
pub struct Dpkg;

impl Cataloguer for Dpkg {
    fn name(&self) -> &'static str {
        "dpkg"
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        let one = file.path.strip_prefix("var/lib/dpkg/status.d/");
        file.path == "var/lib/dpkg/status"
            || one.is_some_and(|name| !name.contains('/') && !name.ends_with(".md5sums"))
    }

    fn yields(&self) -> bool {
        false
    }

    fn read(&self, file: &File, out: &mut Catalogued) -> Result<(), String> {
        let status = dpkg::status(&file.bytes);
        for (line, why) in status.broken {
            out.unread(&file.path, format!("line {line}: {why}"));
        }
        for package in status.packages.into_iter().filter(|p| p.installed) {
            let purl = Purl::new("deb", None, &package.name, Some(&package.version))
                .and_then(|purl| purl.with("arch", &package.architecture));
            let purl = match purl {
                Ok(purl) => purl,
                Err(why) => {
                    out.unread(&file.path, why.to_string());
                    continue;
                }
            };
            let source = package
                .source
                .map(|(name, version)| SourcePackage { name, version })
                .filter(|s| s.name != package.name || s.version != package.version);
            out.add(Package {
                purl,
                owner: Owner::Distribution("deb"),
                source,
                licences: Vec::new(),
                found: at(file),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{catalogued, list};

    #[test]
    fn installed_packages_and_their_sources() {
        let text = b"Package: zlib1g\nStatus: install ok installed\nArchitecture: amd64\n\
            Source: zlib (1:1.2)\nVersion: 1:1.2+b1\n\n\
            Package: gone\nStatus: deinstall ok config-files\nVersion: 1\nArchitecture: all\n\n\
            Version: 3\n\nPackage: dash\nStatus: install ok installed\nVersion: 0.5\nArchitecture: amd64\n";
        let out = catalogued(&Dpkg, "var/lib/dpkg/status", text);
        assert_eq!(
            list(&out),
            [
                "pkg:deb/dash@0.5?arch=amd64",
                "pkg:deb/zlib1g@1:1.2%2Bb1?arch=amd64 < zlib 1:1.2",
            ]
        );
        assert_eq!(out.1.len(), 1);
    }

    #[test]
    fn an_enormous_and_a_hostile_status() {
        let mut text = Vec::new();
        for n in 0..50_000 {
            text.extend(
                format!("Package: p{n}\nStatus: install ok installed\nVersion: {n}\n\n").bytes(),
            );
        }
        text.extend(b"Package: \x01\nVersion: 1\n\nPackage: \xff\nVersion: 1\n\nPackage: v\nVersion: \x07\n\nPackage: ");
        text.extend(vec![b'x'; 10_000_000]);
        let out = catalogued(&Dpkg, "var/lib/dpkg/status", &text);
        assert_eq!(out.0.len(), 50_000);
        assert_eq!(out.1.len(), 4, "{:?}", out.1);
    }

    #[test]
    fn distroless() {
        let wants = |path| {
            Dpkg.wants(&Candidate {
                path,
                size: 1,
                executable: false,
            })
        };
        assert!(wants("var/lib/dpkg/status.d/base"));
        assert!(!wants("var/lib/dpkg/status.d/base.md5sums"));
        assert!(!wants("rootfs/var/lib/dpkg/status"));
        let out = catalogued(
            &Dpkg,
            "var/lib/dpkg/status.d/base",
            b"Package: base-files\nVersion: 12\n",
        );
        assert_eq!(list(&out), ["pkg:deb/base-files@12"]);
    }
}
