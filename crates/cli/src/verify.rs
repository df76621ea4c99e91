//! `bartizan verify`: an attestation against the issuer's published keys, without a network.

use crate::arguments::{Output, Verify};
use crate::{Verdict, show};
use anyhow::{Context, Result};
use bartizan_ledger::attest::{Expectations, Verification, token_of_file, verify};
use bartizan_ledger::jwks::Jwks;
use bartizan_model::Timestamp;
use serde_json::json;
use std::io::Read;
use std::path::Path;

/// More than this is no token and no key set.
const MAX_FILE: u64 = 4 << 20;

/// Verifies the token and shows every check that was made.
pub fn run(options: &Verify) -> Result<Verdict> {
    let token = read(&options.file)?;
    let jwks = Jwks::parse(&read(&options.jwks)?)
        .with_context(|| format!("cannot use {}", options.jwks.display()))?;
    let evidence = match &options.evidence {
        Some(path) => {
            Some(std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?)
        }
        None => None,
    };
    let now = match &options.at {
        Some(text) => Timestamp::parse(text)?,
        None => now(),
    };
    let expect = Expectations {
        evidence: evidence.as_deref(),
        ..Expectations::at(now)
    };
    let found = verify(token_of_file(&token), &jwks, &expect);
    match options.format {
        Output::Json => show::line(&serde_json::to_string_pretty(&json!({
            "valid": found.valid(),
            "refusal": found.refusal.as_ref().map(ToString::to_string),
            "checks": found.checks,
            "claims": if found.valid() { found.claims.as_ref() } else { None },
        }))?)?,
        Output::Table => table(&found)?,
    }
    Ok(if found.valid() {
        Verdict::Good
    } else {
        Verdict::Bad
    })
}

fn table(found: &Verification) -> Result<()> {
    for check in &found.checks {
        show::line(&format!(
            "{} {:<12} {}",
            show::mark(check.ok),
            check.name,
            check.detail
        ))?;
    }
    match (&found.refusal, &found.claims) {
        (None, Some(claims)) if found.valid() => {
            let percent =
                |value: Option<f64>| value.map_or("none".to_owned(), |v| format!("{v:.1}%"));
            show::line(&format!(
                "\nVALID: {} stands at {} against {} {} (coverage {}): {} passed, {} failed, {} accepted, {} not assessed, {} manual",
                claims.sub,
                percent(claims.score),
                claims.framework.id,
                claims.framework.version,
                percent(claims.coverage),
                claims.counts.passed,
                claims.counts.failed,
                claims.counts.accepted,
                claims.counts.not_assessed,
                claims.counts.manual,
            ))
        }
        (Some(refusal), _) => show::line(&format!("\nREFUSED: {refusal}")),
        _ => show::line("\nREFUSED: not every check held"),
    }
}

/// Reads a small file, or standard input for `-`.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let taken = if path.as_os_str() == "-" {
        std::io::stdin()
            .lock()
            .take(MAX_FILE + 1)
            .read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path)
            .with_context(|| format!("cannot read {}", path.display()))?
            .take(MAX_FILE + 1)
            .read_to_end(&mut bytes)
    };
    taken.with_context(|| format!("cannot read {}", path.display()))?;
    anyhow::ensure!(
        bytes.len() as u64 <= MAX_FILE,
        "{} is longer than {MAX_FILE} bytes: no token or key set",
        path.display()
    );
    Ok(bytes)
}

/// The machine's clock.
pub fn now() -> Timestamp {
    Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
}
