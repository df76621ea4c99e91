//! Runs Sigstore's public verification vectors: `conformance DIR`, where DIR is a copy of
//! `test/assets/bundle-verify` of sigstore/sigstore-conformance. A case whose folder's name ends
//! in `_fail` must be refused. Prints a table; exits 1 where one is judged wrong.

use bartizan_model::Digest;
use bartizan_signature::{Demand, Identity, Log, Piece, PublicKey, Signer, Trust, verify};
use std::path::Path;
use std::process::ExitCode;

const SUBJECT: &str = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";
const ISSUER: &str = "https://token.actions.githubusercontent.com";

type Error = Box<dyn std::error::Error>;

fn main() -> Result<ExitCode, Error> {
    let root = std::env::args().nth(1).ok_or("usage: conformance DIR")?;
    let root = Path::new(&root);
    let mut cases: Vec<_> = std::fs::read_dir(root)?
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter(|path| path.join("bundle.sigstore.json").is_file())
        .collect();
    cases.sort();
    let mut wrong = 0;
    for case in &cases {
        let name = case
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let told = judge(root, case)?;
        let right = told.is_err() == name.ends_with("_fail");
        wrong += usize::from(!right);
        let word = if right { "right" } else { "WRONG" };
        let said = told.map_or_else(|why| why, |who| format!("holds: {who}"));
        println!("{word}  {name:<62} {said:.110}");
    }
    println!("{} of {} right", cases.len() - wrong, cases.len());
    Ok(ExitCode::from(u8::from(wrong > 0)))
}

fn judge(root: &Path, case: &Path) -> Result<Result<String, String>, Error> {
    let own = |name: &str| std::fs::read(case.join(name)).ok();
    let text = |name: &str, default: &str| {
        let bytes = own(name).map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
        bytes.unwrap_or_else(|| default.to_owned())
    };
    let artifact = own("artifact").map_or_else(|| std::fs::read(root.join("a.txt")), Ok)?;
    let trust = match own("trusted_root.json") {
        Some(bytes) => Trust::from_json(&bytes),
        None => Trust::from_json(
            sigstore_verify::trust_root::SIGSTORE_PRODUCTION_TRUSTED_ROOT.as_bytes(),
        ),
    };
    let signer = match own("key.pub") {
        Some(pem) => PublicKey::from_pem(&String::from_utf8(pem)?).map(Signer::Key),
        None => Identity::new(&text("issuer", ISSUER), "", &text("identity", SUBJECT), "")
            .map(|identity| Signer::Keyless(vec![identity])),
    };
    let (trust, signer) = match (trust, signer) {
        (Ok(trust), Ok(signer)) => (trust, signer),
        (Err(why), _) | (_, Err(why)) => return Ok(Err(why.to_string())),
    };
    let demand = Demand {
        signer,
        log: Log::Required,
        sct: true,
    };
    let piece = Piece::Bundle {
        origin: "bundle".into(),
        bytes: own("bundle.sigstore.json").unwrap_or_default(),
    };
    let told = verify(&piece, &Digest::of(&artifact), &demand, Some(&trust));
    Ok(told.map(|s| s.who.to_string()).map_err(|no| no.to_string()))
}
