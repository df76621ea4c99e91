//! Every dependency's licence must be on a short list.

use anyhow::{Context, Result, bail};
use cargo_metadata::MetadataCommand;
use std::path::Path;

/// Licences that we may ship with Apache-2.0, by SPDX id.
const ALLOWED: [&str; 18] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "OpenSSL",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    "bzip2-1.0.6",
];

/// Fails with every package whose expression the list cannot satisfy.
pub fn run(root: &Path) -> Result<()> {
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .exec()
        .context("cargo metadata")?;
    let mut offences = 0;
    for package in &metadata.packages {
        let expression = package.license.as_deref().unwrap_or("none");
        if !satisfied(expression) {
            eprintln!(
                "{} {}: licence {expression:?} is not on the list",
                package.name, package.version
            );
            offences += 1;
        }
    }
    if offences > 0 {
        bail!("{offences} dependencies with a licence that is not on the list");
    }
    println!(
        "{} packages, every licence on the list",
        metadata.packages.len()
    );
    Ok(())
}

/// Whether a choice of the SPDX expression is made only of allowed licences.
fn satisfied(expression: &str) -> bool {
    let normal = expression.replace('/', " OR ");
    let mut words = Vec::new();
    for word in normal
        .replace('(', " ( ")
        .replace(')', " ) ")
        .split_whitespace()
    {
        words.push(word.to_owned());
    }
    let mut parser = Parser { words, at: 0 };
    let value = parser.or();
    value && parser.at == parser.words.len()
}

struct Parser {
    words: Vec<String>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<&str> {
        self.words.get(self.at).map(String::as_str)
    }

    fn eat(&mut self, word: &str) -> bool {
        let hit = self.peek() == Some(word);
        self.at += usize::from(hit);
        hit
    }

    fn or(&mut self) -> bool {
        let mut value = self.and();
        while self.eat("OR") {
            value |= self.and();
        }
        value
    }

    fn and(&mut self) -> bool {
        let mut value = self.one();
        while self.eat("AND") {
            value &= self.one();
        }
        value
    }

    fn one(&mut self) -> bool {
        if self.eat("(") {
            let value = self.or();
            return self.eat(")") && value;
        }
        let Some(mut id) = self.peek().map(str::to_owned) else {
            // An expression that ends too soon satisfies nothing.
            self.at = usize::MAX / 2;
            return false;
        };
        self.at += 1;
        if self.eat("WITH") {
            id = format!("{id} WITH {}", self.peek().unwrap_or_default());
            self.at += 1;
        }
        ALLOWED.contains(&id.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::satisfied;

    #[test]
    fn expressions() {
        for good in [
            "MIT",
            "MIT/Apache-2.0",
            "GPL-3.0 OR MIT",
            "(MIT OR GPL-2.0) AND ISC",
            "Apache-2.0 WITH LLVM-exception",
        ] {
            assert!(satisfied(good), "{good}");
        }
        for bad in [
            "none",
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "",
            "MIT OR",
            "BUSL-1.1",
        ] {
            assert!(!satisfied(bad), "{bad}");
        }
    }
}
