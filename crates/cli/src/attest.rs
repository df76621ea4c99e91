//! `bartizan attest`: ask the server for a signed statement and keep what verifies it.

use crate::arguments::{Attest, Output};
use crate::client::{Client, segment, text};
use crate::{Verdict, show};
use anyhow::{Context, Result};
use serde_json::json;

/// Issues an attestation and writes the token, and on request its keys and evidence.
pub fn run(options: &Attest) -> Result<Verdict> {
    let client = Client::new(&options.remote.server, &options.remote.access)?;
    let issued = client.post(
        "/attestations",
        &json!({
            "scope": options.scope,
            "framework": options.framework,
            "valid_days": options.valid_days,
            "alg": options.algorithm,
        }),
    )?;
    let token = text(&issued, "token").context("the server answered without a token")?;
    if let Some(path) = &options.jwks {
        show::to(Some(path), &client.download("/jwks")?)?;
    }
    if let Some(path) = &options.evidence {
        let id = segment(text(&issued, "id").unwrap_or_default());
        show::to(
            Some(path),
            &client.download(&format!("/attestations/{id}/evidence"))?,
        )?;
    }
    if options.remote.format == Output::Json {
        show::line(&serde_json::to_string_pretty(&issued)?)?;
        if let Some(path) = &options.output {
            show::to(Some(path), token.as_bytes())?;
        }
        return Ok(Verdict::Good);
    }
    match &options.output {
        Some(path) => {
            show::to(Some(path), token.as_bytes())?;
            let percent = |name: &str| {
                issued
                    .get(name)
                    .and_then(serde_json::Value::as_f64)
                    .map_or("none".to_owned(), |v| format!("{v:.1}%"))
            };
            show::line(&format!(
                "{}: {} against {}, score {}, coverage {}, until {}",
                path.display(),
                options.scope,
                options.framework,
                percent("score"),
                percent("coverage"),
                text(&issued, "expires").unwrap_or_default(),
            ))?;
        }
        None => show::line(token)?,
    }
    Ok(Verdict::Good)
}
