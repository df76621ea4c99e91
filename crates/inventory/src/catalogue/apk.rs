//! apk: `lib/apk/db/installed`.

use super::{Catalogued, Cataloguer, Owner, Package, at};
use crate::tree::{Candidate, File};
use crate::{Maker, Sum};
use bartizan_model::Purl;
use bartizan_model::component::SourcePackage;
use bartizan_packages::apk;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Packages that apk has installed.
pub struct Apk;

impl Cataloguer for Apk {
    fn name(&self) -> &'static str {
        "apk"
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        matches!(
            file.path,
            "lib/apk/db/installed" | "usr/lib/apk/db/installed"
        )
    }

    fn yields(&self) -> bool {
        false
    }

    fn read(&self, file: &File, out: &mut Catalogued) -> Result<(), String> {
        let installed = apk::installed(&file.bytes);
        for (line, why) in installed.broken {
            out.unread(&file.path, format!("line {line}: {why}"));
        }
        let maker = Maker {
            purl_type: "apk",
            vendor: None,
        };
        for package in installed.packages {
            for one in &package.files {
                out.brought(&one.path, &maker, sum(&one.sum));
            }
            let purl = Purl::new("apk", None, &package.name, Some(&package.version))
                .and_then(|purl| purl.with("arch", &package.architecture));
            match purl {
                Ok(purl) => out.add(Package {
                    purl,
                    owner: Owner::Distribution("apk"),
                    source: package
                        .origin
                        .filter(|origin| *origin != package.name)
                        .map(|name| SourcePackage {
                            name,
                            version: package.version,
                        }),
                    licences: package.licence.into_iter().collect(),
                    found: at(file),
                }),
                Err(why) => out.unread(&file.path, why.to_string()),
            }
        }
        Ok(())
    }
}

/// `Q1` and a SHA-1 in base64.
fn sum(text: &str) -> Sum {
    let bytes = text
        .strip_prefix("Q1")
        .and_then(|t| STANDARD.decode(t).ok());
    let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(Sum::Untold, Sum::Sha1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{catalogued, list};

    #[test]
    fn packages_origins_and_broken_blocks() {
        let text = b"P:musl-utils\nV:1.2.5-r0\nA:x86_64\nL:MIT\no:musl\n\nP:x\n\nP:busybox\nV:1.36.1-r29\nA:x86_64\no:busybox\n";
        let out = catalogued(&Apk, "lib/apk/db/installed", text);
        assert_eq!(
            list(&out),
            [
                "pkg:apk/busybox@1.36.1-r29?arch=x86_64",
                "pkg:apk/musl-utils@1.2.5-r0?arch=x86_64 < musl 1.2.5-r0",
            ]
        );
        assert_eq!(out.1.len(), 1);
    }
}
